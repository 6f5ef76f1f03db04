//! The errors of metadata documents.

use shared::oauth::redirect_uri::RedirectUriError;
use shared::outbound::OutboundError;
use thiserror::Error;

/// Why a document cannot be used. The page shows the text to the author of the document: of our network it says only
/// that an address is not public.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum DocumentError {
    #[error("its address must be https, with a path, without fragment, user or dot segments, and in its normal form")]
    Address,
    #[error("its host is not among those that are allowed here")]
    Host,
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("its host did not answer with status 200")]
    Status,
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
