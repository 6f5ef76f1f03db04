//! Randomness that is the same each time.

use std::ops::RangeInclusive;
use std::time::Duration;

/// `SplitMix64` (Steele, Lea and Flood, 2014): a row of numbers that its seed decides.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The row of that number among those of `seed`.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        Self(Self(Self(seed).next() ^ number).next())
    }

    pub(super) fn chance(&mut self, chance: f64) -> bool {
        self.fraction() < chance
    }

    pub(super) fn duration(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        *range.start() + range.end().saturating_sub(*range.start()).mul_f64(self.fraction())
    }

    /// From 1 to `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.next() % most.max(1) + 1
    }

    /// From 0 to below 1.
    fn fraction(&mut self) -> f64 {
        const STEPS: f64 = 4_294_967_296.0;
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX)) / STEPS
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
