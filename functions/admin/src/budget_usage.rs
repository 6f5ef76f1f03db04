//! What is used of the budgets of this hour, and what is left, as the pages of the console show it.

use shared::store::budgets::{Measure, Usage};

use crate::date_time::DateTime;

/// The budgets of a person or a tenant on a page.
pub(crate) struct UsageRows {
    pub(crate) rows: Vec<UsageRow>,
    /// When all of it is there again.
    pub(crate) resets: DateTime,
}

/// One of what is counted.
pub(crate) struct UsageRow {
    pub(crate) what: &'static str,
    pub(crate) used: String,
    pub(crate) left: String,
    pub(crate) max: String,
}

impl UsageRows {
    pub(crate) fn of(usage: &Usage) -> Self {
        let row = |(measure, used): (Measure, u64)| {
            let max = usage.max.of(measure);
            let shown = |amount| match measure {
                Measure::Bytes => mebibytes(amount),
                Measure::Calls | Measure::Items => amount.to_string(),
            };
            let what = match measure {
                Measure::Calls => "Calls of the workspace's own tools",
                Measure::Bytes => "Written",
                Measure::Items => "Records, documents and chats made",
            };
            UsageRow { what, used: shown(used), left: shown(max.saturating_sub(used)), max: shown(max) }
        };
        Self { rows: usage.used.each().map(row).into(), resets: DateTime(usage.resets) }
    }
}

/// With one digit after the point, which is rounded up: what is there is never shown as nothing.
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_mebibytes() {
        for (bytes, shown) in [
            (0, "0.0 MiB"),
            (1, "0.1 MiB"),
            (1024, "0.1 MiB"),
            (1024 * 1024, "1.0 MiB"),
            (256 * 1024 * 1024, "256.0 MiB"),
        ] {
            assert_eq!(mebibytes(bytes), shown);
        }
    }
}
