//! Plays what the holders of one connection do on the real functions. Nothing is predicted: what is promised must hold.
//!
//! - Two holders present the refresh token of one generation more than a minute apart: from the second on, at most one pair works. When
//!   the other's refresh token is presented more than a minute after that, none works any more, and the audit says so.
//! - Workers who share one store stay connected, unless a sibling or a thief has a copy of it.
//! - What has ended stays ended.
//!
//! Within the minute nothing is claimed.

use std::collections::{BTreeMap, BTreeSet};

use test_system::claims;

use crate::actors::{ActorHistory, ActorStep, Holder};
use crate::harness::{HttpResponse, ModelHarness};
use crate::history::{Approved, NewApproval, Role};
use crate::history_run::{Statistics, Violation};

const MINUTE: i64 = 60;

/// How many retries of one generation are answered without a pause.
const RETRIES: usize = 64;

/// A pair of tokens.
#[derive(Clone)]
struct Pair {
    generation: u32,
    access: String,
    expires: i64,
    refresh: String,
}

/// That a holder presented the refresh token of a generation, and got this one's pair for it.
struct Presentation {
    generation: u32,
    holder: Holder,
    at: i64,
    earned: u32,
}

/// A history as far as it has been played.
pub(crate) struct ActorRun<'t> {
    harness: &'t ModelHarness,
    history: &'t ActorHistory,
    grant: String,
    stores: BTreeMap<Holder, Pair>,
    /// Every pair that anybody was ever given.
    pairs: BTreeMap<u32, Pair>,
    presented: Vec<Presentation>,
    /// Pairs that another holder's pair has superseded: their access tokens are refused.
    superseded: BTreeSet<u32>,
    /// Until when their refresh tokens may still earn the current pair.
    tolerated: BTreeMap<u32, i64>,
    is_over: bool,
    statistics: &'t mut Statistics,
}

impl<'t> ActorRun<'t> {
    /// Plays it to its end.
    pub(crate) async fn run(
        harness: &'t ModelHarness,
        history: &'t ActorHistory,
        statistics: &'t mut Statistics,
    ) -> Result<(), Violation> {
        let member = harness.begin(Role::Member).await;
        statistics.histories += 1;
        harness.audit.take();
        let approval = NewApproval { approved: Approved::Default, settles: false, fault: None };
        let issued = harness.approve(&member, approval, Role::Member).await?;
        let answer = harness.exchange(&issued.code, &issued.verifier, true).await;
        let first = pair_of(&answer).ok_or_else(|| format!("no tokens for the code: {answer:?}"))?;
        let mut run = Self {
            harness,
            history,
            grant: issued.id.to_text(),
            stores: BTreeMap::from([(Holder::Workers, first.clone())]),
            pairs: BTreeMap::from([(first.generation, first)]),
            presented: Vec::new(),
            superseded: BTreeSet::new(),
            tolerated: BTreeMap::new(),
            is_over: false,
            statistics,
        };
        for (place, step) in history.steps.iter().enumerate() {
            run.step(*step).await.map_err(|wrong| format!("step {place}, {step:?}: {wrong}"))?;
        }
        run.end().await.map_err(|wrong| format!("in the end: {wrong}"))
    }

    async fn step(&mut self, step: ActorStep) -> Result<(), Violation> {
        match step {
            ActorStep::Wait(seconds) => self.harness.wait(seconds),
            ActorStep::Copy(holder) => {
                if self.takes_part(holder) {
                    self.stores.insert(holder, self.stores[&Holder::Workers].clone());
                }
            }
            ActorStep::Refresh(holder) => self.refresh(holder, true).await?,
            ActorStep::RefreshUnheard(holder) => self.refresh(holder, false).await?,
            ActorStep::RefreshAfterTimeout(holder, later) => {
                self.refresh(holder, false).await?;
                self.harness.wait(later);
                self.refresh(holder, true).await?;
            }
            ActorStep::RefreshManyTimes(holder) => self.refresh_many_times(holder).await?,
            ActorStep::Together(one, other, order) => self.refresh_together(one, other, order).await?,
            ActorStep::RefreshMeetsCall(one, other, order) => self.refresh_meets_call(one, other, order).await?,
            ActorStep::Call(holder) => {
                if let Some(pair) = self.stores.get(&holder).cloned() {
                    let status = self.call(&pair).await;
                    self.check_call(&pair, status)?;
                }
            }
        }
        Ok(())
    }

    /// The workers go on, and then every access token that there ever was is shown once more.
    async fn end(&mut self) -> Result<(), Violation> {
        self.refresh(Holder::Workers, true).await?;
        let newest = self.stores[&Holder::Workers].clone();
        for pair in std::iter::once(newest).chain(self.pairs.values().cloned().collect::<Vec<_>>()) {
            let status = self.call(&pair).await;
            self.check_call(&pair, status)?;
        }
        Ok(())
    }

    const fn takes_part(&self, holder: Holder) -> bool {
        match holder {
            Holder::Workers => true,
            Holder::Sibling => self.history.has_sibling,
            Holder::Thief => self.history.has_thief,
        }
    }

    async fn refresh(&mut self, holder: Holder, is_heard: bool) -> Result<(), Violation> {
        let Some(held) = self.stores.get(&holder).cloned() else { return Ok(()) };
        let answer = self.harness.refresh(&held.refresh, None, true).await;
        let was_over = self.is_over;
        let earned = self.check_refresh(holder, &held, &answer, was_over)?;
        self.record(holder, &held, earned, is_heard);
        Ok(())
    }

    /// The retries of one generation are counted: then there is one a second, and nothing ends by it.
    async fn refresh_many_times(&mut self, holder: Holder) -> Result<(), Violation> {
        let Some(held) = self.stores.get(&holder).cloned() else { return Ok(()) };
        let mut answered = 0;
        for _ in 0..RETRIES + 4 {
            let answer = self.harness.refresh(&held.refresh, None, true).await;
            if answer.status == 429 {
                self.count("429");
                return Ok(());
            }
            let was_over = self.is_over;
            let earned = self.check_refresh(holder, &held, &answer, was_over)?;
            if earned.is_none() {
                return Ok(());
            }
            self.record(holder, &held, earned, false);
            answered += 1;
        }
        Err(format!("{answered} refreshes with one token are answered at once"))
    }

    async fn refresh_together(&mut self, one: Holder, other: Holder, order: u16) -> Result<(), Violation> {
        let held = [one, other].map(|holder| self.stores.get(&holder).cloned());
        let [Some(first), Some(second)] = held else { return Ok(()) };
        let harness = self.harness;
        let (one_answer, other_answer) = harness
            .scheduler
            .run_schedule(
                order,
                harness.refresh(&first.refresh, None, true),
                harness.refresh(&second.refresh, None, true),
            )
            .await;
        let was_over = self.is_over;
        let earned = [
            self.check_refresh(one, &first, &one_answer, was_over)?,
            self.check_refresh(other, &second, &other_answer, was_over)?,
        ];
        let [earned_by_one, earned_by_other] = earned;
        self.record(one, &first, earned_by_one, true);
        self.record(other, &second, earned_by_other, true);
        Ok(())
    }

    /// A pair that is superseded was never used: if both happen at once, one of them comes first.
    async fn refresh_meets_call(&mut self, one: Holder, other: Holder, order: u16) -> Result<(), Violation> {
        let (Some(held), Some(shown)) = (self.stores.get(&one).cloned(), self.stores.get(&other).cloned()) else {
            return Ok(());
        };
        let (harness, was_superseded) = (self.harness, self.superseded.contains(&shown.generation));
        let (answer, status) =
            harness.scheduler.run_schedule(order, harness.refresh(&held.refresh, None, true), self.call(&shown)).await;
        let was_over = self.is_over;
        let earned = self.check_refresh(one, &held, &answer, was_over)?;
        self.record(one, &held, earned, true);
        if status == 200 && !was_superseded && self.superseded.contains(&shown.generation) {
            return Err(format!("generation {} was used, and superseded as unused", shown.generation));
        }
        if status == 200 && (was_superseded || was_over) {
            return Err(format!("generation {} is let in", shown.generation));
        }
        Ok(())
    }

    async fn call(&self, pair: &Pair) -> u16 {
        self.harness.call(&pair.access, false).await.status
    }

    fn check_call(&mut self, pair: &Pair, status: u16) -> Result<(), Violation> {
        let Pair { generation, expires, .. } = pair;
        let is_superseded = self.superseded.contains(generation);
        match status {
            200 if self.is_over => Err(format!("generation {generation} is let in after the end")),
            200 if is_superseded => Err(format!("two pairs of one token work: generation {generation} is let in")),
            200 => Ok(()),
            401 if self.harness.now() < *expires && self.is_honest() && self.is_held(*generation) => {
                Err("an honest worker is cut off".to_owned())
            }
            401 => {
                if is_superseded && !self.is_over {
                    self.count("superseded refused");
                }
                Ok(())
            }
            _ => Err(format!("a call is answered by {status}")),
        }
    }

    /// The pair that a refresh earned.
    fn check_refresh(
        &mut self,
        holder: Holder,
        held: &Pair,
        answer: &HttpResponse,
        was_over: bool,
    ) -> Result<Option<Pair>, Violation> {
        let generation = &held.generation;
        let is_late = self.tolerated.get(generation).is_some_and(|until| *until < self.harness.now());
        match (answer.status, pair_of(answer)) {
            (200, Some(_)) if was_over => Err(format!("generation {generation} earns tokens after the end")),
            (200, Some(_)) if is_late => Err(format!("the other pair of one token, {generation}, earns tokens")),
            (200, Some(earned)) => {
                self.statistics.requests += 1;
                Ok(Some(earned))
            }
            (400, None) if answer.body["error"] == "invalid_grant" => {
                if self.is_honest() {
                    return Err(format!("an honest worker is cut off: {holder:?} with {generation}"));
                }
                if !self.is_over {
                    self.is_over = true;
                    self.check_told()?;
                    self.count(if is_late { "ended by the other pair" } else { "ended by a replay" });
                }
                Ok(None)
            }
            (429, None) if self.retries() >= RETRIES => Ok(None),
            _ => Err(format!("a refresh is answered by {answer:?}")),
        }
    }

    /// The tenant's activity names the end and its reason.
    fn check_told(&self) -> Result<(), Violation> {
        let told = self.harness.audit.take();
        let is_told = |name: &str, detail: &str| {
            told.iter().any(|event| event.name == name && event.detail == detail && event.grant == self.grant)
        };
        if is_told("refresh_judged", "replayed") && is_told("grant_ended", "refresh_replayed") {
            return Ok(());
        }
        Err(format!("nobody is told why it ended: {told:?}"))
    }

    fn record(&mut self, holder: Holder, held: &Pair, earned: Option<Pair>, is_heard: bool) {
        let Some(earned) = earned else { return };
        let (now, generation) = (self.harness.now(), held.generation);
        let others = || self.presented.iter().filter(|other| other.generation == generation && other.holder != holder);
        if others().all(|other| now - other.at > MINUTE) {
            let superseded: Vec<_> = others().map(|other| other.earned).collect();
            for other in superseded {
                // A pair that both hold is one of two that works as well: then it is found when it is shown.
                self.superseded.insert(other);
                self.tolerated.entry(other).or_insert(now + MINUTE);
                self.count("two presented one generation");
            }
        }
        self.presented.push(Presentation { generation, holder, at: now, earned: earned.generation });
        self.pairs.insert(earned.generation, earned.clone());
        if is_heard {
            self.stores.insert(holder, earned);
        }
    }

    /// How often the newest pair was earned once more.
    fn retries(&self) -> usize {
        let newest = self.pairs.keys().next_back();
        self.presented.iter().filter(|presented| Some(&presented.earned) == newest).count().saturating_sub(1)
    }

    /// Whether the workers hold that pair.
    fn is_held(&self, generation: u32) -> bool {
        self.stores[&Holder::Workers].generation == generation
    }

    /// Whether nobody but the workers ever had anything.
    fn is_honest(&self) -> bool {
        self.stores.len() == 1
    }

    fn count(&mut self, what: &str) {
        *self.statistics.events.entry(format!("actors: {what}")).or_default() += 1;
    }
}

fn pair_of(answer: &HttpResponse) -> Option<Pair> {
    let text = |name: &str| answer.body[name].as_str().map(str::to_owned);
    let access = text("access_token")?;
    let claims = claims(&access).1;
    Some(Pair {
        generation: claims["generation"].as_u64().and_then(|number| u32::try_from(number).ok())?,
        expires: claims["exp"].as_i64()?,
        refresh: text("refresh_token")?,
        access,
    })
}
