//! Every way in which registration says no.

use shared::fault::Fault;
use shared::http::told::Told;
use shared::oauth::error::Code;
use thiserror::Error;

/// Why, for our log.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("not a JSON object of client metadata")]
    NotJson,
    #[error("larger than 8 KB")]
    TooLarge,
    #[error("no redirect addresses, or too many")]
    NumberOfAddresses,
    #[error("a redirect address that is neither https nor loopback")]
    Address,
    #[error("a name that is too long or has control or invisible characters")]
    Name,
    #[error("grant_types without authorization_code")]
    GrantTypes,
    #[error("response_types without code")]
    ResponseTypes,
    #[error("a client that an operator blocked")]
    Blocked,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Refusal {
    /// What the client is told (RFC 7591 §3.2.2).
    pub(crate) fn told(&self) -> Told {
        match self {
            Self::NotJson => {
                Told::new(Code::InvalidClientMetadata, "The body must be a JSON object of client metadata.")
            }
            Self::TooLarge => Told::too_large(Code::InvalidClientMetadata, "The metadata is larger than 8 KB."),
            Self::NumberOfAddresses => Told::new(Code::InvalidRedirectUri, "Give 1 to 16 redirect_uris."),
            Self::Address => {
                Told::new(Code::InvalidRedirectUri, "Each of redirect_uris must be https, or http on a loopback host.")
            }
            Self::Name => Told::new(
                Code::InvalidClientMetadata,
                "client_name may have 100 characters, none of them control or invisible characters.",
            ),
            Self::GrantTypes => Told::new(Code::InvalidClientMetadata, "grant_types must contain authorization_code."),
            Self::ResponseTypes => Told::new(Code::InvalidClientMetadata, "response_types must contain code."),
            Self::Blocked => Told::new(
                Code::InvalidClientMetadata,
                "This client is blocked here. Those who run the service can tell why.",
            ),
            Self::Fault(_) => Told::UNAVAILABLE,
        }
    }
}
