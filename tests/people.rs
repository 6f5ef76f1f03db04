//! The function `people` asks Supabase every hour who is banned or deleted. What is not a clear answer ends nothing.

use serde_json::json;
use test_system::TestSystem;
use test_system::connector::{Connector, Tokens};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const VERA: &str = "vera@example.com";
const SCOPE: &str = "skills:read offline_access";
const HOUR: i64 = 3600;

/// One run, as `EventBridge` starts it, when the tables and their indexes show what was written.
async fn run(test_system: &TestSystem) -> Result<String, String> {
    test_system.settled().await;
    test_system.system().invoke("people", r#"{"source":"aws.events"}"#).await.expect("the function is there")
}

async fn calls(test_system: &TestSystem, token: &str) -> u16 {
    test_system.call(Some(token), "tools/list", json!({})).await.status
}

/// How often Supabase was asked about a person.
fn asked(test_system: &TestSystem, email: &str) -> usize {
    test_system.supabase().request_count(&format!("/auth/v1/admin/users/{}", test_system.person_id(email)))
}

async fn is_member(test_system: &TestSystem, email: &str) -> bool {
    let tenant = shared::oauth::tenant::TenantId::parse("acme").unwrap();
    test_system.system().directory().membership(&test_system.person_id(email), &tenant).await.unwrap().is_some()
}

async fn connect<'w>(test_system: &'w TestSystem, emails: &[&str]) -> Vec<(Connector<'w>, Tokens)> {
    let mut connected = Vec::new();
    for email in emails {
        let connector = test_system.connector("Claude").await;
        let (ask, code) = connector.approve_directly(SCOPE, email, "acme").await;
        let tokens = connector.exchange(&ask, &code).await.tokens(test_system);
        connected.push((connector, tokens));
    }
    connected
}

#[tokio::test(flavor = "multi_thread")]
async fn what_banned_and_deleted_people_have_ends_within_an_hour() {
    let test_system = TestSystem::new().await;
    let connected = connect(&test_system, &[ANA, BEN, VERA]).await;
    let (key, _) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
    let (bens_key, _) = test_system.create_api_key(BEN, "acme", "skills:read", None).await;
    for token in [&key, &bens_key] {
        assert_eq!(calls(&test_system, token).await, 200);
    }
    assert_eq!(run(&test_system).await.as_deref(), Ok("null"));
    for (_, tokens) in &connected {
        assert_eq!(calls(&test_system, &tokens.access).await, 200, "nobody is banned yet");
    }
    test_system.supabase().set_banned(ANA, true);
    test_system.supabase().remove(BEN);

    assert_eq!(run(&test_system).await.as_deref(), Ok("null"));

    let statuses = [401, 401, 200];
    for ((connector, tokens), status) in connected.iter().zip(statuses) {
        assert_eq!(calls(&test_system, &tokens.access).await, status);
        let refreshed = connector.refresh(tokens.refresh.as_ref().unwrap()).await;
        assert_eq!(refreshed.status, if status == 200 { 200 } else { 400 }, "{refreshed:?}");
    }
    for token in [&key, &bens_key] {
        assert_eq!(calls(&test_system, token).await, 401);
    }
    for (email, member) in [(ANA, true), (BEN, false), (VERA, true)] {
        assert_eq!(is_member(&test_system, email).await, member, "{email}");
    }
    for (email, reason, at, tenants) in [(ANA, "person_banned", 0, 2), (BEN, "person_deleted", 1, 1)] {
        let person = test_system.person_id(email);
        let expected =
            json!({ "event": "person_followed", "person": person.as_str(), "reason": reason, "tenants": tenants });
        assert!(test_system.audit("person_followed").contains(&expected), "{expected}");
        let (_, tokens) = &connected[at];
        let grant = test_system::claims(&tokens.access).1["grant"].clone();
        let ended: Vec<_> =
            test_system.audit("grant_ended").into_iter().filter(|event| event["grant"] == grant).collect();
        assert_eq!((ended.len(), &ended[0]["reason"]), (1, &json!(reason)), "{ended:?}");
    }
    // When the ban is over they connect again, and that stays.
    test_system.supabase().set_banned(ANA, false);
    let again = connect(&test_system, &[ANA]).await;
    assert_eq!(run(&test_system).await.as_deref(), Ok("null"));
    assert_eq!(calls(&test_system, &again[0].1.access).await, 200);
}

/// Nothing of a refresh or a call depends on Supabase, and an error of Supabase ends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn error_of_supabase_ends_nothing() {
    let test_system = TestSystem::new().await;
    let mut connected = connect(&test_system, &[ANA, BEN, VERA]).await;
    test_system.supabase().set_banned(ANA, true);
    let before = test_system.supabase().total_request_count();
    for (connector, tokens) in &mut connected {
        *tokens = connector.refresh(tokens.refresh.as_ref().unwrap()).await.tokens(&test_system);
    }
    assert_eq!(test_system.supabase().total_request_count(), before, "a refresh asks nobody");

    test_system.supabase().set_down(true);
    let failed = run(&test_system).await.unwrap_err();
    assert!(failed.contains("502"), "{failed}");
    let everybody = [ANA, BEN, VERA].map(|email| asked(&test_system, email));
    assert_eq!(everybody, [1, 1, 1], "three errors in a row, and no more");
    for (connector, tokens) in &mut connected {
        assert_eq!(calls(&test_system, &tokens.access).await, 200);
        *tokens = connector.refresh(tokens.refresh.as_ref().unwrap()).await.tokens(&test_system);
    }
    test_system.supabase().set_down(false);

    // Of one whom it cannot tell of nothing is known, and of the others it is.
    let bens = format!("/auth/v1/admin/users/{}", test_system.person_id(BEN));
    test_system.supabase().set_path_down(&bens, true);
    assert!(run(&test_system).await.is_err());
    let statuses = [401, 200, 200];
    for ((_, tokens), status) in connected.iter().zip(statuses) {
        assert_eq!(calls(&test_system, &tokens.access).await, status);
    }
}

/// A project in which nobody is known is another one, or was restored.
#[tokio::test(flavor = "multi_thread")]
async fn implausibly_many_deleted_people_lose_nothing() {
    let test_system = TestSystem::new().await;
    let everybody: Vec<_> = test_system.system().demo().unwrap().people.iter().map(|person| &person.email).collect();
    let mut members = Vec::new();
    for email in everybody {
        test_system.set_role("acme", email, "member").await;
        members.push(email.as_str());
    }
    assert!(members.len() > 3, "{members:?}");
    let connected = connect(&test_system, &members).await;
    for email in &members {
        test_system.supabase().remove(email);
    }

    let failed = run(&test_system).await.unwrap_err();

    assert!(failed.contains("which nobody believes"), "{failed}");
    for (_, tokens) in &connected {
        assert_eq!(calls(&test_system, &tokens.access).await, 200);
    }
}

/// Accounts about which Supabase always fails do not keep the same others from being asked about, hour after hour.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_always_fail_hold_up_nobody_for_long() {
    let test_system = TestSystem::new().await;
    let mut people: Vec<_> = test_system.system().demo().unwrap().people.iter().map(|person| &person.email).collect();
    people.sort_by_key(|email| test_system.person_id(email).to_string());
    let (banned, failing) = people.split_last().unwrap();
    assert!(failing.len() >= 3, "{people:?}");
    test_system.set_role("acme", banned, "member").await;
    for email in failing {
        test_system.set_role("acme", email, "member").await;
        let account = format!("/auth/v1/admin/users/{}", test_system.person_id(email));
        test_system.supabase().set_path_down(&account, true);
    }
    let emails: Vec<_> = people.iter().map(|email| email.as_str()).collect();
    let connected = connect(&test_system, &emails).await;
    test_system.supabase().set_banned(banned, true);

    for _ in 0..12 {
        assert!(run(&test_system).await.is_err(), "some always fail");
        test_system.advance(HOUR);
    }

    assert!(asked(&test_system, banned) >= 1);
    let (connector, tokens) = connected.last().unwrap();
    assert_eq!(connector.refresh(tokens.refresh.as_ref().unwrap()).await.status, 400);
}

/// Who has used nothing for a day is not asked about: there is nothing to end but what the next use brings back.
#[tokio::test(flavor = "multi_thread")]
async fn only_people_seen_within_a_day_are_asked_about() {
    let test_system = TestSystem::new().await;
    let connected = connect(&test_system, &[BEN, VERA]).await;
    test_system.advance(25 * HOUR);
    let (connector, tokens) = &connected[0];
    assert_eq!(connector.refresh(tokens.refresh.as_ref().unwrap()).await.status, 200);
    // The demo's key is Ana's.
    assert_eq!(calls(&test_system, &test_system.api_key()).await, 200);

    assert_eq!(run(&test_system).await.as_deref(), Ok("null"));

    assert_eq!([ANA, BEN, VERA].map(|email| asked(&test_system, email)), [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_key_there_is_no_such_function() {
    for none in ["", "none"] {
        let test_system = TestSystem::with(|options| {
            options.parameters.insert("SupabaseSecretKey".to_owned(), none.to_owned());
        })
        .await;
        assert_eq!(test_system.system().invoke("people", "{}").await, None);
    }
}
