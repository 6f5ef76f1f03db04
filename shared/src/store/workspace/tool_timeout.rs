//! How long a tool that a tenant serves may take.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::clock::Deadline;

/// What the function that calls a tool needs afterwards, to record how the call ended and to answer: the longest that a call to AWS
/// takes.
const RESERVE: Duration = Duration::from_secs(2);

/// How long a tool may take, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolTimeout(u64);

impl ToolTimeout {
    /// What there may be, in seconds: API Gateway times out at 30.
    pub const SECONDS: RangeInclusive<u64> = 1..=25;
    /// Of a tool whose author says nothing.
    pub const DEFAULT: Self = Self(10);

    /// From [`Self::SECONDS`]; none for another number.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        Self::SECONDS.contains(&seconds).then_some(Self(seconds))
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// How long a call may take in a function that ends at `deadline`: less than this, if else nothing would be left of the function's
    /// time for what comes after the call. None if nothing is left already.
    #[must_use]
    pub fn within(self, deadline: &Deadline) -> Option<Duration> {
        let left = deadline.left().saturating_sub(RESERVE);
        (!left.is_zero()).then(|| Duration::from_secs(self.0).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_has_1_to_25_seconds() {
        for (seconds, allowed) in [(0, false), (1, true), (25, true), (26, false)] {
            assert_eq!(ToolTimeout::from_seconds(seconds).map(ToolTimeout::seconds), allowed.then_some(seconds));
        }
    }

    #[test]
    fn call_ends_two_seconds_before_the_function() {
        let timeout = ToolTimeout::from_seconds(10).unwrap();
        let within = |left| timeout.within(&Deadline::after(Duration::from_millis(left)));
        assert_eq!(within(29_000), Some(Duration::from_secs(10)));
        let shortened = within(8_000).unwrap();
        assert!(shortened <= Duration::from_secs(6) && shortened > Duration::from_secs(5), "{shortened:?}");
        assert_eq!(within(2_000), None);
    }
}
