//! The calls to Supabase Auth that begin, renew and end a session.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::identity::mfa::FactorId;
use shared::identity::supabase::{Bearer, Supabase, SupabaseRequest, SupabaseResponse};
use shared::upstream_error::UpstreamError;

use crate::captcha::{CaptchaError, CaptchaToken};
use crate::error::LoginError;
use crate::hook::HookMessage;
use crate::mail_error::MailError;
use crate::supabase_error::SupabaseError;

/// A token response, without the person, whom nobody signed for. Has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    pub(crate) expires_in: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) refresh_token: String,
}

/// The outcome of a request for a code. Only our log has it.
#[derive(Debug)]
pub(crate) enum OtpOutcome {
    Mailed,
    /// Nobody has this address, a mail to it is younger than a minute, or the account is banned.
    Withheld(String),
    /// Somebody has it, and the project could not send the mail.
    Failed(MailError),
}

impl fmt::Display for OtpOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailed => f.write_str("code mailed"),
            Self::Withheld(code) => write!(f, "no code mailed: {code}"),
            Self::Failed(error) => write!(f, "no code mailed: {error}"),
        }
    }
}

pub(crate) async fn sign_in_with_password(
    supabase: &Supabase,
    email: &str,
    password: &str,
    captcha: &CaptchaToken,
) -> Result<Tokens, LoginError> {
    let body = json!({ "email": email, "password": password, "gotrue_meta_security": captcha });
    let request = SupabaseRequest::post("Supabase.Password", "/token?grant_type=password", body);
    tokens(supabase, request, SupabaseError::of_password).await.map_err(|error| captcha.explain(error))
}

pub(crate) async fn verify_otp(supabase: &Supabase, email: &str, code: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "type": "email", "email": email, "token": code });
    tokens(supabase, SupabaseRequest::post("Supabase.Verify", "/verify", body), SupabaseError::of_code).await
}

/// With the hash that the link of a mail carries in place of its code.
pub(crate) async fn verify_token_hash(supabase: &Supabase, token_hash: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "type": "email", "token_hash": token_hash });
    tokens(supabase, SupabaseRequest::post("Supabase.Verify", "/verify", body), SupabaseError::of_link).await
}

/// Exchanges the code of a flow. A wrong verifier is an error that spends nothing, so another may be tried.
pub(crate) async fn exchange_code(supabase: &Supabase, code: &str, verifier: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "auth_code": code, "code_verifier": verifier });
    tokens(
        supabase,
        SupabaseRequest::post("Supabase.Exchange", "/token?grant_type=pkce", body),
        SupabaseError::of_exchange,
    )
    .await
}

pub(crate) async fn refresh_session(supabase: &Supabase, token: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "refresh_token": token });
    tokens(
        supabase,
        SupabaseRequest::post("Supabase.Refresh", "/token?grant_type=refresh_token", body),
        SupabaseError::of_refresh,
    )
    .await
}

/// Shows a second factor: the session that comes back has both. Supabase wants the challenge and the code from one address,
/// and we may have several: then both are repeated once, together.
pub(crate) async fn verify_factor(
    supabase: &Supabase,
    bearer: &Bearer,
    factor: &FactorId,
    code: &str,
) -> Result<Tokens, LoginError> {
    match challenge_and_verify(supabase, bearer, factor, code).await {
        Err(LoginError::Supabase(SupabaseError::AddressChanged)) => {
            challenge_and_verify(supabase, bearer, factor, code).await
        }
        outcome => outcome,
    }
}

/// A challenge lives for five minutes and this one for a moment, so that the page that asks for the code keeps nothing.
async fn challenge_and_verify(
    supabase: &Supabase,
    bearer: &Bearer,
    factor: &FactorId,
    code: &str,
) -> Result<Tokens, LoginError> {
    #[derive(Deserialize)]
    struct Challenge {
        id: FactorId,
    }
    const CALL: &str = "Supabase.Challenge";
    let path = format!("/factors/{}/challenge", factor.as_str());
    let answer = supabase
        .send(SupabaseRequest { bearer: Some(bearer), ..SupabaseRequest::post(CALL, &path, json!({})) })
        .await?;
    if !answer.status.is_success() {
        return Err(login_error(&answer, CALL, SupabaseError::of_factor));
    }
    let challenge: Challenge = answer.json(CALL)?;
    let path = format!("/factors/{}/verify", factor.as_str());
    let body = json!({ "challenge_id": challenge.id.as_str(), "code": code });
    let request = SupabaseRequest { bearer: Some(bearer), ..SupabaseRequest::post("Supabase.Factor", &path, body) };
    tokens(supabase, request, SupabaseError::of_factor).await
}

/// Has a code mailed, and a link to `callback`, to a person who exists; nobody is signed up by this.
pub(crate) async fn send_otp(
    supabase: &Supabase,
    email: &str,
    callback: &str,
    challenge: &str,
    captcha: &CaptchaToken,
) -> Result<OtpOutcome, LoginError> {
    const CALL: &str = "Supabase.Otp";
    let path = format!("/otp?redirect_to={}", crate::encoded(callback));
    let body = json!({
        "email": email, "create_user": false, "data": {},
        "code_challenge": challenge, "code_challenge_method": "s256", "gotrue_meta_security": captcha,
    });
    let (request, began) = (SupabaseRequest::post(CALL, &path, body), Instant::now());
    let timeout = request.timeout;
    let answer = match supabase.send(request).await {
        Ok(answer) => answer,
        // For who is not known, no mail server is asked that could be slow.
        Err(_) if began.elapsed() >= timeout => return Ok(OtpOutcome::Failed(MailError::NoAnswer)),
        Err(error) => return Err(error.into()),
    };
    if answer.status.is_success() {
        return Ok(OtpOutcome::Mailed);
    }
    if let Some(error) = MailError::of(&answer) {
        return Ok(OtpOutcome::Failed(error));
    }
    match answer.code.as_deref() {
        // The first: nobody is there. The others come only for people who are there, so they must look the same; the mail that
        // was sent a moment ago is as good.
        Some(code @ ("otp_disabled" | "signup_disabled" | "over_email_send_rate_limit" | "user_banned")) => {
            Ok(OtpOutcome::Withheld(code.to_owned()))
        }
        Some("validation_failed") => Err(LoginError::NoEmail),
        _ => Err(captcha.explain(login_error(&answer, CALL, SupabaseError::of_any))),
    }
}

/// Ends the session of `bearer` and no other of that person.
pub(crate) async fn sign_out(supabase: &Supabase, bearer: &Bearer) -> Result<(), UpstreamError> {
    const CALL: &str = "Supabase.Logout";
    let request =
        SupabaseRequest { bearer: Some(bearer), ..SupabaseRequest::post(CALL, "/logout?scope=local", json!({})) };
    let answer = supabase.send(request).await?;
    // 401, 403, 404: there is no such session, which is what was wanted.
    if answer.status.is_success() || matches!(answer.status.as_u16(), 401 | 403 | 404) {
        return Ok(());
    }
    Err(answer.upstream_error(CALL))
}

async fn tokens(
    supabase: &Supabase,
    request: SupabaseRequest<'_>,
    meaning: fn(&str) -> Option<SupabaseError>,
) -> Result<Tokens, LoginError> {
    let call = request.call;
    let answer = supabase.send(request).await?;
    if answer.status.is_success() { Ok(answer.json(call)?) } else { Err(login_error(&answer, call, meaning)) }
}

fn login_error(
    answer: &SupabaseResponse,
    call: &'static str,
    meaning: fn(&str) -> Option<SupabaseError>,
) -> LoginError {
    if answer.code.as_deref() == Some("captcha_failed") {
        return CaptchaError::LoginErrorPage.into();
    }
    match (answer.code.as_deref().and_then(meaning), HookMessage::of(answer)) {
        (Some(error), _) => LoginError::Supabase(error),
        (None, Some(message)) => LoginError::Hook(message),
        (None, None) => LoginError::Upstream(answer.upstream_error(call)),
    }
}
