//! The calls to Supabase Auth that begin, renew and end a session.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::fault::Fault;
use shared::identity::halfway::FactorId;
use shared::identity::supabase::{Answer, Ask, Bearer, Supabase};

use crate::captcha::{CaptchaError, CaptchaToken};
use crate::declined::Declined;
use crate::hook::HookMessage;
use crate::mail::MailFailure;
use crate::refusal::Refusal;

/// A token response, without the person, whom nobody signed for. Has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    pub(crate) expires_in: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) refresh_token: String,
}

/// What became of a code that was asked for. Only our log learns it.
#[derive(Debug)]
pub(crate) enum Sent {
    Mailed,
    /// Nobody has this address, a mail to it is younger than a minute, or the account is banned.
    Withheld(String),
    /// Somebody has it, and the project could not send the mail.
    Failed(MailFailure),
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailed => f.write_str("code mailed"),
            Self::Withheld(code) => write!(f, "no code mailed: {code}"),
            Self::Failed(failure) => write!(f, "no code mailed: {failure}"),
        }
    }
}

pub(crate) async fn by_password(
    at: &Supabase,
    email: &str,
    password: &str,
    captcha: &CaptchaToken,
) -> Result<Tokens, Refusal> {
    let body = json!({ "email": email, "password": password, "gotrue_meta_security": captcha });
    let ask = Ask::post("Supabase.Password", "/token?grant_type=password", body);
    tokens(at, ask, Declined::of_password).await.map_err(|refusal| captcha.explain(refusal))
}

pub(crate) async fn by_code(at: &Supabase, email: &str, code: &str) -> Result<Tokens, Refusal> {
    let body = json!({ "type": "email", "email": email, "token": code });
    tokens(at, Ask::post("Supabase.Verify", "/verify", body), Declined::of_code).await
}

/// With the hash that the link of a mail carries in place of its code.
pub(crate) async fn by_link(at: &Supabase, token_hash: &str) -> Result<Tokens, Refusal> {
    let body = json!({ "type": "email", "token_hash": token_hash });
    tokens(at, Ask::post("Supabase.Verify", "/verify", body), Declined::of_link).await
}

/// Exchanges the code of a flow. Supabase tells of a wrong verifier and spends nothing, so another may be tried.
pub(crate) async fn by_flow(at: &Supabase, code: &str, verifier: &str) -> Result<Tokens, Refusal> {
    let body = json!({ "auth_code": code, "code_verifier": verifier });
    tokens(at, Ask::post("Supabase.Exchange", "/token?grant_type=pkce", body), Declined::of_flow).await
}

pub(crate) async fn refresh(at: &Supabase, token: &str) -> Result<Tokens, Refusal> {
    let body = json!({ "refresh_token": token });
    tokens(at, Ask::post("Supabase.Refresh", "/token?grant_type=refresh_token", body), Declined::of_refresh).await
}

/// Shows a second factor: the session that comes back has both. Supabase wants the challenge and the code from one address,
/// and we may have several: then both are repeated once, together.
pub(crate) async fn by_factor(
    at: &Supabase,
    bearer: &Bearer,
    factor: &FactorId,
    code: &str,
) -> Result<Tokens, Refusal> {
    match challenge_and_verify(at, bearer, factor, code).await {
        Err(Refusal::Declined(Declined::AddressChanged)) => challenge_and_verify(at, bearer, factor, code).await,
        outcome => outcome,
    }
}

/// A challenge lives for five minutes and this one for a moment, so that the page that asks for the code keeps nothing.
async fn challenge_and_verify(
    at: &Supabase,
    bearer: &Bearer,
    factor: &FactorId,
    code: &str,
) -> Result<Tokens, Refusal> {
    #[derive(Deserialize)]
    struct Challenge {
        id: FactorId,
    }
    const CALL: &str = "Supabase.Challenge";
    let path = format!("/factors/{}/challenge", factor.as_str());
    let answer = at.ask(Ask { bearer: Some(bearer), ..Ask::post(CALL, &path, json!({})) }).await?;
    if !answer.status.is_success() {
        return Err(declined(&answer, CALL, Declined::of_factor));
    }
    let challenge: Challenge = answer.read(CALL)?;
    let path = format!("/factors/{}/verify", factor.as_str());
    let body = json!({ "challenge_id": challenge.id.as_str(), "code": code });
    let ask = Ask { bearer: Some(bearer), ..Ask::post("Supabase.Factor", &path, body) };
    tokens(at, ask, Declined::of_factor).await
}

/// Has a code mailed, and a link to `callback`, to a person who exists; nobody is signed up by this.
pub(crate) async fn send_code(
    at: &Supabase,
    email: &str,
    callback: &str,
    challenge: &str,
    captcha: &CaptchaToken,
) -> Result<Sent, Refusal> {
    const CALL: &str = "Supabase.Otp";
    let path = format!("/otp?redirect_to={}", crate::encoded(callback));
    let body = json!({
        "email": email, "create_user": false, "data": {},
        "code_challenge": challenge, "code_challenge_method": "s256", "gotrue_meta_security": captcha,
    });
    let (ask, began) = (Ask::post(CALL, &path, body), Instant::now());
    let within = ask.within;
    let answer = match at.ask(ask).await {
        Ok(answer) => answer,
        // For who is not known, no mail server is asked that could be slow.
        Err(_) if began.elapsed() >= within => return Ok(Sent::Failed(MailFailure::NoAnswer)),
        Err(fault) => return Err(fault.into()),
    };
    if answer.status.is_success() {
        return Ok(Sent::Mailed);
    }
    if let Some(failure) = MailFailure::of(&answer) {
        return Ok(Sent::Failed(failure));
    }
    match answer.code.as_deref() {
        // The first: nobody is there. The others come only for people who are there, so they must look the same; the mail that
        // was sent a moment ago is as good.
        Some(code @ ("otp_disabled" | "signup_disabled" | "over_email_send_rate_limit" | "user_banned")) => {
            Ok(Sent::Withheld(code.to_owned()))
        }
        Some("validation_failed") => Err(Refusal::NoEmail),
        _ => Err(captcha.explain(declined(&answer, CALL, Declined::of_any))),
    }
}

/// Ends the session of `bearer` and no other of that person.
pub(crate) async fn sign_out(at: &Supabase, bearer: &Bearer) -> Result<(), Fault> {
    const CALL: &str = "Supabase.Logout";
    let ask = Ask { bearer: Some(bearer), ..Ask::post(CALL, "/logout?scope=local", json!({})) };
    let answer = at.ask(ask).await?;
    // 401, 403, 404: there is no such session, which is what was wanted.
    if answer.status.is_success() || matches!(answer.status.as_u16(), 401 | 403 | 404) {
        return Ok(());
    }
    Err(answer.fault(CALL))
}

async fn tokens(at: &Supabase, ask: Ask<'_>, meaning: fn(&str) -> Option<Declined>) -> Result<Tokens, Refusal> {
    let call = ask.call;
    let answer = at.ask(ask).await?;
    if answer.status.is_success() { Ok(answer.read(call)?) } else { Err(declined(&answer, call, meaning)) }
}

fn declined(answer: &Answer, call: &'static str, meaning: fn(&str) -> Option<Declined>) -> Refusal {
    if answer.code.as_deref() == Some("captcha_failed") {
        return CaptchaError::Refused.into();
    }
    match (answer.code.as_deref().and_then(meaning), HookMessage::of(answer)) {
        (Some(declined), _) => Refusal::Declined(declined),
        (None, Some(message)) => Refusal::Hook(message),
        (None, None) => Refusal::Fault(answer.fault(call)),
    }
}
