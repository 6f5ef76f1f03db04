//! Two requests for one grant, in every order that their calls to AWS can take. None is left out, and nothing is left to chance.
//!
//! The expected outcome follows from the order of the calls that decide: reads and conditional writes of the grant.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::json;
use shared::oauth::grant::{AuthorizationCode, Grant, GrantId, GrantState, RevocationReason};
use shared::oauth::refresh_token::{RefreshToken, RefreshTokenState};
use world::answer::Answer;
use world::connector::{Ask, Connector, Tokens};
use world::schedule::Actor::{One, Other};
use world::schedule::{Play, Stage, StandStill};
use world::{World, claims};

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
async fn two_refreshes_of_one_token() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    let schedules = stage
        .every(async |play| {
            let grant = scene.connected().await;
            let token = grant.latest();

            let (one, other) = play.play(scene.claude.refresh(&token), scene.claude.refresh(&token)).await;

            assert_eq!((one.status, other.status), (200, 200), "{play:?}");
            let (one, other) = (one.tokens(&world), other.tokens(&world));
            assert_eq!(one.refresh, other.refresh, "{play:?}");
            for tokens in [&one, &other] {
                assert_eq!(claims(&tokens.access).1["generation"], 2, "{play:?}");
            }
            scene.lives(&grant.id, &[&grant.tokens, &one, &other], play).await;
        })
        .await;

    counted("refresh × refresh", schedules, 70);
}

/// RFC 7009 §2.1: whatever is revoked stays revoked, and a refresh that was not finished before it comes too late.
#[tokio::test(start_paused = true)]
async fn a_refresh_and_a_revocation() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    for (by, expected) in [("access token", 15), ("refresh token", 15)] {
        let schedules = stage
            .every(async |play| {
                let grant = scene.connected().await;
                let token = grant.latest();
                let given_back = if by == "access token" { grant.tokens.access.clone() } else { token.clone() };

                let (refreshed, revoked) =
                    play.play(scene.claude.refresh(&token), scene.claude.revoke(&given_back)).await;

                assert_eq!(revoked.status, 200, "{play:?}");
                let in_time = play.before((One, WRITE), (Other, WRITE));
                let tokens = scene.earned(&refreshed, in_time, play);
                scene.is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::Client, play).await;
            })
            .await;

        counted(&format!("refresh × revoke by {by}"), schedules, expected);
    }
}

/// OAuth 2.1 §4.1.3: only the first gets tokens, and a second use ends the grant, even one at the same instant: a thief
/// must not gain by being faster.
#[tokio::test(start_paused = true)]
async fn two_exchanges_of_one_code() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    let schedules = stage
        .every(async |play| {
            let (ask, code) = scene.approved().await;

            let (one, other) = play.play(scene.claude.exchange(&ask, &code), scene.claude.exchange(&ask, &code)).await;

            let won = play.before((One, WRITE), (Other, WRITE));
            let (one, other) = (scene.earned(&one, won, play), scene.earned(&other, !won, play));
            let grant = Connection::of(&one.or(other).unwrap());
            scene.is_over(&grant.id, &[Some(&grant.tokens)], RevocationReason::CodeReplayed, play).await;
        })
        .await;

    counted("exchange × exchange", schedules, 20);
}

/// A grant that was ended while its code was being exchanged never begins.
#[tokio::test(start_paused = true)]
async fn an_exchange_and_the_end() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    let schedules = stage
        .every(async |play| {
            let (ask, code) = scene.approved().await;
            let id = AuthorizationCode::parse(&code).unwrap().grant;

            let (exchanged, ()) =
                play.play(scene.claude.exchange(&ask, &code), scene.ended_by_an_administrator(&stage, &id)).await;

            let in_time = play.before((One, WRITE), (Other, OPERATOR));
            let tokens = scene.earned(&exchanged, in_time, play);
            scene.is_over(&id, &[tokens.as_ref()], RevocationReason::Administrator, play).await;
            refuses(&scene.claude.exchange(&ask, &code).await, play);
        })
        .await;

    counted("exchange × administrator", schedules, 4);
}

/// A code that is shown again while its tokens are given back, or used: the grant ends either way, and the audit says so once.
#[tokio::test(start_paused = true)]
async fn a_replayed_code_and_whoever_holds_its_tokens() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;
    let mut ended = Vec::new();

    let schedules = stage
        .every(async |play| {
            let (ask, code) = scene.approved().await;
            let grant = Connection::of(&scene.claude.exchange(&ask, &code).await.tokens(&world));

            let (replayed, revoked) =
                play.play(scene.claude.exchange(&ask, &code), scene.claude.revoke(&grant.tokens.access)).await;

            refuses(&replayed, play);
            assert_eq!(revoked.status, 200, "{play:?}");
            let replay = play.before((One, WRITE), (Other, WRITE));
            let why = if replay { RevocationReason::CodeReplayed } else { RevocationReason::Client };
            scene.is_over(&grant.id, &[Some(&grant.tokens)], why, play).await;
            ended.push(grant.id);
        })
        .await;
    counted("replayed code × revoke", schedules, 6);

    let schedules = stage
        .every(async |play| {
            let (ask, code) = scene.approved().await;
            let grant = Connection::of(&scene.claude.exchange(&ask, &code).await.tokens(&world));
            let token = grant.latest();

            let (replayed, refreshed) =
                play.play(scene.claude.exchange(&ask, &code), scene.claude.refresh(&token)).await;

            refuses(&replayed, play);
            let tokens = scene.earned(&refreshed, play.before((Other, WRITE), (One, WRITE)), play);
            scene
                .is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::CodeReplayed, play)
                .await;
            ended.push(grant.id);
        })
        .await;
    counted("replayed code × refresh", schedules, 15);

    let told = world.audit("grant_ended");
    for id in ended {
        assert_eq!(told.iter().filter(|event| event["grant"] == id.to_text()).count(), 1, "{id:?}");
    }
}

/// As with a revocation: the table says who came first.
#[tokio::test(start_paused = true)]
async fn a_refresh_and_the_end() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    let schedules = stage
        .every(async |play| {
            let grant = scene.connected().await;

            let (refreshed, ()) = play
                .play(scene.claude.refresh(&grant.latest()), scene.ended_by_an_administrator(&stage, &grant.id))
                .await;

            let tokens = scene.earned(&refreshed, play.before((One, WRITE), (Other, OPERATOR)), play);
            scene
                .is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::Administrator, play)
                .await;
        })
        .await;

    counted("refresh × administrator", schedules, 5);
}

/// A membership that is gone ends the grant at the next refresh, which is this one if it has not read it yet.
#[tokio::test(start_paused = true)]
async fn a_refresh_and_a_removal() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    let schedules = stage
        .every(async |play| {
            let grant = scene.connected().await;
            let removal = async {
                stage.step(OPERATOR).await;
                world.removes("acme", ANA).await;
            };

            let (refreshed, ()) = play.play(scene.claude.refresh(&grant.latest()), removal).await;

            // The second read is that of the directory.
            let member = play.steps(One, READ).get(1) < play.steps(Other, OPERATOR).first();
            let tokens = scene.earned(&refreshed, member, play);
            if let Some(tokens) = &tokens {
                refuses(&scene.claude.refresh(tokens.refresh.as_ref().unwrap()).await, play);
            }
            scene
                .is_over(&grant.id, &[Some(&grant.tokens), tokens.as_ref()], RevocationReason::MembershipGone, play)
                .await;
            world.gives_role("acme", ANA, "owner").await;
        })
        .await;

    counted("refresh × removal", schedules, 5);
}

/// The previous token is answered as long as it is the previous; once its successor is turned, it is a replay.
#[tokio::test(start_paused = true)]
async fn a_refresh_and_a_retry_of_the_one_before() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    for (kind, later, expected) in [("at once", 0, 35), ("after a day", 24 * 3600, 70)] {
        let schedules = stage
            .every(async |play| {
                let before = scene.connected().await;
                let grant = scene.refreshed(&before).await;
                world.advance(later);

                let (current, retry) =
                    play.play(scene.claude.refresh(&grant.latest()), scene.claude.refresh(&before.latest())).await;

                let newest = scene.earned(&current, true, play);
                let previous = play.before((Other, READ), (One, WRITE));
                let again = scene.earned(&retry, previous, play);
                if let (Some(again), Some(newest)) = (&again, &newest) {
                    assert_eq!(again.refresh, grant.tokens.refresh, "{play:?}");
                    scene.lives(&grant.id, &[&grant.tokens, again, newest], play).await;
                } else {
                    scene
                        .is_over(
                            &grant.id,
                            &[Some(&grant.tokens), newest.as_ref()],
                            RevocationReason::RefreshReplayed,
                            play,
                        )
                        .await;
                }
            })
            .await;

        counted(&format!("refresh × retry of the one before, {kind}"), schedules, expected);
    }
}

/// Beyond a minute, the previous token is answered until an access token of its successor was seen.
#[tokio::test(start_paused = true)]
async fn the_first_call_of_a_generation_and_a_retry_of_the_one_before() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    for (kind, later, expected) in [("within a minute", 60, 10), ("later", 61, 15)] {
        let schedules = stage
            .every(async |play| {
                let before = scene.connected().await;
                let grant = scene.refreshed(&before).await;
                world.advance(later);

                let (called, retry) =
                    play.play(scene.ping(&grant.tokens), scene.claude.refresh(&before.latest())).await;

                assert_eq!(called.status, 200, "{play:?}");
                let unused = later <= 60 || play.before((Other, READ), (One, WRITE));
                let again = scene.earned(&retry, unused, play);
                if let Some(again) = &again {
                    assert_eq!(again.refresh, grant.tokens.refresh, "{play:?}");
                    scene.lives(&grant.id, &[&grant.tokens, again], play).await;
                } else {
                    scene.is_over(&grant.id, &[Some(&grant.tokens)], RevocationReason::RefreshReplayed, play).await;
                }
            })
            .await;

        counted(&format!("first call × retry of the one before, {kind}"), schedules, expected);
    }
}

/// Revocation counts at the very next call: one that has not read the grant yet, or has to write to it.
#[tokio::test(start_paused = true)]
async fn a_call_and_the_end() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    for (kind, last, expected) in [("first", WRITE, 3), ("second", "GetItem", 2)] {
        let schedules = stage
            .every(async |play| {
                let grant = scene.connected().await;
                if kind == "second" {
                    assert_eq!(scene.ping(&grant.tokens).await.status, 200);
                }

                let (called, ()) =
                    play.play(scene.ping(&grant.tokens), scene.ended_by_an_administrator(&stage, &grant.id)).await;

                let in_time = play.before((One, last), (Other, OPERATOR));
                assert_eq!(called.status, if in_time { 200 } else { 401 }, "{play:?}");
                scene.is_over(&grant.id, &[Some(&grant.tokens)], RevocationReason::Administrator, play).await;
            })
            .await;

        counted(&format!("{kind} call of a generation × administrator"), schedules, expected);
    }
}

/// Two calls with the first token of a generation: both are let in, whoever writes it down.
#[tokio::test(start_paused = true)]
async fn two_first_calls_of_a_generation() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    let schedules = stage
        .every(async |play| {
            let grant = scene.connected().await;

            let (one, other) = play.play(scene.ping(&grant.tokens), scene.ping(&grant.tokens)).await;

            assert_eq!((one.status, other.status), (200, 200), "{play:?}");
            scene.lives(&grant.id, &[&grant.tokens], play).await;
        })
        .await;

    counted("first call × first call", schedules, 6);
}

/// The first calls of two generations: whichever is written down last, the later one has been used, and the token before it is a
/// replay once its minute is over.
#[tokio::test(start_paused = true)]
async fn the_first_calls_of_two_generations() {
    let (_still, stage) = (StandStill::new(), Stage::default());
    let world = World::with(|options| options.interceptor = Some(stage.wire())).await;
    let scene = Scene::new(&world).await;

    let schedules = stage
        .every(async |play| {
            let earlier = scene.connected().await;
            let later = scene.refreshed(&earlier).await;

            let (one, other) = play.play(scene.ping(&earlier.tokens), scene.ping(&later.tokens)).await;

            assert_eq!((one.status, other.status), (200, 200), "{play:?}");
            world.advance(61);
            refuses(&scene.claude.refresh(&earlier.latest()).await, play);
            let held = [Some(&earlier.tokens), Some(&later.tokens)];
            scene.is_over(&earlier.id, &held, RevocationReason::RefreshReplayed, play).await;
        })
        .await;

    counted("first call of a generation × first call of the next", schedules, 6);
}

/// A client, and the world in which Ana connects it.
struct Scene<'w> {
    world: &'w World,
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

impl<'w> Scene<'w> {
    async fn new(world: &'w World) -> Self {
        Self { world, claude: world.connector("Claude").await }
    }

    async fn approved(&self) -> (Ask, String) {
        self.claude.approved("skills:read offline_access", ANA, "acme").await
    }

    async fn connected(&self) -> Connection {
        let (ask, code) = self.approved().await;
        Connection::of(&self.claude.exchange(&ask, &code).await.tokens(self.world))
    }

    async fn refreshed(&self, grant: &Connection) -> Connection {
        Connection::of(&self.claude.refresh(&grant.latest()).await.tokens(self.world))
    }

    async fn ping(&self, tokens: &Tokens) -> Answer {
        self.claude.call(&tokens.access, "ping", json!({})).await
    }

    async fn ended_by_an_administrator(&self, stage: &Stage, id: &GrantId) {
        stage.step(OPERATOR).await;
        let (system, now) = (self.world.system(), self.world.system().clock().now());
        system.grants().revoke(id, RevocationReason::Administrator, now).await.unwrap();
    }

    /// The tokens in `answer` if it should hold some; or else it must refuse.
    fn earned(&self, answer: &Answer, should: bool, play: &Play) -> Option<Tokens> {
        if !should {
            refuses(answer, play);
            return None;
        }
        assert_eq!(answer.status, 200, "{play:?} {answer:?}");
        Some(answer.tokens(self.world))
    }

    async fn stored(&self, id: &GrantId) -> Grant {
        self.world.system().grants().find(id).await.unwrap().expect("it is still there")
    }

    /// One refresh chain is live, whoever holds its tokens; access tokens are accepted until they expire, and the chain goes on.
    async fn lives(&self, id: &GrantId, held: &[&Tokens], play: &Play) {
        let (stored, now) = (self.stored(id).await, self.world.system().clock().now());
        let refresh: BTreeSet<_> = held.iter().filter_map(|tokens| tokens.refresh.as_deref()).collect();
        let verdict = |token: &str| stored.classify(&RefreshToken::parse(token).unwrap(), now).0;
        let current: Vec<_> =
            refresh.into_iter().filter(|token| verdict(token) == RefreshTokenState::Current).collect();
        assert_eq!(current.len(), 1, "{play:?}");
        for tokens in held {
            let expired = claims(&tokens.access).1["exp"].as_i64().unwrap() <= self.world.now();
            assert_eq!(self.ping(tokens).await.status, if expired { 401 } else { 200 }, "{play:?}");
        }
        let next = self.claude.refresh(current[0]).await.tokens(self.world);
        assert_eq!(self.ping(&next).await.status, 200, "{play:?}");
    }

    /// The grant ended for that reason, and nothing of it is accepted any more, whoever earned it and when.
    async fn is_over(&self, id: &GrantId, held: &[Option<&Tokens>], why: RevocationReason, play: &Play) {
        let state = self.stored(id).await.state;
        assert!(matches!(state, GrantState::Revoked { reason: told, .. } if told == why), "{play:?} {state:?}");
        for tokens in held.iter().flatten() {
            assert_eq!(self.ping(tokens).await.status, 401, "{play:?}");
            refuses(&self.claude.refresh(tokens.refresh.as_ref().unwrap()).await, play);
        }
    }
}

/// `invalid_grant` and nothing else: no fault, and no reason to register again.
fn refuses(answer: &Answer, play: &Play) {
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")), "{play:?}");
}

/// Shows how many there were. Another number than expected means that requests make other calls than they did.
fn counted(pair: &str, schedules: usize, expected: usize) {
    let _ = writeln!(std::io::stderr(), "{schedules:>4} interleavings of {pair}");
    assert_eq!(schedules, expected, "{pair}");
}
