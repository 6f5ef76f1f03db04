//! How long a new API key works: what the form offers.

use std::time::Duration;

use shared::clock::Timestamp;

/// The lifetimes that the form offers, in days. The longest ends when the key is revoked.
pub(crate) const LIFETIMES: [(&str, &str); 5] =
    [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("never", "until it is revoked")];
/// The one that is chosen at first.
pub(crate) const DEFAULT_LIFETIME: &str = "90";

/// How long a key works.
#[derive(Clone, Copy)]
pub(crate) enum KeyLifetime {
    Days(u64),
    UntilRevoked,
}

impl KeyLifetime {
    /// One of [`LIFETIMES`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (days, _) = LIFETIMES.iter().find(|(days, _)| *days == text)?;
        Some(days.parse().map_or(Self::UntilRevoked, Self::Days))
    }

    pub(crate) fn to_text(self) -> String {
        match self {
            Self::Days(days) => days.to_string(),
            Self::UntilRevoked => "never".to_owned(),
        }
    }

    /// When a lifetime that began at `from` ends.
    pub(crate) fn end(self, from: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Days(days) => Some(from.plus(Duration::from_hours(24 * days))),
            Self::UntilRevoked => None,
        }
    }
}
