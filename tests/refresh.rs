//! A refresh token becomes its successor (OAuth 2.1 §4.3), over networks that lose answers and past thieves that copy them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Value, json};
use test_system::person::Form;
use test_system::{TestSystem, claims};
use tokio::sync::Notify;

/// OAuth 2.1 §4.3.1: each use gives a new refresh token, of the same scope.
#[tokio::test(flavor = "multi_thread")]
async fn every_refresh_rotates_the_token() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read views:read").await;

    let second = connector.refresh(first.refresh.as_ref().unwrap()).await.tokens(&test_system);
    let third = connector.refresh(second.refresh.as_ref().unwrap()).await.tokens(&test_system);

    assert_ne!(first.refresh, second.refresh);
    assert_ne!(second.refresh, third.refresh);
    assert_eq!(third.scope, first.scope);
    assert_eq!(claims(&third.access).1["generation"], 3);
    assert_eq!(connector.call(&third.access, "tools/list", json!({})).await.status, 200);
}

/// A retry within a minute is answered with the same successor, whatever has happened to it. A client gives up its request after 30 s,
/// so its retry comes at 31 to 45 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_within_a_minute_gets_the_same_successor() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let old = first.refresh.unwrap();
    let second = connector.refresh(&old).await.tokens(&test_system);
    assert_eq!(connector.call(&second.access, "tools/list", json!({})).await.status, 200);

    test_system.advance(60);
    let again = connector.refresh(&old).await.tokens(&test_system);

    assert_eq!(again.refresh, second.refresh);
    assert_eq!(connector.call(&again.access, "tools/list", json!({})).await.status, 200);
    assert_eq!(connector.refresh(&again.refresh.unwrap()).await.status, 200);
}

/// Later there is a new pair, as long as nothing of the successor was ever used: then its answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn retry_of_a_lost_response_days_later_gets_new_tokens() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let old = first.refresh.unwrap();
    let lost = connector.refresh(&old).await.tokens(&test_system);

    test_system.advance(7 * 24 * 3600);
    let again = connector.refresh(&old).await.tokens(&test_system);

    assert_ne!(again.refresh, lost.refresh);
    assert_eq!(claims(&again.access).1["generation"], 3);
    assert_eq!(connector.call(&again.access, "tools/list", json!({})).await.status, 200);
    let next = connector.refresh(&again.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(connector.call(&next.access, "tools/list", json!({})).await.status, 200);
}

/// A client that loses every answer, and whose time limit is longer than the minute, is never locked out.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_loses_answers_again_and_again_stays_connected() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let old = first.refresh.unwrap();

    for _ in 0..70 {
        assert_eq!(connector.refresh(&old).await.status, 200);
        test_system.advance(61);
    }

    let last = connector.refresh(&old).await.tokens(&test_system);
    assert_eq!(connector.call(&last.access, "tools/list", json!({})).await.status, 200);
    assert_eq!(connector.refresh(&last.refresh.unwrap()).await.status, 200);
}

/// The thief refreshes first and uses nothing, so that the client's retry looks like one after a lost answer. The client gets a pair
/// of its own; the thief's access token is refused and reported, and his refresh token ends the grant.
#[tokio::test(flavor = "multi_thread")]
async fn patient_thief_never_holds_what_the_client_holds() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let stolen = first.refresh.unwrap();
    let thief = connector.refresh(&stolen).await.tokens(&test_system);
    test_system.advance(61);

    let client = connector.refresh(&stolen).await.tokens(&test_system);

    assert_ne!(client.refresh, thief.refresh);
    assert_eq!(connector.call(&client.access, "tools/list", json!({})).await.status, 200);
    let refused = connector.call(&thief.access, "tools/list", json!({})).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_token")));
    let told = audited(&test_system, "call_refused");
    assert_eq!((told.len(), &told[0]["reason"], &told[0]["tenant"]), (1, &json!("superseded"), &json!("acme")));
    // It ends nothing, also if it is given back, and after the client has gone on.
    let given_back = [("token", thief.access.as_str()), ("client_id", &connector.client_id)];
    assert_eq!(test_system.post_form("/oauth/revoke", &given_back).await.status, 200);
    test_system.advance(1800);
    let next = connector.refresh(&client.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(connector.call(&thief.access, "tools/list", json!({})).await.status, 401);
    assert_eq!(connector.call(&next.access, "tools/list", json!({})).await.status, 200);

    let replay = connector.refresh(&thief.refresh.unwrap()).await;

    assert_eq!((replay.status, &replay.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(connector.call(&next.access, "tools/list", json!({})).await.status, 401);
    assert_eq!(connector.refresh(&next.refresh.unwrap()).await.json()["error"], "invalid_grant");
    assert!(test_system.audit("grant_ended").iter().any(|line| line["reason"] == "refresh_replayed"));
}

/// A superseded refresh token is as good as the one that was replaced for a minute, and a replay after it.
#[tokio::test(flavor = "multi_thread")]
async fn superseded_refresh_token_earns_the_current_pair_for_a_minute() {
    for (later, status) in [(60, 200), (61, 400)] {
        let test_system = TestSystem::new().await;
        let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let old = first.refresh.unwrap();
        let superseded = connector.refresh(&old).await.tokens(&test_system).refresh.unwrap();
        test_system.advance(61);
        let current = connector.refresh(&old).await.tokens(&test_system);

        test_system.advance(later);
        let answer = connector.refresh(&superseded).await;

        assert_eq!(answer.status, status, "{later}");
        let works = connector.call(&current.access, "tools/list", json!({})).await.status;
        if status == 200 {
            assert_eq!((answer.tokens(&test_system).refresh, works), (current.refresh, 200));
        } else {
            assert_eq!((&answer.json()["error"], works), (&json!("invalid_grant"), 401));
        }
    }
}

/// Each retry costs a signature. After 64 in one generation there is one a second; nothing ends by it.
#[tokio::test(flavor = "multi_thread")]
async fn retries_beyond_64_are_answered_once_a_second() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let old = first.refresh.unwrap();
    let current = connector.refresh(&old).await.tokens(&test_system);
    for _ in 0..64 {
        assert_eq!(connector.refresh(&old).await.tokens(&test_system).refresh, current.refresh);
    }

    let signatures = test_system.system().kms().calls().sign;
    for _ in 0..3 {
        let refused = connector.refresh(&old).await;
        assert_eq!(
            (refused.status, refused.header("retry-after"), refused.json()),
            (
                429,
                Some("2"),
                json!({
                    "error": "temporarily_unavailable",
                    "error_description": "This request was repeated too often. Try again in two seconds.",
                })
            )
        );
    }
    assert_eq!(test_system.system().kms().calls().sign, signatures, "refused before anything is signed");

    for _ in 0..3 {
        test_system.advance(2);
        assert_eq!(connector.refresh(&old).await.tokens(&test_system).refresh, current.refresh);
        assert_eq!(connector.refresh(&old).await.status, 429);
    }
    let next = connector.refresh(current.refresh.as_ref().unwrap()).await.tokens(&test_system);
    assert_eq!(connector.call(&next.access, "tools/list", json!({})).await.status, 200);
    // The next generation has retries of its own.
    assert_eq!(connector.refresh(current.refresh.as_ref().unwrap()).await.tokens(&test_system).refresh, next.refresh);
}

/// One late retry may be a bad network. Two of one grant within a day are in the tenant's activity, with both times.
#[tokio::test(flavor = "multi_thread")]
async fn second_late_retry_within_a_day_is_reported() {
    const DAY: i64 = 24 * 3600;
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let old = first.refresh.unwrap();
    let _lost = connector.refresh(&old).await.tokens(&test_system);
    for (later, told) in [(DAY, 0), (DAY + 1, 0), (DAY, 1), (61, 2)] {
        test_system.advance(later);
        let form = [("grant_type", "refresh_token"), ("refresh_token", &old), ("client_id", &connector.client_id)];
        let agent = [("user-agent", "python-httpx/0.28.1")];
        assert_eq!(test_system.post_form_with("/oauth/token", &form, &agent).await.status, 200);
        assert_eq!(audited(&test_system, "late_retry_repeated").len(), told, "{later}");
    }

    let lines = audited(&test_system, "late_retry_repeated");

    assert_eq!(lines[1]["earlier"], test_system.now() - 61);
    assert!(lines[1]["network"].is_string(), "{}", lines[1]);
    assert_eq!(lines[1]["network"], lines[1]["earlier_network"]);
    assert_eq!((&lines[1]["tenant"], &lines[1]["client"]), (&json!("acme"), &json!(connector.client_id)));
}

/// A client whose lost answer was given again has not been idle since it was lost.
#[tokio::test(flavor = "multi_thread")]
async fn late_retry_renews_the_idle_limit() {
    const DAY: i64 = 24 * 3600;
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let old = first.refresh.unwrap();
    let lost = connector.refresh(&old).await.tokens(&test_system);

    test_system.advance(30 * DAY - 1800);
    let again = connector.refresh(&old).await;
    assert_eq!(again.json()["expires_in"], 3600);
    let again = again.tokens(&test_system);
    assert_ne!(again.refresh, lost.refresh);
    test_system.advance(1800);
    assert_eq!(connector.call(&again.access, "ping", json!({})).await.status, 200);
    test_system.advance(29 * DAY);

    let next = connector.refresh(&again.refresh.unwrap()).await.tokens(&test_system);
    test_system.advance(30 * DAY);
    assert_eq!(connector.refresh(&next.refresh.unwrap()).await.json()["error"], "invalid_grant");
}

/// A process with an old copy of the tokens: within the deployment's window it earns the current pair, if it comes from the network
/// and by the product that rotated. Anybody else ends the grant, and so does it in a deployment that has no window.
#[tokio::test(flavor = "multi_thread")]
async fn sibling_earns_the_current_pair_within_its_window() {
    const AGENT: &str = "python-httpx/0.28.1";
    for (window, later, from, agent, expected) in [
        ("30", 30 * 60, "198.51.100.99", "python-httpx/0.29", "sibling"),
        ("30", 30 * 60 + 1, "198.51.100.99", AGENT, "like a sibling"),
        ("0", 61, "198.51.100.99", AGENT, "like a sibling"),
        ("60", 60 * 60 + 1, "198.51.100.99", AGENT, "replayed"),
        ("30", 61, "198.51.101.99", AGENT, "replayed"),
        ("30", 61, "198.51.100.99", "curl/8.20", "replayed"),
        ("30", 61, "198.51.100.99", "", "replayed"),
        ("30", 61, "", AGENT, "replayed"),
    ] {
        let case = format!("{window} {later} {from} {agent}");
        let test_system = TestSystem::with(|options| {
            options.parameters.insert("RefreshSiblingWindow".to_owned(), window.to_owned());
            options.parameters.insert("ClientAddress".to_owned(), "forwarded".to_owned());
        })
        .await;
        let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let refresh = async |token: &str, from: &str, agent: &str| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &connector.client_id)];
            let headers = [("x-forwarded-for", from), ("user-agent", agent)];
            let present: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            test_system.post_form_with("/oauth/token", &form, &present).await
        };
        let old = first.refresh.unwrap();
        let current = refresh(&old, "198.51.100.7", AGENT).await.tokens(&test_system);
        assert_eq!(connector.call(&current.access, "tools/list", json!({})).await.status, 200);
        test_system.advance(later);

        let answer = refresh(&old, from, agent).await;

        let judged = audited(&test_system, "refresh_judged").pop().unwrap();
        if expected == "sibling" {
            assert_eq!((judged["verdict"].as_str(), judged.get("like_sibling")), (Some("sibling"), None), "{case}");
            assert_eq!(answer.tokens(&test_system).refresh, current.refresh, "{case}");
            assert_eq!(connector.refresh(current.refresh.as_ref().unwrap()).await.status, 200, "{case}");
        } else {
            let like_sibling = (expected == "like a sibling").then(|| json!("yes"));
            assert_eq!(
                (judged["verdict"].as_str(), judged.get("like_sibling")),
                (Some("replayed"), like_sibling.as_ref()),
                "{case}"
            );
            assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")), "{case}");
        }
    }
}

/// A successor that was presented was received, even if it was too often, or nobody could answer: no answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn unanswered_refresh_still_marks_the_successor_as_used() {
    for (status, failing_call) in [(429, "none"), (503, "Sign"), (503, "the directory")] {
        let failing = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failing);
        let test_system = TestSystem::with(|options| {
            options.interceptor = Some(Arc::new(move |call: Call| {
                let is_of_directory = || call.body["RequestItems"].to_string().contains("Directory");
                let is_meant = call.operation == failing_call || failing_call == "the directory" && is_of_directory();
                let fails = fails.load(Ordering::SeqCst) && is_meant;
                async move { if fails { Decision::FailBefore(InjectedError::DENIED) } else { Decision::Pass } }
            }));
        })
        .await;
        let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let mut stolen = first.refresh.unwrap();
        let mut held = connector.refresh(&stolen).await.tokens(&test_system).refresh.unwrap();
        if status == 429 {
            for _ in 0..239 {
                let next = connector.refresh(&held).await.tokens(&test_system).refresh.unwrap();
                stolen = std::mem::replace(&mut held, next);
            }
        }
        failing.store(status == 503, Ordering::SeqCst);
        assert_eq!(connector.refresh(&held).await.status, status, "{failing_call}");
        failing.store(false, Ordering::SeqCst);
        test_system.advance(3600);

        let replayed = connector.refresh(&stolen).await;

        assert_eq!((replayed.status, &replayed.json()["error"]), (400, &json!("invalid_grant")), "{failing_call}");
        assert_eq!(connector.refresh(&held).await.json()["error"], "invalid_grant", "{failing_call}");
    }
}

/// A successor that was presented was received, even if what was asked with it was refused: no answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn refused_refresh_still_marks_the_successor_as_used() {
    for wrong in [("scope", "entities:read"), ("resource", "https://a.example")] {
        let test_system = TestSystem::new().await;
        let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let stolen = first.refresh.unwrap();
        let held = connector.refresh(&stolen).await.tokens(&test_system).refresh.unwrap();
        assert_eq!(connector.refresh_with(&held, &[wrong]).await.status, 400, "{wrong:?}");
        test_system.advance(61);

        let replayed = connector.refresh(&stolen).await;

        assert_eq!((replayed.status, &replayed.json()["error"]), (400, &json!("invalid_grant")), "{wrong:?}");
        assert_eq!(connector.refresh(&held).await.json()["error"], "invalid_grant", "{wrong:?}");
    }
}

/// OAuth 2.1 §4.3.1: a replaced token whose successor was used is stolen or replayed; everything ends.
#[tokio::test(flavor = "multi_thread")]
async fn replayed_refresh_token_revokes_the_grant() {
    for used in ["access token", "refresh token"] {
        let test_system = TestSystem::new().await;
        let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let old = first.refresh.unwrap();
        let mut latest = connector.refresh(&old).await.tokens(&test_system);
        if used == "access token" {
            assert_eq!(connector.call(&latest.access, "tools/list", json!({})).await.status, 200);
            test_system.advance(61);
        } else {
            latest = connector.refresh(&latest.refresh.unwrap()).await.tokens(&test_system);
        }

        let replay = connector.refresh(&old).await;

        assert_eq!(replay.status, 400, "{used}");
        assert_eq!(
            replay.json(),
            json!({
                "error": "invalid_grant",
                "error_description": "The refresh token is not valid any more. The person has to connect again.",
            })
        );
        assert_eq!(connector.call(&latest.access, "tools/list", json!({})).await.status, 401, "{used}");
        assert_eq!(connector.refresh(&latest.refresh.unwrap()).await.json()["error"], "invalid_grant", "{used}");
        assert!(test_system.audit("grant_ended").iter().any(|line| line["reason"] == "refresh_replayed"), "{used}");
    }
}

/// Nobody can end a grant by guessing its id.
#[tokio::test(flavor = "multi_thread")]
async fn forged_refresh_token_does_not_revoke_the_grant() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let genuine = tokens.refresh.unwrap();
    // The grant's id is the first 22 characters after the prefix; the family's secret follows.
    let stranger = format!("{}{}", &genuine[..25], "A".repeat(genuine.len() - 25));

    for token in [stranger.as_str(), "rt_", "rt_nonsense", "nonsense", &genuine[1..], &format!("{genuine}A")] {
        let refused = connector.refresh(token).await;
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")), "{token}");
    }

    assert_eq!(connector.refresh(&genuine).await.status, 200);
}

/// OAuth 2.1 §4.3: bound to the client it was issued to.
#[tokio::test(flavor = "multi_thread")]
async fn another_client_can_neither_use_nor_revoke_the_token() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let thief = test_system.connector("Thief").await;
    let token = tokens.refresh.unwrap();

    let refused = thief.refresh(&token).await;

    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(connector.refresh(&token).await.status, 200);
}

/// OAuth 2.1 §4.3.1: narrowing affects the access token only; what was neither approved nor requested before is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_scope_narrows_only_the_access_token() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read views:read").await;

    let narrow =
        connector.refresh_with(&tokens.refresh.unwrap(), &[("scope", "skills:read")]).await.tokens(&test_system);
    assert_eq!(claims(&narrow.access).1["scope"], "skills:read");
    let wide = connector.refresh_with(narrow.refresh.as_ref().unwrap(), &[("scope", "entities:read")]).await;
    assert_eq!((wide.status, &wide.json()["error"]), (400, &json!("invalid_scope")));
    let elsewhere =
        connector.refresh_with(narrow.refresh.as_ref().unwrap(), &[("resource", "https://a.example")]).await;
    assert_eq!((elsewhere.status, &elsewhere.json()["error"]), (400, &json!("invalid_target")));

    let full = connector.refresh(&narrow.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(full.scope, "skills:read views:read");
}

/// A downgrade bites at the next rotation, and a promotion never exceeds what was approved.
#[tokio::test(flavor = "multi_thread")]
async fn role_change_applies_to_the_next_token() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "entities:write skills:read").await;
    assert_eq!(tokens.scope, "skills:read entities:write");

    test_system.set_role("acme", "ana@example.com", "viewer").await;
    let demoted = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(demoted.scope, "skills:read entities:read");

    test_system.set_role("acme", "ana@example.com", "owner").await;
    let promoted = connector.refresh(&demoted.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(promoted.scope, "skills:read entities:write");
}

/// RFC 6749 §3.3, §6: clients repeat at each refresh what they first requested. They get what was approved, whatever that is, and
/// the answer names it. Several hosts are seen to do so.
#[tokio::test(flavor = "multi_thread")]
async fn refresh_that_repeats_the_requested_scopes_gets_what_was_approved() {
    const ALL: &str = "tools:execute skills:read views:read";
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");

    for (requested, unticked, repeated, carried, named) in [
        (ALL, &["views:read"][..], ALL, "tools:execute skills:read", "tools:execute skills:read"),
        (
            "skills:read entities:write",
            &["skills:read"],
            "skills:read entities:write",
            "entities:read entities:write",
            "entities:write",
        ),
        (
            "skills:read entities:write",
            &["entities:write"],
            "skills:read entities:write",
            "skills:read entities:read",
            "skills:read entities:read",
        ),
        // Unknown scopes are left out, beside known ones and alone.
        ("openid skills:read", &[], "openid skills:read", "skills:read", "skills:read"),
        ("skills:read", &[], "openid profile", "skills:read", "skills:read"),
        ("skills:read", &[], " ", "skills:read", "skills:read"),
        ("openid", &["views:read"], "openid", "tools:execute skills:read", "tools:execute skills:read offline_access"),
        ("skills:read offline_access", &[], "offline_access", "skills:read", "skills:read offline_access"),
        // In another order, and twice.
        (
            "skills:read views:read",
            &[],
            "views:read skills:read views:read",
            "skills:read views:read",
            "skills:read views:read",
        ),
    ] {
        let ask = connector.authorization_request(requested);
        let approved = ana.approve_without(&ask, "acme", unticked).await;
        let code = approved.redirect_parameters()["code"].clone();
        let first = connector.exchange(&ask, &code).await.tokens(&test_system);

        let again = connector.refresh_with(&first.refresh.unwrap(), &[("scope", repeated)]).await.tokens(&test_system);

        let case = format!("{requested} without {unticked:?}, then {repeated}");
        assert_eq!(claims(&again.access).1["scope"], carried, "{case}");
        assert_eq!((again.scope.as_str(), first.scope.as_str()), (named, named), "{case}");
        assert!(again.refresh.is_some(), "{case}");
    }
}

/// RFC 6749 §6: who names scopes that they do not have never gets others in their place. All of what was requested at first means what
/// was approved of it; a part of it means that part.
#[tokio::test(flavor = "multi_thread")]
async fn refresh_whose_scopes_leave_nothing_is_refused() {
    const ALL: &str = "tools:execute skills:read views:read";
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let ask = connector.authorization_request(ALL);
    let approved = ana.approve_without(&ask, "acme", &["skills:read"]).await;
    let tokens = connector.exchange(&ask, &approved.redirect_parameters()["code"]).await.tokens(&test_system);
    let mut refresh = tokens.refresh.unwrap();

    // What was not approved, and then what the role no longer allows.
    for (role, named) in
        [("owner", "skills:read"), ("viewer", "tools:execute"), ("viewer", "tools:execute skills:read")]
    {
        test_system.set_role("acme", "ana@example.com", role).await;
        let refused = connector.refresh_with(&refresh, &[("scope", named)]).await;
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_scope")), "{named}: {refused:?}");
    }
    test_system.set_role("acme", "ana@example.com", "owner").await;
    for (named, carried) in
        [(ALL, "tools:execute views:read"), ("views:read", "views:read"), ("skills:read views:read", "views:read")]
    {
        let again = connector.refresh_with(&refresh, &[("scope", named)]).await.tokens(&test_system);
        assert_eq!(claims(&again.access).1["scope"], carried, "{named}");
        refresh = again.refresh.unwrap();
    }
}

/// What the person granted beyond the request stays, although the client repeats the request.
#[tokio::test(flavor = "multi_thread")]
async fn refresh_that_repeats_the_requested_scopes_keeps_what_was_granted_beyond() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let ana = test_system.person("ana@example.com");
    assert_eq!(connector.tool(&tokens.access, "list_views", json!({})).await.status, 403);
    let ask = connector.authorization_request("skills:read");
    let form = Form::find(&ana.sign_in(&ask.url).await, "decision").unwrap();
    let form = form.with("tenant", "acme").with("also:acme:views:read", "1").with("decision", "approve");
    let code = ana.submit(&form).await.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    let mut tokens = connector.exchange(&ask, &code).await.tokens(&test_system);

    for _ in 0..2 {
        assert_eq!(tokens.scope, "skills:read views:read");
        assert_eq!(connector.tool(&tokens.access, "list_views", json!({})).await.status, 200);
        tokens =
            connector.refresh_with(&tokens.refresh.unwrap(), &[("scope", "skills:read")]).await.tokens(&test_system);
    }
}

/// RFC 6749 §5.1: `offline_access` and what another scope implies are named only to who requested them, as some clients refuse an
/// answer that names more than they requested. The refresh token comes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn offline_access_and_implied_scopes_are_named_only_to_who_requested_them() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");

    for (requested, carried, named) in [
        (Some("skills:read"), "skills:read", "skills:read"),
        (Some("skills:read offline_access"), "skills:read", "skills:read offline_access"),
        (Some("documents:write"), "documents:read documents:write", "documents:write"),
        (Some("documents:read documents:write"), "documents:read documents:write", "documents:read documents:write"),
        (None, "tools:execute skills:read views:read", "tools:execute skills:read views:read offline_access"),
        (Some("openid"), "tools:execute skills:read views:read", "tools:execute skills:read views:read offline_access"),
    ] {
        let ask = connector.authorization_request_with(&[("scope", requested)]);
        let code = ana.code(&ask, "acme").await;
        let first = connector.exchange(&ask, &code).await;
        let tokens = first.tokens(&test_system);
        let second = connector.refresh(tokens.refresh.as_ref().unwrap()).await;

        for answer in [first, second] {
            let answer = answer.tokens(&test_system);
            assert_eq!((answer.scope.as_str(), answer.refresh.is_some()), (named, true), "{requested:?}");
            assert_eq!(claims(&answer.access).1["scope"], carried, "{requested:?}");
        }
    }
}

/// A membership that is gone ends the grant.
#[tokio::test(flavor = "multi_thread")]
async fn removed_members_grant_is_revoked() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;

    test_system.remove_member("acme", "ana@example.com").await;
    let refused = connector.refresh(tokens.refresh.as_ref().unwrap()).await;

    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    test_system.set_role("acme", "ana@example.com", "owner").await;
    assert_eq!(connector.refresh(&tokens.refresh.unwrap()).await.json()["error"], "invalid_grant");
}

/// 30 days idle, 180 days in all, and `expires_in` tells the truth to the end.
#[tokio::test(flavor = "multi_thread")]
async fn grant_expires_when_idle_or_old() {
    const DAY: i64 = 24 * 3600;
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    test_system.advance(30 * DAY);
    assert_eq!(connector.refresh(&tokens.refresh.unwrap()).await.json()["error"], "invalid_grant");

    let (connector, mut tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    for _ in 0..7 {
        test_system.advance(25 * DAY);
        tokens = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    }
    test_system.advance(5 * DAY - 600);
    let last = connector.refresh(&tokens.refresh.unwrap()).await;
    assert_eq!(last.json()["expires_in"], 600);
    let last = last.tokens(&test_system);
    test_system.advance(600);
    assert_eq!(connector.refresh(&last.refresh.unwrap()).await.json()["error"], "invalid_grant");
}

/// Two at once get the same successor: the table decides, the loser derives.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_get_the_same_successor() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let token = tokens.refresh.unwrap();

    let mut answers = Vec::new();
    for wave in [vec![(); 16]] {
        let racing = wave.iter().map(|()| connector.refresh(&token));
        answers.extend(test_system::all(racing).await);
    }

    let successors: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.tokens(&test_system).refresh.unwrap()).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(connector.refresh(successors.first().unwrap()).await.status, 200);
}

/// A client sends a token twice at once and goes on with the first answer, while the second is still on its way: it is no thief.
#[tokio::test(flavor = "multi_thread")]
async fn delayed_duplicate_gets_the_same_successor() {
    let (armed, held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let interceptor = {
        let (armed, held, release) = (Arc::clone(&armed), Arc::clone(&held), Arc::clone(&release));
        move |call: Call| {
            let holding = call.operation == "UpdateItem" && armed.swap(false, Ordering::SeqCst);
            let (held, release) = (Arc::clone(&held), Arc::clone(&release));
            async move {
                if holding {
                    held.notify_one();
                    release.notified().await;
                }
                Decision::Pass
            }
        }
    };
    let test_system = TestSystem::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let first = tokens.refresh.unwrap();

    armed.store(true, Ordering::SeqCst);
    let (duplicate, (second, third)) = tokio::join!(connector.refresh(&first), async {
        held.notified().await;
        let second = connector.refresh(&first).await.tokens(&test_system);
        let third = connector.refresh(second.refresh.as_ref().unwrap()).await.tokens(&test_system);
        release.notify_one();
        (second, third)
    });

    assert_eq!(duplicate.tokens(&test_system).refresh, second.refresh);
    assert_eq!(connector.call(&third.access, "tools/list", json!({})).await.status, 200);
    assert_eq!(connector.refresh(&third.refresh.unwrap()).await.status, 200);
}

/// The audit events of that name, of this test system.
fn audited(test_system: &TestSystem, event: &str) -> Vec<Value> {
    test_system.lines().into_iter().filter(|line| line["event"] == event).collect()
}

/// Each refresh costs a signature. A client that refreshes in a circle waits, and nothing of its connection ends.
#[tokio::test(flavor = "multi_thread")]
async fn grant_gets_240_access_tokens_an_hour() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ask, code) = connector.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
    let mut tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    // A retry counts as well.
    for _ in 0..120 {
        let old = tokens.refresh.unwrap();
        tokens = connector.refresh(&old).await.tokens(&test_system);
        assert_eq!(connector.refresh(&old).await.tokens(&test_system).refresh, tokens.refresh);
    }

    let current = tokens.refresh.unwrap();
    for _ in 0..3 {
        let refused = connector.refresh(&current).await;
        let left = 3600 - test_system.now() % 3600;
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (429, Some(left.to_string().as_str())),
            "{refused:?}"
        );
        let body = json!({
            "error": "temporarily_unavailable",
            "error_description": "This was done too often within an hour. Try again when it is over.",
        });
        assert_eq!(refused.json(), body);
        test_system.advance(60);
    }
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    test_system.advance(3600 - test_system.now() % 3600);
    assert_eq!(connector.refresh(&current).await.status, 200);
}
