//! The error codes of OAuth. The reasons belong to the endpoints.

use serde::Serialize;

/// An error code of OAuth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// RFC 6749 §4.1.2.1.
    AccessDenied,
    /// RFC 6749 §5.2. At the token endpoint with 401: Claude then registers again.
    InvalidClient,
    /// RFC 7591 §3.2.2.
    InvalidClientMetadata,
    /// RFC 6749 §5.2. The person is asked again.
    InvalidGrant,
    /// RFC 7591 §3.2.2.
    InvalidRedirectUri,
    /// RFC 6749 §5.2.
    InvalidRequest,
    /// RFC 6749 §5.2.
    InvalidScope,
    /// RFC 8707 §2.
    InvalidTarget,
    /// RFC 6749 §4.1.2.1.
    TemporarilyUnavailable,
    /// RFC 6749 §5.2.
    UnauthorizedClient,
    /// RFC 6749 §5.2.
    UnsupportedGrantType,
    /// RFC 6749 §4.1.2.1.
    UnsupportedResponseType,
    /// RFC 7009 §2.2.1.
    UnsupportedTokenType,
}

impl ErrorCode {
    /// As it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InvalidClient => "invalid_client",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnsupportedTokenType => "unsupported_token_type",
        }
    }

    /// The JSON body of an error (RFC 6749 §5.2), with a fixed sentence.
    #[must_use]
    pub const fn body(self, description: &'static str) -> ErrorBody {
        ErrorBody { error: self.as_str(), error_description: description }
    }
}

/// `{"error": …, "error_description": …}`.
#[derive(Debug, Serialize)]
pub struct ErrorBody {
    error: &'static str,
    error_description: &'static str,
}
