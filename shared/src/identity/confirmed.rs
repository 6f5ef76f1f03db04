//! Tokens that Supabase vouched for a moment ago: there is a session, and no factor of its person is left to be shown.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::supabase::Bearer;
use crate::clock::Timestamp;
use crate::oauth::secret::Digest;

/// Their digests, newest last.
#[derive(Default)]
pub(super) struct Confirmed(Mutex<VecDeque<(Digest, Timestamp)>>);

impl Confirmed {
    /// How long a word counts: a sign-out shows after this.
    const LIFE: Duration = Duration::from_mins(1);
    /// More than one process sees within that.
    const MOST: usize = 64;

    pub(super) fn knows(&self, token: &Bearer, now: Timestamp) -> bool {
        let digest = Digest::of(token.expose().as_bytes());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|(other, at)| now.since(*at) < Self::LIFE && digest.matches(other))
    }

    pub(super) fn remember(&self, token: &Bearer, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == Self::MOST {
            known.pop_front();
        }
        known.push_back((Digest::of(token.expose().as_bytes()), now));
    }
}
