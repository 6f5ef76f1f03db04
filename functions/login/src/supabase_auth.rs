//! The calls to Supabase Auth that start, refresh and end a session.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::identity::address_forwarding::ForwardsAddress;
use shared::identity::mfa::FactorId;
use shared::identity::supabase::{Bearer, Supabase, SupabaseRequest, SupabaseResponse};
use shared::upstream_error::{UpstreamError, UpstreamErrorKind};

use crate::captcha_error::CaptchaError;
use crate::captcha_token::CaptchaToken;
use crate::error::LoginError;
use crate::hook::HookMessage;
use crate::mail_error::MailError;
use crate::supabase_error::SupabaseError;

/// A token response without the person, as that part is not signed. Has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    pub(crate) expires_in: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) refresh_token: String,
}

/// The outcome of a request for a code. It goes only to our log.
#[derive(Debug)]
pub(crate) enum OtpOutcome {
    Mailed,
    /// Supabase sent no mail: nobody has this address, a mail was sent within the last minute, or the account is banned.
    Withheld(String),
    /// Somebody has this address, and the project could not send the mail.
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
    let request = guarded("Supabase.Password", "/token?grant_type=password", body, captcha);
    tokens(supabase, request, SupabaseError::of_password).await.map_err(|error| captcha.explain(error))
}

pub(crate) async fn verify_otp(supabase: &Supabase, email: &str, code: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "type": "email", "email": email, "token": code });
    tokens(supabase, limited("Supabase.Verify", "/verify", body), SupabaseError::of_code).await
}

/// Signs in with the hash in the link of a mail, instead of the code.
pub(crate) async fn verify_token_hash(supabase: &Supabase, token_hash: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "type": "email", "token_hash": token_hash });
    tokens(supabase, limited("Supabase.Verify", "/verify", body), SupabaseError::of_link).await
}

/// Exchanges the code of a flow. A wrong verifier does not use up the code, so another verifier may be tried.
pub(crate) async fn exchange_code(supabase: &Supabase, code: &str, verifier: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "auth_code": code, "code_verifier": verifier });
    tokens(supabase, limited("Supabase.Exchange", "/token?grant_type=pkce", body), SupabaseError::of_exchange).await
}

pub(crate) async fn refresh_session(supabase: &Supabase, token: &str) -> Result<Tokens, LoginError> {
    let body = json!({ "refresh_token": token });
    tokens(supabase, limited("Supabase.Refresh", "/token?grant_type=refresh_token", body), SupabaseError::of_refresh)
        .await
}

/// Verifies a second factor and returns a session with both factors. Supabase requires the challenge and the code from one IP
/// address. We may call from several, so after that error both are repeated once.
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

/// Makes a challenge and verifies it at once, so that the page for the code need not keep the challenge.
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
    let response = supabase.send(SupabaseRequest { bearer: Some(bearer), ..limited(CALL, &path, json!({})) }).await?;
    if !response.status.is_success() {
        return Err(login_error(&response, CALL, SupabaseError::of_factor));
    }
    let challenge: Challenge = response.json(CALL)?;
    let path = format!("/factors/{}/verify", factor.as_str());
    let body = json!({ "challenge_id": challenge.id.as_str(), "code": code });
    let request = SupabaseRequest { bearer: Some(bearer), ..limited("Supabase.Factor", &path, body) };
    tokens(supabase, request, SupabaseError::of_factor).await
}

/// Sends a mail with a code and a link to `callback` to a person who has an account. Nobody is signed up by this.
pub(crate) async fn send_otp(
    supabase: &Supabase,
    email: &str,
    callback: &str,
    challenge: &str,
    captcha: &CaptchaToken,
) -> Result<OtpOutcome, LoginError> {
    const CALL: &str = "Supabase.Otp";
    let path = format!("/otp?redirect_to={}", utf8_percent_encode(callback, NON_ALPHANUMERIC));
    let body = json!({
        "email": email, "create_user": false, "data": {},
        "code_challenge": challenge, "code_challenge_method": "s256", "gotrue_meta_security": captcha,
    });
    let request = guarded(CALL, &path, body, captcha);
    let response = match supabase.send(request).await {
        Ok(response) => response,
        // A timeout is a slow mail server, which Supabase calls only for a known address.
        Err(error) if error.kind == UpstreamErrorKind::TimedOut => return Ok(OtpOutcome::Failed(MailError::NoAnswer)),
        Err(error) => return Err(error.into()),
    };
    if response.status.is_success() {
        return Ok(OtpOutcome::Mailed);
    }
    if let Some(error) = MailError::of(&response) {
        return Ok(OtpOutcome::Failed(error));
    }
    match response.code.as_deref() {
        // The first code means that nobody has the address. The others occur only for a known address, so the
        // response must be the same. After a rate limit, the mail of a moment ago still works.
        Some(code @ ("otp_disabled" | "signup_disabled" | "over_email_send_rate_limit" | "user_banned")) => {
            Ok(OtpOutcome::Withheld(code.to_owned()))
        }
        Some("validation_failed") => Err(LoginError::NoEmail),
        _ => Err(captcha.explain(login_error(&response, CALL, SupabaseError::of_any))),
    }
}

/// Ends the session of `bearer` and no other of that person.
pub(crate) async fn sign_out(supabase: &Supabase, bearer: &Bearer) -> Result<(), UpstreamError> {
    const CALL: &str = "Supabase.Logout";
    let request =
        SupabaseRequest { bearer: Some(bearer), ..SupabaseRequest::post(CALL, "/logout?scope=local", json!({})) };
    let response = supabase.send(request).await?;
    // 401, 403, 404: the session does not exist any more.
    if response.status.is_success() || matches!(response.status.as_u16(), 401 | 403 | 404) {
        return Ok(());
    }
    Err(response.upstream_error(CALL))
}

/// A call that Supabase limits by address.
fn limited<'a>(call: &'static str, path: &'a str, body: Value) -> SupabaseRequest<'a> {
    SupabaseRequest { forwards_address: ForwardsAddress::Always, ..SupabaseRequest::post(call, path, body) }
}

/// The same of one for which the project may demand a captcha. Whether it does is not known where our form has no widget.
fn guarded<'a>(call: &'static str, path: &'a str, body: Value, captcha: &CaptchaToken) -> SupabaseRequest<'a> {
    let forwards_address = if captcha.is_none() { ForwardsAddress::UnlessCaptcha } else { ForwardsAddress::Never };
    SupabaseRequest { forwards_address, ..SupabaseRequest::post(call, path, body) }
}

async fn tokens(
    supabase: &Supabase,
    request: SupabaseRequest<'_>,
    to_error: fn(&str) -> Option<SupabaseError>,
) -> Result<Tokens, LoginError> {
    let call = request.call;
    let response = supabase.send(request).await?;
    if response.status.is_success() { Ok(response.json(call)?) } else { Err(login_error(&response, call, to_error)) }
}

fn login_error(
    response: &SupabaseResponse,
    call: &'static str,
    to_error: fn(&str) -> Option<SupabaseError>,
) -> LoginError {
    if response.code.as_deref() == Some("captcha_failed") {
        return CaptchaError::Rejected.into();
    }
    match (response.code.as_deref().and_then(to_error), HookMessage::of(response)) {
        (Some(error), _) => LoginError::Supabase(error),
        (None, Some(message)) => LoginError::Hook(message),
        (None, None) => LoginError::Upstream(response.upstream_error(call)),
    }
}
