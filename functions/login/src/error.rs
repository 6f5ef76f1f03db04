//! The errors of signing in, and the sentences that a person reads.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::http::parameters::ParameterError;
use shared::upstream_error::{UpstreamError, UpstreamErrorKind};
use thiserror::Error;

use crate::captcha_error::CaptchaError;
use crate::hook::HookMessage;
use crate::supabase_error::SupabaseError;

/// Why nobody is signed in or out. The text goes to the log.
#[derive(Debug, Error)]
pub(crate) enum LoginError {
    /// The request cannot be parsed.
    #[error(transparent)]
    Malformed(#[from] ParameterError),
    /// The form came from another origin.
    #[error("the form came from another site")]
    AnotherSite,
    /// The CSRF token of the form is not that of this browser.
    #[error("the form does not belong to this browser any more")]
    OutOfDate,
    /// The form came without any cookie.
    #[error("the form came without a cookie")]
    NoCookies,
    /// The form for signing out belongs to another session.
    #[error("the form for signing out is of another session")]
    NotSignedOut,
    /// The person signed in too long ago for what they are about to do.
    #[error("signed in longer ago than this deployment allows for what outlives a session")]
    TooOld,
    /// The e-mail address is missing or malformed.
    #[error("no usable e-mail address")]
    NoEmail,
    /// This browser did not begin the flow, or its flow has expired.
    #[error("no such flow in this browser")]
    NoFlow,
    /// The captcha is not accepted.
    #[error(transparent)]
    Captcha(#[from] CaptchaError),
    /// Supabase Auth refused the request.
    #[error("Supabase Auth refused the request: {0:?}")]
    Supabase(SupabaseError),
    /// The project's own hook refused the person.
    #[error("refused by the project's access token hook")]
    Hook(HookMessage),
    /// The call to Supabase Auth failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// A field of the sign-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Field {
    Email,
    Password,
}

impl LoginError {
    /// The table of errors: status, the field of the form that has to be filled in again, and the sentence for the
    /// person. A sentence never contains text from outside.
    const fn row(&self) -> (StatusCode, Option<Field>, &'static str) {
        match self {
            Self::Malformed(ParameterError::TooLarge) => {
                (StatusCode::PAYLOAD_TOO_LARGE, None, "That request could not be read. Please sign in here.")
            }
            Self::Malformed(_) => {
                (StatusCode::BAD_REQUEST, None, "That request could not be read. Please sign in here.")
            }
            Self::AnotherSite => (
                StatusCode::FORBIDDEN,
                None,
                "That form was sent from another site, so it was not used. Please sign in here.",
            ),
            Self::OutOfDate => (
                StatusCode::BAD_REQUEST,
                None,
                "That form was out of date, so it was not used. Please fill in this one.",
            ),
            Self::NoCookies => (
                StatusCode::BAD_REQUEST,
                None,
                "This browser keeps no cookies for this site, and nobody can sign in without. Allow them and try again.",
            ),
            Self::NotSignedOut => {
                (StatusCode::BAD_REQUEST, None, "You are still signed in: that form was out of date. Sign out here.")
            }
            Self::TooOld => (
                StatusCode::OK,
                None,
                "You signed in some time ago. What you are about to give away lasts, so sign in again. You then go on where you were.",
            ),
            Self::NoEmail => (
                StatusCode::BAD_REQUEST,
                Some(Field::Email),
                "Enter your e-mail address, for example name@example.com.",
            ),
            Self::NoFlow => (
                StatusCode::BAD_REQUEST,
                None,
                "This sign-in was not begun in this browser, or too long ago. Start again here; if you have a mail, \
                 ask for a code and type it in.",
            ),
            Self::Captcha(error) => (StatusCode::BAD_REQUEST, None, error.sentence()),
            Self::Supabase(error @ SupabaseError::RateLimited) => {
                (StatusCode::TOO_MANY_REQUESTS, None, error.sentence())
            }
            Self::Supabase(error @ SupabaseError::Credentials) => {
                (StatusCode::BAD_REQUEST, Some(Field::Password), error.sentence())
            }
            Self::Supabase(error) => (StatusCode::BAD_REQUEST, None, error.sentence()),
            Self::Hook(_) => (StatusCode::FORBIDDEN, None, "This account may not sign in here."),
            Self::Upstream(UpstreamError { kind: UpstreamErrorKind::TooManyRequests, .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, None, SupabaseError::RateLimited.sentence())
            }
            Self::Upstream(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                None,
                "Sign-in is not answering at the moment. Your details were not the problem. Please try again.",
            ),
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.row().0
    }

    pub(crate) const fn field(&self) -> Option<Field> {
        self.row().1
    }

    pub(crate) const fn sentence(&self) -> &'static str {
        self.row().2
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(self, Self::Supabase(SupabaseError::RateLimited) | Self::Upstream(_))
    }
}

impl From<SupabaseError> for LoginError {
    fn from(error: SupabaseError) -> Self {
        Self::Supabase(error)
    }
}
