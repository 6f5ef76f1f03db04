//! `POST /token?grant_type=password`.

use crate::supabase::Supabase;
use crate::supabase::access_token::Issued;
use crate::supabase::parameters;
use crate::supabase::refusal::Refusal;
use crate::supabase::secret::Secret;
use serde::Deserialize;
use serde_json::Value;

impl Supabase {
    pub(super) fn sign_in_by_password(&self, body: &[u8]) -> Result<Issued, Refusal> {
        let asked: Asked = parameters::json(body, "api.PasswordGrantParams")?;
        let email = match (asked.email.as_deref().unwrap_or_default(), asked.phone.as_deref().unwrap_or_default()) {
            ("", "") => return Err(Refusal::Invalid("missing email or phone")),
            (email, "") => email,
            ("", _) if !self.state().config.phone_enabled => return Err(Refusal::PhoneDisabled),
            // Nobody here has a phone.
            ("", _) => return Err(Refusal::InvalidCredentials),
            _ => return Err(Refusal::Invalid("Only an email address or phone number should be provided on login.")),
        };
        let mut state = self.state();
        if !state.config.email_enabled {
            return Err(Refusal::EmailDisabled);
        }
        let account = state.people.find_by_email(email).ok_or(Refusal::InvalidCredentials)?;
        if account.person.banned {
            return Err(Refusal::BannedAtSignIn);
        }
        match (&account.person.password, asked.password) {
            (Some(password), Some(presented)) if password.is(presented.expose()) => {}
            _ => return Err(Refusal::InvalidCredentials),
        }
        if !account.is_confirmed() {
            return Err(Refusal::EmailNotConfirmed);
        }
        let id = account.id;
        let mut issued = self.sign_in(&mut state, id, "password", Some("email"))?;
        issued.body.insert("weak_password".to_owned(), Value::Null);
        Ok(issued)
    }
}

#[derive(Deserialize)]
struct Asked {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Secret>,
}
