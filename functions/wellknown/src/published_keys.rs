//! The public keys of one issuer.

use serde::Serialize;
use shared::signing_keys::keyring::{Jwk, Keyring};
use shared::upstream_error::UpstreamError;
use tokio::sync::OnceCell;

/// A key set, fetched once, by the first request for it. Other requests do not wait for KMS.
pub(crate) struct PublishedKeys {
    keyring: Keyring,
    keys: OnceCell<JwkSet>,
}

/// A JWK set (RFC 7517 §5).
#[derive(Serialize)]
pub(crate) struct JwkSet {
    keys: Vec<Jwk>,
}

impl PublishedKeys {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self { keyring, keys: OnceCell::new() }
    }

    /// The set.
    ///
    /// # Errors
    /// When KMS does not give a key.
    pub(crate) async fn fetch(&self) -> Result<&JwkSet, UpstreamError> {
        let keys = self.keys.get_or_try_init(async || {
            let keys = self.keyring.fetch().await?;
            Ok(JwkSet { keys: keys.iter().map(|key| key.jwk.clone()).collect() })
        });
        keys.await
    }
}
