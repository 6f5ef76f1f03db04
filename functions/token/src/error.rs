//! The errors of the token endpoint.

use std::time::Duration;

use shared::client_authenticator::ClientAuthenticationError;
use shared::http::client_authentication::ClientCredentialsError;
use shared::http::oauth_error_response::OAuthErrorResponse;
use shared::http::parameters::ParameterError;
use shared::oauth::client::CredentialsError;
use shared::oauth::error::ErrorCode;
use shared::oauth::grant::CodeError;
use shared::oauth::refresh_token_rotation::RefreshTokenState;
use shared::oauth::revocation_reason::RevocationReason;
use shared::store::grants::ClientWriteError;
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
    #[error("client authentication failed: {0}")]
    ClientAuthentication(CredentialsError),
    #[error("the keys of the client cannot be fetched")]
    ClientKeysUnavailable,
    #[error("the keys of the client were not fetched: it shows no code or token of its own")]
    ClientKeysNotFetched,
    #[error("the client assertion was used before")]
    AssertionReplayed,
    #[error("the client proved itself by less than when it exchanged the code")]
    WeakerAuthentication,
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
    #[error("the refresh token was retried more often than it may be")]
    TooManyRetries,
    #[error("as many access tokens were signed for the grant as may be in an hour, which ends in {} s", .0.as_secs())]
    TooManySignatures(Duration),
    #[error("the grant is over: {}", .0.as_str())]
    GrantOver(RevocationReason),
    #[error("the scope is malformed, was neither approved nor requested before, or leaves nothing")]
    InvalidScope,
    #[error("the resource is not the approved one")]
    InvalidTarget,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl TokenError {
    /// For the audit.
    pub(crate) fn as_str(&self) -> &'static str {
        self.row().0
    }

    /// What the client is told.
    pub(crate) fn error_response(&self) -> OAuthErrorResponse {
        self.row().1
    }

    /// The audit's word for each error, and the response (OAuth 2.1 §3.2.4).
    ///
    /// `invalid_client` makes Claude register again, and `invalid_grant` makes it ask the person again. So
    /// the two must not be confused.
    fn row(&self) -> (&'static str, OAuthErrorResponse) {
        use ErrorCode::{InvalidGrant, InvalidRequest, InvalidScope, InvalidTarget};

        const CODE: &str = "The code is not valid for this client and request, or was used before.";
        const REFRESH_TOKEN: &str = "The refresh token is not valid any more. The person has to connect again.";
        const NEITHER: &str = "The code or refresh token is not valid. The person has to connect again.";
        const GRANT: &str = "The connection has ended. The person has to connect again.";
        const GRANT_TYPE: &str = "Only authorization_code and refresh_token are supported.";
        const VERIFIER: &str = "code_verifier must be 43 to 128 unreserved characters.";
        const SCOPE: &str = "The scope is malformed, was not approved, or is not allowed now.";
        const TARGET: &str = "The resource is not the one that the person approved.";
        const MISSING: &str = "A required parameter is missing.";

        let row = |word, code, description| (word, OAuthErrorResponse::new(code, description));
        match self {
            Self::MalformedRequest(error) => ("malformed", (*error).into()),
            Self::ClientCredentials(error) => ("no_client", (*error).into()),
            Self::MissingParameter(_) => row("missing_parameter", InvalidRequest, MISSING),
            Self::UnsupportedGrantType => row("grant_type", ErrorCode::UnsupportedGrantType, GRANT_TYPE),
            Self::MalformedCodeVerifier => row("not_a_verifier", InvalidRequest, VERIFIER),
            Self::MalformedCode => row("not_a_code", InvalidGrant, CODE),
            Self::MalformedRefreshToken => row("not_a_refresh_token", InvalidGrant, REFRESH_TOKEN),
            Self::UnknownClient => ("unknown_client", OAuthErrorResponse::INVALID_CLIENT),
            Self::ClientAuthentication(_) => ("unauthenticated", OAuthErrorResponse::INVALID_CLIENT),
            Self::ClientKeysUnavailable => ("client_keys_unavailable", OAuthErrorResponse::UNAVAILABLE),
            Self::ClientKeysNotFetched => row("client_keys_not_fetched", InvalidGrant, NEITHER),
            Self::AssertionReplayed => ("assertion_replayed", OAuthErrorResponse::INVALID_CLIENT),
            Self::WeakerAuthentication => ("weaker_authentication", OAuthErrorResponse::INVALID_CLIENT),
            Self::UnknownCode => row("unknown_code", InvalidGrant, CODE),
            Self::UnknownGrant => row("unknown_grant", InvalidGrant, REFRESH_TOKEN),
            Self::ClientMismatch => row("another_client", InvalidGrant, REFRESH_TOKEN),
            Self::GrantRevoked => row("ended", InvalidGrant, REFRESH_TOKEN),
            Self::Code(CodeError::SecretMismatch) => row("another_code", InvalidGrant, CODE),
            Self::Code(CodeError::ClientMismatch) => row("another_client", InvalidGrant, CODE),
            Self::Code(CodeError::RedirectUriMismatch) => row("redirect_uri", InvalidGrant, CODE),
            Self::Code(CodeError::VerifierMismatch) => row("verifier", InvalidGrant, CODE),
            Self::Code(CodeError::Expired) => row("code_expired", InvalidGrant, CODE),
            Self::Code(CodeError::GrantRevoked) => row("ended", InvalidGrant, CODE),
            Self::Code(CodeError::Replayed) => row("code_replayed", InvalidGrant, CODE),
            Self::ConcurrentCodeUse => row("code_raced", InvalidGrant, CODE),
            Self::RefreshToken(state) => row(state.as_str(), InvalidGrant, REFRESH_TOKEN),
            Self::ConcurrentRotations => row("outrun", InvalidGrant, REFRESH_TOKEN),
            Self::TooManyRetries => ("too_many_retries", OAuthErrorResponse::TOO_MANY_RETRIES),
            Self::TooManySignatures(left) => ("too_many_signatures", OAuthErrorResponse::too_many(*left)),
            Self::GrantOver(RevocationReason::MembershipGone) => row("not_a_member", InvalidGrant, GRANT),
            Self::GrantOver(reason) => row(reason.as_str(), InvalidGrant, GRANT),
            Self::InvalidScope => row("scope", InvalidScope, SCOPE),
            Self::InvalidTarget => row("target", InvalidTarget, TARGET),
            Self::Upstream(_) => ("unavailable", OAuthErrorResponse::UNAVAILABLE),
        }
    }
}

impl From<ClientCredentialsError> for TokenError {
    fn from(error: ClientCredentialsError) -> Self {
        Self::ClientCredentials(error)
    }
}

impl From<ClientAuthenticationError> for TokenError {
    fn from(error: ClientAuthenticationError) -> Self {
        match error {
            ClientAuthenticationError::Credentials(error) => Self::ClientAuthentication(error),
            ClientAuthenticationError::KeysUnavailable => Self::ClientKeysUnavailable,
            ClientAuthenticationError::KeysNotFetched => Self::ClientKeysNotFetched,
            ClientAuthenticationError::Upstream(error) => Self::Upstream(error),
        }
    }
}

impl From<ClientWriteError> for TokenError {
    fn from(error: ClientWriteError) -> Self {
        match error {
            ClientWriteError::AssertionReplayed => Self::AssertionReplayed,
            ClientWriteError::Upstream(error) => Self::Upstream(error),
        }
    }
}
