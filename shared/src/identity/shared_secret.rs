//! Whether the project signs tokens with a shared secret (HMAC). Only Supabase can verify those, and anybody can make up one that
//! looks alike.
//!
//! The published keys do not say it: a key that is not in use yet is published while the secret still signs.

use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::environment::{ConfigError, Environment};
use crate::store::clients::Clients;
use crate::store::shared_secret::{NOTED_FOR, VOUCHED_FOR};

/// What is known of it.
pub(super) enum SharedSecret {
    /// It signs. Supabase is asked about such tokens.
    Used,
    /// It signs nothing. No such token counts, and nobody is asked.
    Unused,
    /// Nobody said it. It signs as long as Supabase vouched for such a token a day ago at most.
    Unknown(Vouching),
}

/// When Supabase last vouched for such a token.
pub(super) struct Vouching {
    clients: Clients,
    last: Mutex<LastVouched>,
}

#[derive(Default)]
struct LastVouched {
    /// Whether the table was read. It is read once.
    read: bool,
    vouched: Option<Timestamp>,
    /// What the table has, or what was last written to it.
    noted: Option<Timestamp>,
}

impl SharedSecret {
    /// From `SUPABASE_SHARED_SECRET` (`yes`, `no`, or `auto`, which is the default), and for the last one `TABLE_CLIENTS`.
    pub(super) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        match environment.optional("SUPABASE_SHARED_SECRET").as_deref() {
            Some("yes") => Ok(Self::Used),
            Some("no") => Ok(Self::Unused),
            None | Some("auto") => {
                Ok(Self::Unknown(Vouching { clients: environment.clients()?, last: Mutex::default() }))
            }
            Some(_) => Err(ConfigError::Unusable("SUPABASE_SHARED_SECRET", "yes, no or auto")),
        }
    }

    /// Whether no such token counts.
    pub(super) const fn is_unused(&self) -> bool {
        matches!(self, Self::Unused)
    }

    /// Whether a token of it is probably made up.
    pub(super) async fn is_doubtful(&self, now: Timestamp) -> bool {
        match self {
            Self::Used => false,
            Self::Unused => true,
            Self::Unknown(vouching) => !vouching.is_recent(now).await,
        }
    }

    /// Remembers that Supabase vouched for a token of it at `now`.
    pub(super) async fn vouch(&self, now: Timestamp) {
        if let Self::Unknown(vouching) = self {
            vouching.record(now).await;
        }
    }
}

impl Vouching {
    async fn is_recent(&self, now: Timestamp) -> bool {
        let mut last = self.last.lock().await;
        if !last.read {
            match self.clients.shared_secret_vouched().await {
                Ok(vouched) => {
                    last.read = true;
                    last.noted = last.noted.max(vouched);
                    last.vouched = last.vouched.max(vouched);
                }
                Err(error) => tracing::warn!(%error, "not read when Supabase vouched for its shared secret"),
            }
        }
        last.vouched.is_some_and(|vouched| now.since(vouched) < VOUCHED_FOR)
    }

    async fn record(&self, now: Timestamp) {
        let mut last = self.last.lock().await;
        last.vouched = Some(now);
        if last.noted.is_some_and(|noted| now.since(noted) < NOTED_FOR) {
            return;
        }
        // Also after a failure: the next hour has another try, and the session does not wait for it.
        last.noted = Some(now);
        if let Err(error) = self.clients.note_shared_secret(now).await {
            tracing::warn!(%error, "not noted that Supabase vouched for its shared secret");
        }
    }
}
