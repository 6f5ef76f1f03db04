//! Limits how often requests without a verified session can make us call Supabase.

use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;

/// Counts the lookups of the current second, in one process.
#[derive(Default)]
pub(super) struct RateLimiter(Mutex<(i64, u32)>);

impl RateLimiter {
    const PER_SECOND: u32 = 5;

    /// Whether one more is allowed at `now`.
    pub(super) fn try_acquire(&self, now: Timestamp) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.0 != now.seconds() {
            *counted = (now.seconds(), 0);
        }
        counted.1 = counted.1.saturating_add(1);
        counted.1 <= Self::PER_SECOND
    }
}
