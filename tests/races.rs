//! Many requests for one grant at the same time, as the table sees them: nobody says which goes first.
//!
//! The clock stands still meanwhile: what is tested is who wins, and not how soon a busy machine answers.

use std::collections::BTreeSet;

use local::Options;
use serde_json::json;
use shared::oauth::grant::GrantState;
use shared::oauth::grant_id::GrantId;
use test_system::recorded_calls::RecordedCalls;
use test_system::scheduler::PausedClock;
use test_system::{TestSystem, claims};

const ANA: &str = "ana@example.com";
const MANY: usize = 64;

#[tokio::test(start_paused = true)]
async fn one_of_many_concurrent_exchanges_succeeds() {
    race_for_a_code(|_| {}).await;
}

#[tokio::test(start_paused = true)]
async fn many_concurrent_refreshes_get_one_successor() {
    race_for_a_successor(|_| {}).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "needs moto's DynamoDB at MOTO_URL: tests/run starts it"]
async fn one_of_many_concurrent_exchanges_succeeds_on_moto() {
    race_for_a_code(at_moto).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "needs moto's DynamoDB at MOTO_URL: tests/run starts it"]
async fn many_concurrent_refreshes_get_one_successor_on_moto() {
    race_for_a_successor(at_moto).await;
}

/// OAuth 2.1 §4.1.3: exactly one gets tokens; and a code that was shown again has ended what it led to.
async fn race_for_a_code(options: impl FnOnce(&mut Options)) {
    let (_paused_clock, calls) = (PausedClock::new(), RecordedCalls::default());
    let test_system = TestSystem::with(|all| {
        all.interceptor = Some(calls.wire());
        options(all);
    })
    .await;
    let claude = test_system.connector("Claude").await;
    let (ask, code) = claude.approve_directly("skills:read offline_access", ANA, "acme").await;

    calls.clear();
    let answers = test_system::all((0..MANY).map(|_| claude.exchange(&ask, &code))).await;

    assert!(made(&calls, "kms:Sign") > 1, "nobody else found the code unspent: no race");
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, MANY - 1));
    for answer in lost {
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")), "{answer:?}");
    }
    let tokens = won[0].tokens(&test_system);
    assert_eq!(claude.call(&tokens.access, "ping", json!({})).await.status, 401);
}

/// All succeed with the same successor, and the family was turned once.
async fn race_for_a_successor(options: impl FnOnce(&mut Options)) {
    let (_paused_clock, calls) = (PausedClock::new(), RecordedCalls::default());
    let test_system = TestSystem::with(|all| {
        all.interceptor = Some(calls.wire());
        options(all);
    })
    .await;
    let claude = test_system.connector("Claude").await;
    let (ask, code) = claude.approve_directly("skills:read offline_access", ANA, "acme").await;
    let first = claude.exchange(&ask, &code).await.tokens(&test_system);
    let token = first.refresh.unwrap();

    calls.clear();
    let answers = test_system::all((0..MANY).map(|_| claude.refresh(&token))).await;

    assert!(made(&calls, "dynamodb:UpdateItem") > 1, "nobody else found the token current: no race");
    let tokens: Vec<_> = answers.iter().map(|answer| answer.tokens(&test_system)).collect();
    let successors: BTreeSet<_> = tokens.iter().map(|tokens| tokens.refresh.as_deref().unwrap()).collect();
    assert_eq!(successors.len(), 1);
    assert!(tokens.iter().all(|tokens| claims(&tokens.access).1["generation"] == 2));
    let id = GrantId::parse(claims(&first.access).1["grant"].as_str().unwrap()).unwrap();
    let grant = test_system.system().grants().find(&id).await.unwrap().unwrap();
    assert!(
        matches!(&grant.state, GrantState::Active(active) if active.family.as_ref().unwrap().generation == 2),
        "{grant:?}"
    );
    let next = claude.refresh(successors.first().unwrap()).await.tokens(&test_system);
    assert_eq!(claude.call(&next.access, "ping", json!({})).await.status, 200);
}

fn made(calls: &RecordedCalls, action: &str) -> usize {
    calls.made().iter().filter(|made| made.action == action).count()
}

fn at_moto(options: &mut Options) {
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    let url = std::env::var("MOTO_URL").expect("MOTO_URL");
    options.dynamo = Some(url);
}
