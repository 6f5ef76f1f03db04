//! When a command searches once more for what it has ended.

use std::time::Duration;

use clap::Args;

use crate::arguments;

/// When a command searches once more for what it has ended, to list it and tell the audit. An index lags behind the table, mostly by less
/// than a second. What it hides is refused all the same.
#[derive(Args)]
pub(crate) struct SecondSearch {
    /// Search for connections and keys that the index did not list yet once more after this time. All have ended by then; 0s leaves it out
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = arguments::delay)]
    pub(crate) search_again_after: Duration,
}

impl SecondSearch {
    /// None: for whoever does many things one after another.
    pub(crate) const NONE: Self = Self { search_again_after: Duration::ZERO };
}
