//! A new API key is shown once, so all of it must be taken along.

use world::World;

use super::browser::Browser;
use super::engine::Engine;

pub(super) async fn a_double_click_selects_it_whole(engine: Engine) {
    let world = World::new().await;
    let browser = Browser::start(&world, engine).await;
    let key = made(&world, &browser).await;

    assert_eq!(browser.selects("key").await.trim(), key);
}

pub(super) async fn its_button_copies_it(engine: Engine) {
    let world = World::new().await;
    let browser = Browser::start(&world, engine).await;
    let key = made(&world, &browser).await;

    browser.copies().await;

    browser.open("http://localhost:49163/notes").await;
    browser.paste("Paste").await;
    assert_eq!(browser.holds("Paste").await, key);
}

/// The key on the page.
pub(super) fn shown(page: &str) -> &str {
    page.split_whitespace().find(|word| word.starts_with("sk_") && !word.ends_with('…')).expect("the key")
}

async fn made(world: &World, browser: &Browser<'_>) -> String {
    browser.open("/admin/acme/keys/new").await;
    browser.signs_in("ana").await;
    browser.reaches("Make an API key").await;
    browser.fill("Name", "nightly export").await;
    browser.chooses("Read skills").await;
    browser.press("Continue").await;
    browser.reaches("Make the API key").await;
    browser.press("Make the key").await;
    let page = browser.reaches("The key nightly export is made").await;
    let key = shown(&page);
    world.remember(key);
    key.to_owned()
}
