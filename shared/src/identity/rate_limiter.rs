//! Limits how often tokens that nobody has proven make one process ask Supabase.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::token_bucket::{Limit, TokenBucket};

/// The limits on questions about such tokens.
pub(super) struct RateLimiter(Mutex<Buckets>);

struct Buckets {
    all: TokenBucket,
    doubtful: TokenBucket,
}

impl RateLimiter {
    /// Of all questions.
    const ALL: Limit = Limit { burst: 5, refill: 5, period: Duration::from_secs(1) };
    /// Of those about tokens that the project probably did not sign.
    const DOUBTFUL: Limit = Limit { burst: 1, refill: 1, period: Duration::from_secs(1) };

    /// Whether one more question may be asked at `now`. A question that may not costs nothing.
    pub(super) fn try_acquire(&self, doubtful: bool, now: Timestamp) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if doubtful && !buckets.doubtful.try_take(Self::DOUBTFUL, now) {
            return false;
        }
        let allowed = buckets.all.try_take(Self::ALL, now);
        if doubtful && !allowed {
            buckets.doubtful.put_back(Self::DOUBTFUL);
        }
        allowed
    }
}

impl Default for RateLimiter {
    fn default() -> Self {
        let long_ago = Timestamp::from_seconds(0);
        let (all, doubtful) = (TokenBucket::full(Self::ALL, long_ago), TokenBucket::full(Self::DOUBTFUL, long_ago));
        Self(Mutex::new(Buckets { all, doubtful }))
    }
}
