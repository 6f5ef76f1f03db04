//! What stands in front of a local system, and shows it at an origin of its own.

use crate::public_url::PublicUrl;

/// What clients reach in place of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Front {
    /// Nothing: they reach the gateway.
    #[default]
    Nothing,
    /// A proxy at this origin. It passes on what is below `AdminPath` and `AuthPath` to what is below `/admin` and `/auth`, as the
    /// gateway does by itself otherwise.
    Proxy(String),
    /// A tunnel, by which everybody on the internet reaches it.
    Tunnel(PublicUrl),
}

impl Front {
    /// Its origin, which is the issuer of the system.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Proxy(origin) => Some(origin),
            Self::Tunnel(url) => Some(url.origin()),
        }
    }

    /// The address on the internet, if there is one.
    #[must_use]
    pub const fn public_url(&self) -> Option<&PublicUrl> {
        match self {
            Self::Tunnel(url) => Some(url),
            Self::Nothing | Self::Proxy(_) => None,
        }
    }
}
