//! The console in a real browser: it fits phones and desks, light and dark, axe finds nothing, and no mouse or script is needed.

use serde_json::{Map, Value, json};
use shared::oauth::tenant::TenantId;
use shared::store::activity::Activity;
use test_system::TestSystem;
use test_system::connector::Connector;

use crate::browser::{Browser, WITHOUT_JAVASCRIPT};

const SCOPE: &str = "skills:read views:read entities:write offline_access";

async fn connects(test_system: &TestSystem, connector: &Connector<'_>, email: &str, tenant: &str) -> String {
    let (ask, code) = connector.approve_directly(SCOPE, email, tenant).await;
    connector.exchange(&ask, &code).await.tokens(test_system).access
}

async fn happened(test_system: &TestSystem, lines: &[Value]) {
    let lines: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| Activity {
            tenant: TenantId::parse("acme").unwrap(),
            at: test_system.now() * 1000 + i64::try_from(place).unwrap(),
            id: place.to_string(),
            event: line["event"].as_str().unwrap().to_owned(),
            line: line.as_object().cloned().unwrap_or_else(Map::new),
        })
        .collect();
    test_system.system().activities().put(&lines).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn console_pages_are_accessible() {
    let test_system = TestSystem::new().await;
    let mut browser = Browser::start(&test_system, &[]);
    browser.open(&test_system.at("/admin")).await;
    browser.sign_in("ana").await;
    browser.wait_for_page("Your connections").await;
    browser.pictures("console-own-empty").await;

    let claude = test_system.connector("Claude").await;
    let long =
        test_system.connector("An application whose name is so long that it has to be broken into several lines").await;
    let used = connects(&test_system, &claude, "ana@example.com", "acme").await;
    assert_eq!(claude.call(&used, "ping", json!({})).await.status, 200);
    connects(&test_system, &claude, "ana@example.com", "globex").await;
    connects(&test_system, &long, "ana@example.com", "acme").await;
    for email in ["ben@example.com", "vera@example.com"] {
        connects(&test_system, &claude, email, "acme").await;
    }
    test_system.remove_member("acme", "vera@example.com").await;
    let person = test_system.person_id("ben@example.com");
    for (path, heading, picture) in [
        ("/admin".to_owned(), "Your connections", "console-own"),
        ("/admin/end?all=yes".to_owned(), "End all your connections?", "console-end-all"),
        ("/admin/acme/connections".to_owned(), "Connections of Acme", "console-connections"),
        ("/admin/acme/connections?person=ben".to_owned(), "Connections of Acme", "console-connections-wrong"),
        (
            format!("/admin/acme/connections/end?person={person}"),
            "End all connections of this person?",
            "console-end-person",
        ),
        ("/admin/acme/keys".to_owned(), "API keys of Acme", "console-keys"),
        ("/admin/acme/keys/new".to_owned(), "Make an API key", "console-new-key"),
        ("/admin/acme/activity".to_owned(), "Activity in Acme", "console-activity-calm"),
        ("/admin/no-such/keys".to_owned(), "There is nothing here", "console-not-there"),
        ("/admin/globex/keys".to_owned(), "Your role does not allow this", "console-not-allowed"),
    ] {
        browser.open(&test_system.at(&path)).await;
        browser.wait_for_page(heading).await;
        browser.pictures(picture).await;
    }
    happened(
        &test_system,
        &[
            json!({ "event": "grant_approved", "client": claude.client_id, "person": person.as_str(), "scope": SCOPE }),
            json!({ "event": "tool_called", "tool": "roll_dice", "person": person.as_str(), "outcome": "ok" }),
            json!({ "event": "grant_ended", "client": claude.client_id, "person": person.as_str(), "reason": "refresh_replayed" }),
        ],
    )
    .await;
    browser.open(&test_system.at("/admin/acme/activity")).await;
    assert!(browser.wait_for_page("Activity in Acme").await.contains("it may have been stolen"));
    browser.pictures("console-activity").await;

    browser.open(&test_system.at("/admin/acme/keys/new")).await;
    browser.wait_for_page("Make an API key").await;
    browser.fill("Name", "nightly export").await;
    browser.press("Continue").await;
    assert!(browser.wait_for_page("Make an API key").await.contains("Tick at least one thing"));
    let focused = browser.keys(&[]).await;
    assert_eq!(
        (&focused["tag"], &focused["name"]),
        (&json!("input"), &json!("Run tools")),
        "the first of what may be ticked"
    );
    browser.pictures("console-new-key-wrong").await;
    browser.act(json!({ "act": "tick", "label": "Read skills" })).await;
    browser.press("Continue").await;
    browser.wait_for_page("Make the API key").await;
    browser.pictures("console-make-key").await;
    // A double click makes one key, and shows it.
    browser.act(json!({ "act": "press", "name": "Make the key", "clicks": 2 })).await;
    let page = browser.wait_for_page("The key nightly export is made").await;
    let key = page.lines().find(|line| line.starts_with("sk_")).expect("the key").to_owned();
    test_system.track_secret(&key);
    browser.pictures("console-made-key").await;
    let selected = browser.act(json!({ "act": "selected", "at": "#key" })).await;
    assert_eq!(selected["text"].as_str().unwrap().trim(), key, "a double click selects all of it");
    browser.press("Copy the key").await;
    browser.act(json!({ "act": "says", "text": "Copied." })).await;
    assert_eq!(browser.act(json!({ "act": "copied" })).await["text"], key.as_str());
    browser.finish().await;
}

/// WCAG 2.2 §2.1.1, §2.4.7; and without JavaScript all the same.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn connection_is_revoked_by_keyboard() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = TestSystem::new().await;
        let claude = test_system.connector("Claude").await;
        let token = connects(&test_system, &claude, "ana@example.com", "acme").await;
        assert_eq!(claude.call(&token, "ping", json!({})).await.status, 200);
        let mut browser = Browser::start(&test_system, arguments);
        browser.open(&test_system.at("/admin")).await;
        browser.sign_in("ana").await;
        browser.wait_for_page("Your connections").await;

        browser.tabs_to("Acme").await;
        browser.types("\n").await;
        browser.wait_for_page("Connections of Acme").await;
        // What it ends, a screen reader is told: what is seen is short.
        assert!(browser.tree().await.contains("link \"End the connection of Claude and "));
        browser.tabs_to("End").await;
        browser.types("\n").await;
        browser.wait_for_page("End the connection of Claude (claude.ai)?").await;
        browser.tabs_to("End the connection").await;
        browser.types("\n").await;
        browser.wait_for_page("The connection has ended").await;
        browser.pictures("console-ended").await;

        assert_eq!(claude.call(&token, "ping", json!({})).await.status, 401);
        browser.finish().await;
    }
}

/// A browser goes back and forth between a form and what it did, and reloads, without sending it again. A double click sends it once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn history_navigation_and_reload_resend_no_form() {
    let test_system = TestSystem::new().await;
    let claude = test_system.connector("Claude").await;
    connects(&test_system, &claude, "ana@example.com", "acme").await;
    let mut browser = Browser::start(&test_system, &[]);
    browser.open(&test_system.at("/admin/end?all=yes")).await;
    browser.sign_in("ana").await;
    browser.wait_for_page("End all your connections?").await;
    browser.act(json!({ "act": "press", "name": "End all connections", "clicks": 2 })).await;
    browser.wait_for_page("The connections have ended").await;

    test_system.advance(1);
    let token = connects(&test_system, &claude, "ana@example.com", "acme").await;
    browser.act(json!({ "act": "reload" })).await;
    browser.wait_for_page("The connections have ended").await;
    browser.act(json!({ "act": "back" })).await;
    browser.wait_for_page("End all your connections?").await;
    browser.act(json!({ "act": "forward" })).await;
    browser.wait_for_page("The connections have ended").await;
    browser.press_link("Go back to the list").await;
    browser.wait_for_page("Your connections").await;
    browser.act(json!({ "act": "back" })).await;
    browser.wait_for_page("The connections have ended").await;
    assert_eq!(claude.call(&token, "ping", json!({})).await.status, 200);
    browser.finish().await;
}
