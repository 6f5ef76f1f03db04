//! The errors of metadata documents.

use std::time::Duration;

use http::StatusCode;
use shared::oauth::redirect_uri::RedirectUriError;
use shared::outbound::OutboundError;
use thiserror::Error;

/// Why a document cannot be used. The page shows the text to the author of the document: of our network it says only
/// that an address is not public.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum DocumentError {
    #[error(
        "its address must be https, with a path, without query, fragment, user or dot segments, and in its normal form"
    )]
    Address,
    #[error("its host is not among those that are allowed here")]
    Host,
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The person is in no tenant, so there is nothing that they could connect.
    #[error("it is fetched for members of a workspace only")]
    NoMembership,
    /// A moment ago, the address gave nothing that can be used.
    #[error("it could not be used a moment ago, and is asked for again in a few minutes")]
    RetryLater,
    /// For this person, or from this host.
    #[error("it is not fetched now, as too many were within the hour")]
    TooManyFetches,
    #[error("its host did not answer with status 200")]
    Status(StatusCode),
    #[error("its content type is neither application/json nor application/…+json")]
    MediaType,
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it is not a JSON object")]
    NotJson,
    #[error("it has a member twice")]
    DuplicateMember,
    #[error("it is nested more than 8 deep")]
    TooDeep,
    #[error("its member {0} is missing or not of the right type")]
    Member(&'static str),
    #[error("its client_id is not its address")]
    ClientId,
    #[error("its redirect_uris are empty")]
    NoAddress,
    #[error("its redirect_uris cannot be used. {0}")]
    RedirectUri(#[from] RedirectUriError),
    #[error("it contains a secret or a private key")]
    Secret,
    #[error("its token_endpoint_auth_method is neither none nor private_key_jwt")]
    Authentication,
    #[error("its token_endpoint_auth_signing_alg is neither RS256 nor ES256")]
    SigningAlgorithm,
    #[error("it needs either jwks or jwks_uri for private_key_jwt")]
    KeySource,
    #[error("its jwks has no RSA key of 2048 bits or more and no P-256 key that signs")]
    NoKey,
    #[error("its jwks_uri cannot be used: {0}")]
    KeysUrl(OutboundError),
    #[error("its grant_types do not contain authorization_code")]
    GrantTypes,
    #[error("its response_types do not contain code")]
    ResponseTypes,
}

impl DocumentError {
    /// Whether the address was asked at all.
    pub(super) const fn is_of_a_fetch(self) -> bool {
        !matches!(self, Self::NoMembership | Self::RetryLater | Self::TooManyFetches)
    }

    /// How long the address is not asked again. A host that is busy soon has time; what is wrong is not set right as soon.
    pub(super) fn back_off(self) -> Duration {
        match self {
            Self::Outbound(OutboundError::TimedOut | OutboundError::ConnectTimedOut) => Duration::from_secs(30),
            Self::Status(status) if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                Duration::from_secs(30)
            }
            _ => Duration::from_mins(5),
        }
    }
}
