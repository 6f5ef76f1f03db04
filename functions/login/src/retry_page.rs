//! The page on which a person tries again after an error.

use crate::error::LoginError;
use crate::next::Next;
use crate::opened_link::Link;

/// The page, and what it keeps of the request that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetryPage {
    pub(crate) next: Option<Next>,
    pub(crate) email: Option<String>,
    pub(crate) step: Step,
}

/// Which page it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Step {
    /// The sign-in page, or the page for the second factor.
    #[default]
    SignIn,
    /// The page for the code of a mail, by the id of its flow.
    Code(String),
    /// The page that confirms the link of a mail.
    Link(Link),
}

/// An error, and the page on which the person tries again.
#[derive(Debug)]
pub(crate) struct LoginErrorPage {
    pub(crate) error: LoginError,
    pub(crate) retry_page: Box<RetryPage>,
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
