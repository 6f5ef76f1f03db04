//! Attempts that come to nothing, by where they come from. Supabase counts what we ask by our address, for everybody together: 30 at
//! once and one in two seconds. Whoever only tries may not use that up.
//!
//! It is known to one process, so it holds off one place, not many at once; and whoever signs in is not counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::clock::Timestamp;
use shared::trail::Trail;

use crate::declined::Declined;
use crate::refusal::Refusal;

/// How many there were of late, and as of when.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<HashMap<IpAddr, (u64, Timestamp)>>);

impl Attempts {
    /// So many at once.
    const MOST: u64 = 20;
    /// Seconds after which one is forgotten: an address gets two fifths of what Supabase lets through.
    const FORGOTTEN: u64 = 5;
    /// Addresses: more than one process sees in that time.
    const PLACES: usize = 4096;

    /// What comes of `attempt`, unless its place has tried too often.
    pub(crate) async fn of<T>(
        &self,
        attempt: impl Future<Output = Result<T, Refusal>>,
        now: Timestamp,
    ) -> Result<T, Refusal> {
        let place = place();
        if place.is_some_and(|place| self.lately(place, now) >= Self::MOST) {
            return Err(Declined::TooMany.into());
        }
        let outcome = attempt.await;
        if let (Some(place), Err(Refusal::Declined(_) | Refusal::Hook(_) | Refusal::Captcha(_))) = (place, &outcome) {
            self.count(place, now);
        }
        outcome
    }

    /// One from the place of this request.
    pub(crate) fn count_this(&self, now: Timestamp) {
        if let Some(place) = place() {
            self.count(place, now);
        }
    }

    fn lately(&self, place: IpAddr, now: Timestamp) -> u64 {
        self.known().get(&place).map_or(0, |known| left(*known, now))
    }

    fn count(&self, place: IpAddr, now: Timestamp) {
        let lately = self.lately(place, now);
        let mut known = self.known();
        if known.len() >= Self::PLACES {
            known.retain(|_, known| left(*known, now) > 0);
        }
        // From so many places at once, those that come later are not held off.
        if known.len() < Self::PLACES || known.contains_key(&place) {
            known.insert(place, (lately + 1, now));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, (u64, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left((count, at): (u64, Timestamp), now: Timestamp) -> u64 {
    count.saturating_sub(now.since(at).as_secs() / Attempts::FORGOTTEN)
}

/// Where the request comes from, as API Gateway saw it: an address, or the network that is one subscriber's (RFC 6177 §2).
fn place() -> Option<IpAddr> {
    Some(match Trail::current()?.ip()?.parse().ok()? {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    })
}
