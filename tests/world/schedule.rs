//! Every order in which two requests can meet: their calls to AWS are held, and let go one by one.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use local::interceptor::{Call, Decision, Interceptor};
use tokio::sync::{mpsc, oneshot};

/// Where calls are held. While nothing is being played, they pass.
#[derive(Clone, Default)]
pub struct Stage(Arc<Mutex<Option<mpsc::UnboundedSender<Held>>>>);

struct Held {
    step: String,
    go: oneshot::Sender<()>,
}

impl Stage {
    /// The wire that holds.
    #[must_use]
    pub fn wire(&self) -> Arc<dyn Interceptor> {
        let stage = self.clone();
        Arc::new(move |call: Call| {
            let stage = stage.clone();
            async move {
                stage.step(&call.operation).await;
                Decision::Pass
            }
        })
    }

    /// Waits for its turn: for actors whose calls pass by the wire, as an operator's do.
    pub async fn step(&self, step: &str) {
        let (go, gone) = oneshot::channel();
        let held = Held { step: step.to_owned(), go };
        let played = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(play) => play.send(held).is_ok(),
            None => false,
        };
        if played {
            // A play that was given up lets go too.
            let _ = gone.await;
        }
    }

    /// Runs `scene` once for each interleaving of what it plays, depth first; how many there were.
    ///
    /// `scene` must lay out anew what it plays with, and play once.
    pub async fn every(&self, mut scene: impl AsyncFnMut(&mut Play)) -> usize {
        let mut decisions = Vec::new();
        for played in 1.. {
            let mut play = Play { stage: self.clone(), decisions, decided: 0, steps: Vec::new() };
            scene(&mut play).await;
            decisions = play.decisions;
            while decisions.pop_if(|other_first| *other_first).is_some() {}
            match decisions.last_mut() {
                Some(other_first) => *other_first = true,
                None => return played,
            }
        }
        unreachable!("every play ends")
    }

    /// Plays two requests once: at each point at which both could go on, the next bit of `choices`, from the lowest, says whether the
    /// second does. What became of them.
    pub async fn once<A: Future, B: Future>(&self, choices: u16, one: A, other: B) -> (A::Output, B::Output) {
        let decisions = (0..u16::BITS).map(|bit| choices >> bit & 1 == 1).collect();
        Play { stage: self.clone(), decisions, decided: 0, steps: Vec::new() }.perform(one, other).await
    }

    fn set(&self, play: Option<mpsc::UnboundedSender<Held>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = play;
    }
}

/// One interleaving.
pub struct Play {
    stage: Stage,
    /// For each point at which both could go on, whether the second did.
    decisions: Vec<bool>,
    decided: usize,
    steps: Vec<(Actor, String)>,
}

/// Which of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The one that is named first.
    One,
    /// The other.
    Other,
}

impl Play {
    /// Plays two requests, of whose calls one at a time goes through; what became of them.
    ///
    /// A request must make its calls one after another: the next call after one was let go is taken for the same request's.
    ///
    /// # Panics
    /// When the replay meets another number of choices than before: then the requests do not behave alike each time.
    pub async fn play<A: Future, B: Future>(&mut self, one: A, other: B) -> (A::Output, B::Output) {
        let done = self.perform(Box::pin(one), Box::pin(other)).await;
        assert!(self.decided == self.decisions.len(), "replayed differently: {self:?}");
        done
    }

    async fn perform<A: Future, B: Future>(&mut self, one: A, other: B) -> (A::Output, B::Output) {
        let (stage, mut held) = mpsc::unbounded_channel();
        self.stage.set(Some(stage));
        let (mut one, mut other) = (Acting::new(one), Acting::new(other));
        one.advance(&mut held).await;
        other.advance(&mut held).await;
        loop {
            let actor = match (&one.at, &other.at) {
                (At::Step(_), At::Step(_)) => self.decide(),
                (At::Step(_), _) => Actor::One,
                (_, At::Step(_)) => Actor::Other,
                _ => break,
            };
            let step = match actor {
                Actor::One => one.advance(&mut held).await,
                Actor::Other => other.advance(&mut held).await,
            };
            self.steps.extend(step.map(|step| (actor, step)));
        }
        self.stage.set(None);
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
        if other_first { Actor::Other } else { Actor::One }
    }
}

impl std::fmt::Debug for Play {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps = self.steps.iter().map(|(actor, step)| format!("{actor:?} {step}"));
        f.write_str(&steps.collect::<Vec<_>>().join(", "))
    }
}

struct Acting<F: Future> {
    acting: Pin<Box<F>>,
    at: At<F::Output>,
}

enum At<T> {
    Beginning,
    Step(Held),
    End(T),
}

impl<F: Future> Acting<F> {
    fn new(acting: F) -> Self {
        Self { acting: Box::pin(acting), at: At::Beginning }
    }

    /// Lets the held step go, and waits until the next is held or all is done; the step that was taken.
    async fn advance(&mut self, held: &mut mpsc::UnboundedReceiver<Held>) -> Option<String> {
        let step = match std::mem::replace(&mut self.at, At::Beginning) {
            At::Step(Held { step, go }) => {
                go.send(()).unwrap_or_else(|()| panic!("{step} was given up while it was held"));
                Some(step)
            }
            _ => None,
        };
        self.at = tokio::select! {
            Some(step) = held.recv() => At::Step(step),
            end = &mut self.acting => At::End(end),
        };
        step
    }

    fn done(self) -> F::Output {
        match self.at {
            At::End(end) => end,
            _ => unreachable!("played to the end"),
        }
    }
}

/// Keeps tokio's clock where it is, for as long as this lives: however slow the machine, no timeout fires while calls are held.
///
/// Needs a paused clock on a runtime of one thread, which turns its clock by itself only while nothing blocks.
#[must_use]
pub struct StandStill(#[expect(dead_code, reason = "held until it is dropped")] std::sync::mpsc::Sender<()>);

impl StandStill {
    /// From now on.
    pub fn new() -> Self {
        let (alive, ended) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || ended.recv());
        Self(alive)
    }
}

impl Default for StandStill {
    fn default() -> Self {
        Self::new()
    }
}
