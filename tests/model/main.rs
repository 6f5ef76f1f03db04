//! A model of grants, and histories of an honest client, a thief, an administrator, failing AWS and a clock, played on the real
//! functions. After every step the answer must be one that the model predicts, and what is promised of every grant must hold.
//!
//! | module | what it is |
//! | --- | --- |
//! | `history` | what can happen |
//! | `grant_model`, `membership_model`, `api_key` | what must come of it |
//! | `invariants` | what must hold whatever the model predicts |
//! | `history_run`, `connection` | one history, run and compared |
//! | `actors`, `actor_run` | what those do who hold tokens of one connection; what must hold of them, without any prediction |
//! | `harness`, `captured_audit` | the system it is run on, and its audit |
//!
//! Histories come in batches, each from the seed that is its number. A failure shows the shortest history that a minute finds and
//! its batch; `MODEL_BATCH=<number>` plays that one alone, `MODEL_HISTORIES=<number>` sets how many are played in all, and both together
//! where to go on.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod actor_run;
mod actors;
mod api_key;
mod captured_audit;
mod connection;
mod grant_model;
mod harness;
mod history;
mod history_run;
mod invariants;
mod membership_model;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use actor_run::ActorRun;
use actors::ActorHistory;
use harness::ModelHarness;
use history::History;
use history_run::{HistoryRun, Statistics, Violation};

/// Histories on one system.
const BATCH: usize = 250;

#[test]
fn every_history_matches_the_model() {
    let run = async |harness: &ModelHarness, history: &History, statistics: &mut Statistics| {
        HistoryRun::run(harness, history, statistics).await
    };
    play_all(
        move |batch| play_batch(batch, &history::any(), &run),
        &[
            "connections_ended administrator",
            "connections_ended person",
            "grant_activated ",
            "grant_ended code_replayed",
            "grant_ended membership_gone",
            "grant_ended refresh_replayed",
            "grant_ended revoked",
            "grant_ended revoked_together",
            "key let in",
            "key made",
            "key refused",
            "key revoked",
            "late PutItem refused",
            "late TransactWriteItems refused",
            "late UpdateItem refused",
            "refresh_judged concurrent",
            "refresh_judged current",
            "refresh_judged expired",
            "refresh_judged lost_response",
            "refresh_judged replayed",
        ],
    );
}

#[test]
fn honest_workers_stay_connected_and_no_thief_is_kept() {
    let run = async |harness: &ModelHarness, history: &ActorHistory, statistics: &mut Statistics| {
        ActorRun::run(harness, history, statistics).await
    };
    play_all(
        move |batch| play_batch(batch, &actors::any(), &run),
        &[
            "actors: 429",
            "actors: ended by a replay",
            "actors: ended by the other pair",
            "actors: superseded refused",
            "actors: two presented one generation",
        ],
    );
}

/// Plays as many histories as are wanted. Each of `events` must have happened in one of 200.
fn play_all(play: impl Fn(usize) -> Statistics + Clone + Send + 'static, events: &[&str]) {
    #[expect(clippy::disallowed_methods, reason = "these are of whoever runs the test")]
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().expect("a number"));
    let batches = match (variable("MODEL_BATCH"), variable("MODEL_HISTORIES")) {
        (Some(batch), None) => batch..batch + 1,
        (first, histories) => {
            let first = first.unwrap_or_default();
            first..first + histories.unwrap_or(10_000).div_ceil(BATCH)
        }
    };
    let workers = variable("MODEL_WORKERS").or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let (started, next, all) = (Instant::now(), Arc::new(AtomicUsize::new(batches.start)), Arc::new(Mutex::default()));
    let workers: Vec<_> = (0..workers.unwrap_or(1))
        .map(|_| {
            let (next, all, end, play) = (Arc::clone(&next), Arc::clone(&all), batches.end, play.clone());
            std::thread::spawn(move || {
                loop {
                    let batch = next.fetch_add(1, Ordering::SeqCst);
                    if batch >= end {
                        return;
                    }
                    let played = catch_unwind(AssertUnwindSafe(|| play(batch)));
                    let statistics = played.unwrap_or_else(|reason| {
                        // The others need not go on.
                        next.store(end, Ordering::SeqCst);
                        std::panic::resume_unwind(reason)
                    });
                    add(&mut all.lock().expect("unpoisoned"), statistics);
                }
            })
        })
        .collect();
    let failed = workers.into_iter().filter_map(|worker| worker.join().err()).count();
    assert_eq!(failed, 0, "a history did not go as it must: see above");

    let Statistics { histories, requests, events: told } = &*all.lock().expect("unpoisoned");
    let told: BTreeMap<_, _> = told.iter().collect();
    let seconds = started.elapsed().as_secs();
    let _ = writeln!(
        std::io::stderr(),
        "{histories} histories from batch {}, {requests} requests in {seconds} s: {told:?}",
        batches.start
    );
    if *histories < 10_000 {
        return;
    }
    for event in events {
        let often = told.get(&(*event).to_owned()).is_some_and(|times| **times * 200 >= *histories);
        assert!(often, "histories in which there is hardly any {event}");
    }
}

/// One batch, on a system of its own, whose time stands still but for what it waits for.
fn play_batch<H: Debug + Display>(
    batch: usize,
    any: &impl Strategy<Value = H>,
    run: &impl AsyncFn(&ModelHarness, &H, &mut Statistics) -> Result<(), Violation>,
) -> Statistics {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let harness = runtime.block_on(ModelHarness::start());
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&u64::try_from(batch).expect("small").to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let cases = u32::try_from(BATCH).expect("small");
    let shrinking = Config { max_shrink_iters: 20_000, max_shrink_time: 60_000, ..Config::default() };
    let config = Config { cases, failure_persistence: None, ..shrinking };
    let statistics = RefCell::new(Statistics::default());
    let played = TestRunner::new_with_rng(config, rng).run(any, |history| {
        let played = runtime.block_on(run(&harness, &history, &mut statistics.borrow_mut()));
        played.map_err(TestCaseError::fail)
    });
    let statistics = statistics.into_inner();
    match played {
        Ok(()) => statistics,
        Err(TestError::Fail(wrong, history)) => {
            let after = statistics.histories;
            panic!("after {after} histories, shrinking included, of MODEL_BATCH={batch}: {wrong}\n{history}")
        }
        Err(TestError::Abort(reason)) => panic!("MODEL_BATCH={batch}: {reason}"),
    }
}

fn add(all: &mut Statistics, batch: Statistics) {
    all.histories += batch.histories;
    all.requests += batch.requests;
    for (event, times) in batch.events {
        *all.events.entry(event).or_default() += times;
    }
}
