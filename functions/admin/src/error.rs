//! The errors of the console, with the page and the JSON of each.

use std::time::Duration;

use askama::Template;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use shared::http::flash;
use shared::http::layout::{FormAction, Layout};
use shared::http::parameters::ParameterError;
use shared::http::response;
use shared::http::sanitized_text::IsolatedText;
use shared::identity::{CLEAR_COOKIES, HOOK_MUST_KEEP_CLAIMS, NotSignedInError, SessionError};
use shared::lambda::Response;
use shared::oauth::api_key::ApiKeyError;
use shared::store::api_keys::CreateApiKeyError;
use shared::upstream_error::{UpstreamError, UpstreamErrorKind};
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
    #[error("the bearer token is not a well-formed API key")]
    MalformedApiKey,
    #[error("the maker of the API key is no longer a member of the tenant")]
    MakerNotMember,
    #[error("the session has ended")]
    SessionEnded,
    #[error("the session does not say when its person signed in")]
    SignInTimeUnknown,
    #[error("the session after sign-in is not recognized: {reason:?}")]
    UnrecognizedSession { reason: NotSignedInError, login_url: String },
    /// The response does not show whether the thing exists in another tenant.
    #[error("not found, or of another tenant")]
    NotFound,
    #[error("the role or API key lacks connections:manage")]
    InsufficientRole(InsufficientRole),
    #[error("the CSRF token of the form is not valid")]
    InvalidCsrfToken,
    #[error("the form has expired")]
    FormExpired,
    #[error("the person has made as many API keys as they may in an hour, which ends in {} s", .0.as_secs())]
    TooManyKeys(Duration),
    #[error("the API key was not created: {0}")]
    KeyNotCreated(CreateApiKeyError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: &'a Layout,
    title: &'static str,
    description: &'a str,
    advice: &'static str,
    /// Where the button to sign in again leads.
    login_url: Option<&'a str>,
    /// Of the request that failed.
    request_id: Option<String>,
}

/// What page and JSON say of an error.
struct Row<'a> {
    status: StatusCode,
    /// For scripts.
    code: &'static str,
    /// For scripts.
    description: &'static str,
    page: ErrorText<'a>,
}

/// The text of an error page.
enum ErrorText<'a> {
    /// One that can also be shown after the redirect that answers a form.
    Form(FormError),
    /// One that is made for the request. After a form, the address of the form makes it again.
    Request { title: &'static str, description: String, advice: &'static str, login_url: Option<&'a str> },
}

// The body of a response to a script: `components/schemas/Error` of `openapi.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Error", deny_unknown_fields))]
pub(crate) struct Body {
    #[cfg_attr(
        test,
        schemars(extend(
            "enum" = [
                "invalid_request",
                "invalid_token",
                "insufficient_scope",
                "not_found",
                "too_many_requests",
                "temporarily_unavailable",
            ]
        ))
    )]
    error: &'static str,
    error_description: &'static str,
}

/// An error whose page needs no data of the request. A cookie carries it to the page after a form.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FormError {
    #[serde(rename = "not_there")]
    NotFound,
    #[serde(rename = "forged")]
    InvalidCsrfToken,
    #[serde(rename = "stale")]
    FormExpired,
    Unavailable,
    TooManyRequests,
    SignInTimeUnknown,
    #[serde(rename = "signed_out")]
    SessionEnded,
    TooManyKeys,
    Incomplete,
}

impl AdminError {
    /// The table of errors.
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn row(&self) -> Row<'_> {
        let row = |status, code, description, page| Row { status, code, description, page: ErrorText::Form(page) };
        let invalid_request = |status, description, page| row(status, "invalid_request", description, page);
        let not_as_described = |status| {
            let description = "The request is not what the description of this API says.";
            invalid_request(status, description, FormError::Incomplete)
        };
        let done_or_too_old = |status, page| invalid_request(status, "That was done before, or is too old.", page);
        let invalid_token =
            |description| row(StatusCode::UNAUTHORIZED, "invalid_token", description, FormError::SessionEnded);
        // Only pages: scripts are never sent to sign in.
        let unrecognized = |login_url, title, description: &str, advice| Row {
            page: ErrorText::Request { title, description: description.to_owned(), advice, login_url: Some(login_url) },
            ..not_as_described(StatusCode::BAD_REQUEST)
        };
        match self {
            Self::Malformed(ParameterError::TooLarge) => not_as_described(StatusCode::PAYLOAD_TOO_LARGE),
            Self::Malformed(_) | Self::InvalidBody => not_as_described(StatusCode::BAD_REQUEST),
            Self::InvalidCursor => invalid_request(
                StatusCode::BAD_REQUEST,
                "The cursor is not one that was given out here.",
                FormError::Incomplete,
            ),
            Self::Unauthenticated => invalid_token("Send an API key as a bearer, or a session for what only reads."),
            Self::ApiKey(_) | Self::MalformedApiKey | Self::MakerNotMember | Self::SessionEnded => {
                invalid_token("The API key is not valid, or no longer.")
            }
            Self::UnrecognizedSession { reason: NotSignedInError::NoSession(SessionError::MissingAmr), login_url } => {
                unrecognized(
                    login_url,
                    "Your session does not count here",
                    "It does not say how you signed in, so it may be another application's.",
                    HOOK_MUST_KEEP_CLAIMS,
                )
            }
            Self::UnrecognizedSession {
                reason: NotSignedInError::NoSession(SessionError::SeveralPeople),
                login_url,
            } => unrecognized(
                login_url,
                "Two people are signed in in this browser",
                "It has sessions of two people for this site, and nothing says which is yours.",
                CLEAR_COOKIES,
            ),
            Self::UnrecognizedSession { reason: NotSignedInError::MfaPending, login_url } => unrecognized(
                login_url,
                "Your second step is missing",
                "You signed in without the second step that your account asks for.",
                "Sign in again with both steps. If you are not asked for the second one, tell those who run this service.",
            ),
            Self::UnrecognizedSession { login_url, .. } => unrecognized(
                login_url,
                "Your session could not be recognised",
                "You come from signing in, but the session in this browser is not one that counts here.",
                "Sign in again. If it stays like this, tell those who run this service: they can check it with the doctor command.",
            ),
            Self::NotFound => {
                row(StatusCode::NOT_FOUND, "not_found", "There is nothing of that name here.", FormError::NotFound)
            }
            Self::InsufficientRole(InsufficientRole { tenant, role }) => Row {
                status: StatusCode::FORBIDDEN,
                code: "insufficient_scope",
                description: "This takes the permission connections:manage.",
                page: ErrorText::Request {
                    title: "Your role does not allow this",
                    description: format!(
                        "Looking after the connections of {} takes more than the role {}.",
                        IsolatedText(tenant),
                        IsolatedText(role)
                    ),
                    advice: "An owner or administrator of the workspace can do it, or give you another role.",
                    login_url: None,
                },
            },
            // Only pages: scripts have a key.
            Self::SignInTimeUnknown => row(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The session does not say when its person signed in.",
                FormError::SignInTimeUnknown,
            ),
            Self::InvalidCsrfToken => done_or_too_old(StatusCode::FORBIDDEN, FormError::InvalidCsrfToken),
            Self::TooManyKeys(_) => row(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "As many keys were made as one person may make in an hour.",
                FormError::TooManyKeys,
            ),
            // A form that is sent again gets a page of its own, with its key.
            Self::FormExpired | Self::KeyNotCreated(CreateApiKeyError::AlreadyCreated(_)) => {
                done_or_too_old(StatusCode::CONFLICT, FormError::FormExpired)
            }
            Self::KeyNotCreated(CreateApiKeyError::NoPermission) => {
                invalid_request(StatusCode::BAD_REQUEST, "A key needs at least one permission.", FormError::Incomplete)
            }
            Self::KeyNotCreated(CreateApiKeyError::ExceedsRole(_)) => row(
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                "A key may not do more than who makes it.",
                FormError::Incomplete,
            ),
            Self::KeyNotCreated(CreateApiKeyError::Upstream(error)) | Self::Upstream(error)
                if error.kind == UpstreamErrorKind::TooManyRequests =>
            {
                row(
                    StatusCode::TOO_MANY_REQUESTS,
                    "temporarily_unavailable",
                    "Try again in a moment.",
                    FormError::TooManyRequests,
                )
            }
            Self::KeyNotCreated(CreateApiKeyError::Upstream(_)) | Self::Upstream(_) => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "Try again in a moment.",
                FormError::Unavailable,
            ),
        }
    }

    /// The page for people.
    pub(crate) fn page(&self, layout: &Layout) -> Response {
        let Row { status, page, .. } = self.row();
        let request_id = layout.request_id();
        let rendered = match &page {
            ErrorText::Form(error) => {
                let (_, title, description, advice) = error.row();
                ErrorPage { layout, title, description, advice, login_url: None, request_id }.render()
            }
            ErrorText::Request { title, description, advice, login_url } => {
                ErrorPage { layout, title, description, advice, login_url: *login_url, request_id }.render()
            }
        };
        response::with_reason(layout.page(status, FormAction::OWN_ORIGIN, None, rendered), self)
    }

    /// The error for the page after a form; `None` where the address of the form leads to the right page.
    pub(crate) fn form_error(&self) -> Option<FormError> {
        match self.row().page {
            ErrorText::Form(error) => Some(error),
            ErrorText::Request { .. } => None,
        }
    }

    /// The response for scripts.
    pub(crate) fn json(&self) -> Response {
        let Row { status, code, description, .. } = self.row();
        let body = Body { error: code, error_description: description };
        let mut response = response::no_store(response::json(status, &body));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1.
            response::set_header(&mut response, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"admin\""));
        }
        if let Self::TooManyKeys(left) = self {
            response::set_header(&mut response, RETRY_AFTER, HeaderValue::from(left.as_secs()));
        }
        response::with_reason(response, self)
    }
}

impl FormError {
    /// The page after a form that was refused.
    pub(crate) fn page(self, layout: &Layout) -> Response {
        let (status, title, description, advice) = self.row();
        let request_id = layout.form_request_id();
        let rendered = ErrorPage { layout, title, description, advice, login_url: None, request_id }.render();
        let page = layout.page(status, FormAction::OWN_ORIGIN, None, rendered);
        if status == StatusCode::OK { page } else { response::with_reason(page, &flash::SHOWN_AFTER_FORM) }
    }

    /// The table of errors after a form: status of the page, title, description and advice. `Unavailable` and
    /// `TooManyRequests` keep the status of an upstream error, by which it is counted.
    const fn row(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        const AGAIN: &str = "Nothing was changed. Go back, and do it again if you meant to.";
        match self {
            Self::NotFound => (
                StatusCode::OK,
                "There is nothing here",
                "This page does not exist, or it is not for you to see.",
                "Check the address, or ask an administrator of the workspace.",
            ),
            Self::InvalidCsrfToken => (
                StatusCode::OK,
                "That did not come from this page",
                "This page was open for too long, or your account has changed since, or something else than you sent it.",
                AGAIN,
            ),
            Self::FormExpired => (
                StatusCode::OK,
                "That page was open for too long",
                "A key is made within an hour of describing it.",
                AGAIN,
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "That did not work just now",
                "A part of our service did not answer.",
                "Wait a moment, look at the list, and do what is left again.",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many people sign in at the moment",
                "The service that signs people in wants us to slow down.",
                "Wait a minute, look at the list, and do what is left again.",
            ),
            Self::SignInTimeUnknown => (
                StatusCode::OK,
                "Your session does not say when you signed in",
                "This takes a recent sign-in, so nothing was changed.",
                "Tell those who run this service: their custom access token hook must keep the claim amr with its times.",
            ),
            Self::SessionEnded => (
                StatusCode::OK,
                "Your session had ended",
                "It was ended elsewhere, so nothing was changed.",
                "Sign in again, and do it once more.",
            ),
            Self::TooManyKeys => (
                StatusCode::OK,
                "You have made many keys",
                "You have made as many keys as you may within an hour, and this one was not made.",
                "Try again in an hour.",
            ),
            Self::Incomplete => (
                StatusCode::OK,
                "This link or form is not complete",
                "It says something that cannot be understood.",
                AGAIN,
            ),
        }
    }
}

impl From<CreateApiKeyError> for AdminError {
    fn from(error: CreateApiKeyError) -> Self {
        Self::KeyNotCreated(error)
    }
}
