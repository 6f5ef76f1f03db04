//! Date and time as pages show them.

use std::fmt;

use shared::clock::Timestamp;

/// Displays as `2026-11-22 09:30 UTC`.
#[derive(Clone, Copy)]
pub(crate) struct DateTime(pub(crate) Timestamp);

impl DateTime {
    /// For `<time datetime>`.
    pub(crate) fn to_rfc3339(self) -> String {
        self.0.to_rfc3339()
    }

    /// `2026-11-22`.
    pub(crate) fn date(self) -> String {
        let text = self.to_rfc3339();
        text.get(..10).unwrap_or(&text).to_owned()
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_rfc3339();
        let (day, time) = text.split_once('T').unwrap_or((&text, ""));
        write!(f, "{day} {} UTC", time.get(..5).unwrap_or(time))
    }
}
