//! Tokens that Supabase verified a moment ago: there is a session, and no factor of its person is left to be shown.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::supabase::Bearer;
use crate::clock::Timestamp;
use crate::oauth::secret::Digest;

/// Their digests, newest last.
#[derive(Default)]
pub(super) struct VerifiedTokens(Mutex<VecDeque<(Digest, Timestamp)>>);

impl VerifiedTokens {
    /// How long a word counts: a sign-out shows after this.
    const TTL: Duration = Duration::from_mins(1);
    /// More than one process sees within that.
    const CAPACITY: usize = 64;

    pub(super) fn contains(&self, token: &Bearer, now: Timestamp) -> bool {
        let digest = Digest::of(token.expose().as_bytes());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|(other, at)| now.since(*at) < Self::TTL && digest.matches(other))
    }

    pub(super) fn insert(&self, token: &Bearer, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == Self::CAPACITY {
            known.pop_front();
        }
        known.push_back((Digest::of(token.expose().as_bytes()), now));
    }
}
