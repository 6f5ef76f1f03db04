//! Limits failed attempts to sign in, by the address that they come from. Supabase counts what we ask by our address, for everybody together: 30 at
//! once and one in two seconds. Whoever only tries may not use that up.
//!
//! It is known to one process, so it holds off one address, not many at once; and whoever signs in is not counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::clock::Timestamp;
use shared::request_context::RequestContext;

use crate::error::LoginError;
use crate::supabase_error::SupabaseError;

/// How many there were of late, and as of when.
#[derive(Default)]
pub(crate) struct RateLimiter(Mutex<HashMap<IpAddr, (u64, Timestamp)>>);

impl RateLimiter {
    /// So many at once.
    const MAX_ATTEMPTS: u64 = 20;
    /// Seconds after which one is forgotten: an address gets two fifths of what Supabase lets through.
    const SECONDS_PER_ATTEMPT: u64 = 5;
    /// Addresses: more than one process sees in that time.
    const MAX_ADDRESSES: usize = 4096;

    /// The result of `attempt`, or `RateLimited` if its address has failed too often.
    pub(crate) async fn limit<T>(
        &self,
        attempt: impl Future<Output = Result<T, LoginError>>,
        now: Timestamp,
    ) -> Result<T, LoginError> {
        let address = address();
        if address.is_some_and(|address| self.recent_count(address, now) >= Self::MAX_ATTEMPTS) {
            return Err(SupabaseError::RateLimited.into());
        }
        let outcome = attempt.await;
        if let (Some(address), Err(LoginError::Supabase(_) | LoginError::Hook(_) | LoginError::Captcha(_))) =
            (address, &outcome)
        {
            self.count(address, now);
        }
        outcome
    }

    /// One from the address of this request.
    pub(crate) fn count_request(&self, now: Timestamp) {
        if let Some(address) = address() {
            self.count(address, now);
        }
    }

    fn recent_count(&self, address: IpAddr, now: Timestamp) -> u64 {
        self.known().get(&address).map_or(0, |known| remaining(*known, now))
    }

    fn count(&self, address: IpAddr, now: Timestamp) {
        let recent_count = self.recent_count(address, now);
        let mut known = self.known();
        if known.len() >= Self::MAX_ADDRESSES {
            known.retain(|_, known| remaining(*known, now) > 0);
        }
        // From so many places at once, those that come later are not held off.
        if known.len() < Self::MAX_ADDRESSES || known.contains_key(&address) {
            known.insert(address, (recent_count + 1, now));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, (u64, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remaining((count, at): (u64, Timestamp), now: Timestamp) -> u64 {
    count.saturating_sub(now.since(at).as_secs() / RateLimiter::SECONDS_PER_ATTEMPT)
}

/// Where the request comes from, as API Gateway saw it: an address, or the network that is one subscriber's (RFC 6177 §2).
fn address() -> Option<IpAddr> {
    Some(match RequestContext::current()?.ip()?.parse().ok()? {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    })
}
