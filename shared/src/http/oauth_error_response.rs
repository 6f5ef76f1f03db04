//! The error response to a client: a status, a code and a fixed sentence. The reason stays in our log.

use std::fmt::Display;
use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use lambda_http::{Body, Request, Response};

use super::client_authentication::ClientCredentialsError;
use super::parameters::ParameterError;
use super::response;
use crate::oauth::error::ErrorCode;

/// An error response (RFC 6749 §5.2, and the specifications that extend it).
#[derive(Clone, Copy, Debug)]
pub struct OAuthErrorResponse {
    status: StatusCode,
    code: ErrorCode,
    sentence: &'static str,
    /// When the request may be repeated, if that is not in a moment.
    retry_after: Option<Duration>,
}

impl OAuthErrorResponse {
    /// The client is unknown or not authenticated. 401, so that Claude registers again.
    pub const INVALID_CLIENT: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        code: ErrorCode::InvalidClient,
        sentence: "The client is not known here, or did not prove itself.",
        retry_after: None,
    };

    /// A service of ours failed. Every step may be repeated, so the client may come back at once.
    pub const UNAVAILABLE: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: ErrorCode::TemporarilyUnavailable,
        sentence: "Try again in a moment.",
        retry_after: None,
    };

    /// 429: the same request came too often. It may be repeated.
    pub const TOO_MANY_RETRIES: Self = Self {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: ErrorCode::TemporarilyUnavailable,
        sentence: "This request was repeated too often. Try again in two seconds.",
        retry_after: None,
    };

    /// 429: too much was done within an hour. It may be repeated after `left`.
    #[must_use]
    pub const fn too_many(left: Duration) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: ErrorCode::TemporarilyUnavailable,
            sentence: "This was done too often within an hour. Try again when it is over.",
            retry_after: Some(left),
        }
    }

    /// 400 with a code and a sentence, which must not hold anything from the request.
    #[must_use]
    pub const fn new(code: ErrorCode, sentence: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, sentence, retry_after: None }
    }

    /// 413.
    #[must_use]
    pub const fn too_large(code: ErrorCode, sentence: &'static str) -> Self {
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code, sentence, retry_after: None }
    }

    /// 403.
    #[must_use]
    pub const fn forbidden(code: ErrorCode, sentence: &'static str) -> Self {
        Self { status: StatusCode::FORBIDDEN, code, sentence, retry_after: None }
    }

    /// The JSON answer to `request`, with `reason` for the log.
    #[must_use]
    pub fn into_response(self, request: &Request, reason: &impl Display) -> Response<Body> {
        let response = response::json(self.status, &self.code.body(self.sentence));
        let mut response = response::no_store(response::with_reason(response, reason));
        if self.code == ErrorCode::InvalidClient && request.headers().contains_key(AUTHORIZATION) {
            // RFC 6749 §5.2: name the scheme that was tried.
            response::set_header(&mut response, WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"oauth\""));
        }
        if let Some(left) = self.retry_after {
            response::set_header(&mut response, RETRY_AFTER, HeaderValue::from(left.as_secs()));
        }
        response
    }
}

impl From<ParameterError> for OAuthErrorResponse {
    fn from(malformed: ParameterError) -> Self {
        match malformed {
            ParameterError::TooLarge => Self::too_large(ErrorCode::InvalidRequest, "The request is too large."),
            ParameterError::NotAForm => {
                Self::new(ErrorCode::InvalidRequest, "The body must be application/x-www-form-urlencoded.")
            }
            ParameterError::NotUtf8 => Self::new(ErrorCode::InvalidRequest, "A parameter is not valid UTF-8."),
            ParameterError::NotHttp(_) => Self::new(ErrorCode::InvalidRequest, "The request is malformed."),
            ParameterError::Repeated => Self::new(ErrorCode::InvalidRequest, "A parameter is repeated."),
        }
    }
}

impl From<ClientCredentialsError> for OAuthErrorResponse {
    fn from(error: ClientCredentialsError) -> Self {
        match error {
            ClientCredentialsError::Missing => {
                Self::new(ErrorCode::InvalidRequest, "client_id is missing or malformed.")
            }
            ClientCredentialsError::Twice => {
                Self::new(ErrorCode::InvalidRequest, "Authenticate the client in one way only.")
            }
            ClientCredentialsError::MissingAssertionType => {
                Self::new(ErrorCode::InvalidRequest, "client_assertion_type is missing.")
            }
            ClientCredentialsError::Basic
            | ClientCredentialsError::UnknownAssertionType
            | ClientCredentialsError::Assertion(_) => Self::INVALID_CLIENT,
        }
    }
}
