//! The errors of signing in, and the sentences that a person reads.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::http::parameters::ParameterError;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

use crate::captcha::CaptchaError;
use crate::hook::HookMessage;
use crate::link::Link;
use crate::next::Next;
use crate::supabase_error::SupabaseError;

/// Why not.
#[derive(Debug, Error)]
pub(crate) enum LoginError {
    /// The request cannot be read.
    #[error(transparent)]
    Malformed(#[from] ParameterError),
    /// The form did not come from a page of ours.
    #[error("the form came from another site")]
    AnotherSite,
    /// The form does not carry what this browser was given.
    #[error("the form does not belong to this browser any more")]
    OutOfDate,
    /// The form came without any cookie.
    #[error("the form came without a cookie")]
    NoCookies,
    /// The form for signing out is not of this session.
    #[error("the form for signing out is of another session")]
    NotSignedOut,
    /// Not an e-mail address.
    #[error("no usable e-mail address")]
    NoEmail,
    /// A way back from a sign-in that this browser did not begin.
    #[error("no such flow in this browser")]
    NoFlow,
    /// The captcha.
    #[error(transparent)]
    Captcha(#[from] CaptchaError),
    /// Supabase Auth said no.
    #[error("Supabase Auth refused the request: {0:?}")]
    Supabase(SupabaseError),
    /// The project's own hook said no.
    #[error("refused by the project's access token hook")]
    Hook(HookMessage),
    /// The call to Supabase Auth failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// An error, and what the page that shows it needs for going on.
#[derive(Debug)]
pub(crate) struct LoginErrorPage {
    pub(crate) error: LoginError,
    pub(crate) retry_page: Box<RetryPage>,
}

/// What the page after a failed form shows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) sentence: String,
    pub(crate) field: Option<Field>,
    /// What had been filled in.
    pub(crate) email: Option<String>,
    /// What the project's hook said, if it was the one that refused.
    pub(crate) hook: Option<HookMessage>,
}

/// A field of the sign-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Field {
    Email,
    Password,
}

/// The page on which the person tries again, and what must not be lost on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetryPage {
    pub(crate) next: Option<Next>,
    pub(crate) email: Option<String>,
    pub(crate) step: Step,
}

/// Which page they are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Step {
    /// Where the ways of signing in are, or the second factor is shown.
    #[default]
    SignIn,
    /// Where the code of a mail is typed in, by the id of its flow.
    Code(String),
    /// Where the link of a mail is confirmed.
    Link(Link),
}

impl Problem {
    pub(crate) fn of(error: &LoginError, retry_page: &RetryPage) -> Self {
        let hook = if let LoginError::Hook(message) = error { Some(message.clone()) } else { None };
        Self { sentence: error.sentence().to_owned(), field: error.field(), email: retry_page.email.clone(), hook }
    }
}

impl RetryPage {
    pub(crate) fn with_error(&self, error: impl Into<LoginError>) -> LoginErrorPage {
        LoginErrorPage { error: error.into(), retry_page: Box::new(self.clone()) }
    }
}

impl From<LoginError> for LoginErrorPage {
    fn from(error: LoginError) -> Self {
        Self { error, retry_page: Box::default() }
    }
}

impl From<SupabaseError> for LoginError {
    fn from(error: SupabaseError) -> Self {
        Self::Supabase(error)
    }
}

impl LoginError {
    /// Whether the same request may succeed in a moment.
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(self, Self::Supabase(SupabaseError::RateLimited) | Self::Upstream(_))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::AnotherSite | Self::Hook(_) => StatusCode::FORBIDDEN,
            Self::Malformed(ParameterError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Supabase(SupabaseError::RateLimited) => StatusCode::TOO_MANY_REQUESTS,
            Self::Upstream(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Malformed(_)
            | Self::OutOfDate
            | Self::NoCookies
            | Self::NotSignedOut
            | Self::NoEmail
            | Self::NoFlow
            | Self::Captcha(_)
            | Self::Supabase(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Which field of the form has to be filled in anew.
    pub(crate) const fn field(&self) -> Option<Field> {
        match self {
            Self::NoEmail => Some(Field::Email),
            Self::Supabase(SupabaseError::Credentials) => Some(Field::Password),
            _ => None,
        }
    }

    /// For the person. Never anything that came from outside.
    pub(crate) const fn sentence(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "That request could not be read. Please sign in here.",
            Self::AnotherSite => "That form was sent from another site, so it was not used. Please sign in here.",
            Self::OutOfDate => "That form was out of date, so it was not used. Please fill in this one.",
            Self::NoCookies => {
                "This browser keeps no cookies for this site, and nobody can sign in without. Allow them and try again."
            }
            Self::NotSignedOut => "You are still signed in: that form was out of date. Sign out here.",
            Self::NoEmail => "Enter your e-mail address, for example name@example.com.",
            Self::NoFlow => {
                "This sign-in was not begun in this browser, or too long ago. Start again here; if you have a mail, \
                 ask for a code and type it in."
            }
            Self::Captcha(error) => error.sentence(),
            Self::Supabase(error) => error.sentence(),
            Self::Hook(_) => "This account may not sign in here.",
            Self::Upstream(_) => {
                "Sign-in is not answering at the moment. Your details were not the problem. Please try again."
            }
        }
    }
}
