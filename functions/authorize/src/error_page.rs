//! Errors that must not be redirected: the person gets a page (OAuth 2.1 §4.1.2.1).

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout};
use shared::http::parameters::ParameterError;
use shared::http::response;
use shared::identity::{HOOK_MUST_KEEP_CLAIMS, NotSignedInError, SessionError};
use shared::lambda::Response;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

use crate::metadata_document::document_error::DocumentError;

/// Why, for our log.
#[derive(Debug, Error)]
pub(crate) enum ErrorPage {
    #[error("{0}")]
    Malformed(#[from] ParameterError),
    #[error("no client_id")]
    MissingClientId,
    #[error("unknown client")]
    UnknownClient,
    #[error("a client that an operator blocked")]
    Blocked,
    #[error("a client's description of itself cannot be used: {0}")]
    Document(#[from] DocumentError),
    #[error("no redirect_uri, and not exactly one registered whose port is known")]
    MissingRedirectUri,
    #[error("a redirect_uri that the client did not register")]
    UnregisteredRedirectUri,
    #[error("came back from sign-in with a session that is not recognised: {why:?}")]
    Unrecognized { why: NotSignedInError, again: String },
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

#[derive(Template)]
#[template(path = "error-page.html")]
struct Page<'a> {
    layout: &'a Layout,
    title: &'static str,
    what: &'static str,
    advice: &'a str,
    /// Where the button leads.
    again: Option<&'a str>,
}

impl ErrorPage {
    /// For the audit.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::MissingClientId => "no_client",
            Self::UnknownClient => "unknown_client",
            Self::Blocked => "blocked_client",
            Self::Document(_) => "client_document",
            Self::MissingRedirectUri => "no_address",
            Self::UnregisteredRedirectUri => "address",
            Self::Unrecognized { why: NotSignedInError::NoSession(SessionError::MissingAmr), .. } => {
                "session_without_amr"
            }
            Self::Unrecognized { .. } => "unrecognized_session",
            Self::Upstream(_) => "unavailable",
        }
    }

    pub(crate) fn page(&self, layout: &Layout) -> Response {
        const AGAIN: &str = "Go back to the application, remove the connector and add it again.";
        const TELL: &str =
            "Try again in a moment. If it stays like this, tell those who make the application about its description:";
        let told = match self {
            Self::Document(error) => format!("{TELL} {error}."),
            _ => String::new(),
        };
        let (status, title, what, advice) = match self {
            Self::Malformed(_) | Self::MissingClientId | Self::MissingRedirectUri => (
                StatusCode::BAD_REQUEST,
                "This link is not complete",
                "The application sent a request that cannot be understood. Nothing was connected.",
                AGAIN,
            ),
            Self::UnknownClient => (
                StatusCode::BAD_REQUEST,
                "This application is not known here",
                "It may have been registered so long ago that its registration has expired. Nothing was connected.",
                AGAIN,
            ),
            Self::Blocked => (
                StatusCode::FORBIDDEN,
                "This application is blocked here",
                "Those who run this service do not let this application connect. Nothing was connected.",
                "If you need it, ask your administrator.",
            ),
            Self::Document(_) => (
                StatusCode::BAD_REQUEST,
                "This application cannot be checked",
                "It describes itself at an address on the internet, and that description could not be used. Nothing was connected.",
                told.as_str(),
            ),
            Self::UnregisteredRedirectUri => (
                StatusCode::BAD_REQUEST,
                "This link leads somewhere unexpected",
                "The application wants the answer at an address that it did not register. To keep you safe, nothing was sent there.",
                "If you did not start this yourself, close the page. If you did, remove the connector in the application and add it again.",
            ),
            Self::Unrecognized { why: NotSignedInError::NoSession(SessionError::MissingAmr), .. } => (
                StatusCode::BAD_REQUEST,
                "Your session does not count here",
                "It does not say how you signed in, so it may be another application's. Nothing was connected.",
                HOOK_MUST_KEEP_CLAIMS,
            ),
            Self::Unrecognized { why: NotSignedInError::MfaPending, .. } => (
                StatusCode::BAD_REQUEST,
                "Your second step is missing",
                "You signed in without the second step that your account asks for. Nothing was connected.",
                "Sign in again with both steps. If you are not asked for the second one, tell those who run this service.",
            ),
            Self::Unrecognized { .. } => (
                StatusCode::BAD_REQUEST,
                "Your session could not be recognised",
                "You come from signing in, but the session in this browser is not one that counts here. Nothing was connected.",
                "Sign in again. If it stays like this, tell those who run this service: they can check it with the doctor command.",
            ),
            Self::Upstream(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "That did not work just now",
                "A part of our service did not answer. Nothing was connected, and nothing was lost.",
                "Wait a moment, then reload this page.",
            ),
        };
        let again = match self {
            Self::Unrecognized { again, .. } => Some(again.as_str()),
            _ => None,
        };
        let page = Page { layout, title, what, advice, again };
        response::with_reason(layout.page(status, FormAction::OWN_ORIGIN, None, page.render()), self)
    }
}
