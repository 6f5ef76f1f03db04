//! The way back through the history: after each form there is a page, which can be read again, and no form is sent for it.

use serde_json::json;
use test_system::TestSystem;
use test_system::connector::Connector;

use super::browser::Browser;
use super::engine::Engine;
use super::sign_in_methods::{BEN, request_mail};
use super::{local_client, start_connecting};
use crate::pages::{shown, with_mia};

pub(super) async fn back_after_a_password_resends_no_form(engine: Engine) {
    let test_system = TestSystem::new().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    browser.fill_credentials("ben").await;
    browser.fill("Password", "wrong").await;
    browser.press_and_wait("Sign in").await;
    browser.wait_for_refusal().await;
    browser.reload_page().await;
    browser.sign_in("ben").await;
    browser.wait_for_page("wants to work in").await;

    for _ in 0..2 {
        browser.go_back_to_a_page().await;
    }

    browser.open(&ask.url).await;
    browser.approve(&connector, &ask).await;
}

pub(super) async fn back_after_a_code_resends_no_form(engine: Engine) {
    let test_system = TestSystem::new().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    request_mail(&browser).await;
    browser.reload_page().await;
    browser.fill("Code", "000000").await;
    browser.press_and_wait("Continue").await;
    browser.wait_for_refusal().await;
    browser.reload_page().await;
    let code = test_system.supabase().inbox(BEN).pop().expect("a mail").code;
    browser.fill("Code", &code).await;
    browser.press("Continue").await;
    browser.wait_for_page("wants to work in").await;

    for _ in 0..2 {
        browser.go_back_to_a_page().await;
    }

    assert_eq!(test_system.supabase().inbox(BEN).len(), 1);
    browser.open(&ask.url).await;
    browser.approve(&connector, &ask).await;
}

pub(super) async fn back_after_a_second_factor_resends_no_form(engine: Engine) {
    let test_system = with_mia().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    browser.sign_in("mia").await;
    browser.wait_for_page("One more step").await;
    browser.reload_page().await;
    browser.fill("Code", "000000").await;
    browser.press_and_wait("Continue").await;
    browser.wait_for_refusal().await;
    browser.reload_page().await;
    browser.fill("Code", &shown(&test_system)).await;
    browser.press("Continue").await;
    browser.wait_for_page("wants to work in").await;

    for _ in 0..2 {
        browser.go_back_to_a_page().await;
    }

    browser.open(&ask.url).await;
    browser.approve(&connector, &ask).await;
}

/// Who comes back from the client is told that it is done.
pub(super) async fn back_after_an_approval_says_so(engine: Engine) {
    let test_system = TestSystem::new().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    browser.sign_in("ben").await;
    browser.wait_for_page("wants to work in").await;
    browser.approve(&connector, &ask).await;

    let page = browser.go_back_to_a_page().await;

    // Of a site that is not encrypted, `WebKit` shows the page that it had, whatever the site says of keeping it.
    let told = page.text.contains("You have approved this already");
    assert!(told || engine == Engine::WebKit, "{page:?}");
    assert_eq!(test_system.count("grants").await, 1);
}

/// Between the page and the click another account has signed in: the answer is a page, which stands in the history.
pub(super) async fn back_after_a_form_of_another_account_resends_no_form(engine: Engine) {
    let test_system = TestSystem::new().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    browser.sign_in("vera").await;
    browser.wait_for_page("wants to work in").await;
    let ben = test_system.person(BEN);
    ben.sign_in("/auth/login").await;
    browser.set_cookies(&ben.cookie_header()).await;
    browser.press("Approve").await;
    browser.wait_for_text("another account").await;
    assert_eq!(test_system.count("grants").await, 0);

    browser.reload_page().await;
    browser.approve(&connector, &ask).await;
    let page = browser.go_back_to_a_page().await;

    assert!(page.text.contains("ben@example.com"), "{page:?}");
    assert_eq!(test_system.count("grants").await, 1);
}

pub(super) async fn back_after_revoking_a_connection_resends_no_form(engine: Engine) {
    let test_system = TestSystem::new().await;
    let claude = local_client(&test_system, "Claude").await;
    let token = connects(&claude).await;
    let browser = Browser::start(&test_system, engine).await;
    browser.open("/admin").await;
    browser.sign_in("ben").await;
    browser.wait_for_page("Your connections").await;
    browser.press("End the connection of Claude in Acme").await;
    browser.wait_for_page("End the connection").await;
    browser.press("End the connection").await;
    browser.wait_for_text("The connection has ended").await;
    assert_eq!(claude.call(&token, "ping", json!({})).await.status, 401);

    browser.reload_page().await;
    for _ in 0..2 {
        browser.go_back_to_a_page().await;
    }
}

/// Not even without a word: what was connected since is not ended.
pub(super) async fn back_after_revoking_all_connections_resends_no_form(engine: Engine) {
    let test_system = TestSystem::new().await;
    let claude = local_client(&test_system, "Claude").await;
    connects(&claude).await;
    let browser = Browser::start(&test_system, engine).await;
    browser.open("/admin").await;
    browser.sign_in("ben").await;
    browser.wait_for_page("Your connections").await;
    browser.press("End all your connections").await;
    browser.wait_for_page("End all your connections?").await;
    browser.press("End all connections").await;
    browser.wait_for_text("ended").await;
    let ended = browser.page().await.expect("a page").heading;
    let token = connects(&claude).await;

    for _ in 0..2 {
        browser.go_back_to_a_page().await;
    }

    assert_eq!(claude.call(&token, "ping", json!({})).await.status, 200, "{ended}");
}

/// The page that shows the key is shown once, so it may stand at the address of its form; the form counts once.
pub(super) async fn back_after_creating_an_api_key_creates_no_other(engine: Engine) {
    let test_system = TestSystem::new().await;
    let browser = Browser::start(&test_system, engine).await;
    browser.open("/admin/acme/keys").await;
    browser.sign_in("ana").await;
    browser.wait_for_page("API keys of Acme").await;
    browser.press("Make a key").await;
    browser.wait_for_page("Make an API key").await;
    browser.fill("Name", "nightly export").await;
    browser.press("Continue").await;
    browser.wait_for_text("Tick at least one thing").await;
    browser.reload_page().await;
    browser.choose("Read skills").await;
    browser.press("Continue").await;
    browser.wait_for_page("Make the API key").await;
    browser.reload_page().await;
    browser.press("Make the key").await;
    let page = browser.wait_for_page("The key nightly export is made").await;
    test_system.track_secret(super::new_api_key::shown(&page));
    browser.press("I have copied it").await;
    browser.wait_for_page("API keys of Acme").await;

    for _ in 0..3 {
        browser.back().await;
    }

    browser.open("/admin/acme/keys").await;
    browser.wait_for_page("API keys of Acme").await;
    assert_eq!(browser.count("//tbody/tr[contains(., \"nightly export\")]").await, 1);
}

async fn connects(claude: &Connector<'_>) -> String {
    let (ask, code) = claude.approve_directly("skills:read", BEN, "acme").await;
    claude.exchange(&ask, &code).await.tokens(claude.test_system).access
}
