//! The keys that a client signs its assertions with (RFC 7591 §2: `jwks` and `jwks_uri`).

use std::time::Duration;

use crate::clock::Timestamp;
use crate::jwk::{Jwk, JwkSet, SigningAlgorithm};

/// The keys of a client.
#[derive(Clone, Debug)]
pub struct ClientKeys {
    /// Where they are.
    pub source: KeySource,
    /// The only algorithm that it signs with, if it said so (`token_endpoint_auth_signing_alg`).
    pub algorithm: Option<SigningAlgorithm>,
}

/// Where the keys of a client are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In its metadata.
    Inline(JwkSet),
    /// At an address.
    Remote(RemoteJwks),
}

/// A key set at an address, and what is known of it.
#[derive(Clone, Debug)]
pub struct RemoteJwks {
    /// Its address.
    pub uri: String,
    /// The set as last fetched.
    pub cached: Option<CachedJwks>,
    /// When somebody began to fetch it, if that failed, goes on, or was for a key that nobody knew.
    pub tried: Option<Timestamp>,
}

/// A key set as it was fetched.
#[derive(Clone, Debug)]
pub struct CachedJwks {
    /// The set.
    pub set: JwkSet,
    /// When.
    pub fetched: Timestamp,
}

impl ClientKeys {
    /// Those that can be used now, without fetching any.
    pub fn usable(&self, now: Timestamp) -> impl Iterator<Item = &Jwk> {
        let set = match &self.source {
            KeySource::Inline(set) => Some(set),
            KeySource::Remote(remote) => remote.usable(now).map(|cached| &cached.set),
        };
        let keys = set.map_or_else(Default::default, JwkSet::keys);
        keys.iter().filter(|key| self.algorithm.is_none_or(|algorithm| algorithm == key.algorithm()))
    }
}

impl RemoteJwks {
    /// A key that was withdrawn counts for as long.
    const FRESH: Duration = Duration::from_hours(1);
    /// How long old keys count while new ones cannot be fetched.
    const STALE: Duration = Duration::from_hours(24);
    /// The least time between two fetches for keys that nobody knows, which anybody can name, and after one that failed.
    const PAUSE: Duration = Duration::from_mins(1);
    /// The same while there is no key at all: a code must not expire in between.
    const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(5);

    /// A set that nobody has fetched.
    #[must_use]
    pub const fn new(uri: String) -> Self {
        Self { uri, cached: None, tried: None }
    }

    /// Whether anything is known of it.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.cached.is_some() || self.tried.is_some()
    }

    /// Whether it should be fetched before anything is verified.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.cached.as_ref().is_none_or(|cached| now.since(cached.fetched) >= Self::FRESH)
    }

    /// Whether it may be fetched.
    #[must_use]
    pub fn may_be_fetched(&self, now: Timestamp) -> bool {
        let pause = if self.usable(now).is_some() { Self::PAUSE } else { Self::PAUSE_WITHOUT_KEYS };
        self.tried.is_none_or(|tried| now.since(tried) >= pause)
    }

    /// Whether the last attempt to fetch it succeeded. If not, nobody knows whether there is another key by now.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.usable(now).is_some_and(|cached| self.tried.is_none_or(|tried| cached.fetched >= tried))
    }

    fn usable(&self, now: Timestamp) -> Option<&CachedJwks> {
        self.cached.as_ref().filter(|cached| now.since(cached.fetched) < Self::STALE)
    }
}
