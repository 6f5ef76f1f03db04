//! Every way the project says no, and the three forms it says it in (GoTrue `internal/api/errors.go`, the gateway's key check).

use crate::supabase::session_headers::add_session_headers;
use aws_lc_rs::error::Unspecified;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub(super) enum SupabaseError {
    NoApiKey,
    UnknownApiKey,
    SecretKeyInBrowser,
    /// Why, in the words of Go.
    BadJson(String),
    Invalid(&'static str),
    UnknownProvider(String),
    ProviderDisabled,
    UnsupportedGrantType,
    InvalidCredentials,
    EmailNotConfirmed,
    BannedAtSignIn,
    BannedAtRefresh,
    Banned,
    PhoneDisabled,
    EmailDisabled,
    MagicLinkDisabled,
    Captcha(&'static str),
    MailsUsedUp,
    MailFailed,
    AddressNotAuthorized(String),
    /// By the custom access token hook, with its message.
    ByHook(String),
    /// Another one, about a session that is known.
    InSession {
        error: Box<SupabaseError>,
        session: Uuid,
        person: Uuid,
    },
    OAuthServerDisabled,
    LogoutScope(String),
    OtpDisabled,
    SignupDisabled,
    TooSoon(i64),
    RateLimited,
    CodeExpired,
    LinkExpired,
    NoFlowForLink,
    FlowNotFound,
    FlowExpired,
    FlowUsed,
    WrongVerifier,
    RefreshTokenNotFound,
    RefreshTokenUsed,
    NoBearer,
    BadJwt(String),
    UserOfTokenNotFound,
    SessionNotFound,
    NotAdmin,
    UserNotFound,
    UserIdNotUuid,
    EmailExists,
    /// What is no duration.
    BanDuration(String),
    Pagination,
    /// Of a link that is not made here.
    LinkType(String),
    /// The name that another factor has.
    FactorNameTaken(String),
    InsufficientAal,
    FactorNotFound,
    FactorIdNotUuid,
    ChallengeNotFound,
    AddressMismatch,
    ChallengeExpired,
    WrongTotp,
    NoState,
    StateNotUuid,
    UnknownState,
    NoProviderCode,
    /// The code's first characters.
    UnknownProviderCode(String),
    NoAddress,
    FromProvider {
        error: String,
        description: String,
    },
    NotLoopback,
    UnknownPerson,
    UnexpectedFailure,
}

enum ErrorResponse<'a> {
    Auth(StatusCode, &'static str, String),
    /// The same without `X-Sb-Error-Code`: what GoTrue does not know as an error of its own.
    Uncoded(StatusCode, &'static str, String),
    OAuth(&'a str, &'a str),
    Gateway(StatusCode, &'static str, Option<&'static str>),
}

impl SupabaseError {
    #[expect(clippy::too_many_lines, reason = "a table with a row for each error")]
    fn response(&self) -> ErrorResponse<'_> {
        const INVALID: &str = "validation_failed";
        let bad = |code, message: &str| ErrorResponse::Auth(StatusCode::BAD_REQUEST, code, message.to_owned());
        let unprocessable =
            |code, message: &str| ErrorResponse::Auth(StatusCode::UNPROCESSABLE_ENTITY, code, message.to_owned());
        let forbidden = |code, message: &str| ErrorResponse::Auth(StatusCode::FORBIDDEN, code, message.to_owned());
        let not_found = |code, message: &str| ErrorResponse::Auth(StatusCode::NOT_FOUND, code, message.to_owned());
        let too_many = |code, message: String| ErrorResponse::Auth(StatusCode::TOO_MANY_REQUESTS, code, message);
        match self {
            Self::NoApiKey => ErrorResponse::Gateway(StatusCode::UNAUTHORIZED, "No API key found in request", None),
            Self::UnknownApiKey => ErrorResponse::Gateway(
                StatusCode::UNAUTHORIZED,
                "Invalid API key",
                Some("Double check your Supabase `anon` or `service_role` API key."),
            ),
            Self::SecretKeyInBrowser => ErrorResponse::Gateway(
                StatusCode::UNAUTHORIZED,
                "Forbidden use of secret API key in browser",
                Some(
                    "Secret API keys can only be used in a protected environment and should never be used in a browser.",
                ),
            ),
            Self::BadJson(why) => bad("bad_json", &format!("Could not parse request body as JSON: {why}")),
            Self::Invalid(message) => bad(INVALID, message),
            Self::UnknownProvider(name) => {
                bad(INVALID, &format!("Unsupported provider: Provider {name} could not be found"))
            }
            Self::ProviderDisabled => bad(INVALID, "Unsupported provider: provider is not enabled"),
            Self::UnsupportedGrantType => bad("invalid_credentials", "unsupported_grant_type"),
            Self::InvalidCredentials => bad("invalid_credentials", "Invalid login credentials"),
            Self::EmailNotConfirmed => bad("email_not_confirmed", "Email not confirmed"),
            Self::BannedAtSignIn => bad("user_banned", "User is banned"),
            Self::BannedAtRefresh => bad("user_banned", "Invalid Refresh Token: User Banned"),
            Self::Banned => forbidden("user_banned", "User is banned"),
            Self::PhoneDisabled => bad("phone_provider_disabled", "Unsupported phone provider"),
            Self::EmailDisabled => unprocessable("email_provider_disabled", "Email logins are disabled"),
            Self::MagicLinkDisabled => unprocessable("email_provider_disabled", "Login with magic link is disabled"),
            Self::Captcha(why) => bad("captcha_failed", &format!("captcha protection: request disallowed ({why})")),
            Self::MailsUsedUp => too_many("over_email_send_rate_limit", "email rate limit exceeded".to_owned()),
            Self::MailFailed => ErrorResponse::Auth(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected_failure",
                "Error sending magic link email".to_owned(),
            ),
            Self::AddressNotAuthorized(address) => bad(
                "email_address_not_authorized",
                &format!("Email address \"{address}\" cannot be used as it is not authorized"),
            ),
            Self::ByHook(message) => ErrorResponse::Uncoded(StatusCode::FORBIDDEN, "unknown", message.clone()),
            Self::InSession { error, .. } => error.response(),
            Self::OAuthServerDisabled => not_found("feature_disabled", "OAuth server is disabled"),
            Self::LogoutScope(scope) => bad(INVALID, &format!("Unsupported logout scope \"{scope}\"")),
            Self::OtpDisabled => unprocessable("otp_disabled", "Signups not allowed for otp"),
            Self::SignupDisabled => unprocessable("signup_disabled", "Signups not allowed for this instance"),
            Self::TooSoon(seconds) => too_many(
                "over_email_send_rate_limit",
                format!("For security purposes, you can only request this after {seconds} seconds."),
            ),
            Self::RateLimited => too_many("over_request_rate_limit", "Request rate limit reached".to_owned()),
            Self::CodeExpired => forbidden("otp_expired", "Token has expired or is invalid"),
            Self::LinkExpired => forbidden("otp_expired", "Email link is invalid or has expired"),
            Self::NoFlowForLink => {
                bad("flow_state_not_found", "No associated flow state found. No valid flow state found for user.")
            }
            Self::FlowNotFound => not_found("flow_state_not_found", "invalid flow state, no valid flow state found"),
            Self::FlowExpired => unprocessable("flow_state_expired", "invalid flow state, flow state has expired"),
            Self::FlowUsed => bad("flow_state_already_used", "Flow state has already been used"),
            Self::WrongVerifier => {
                bad("bad_code_verifier", "code challenge does not match previously saved code verifier")
            }
            Self::RefreshTokenNotFound => {
                bad("refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
            }
            Self::RefreshTokenUsed => bad("refresh_token_already_used", "Invalid Refresh Token: Already Used"),
            Self::NoBearer => ErrorResponse::Auth(
                StatusCode::UNAUTHORIZED,
                "no_authorization",
                "This endpoint requires a valid Bearer token".to_owned(),
            ),
            Self::BadJwt(why) => forbidden("bad_jwt", why),
            Self::UserOfTokenNotFound => forbidden("user_not_found", "User from sub claim in JWT does not exist"),
            Self::SessionNotFound => {
                forbidden("session_not_found", "Session from session_id claim in JWT does not exist")
            }
            Self::NotAdmin => forbidden("not_admin", "User not allowed"),
            Self::UserNotFound => not_found("user_not_found", "User not found"),
            Self::UserIdNotUuid => not_found(INVALID, "user_id must be an UUID"),
            Self::EmailExists => {
                unprocessable("email_exists", "A user with this email address has already been registered")
            }
            Self::BanDuration(text) => {
                bad(INVALID, &format!("invalid format for ban duration: time: invalid duration \"{text}\""))
            }
            Self::Pagination => bad(INVALID, "Bad Pagination Parameters: it is no positive number"),
            Self::LinkType(kind) => bad(INVALID, &format!("Invalid email action link type requested: {kind}")),
            Self::FactorNameTaken(name) => unprocessable(
                "mfa_factor_name_conflict",
                &format!("A factor with the friendly name \"{name}\" for this user already exists"),
            ),
            Self::InsufficientAal => forbidden("insufficient_aal", "AAL2 required to enroll a new factor"),
            Self::FactorNotFound => not_found("mfa_factor_not_found", "Factor not found"),
            Self::FactorIdNotUuid => not_found(INVALID, "factor_id must be an UUID"),
            Self::ChallengeNotFound => {
                unprocessable("mfa_factor_not_found", "MFA factor with the provided challenge ID not found")
            }
            Self::AddressMismatch => {
                unprocessable("mfa_ip_address_mismatch", "Challenge and verify IP addresses mismatch.")
            }
            Self::ChallengeExpired => unprocessable(
                "mfa_challenge_expired",
                "MFA challenge has expired, verify against another challenge or create a new challenge.",
            ),
            Self::WrongTotp => unprocessable("mfa_verification_failed", "Invalid TOTP code entered"),
            Self::NoState => bad("bad_oauth_callback", "OAuth state parameter missing"),
            Self::StateNotUuid => bad("bad_oauth_state", "OAuth state parameter is invalid"),
            Self::UnknownState => bad("bad_oauth_state", "OAuth state not found or expired"),
            Self::NoProviderCode => bad("bad_oauth_callback", "OAuth callback with missing authorization code missing"),
            Self::UnknownProviderCode(begins) => ErrorResponse::Auth(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected_failure",
                format!("Unable to exchange external code: {begins}"),
            ),
            // By its source (`internal/api/external.go`); no recording has it.
            Self::NoAddress => ErrorResponse::Auth(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected_failure",
                "Error getting user email from external provider".to_owned(),
            ),
            Self::FromProvider { error, description } => ErrorResponse::OAuth(error, description),
            Self::NotLoopback => ErrorResponse::Gateway(StatusCode::FORBIDDEN, "Only for this machine", None),
            Self::UnknownPerson => {
                ErrorResponse::Gateway(StatusCode::BAD_REQUEST, "Nobody of this name signs in here", None)
            }
            Self::UnexpectedFailure => ErrorResponse::Uncoded(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected_failure",
                "Unexpected failure, please check server logs for more information".to_owned(),
            ),
        }
    }

    /// `error`, `error_code`, `error_description` for a redirect. An error in OAuth's own words has no code.
    pub(super) fn redirect_parameters(&self) -> Vec<(&'static str, String)> {
        match self.response() {
            ErrorResponse::OAuth(error, description) => {
                vec![("error", error.to_owned()), ("error_description", description.to_owned())]
            }
            ErrorResponse::Auth(status, code, message) | ErrorResponse::Uncoded(status, code, message) => {
                let error = match (code, status) {
                    ("signup_disabled" | "user_banned" | "provider_email_needs_verification", _)
                    | (_, StatusCode::FORBIDDEN) => "access_denied",
                    (_, StatusCode::BAD_REQUEST) => "invalid_request",
                    (_, StatusCode::UNAUTHORIZED) => "unauthorized_client",
                    _ => "server_error",
                };
                vec![("error", error.to_owned()), ("error_code", code.to_owned()), ("error_description", message)]
            }
            ErrorResponse::Gateway(_, message, _) => {
                vec![("error", "server_error".to_owned()), ("error_description", message.to_owned())]
            }
        }
    }

    /// The body that a caller gets who asks for no version.
    pub(super) fn legacy_body(&self) -> String {
        match self.response() {
            ErrorResponse::Auth(status, code, message) | ErrorResponse::Uncoded(status, code, message) => {
                versioned_body(None, status, code, &message).to_string()
            }
            ErrorResponse::OAuth(..) | ErrorResponse::Gateway(..) => String::new(),
        }
    }

    fn versioned_response(&self, version: Option<&'static str>) -> Response {
        let mut response = match self.response() {
            ErrorResponse::Gateway(status, message, None) => {
                (status, axum::Json(json!({ "message": message }))).into_response()
            }
            ErrorResponse::Gateway(status, message, Some(hint)) => {
                (status, axum::Json(json!({ "message": message, "hint": hint }))).into_response()
            }
            ErrorResponse::OAuth(error, description) => {
                let body = json!({ "error": error, "error_description": description });
                (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
            }
            ErrorResponse::Uncoded(status, code, message) => {
                (status, axum::Json(versioned_body(version, status, code, &message))).into_response()
            }
            ErrorResponse::Auth(status, code, message) => {
                let body = versioned_body(version, status, code, &message);
                let code = HeaderValue::from_static(code);
                (status, [(HeaderName::from_static("x-sb-error-code"), code)], axum::Json(body)).into_response()
            }
        };
        if let Self::InSession { session, person, .. } = self {
            add_session_headers(&mut response, *session, *person);
        }
        if let (Some(version), false) = (version, matches!(self.response(), ErrorResponse::Gateway(..))) {
            response.headers_mut().insert(VERSION, HeaderValue::from_static(version));
        }
        response
    }
}

fn versioned_body(version: Option<&'static str>, status: StatusCode, code: &'static str, message: &str) -> Value {
    match version {
        Some(_) => json!({ "code": code, "message": message }),
        None => json!({ "code": status.as_u16(), "error_code": code, "msg": message }),
    }
}

impl IntoResponse for SupabaseError {
    /// A promise that [`render_errors`] keeps: the form depends on the request.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Unspecified> for SupabaseError {
    fn from(_: Unspecified) -> Self {
        Self::UnexpectedFailure
    }
}

/// Writes errors in the form that the request asks for by `X-Supabase-Api-Version`.
pub(super) async fn render_errors(request: Request, next: Next) -> Response {
    let version = request.headers().get(VERSION).and_then(|value| value.to_str().ok()).and_then(closest_version);
    let response = next.run(request).await;
    match response.extensions().get::<SupabaseError>() {
        None => response,
        Some(error) => {
            tracing::info!(?error, "fake Supabase refused");
            error.versioned_response(version)
        }
    }
}

/// The newest version known that is not newer than asked for; `None` is the initial one (`apiversions.go`).
fn closest_version(requested: &str) -> Option<&'static str> {
    let dated = requested.len() == 10
        && requested
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    (dated && requested >= VERSION_2024).then_some(VERSION_2024)
}

const VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
const VERSION_2024: &str = "2024-01-01";
