//! A challenge for a second factor, until a code answers it.

use uuid::Uuid;

/// A factor that was asked for.
pub(super) struct MfaChallenge {
    pub(super) factor: Uuid,
    /// Who asked.
    pub(super) address: Option<String>,
    pub(super) verified: bool,
    /// Unix seconds.
    pub(super) expires_at: i64,
}
