//! Tokens that Supabase verified a moment ago: there is a session, and its person has verified every factor.

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
    /// How long a verification counts. A sign-out takes effect after this.
    const TTL: Duration = Duration::from_mins(1);
    /// More tokens than one process sees within that time.
    const CAPACITY: usize = 64;

    pub(super) fn contains(&self, token: &Bearer, now: Timestamp) -> bool {
        let digest = Digest::of(token.expose().as_bytes());
        let verified = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        verified.iter().any(|(other, at)| now.since(*at) < Self::TTL && digest.matches(other))
    }

    pub(super) fn insert(&self, token: &Bearer, now: Timestamp) {
        let mut verified = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() == Self::CAPACITY {
            verified.pop_front();
        }
        verified.push_back((Digest::of(token.expose().as_bytes()), now));
    }
}
