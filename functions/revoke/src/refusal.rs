//! Every way in which revocation says no.

use shared::fault::Fault;
use shared::http::credentials::Unnamed;
use shared::http::parameters::Malformed;
use shared::http::told::Told;
use shared::oauth::client::Unauthenticated;
use shared::oauth::error::Code;
use thiserror::Error;

/// Why, for our log.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("the client is not named: {0:?}")]
    Unnamed(Unnamed),
    #[error("token is missing")]
    MissingToken,
    #[error("an API key")]
    ApiKey,
    #[error("unknown client")]
    UnknownClient,
    #[error("the client did not prove itself")]
    Unauthenticated,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Refusal {
    /// What the client is told (RFC 7009 §2.2.1).
    pub(crate) fn told(&self) -> Told {
        match self {
            Self::Malformed(malformed) => (*malformed).into(),
            Self::Unnamed(unnamed) => (*unnamed).into(),
            Self::MissingToken => Told::new(Code::InvalidRequest, "token is missing."),
            Self::ApiKey => Told::new(Code::UnsupportedTokenType, "An API key is revoked where it was made."),
            Self::UnknownClient | Self::Unauthenticated => Told::INVALID_CLIENT,
            Self::Fault(_) => Told::UNAVAILABLE,
        }
    }
}

impl From<Unnamed> for Refusal {
    fn from(unnamed: Unnamed) -> Self {
        Self::Unnamed(unnamed)
    }
}

impl From<Unauthenticated> for Refusal {
    fn from(_: Unauthenticated) -> Self {
        Self::Unauthenticated
    }
}
