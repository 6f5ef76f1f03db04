//! How many access tokens are signed for a grant: each costs. They are counted by the hour on the grant's own item, in the write that
//! rotates and in the one that counts a retry.

use crate::clock::Timestamp;

/// The most in an hour: far more often than any client refreshes. Those that are being signed at one moment may be more.
pub const MAX_PER_HOUR: u32 = 240;

const HOUR: i64 = 3600;

/// Those of one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// The hour, counted since 1970.
    pub hour: i64,
    /// How many.
    pub count: u32,
}

impl Signatures {
    /// With one more, that is made at `now`: the first of an hour forgets those of the last.
    #[must_use]
    pub fn and_one(self, now: Timestamp) -> Self {
        let hour = now.seconds().div_euclid(HOUR);
        let count = if self.hour == hour { self.count } else { 0 };
        Self { hour, count: count.saturating_add(1) }
    }

    /// When there may be more, if there may be none now.
    #[must_use]
    pub fn used_up_until(self, now: Timestamp) -> Option<Timestamp> {
        let end = Timestamp::from_seconds((self.hour.saturating_add(1)).saturating_mul(HOUR));
        (self.and_one(now).count > MAX_PER_HOUR).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hour_has_240() {
        let (last, next) = (Timestamp::from_seconds(3 * HOUR - 1), Timestamp::from_seconds(3 * HOUR));
        let mut signatures = Signatures::default();
        for _ in 0..MAX_PER_HOUR {
            assert_eq!(signatures.used_up_until(last), None);
            signatures = signatures.and_one(last);
        }
        assert_eq!(signatures.used_up_until(last), Some(next));
        assert_eq!(signatures.used_up_until(next), None);
        assert_eq!(signatures.and_one(next), Signatures { hour: 3, count: 1 });
    }
}
