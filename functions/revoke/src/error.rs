//! The errors of the revocation endpoint.

use shared::client_authenticator::ClientAuthenticationError;
use shared::http::client_authentication::ClientCredentialsError;
use shared::http::oauth_error_response::OAuthErrorResponse;
use shared::http::parameters::ParameterError;
use shared::oauth::client::CredentialsError;
use shared::oauth::error::ErrorCode;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

/// Every reason; its text is for the log.
#[derive(Debug, Error)]
pub(crate) enum RevokeError {
    #[error("{0}")]
    MalformedRequest(#[from] ParameterError),
    #[error("the client credentials are missing or malformed: {0:?}")]
    ClientCredentials(ClientCredentialsError),
    #[error("token is missing")]
    MissingToken,
    #[error("an API key")]
    ApiKey,
    #[error("unknown client")]
    UnknownClient,
    #[error("client authentication failed: {0}")]
    ClientAuthentication(CredentialsError),
    #[error("the keys of the client cannot be fetched")]
    ClientKeysUnavailable,
    #[error("the client proved itself by less than when it exchanged the code")]
    WeakerAuthentication,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl RevokeError {
    /// What the client is told (RFC 7009 §2.2.1).
    pub(crate) fn error_response(&self) -> OAuthErrorResponse {
        match self {
            Self::MalformedRequest(malformed) => (*malformed).into(),
            Self::ClientCredentials(error) => (*error).into(),
            Self::MissingToken => OAuthErrorResponse::new(ErrorCode::InvalidRequest, "token is missing."),
            Self::ApiKey => {
                OAuthErrorResponse::new(ErrorCode::UnsupportedTokenType, "An API key is revoked where it was made.")
            }
            Self::UnknownClient | Self::ClientAuthentication(_) | Self::WeakerAuthentication => {
                OAuthErrorResponse::INVALID_CLIENT
            }
            Self::ClientKeysUnavailable | Self::Upstream(_) => OAuthErrorResponse::UNAVAILABLE,
        }
    }
}

impl From<ClientCredentialsError> for RevokeError {
    fn from(error: ClientCredentialsError) -> Self {
        Self::ClientCredentials(error)
    }
}

impl From<ClientAuthenticationError> for RevokeError {
    fn from(error: ClientAuthenticationError) -> Self {
        match error {
            ClientAuthenticationError::Credentials(error) => Self::ClientAuthentication(error),
            ClientAuthenticationError::KeysUnavailable | ClientAuthenticationError::KeysNotFetched => {
                Self::ClientKeysUnavailable
            }
            ClientAuthenticationError::Upstream(error) => Self::Upstream(error),
        }
    }
}
