//! A project that changes its signing key, and a session that nobody recognises: neither makes a browser go in circles.

use world::World;

use super::browser::Browser;
use super::engine::Engine;
use super::{begins_to_connect, local_client};

pub(super) async fn a_new_key_under_way_leads_to_no_circle(engine: Engine) {
    let world = World::new().await;
    let connector = local_client(&world, "Claude").await;
    // The keys are fetched for somebody else.
    world.person("ana@example.com").signs_in(&connector.ask("skills:read").url).await;
    let ask = connector.ask("skills:read");
    let browser = Browser::start(&world, engine).await;
    browser.open(&ask.url).await;
    browser.fills_in("ben").await;
    world.supabase().rotate_key().expect("a key");

    browser.press("Sign in").await;

    browser.reaches("Claude wants to").await;
    assert_eq!(browser.network.asked("GET /oauth/authorize"), 2, "{:?}", browser.network.all_asked());
    browser.approves(&connector, &ask).await;
}

/// One page with the reason, and a button that leads out of it.
pub(super) async fn a_session_that_nobody_recognises_leads_to_a_page(engine: Engine) {
    let world = World::new().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    browser.reaches("Sign in to").await;
    browser.has_cookies("sb-127-auth-token=base64-bm90aGluZw").await;

    browser.open(&ask.url).await;

    browser.reads("could not be recognised").await;
    assert!(browser.network.asked("GET /oauth/authorize") <= 3, "{:?}", browser.network.all_asked());
    browser.press("Sign in again").await;
    browser.signs_in("ben").await;
    browser.reaches("Claude wants to").await;
    browser.approves(&connector, &ask).await;
}
