//! The errors of the registration endpoint.

use shared::http::oauth_error_response::OAuthErrorResponse;
use shared::oauth::error::ErrorCode;
use shared::oauth::redirect_uri::RedirectUriError;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

/// Every reason; its text is for the log.
#[derive(Debug, Error)]
pub(crate) enum RegistrationError {
    #[error("not a JSON object of client metadata")]
    NotJson,
    #[error("larger than 8 KB")]
    TooLarge,
    #[error("no redirect_uris, or too many")]
    RedirectUriCount,
    #[error("redirect_uris that cannot be used: {0}")]
    RedirectUri(#[from] RedirectUriError),
    #[error("grant_types without authorization_code")]
    GrantTypes,
    #[error("response_types without code")]
    ResponseTypes,
    #[error("a client that an operator blocked")]
    Blocked,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl RegistrationError {
    /// What the client is told (RFC 7591 §3.2.2).
    pub(crate) fn error_response(&self) -> OAuthErrorResponse {
        use ErrorCode::{InvalidClientMetadata, InvalidRedirectUri};

        const JSON: &str = "The body must be a JSON object of client metadata.";
        const SIZE: &str = "The metadata is larger than 8 KB.";
        const COUNT: &str = "Give 1 to 16 redirect_uris.";
        const GRANT_TYPES: &str = "grant_types must contain authorization_code.";
        const RESPONSE_TYPES: &str = "response_types must contain code.";
        const BLOCKED: &str = "This client is blocked here. Those who run the service can tell why.";

        match self {
            Self::NotJson => OAuthErrorResponse::new(InvalidClientMetadata, JSON),
            Self::TooLarge => OAuthErrorResponse::too_large(InvalidClientMetadata, SIZE),
            Self::RedirectUriCount => OAuthErrorResponse::new(InvalidRedirectUri, COUNT),
            Self::RedirectUri(error) => OAuthErrorResponse::new(InvalidRedirectUri, error.sentence()),
            Self::GrantTypes => OAuthErrorResponse::new(InvalidClientMetadata, GRANT_TYPES),
            Self::ResponseTypes => OAuthErrorResponse::new(InvalidClientMetadata, RESPONSE_TYPES),
            Self::Blocked => OAuthErrorResponse::new(InvalidClientMetadata, BLOCKED),
            Self::Upstream(_) => OAuthErrorResponse::UNAVAILABLE,
        }
    }
}
