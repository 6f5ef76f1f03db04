//! Limits failed attempts to sign in, by IP address. Supabase limits our requests by our own address, for all people
//! together: 30 at once and one in two seconds. One attacker must not use up that limit.
//!
//! Each process counts for itself, so the limiter stops an attack from one address, not from many at once. A
//! successful sign-in is not counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::clock::Timestamp;
use shared::telemetry::request_context::RequestContext;

use crate::error::LoginError;
use crate::supabase_error::SupabaseError;

/// The recent failed attempts by address: how many, and when they were counted.
#[derive(Default)]
pub(crate) struct RateLimiter(Mutex<HashMap<IpAddr, (u64, Timestamp)>>);

impl RateLimiter {
    /// How many attempts are allowed at once.
    const MAX_ATTEMPTS: u64 = 20;
    /// Seconds after which one attempt is forgotten. So one address gets two fifths of Supabase's limit.
    const SECONDS_PER_ATTEMPT: u64 = 5;
    /// The most addresses. One process sees fewer in that time.
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

    /// Counts an attempt from the address of this request.
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
        // If the table is full, further addresses are not limited.
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

/// The source of the request, as API Gateway saw it: an IPv4 address, or the IPv6 network of one subscriber (RFC 6177 §2).
fn address() -> Option<IpAddr> {
    Some(match RequestContext::current()?.ip()?.parse().ok()? {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    })
}
