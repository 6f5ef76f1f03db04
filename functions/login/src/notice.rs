//! The notice for the page after a form that failed.

use serde::{Deserialize, Serialize};

use crate::error::{Field, LoginError};
use crate::hook::HookMessage;
use crate::retry_page::RetryPage;

/// What the page says of the error. It waits in a cookie for the page after the form.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) sentence: String,
    pub(crate) field: Option<Field>,
    /// The address that the person typed in.
    pub(crate) email: Option<String>,
    /// The message of the project's hook, if the hook refused.
    pub(crate) hook: Option<HookMessage>,
}

impl Notice {
    pub(crate) fn of(error: &LoginError, retry_page: &RetryPage) -> Self {
        let hook = if let LoginError::Hook(message) = error { Some(message.clone()) } else { None };
        Self { sentence: error.sentence().to_owned(), field: error.field(), email: retry_page.email.clone(), hook }
    }
}
