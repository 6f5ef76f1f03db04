//! What happens to one call.

use std::collections::BTreeMap;

use super::fault_kind::{FaultKind, is_paged};
use super::one_shot::OneShot;
use super::random::Random;

/// Decides what happens to one call: by chance, or what happens to it once.
pub(super) struct CallFaults {
    pub(super) random: Random,
    pub(super) one_shot: Option<OneShot>,
    /// None for a call that nothing happens to by chance.
    pub(super) chances: BTreeMap<FaultKind, f64>,
    pub(super) cut_to: Option<u64>,
}

impl CallFaults {
    /// Whether that happens to a call of that kind.
    pub(super) fn roll(&mut self, fault: FaultKind, operation: &str) -> bool {
        if !fault.concerns(operation) {
            return false;
        }
        match &self.one_shot {
            Some(one_shot) => one_shot.fault() == fault,
            None => self.by_chance(fault),
        }
    }

    /// Which of so many keys or writes of a batch are left over.
    pub(super) fn left_over(&mut self, fault: FaultKind, count: usize) -> Vec<bool> {
        let all = self.one_shot.as_ref().map(|one_shot| one_shot.fault() == fault);
        (0..count).map(|_| all.unwrap_or_else(|| self.by_chance(fault))).collect()
    }

    /// The limit of a page that would have `limit` items, if it is cut.
    pub(super) fn cut(&mut self, operation: &str, limit: u64) -> Option<u64> {
        const LONGEST: u64 = 12;

        let by_chance = self.roll(FaultKind::Cut, operation);
        let cut = match self.cut_to.filter(|_| is_paged(operation)) {
            Some(cut) => cut,
            None if by_chance => self.random.up_to(limit.saturating_sub(1).min(LONGEST)),
            None => return None,
        };
        (cut < limit).then_some(cut)
    }

    /// Which of so many items of a transaction is in conflict.
    pub(super) fn conflicting_item(&mut self, count: usize) -> usize {
        match self.one_shot.as_ref().and_then(OneShot::conflicting_item) {
            Some(item) => item,
            None => usize::try_from(self.random.up_to(u64::try_from(count).unwrap_or(1)) - 1).unwrap_or_default(),
        }
    }

    fn by_chance(&mut self, fault: FaultKind) -> bool {
        let chance = self.chances.get(&fault).copied().unwrap_or_default();
        self.random.chance(chance)
    }
}
