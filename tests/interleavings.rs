//! Two requests for one grant, in every order that their calls to AWS can take. None is left out, and nothing is left to chance.
//!
//! The expected outcome follows from the order of the calls that decide: reads and conditional writes of the grant.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use serde_json::json;
use shared::oauth::grant::{AuthorizationCode, Grant, GrantState};
use shared::oauth::grant_id::GrantId;
use shared::oauth::refresh_token::RefreshToken;
use shared::oauth::refresh_token_rotation::{Presentation, RefreshTokenState};
use shared::oauth::revocation_reason::RevocationReason;
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::scheduler::Actor::{First, Second};
use test_system::scheduler::{PausedClock, Schedule, Scheduler};
use test_system::{TestSystem, claims};

/// Who connects.
const ANA: &str = "ana@example.com";
/// The call that reads the grant at token and revoke.
const READ: &str = "BatchGetItem";
/// The call that changes it.
const WRITE: &str = "UpdateItem";
/// What an operator does, past the wire.
const OPERATOR: &str = "operator";

/// Both succeed and get the same successor, and the family turned once.
#[tokio::test(start_paused = true)]
async fn concurrent_refreshes_get_the_same_successor() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let grant = scenario.connected().await;
            let token = grant.latest();

            let (one, other) = schedule.run(scenario.claude.refresh(&token), scenario.claude.refresh(&token)).await;

            assert_eq!((one.status, other.status), (200, 200), "{schedule:?}");
            let (one, other) = (one.tokens(&test_system), other.tokens(&test_system));
            assert_eq!(one.refresh, other.refresh, "{schedule:?}");
            for tokens in [&one, &other] {
                assert_eq!(claims(&tokens.access).1["generation"], 2, "{schedule:?}");
            }
            scenario.lives(&grant.id, &[&grant.tokens, &one, &other], schedule).await;
        })
        .await;

    counted("refresh × refresh", schedule_count, 70);
}

/// RFC 7009 §2.1: whatever is revoked stays revoked, and a refresh that was not finished before it comes too late.
#[tokio::test(start_paused = true)]
async fn revocation_during_a_refresh_revokes_the_grant() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    for (by, expected) in [("access token", 15), ("refresh token", 15)] {
        let schedule_count = scheduler
            .run_every_schedule(async |schedule| {
                let grant = scenario.connected().await;
                let token = grant.latest();
                let given_back = if by == "access token" { grant.tokens.access.clone() } else { token.clone() };

                let (refreshed, revoked) =
                    schedule.run(scenario.claude.refresh(&token), scenario.claude.revoke(&given_back)).await;

                assert_eq!(revoked.status, 200, "{schedule:?}");
                let in_time = schedule.before((First, WRITE), (Second, WRITE));
                let tokens = scenario.earned(&refreshed, in_time, schedule);
                scenario
                    .is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::Client, schedule)
                    .await;
            })
            .await;

        counted(&format!("refresh × revoke by {by}"), schedule_count, expected);
    }
}

/// OAuth 2.1 §4.1.3: only the first gets tokens, and a second use ends the grant, even one at the same instant: a thief
/// must not gain by being faster.
#[tokio::test(start_paused = true)]
async fn concurrent_exchanges_of_one_code_revoke_the_grant() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let (ask, code) = scenario.approve_directly().await;

            let (one, other) =
                schedule.run(scenario.claude.exchange(&ask, &code), scenario.claude.exchange(&ask, &code)).await;

            let won = schedule.before((First, WRITE), (Second, WRITE));
            let (one, other) = (scenario.earned(&one, won, schedule), scenario.earned(&other, !won, schedule));
            let grant = Connection::of(&one.or(other).unwrap());
            scenario.is_over(&grant.id, &[Some(&grant.tokens)], RevocationReason::CodeReplayed, schedule).await;
        })
        .await;

    counted("exchange × exchange", schedule_count, 70);
}

/// A grant that was ended while its code was being exchanged never begins.
#[tokio::test(start_paused = true)]
async fn grant_revoked_during_the_exchange_stays_revoked() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let (ask, code) = scenario.approve_directly().await;
            let id = AuthorizationCode::parse(&code).unwrap().grant;

            let (exchanged, ()) = schedule
                .run(scenario.claude.exchange(&ask, &code), scenario.ended_by_an_administrator(&scheduler, &id))
                .await;

            let in_time = schedule.before((First, WRITE), (Second, OPERATOR));
            let tokens = scenario.earned(&exchanged, in_time, schedule);
            scenario.is_over(&id, &[tokens.as_ref()], RevocationReason::Administrator, schedule).await;
            refuses(&scenario.claude.exchange(&ask, &code).await, schedule);
        })
        .await;

    counted("exchange × administrator", schedule_count, 5);
}

/// A code that is shown again while its tokens are given back, or used: the grant ends either way, and the audit says so once.
#[tokio::test(start_paused = true)]
async fn replayed_code_during_a_revocation_or_refresh_revokes_once() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;
    let mut ended = Vec::new();

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let (ask, code) = scenario.approve_directly().await;
            let grant = Connection::of(&scenario.claude.exchange(&ask, &code).await.tokens(&test_system));

            let (replayed, revoked) =
                schedule.run(scenario.claude.exchange(&ask, &code), scenario.claude.revoke(&grant.tokens.access)).await;

            refuses(&replayed, schedule);
            assert_eq!(revoked.status, 200, "{schedule:?}");
            let replay = schedule.before((First, WRITE), (Second, WRITE));
            let why = if replay { RevocationReason::CodeReplayed } else { RevocationReason::Client };
            scenario.is_over(&grant.id, &[Some(&grant.tokens)], why, schedule).await;
            ended.push(grant.id);
        })
        .await;
    counted("replayed code × revoke", schedule_count, 6);

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let (ask, code) = scenario.approve_directly().await;
            let grant = Connection::of(&scenario.claude.exchange(&ask, &code).await.tokens(&test_system));
            let token = grant.latest();

            let (replayed, refreshed) =
                schedule.run(scenario.claude.exchange(&ask, &code), scenario.claude.refresh(&token)).await;

            refuses(&replayed, schedule);
            let tokens = scenario.earned(&refreshed, schedule.before((Second, WRITE), (First, WRITE)), schedule);
            scenario
                .is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::CodeReplayed, schedule)
                .await;
            ended.push(grant.id);
        })
        .await;
    counted("replayed code × refresh", schedule_count, 15);

    let told = test_system.audit("grant_ended");
    for id in ended {
        assert_eq!(told.iter().filter(|event| event["grant"] == id.to_text()).count(), 1, "{id:?}");
    }
}

/// As with a revocation: the table says who came first.
#[tokio::test(start_paused = true)]
async fn administrator_revocation_during_a_refresh_revokes_the_grant() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let grant = scenario.connected().await;

            let (refreshed, ()) = schedule
                .run(
                    scenario.claude.refresh(&grant.latest()),
                    scenario.ended_by_an_administrator(&scheduler, &grant.id),
                )
                .await;

            let tokens = scenario.earned(&refreshed, schedule.before((First, WRITE), (Second, OPERATOR)), schedule);
            scenario
                .is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::Administrator, schedule)
                .await;
        })
        .await;

    counted("refresh × administrator", schedule_count, 5);
}

/// A membership that is gone ends the grant at the next refresh, which is this one if it has not read it yet.
#[tokio::test(start_paused = true)]
async fn member_removal_during_a_refresh_revokes_the_grant() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let grant = scenario.connected().await;
            let removal = async {
                scheduler.step(OPERATOR).await;
                test_system.remove_member("acme", ANA).await;
            };

            let (refreshed, ()) = schedule.run(scenario.claude.refresh(&grant.latest()), removal).await;

            // The second read is that of the directory.
            let member = schedule.steps(First, READ).get(1) < schedule.steps(Second, OPERATOR).first();
            let tokens = scenario.earned(&refreshed, member, schedule);
            if let Some(tokens) = &tokens {
                refuses(&scenario.claude.refresh(tokens.refresh.as_ref().unwrap()).await, schedule);
            }
            scenario
                .is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::MembershipGone, schedule)
                .await;
            test_system.set_role("acme", ANA, "owner").await;
        })
        .await;

    counted("refresh × removal", schedule_count, 5);
}

/// The previous token is answered as long as it is the previous; once its successor is turned, it is a replay. After a minute the
/// write decides: a late retry supersedes the pair whose token is being turned, which then earns the new pair.
#[tokio::test(start_paused = true)]
async fn retry_of_the_previous_token_during_a_refresh_is_answered_or_a_replay() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    for (kind, later, expected) in [("at once", 0, 70), ("after a day", 24 * 3600, 70)] {
        let schedule_count = scheduler
            .run_every_schedule(async |schedule| {
                let before = scenario.connected().await;
                let grant = scenario.refreshed(&before).await;
                test_system.advance(later);

                let (current, retry) = schedule
                    .run(scenario.claude.refresh(&grant.latest()), scenario.claude.refresh(&before.latest()))
                    .await;

                let newest = scenario.earned(&current, true, schedule);
                let decides = if later == 0 { READ } else { WRITE };
                let previous = schedule.before((Second, decides), (First, WRITE));
                let again = scenario.earned(&retry, previous, schedule);
                if let (Some(again), Some(newest)) = (&again, &newest) {
                    let same = if later == 0 { &grant.tokens } else { newest };
                    assert_eq!(again.refresh, same.refresh, "{schedule:?}");
                    scenario.lives(&grant.id, &[&grant.tokens, again, newest], schedule).await;
                } else {
                    scenario
                        .is_over(
                            &grant.id,
                            &[Some(&grant.tokens), newest.as_ref()],
                            RevocationReason::RefreshReplayed,
                            schedule,
                        )
                        .await;
                }
            })
            .await;

        counted(&format!("refresh × retry of the one before, {kind}"), schedule_count, expected);
    }
}

/// After a minute, the previous token earns a new pair until an access token of its successor was seen. From then on that access
/// token is refused: whichever is written first has decided.
#[tokio::test(start_paused = true)]
async fn retry_of_the_previous_token_is_answered_until_its_successor_is_used() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    for (kind, later, expected) in [("within a minute", 60, 15), ("later", 61, 15)] {
        let schedule_count = scheduler
            .run_every_schedule(async |schedule| {
                let before = scenario.connected().await;
                let grant = scenario.refreshed(&before).await;
                test_system.advance(later);

                let (called, retry) =
                    schedule.run(scenario.ping(&grant.tokens), scenario.claude.refresh(&before.latest())).await;

                let superseded = later > 60 && schedule.before((Second, WRITE), (First, WRITE));
                assert_eq!(called.status, if superseded { 401 } else { 200 }, "{schedule:?}");
                let again = scenario.earned(&retry, later <= 60 || superseded, schedule);
                if let Some(again) = &again {
                    assert_eq!(again.refresh != grant.tokens.refresh, superseded, "{schedule:?}");
                    let held = if superseded { vec![again] } else { vec![&grant.tokens, again] };
                    scenario.lives(&grant.id, &held, schedule).await;
                } else {
                    scenario
                        .is_over(&grant.id, &[Some(&grant.tokens)], RevocationReason::RefreshReplayed, schedule)
                        .await;
                }
            })
            .await;

        counted(&format!("first call × retry of the one before, {kind}"), schedule_count, expected);
    }
}

/// Revocation counts at the very next call: one that has not read the grant yet, or has to write to it.
#[tokio::test(start_paused = true)]
async fn revocation_takes_effect_at_the_next_call() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    for (kind, last, expected) in [("first", WRITE, 3), ("second", READ, 2)] {
        let schedule_count = scheduler
            .run_every_schedule(async |schedule| {
                let grant = scenario.connected().await;
                if kind == "second" {
                    assert_eq!(scenario.ping(&grant.tokens).await.status, 200);
                }

                let (called, ()) = schedule
                    .run(scenario.ping(&grant.tokens), scenario.ended_by_an_administrator(&scheduler, &grant.id))
                    .await;

                let in_time = schedule.before((First, last), (Second, OPERATOR));
                assert_eq!(called.status, if in_time { 200 } else { 401 }, "{schedule:?}");
                scenario.is_over(&grant.id, &[Some(&grant.tokens)], RevocationReason::Administrator, schedule).await;
            })
            .await;

        counted(&format!("{kind} call of a generation × administrator"), schedule_count, expected);
    }
}

/// Two calls with the first token of a generation: both are let in, whoever writes it down.
#[tokio::test(start_paused = true)]
async fn concurrent_first_calls_of_a_generation_are_both_authorized() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let grant = scenario.connected().await;

            let (one, other) = schedule.run(scenario.ping(&grant.tokens), scenario.ping(&grant.tokens)).await;

            assert_eq!((one.status, other.status), (200, 200), "{schedule:?}");
            scenario.lives(&grant.id, &[&grant.tokens], schedule).await;
        })
        .await;

    counted("first call × first call", schedule_count, 6);
}

/// The first calls of two generations: whichever is written down last, the later one has been used, and the token before it is a
/// replay once its minute is over.
#[tokio::test(start_paused = true)]
async fn first_calls_of_two_generations_mark_the_later_as_used() {
    let (_paused_clock, scheduler) = (PausedClock::new(), Scheduler::default());
    let test_system = TestSystem::with(|options| options.interceptor = Some(scheduler.wire())).await;
    let scenario = Scenario::new(&test_system).await;

    let schedule_count = scheduler
        .run_every_schedule(async |schedule| {
            let earlier = scenario.connected().await;
            let later = scenario.refreshed(&earlier).await;

            let (one, other) = schedule.run(scenario.ping(&earlier.tokens), scenario.ping(&later.tokens)).await;

            assert_eq!((one.status, other.status), (200, 200), "{schedule:?}");
            test_system.advance(61);
            refuses(&scenario.claude.refresh(&earlier.latest()).await, schedule);
            let held = [Some(&earlier.tokens), Some(&later.tokens)];
            scenario.is_over(&earlier.id, &held, RevocationReason::RefreshReplayed, schedule).await;
        })
        .await;

    counted("first call of a generation × first call of the next", schedule_count, 6);
}

/// A client, and the test system in which Ana connects it.
struct Scenario<'w> {
    test_system: &'w TestSystem,
    claude: Connector<'w>,
}

/// A grant in use, and the tokens that its client holds.
struct Connection {
    id: GrantId,
    tokens: Tokens,
}

impl Connection {
    fn of(tokens: &Tokens) -> Self {
        let id = GrantId::parse(claims(&tokens.access).1["grant"].as_str().unwrap()).unwrap();
        Self { id, tokens: tokens.clone() }
    }

    fn latest(&self) -> String {
        self.tokens.refresh.clone().unwrap()
    }
}

impl<'w> Scenario<'w> {
    async fn new(test_system: &'w TestSystem) -> Self {
        Self { test_system, claude: test_system.connector("Claude").await }
    }

    async fn approve_directly(&self) -> (AuthorizationRequest, String) {
        self.claude.approve_directly("skills:read offline_access", ANA, "acme").await
    }

    async fn connected(&self) -> Connection {
        let (ask, code) = self.approve_directly().await;
        Connection::of(&self.claude.exchange(&ask, &code).await.tokens(self.test_system))
    }

    async fn refreshed(&self, grant: &Connection) -> Connection {
        Connection::of(&self.claude.refresh(&grant.latest()).await.tokens(self.test_system))
    }

    async fn ping(&self, tokens: &Tokens) -> HttpResponse {
        self.claude.call(&tokens.access, "ping", json!({})).await
    }

    async fn ended_by_an_administrator(&self, scheduler: &Scheduler, id: &GrantId) {
        scheduler.step(OPERATOR).await;
        let (system, now) = (self.test_system.system(), self.test_system.system().clock().now());
        system.grants().revoke(id, RevocationReason::Administrator, now).await.unwrap();
    }

    /// The tokens in `answer` if it should hold some; or else it must refuse.
    fn earned(&self, answer: &HttpResponse, should: bool, schedule: &Schedule) -> Option<Tokens> {
        if !should {
            refuses(answer, schedule);
            return None;
        }
        assert_eq!(answer.status, 200, "{schedule:?} {answer:?}");
        Some(answer.tokens(self.test_system))
    }

    async fn stored(&self, id: &GrantId) -> Grant {
        self.test_system.system().grants().find(id).await.unwrap().expect("it is still there")
    }

    /// First refresh chain is live, whoever holds its tokens; access tokens are accepted until they expire, and the chain goes on.
    async fn lives(&self, id: &GrantId, held: &[&Tokens], schedule: &Schedule) {
        let (stored, now) = (self.stored(id).await, self.test_system.system().clock().now());
        let refresh: BTreeSet<_> = held.iter().filter_map(|tokens| tokens.refresh.as_deref()).collect();
        let verdict = |token: &str| {
            let token = &RefreshToken::parse(token).unwrap();
            stored.classify(&Presentation { token, issuance: None, requester: None, at: now }, Duration::ZERO).0
        };
        let current: Vec<_> =
            refresh.into_iter().filter(|token| verdict(token) == RefreshTokenState::Current).collect();
        assert_eq!(current.len(), 1, "{schedule:?}");
        for tokens in held {
            let expired = claims(&tokens.access).1["exp"].as_i64().unwrap() <= self.test_system.now();
            assert_eq!(self.ping(tokens).await.status, if expired { 401 } else { 200 }, "{schedule:?}");
        }
        let next = self.claude.refresh(current[0]).await.tokens(self.test_system);
        assert_eq!(self.ping(&next).await.status, 200, "{schedule:?}");
    }

    /// The grant ended for that reason, and nothing of it is accepted any more, whoever earned it and when.
    async fn is_over(&self, id: &GrantId, held: &[Option<&Tokens>], why: RevocationReason, schedule: &Schedule) {
        let state = self.stored(id).await.state;
        assert!(matches!(state, GrantState::Revoked { reason: told, .. } if told == why), "{schedule:?} {state:?}");
        for tokens in held.iter().flatten() {
            assert_eq!(self.ping(tokens).await.status, 401, "{schedule:?}");
            refuses(&self.claude.refresh(tokens.refresh.as_ref().unwrap()).await, schedule);
        }
    }
}

/// `invalid_grant` and nothing else: no fault, and no reason to register again.
fn refuses(answer: &HttpResponse, schedule: &Schedule) {
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")), "{schedule:?}");
}

/// Shows how many there were. Another number than expected means that requests make other calls than they did.
fn counted(pair: &str, schedule_count: usize, expected: usize) {
    let _ = writeln!(std::io::stderr(), "{schedule_count:>4} interleavings of {pair}");
    assert_eq!(schedule_count, expected, "{pair}");
}
