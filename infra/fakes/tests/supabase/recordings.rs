//! The fake Supabase against recordings of the real Supabase Auth (`recorded.json`, whose head says how they were made).
//!
//! Every case is played in the order of the recording, in one project. What differs is listed in `differences.json` with a
//! reason each; the test fails when something else differs, and when something listed does not differ any more.

use crate::replay::Replay;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A case by its name, and why the fake Supabase answers otherwise.
#[derive(Deserialize)]
struct Difference {
    case: String,
    reason: String,
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the count and what differs are what one reads this test for")]
async fn fake_supabase_answers_like_the_recorded_server() {
    let recorded: Value = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let listed: Vec<Difference> = serde_json::from_str(include_str!("differences.json")).unwrap();
    let mut replay = Replay::new(&recorded["jwts"]);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();

    let cases = recorded["cases"].as_array().unwrap();
    for case in cases {
        let differences = replay.play(case).await;
        if !differences.is_empty() {
            found.insert(case["case"].as_str().unwrap().to_owned(), differences);
        }
    }

    println!("recorded cases alike: {}, different: {}", cases.len() - found.len(), found.len());
    for (case, differences) in &found {
        println!("{case}");
        for difference in differences {
            println!("    {difference}");
        }
    }
    assert!(listed.iter().all(|difference| difference.reason.len() > 20), "every difference has a reason");
    let mut listed: Vec<&str> = listed.iter().map(|difference| difference.case.as_str()).collect();
    listed.sort_unstable();
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), listed, "what differs is what is listed");
}

/// The comparison itself: whatever is changed in a recorded answer is noticed.
#[tokio::test]
async fn a_difference_of_any_kind_is_reported() {
    let recorded: Value = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["case"] == "refresh good").unwrap();
    assert!(Replay::new(&recorded["jwts"]).play(case).await.is_empty());

    for (at, changed) in [
        ("/exchanges/0/answer/status", json!(201)),
        ("/exchanges/0/answer/headers/content-type", json!("text/plain")),
        ("/exchanges/0/answer/headers/x-sb-error-code", json!("bad_json")),
        ("/exchanges/0/answer/body/token_type", json!("Bearer")),
        ("/exchanges/0/answer/body/expires_at", json!("<time>")),
        ("/exchanges/0/answer/body/user/email_confirmed_at", json!("<seconds>")),
        ("/exchanges/0/answer/body/user/nickname", json!("Ben")),
        ("/exchanges/0/answer/body/user/identities", json!([])),
        ("/exchanges/1/answer/body/refresh_token", json!("<refresh 3>")),
        ("/exchanges/1/answer/headers/sb-auth-session-id", json!("<uuid 2>")),
        ("/exchanges/1/answer/body/access_token", json!("<jwt 9>")),
    ] {
        let mut case = case.clone();
        let (parent, name) = at.rsplit_once('/').unwrap();
        case.pointer_mut(parent).unwrap()[name] = changed;

        let told = Replay::new(&recorded["jwts"]).play(&case).await;

        assert!(!told.is_empty(), "{at}");
    }
}
