//! Errors that must not be redirected: the person gets a page (OAuth 2.1 §4.1.2.1).

use std::borrow::Cow;

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout};
use shared::http::parameters::ParameterError;
use shared::http::response;
use shared::identity::{CLEAR_COOKIES, HOOK_MUST_KEEP_CLAIMS, NotSignedInError, SessionError};
use shared::lambda::Response;
use shared::oauth::redirect_uri::RedirectUriError;
use shared::oauth::tenant::PersonId;
use shared::upstream_error::{UpstreamError, UpstreamErrorKind};
use thiserror::Error;

use crate::error::AuthorizeError;
use crate::metadata_document::document_error::DocumentError;

/// Why the person gets a page. The text goes to the log.
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
    #[error("a client whose description is not known yet, brought by somebody in no tenant")]
    NoMembership(PersonId),
    #[error("no redirect_uri, and not exactly one registered whose port is known")]
    MissingRedirectUri,
    #[error("a redirect_uri that the client did not register")]
    UnregisteredRedirectUri,
    #[error("a redirect_uri that cannot be used here: {0}")]
    UnusableRedirectUri(RedirectUriError),
    #[error("came back from sign-in with a session that is not recognised: {reason:?}")]
    Unrecognized { reason: NotSignedInError, login_url: String },
    /// The request of a client at whose host nobody vouches for it, so that its error is not sent there unasked: a link to this
    /// server must not lead people on to an address that anybody registered (RFC 9700 §4.11.2).
    #[error("{error}, and nobody vouches for the client")]
    NotRedirected { error: AuthorizeError, host: String, url: String },
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// What the audit and the page say of an error.
struct Row<'a> {
    /// The word for the audit.
    audit: &'static str,
    status: StatusCode,
    title: &'static str,
    description: &'static str,
    advice: Cow<'static, str>,
    /// Where the button to sign in again leads, on pages that have one.
    login_url: Option<&'a str>,
    /// The host of the client, and where the button to go back there leads.
    back: Option<(&'a str, &'a str)>,
}

#[derive(Template)]
#[template(path = "error-page.html")]
struct Page<'a> {
    layout: &'a Layout,
    title: &'static str,
    description: &'static str,
    advice: &'a str,
    login_url: Option<&'a str>,
    back: Option<(&'a str, &'a str)>,
    request_id: Option<String>,
}

impl ErrorPage {
    /// The table of errors.
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn row(&self) -> Row<'_> {
        const ADD_AGAIN: &str = "Go back to the application, remove the connector and add it again.";
        let row = |audit, status, title, description, advice: &'static str| Row {
            audit,
            status,
            title,
            description,
            advice: advice.into(),
            login_url: None,
            back: None,
        };
        let incomplete = |audit| {
            row(
                audit,
                StatusCode::BAD_REQUEST,
                "This link is not complete",
                "The application sent a request that cannot be understood. Nothing was connected.",
                ADD_AGAIN,
            )
        };
        match self {
            Self::Malformed(_) => incomplete("malformed"),
            Self::MissingClientId => incomplete("no_client"),
            Self::MissingRedirectUri => incomplete("no_address"),
            Self::UnknownClient => row(
                "unknown_client",
                StatusCode::BAD_REQUEST,
                "This application is not known here",
                "It may have been registered so long ago that its registration has expired. Nothing was connected.",
                ADD_AGAIN,
            ),
            Self::Blocked => row(
                "blocked_client",
                StatusCode::FORBIDDEN,
                "This application is blocked here",
                "Those who run this service do not let this application connect. Nothing was connected.",
                "If you need it, ask your administrator.",
            ),
            Self::Document(error) => Row {
                advice: format!(
                    "Try again in a moment. If it stays like this, tell those who make the application about its description: {error}{}",
                    if matches!(error, DocumentError::RedirectUri(_)) { "" } else { "." }
                )
                .into(),
                ..row(
                    "client_document",
                    StatusCode::BAD_REQUEST,
                    "This application cannot be checked",
                    "It describes itself at an address on the internet, and that description could not be used. Nothing was connected.",
                    "",
                )
            },
            Self::NoMembership(person) => Row {
                advice: format!(
                    "Ask an administrator of yours to invite you, and connect again. Your user id is {person}; they may need it."
                )
                .into(),
                ..row(
                    "no_membership",
                    StatusCode::FORBIDDEN,
                    "You are not in any workspace yet",
                    "So there is nothing to connect, and the application was not looked at.",
                    "",
                )
            },
            Self::UnregisteredRedirectUri => row(
                "address",
                StatusCode::BAD_REQUEST,
                "This link leads somewhere unexpected",
                "The application wants the answer at an address that it did not register. To keep you safe, nothing was sent there.",
                "If you did not start this yourself, close the page. If you did, remove the connector in the application and add it again.",
            ),
            Self::UnusableRedirectUri(error) => Row {
                advice: format!(
                    "If the application registered it, it was left out, and its other addresses work. Tell those who make the application: {}",
                    error.sentence()
                )
                .into(),
                ..row(
                    "unusable_address",
                    StatusCode::BAD_REQUEST,
                    "This application cannot be answered there",
                    "The application wants the answer at an address of a kind that cannot be used here. Nothing was connected, and nothing was sent there.",
                    "",
                )
            },
            Self::Unrecognized { reason: NotSignedInError::NoSession(SessionError::MissingAmr), login_url } => Row {
                login_url: Some(login_url),
                ..row(
                    "session_without_amr",
                    StatusCode::BAD_REQUEST,
                    "Your session does not count here",
                    "It does not say how you signed in, so it may be another application's. Nothing was connected.",
                    HOOK_MUST_KEEP_CLAIMS,
                )
            },
            Self::Unrecognized { reason: NotSignedInError::NoSession(SessionError::SeveralPeople), login_url } => Row {
                login_url: Some(login_url),
                ..row(
                    "unrecognized_session",
                    StatusCode::BAD_REQUEST,
                    "Two people are signed in in this browser",
                    "It has sessions of two people for this site, and nothing says which is yours. Nothing was connected.",
                    CLEAR_COOKIES,
                )
            },
            Self::Unrecognized { reason: NotSignedInError::MfaPending, login_url } => Row {
                login_url: Some(login_url),
                ..row(
                    "unrecognized_session",
                    StatusCode::BAD_REQUEST,
                    "Your second step is missing",
                    "You signed in without the second step that your account asks for. Nothing was connected.",
                    "Sign in again with both steps. If you are not asked for the second one, tell those who run this service.",
                )
            },
            Self::Unrecognized { login_url, .. } => Row {
                login_url: Some(login_url),
                ..row(
                    "unrecognized_session",
                    StatusCode::BAD_REQUEST,
                    "Your session could not be recognised",
                    "You come from signing in, but the session in this browser is not one that counts here. Nothing was connected.",
                    "Sign in again. If it stays like this, tell those who run this service: they can check it with the doctor command.",
                )
            },
            Self::NotRedirected { error, host, url } => Row {
                advice: format!("Tell those who make the application: {}", error.oauth_error().1).into(),
                back: Some((host, url)),
                ..row(
                    error.as_str(),
                    StatusCode::BAD_REQUEST,
                    "This application asks for something that cannot be given",
                    "Its request is not one that can be answered here. Nothing was connected, and nothing was sent to it.",
                    "",
                )
            },
            Self::Upstream(UpstreamError { kind: UpstreamErrorKind::TooManyRequests, .. }) => row(
                "unavailable",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many people sign in at the moment",
                "The service that signs people in wants us to slow down. Nothing was connected, and nothing was lost.",
                "Wait a minute, then reload this page.",
            ),
            Self::Upstream(_) => row(
                "unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "That did not work just now",
                "A part of our service did not answer. Nothing was connected, and nothing was lost.",
                "Wait a moment, then reload this page.",
            ),
        }
    }

    /// For the audit.
    pub(crate) fn as_str(&self) -> &'static str {
        self.row().audit
    }

    pub(crate) fn page(&self, layout: &Layout) -> Response {
        let Row { status, title, description, advice, login_url, back, .. } = self.row();
        let request_id = layout.request_id();
        let page = Page { layout, title, description, advice: &advice, login_url, back, request_id };
        response::with_reason(layout.page(status, FormAction::OWN_ORIGIN, None, page.render()), self)
    }
}
