//! What those do who hold tokens of one connection. Two honest workers share one store, and their time limit is 30 seconds. A sibling
//! has a copy of that store, which gets stale. A thief has one too: he may wait, or be quick.

use std::fmt;

use proptest::prelude::*;

/// Who has a store of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    Workers,
    Sibling,
    Thief,
}

/// What the holders of one connection do.
#[derive(Clone, Debug)]
pub(crate) struct ActorHistory {
    /// Whether there is anybody but the workers.
    pub(crate) has_sibling: bool,
    pub(crate) has_thief: bool,
    pub(crate) steps: Vec<ActorStep>,
}

impl fmt::Display for ActorHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { has_sibling, has_thief, steps } = self;
        write!(f, "sibling: {has_sibling}, thief: {has_thief}")?;
        steps.iter().try_for_each(|step| write!(f, "\n  {step:?}"))
    }
}

/// One thing that is done. Who takes no part, or has nothing yet, does nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ActorStep {
    /// Time passes, in seconds.
    Wait(i64),
    /// Takes a copy of the workers' store.
    Copy(Holder),
    /// Refreshes, and stores the answer.
    Refresh(Holder),
    /// Refreshes; the answer is lost. After so many seconds it is tried again.
    RefreshAfterTimeout(Holder, i64),
    /// Refreshes, and never hears of it, nor tries again.
    RefreshUnheard(Holder),
    /// Shows a refresh token so often that the retries of one generation do not suffice.
    RefreshManyTimes(Holder),
    /// Two refresh at once: each bit says whose call to AWS goes next while both could.
    Together(Holder, Holder, u16),
    /// The first refreshes while the second calls.
    RefreshMeetsCall(Holder, Holder, u16),
    /// Calls by the access token that it stored last.
    Call(Holder),
}

/// Any history. It is shorter than a month: nothing expires but access tokens.
pub(crate) fn any() -> impl Strategy<Value = ActorHistory> {
    let others = (prop::bool::weighted(0.4), prop::bool::weighted(0.6));
    (others, prop::collection::vec(step(), 2..24)).prop_map(|((has_sibling, has_thief), steps)| ActorHistory {
        has_sibling,
        has_thief,
        steps,
    })
}

fn step() -> impl Strategy<Value = ActorStep> {
    let order = || proptest::num::u16::ANY;
    prop_oneof![
        320 => wait().prop_map(ActorStep::Wait),
        60 => prop::sample::select(vec![Holder::Sibling, Holder::Thief]).prop_map(ActorStep::Copy),
        300 => holder().prop_map(ActorStep::Refresh),
        60 => (holder(), 31..46_i64).prop_map(|(holder, later)| ActorStep::RefreshAfterTimeout(holder, later)),
        40 => holder().prop_map(ActorStep::RefreshUnheard),
        2 => holder().prop_map(ActorStep::RefreshManyTimes),
        50 => (holder(), holder(), order()).prop_map(|(one, other, order)| ActorStep::Together(one, other, order)),
        70 => (holder(), holder(), order()).prop_map(|(one, other, order)| ActorStep::RefreshMeetsCall(one, other, order)),
        100 => holder().prop_map(ActorStep::Call),
    ]
}

fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![5 => Just(Holder::Workers), 1 => Just(Holder::Sibling), 4 => Just(Holder::Thief)]
}

/// Both sides of the limits, and the hour of an access token.
fn wait() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => 1..30_i64,
        8 => 59..63_i64,
        4 => 63..700_i64,
        2 => 3500..3700_i64,
        1 => Just(24 * 3600),
    ]
}
