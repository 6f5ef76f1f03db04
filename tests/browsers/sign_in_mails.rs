//! What a person repeats makes no mail worse, and who made one useless is told of.

use test_system::TestSystem;

use super::LATENCY;
use super::browser::Browser;
use super::engine::Engine;
use super::sign_in_methods::{BEN, follow_link, request_mail, use_our_mail_template};
use super::{local_client, start_connecting};

/// The first mail is the only one within a minute, so its link has to work.
pub(super) async fn double_click_sends_one_mail_with_a_valid_link(engine: Engine) {
    let test_system = TestSystem::new().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    browser.wait_for_page("Sign in to").await;
    browser.fill("E-mail address", BEN).await;
    browser.network.slow(LATENCY);

    browser.double_click("E-mail me a code").await;

    browser.wait_for_page("Check your e-mail").await;
    assert_eq!(test_system.supabase().inbox(BEN).len(), 1);
    follow_link(&test_system, &browser).await;
    browser.wait_for_page("wants to work in").await;
    browser.approve(&connector, &ask).await;
}

pub(super) async fn requesting_another_code_at_once_keeps_the_link_valid(engine: Engine) {
    let test_system = TestSystem::new().await;
    let (connector, ask, browser) = start_connecting(&test_system, engine).await;
    request_mail(&browser).await;
    let sent = browser.network.asked("POST /auth/login/code");

    browser.press_and_wait("Send another code").await;

    browser.wait_for_page("Check your e-mail").await;
    assert_eq!(browser.network.asked("POST /auth/login/code"), sent + 1);
    assert_eq!(test_system.supabase().inbox(BEN).len(), 1);
    follow_link(&test_system, &browser).await;
    browser.wait_for_page("wants to work in").await;
    browser.approve(&connector, &ask).await;
}

/// A mail of the template that we recommend, read elsewhere first.
pub(super) async fn link_opened_in_another_browser_stays_valid(engine: Engine) {
    let test_system = TestSystem::new().await;
    use_our_mail_template(&test_system);
    let connector = local_client(&test_system, "Claude").await;
    let ask = connector.authorization_request("skills:read");
    let (browser, another) = (Browser::start(&test_system, engine).await, Browser::start(&test_system, engine).await);
    browser.open(&ask.url).await;
    request_mail(&browser).await;

    follow_link(&test_system, &another).await;
    another.wait_for_page("Continue in the other browser").await;

    follow_link(&test_system, &browser).await;
    browser.wait_for_page("Continue signing in").await;
    browser.press("Continue").await;
    browser.wait_for_page("wants to work in").await;
    browser.approve(&connector, &ask).await;
}

/// They are at another browser. The link is lost by that; the code of the next mail is not.
pub(super) async fn link_invalidated_by_a_stranger_is_explained(engine: Engine) {
    let test_system = TestSystem::new().await;
    let connector = local_client(&test_system, "Claude").await;
    let ask = connector.authorization_request("skills:read");
    let (browser, stranger) = (Browser::start(&test_system, engine).await, Browser::start(&test_system, engine).await);
    browser.open(&ask.url).await;
    request_mail(&browser).await;
    stranger.open("/auth/login").await;
    request_mail(&stranger).await;

    follow_link(&test_system, &browser).await;

    browser.wait_for_text("asked for a mail to the same address").await;
    let page = browser.wait_for_text("The code of the next mail always works").await;
    assert!(page.contains("is used up") && page.contains("Another one can be sent in"), "{page}");
    test_system.advance(60);
    browser.press_and_wait("Send another code").await;
    stranger.press_and_wait("Send another code").await;
    stranger.wait_for_page("Check your e-mail").await;
    assert_eq!(test_system.supabase().inbox(BEN).len(), 2);
    let code = test_system.supabase().inbox(BEN).pop().expect("a mail").code;
    browser.fill("Code", &code).await;
    browser.press("Continue").await;
    browser.wait_for_page("wants to work in").await;
    browser.approve(&connector, &ask).await;
    // What the stranger has in hand is good for nothing.
    stranger.open("/auth/login").await;
    follow_link(&test_system, &stranger).await;
    assert!(!stranger.page().await.is_some_and(|page| page.heading.contains("You are signed in")));
}
