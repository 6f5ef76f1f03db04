//! Everything that keeps a person from being signed in, and what they are told.

use http::StatusCode;
use shared::fault::Fault;
use shared::http::parameters::Malformed;
use thiserror::Error;

use crate::declined::Declined;
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
    /// The form does not carry what this browser was given: it is old, or cookies are blocked.
    #[error("the form does not belong to this browser")]
    NotConfirmed,
    /// Not an e-mail address.
    #[error("no usable e-mail address")]
    NoEmail,
    /// A way back from a sign-in that this browser did not begin.
    #[error("no such flow in this browser")]
    NoFlow,
    /// Supabase Auth said no.
    #[error("declined: {0:?}")]
    Declined(Declined),
    /// Supabase Auth did not do what was asked.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A refusal, and what the page it is shown on needs for going on.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) why: Refusal,
    pub(crate) back: Back,
}

/// Where the person was: what must not be lost when a page is shown again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Back {
    pub(crate) next: Option<Next>,
    pub(crate) email: Option<String>,
    pub(crate) step: Step,
}

/// Which page they are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Step {
    /// Where the ways of signing in are.
    #[default]
    SignIn,
    /// Where the code of a mail is typed in.
    Code,
    /// Where a second factor is shown.
    Factor,
}

impl Back {
    pub(crate) fn refused(&self, why: impl Into<Refusal>) -> Refused {
        Refused { why: why.into(), back: self.clone() }
    }
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        Self { why, back: Back::default() }
    }
}

impl From<Declined> for Refusal {
    fn from(declined: Declined) -> Self {
        Self::Declined(declined)
    }
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::AnotherSite => StatusCode::FORBIDDEN,
            Self::Malformed(Malformed::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Declined(Declined::TooMany) => StatusCode::TOO_MANY_REQUESTS,
            Self::Fault(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Malformed(_) | Self::NotConfirmed | Self::NoEmail | Self::NoFlow | Self::Declined(_) => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// For the person. Never anything that came from outside.
    pub(crate) const fn sentence(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "That request could not be read. Please sign in here.",
            Self::AnotherSite => "That form was sent from another site, so it was not used. Please sign in here.",
            Self::NotConfirmed => {
                "That form is out of date, or this browser does not keep cookies for this site. Allow cookies and try again."
            }
            Self::NoEmail => "Enter your e-mail address, for example name@example.com.",
            Self::NoFlow => {
                "This sign-in was not begun in this browser, or too long ago. Start again here; if you have a mail, \
                 ask for a code and type it in."
            }
            Self::Declined(declined) => declined.sentence(),
            Self::Fault(_) => {
                "Sign-in is not answering at the moment. Your details were not the problem. Please try again."
            }
        }
    }
}
