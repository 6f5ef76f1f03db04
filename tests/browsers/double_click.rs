//! A form that is sent twice, or too late, by somebody who is signed in by then.

use test_system::TestSystem;

use super::LATENCY;
use super::browser::Browser;
use super::engine::Engine;
use super::local_client;

/// The second click is sent while the first one is under way. Whichever answer the browser shows, it leads on.
pub(super) async fn a_double_click_signs_in(engine: Engine) {
    let test_system = TestSystem::new().await;
    let connector = local_client(&test_system, "Claude").await;
    let browser = Browser::start(&test_system, engine).await;
    browser.network.slow(LATENCY);
    for _ in 0..3 {
        browser.clear_cookies().await;
        let ask = connector.authorization_request("skills:read");
        browser.open(&ask.url).await;
        browser.fill_credentials("ben").await;

        browser.double_click("Sign in").await;

        browser.wait_for_page("wants to work in").await;
        browser.approve(&connector, &ask).await;
    }
}

pub(super) async fn second_tab_continues_to_its_own_client(engine: Engine) {
    let test_system = TestSystem::new().await;
    let [one, other] = [local_client(&test_system, "Claude").await, local_client(&test_system, "Cursor").await];
    let (first, second) = (one.authorization_request("skills:read"), other.authorization_request("skills:read"));
    let browser = Browser::start(&test_system, engine).await;
    browser.open(&first.url).await;
    browser.fill_credentials("ben").await;
    let tab = browser.open_tab().await;
    browser.open(&second.url).await;
    browser.fill_credentials("ben").await;
    browser.switch_to(&tab).await;
    browser.press("Sign in").await;
    browser.wait_for_page("“Claude” wants to work in").await;
    let other_tab = browser.other_tab(&tab).await;
    browser.switch_to(&other_tab).await;

    browser.press("Sign in").await;

    browser.wait_for_page("“Cursor” wants to work in").await;
    browser.approve(&other, &second).await;
    browser.switch_to(&tab).await;
    browser.approve(&one, &first).await;
}
