//! The errors of the registration endpoint.

use shared::http::error_response::ErrorResponse;
use shared::oauth::error::ErrorCode;
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
    #[error("a redirect_uri that is neither https nor loopback")]
    RedirectUri,
    #[error("a client_name that is too long or has control or invisible characters")]
    ClientName,
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
    pub(crate) fn error_response(&self) -> ErrorResponse {
        match self {
            Self::NotJson => ErrorResponse::new(
                ErrorCode::InvalidClientMetadata,
                "The body must be a JSON object of client metadata.",
            ),
            Self::TooLarge => {
                ErrorResponse::too_large(ErrorCode::InvalidClientMetadata, "The metadata is larger than 8 KB.")
            }
            Self::RedirectUriCount => ErrorResponse::new(ErrorCode::InvalidRedirectUri, "Give 1 to 16 redirect_uris."),
            Self::RedirectUri => ErrorResponse::new(
                ErrorCode::InvalidRedirectUri,
                "Each of redirect_uris must be https, or http on a loopback host.",
            ),
            Self::ClientName => ErrorResponse::new(
                ErrorCode::InvalidClientMetadata,
                "client_name may have 100 characters, none of them control or invisible characters.",
            ),
            Self::GrantTypes => {
                ErrorResponse::new(ErrorCode::InvalidClientMetadata, "grant_types must contain authorization_code.")
            }
            Self::ResponseTypes => {
                ErrorResponse::new(ErrorCode::InvalidClientMetadata, "response_types must contain code.")
            }
            Self::Blocked => ErrorResponse::new(
                ErrorCode::InvalidClientMetadata,
                "This client is blocked here. Those who run the service can tell why.",
            ),
            Self::Upstream(_) => ErrorResponse::UNAVAILABLE,
        }
    }
}
