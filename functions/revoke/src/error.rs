//! The errors of the revocation endpoint.

use shared::fault::Fault;
use shared::http::credentials::Unnamed;
use shared::http::parameters::Malformed;
use shared::http::told::Told;
use shared::oauth::client::ClientAuthenticationError;
use shared::oauth::error::ErrorCode;
use thiserror::Error;

/// Every reason; its text is for the log.
#[derive(Debug, Error)]
pub(crate) enum RevokeError {
    #[error("{0}")]
    MalformedRequest(#[from] Malformed),
    #[error("the client credentials are missing or malformed: {0:?}")]
    ClientCredentials(Unnamed),
    #[error("token is missing")]
    MissingToken,
    #[error("an API key")]
    ApiKey,
    #[error("unknown client")]
    UnknownClient,
    #[error("client authentication failed")]
    ClientAuthentication,
    #[error(transparent)]
    Upstream(#[from] Fault),
}

impl RevokeError {
    /// What the client is told (RFC 7009 §2.2.1).
    pub(crate) fn error_response(&self) -> Told {
        match self {
            Self::MalformedRequest(malformed) => (*malformed).into(),
            Self::ClientCredentials(unnamed) => (*unnamed).into(),
            Self::MissingToken => Told::new(ErrorCode::InvalidRequest, "token is missing."),
            Self::ApiKey => Told::new(ErrorCode::UnsupportedTokenType, "An API key is revoked where it was made."),
            Self::UnknownClient | Self::ClientAuthentication => Told::INVALID_CLIENT,
            Self::Upstream(_) => Told::UNAVAILABLE,
        }
    }
}

impl From<Unnamed> for RevokeError {
    fn from(unnamed: Unnamed) -> Self {
        Self::ClientCredentials(unnamed)
    }
}

impl From<ClientAuthenticationError> for RevokeError {
    fn from(_: ClientAuthenticationError) -> Self {
        Self::ClientAuthentication
    }
}
