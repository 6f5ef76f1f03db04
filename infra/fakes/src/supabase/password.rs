//! `POST /token?grant_type=password`.

use crate::supabase::error::SupabaseError;
use crate::supabase::parameters;
use crate::supabase::project::Supabase;
use crate::supabase::secret::Secret;
use crate::supabase::token_response::TokenResponse;
use serde::Deserialize;
use serde_json::Value;

impl Supabase {
    pub(super) fn sign_in_by_password(&self, body: &[u8]) -> Result<TokenResponse, SupabaseError> {
        let params: Params = parameters::json(body, "api.PasswordGrantParams")?;
        let email = match (params.email.as_deref().unwrap_or_default(), params.phone.as_deref().unwrap_or_default()) {
            ("", "") => return Err(SupabaseError::Invalid("missing email or phone")),
            (email, "") => email,
            ("", _) if !self.state().config.phone_enabled => return Err(SupabaseError::PhoneDisabled),
            // Nobody here has a phone.
            ("", _) => return Err(SupabaseError::InvalidCredentials),
            _ => {
                return Err(SupabaseError::Invalid(
                    "Only an email address or phone number should be provided on login.",
                ));
            }
        };
        let mut state = self.state();
        if !state.config.email_enabled {
            return Err(SupabaseError::EmailDisabled);
        }
        let account = state.people.find_by_email(email).ok_or(SupabaseError::InvalidCredentials)?;
        if account.person.banned {
            return Err(SupabaseError::BannedAtSignIn);
        }
        match (&account.person.password, params.password) {
            (Some(password), Some(presented)) if password.is(presented.expose()) => {}
            _ => return Err(SupabaseError::InvalidCredentials),
        }
        if !account.is_confirmed() {
            return Err(SupabaseError::EmailNotConfirmed);
        }
        let id = account.id;
        let mut issued = self.sign_in(&mut state, id, "password", Some("email"))?;
        issued.body.insert("weak_password".to_owned(), Value::Null);
        Ok(issued)
    }
}

#[derive(Deserialize)]
struct Params {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Secret>,
}
