//! One confirmation makes one grant, and a person has a bounded number of grants of one client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::json;
use test_system::TestSystem;
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const SCOPE: &str = "skills:read views:read offline_access";
const DAY: i64 = 24 * 3600;
const USED_BEFORE: &str =
    "You have approved that page before, and it makes one connection only: nothing more was connected.";

/// The form of a consent page, with Approve pressed.
async fn approving(person: &Person<'_>, ask: &AuthorizationRequest) -> Form {
    let page = person.sign_in(&ask.url).await;
    Form::find(&page, "decision")
        .unwrap_or_else(|| panic!("{page:?}"))
        .with("tenant", "acme")
        .with("decision", "approve")
}

fn code_of(test_system: &TestSystem, answer: &HttpResponse) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    let code = answer.redirect_parameters().remove("code").unwrap_or_else(|| panic!("no code: {answer:?}"));
    test_system.track_secret(&code);
    code
}

async fn connect(test_system: &TestSystem, client: &Connector<'_>, email: &str) -> Tokens {
    let (ask, code) = client.approve_directly(SCOPE, email, "acme").await;
    client.exchange(&ask, &code).await.tokens(test_system)
}

/// A double click, a lost answer, or somebody who wants a hundred connections from one form.
#[tokio::test(flavor = "multi_thread")]
async fn same_form_answers_with_the_same_code_and_makes_one_grant() {
    let test_system = TestSystem::new().await;
    let claude = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), claude.authorization_request(SCOPE));
    let form = approving(&ana, &ask).await;

    let code = code_of(&test_system, &ana.submit(&form).await);
    let at_once = test_system::all((0..49).map(|_| ana.submit(&form))).await;
    test_system.advance(60);
    let later = ana.submit(&form).await;

    for answer in at_once.iter().chain([&later]) {
        assert_eq!(code_of(&test_system, answer), code);
        assert_eq!(answer.redirect_parameters()["state"], ask.state);
    }
    assert_eq!(test_system.count("grants").await, 1);
    let tokens = claude.exchange(&ask, &code).await.tokens(&test_system);
    assert_eq!(claude.tool(&tokens.access, "list_skills", json!({})).await.status, 200);
    let id = test_system::claims(&tokens.access).1["grant"].clone();
    let approved = test_system.audit("grant_approved").into_iter().filter(|event| event["grant"] == id).count();
    assert_eq!(approved, 1, "one approval");
    // Another page is another confirmation.
    let another = code_of(&test_system, &ana.submit(&approving(&ana, &ask).await).await);
    assert_ne!(another, code);
    assert_eq!(test_system.count("grants").await, 2);
}

/// Nor when its code is over or was used: the page says so, and offers to begin again.
#[tokio::test(flavor = "multi_thread")]
async fn form_that_was_used_makes_nothing_more() {
    let test_system = TestSystem::new().await;
    let claude = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let asked = async |scope: &str| {
        let ask = claude.authorization_request(scope);
        let form = approving(&ana, &ask).await;
        let code = code_of(&test_system, &ana.submit(&form).await);
        (ask, form, code)
    };
    let refused = async |form: &Form, grants: usize| {
        let page = ana.submit_and_follow(form).await;
        assert!(page.status == 200 && page.body.contains(USED_BEFORE), "{page:?}");
        assert_eq!(test_system.count("grants").await, grants);
        Form::find(&page, "decision").unwrap()
    };

    // 60 s later.
    let (ask, form, code) = asked(SCOPE).await;
    test_system.advance(61);
    let fresh = refused(&form, 1).await;
    let again = claude.exchange(&ask, &code).await;
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_grant")));
    let code = code_of(&test_system, &ana.submit(&fresh.with("tenant", "acme").with("decision", "approve")).await);
    assert_eq!(claude.exchange(&ask, &code).await.status, 200);

    // Used: the client must not be led to present its code twice, which would end the connection.
    let (ask, used, code) = asked(SCOPE).await;
    let tokens = claude.exchange(&ask, &code).await.tokens(&test_system);
    refused(&used, 3).await;
    assert_eq!(claude.tool(&tokens.access, "list_skills", json!({})).await.status, 200);

    // Another choice on the same page.
    let (ask, form, code) = asked(SCOPE).await;
    refused(&form.clone().without("allow:views:read"), 4).await;
    assert_eq!(code_of(&test_system, &ana.submit(&form).await), code, "what was chosen first stands");
    assert_eq!(claude.exchange(&ask, &code).await.tokens(&test_system).scope, SCOPE);

    // Ended by its client.
    assert_eq!(claude.revoke(tokens.refresh.as_ref().unwrap()).await.status, 200);
    refused(&used, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_that_was_open_for_more_than_an_hour_approves_nothing() {
    let test_system = TestSystem::new().await;
    let claude = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let ask = claude.authorization_request(SCOPE);
    let form = approving(&ana, &ask).await;
    test_system.advance(3601);
    // The session goes on, with another access token.
    ana.sign_in(&claude.authorization_request(SCOPE).url).await;

    let page = ana.submit_and_follow(&form.clone().without("allow:views:read")).await;

    assert!(page.status == 200 && page.body.contains("This page was open for more than an hour"), "{page:?}");
    assert_eq!(test_system.count("grants").await, 0);
    let fresh = Form::find(&page, "decision").unwrap();
    assert!(!fresh.fields.iter().any(|(name, _)| name == "allow:views:read"), "the choices are kept: {fresh:?}");
    code_of(&test_system, &ana.submit(&fresh.with("tenant", "acme").with("decision", "approve")).await);
    // To say no is never too late.
    let denied = ana.submit(&form.with("decision", "deny")).await;
    assert_eq!(denied.redirect_parameters()["error"], "access_denied");
}

/// A grant costs something for months. So there are 50 of a person and client, and the next one takes the place of one that nobody
/// uses, if the person agrees.
#[tokio::test(flavor = "multi_thread")]
async fn person_has_at_most_50_grants_of_a_client() {
    let test_system = TestSystem::new().await;
    // They are counted on ten pages of the index at most.
    test_system.stop_cutting_pages();
    let (claude, cursor) = (test_system.connector("Claude").await, test_system.connector("Cursor").await);
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(connect(&test_system, &claude, ANA).await);
        test_system.advance(1);
    }
    connect(&test_system, &claude, BEN).await;
    test_system.settled().await;
    let ana = test_system.person(ANA);
    let asks = async || ana.submit_and_follow(&approving(&ana, &claude.authorization_request(SCOPE)).await).await;

    // All are in use.
    let before = test_system.count("grants").await;
    let page = asks().await;
    assert!(page.status == 200 && page.body.contains("have used all of them within seven days"), "{page:?}");
    assert_eq!(test_system.count("grants").await, before);
    // Neither another client nor another person is concerned.
    code_of(&test_system, &ana.submit(&approving(&ana, &cursor.authorization_request(SCOPE)).await).await);
    let ben = test_system.person(BEN);
    code_of(&test_system, &ben.submit(&approving(&ben, &claude.authorization_request(SCOPE)).await).await);

    // Two of them are not. The sixth was exchanged before the ninth.
    test_system.advance(7 * DAY);
    for (number, tokens) in held.iter_mut().enumerate() {
        if ![5, 8].contains(&number) {
            *tokens = claude.refresh(tokens.refresh.as_ref().unwrap()).await.tokens(&test_system);
        }
    }
    test_system.settled().await;
    let before = test_system.count("grants").await;
    let page = asks().await;
    for said in
        ["You have 50 connections of this application", "If you approve now, one of them ends", "Acme", "2026-11-22"]
    {
        assert!(page.body.contains(said), "{said}: {page:?}");
    }
    assert_eq!(test_system.count("grants").await, before);
    let grant = test_system::claims(&held[5].access).1["grant"].as_str().unwrap().to_owned();
    let form = Form::find(&page, "replaces").unwrap();
    assert!(form.fields.contains(&("replaces".to_owned(), grant.clone())), "{form:?}");
    let form = form.with("tenant", "acme").with("decision", "approve");
    // Of what is in use, and of another person, none ends whatever the form says.
    for other in [&held[0], &connect(&test_system, &claude, BEN).await] {
        let other = test_system::claims(&other.access).1["grant"].as_str().unwrap().to_owned();
        let page = ana.submit_and_follow(&form.clone().with("replaces", &other)).await;
        assert!(page.body.contains("If you approve now, one of them ends"), "{page:?}");
    }

    let agreed = ana.submit(&form).await;

    code_of(&test_system, &agreed);
    let ended = claude.refresh(held[5].refresh.as_ref().unwrap()).await;
    assert_eq!((ended.status, &ended.json()["error"]), (400, &json!("invalid_grant")));
    for number in [0, 8, 49] {
        assert_eq!(claude.refresh(held[number].refresh.as_ref().unwrap()).await.status, 200, "{number}");
    }
    let events = test_system.audit("grant_ended");
    let event = events.iter().find(|event| event["grant"] == grant.as_str()).expect("it is recorded");
    assert_eq!((&event["reason"], &event["by"]), (&json!("person"), &json!(test_system.person_id(ANA).as_str())));
}

/// One transaction stores the new connection and ends the one that it replaces: if it fails, the old one goes on. An approval takes
/// five calls at most, this one too.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_connection_ends_with_the_new_one_and_not_without() {
    let (writes_fail, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (fails, counted) = (Arc::clone(&writes_fail), Arc::clone(&calls));
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let is_ours = call.function == "authorize";
            counted.fetch_add(usize::from(is_ours), Ordering::SeqCst);
            let stores = call.operation == "TransactWriteItems" || call.operation == "PutItem";
            let fails = is_ours && stores && fails.load(Ordering::SeqCst);
            async move { if fails { Decision::FailBefore(InjectedError::DENIED) } else { Decision::Pass } }
        }));
    })
    .await;
    let claude = test_system.connector("Claude").await;
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(connect(&test_system, &claude, ANA).await);
        test_system.advance(1);
    }
    test_system.advance(7 * DAY);
    let ana = test_system.person(ANA);
    let page = ana.submit_and_follow(&approving(&ana, &claude.authorization_request(SCOPE)).await).await;
    let form = Form::find(&page, "replaces").unwrap().with("tenant", "acme").with("decision", "approve");
    let grants: Vec<_> = held.iter().map(|it| test_system::claims(&it.access).1["grant"].clone()).collect();
    let ended = || {
        let ended = test_system.audit("grant_ended").into_iter().map(|event| event["grant"].clone());
        ended.filter(|grant| grants.contains(grant)).collect::<Vec<_>>()
    };

    writes_fail.store(true, Ordering::SeqCst);
    let failed = ana.submit_and_follow(&form).await;
    assert!(failed.body.contains("did not answer") || failed.status == 503, "{failed:?}");
    assert!(ended().is_empty());
    held[0] = claude.refresh(held[0].refresh.as_ref().unwrap()).await.tokens(&test_system);
    writes_fail.store(false, Ordering::SeqCst);

    // It was used meanwhile. So it stays, and the page names the next.
    let page = ana.submit_and_follow(&form).await;
    assert!(ended().is_empty());
    let form = Form::find(&page, "replaces").unwrap().with("tenant", "acme").with("decision", "approve");
    calls.store(0, Ordering::SeqCst);
    code_of(&test_system, &ana.submit(&form).await);

    assert_eq!(calls.load(Ordering::SeqCst), 5);
    assert_eq!(ended(), [grants[1].clone()]);
    for (number, status) in [(0, 200), (1, 400), (2, 200)] {
        assert_eq!(claude.refresh(held[number].refresh.as_ref().unwrap()).await.status, status, "{number}");
    }
}

/// However far the index lags behind, a person makes no more than these in an hour; and what is refused makes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn person_approves_at_most_240_times_an_hour() {
    let test_system = TestSystem::new().await;
    let claude = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let form = approving(&ana, &claude.authorization_request(SCOPE)).await;
    for _ in 0..24 {
        for answer in test_system::all((0..10).map(|_| ana.submit(&form))).await {
            code_of(&test_system, &answer);
        }
    }

    for form in [form, approving(&ana, &claude.authorization_request(SCOPE)).await] {
        let page = ana.submit_and_follow(&form).await;
        assert!(page.body.contains("You have approved as many connections as you may within an hour"), "{page:?}");
    }
    assert_eq!(test_system.count("grants").await, 1);
    let ben = test_system.person(BEN);
    code_of(&test_system, &ben.submit(&approving(&ben, &claude.authorization_request(SCOPE)).await).await);
    test_system.advance(3600);
    code_of(&test_system, &ana.submit(&approving(&ana, &claude.authorization_request(SCOPE)).await).await);
}
