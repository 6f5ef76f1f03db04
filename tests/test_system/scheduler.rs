//! Runs two requests in every order that their calls to AWS can take: each call is held, and let go one by one.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use local::interceptor::{Call, Decision, Interceptor};
use tokio::sync::{mpsc, oneshot};

/// Where calls are held. While no schedule is run, they pass.
#[derive(Clone, Default)]
pub struct Scheduler(Arc<Mutex<Option<mpsc::UnboundedSender<Held>>>>);

struct Held {
    step: String,
    go: oneshot::Sender<()>,
}

impl Scheduler {
    /// The wire that holds.
    #[must_use]
    pub fn wire(&self) -> Arc<dyn Interceptor> {
        let scheduler = self.clone();
        Arc::new(move |call: Call| {
            let scheduler = scheduler.clone();
            async move {
                scheduler.step(&call.operation).await;
                Decision::Pass
            }
        })
    }

    /// Waits for its turn: for actors whose calls pass by the wire, as an operator's do.
    pub async fn step(&self, step: &str) {
        let (go, gone) = oneshot::channel();
        let held = Held { step: step.to_owned(), go };
        let performed = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(schedule) => schedule.send(held).is_ok(),
            None => false,
        };
        if performed {
            // A schedule that was given up lets go too.
            let _ = gone.await;
        }
    }

    /// Calls `scenario` once for each schedule of the two requests that it runs, depth first; how many there were.
    ///
    /// `scenario` must prepare the requests anew, and run the schedule once.
    pub async fn run_every_schedule(&self, mut scenario: impl AsyncFnMut(&mut Schedule)) -> usize {
        let mut decisions = Vec::new();
        for performed in 1.. {
            let mut schedule = Schedule { scheduler: self.clone(), decisions, decided: 0, steps: Vec::new() };
            scenario(&mut schedule).await;
            decisions = schedule.decisions;
            while decisions.pop_if(|other_first| *other_first).is_some() {}
            match decisions.last_mut() {
                Some(other_first) => *other_first = true,
                None => return performed,
            }
        }
        unreachable!("every schedule ends")
    }

    /// Runs two requests once: at each point at which both could go on, the next bit of `choices`, from the lowest, says whether the
    /// second does. What became of them.
    pub async fn run_schedule<A: Future, B: Future>(&self, choices: u16, one: A, other: B) -> (A::Output, B::Output) {
        let decisions = (0..u16::BITS).map(|bit| choices >> bit & 1 == 1).collect();
        Schedule { scheduler: self.clone(), decisions, decided: 0, steps: Vec::new() }.perform(one, other).await
    }

    fn set(&self, schedule: Option<mpsc::UnboundedSender<Held>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = schedule;
    }
}

/// One interleaving of two requests.
pub struct Schedule {
    scheduler: Scheduler,
    /// For each point at which both could go on, whether the second did.
    decisions: Vec<bool>,
    decided: usize,
    steps: Vec<(Actor, String)>,
}

/// Which of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The one that is named first.
    First,
    /// The other.
    Second,
}

impl Schedule {
    /// Runs two requests, of whose calls one at a time goes through; what became of them.
    ///
    /// A request must make its calls one after another: the next call after one was let go is taken for the same request's.
    ///
    /// # Panics
    /// When the replay meets another number of choices than before: then the requests do not behave alike each time.
    pub async fn run<A: Future, B: Future>(&mut self, one: A, other: B) -> (A::Output, B::Output) {
        let done = self.perform(Box::pin(one), Box::pin(other)).await;
        assert!(self.decided == self.decisions.len(), "ran differently: {self:?}");
        done
    }

    async fn perform<A: Future, B: Future>(&mut self, one: A, other: B) -> (A::Output, B::Output) {
        let (scheduler, mut held) = mpsc::unbounded_channel();
        self.scheduler.set(Some(scheduler));
        let (mut one, mut other) = (PendingRequest::new(one), PendingRequest::new(other));
        one.advance(&mut held).await;
        other.advance(&mut held).await;
        loop {
            let actor = match (&one.at, &other.at) {
                (Progress::Step(_), Progress::Step(_)) => self.decide(),
                (Progress::Step(_), _) => Actor::First,
                (_, Progress::Step(_)) => Actor::Second,
                _ => break,
            };
            let step = match actor {
                Actor::First => one.advance(&mut held).await,
                Actor::Second => other.advance(&mut held).await,
            };
            self.steps.extend(step.map(|step| (actor, step)));
        }
        self.scheduler.set(None);
        assert!(held.try_recv().is_err(), "a call that nobody was waiting for: {self:?}");
        (one.done(), other.done())
    }

    /// When that actor took steps of that name.
    #[must_use]
    pub fn steps(&self, actor: Actor, step: &str) -> Vec<usize> {
        let taken = self.steps.iter().enumerate().filter(|(_, (who, what))| *who == actor && what == step);
        taken.map(|(at, _)| at).collect()
    }

    /// Whether one's step was taken, and before the other's, which may not have been taken at all.
    #[must_use]
    pub fn before(&self, (one, first): (Actor, &str), (other, second): (Actor, &str)) -> bool {
        let (first, second) = (self.steps(one, first), self.steps(other, second));
        first.first().is_some_and(|first| second.first().is_none_or(|second| first < second))
    }

    fn decide(&mut self) -> Actor {
        if self.decided == self.decisions.len() {
            self.decisions.push(false);
        }
        let other_first = self.decisions[self.decided];
        self.decided += 1;
        if other_first { Actor::Second } else { Actor::First }
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps = self.steps.iter().map(|(actor, step)| format!("{actor:?} {step}"));
        f.write_str(&steps.collect::<Vec<_>>().join(", "))
    }
}

struct PendingRequest<F: Future> {
    request: Pin<Box<F>>,
    at: Progress<F::Output>,
}

enum Progress<T> {
    Beginning,
    Step(Held),
    End(T),
}

impl<F: Future> PendingRequest<F> {
    fn new(request: F) -> Self {
        Self { request: Box::pin(request), at: Progress::Beginning }
    }

    /// Lets the held step go, and waits until the next is held or all is done; the step that was taken.
    async fn advance(&mut self, held: &mut mpsc::UnboundedReceiver<Held>) -> Option<String> {
        let step = match std::mem::replace(&mut self.at, Progress::Beginning) {
            Progress::Step(Held { step, go }) => {
                go.send(()).unwrap_or_else(|()| panic!("{step} was given up while it was held"));
                Some(step)
            }
            _ => None,
        };
        self.at = tokio::select! {
            Some(step) = held.recv() => Progress::Step(step),
            end = &mut self.request => Progress::End(end),
        };
        step
    }

    fn done(self) -> F::Output {
        match self.at {
            Progress::End(end) => end,
            _ => unreachable!("run to the end"),
        }
    }
}

/// Keeps tokio's clock where it is, for as long as this lives: however slow the machine, no timeout fires while calls are held.
///
/// Needs a paused clock on a runtime of one thread, which turns its clock by itself only while nothing blocks.
#[must_use]
pub struct PausedClock(#[expect(dead_code, reason = "held until it is dropped")] std::sync::mpsc::Sender<()>);

thread_local! {
    static IS_PAUSED: Cell<bool> = const { Cell::new(false) };
}

impl PausedClock {
    /// From now on.
    pub fn new() -> Self {
        let (alive, ended) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || ended.recv());
        IS_PAUSED.set(true);
        Self(alive)
    }

    /// Whether there is one in this test: whatever waits for a time would wait for ever.
    pub(crate) fn is_held() -> bool {
        IS_PAUSED.get()
    }
}

impl Drop for PausedClock {
    fn drop(&mut self) {
        IS_PAUSED.set(false);
    }
}

impl Default for PausedClock {
    fn default() -> Self {
        Self::new()
    }
}
