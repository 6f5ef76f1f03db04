//! Which faults there are, and how often.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fault_kind::FaultKind;

/// Which faults there are, and how often. By default there are none: the tables answer as the embedded ones do, within AWS's limits.
#[derive(Clone, Debug)]
pub struct FaultSettings {
    /// The same seed decides alike for the first call, for the second and so on.
    pub seed: u64,
    /// How likely each fault is for each call that it concerns, from 0 to 1.
    pub chances: BTreeMap<FaultKind, f64>,
    /// How late an index shows a write: for each write a random time in this range.
    pub gsi_lag: RangeInclusive<Duration>,
    /// Whether reads without `ConsistentRead` are as late.
    pub base_lag: bool,
    /// For how long a transaction holds its items.
    pub tx_hold: RangeInclusive<Duration>,
    /// How long every page is at most.
    pub cut_to: Option<u64>,
    /// When a [`FaultKind::Zombie`] is carried out.
    pub zombie_after: Duration,
    /// Whether AWS's limits of sizes are checked.
    pub limits: bool,
    /// The chances are for these operations alone; for all if there are none.
    pub operations: Vec<&'static str>,
    /// The chances are for these tables alone, by the ends of their names in lower case; for all if there are none.
    pub tables: Vec<&'static str>,
    /// Callers that nothing happens to by chance, by their access keys.
    pub spared: Vec<&'static str>,
}

impl Default for FaultSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            chances: BTreeMap::new(),
            gsi_lag: Duration::ZERO..=Duration::ZERO,
            base_lag: false,
            tx_hold: Duration::ZERO..=Duration::ZERO,
            cut_to: None,
            zombie_after: Duration::from_millis(1500),
            limits: true,
            operations: Vec::new(),
            tables: Vec::new(),
            spared: Vec::new(),
        }
    }
}

impl FaultSettings {
    /// With another chance of that fault, from 0 to 1.
    #[must_use]
    pub fn with(mut self, fault: FaultKind, chance: f64) -> Self {
        self.chances.insert(fault, chance);
        self
    }
}
