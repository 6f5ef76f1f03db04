//! How long a new API key works. Every way to make one asks here: the console, its API and `amble`.

use std::time::Duration;

use crate::clock::Timestamp;

const DAY: Duration = Duration::from_hours(24);

/// How long a key works: a span of at most [`Self::MAX_DAYS`], or until somebody revokes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLifetime(Option<Duration>);

/// When a key ends by itself. Only a [`KeyLifetime`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExpiry(Option<Timestamp>);

impl KeyLifetime {
    /// The longest span, in days.
    pub const MAX_DAYS: u64 = 3650;

    /// Until somebody revokes it.
    pub const UNTIL_REVOKED: Self = Self(None);

    /// What the console offers, as text and as people read it.
    pub const CHOICES: [(&str, &str); 5] = [
        ("7", "7 days"),
        ("30", "30 days"),
        ("90", "90 days"),
        ("365", "a year"),
        (Self::NEVER, "until it is revoked"),
    ];

    /// The choice that is made at first.
    pub const DEFAULT_CHOICE: &str = "90";

    const NEVER: &str = "never";

    /// One of [`Self::CHOICES`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match Self::CHOICES.iter().find(|(choice, _)| *choice == text)? {
            (Self::NEVER, _) => Some(Self::UNTIL_REVOKED),
            (days, _) => Self::of_days(days.parse().ok()?),
        }
    }

    /// As [`Self::parse`] reads it, of one of [`Self::CHOICES`].
    #[must_use]
    pub fn to_text(self) -> String {
        self.0.map_or_else(|| Self::NEVER.to_owned(), |span| (span.as_secs() / DAY.as_secs()).to_string())
    }

    /// So many days: none if no key may work for so long, or for so short.
    #[must_use]
    pub fn of_days(days: u64) -> Option<Self> {
        Self::of_span(Duration::from_secs(days.checked_mul(DAY.as_secs())?))
    }

    /// A span: none if no key may work for so long, or for so short.
    #[must_use]
    pub fn of_span(span: Duration) -> Option<Self> {
        // A time is kept in whole seconds.
        let seconds = span.as_secs();
        (1..=Self::MAX_DAYS * DAY.as_secs()).contains(&seconds).then(|| Self(Some(Duration::from_secs(seconds))))
    }

    /// When a key ends that works from `start` on.
    #[must_use]
    pub fn expiry(self, start: Timestamp) -> KeyExpiry {
        KeyExpiry(self.0.map(|span| start.plus(span)))
    }
}

impl KeyExpiry {
    /// The same, or `latest` if that is sooner.
    #[must_use]
    pub fn at_most(self, latest: Option<Timestamp>) -> Self {
        Self(self.0.into_iter().chain(latest).min())
    }

    /// The time; none if the key works until it is revoked.
    #[must_use]
    pub const fn time(self) -> Option<Timestamp> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_works_for_ten_years_at_most() {
        let start = Timestamp::from_seconds(1_795_000_000);
        for (days, end) in [(0, None), (1, Some(86_400)), (3650, Some(315_360_000)), (3651, None), (u64::MAX, None)] {
            let expiry = KeyLifetime::of_days(days).map(|lifetime| lifetime.expiry(start));
            assert_eq!(expiry.and_then(KeyExpiry::time), end.map(|end| start.plus(Duration::from_secs(end))), "{days}");
        }
        assert_eq!(KeyLifetime::of_span(Duration::ZERO), None);
    }

    #[test]
    fn choices_of_the_console_are_spans_or_no_end() {
        let start = Timestamp::from_seconds(0);
        let ends = KeyLifetime::CHOICES.map(|(choice, _)| {
            let lifetime = KeyLifetime::parse(choice).unwrap();
            assert_eq!(lifetime.to_text(), choice);
            lifetime.expiry(start).time()
        });
        let days = [Some(7), Some(30), Some(90), Some(365), None];
        assert_eq!(ends, days.map(|days| days.map(|days| start.plus(DAY * days))));
        assert_eq!(KeyLifetime::parse("8"), None);
        assert!(KeyLifetime::parse(KeyLifetime::DEFAULT_CHOICE).is_some());
    }

    #[test]
    fn key_ends_no_later_than_the_one_that_made_it() {
        let (start, sooner) = (Timestamp::from_seconds(0), Timestamp::from_seconds(60));
        let week = KeyLifetime::of_days(7).unwrap().expiry(start);
        for (expiry, latest, end) in [
            (week, None, week.time()),
            (week, Some(sooner), Some(sooner)),
            (KeyLifetime::UNTIL_REVOKED.expiry(start), Some(sooner), Some(sooner)),
            (KeyLifetime::UNTIL_REVOKED.expiry(start), None, None),
        ] {
            assert_eq!(expiry.at_most(latest).time(), end);
        }
    }
}
