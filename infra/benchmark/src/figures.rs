//! What was measured. Times are in microseconds, memory in KiB, sizes in bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Everything of one run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Of each program: the binary, and compressed.
    pub(crate) sizes: BTreeMap<String, (u64, u64)>,
    pub(crate) warm: Vec<Warm>,
    pub(crate) cold: Vec<Cold>,
}

/// Requests of one kind to a process that has answered before.
#[derive(Serialize, Deserialize)]
pub(crate) struct Warm {
    pub(crate) program: String,
    pub(crate) kind: String,
    pub(crate) requests: usize,
    /// From handing over the event to the answer.
    pub(crate) median: f64,
    pub(crate) p99: f64,
    /// Of the program's own process.
    pub(crate) processor: f64,
    /// When it has answered nothing yet, and at the end.
    pub(crate) resident: (u64, u64),
    /// Calls to each service of AWS, on average.
    pub(crate) calls: BTreeMap<String, f64>,
}

/// Processes from their start to their first answer.
#[derive(Serialize, Deserialize)]
pub(crate) struct Cold {
    pub(crate) program: String,
    /// Megabytes whose share of a processor it had; a whole one if none.
    pub(crate) memory: Option<u32>,
    pub(crate) tls: bool,
    pub(crate) starts: usize,
    /// From its start until it asks for the first event.
    pub(crate) start: Spread,
    /// From handing over the first event to the answer.
    pub(crate) first: Spread,
}

/// The middle and the far end of many.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Spread {
    /// Of at least one.
    pub(crate) fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let at = |share: usize| all.get((all.len() * share / 100).min(all.len() - 1)).copied().expect("one at least");
        Self { median: at(50), p99: at(99) }
    }
}

impl Figures {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) {
        let text = serde_json::to_string_pretty(self).expect("figures are JSON");
        fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
