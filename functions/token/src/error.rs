//! The errors of the token endpoint.

use shared::http::credentials::ClientCredentialsError;
use shared::http::error_response::ErrorResponse;
use shared::http::parameters::ParameterError;
use shared::oauth::client::ClientAuthenticationError;
use shared::oauth::error::ErrorCode;
use shared::oauth::grant::CodeError;
use shared::oauth::refresh_token::RefreshTokenState;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

/// Every reason; its text is for the log.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    #[error("{0}")]
    MalformedRequest(#[from] ParameterError),
    #[error("the client credentials are missing or malformed: {0:?}")]
    ClientCredentials(ClientCredentialsError),
    #[error("{0} is missing")]
    MissingParameter(&'static str),
    #[error("unsupported grant_type")]
    UnsupportedGrantType,
    #[error("code_verifier is malformed")]
    MalformedCodeVerifier,
    #[error("code is malformed")]
    MalformedCode,
    #[error("refresh_token is malformed")]
    MalformedRefreshToken,
    #[error("unknown client")]
    UnknownClient,
    #[error("client authentication failed")]
    ClientAuthentication,
    #[error("unknown code")]
    UnknownCode,
    #[error("unknown grant")]
    UnknownGrant,
    #[error("the grant is another client's")]
    ClientMismatch,
    #[error("the grant is revoked")]
    GrantRevoked,
    #[error("the code failed verification: {0:?}")]
    Code(CodeError),
    #[error("the code was exchanged by a concurrent request")]
    ConcurrentCodeUse,
    #[error("the refresh token is {}", .0.as_str())]
    RefreshToken(RefreshTokenState),
    #[error("the token family was rotated three times during the request")]
    ConcurrentRotations,
    #[error("the person is no longer in the tenant")]
    NotAMember,
    #[error("the scope is malformed or exceeds the approval")]
    InvalidScope,
    #[error("the resource is not the approved one")]
    InvalidTarget,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl TokenError {
    /// For the audit.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::MalformedRequest(_) => "malformed",
            Self::ClientCredentials(_) => "no_client",
            Self::MissingParameter(_) => "missing_parameter",
            Self::UnsupportedGrantType => "grant_type",
            Self::MalformedCodeVerifier => "not_a_verifier",
            Self::MalformedCode => "not_a_code",
            Self::MalformedRefreshToken => "not_a_refresh_token",
            Self::UnknownClient => "unknown_client",
            Self::ClientAuthentication => "unauthenticated",
            Self::UnknownCode => "unknown_code",
            Self::UnknownGrant => "unknown_grant",
            Self::ClientMismatch | Self::Code(CodeError::ClientMismatch) => "another_client",
            Self::GrantRevoked | Self::Code(CodeError::GrantRevoked) => "ended",
            Self::Code(CodeError::SecretMismatch) => "another_code",
            Self::Code(CodeError::RedirectUriMismatch) => "redirect_uri",
            Self::Code(CodeError::VerifierMismatch) => "verifier",
            Self::Code(CodeError::Expired) => "code_expired",
            Self::Code(CodeError::Replayed) => "code_replayed",
            Self::ConcurrentCodeUse => "code_raced",
            Self::RefreshToken(state) => state.as_str(),
            Self::ConcurrentRotations => "outrun",
            Self::NotAMember => "not_a_member",
            Self::InvalidScope => "scope",
            Self::InvalidTarget => "target",
            Self::Upstream(_) => "unavailable",
        }
    }

    /// What the client is told (OAuth 2.1 §3.2.4).
    ///
    /// `invalid_client` makes Claude register again, `invalid_grant` makes it ask the person again: never one for the other.
    pub(crate) fn error_response(&self) -> ErrorResponse {
        match self {
            Self::MalformedRequest(malformed) => (*malformed).into(),
            Self::ClientCredentials(error) => (*error).into(),
            Self::ClientAuthentication | Self::UnknownClient => ErrorResponse::INVALID_CLIENT,
            Self::MissingParameter(_) => {
                ErrorResponse::new(ErrorCode::InvalidRequest, "A required parameter is missing.")
            }
            Self::MalformedCodeVerifier => {
                ErrorResponse::new(ErrorCode::InvalidRequest, "code_verifier must be 43 to 128 unreserved characters.")
            }
            Self::UnsupportedGrantType => ErrorResponse::new(
                ErrorCode::UnsupportedGrantType,
                "Only authorization_code and refresh_token are supported.",
            ),
            Self::MalformedCode | Self::UnknownCode | Self::Code(_) | Self::ConcurrentCodeUse => ErrorResponse::new(
                ErrorCode::InvalidGrant,
                "The code is not valid for this client and request, or was used before.",
            ),
            Self::MalformedRefreshToken
            | Self::UnknownGrant
            | Self::ClientMismatch
            | Self::GrantRevoked
            | Self::RefreshToken(_)
            | Self::ConcurrentRotations
            | Self::NotAMember => ErrorResponse::new(
                ErrorCode::InvalidGrant,
                "The refresh token is not valid any more. The person has to connect again.",
            ),
            Self::InvalidScope => {
                ErrorResponse::new(ErrorCode::InvalidScope, "The scope is malformed, or more than the person approved.")
            }
            Self::InvalidTarget => {
                ErrorResponse::new(ErrorCode::InvalidTarget, "The resource is not the one that the person approved.")
            }
            Self::Upstream(_) => ErrorResponse::UNAVAILABLE,
        }
    }
}

impl From<ClientCredentialsError> for TokenError {
    fn from(error: ClientCredentialsError) -> Self {
        Self::ClientCredentials(error)
    }
}

impl From<ClientAuthenticationError> for TokenError {
    fn from(_: ClientAuthenticationError) -> Self {
        Self::ClientAuthentication
    }
}
