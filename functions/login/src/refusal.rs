//! Everything that keeps a person from being signed in, and what they are told.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::fault::Fault;
use shared::http::parameters::Malformed;
use thiserror::Error;

use crate::captcha::CaptchaError;
use crate::declined::Declined;
use crate::hook::HookMessage;
use crate::link::Link;
use crate::next::Next;

/// Why not.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// The request cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
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
    #[error("declined: {0:?}")]
    Declined(Declined),
    /// The project's own hook said no.
    #[error("refused by the project's access token hook")]
    Hook(HookMessage),
    /// Supabase Auth did not do what was asked.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A refusal, and what the page it is shown on needs for going on.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) why: Refusal,
    pub(crate) back: Box<Back>,
}

/// What the page after a refused form tells.
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

/// Where the person was: what must not be lost when a page is shown again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Back {
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
    pub(crate) fn of(why: &Refusal, back: &Back) -> Self {
        let hook = if let Refusal::Hook(message) = why { Some(message.clone()) } else { None };
        Self { sentence: why.sentence().to_owned(), field: why.field(), email: back.email.clone(), hook }
    }
}

impl Back {
    pub(crate) fn refused(&self, why: impl Into<Refusal>) -> Refused {
        Refused { why: why.into(), back: Box::new(self.clone()) }
    }
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        Self { why, back: Box::default() }
    }
}

impl From<Declined> for Refusal {
    fn from(declined: Declined) -> Self {
        Self::Declined(declined)
    }
}

impl Refusal {
    /// Whether the same request may succeed in a moment.
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(self, Self::Declined(Declined::TooMany) | Self::Fault(_))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::AnotherSite | Self::Hook(_) => StatusCode::FORBIDDEN,
            Self::Malformed(Malformed::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Declined(Declined::TooMany) => StatusCode::TOO_MANY_REQUESTS,
            Self::Fault(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Malformed(_)
            | Self::OutOfDate
            | Self::NoCookies
            | Self::NotSignedOut
            | Self::NoEmail
            | Self::NoFlow
            | Self::Captcha(_)
            | Self::Declined(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Which field of the form has to be filled in anew.
    pub(crate) const fn field(&self) -> Option<Field> {
        match self {
            Self::NoEmail => Some(Field::Email),
            Self::Declined(Declined::Credentials) => Some(Field::Password),
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
            Self::Captcha(unproven) => unproven.sentence(),
            Self::Declined(declined) => declined.sentence(),
            Self::Hook(_) => "This account may not sign in here.",
            Self::Fault(_) => {
                "Sign-in is not answering at the moment. Your details were not the problem. Please try again."
            }
        }
    }
}
