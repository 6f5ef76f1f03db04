//! The errors that the client gets, by redirect.

use shared::oauth::error::ErrorCode;
use thiserror::Error;

/// Why the request is not granted. The text goes to the log.
#[derive(Debug, Error)]
pub(crate) enum AuthorizeError {
    #[error("no response_type")]
    NoResponseType,
    #[error("a response_type other than code")]
    ResponseType,
    #[error("no code_challenge")]
    NoChallenge,
    #[error("a code_challenge_method other than S256")]
    ChallengeMethod,
    #[error("a code_challenge that is none")]
    Challenge,
    #[error("another resource")]
    Target,
    #[error("a scope with a character that is not allowed")]
    Scope,
    #[error("the person said no")]
    Denied,
}

impl AuthorizeError {
    /// The table of errors: word for the audit, then code and description for the client (OAuth 2.1 §4.1.2.1). The status is
    /// always that of the redirect.
    const fn row(&self) -> (&'static str, ErrorCode, &'static str) {
        match self {
            Self::NoResponseType => ("no_response_type", ErrorCode::InvalidRequest, "response_type is missing."),
            Self::ResponseType => {
                ("response_type", ErrorCode::UnsupportedResponseType, "Only the response type code is supported.")
            }
            Self::NoChallenge => {
                ("no_challenge", ErrorCode::InvalidRequest, "code_challenge is missing: PKCE is required.")
            }
            Self::ChallengeMethod => {
                ("challenge_method", ErrorCode::InvalidRequest, "code_challenge_method must be S256.")
            }
            Self::Challenge => {
                ("challenge", ErrorCode::InvalidRequest, "code_challenge must be 43 characters of base64url.")
            }
            Self::Target => ("target", ErrorCode::InvalidTarget, "The resource is not one that is served here."),
            Self::Scope => ("scope", ErrorCode::InvalidScope, "The scope has a character that is not allowed."),
            Self::Denied => ("denied", ErrorCode::AccessDenied, "The person did not approve."),
        }
    }

    /// For the audit.
    pub(crate) const fn as_str(&self) -> &'static str {
        self.row().0
    }

    /// The code and the description for the client.
    pub(crate) const fn oauth_error(&self) -> (ErrorCode, &'static str) {
        let (_, code, description) = self.row();
        (code, description)
    }
}
