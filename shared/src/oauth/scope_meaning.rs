//! What the scopes meant when they were approved.
//!
//! A scope may come to allow more than before. Whoever approved it earlier has not agreed to that. So the number of the meaning is
//! stored with each approval and with each API key.

/// A number of the scopes' meaning, which only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScopeMeaning(u32);

impl ScopeMeaning {
    /// Of everything that was stored before there were numbers: `views:read` reads how views are defined, and not their rows.
    pub const FIRST: Self = Self(1);
    /// `views:read` reads views with their rows.
    pub const VIEWS_WITH_ROWS: Self = Self(2);
    /// What the consent page says now.
    pub const CURRENT: Self = Self::VIEWS_WITH_ROWS;

    /// From the table.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// As the table has it.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}
