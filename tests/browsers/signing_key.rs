//! A project that changes its signing key, and a session that nobody recognises: neither makes a browser go in circles.

use test_system::TestSystem;

use super::browser::Browser;
use super::engine::Engine;
use super::{local_client, start_connecting};

pub(super) async fn key_rotation_during_sign_in_causes_no_redirect_loop(engine: Engine) {
    let test_system = TestSystem::new().await;
    let connector = local_client(&test_system, "Claude").await;
    // The keys are fetched for somebody else.
    test_system.person("ana@example.com").sign_in(&connector.authorization_request("skills:read").url).await;
    let ask = connector.authorization_request("skills:read");
    let browser = Browser::start(&test_system, engine).await;
    browser.open(&ask.url).await;
    browser.fill_credentials("ben").await;
    test_system.supabase().rotate_key().expect("a key");

    browser.press("Sign in").await;

    browser.wait_for_page("wants to work in").await;
    assert_eq!(browser.network.asked("GET /oauth/authorize"), 2, "{:?}", browser.network.all_asked());
    browser.approve(&connector, &ask).await;
}

/// One page with the reason, and a button that leads out of it.
pub(super) async fn unrecognised_session_shows_a_page(engine: Engine) {
    let test_system = TestSystem::new().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    browser.wait_for_page("Sign in to").await;
    browser.set_cookies("sb-127-auth-token=base64-bm90aGluZw").await;

    browser.open(&ask.url).await;

    browser.wait_for_text("could not be recognised").await;
    assert!(browser.network.asked("GET /oauth/authorize") <= 3, "{:?}", browser.network.all_asked());
    browser.press("Sign in again").await;
    browser.sign_in("ben").await;
    browser.wait_for_page("wants to work in").await;
    browser.approve(&connector, &ask).await;
}
