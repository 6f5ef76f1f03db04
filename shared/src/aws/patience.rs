//! How long a caller waits for a service, and how often it asks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What one call may take.
#[derive(Clone, Copy)]
pub struct Patience {
    /// For the answer to one try, its connection included.
    pub for_an_answer: Option<Duration>,
    /// How often it is tried.
    pub tries: u32,
}

impl Patience {
    /// A client waits 10 s for a token (Claude's own limit) and a person for a page: the slowest request makes four calls, so
    /// each gets two seconds in all: two tries and the pause between them. Reads and conditional writes may all be repeated (each
    /// condition holds once); a third would outlive the caller's patience.
    pub const OF_A_PERSON: Self = Self { for_an_answer: Some(Duration::from_millis(900)), tries: 2 };
    /// An operator may sit behind a far proxy, and sees that something is under way.
    pub const OF_AN_OPERATOR: Self = Self { for_an_answer: Some(Duration::from_secs(5)), tries: 2 };
}

/// What is left for further tries, so that a service that is down for long is not asked twice as often as before. The SDK's own
/// figures: 100 tries that did not help, each made up for by five calls that needed none.
pub(super) struct Spare(AtomicU32);

impl Default for Spare {
    fn default() -> Self {
        Self(AtomicU32::new(Self::MOST))
    }
}

impl Spare {
    const MOST: u32 = 500;
    const OF_A_TRY: u32 = 5;

    /// Takes what a further try costs, if there is as much.
    pub(super) fn take(&self) -> bool {
        self.change(|left| left.checked_sub(Self::OF_A_TRY))
    }

    /// A call was answered; `again` if at a further try.
    pub(super) fn give(&self, again: bool) {
        let back = if again { Self::OF_A_TRY } else { 1 };
        self.change(|left| Some(left.saturating_add(back).min(Self::MOST)));
    }

    fn change(&self, by: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, by).is_ok()
    }
}
