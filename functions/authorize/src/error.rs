//! The errors that the client gets, by redirect.

use shared::oauth::error::ErrorCode;
use thiserror::Error;

/// Why, for our log.
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
    #[error("no scope that we know")]
    Scope,
    #[error("the person said no")]
    Denied,
}

impl AuthorizeError {
    /// For the audit.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::NoResponseType => "no_response_type",
            Self::ResponseType => "response_type",
            Self::NoChallenge => "no_challenge",
            Self::ChallengeMethod => "challenge_method",
            Self::Challenge => "challenge",
            Self::Target => "target",
            Self::Scope => "scope",
            Self::Denied => "denied",
        }
    }

    /// The error code and description for the client (OAuth 2.1 §4.1.2.1).
    pub(crate) const fn oauth_error(&self) -> (ErrorCode, &'static str) {
        match self {
            Self::NoResponseType => (ErrorCode::InvalidRequest, "response_type is missing."),
            Self::ResponseType => (ErrorCode::UnsupportedResponseType, "Only the response type code is supported."),
            Self::NoChallenge => (ErrorCode::InvalidRequest, "code_challenge is missing: PKCE is required."),
            Self::ChallengeMethod => (ErrorCode::InvalidRequest, "code_challenge_method must be S256."),
            Self::Challenge => (ErrorCode::InvalidRequest, "code_challenge must be 43 characters of base64url."),
            Self::Target => (ErrorCode::InvalidTarget, "The resource is not one that is served here."),
            Self::Scope => (ErrorCode::InvalidScope, "The scope is malformed, or names nothing that is offered here."),
            Self::Denied => (ErrorCode::AccessDenied, "The person did not approve."),
        }
    }
}
