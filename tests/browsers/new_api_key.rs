//! A new API key is shown once, so all of it must be taken along.

use test_system::TestSystem;

use super::browser::Browser;
use super::engine::Engine;

pub(super) async fn double_click_selects_the_whole_key(engine: Engine) {
    let test_system = TestSystem::new().await;
    let browser = Browser::start(&test_system, engine).await;
    let key = made(&test_system, &browser).await;

    assert_eq!(browser.select_by_double_click("key").await.trim(), key);
}

pub(super) async fn copy_button_copies_the_key(engine: Engine) {
    let test_system = TestSystem::new().await;
    let browser = Browser::start(&test_system, engine).await;
    let key = made(&test_system, &browser).await;

    browser.copy_key().await;

    browser.open("http://localhost:49163/notes").await;
    browser.paste("Paste").await;
    assert_eq!(browser.value_of("Paste").await, key);
}

/// The key on the page.
pub(super) fn shown(page: &str) -> &str {
    page.split_whitespace().find(|word| word.starts_with("sk_") && !word.ends_with('…')).expect("the key")
}

async fn made(test_system: &TestSystem, browser: &Browser<'_>) -> String {
    browser.open("/admin/acme/keys/new").await;
    browser.sign_in("ana").await;
    browser.wait_for_page("Make an API key").await;
    browser.fill("Name", "nightly export").await;
    browser.choose("Read skills").await;
    browser.press("Continue").await;
    browser.wait_for_page("Make the API key").await;
    browser.press("Make the key").await;
    let page = browser.wait_for_page("The key nightly export is made").await;
    let key = shown(&page);
    test_system.track_secret(key);
    key.to_owned()
}
