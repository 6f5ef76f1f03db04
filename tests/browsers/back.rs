//! The way back through the history: after each form there is a page, which can be read again, and no form is sent for it.

use serde_json::json;
use world::World;
use world::connector::Connector;

use super::browser::Browser;
use super::engine::Engine;
use super::ways::{BEN, asks_for_a_mail};
use super::{begins_to_connect, local_client};
use crate::pages::{shown, with_mia};

pub(super) async fn after_a_password(engine: Engine) {
    let world = World::new().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    browser.fills_in("ben").await;
    browser.fill("Password", "wrong").await;
    browser.sends("Sign in").await;
    browser.is_refused().await;
    browser.reads_the_page_again().await;
    browser.signs_in("ben").await;
    browser.reaches("Claude wants to").await;

    for _ in 0..2 {
        browser.goes_back_to_a_page().await;
    }

    browser.open(&ask.url).await;
    browser.approves(&connector, &ask).await;
}

pub(super) async fn after_a_code(engine: Engine) {
    let world = World::new().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    asks_for_a_mail(&browser).await;
    browser.reads_the_page_again().await;
    browser.fill("Code", "000000").await;
    browser.sends("Continue").await;
    browser.is_refused().await;
    browser.reads_the_page_again().await;
    let code = world.supabase().inbox(BEN).pop().expect("a mail").code;
    browser.fill("Code", &code).await;
    browser.press("Continue").await;
    browser.reaches("Claude wants to").await;

    for _ in 0..2 {
        browser.goes_back_to_a_page().await;
    }

    assert_eq!(world.supabase().inbox(BEN).len(), 1);
    browser.open(&ask.url).await;
    browser.approves(&connector, &ask).await;
}

pub(super) async fn after_a_second_factor(engine: Engine) {
    let world = with_mia().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    browser.signs_in("mia").await;
    browser.reaches("One more step").await;
    browser.reads_the_page_again().await;
    browser.fill("Code", "000000").await;
    browser.sends("Continue").await;
    browser.is_refused().await;
    browser.reads_the_page_again().await;
    browser.fill("Code", &shown(&world)).await;
    browser.press("Continue").await;
    browser.reaches("Claude wants to").await;

    for _ in 0..2 {
        browser.goes_back_to_a_page().await;
    }

    browser.open(&ask.url).await;
    browser.approves(&connector, &ask).await;
}

/// Who comes back from the client is told that it is done.
pub(super) async fn after_an_approval(engine: Engine) {
    let world = World::new().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    browser.signs_in("ben").await;
    browser.reaches("Claude wants to").await;
    browser.approves(&connector, &ask).await;

    let page = browser.goes_back_to_a_page().await;

    // Of a site that is not encrypted, `WebKit` shows the page that it had, whatever the site says of keeping it.
    let told = page.text.contains("You have approved this already");
    assert!(told || engine == Engine::WebKit, "{page:?}");
    assert_eq!(world.count("grants").await, 1);
}

/// Between the page and the click another account has signed in: the answer is a page, which stands in the history.
pub(super) async fn after_a_form_of_another_account(engine: Engine) {
    let world = World::new().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    browser.signs_in("vera").await;
    browser.reaches("Claude wants to").await;
    let ben = world.person(BEN);
    ben.signs_in("/auth/login").await;
    browser.has_cookies(&ben.cookie_header()).await;
    browser.press("Approve").await;
    browser.reads("another account").await;
    assert_eq!(world.count("grants").await, 0);

    browser.reads_the_page_again().await;
    browser.approves(&connector, &ask).await;
    let page = browser.goes_back_to_a_page().await;

    assert!(page.text.contains("ben@example.com"), "{page:?}");
    assert_eq!(world.count("grants").await, 1);
}

pub(super) async fn after_the_end_of_a_connection(engine: Engine) {
    let world = World::new().await;
    let claude = local_client(&world, "Claude").await;
    let token = connects(&claude).await;
    let browser = Browser::start(&world, engine).await;
    browser.open("/admin").await;
    browser.signs_in("ben").await;
    browser.reaches("Your connections").await;
    browser.press("End the connection of Claude in Acme").await;
    browser.reaches("End the connection").await;
    browser.press("End the connection").await;
    browser.reads("The connection has ended").await;
    assert_eq!(claude.call(&token, "ping", json!({})).await.status, 401);

    browser.reads_the_page_again().await;
    for _ in 0..2 {
        browser.goes_back_to_a_page().await;
    }
}

/// Not even without a word: what was connected since is not ended.
pub(super) async fn after_the_end_of_all_connections(engine: Engine) {
    let world = World::new().await;
    let claude = local_client(&world, "Claude").await;
    connects(&claude).await;
    let browser = Browser::start(&world, engine).await;
    browser.open("/admin").await;
    browser.signs_in("ben").await;
    browser.reaches("Your connections").await;
    browser.press("End all your connections").await;
    browser.reaches("End all your connections?").await;
    browser.press("End all connections").await;
    browser.reads("ended").await;
    let ended = browser.page().await.expect("a page").heading;
    let token = connects(&claude).await;

    for _ in 0..2 {
        browser.goes_back_to_a_page().await;
    }

    assert_eq!(claude.call(&token, "ping", json!({})).await.status, 200, "{ended}");
}

/// The page that shows the key is shown once, so it may stand at the address of its form; the form counts once.
pub(super) async fn after_a_new_key(engine: Engine) {
    let world = World::new().await;
    let browser = Browser::start(&world, engine).await;
    browser.open("/admin/acme/keys").await;
    browser.signs_in("ana").await;
    browser.reaches("API keys of Acme").await;
    browser.press("Make a key").await;
    browser.reaches("Make an API key").await;
    browser.fill("Name", "nightly export").await;
    browser.press("Continue").await;
    browser.reads("Tick at least one thing").await;
    browser.reads_the_page_again().await;
    browser.chooses("Read skills").await;
    browser.press("Continue").await;
    browser.reaches("Make the API key").await;
    browser.reads_the_page_again().await;
    browser.press("Make the key").await;
    let page = browser.reaches("The key nightly export is made").await;
    world.remember(super::new_key::shown(&page));
    browser.press("I have copied it").await;
    browser.reaches("API keys of Acme").await;

    for _ in 0..3 {
        browser.back().await;
    }

    browser.open("/admin/acme/keys").await;
    browser.reaches("API keys of Acme").await;
    assert_eq!(browser.counts("//tbody/tr[contains(., \"nightly export\")]").await, 1);
}

async fn connects(claude: &Connector<'_>) -> String {
    let (ask, code) = claude.approved("skills:read", BEN, "acme").await;
    claude.exchange(&ask, &code).await.tokens(claude.world).access
}
