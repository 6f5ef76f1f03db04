//! `GET` and `POST /verify`: the link of a mail and the code in it.

use crate::supabase::error::SupabaseError;
use crate::supabase::flow_state::AuthenticationMethod;
use crate::supabase::one_time_code::{self, Kind, OneTimeCode};
use crate::supabase::parameters::{self, Parameters};
use crate::supabase::project::Supabase;
use crate::supabase::redirect::{redirect, with_error_fragment, with_fragment, with_query};
use crate::supabase::session_headers::add_session_headers;
use crate::supabase::state::State as ProjectState;
use crate::supabase::token_response::TokenResponse;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// A browser follows the link: back to where it began, with a code, with tokens, or with what went wrong.
pub(super) async fn follow(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, SupabaseError> {
    let (token, kind) = (parameters.first("token"), parameters.first("type"));
    supabase.state().limit("/verify", &headers, supabase.now())?;
    if kind.is_empty() {
        return Err(SupabaseError::Invalid("Verify requires a verification type"));
    }
    if token.is_empty() {
        return Err(SupabaseError::Invalid("Verify requires a token or a token hash"));
    }
    let redirect_to = supabase.redirect_to(&headers, &parameters);
    match supabase.follow_link(token, kind, &redirect_to) {
        Ok((back, None)) => Ok(redirect(StatusCode::SEE_OTHER, &back)),
        Ok((back, Some((session, person)))) => {
            let mut response = redirect(StatusCode::SEE_OTHER, &back);
            add_session_headers(&mut response, session, person);
            Ok(response)
        }
        Err(error) => {
            tracing::info!(?error, "fake Supabase refused a link");
            let error_parameters = error.redirect_parameters();
            let url =
                if token.starts_with("pkce_") { with_query(&redirect_to, &error_parameters) } else { redirect_to };
            Ok(redirect(StatusCode::SEE_OTHER, &with_error_fragment(&url, &error_parameters)))
        }
    }
}

/// The person types the code, or a page of the product passes the hash on.
pub(super) async fn redeem(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<TokenResponse, SupabaseError> {
    let now = supabase.now();
    let mut state = supabase.state();
    state.limit("/verify", &headers, now)?;
    let params: Params = parameters::json(&body, "api.VerifyParams")?;
    let text = |text: Option<String>| text.unwrap_or_default();
    let (kind, token, hash) = (text(params.kind), text(params.token), text(params.token_hash));
    let (email, others) = (text(params.email), text(params.phone) + &text(params.redirect_to));
    if kind.is_empty() {
        return Err(SupabaseError::Invalid("Verify requires a verification type"));
    }
    if token.is_empty() == hash.is_empty() {
        return Err(SupabaseError::Invalid("Verify requires either a token or a token hash"));
    }
    let person = if hash.is_empty() {
        if email.is_empty() {
            return Err(SupabaseError::Invalid("Only an email address or phone number should be provided on verify"));
        }
        let email = parameters::email(&email)?;
        // A ban is told before the code is looked at.
        if state.people.find_by_email(&email).is_some_and(|account| account.person.banned) {
            return Err(SupabaseError::Banned);
        }
        let hash = one_time_code::hash(&email, &token);
        // The code is good whether or not its mail was asked for with a challenge.
        find(&state, &kind, now, |code| code.hash.strip_prefix("pkce_").unwrap_or(&code.hash) == hash)
            .ok_or(SupabaseError::CodeExpired)?
    } else {
        if !(email.is_empty() && others.is_empty()) {
            return Err(SupabaseError::Invalid("Only the token_hash and type should be provided"));
        }
        find(&state, &kind, now, |code| code.hash == hash).ok_or(SupabaseError::LinkExpired)?
    };
    state.run_access_token_hook(person)?;
    spend(&mut state, person, now)?;
    supabase.sign_in(&mut state, person, "otp", None)
}

/// Where the browser goes, and with which session and person where it carries their tokens.
type BrowserRedirect = (String, Option<(Uuid, Uuid)>);

impl Supabase {
    fn follow_link(&self, hash: &str, kind: &str, redirect_to: &str) -> Result<BrowserRedirect, SupabaseError> {
        if !matches!(kind, "magiclink" | "recovery" | "signup" | "invite" | "email_change" | "email") {
            return Err(SupabaseError::Invalid("Unsupported verification type"));
        }
        let mut state = self.state();
        let person = find(&state, kind, self.now(), |code| code.hash == hash).ok_or(SupabaseError::LinkExpired)?;
        let spent = spend(&mut state, person, self.now())?;
        if !spent.is_pkce() {
            let tokens = self.sign_in(&mut state, person, "otp", None)?;
            let mut fragment = fragment_of(&tokens.body);
            fragment.push(("type", spent.kind.name().to_owned()));
            return Ok((with_fragment(redirect_to, &fragment), Some((tokens.session, person))));
        }
        let authentication_method = match spent.kind {
            Kind::MagicLink => AuthenticationMethod::MagicLink,
            Kind::Signup => AuthenticationMethod::Confirmation,
        };
        let flow = state
            .flows
            .iter_mut()
            .rfind(|flow| flow.person == Some(person) && flow.authentication_method == authentication_method);
        let flow = flow.ok_or(SupabaseError::NoFlowForLink)?;
        flow.since = self.now();
        Ok((with_query(redirect_to, &[("code", flow.code.to_string())]), None))
    }
}

/// Whose code `is_meant`, if it is of this kind and still good.
fn find(state: &ProjectState, kind: &str, now: i64, is_meant: impl Fn(&OneTimeCode) -> bool) -> Option<Uuid> {
    let fits = |code: &OneTimeCode| match kind {
        "email" => true,
        // A link of either name redeems the code for people who are confirmed, for that is one column in GoTrue.
        "magiclink" | "recovery" => code.kind == Kind::MagicLink,
        "signup" | "invite" => code.kind == Kind::Signup,
        _ => false,
    };
    let found = state.codes.iter().find(|(_, code)| is_meant(code) && fits(code) && !code.is_expired(now));
    found.map(|(person, _)| *person)
}

/// Uses up this person's code, and confirms the address that it was sent to.
fn spend(state: &mut ProjectState, person: Uuid, now: i64) -> Result<OneTimeCode, SupabaseError> {
    let account = state.people.find_mut(person).ok_or(SupabaseError::UnexpectedFailure)?;
    if account.person.banned {
        return Err(SupabaseError::Banned);
    }
    account.confirm(now);
    state.codes.remove(&person).ok_or(SupabaseError::UnexpectedFailure)
}

/// The answer of `/token` as the implicit flow carries it.
pub(super) fn fragment_of(tokens: &Map<String, Value>) -> Vec<(&'static str, String)> {
    let names = ["access_token", "expires_at", "expires_in", "refresh_token", "token_type"];
    let text = |name| match tokens.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    names.into_iter().map(|name| (name, text(name))).collect()
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "type")]
    kind: Option<String>,
    token: Option<String>,
    token_hash: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    redirect_to: Option<String>,
}
