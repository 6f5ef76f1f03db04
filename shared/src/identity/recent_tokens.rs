//! Tokens about which Supabase was asked a moment ago: those of a session whose person has verified every factor, and those that it
//! did not know.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::supabase::Bearer;
use crate::clock::Timestamp;
use crate::oauth::secret::Digest;

/// Their digests, newest last.
#[derive(Default)]
pub(super) struct RecentTokens(Mutex<VecDeque<(Digest, Timestamp)>>);

impl RecentTokens {
    /// How long the answer counts. A sign-out takes effect after this.
    const TTL: Duration = Duration::from_mins(1);
    /// More tokens than one process sees within that time.
    const CAPACITY: usize = 64;

    pub(super) fn contains(&self, token: &Bearer, now: Timestamp) -> bool {
        let digest = Digest::of(token.expose().as_bytes());
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().any(|(other, at)| now.since(*at) < Self::TTL && digest.matches(other))
    }

    pub(super) fn insert(&self, token: &Bearer, now: Timestamp) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == Self::CAPACITY {
            recent.pop_front();
        }
        recent.push_back((Digest::of(token.expose().as_bytes()), now));
    }
}
