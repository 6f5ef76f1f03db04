//! A token bucket: so many requests at once, and some more in each period. A request that is refused costs nothing.

use std::time::Duration;

use crate::clock::Timestamp;

/// How many requests a bucket lets through.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// At once.
    pub burst: u32,
    /// In each period after that.
    pub refill: u32,
    /// Whole seconds.
    pub period: Duration,
}

/// What is left of a [`Limit`]. It never holds more than a burst, and never less than nothing.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    left: u32,
    refilled: Timestamp,
}

impl TokenBucket {
    /// One that nobody has taken from.
    #[must_use]
    pub const fn full(limit: Limit, now: Timestamp) -> Self {
        Self { left: limit.burst, refilled: now }
    }

    /// Takes one. False if none is left.
    pub fn try_take(&mut self, limit: Limit, now: Timestamp) -> bool {
        self.refill(limit, now);
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Puts one back that was taken.
    pub const fn put_back(&mut self, limit: Limit) {
        if self.left < limit.burst {
            self.left += 1;
        }
    }

    /// Whether it is as if nobody had taken from it.
    pub fn is_full(&mut self, limit: Limit, now: Timestamp) -> bool {
        self.refill(limit, now);
        self.left == limit.burst
    }

    fn refill(&mut self, limit: Limit, now: Timestamp) {
        let (passed, period) = (now.since(self.refilled).as_secs(), limit.period.as_secs().max(1));
        let periods = u32::try_from(passed / period).unwrap_or(u32::MAX);
        if periods > 0 {
            self.left = self.left.saturating_add(periods.saturating_mul(limit.refill)).min(limit.burst);
            self.refilled = now.minus(Duration::from_secs(passed % period));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);
    const LIMIT: Limit = Limit { burst: 3, refill: 1, period: Duration::from_secs(10) };

    fn after(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    /// Whoever asks four hundred times is let in again as soon as whoever asks four times.
    #[test]
    fn refused_request_costs_nothing() {
        for refused in [1, 400] {
            let mut bucket = TokenBucket::full(LIMIT, NOW);
            let taken = (0..3 + refused).filter(|_| bucket.try_take(LIMIT, NOW)).count();
            assert_eq!(taken, 3);
            assert!(!bucket.try_take(LIMIT, after(9)));
            assert!(bucket.try_take(LIMIT, after(10)));
            assert!(!bucket.try_take(LIMIT, after(19)), "the part of a period that has passed counts for the next");
            assert!(bucket.try_take(LIMIT, after(20)));
        }
    }

    #[test]
    fn bucket_is_capped() {
        let mut bucket = TokenBucket::full(LIMIT, NOW);
        assert!(bucket.try_take(LIMIT, NOW) && !bucket.is_full(LIMIT, NOW));
        bucket.put_back(LIMIT);
        bucket.put_back(LIMIT);
        assert!(bucket.is_full(LIMIT, NOW));
        assert_eq!((0..9).filter(|_| bucket.try_take(LIMIT, after(1_000_000))).count(), 3);
        // A clock that is set back refills nothing.
        assert!(!bucket.try_take(LIMIT, NOW));
    }
}
