//! `POST /otp`: sends a code and a link.

use crate::supabase::Supabase;
use crate::supabase::flow::{Challenge, Flow, Way};
use crate::supabase::parameters::{self, Parameters};
use crate::supabase::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn send(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let asked: Asked = parameters::json(&body)?;
    let text = |text: Option<String>| text.unwrap_or_default();
    let challenge = Challenge::read(&text(asked.code_challenge), &text(asked.code_challenge_method))?;
    let email = match (text(asked.email), text(asked.phone)) {
        (email, phone) if email.is_empty() && phone.is_empty() => {
            return Err(Refusal::Invalid("One of email or phone must be set"));
        }
        (email, _) if email.is_empty() => return Err(Refusal::PhoneDisabled),
        (email, phone) if phone.is_empty() => parameters::email(&email)?,
        _ => return Err(Refusal::Invalid("Only an email address or phone number should be provided")),
    };
    let redirect_to = supabase.redirect_to(&headers, &parameters)?;
    let now = supabase.now();
    let mut state = supabase.state();
    if state.rate_limited {
        return Err(Refusal::RateLimited);
    }
    let Some(account) = state.people.find_by_email(&email) else {
        // GoTrue creates the user unless told not to; this project has sign-up off.
        let create = asked.create_user.unwrap_or(true);
        return Err(if create { Refusal::SignupDisabled } else { Refusal::OtpDisabled });
    };
    let (person, confirmed) = (account.id, account.is_confirmed());
    if let Some(seconds) = state.codes.get(&person).and_then(|code| code.keeps_waiting(now)) {
        return Err(Refusal::TooSoon(seconds));
    }
    let pkce = challenge.is_some();
    if let Some(challenge) = challenge {
        let way = if confirmed { Way::MagicLink } else { Way::Confirmation };
        state.flows.push(Flow::new(challenge, way, Some(person), now)?);
    }
    supabase.send_mail(&mut state, person, pkce, &redirect_to)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Asked {
    email: Option<String>,
    phone: Option<String>,
    create_user: Option<bool>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}
