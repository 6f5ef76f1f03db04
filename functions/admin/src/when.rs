//! Moments as pages show them.

use std::fmt;

use shared::clock::Timestamp;

/// Displays as `2026-11-22 09:30 UTC`.
#[derive(Clone, Copy)]
pub(crate) struct When(pub(crate) Timestamp);

impl When {
    /// For `<time datetime>`.
    pub(crate) fn exactly(self) -> String {
        self.0.to_rfc3339()
    }

    /// `2026-11-22`.
    pub(crate) fn day(self) -> String {
        let text = self.exactly();
        text.get(..10).unwrap_or(&text).to_owned()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.exactly();
        let (day, time) = text.split_once('T').unwrap_or((&text, ""));
        write!(f, "{day} {} UTC", time.get(..5).unwrap_or(time))
    }
}
