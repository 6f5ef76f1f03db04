//! The errors of the console, and the page or JSON that answers each.

use askama::Template;
use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use shared::http::layout::{FormAction, Layout};
use shared::http::parameters::ParameterError;
use shared::http::response;
use shared::http::sanitized_text::IsolatedText;
use shared::identity::{HOOK_MUST_KEEP_CLAIMS, NotSignedInError, SessionError};
use shared::lambda::Response;
use shared::store::api_keys::{ApiKeyError, CreateApiKeyError};
use shared::upstream_error::UpstreamError;
use thiserror::Error;

use crate::tenant_admin::InsufficientRole;

/// Why a page is not shown or a change is not made. The text goes to the log.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    #[error("{0}")]
    Malformed(#[from] ParameterError),
    #[error("the body or a parameter is not valid")]
    InvalidBody,
    #[error("the cursor is not valid")]
    InvalidCursor,
    #[error("no session and no API key")]
    Unauthenticated,
    #[error("the API key is not valid: {0:?}")]
    ApiKey(ApiKeyError),
    /// What is shown as a bearer is not a key, or mistyped.
    #[error("the bearer token is not a well-formed API key")]
    MalformedApiKey,
    #[error("the maker of the API key is no longer a member of the tenant")]
    MakerNotMember,
    #[error("the session has ended")]
    SessionEnded,
    #[error("the session after sign-in is not recognized: {why:?}")]
    UnrecognizedSession { why: NotSignedInError, again: String },
    /// Of another tenant, or of nobody: they look alike.
    #[error("not found, or of another tenant")]
    NotFound,
    #[error("the role or API key lacks connections:manage")]
    InsufficientRole(InsufficientRole),
    #[error("the CSRF token of the form is not valid")]
    InvalidCsrfToken,
    #[error("the form has expired")]
    FormExpired,
    #[error("the API key was not created: {0}")]
    Unmade(CreateApiKeyError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: &'a Layout,
    title: &'static str,
    what: &'a str,
    advice: &'static str,
    /// Where the button leads.
    again: Option<&'a str>,
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: &'static str,
}

/// An error whose page needs no more data than this, so that a cookie can carry it to the page after a form.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FormError {
    #[serde(rename = "not_there")]
    NotFound,
    #[serde(rename = "forged")]
    InvalidCsrfToken,
    #[serde(rename = "stale")]
    FormExpired,
    MadeAlready,
    Unavailable,
    #[serde(rename = "signed_out")]
    SessionEnded,
    Incomplete,
}

impl AdminError {
    /// The page that people get.
    pub(crate) fn page(&self, layout: &Layout) -> Response {
        let (title, what, advice) = match self {
            Self::InsufficientRole(InsufficientRole { tenant, role }) => (
                "Your role does not allow this",
                format!(
                    "Looking after the connections of {} takes more than the role {}.",
                    IsolatedText(tenant),
                    IsolatedText(role)
                ),
                "An owner or administrator of the workspace can do it, or give you another role.",
            ),
            Self::UnrecognizedSession { why: NotSignedInError::NoSession(SessionError::MissingAmr), .. } => (
                "Your session does not count here",
                "It does not say how you signed in, so it may be another application's.".to_owned(),
                HOOK_MUST_KEEP_CLAIMS,
            ),
            Self::UnrecognizedSession { why: NotSignedInError::MfaPending, .. } => (
                "Your second step is missing",
                "You signed in without the second step that your account asks for.".to_owned(),
                "Sign in again with both steps. If you are not asked for the second one, tell those who run this service.",
            ),
            Self::UnrecognizedSession { .. } => (
                "Your session could not be recognised",
                "You come from signing in, but the session in this browser is not one that counts here.".to_owned(),
                "Sign in again. If it stays like this, tell those who run this service: they can check it with the doctor command.",
            ),
            other => {
                let (title, what, advice) = other.form_error().unwrap_or(FormError::Incomplete).page_text();
                (title, what.to_owned(), advice)
            }
        };
        let again = match self {
            Self::UnrecognizedSession { again, .. } => Some(again.as_str()),
            _ => None,
        };
        let rendered = ErrorPage { layout, title, what: &what, advice, again }.render();
        response::with_reason(layout.page(self.status(), FormAction::OWN_ORIGIN, None, rendered), self)
    }

    /// The error for the page after a form; `None` where the address alone leads to the right page.
    pub(crate) const fn form_error(&self) -> Option<FormError> {
        Some(match self {
            Self::InsufficientRole(_) | Self::UnrecognizedSession { .. } => return None,
            Self::NotFound => FormError::NotFound,
            Self::InvalidCsrfToken => FormError::InvalidCsrfToken,
            Self::FormExpired => FormError::FormExpired,
            Self::Unmade(CreateApiKeyError::FormAlreadyUsed) => FormError::MadeAlready,
            Self::Unmade(CreateApiKeyError::Upstream(_)) | Self::Upstream(_) => FormError::Unavailable,
            Self::SessionEnded
            | Self::Unauthenticated
            | Self::ApiKey(_)
            | Self::MalformedApiKey
            | Self::MakerNotMember => FormError::SessionEnded,
            Self::Malformed(_) | Self::InvalidBody | Self::InvalidCursor | Self::Unmade(_) => FormError::Incomplete,
        })
    }

    /// The answer that scripts get.
    pub(crate) fn json(&self) -> Response {
        let (error, error_description) = match self {
            // Of pages alone: scripts are never sent to sign in.
            Self::Malformed(_) | Self::InvalidBody | Self::UnrecognizedSession { .. } => {
                ("invalid_request", "The request is not what the description of this API says.")
            }
            Self::InvalidCursor => ("invalid_request", "The cursor is not one that was given out here."),
            Self::Unmade(CreateApiKeyError::NoPermission) => {
                ("invalid_request", "A key needs at least one permission.")
            }
            Self::Unmade(CreateApiKeyError::ExpiryInPast) => ("invalid_request", "The key would have expired already."),
            Self::Unmade(CreateApiKeyError::FormAlreadyUsed) | Self::FormExpired | Self::InvalidCsrfToken => {
                ("invalid_request", "That was done before, or is too old.")
            }
            Self::Unauthenticated => {
                ("invalid_token", "Send an API key as a bearer, or a session for what only reads.")
            }
            Self::ApiKey(_) | Self::MalformedApiKey | Self::MakerNotMember | Self::SessionEnded => {
                ("invalid_token", "The API key is not valid, or no longer.")
            }
            Self::NotFound => ("not_found", "There is nothing of that name here."),
            Self::InsufficientRole(_) => ("insufficient_scope", "This takes the permission connections:manage."),
            Self::Unmade(CreateApiKeyError::ExceedsRole(_)) => {
                ("insufficient_scope", "A key may not do more than who makes it.")
            }
            Self::Unmade(CreateApiKeyError::Upstream(_)) | Self::Upstream(_) => {
                ("temporarily_unavailable", "Try again in a moment.")
            }
        };
        let mut answer = response::no_store(response::json(self.status(), &Body { error, error_description }));
        if self.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1.
            response::set_header(&mut answer, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"admin\""));
        }
        response::with_reason(answer, self)
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(ParameterError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_)
            | Self::InvalidBody
            | Self::InvalidCursor
            | Self::UnrecognizedSession { .. }
            | Self::Unmade(CreateApiKeyError::NoPermission | CreateApiKeyError::ExpiryInPast) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthenticated
            | Self::ApiKey(_)
            | Self::MalformedApiKey
            | Self::MakerNotMember
            | Self::SessionEnded => StatusCode::UNAUTHORIZED,
            Self::InsufficientRole(_) | Self::InvalidCsrfToken | Self::Unmade(CreateApiKeyError::ExceedsRole(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::FormExpired | Self::Unmade(CreateApiKeyError::FormAlreadyUsed) => StatusCode::CONFLICT,
            Self::Unmade(CreateApiKeyError::Upstream(_)) | Self::Upstream(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl FormError {
    /// The page after a form that was refused. An upstream error keeps its status, by which it is counted.
    pub(crate) fn page(self, layout: &Layout) -> Response {
        let (title, what, advice) = self.page_text();
        let rendered = ErrorPage { layout, title, what, advice, again: None }.render();
        match self {
            Self::Unavailable => {
                let page = layout.page(StatusCode::SERVICE_UNAVAILABLE, FormAction::OWN_ORIGIN, None, rendered);
                response::with_reason(page, &"the page after a form that failed: the log line of the form says why")
            }
            _ => layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, rendered),
        }
    }

    const fn page_text(self) -> (&'static str, &'static str, &'static str) {
        const AGAIN: &str = "Nothing was changed. Go back, and do it again if you meant to.";
        match self {
            Self::NotFound => (
                "There is nothing here",
                "This page does not exist, or it is not for you to see.",
                "Check the address, or ask an administrator of the workspace.",
            ),
            Self::InvalidCsrfToken => (
                "That did not come from this page",
                "This page was open for too long, or your account has changed since, or something else than you sent it.",
                AGAIN,
            ),
            Self::FormExpired => {
                ("That page was open for too long", "A key is made within an hour of describing it.", AGAIN)
            }
            Self::MadeAlready => (
                "This key has been made already",
                "It was shown once, when it was made, and cannot be shown again; no other was made.",
                "If you did not keep it, revoke it in the list of keys and make another.",
            ),
            Self::Unavailable => (
                "That did not work just now",
                "A part of our service did not answer.",
                "Wait a moment, look at the list, and do what is left again.",
            ),
            Self::SessionEnded => (
                "Your session had ended",
                "It was ended elsewhere, so nothing was changed.",
                "Sign in again, and do it once more.",
            ),
            Self::Incomplete => {
                ("This link or form is not complete", "It says something that cannot be understood.", AGAIN)
            }
        }
    }
}

impl From<CreateApiKeyError> for AdminError {
    fn from(unmade: CreateApiKeyError) -> Self {
        Self::Unmade(unmade)
    }
}
