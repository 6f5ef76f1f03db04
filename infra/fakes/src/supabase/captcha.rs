//! The check of a captcha before a password is looked at or a mail is sent (GoTrue `verifyCaptcha`).

use crate::supabase::error::SupabaseError;
use crate::supabase::gateway::Caller;
use crate::supabase::state::State;
use serde::Deserialize;

/// `gotrue_meta_security` of a body.
#[derive(Default, Deserialize)]
struct Body {
    gotrue_meta_security: Option<MetaSecurity>,
}

#[derive(Default, Deserialize)]
struct MetaSecurity {
    captcha_token: Option<String>,
}

impl State {
    /// Who holds a secret key needs none.
    pub(super) fn check_captcha(&self, caller: Caller, body: &[u8]) -> Result<(), SupabaseError> {
        let Some(captcha) = &self.config.captcha else { return Ok(()) };
        if caller == Caller::Secret {
            return Ok(());
        }
        // A body that cannot be read carries no token; what is wrong with it comes second.
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let token = body.gotrue_meta_security.and_then(|meta| meta.captcha_token).filter(|token| !token.is_empty());
        match token {
            None => Err(SupabaseError::Captcha("no captcha_token found")),
            Some(token) => captcha.check(&token).map_err(SupabaseError::Captcha),
        }
    }
}
