//! Tells Supabase where a person comes from (`Sb-Forwarded-For`), so that it limits each by their own address, and not all by ours.
//!
//! Supabase believes that of a holder of a secret key alone, in a project that has "IP address forwarding" switched on. Such a key opens
//! the whole project, so it is in no variable: it is read from Secrets Manager, and kept for minutes. Without it people sign in as
//! those of other deployments do.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;

use crate::clock::{Clock, Timestamp};
use crate::environment::Environment;
use crate::stored_secret::StoredSecret;
use crate::telemetry::request_context::RequestContext;

/// How every secret key of a project begins.
pub(super) const SECRET_KEY_PREFIX: &str = "sb_secret_";

/// The secret key, as long as it is kept.
pub(super) struct AddressForwarding {
    secret: StoredSecret,
    clock: Clock,
    kept: Mutex<Option<KeptKey>>,
}

struct KeptKey {
    /// None if it could not be read, or Supabase does not take it.
    key: Option<HeaderValue>,
    until: Timestamp,
}

/// What a call with an address has in place of the publishable key.
pub(super) struct Forwarded {
    pub(super) key: HeaderValue,
    pub(super) address: IpAddr,
}

impl AddressForwarding {
    /// A key that was replaced counts after this long.
    const KEPT: Duration = Duration::from_mins(5);
    /// Where there is none, Secrets Manager is not called for each person.
    const BACKOFF: Duration = Duration::from_secs(30);

    /// From `FORWARDING_SECRET`, if it is set. Makes no call.
    pub(super) fn new(environment: &Environment) -> Option<Self> {
        let secret = environment.stored_secret("FORWARDING_SECRET")?;
        Some(Self { secret, clock: environment.clock(), kept: Mutex::default() })
    }

    /// For a call that the current request makes. Nothing where its address is not known, or there is no key now.
    pub(super) async fn of_current_request(&self) -> Option<Forwarded> {
        let address = RequestContext::current()?.subscriber()?;
        Some(Forwarded { key: self.key().await?, address })
    }

    async fn key(&self) -> Option<HeaderValue> {
        let now = self.clock.now();
        if let Some(kept) = &*self.kept.lock().unwrap_or_else(PoisonError::into_inner)
            && now < kept.until
        {
            return kept.key.clone();
        }
        match self.secret.fetch(SECRET_KEY_PREFIX).await {
            Ok(key) => self.keep(Some(key), now.plus(Self::KEPT)),
            Err(error) => {
                tracing::warn!(%error, "people sign in without their address: the secret key cannot be read");
                self.keep(None, now.plus(Self::BACKOFF))
            }
        }
    }

    /// Supabase did not take the key. A new one may be in Secrets Manager by now.
    pub(super) fn refused(&self) {
        tracing::warn!("people sign in without their address: Supabase does not take the secret key");
        self.keep(None, self.clock.now().plus(Self::BACKOFF));
    }

    fn keep(&self, key: Option<HeaderValue>, until: Timestamp) -> Option<HeaderValue> {
        let kept = KeptKey { key: key.clone(), until };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        key
    }
}
