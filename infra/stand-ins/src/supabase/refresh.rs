//! `POST /token?grant_type=refresh_token`.

use crate::supabase::Supabase;
use crate::supabase::access_token::Issued;
use crate::supabase::parameters;
use crate::supabase::refusal::Refusal;
use crate::supabase::sessions;
use serde::Deserialize;

impl Supabase {
    pub(super) fn refresh(&self, body: &[u8]) -> Result<Issued, Refusal> {
        let Asked { refresh_token } = parameters::json(body, "api.RefreshTokenGrantParams")?;
        let presented = refresh_token.unwrap_or_default();
        if !sessions::is_refresh_token(&presented) {
            return Err(Refusal::Invalid("Refresh token is not valid"));
        }
        let mut state = self.state();
        let session = state.sessions.of_refresh_token(&presented)?.clone();
        if state.people.find(session.person).is_some_and(|account| account.person.banned) {
            return Err(Refusal::BannedAtRefresh);
        }
        state.ask_hook(session.person)?;
        let version = state.config.refresh_token_version;
        let turned = state.sessions.turn(&presented, self.now(), version).map_err(|refusal| Refusal::InSession {
            refusal: Box::new(refusal),
            session: session.id,
            person: session.person,
        })?;
        let issued = self.tokens(&state, &session, &turned.token)?;
        Ok(Issued { reused: turned.rotated.then_some(false), ..issued })
    }
}

#[derive(Deserialize)]
struct Asked {
    refresh_token: Option<String>,
}
