//! What a client is told when it is refused: a status, a code and a fixed sentence. The reason stays in our log.

use std::fmt::Display;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::answer;
use super::credentials::Unnamed;
use super::parameters::Malformed;
use crate::lambda::{Request, Response};
use crate::oauth::error::ErrorCode;

/// An error answer of RFC 6749 §5.2 and its relatives.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    status: StatusCode,
    code: ErrorCode,
    sentence: &'static str,
}

impl Told {
    /// The client is not known, or not proven. 401, so that Claude registers again.
    pub const INVALID_CLIENT: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        code: ErrorCode::InvalidClient,
        sentence: "The client is not known here, or did not prove itself.",
    };

    /// A service of ours failed. Every step may be repeated, so the client may come back at once.
    pub const UNAVAILABLE: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: ErrorCode::TemporarilyUnavailable,
        sentence: "Try again in a moment.",
    };

    /// 400 with a code and a sentence, which must not hold anything from the request.
    #[must_use]
    pub const fn new(code: ErrorCode, sentence: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, sentence }
    }

    /// 413.
    #[must_use]
    pub const fn too_large(code: ErrorCode, sentence: &'static str) -> Self {
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code, sentence }
    }

    /// The JSON answer to `request`, with `reason` for the log.
    #[must_use]
    pub fn answer(self, request: &Request, reason: &impl Display) -> Response {
        let response = answer::json(self.status, &self.code.body(self.sentence));
        let mut response = answer::no_store(answer::because(response, reason));
        if self.code == ErrorCode::InvalidClient && request.headers().contains_key(AUTHORIZATION) {
            // RFC 6749 §5.2: name the scheme that was tried.
            answer::set(&mut response, WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"oauth\""));
        }
        response
    }
}

impl From<Malformed> for Told {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLarge => Self::too_large(ErrorCode::InvalidRequest, "The request is too large."),
            Malformed::NotAForm => {
                Self::new(ErrorCode::InvalidRequest, "The body must be application/x-www-form-urlencoded.")
            }
            Malformed::NotUtf8 => Self::new(ErrorCode::InvalidRequest, "A parameter is not valid UTF-8."),
            Malformed::NotHttp(_) => Self::new(ErrorCode::InvalidRequest, "The request is malformed."),
            Malformed::Repeated => Self::new(ErrorCode::InvalidRequest, "A parameter is repeated."),
        }
    }
}

impl From<Unnamed> for Told {
    fn from(unnamed: Unnamed) -> Self {
        match unnamed {
            Unnamed::Missing => Self::new(ErrorCode::InvalidRequest, "client_id is missing or malformed."),
            Unnamed::Twice => Self::new(ErrorCode::InvalidRequest, "Authenticate the client in one way only."),
            Unnamed::Basic => Self::INVALID_CLIENT,
        }
    }
}
