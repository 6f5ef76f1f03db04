//! `GET` and `POST /verify`: the link of a mail and the code in it.

use crate::supabase::Supabase;
use crate::supabase::flow::Way;
use crate::supabase::mail::{self, Kind, OneTimeCode};
use crate::supabase::parameters::{self, Parameters};
use crate::supabase::redirect::{with_fragment, with_query};
use crate::supabase::refusal::Refusal;
use crate::supabase::state::State as Known;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Redirect;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

/// A browser follows the link: back to where it began, with a code, with tokens, or with what went wrong.
pub(super) async fn follow(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Redirect, Refusal> {
    let (token, kind) = (parameters.first("token"), parameters.first("type"));
    if kind.is_empty() {
        return Err(Refusal::Invalid("Verify requires a verification type"));
    }
    if token.is_empty() {
        return Err(Refusal::Invalid("Verify requires a token or a token hash"));
    }
    let redirect_to = supabase.redirect_to(&headers, &parameters)?;
    let back = supabase.follow_link(token, kind, redirect_to.clone()).unwrap_or_else(|refusal| {
        tracing::info!(?refusal, "sign-in stand-in refused a link");
        let told = refusal.for_redirect();
        let url = if token.starts_with("pkce_") { with_query(redirect_to, &told) } else { redirect_to };
        with_fragment(url, &told)
    });
    Ok(Redirect::to(back.as_str()))
}

/// The person types the code, or a page of the product passes the hash on.
pub(super) async fn redeem(State(supabase): State<Arc<Supabase>>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let asked: Asked = parameters::json(&body)?;
    let text = |text: Option<String>| text.unwrap_or_default();
    let (kind, token, hash) = (text(asked.kind), text(asked.token), text(asked.token_hash));
    let (email, others) = (text(asked.email), text(asked.phone) + &text(asked.redirect_to));
    if kind.is_empty() {
        return Err(Refusal::Invalid("Verify requires a verification type"));
    }
    if token.is_empty() == hash.is_empty() {
        return Err(Refusal::Invalid("Verify requires either a token or a token hash"));
    }
    let mut state = supabase.state();
    if state.rate_limited {
        return Err(Refusal::RateLimited);
    }
    let person = if hash.is_empty() {
        if email.is_empty() {
            return Err(Refusal::Invalid("Only an email address or phone number should be provided on verify"));
        }
        let email = parameters::email(&email)?;
        let hash = mail::hash(&email, &token);
        // The code is good whether or not its mail was asked for with a challenge.
        spend(&mut state, &kind, supabase.now(), |code| code.hash.strip_prefix("pkce_").unwrap_or(&code.hash) == hash)
    } else {
        if !(email.is_empty() && others.is_empty()) {
            return Err(Refusal::Invalid("Only the token_hash and type should be provided"));
        }
        spend(&mut state, &kind, supabase.now(), |code| code.hash == hash)
    };
    let (person, _) = person?.ok_or(Refusal::CodeExpired)?;
    supabase.sign_in(&mut state, person, "otp", None).map(Json)
}

impl Supabase {
    fn follow_link(&self, hash: &str, kind: &str, redirect_to: Url) -> Result<Url, Refusal> {
        let mut state = self.state();
        let (person, spent) =
            spend(&mut state, kind, self.now(), |code| code.hash == hash)?.ok_or(Refusal::LinkExpired)?;
        if !spent.is_pkce() {
            let tokens = self.sign_in(&mut state, person, "otp", None)?;
            return Ok(with_fragment(redirect_to, &fragment_of(&tokens, spent.kind.name())));
        }
        let way = match spent.kind {
            Kind::MagicLink => Way::MagicLink,
            Kind::Signup => Way::Confirmation,
        };
        let flow = state.flows.iter_mut().rfind(|flow| flow.person == Some(person) && flow.way == way);
        let flow = flow.ok_or(Refusal::NoFlowForLink)?;
        flow.since = self.now();
        Ok(with_query(redirect_to, &[("code", flow.code.to_string())]))
    }
}

/// Uses up the code that `is_meant`, and confirms the address that it was sent to.
fn spend(
    state: &mut Known,
    kind: &str,
    now: i64,
    is_meant: impl Fn(&OneTimeCode) -> bool,
) -> Result<Option<(Uuid, OneTimeCode)>, Refusal> {
    let fits = |code: &OneTimeCode| match kind {
        "email" => true,
        // A link of either name redeems the code for people who are confirmed, for that is one column in GoTrue.
        "magiclink" | "recovery" => code.kind == Kind::MagicLink,
        "signup" | "invite" => code.kind == Kind::Signup,
        _ => false,
    };
    if !matches!(kind, "email" | "magiclink" | "recovery" | "signup" | "invite" | "email_change") {
        return Err(Refusal::Invalid("Unsupported verification type"));
    }
    let found = state.codes.iter().find(|(_, code)| is_meant(code) && fits(code) && !code.is_expired(now));
    let Some(person) = found.map(|(person, _)| *person) else { return Ok(None) };
    let account = state.people.find_mut(person).ok_or(Refusal::Fault)?;
    if account.person.banned {
        return Err(Refusal::Banned);
    }
    account.confirm(now);
    Ok(state.codes.remove(&person).map(|code| (person, code)))
}

/// The answer of `/token` as the implicit flow carries it.
pub(super) fn fragment_of(tokens: &Value, kind: &'static str) -> Vec<(&'static str, String)> {
    let names = ["access_token", "expires_at", "expires_in", "refresh_token", "token_type"];
    let text = |name| match tokens.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    names.into_iter().map(|name| (name, text(name))).chain([("type", kind.to_owned())]).collect()
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "type")]
    kind: Option<String>,
    token: Option<String>,
    token_hash: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    redirect_to: Option<String>,
}
