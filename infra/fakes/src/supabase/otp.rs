//! `POST /otp`: sends a code and a link.

use crate::supabase::error::SupabaseError;
use crate::supabase::flow_state::{AuthenticationMethod, Challenge, FlowState};
use crate::supabase::gateway::Caller;
use crate::supabase::parameters::{self, Parameters};
use crate::supabase::project::Supabase;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn send(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<Value>, SupabaseError> {
    let before = supabase.state().mails.len();
    let sent = supabase.send_code(caller, &headers, &parameters, &body);
    let (after, takes) = {
        let state = supabase.state();
        (state.mails.len(), state.config.mail_takes)
    };
    if after > before {
        tokio::time::sleep(takes).await;
    }
    sent
}

impl Supabase {
    fn send_code(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        parameters: &Parameters,
        body: &Bytes,
    ) -> Result<Json<Value>, SupabaseError> {
        let now = self.now();
        let mut state = self.state();
        state.limit("/otp", headers, now)?;
        state.check_captcha(caller, body)?;
        let params: Params = parameters::json(body, "api.OtpParams")?;
        let text = |text: Option<String>| text.unwrap_or_default();
        let challenge = Challenge::parse(&text(params.code_challenge), &text(params.code_challenge_method))?;
        // Left out, GoTrue creates the person.
        let create = params.create_user.unwrap_or(true);
        let email = match (text(params.email), text(params.phone)) {
            (email, phone) if email.is_empty() && phone.is_empty() => {
                return Err(SupabaseError::Invalid("One of email or phone must be set"));
            }
            // Nobody here has a phone.
            (email, _) if email.is_empty() && state.config.phone_enabled && !create => {
                return Err(SupabaseError::OtpDisabled);
            }
            (email, _) if email.is_empty() => return Err(SupabaseError::PhoneDisabled),
            (email, phone) if phone.is_empty() => parameters::email(&email)?,
            _ => return Err(SupabaseError::Invalid("Only an email address or phone number should be provided")),
        };
        let redirect_to = self.redirect_to(headers, parameters);
        let known = state.people.find_by_email(&email).map(|account| (account.id, account.is_confirmed()));
        if known.is_none() && !create {
            return Err(SupabaseError::OtpDisabled);
        }
        if !state.config.email_enabled {
            return Err(SupabaseError::EmailDisabled);
        }
        if !state.config.magic_link_enabled {
            return Err(SupabaseError::MagicLinkDisabled);
        }
        let confirmed = known.is_some_and(|(_, confirmed)| confirmed);
        if !confirmed && state.config.disable_signup {
            return Err(SupabaseError::SignupDisabled);
        }
        let person = match known {
            Some((person, _)) => person,
            None => state.people.sign_up(&email, now)?,
        };
        let pkce = challenge.is_some();
        let authentication_method =
            if confirmed { AuthenticationMethod::MagicLink } else { AuthenticationMethod::Confirmation };
        let mut flow = challenge
            .map(|challenge| FlowState::new(challenge, authentication_method, Some(person), now))
            .transpose()?;
        // A link leads to the newest flow of its person. Of the confirmed it is kept even if no mail goes out.
        if confirmed {
            state.flows.extend(flow.take());
        }
        if let Some(seconds) = state.codes.get(&person).and_then(|code| code.seconds_to_wait(now)) {
            return Err(SupabaseError::TooSoon(seconds));
        }
        self.send_mail(&mut state, person, pkce, &redirect_to)?;
        state.flows.extend(flow);
        Ok(Json(json!({})))
    }
}

#[derive(Deserialize)]
struct Params {
    email: Option<String>,
    phone: Option<String>,
    create_user: Option<bool>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}
