//! Every way in which a page is not shown or a change not made, and what people and scripts are told.

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

use crate::manager::NotTheirs;

/// Why, for our log.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Malformed(#[from] ParameterError),
    #[error("a body that is not what it should be")]
    Body,
    #[error("a cursor that is none of ours")]
    Cursor,
    #[error("neither a person nor a key")]
    Nobody,
    #[error("a key that does not count: {0:?}")]
    Key(ApiKeyError),
    /// What is shown as a bearer is not a key, or mistyped.
    #[error("a bearer that is no key")]
    NotAKey,
    #[error("the maker of the key is no longer in its tenant")]
    MakerGone,
    #[error("a session that is over")]
    SignedOut,
    #[error("came back from sign-in with a session that is not recognised: {why:?}")]
    Unrecognized { why: NotSignedInError, again: String },
    /// Of another tenant, or of nobody: they look alike.
    #[error("not there, or not theirs")]
    NotThere,
    #[error("a role or key that is not for this")]
    NotTheirs(NotTheirs),
    #[error("a form that we did not give to this session for this")]
    Forged,
    #[error("a form that lay open too long")]
    Stale,
    #[error("a key that is not made: {0}")]
    Unmade(CreateApiKeyError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Page<'a> {
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

/// What people are told, where no more has to be known for it than this: so that it can wait for the page after a form.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    NotThere,
    Forged,
    Stale,
    MadeAlready,
    Unavailable,
    SignedOut,
    Incomplete,
}

impl Refusal {
    /// The page that people get.
    pub(crate) fn page(&self, layout: &Layout) -> Response {
        let (title, what, advice) = match self {
            Self::NotTheirs(NotTheirs { tenant, role }) => (
                "Your role does not allow this",
                format!(
                    "Looking after the connections of {} takes more than the role {}.",
                    IsolatedText(tenant),
                    IsolatedText(role)
                ),
                "An owner or administrator of the workspace can do it, or give you another role.",
            ),
            Self::Unrecognized { why: NotSignedInError::NoSession(SessionError::MissingAmr), .. } => (
                "Your session does not count here",
                "It does not say how you signed in, so it may be another application's.".to_owned(),
                HOOK_MUST_KEEP_CLAIMS,
            ),
            Self::Unrecognized { why: NotSignedInError::MfaPending, .. } => (
                "Your second step is missing",
                "You signed in without the second step that your account asks for.".to_owned(),
                "Sign in again with both steps. If you are not asked for the second one, tell those who run this service.",
            ),
            Self::Unrecognized { .. } => (
                "Your session could not be recognised",
                "You come from signing in, but the session in this browser is not one that counts here.".to_owned(),
                "Sign in again. If it stays like this, tell those who run this service: they can check it with the doctor command.",
            ),
            other => {
                let (title, what, advice) = other.kind().unwrap_or(Kind::Incomplete).words();
                (title, what.to_owned(), advice)
            }
        };
        let again = match self {
            Self::Unrecognized { again, .. } => Some(again.as_str()),
            _ => None,
        };
        let rendered = Page { layout, title, what: &what, advice, again }.render();
        response::with_reason(layout.page(self.status(), FormAction::OWN_ORIGIN, None, rendered), self)
    }

    /// What the page after a form tells; nothing where its address tells by itself what stands in the way.
    pub(crate) const fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::NotTheirs(_) | Self::Unrecognized { .. } => return None,
            Self::NotThere => Kind::NotThere,
            Self::Forged => Kind::Forged,
            Self::Stale => Kind::Stale,
            Self::Unmade(CreateApiKeyError::FormAlreadyUsed) => Kind::MadeAlready,
            Self::Unmade(CreateApiKeyError::Upstream(_)) | Self::Upstream(_) => Kind::Unavailable,
            Self::SignedOut | Self::Nobody | Self::Key(_) | Self::NotAKey | Self::MakerGone => Kind::SignedOut,
            Self::Malformed(_) | Self::Body | Self::Cursor | Self::Unmade(_) => Kind::Incomplete,
        })
    }

    /// The answer that scripts get.
    pub(crate) fn json(&self) -> Response {
        let (error, error_description) = match self {
            // Of pages alone: scripts are never sent to sign in.
            Self::Malformed(_) | Self::Body | Self::Unrecognized { .. } => {
                ("invalid_request", "The request is not what the description of this API says.")
            }
            Self::Cursor => ("invalid_request", "The cursor is not one that was given out here."),
            Self::Unmade(CreateApiKeyError::NoPermission) => {
                ("invalid_request", "A key needs at least one permission.")
            }
            Self::Unmade(CreateApiKeyError::ExpiryInPast) => ("invalid_request", "The key would have expired already."),
            Self::Unmade(CreateApiKeyError::FormAlreadyUsed) | Self::Stale | Self::Forged => {
                ("invalid_request", "That was done before, or is too old.")
            }
            Self::Nobody => ("invalid_token", "Send an API key as a bearer, or a session for what only reads."),
            Self::Key(_) | Self::NotAKey | Self::MakerGone | Self::SignedOut => {
                ("invalid_token", "The API key is not valid, or no longer.")
            }
            Self::NotThere => ("not_found", "There is nothing of that name here."),
            Self::NotTheirs(_) => ("insufficient_scope", "This takes the permission connections:manage."),
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
            | Self::Body
            | Self::Cursor
            | Self::Unrecognized { .. }
            | Self::Unmade(CreateApiKeyError::NoPermission | CreateApiKeyError::ExpiryInPast) => {
                StatusCode::BAD_REQUEST
            }
            Self::Nobody | Self::Key(_) | Self::NotAKey | Self::MakerGone | Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::NotTheirs(_) | Self::Forged | Self::Unmade(CreateApiKeyError::ExceedsRole(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::NotThere => StatusCode::NOT_FOUND,
            Self::Stale | Self::Unmade(CreateApiKeyError::FormAlreadyUsed) => StatusCode::CONFLICT,
            Self::Unmade(CreateApiKeyError::Upstream(_)) | Self::Upstream(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Kind {
    /// The page after a form that was refused. An upstream error keeps its status, by which it is counted.
    pub(crate) fn page(self, layout: &Layout) -> Response {
        let (title, what, advice) = self.words();
        let rendered = Page { layout, title, what, advice, again: None }.render();
        match self {
            Self::Unavailable => {
                let page = layout.page(StatusCode::SERVICE_UNAVAILABLE, FormAction::OWN_ORIGIN, None, rendered);
                response::with_reason(page, &"shown after a form that failed: the form's own log line says why")
            }
            _ => layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, rendered),
        }
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        const AGAIN: &str = "Nothing was changed. Go back, and do it again if you meant to.";
        match self {
            Self::NotThere => (
                "There is nothing here",
                "This page does not exist, or it is not for you to see.",
                "Check the address, or ask an administrator of the workspace.",
            ),
            Self::Forged => (
                "That did not come from this page",
                "This page was open for too long, or your account has changed since, or something else than you sent it.",
                AGAIN,
            ),
            Self::Stale => ("That page was open for too long", "A key is made within an hour of describing it.", AGAIN),
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
            Self::SignedOut => (
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

impl From<CreateApiKeyError> for Refusal {
    fn from(unmade: CreateApiKeyError) -> Self {
        Self::Unmade(unmade)
    }
}
