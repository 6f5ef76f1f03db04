//! A form that is sent twice, or too late, by somebody who is signed in by then.

use world::World;

use super::LATENCY;
use super::browser::Browser;
use super::engine::Engine;
use super::local_client;

/// The second click is sent while the first one is under way. Whichever answer the browser shows, it leads on.
pub(super) async fn a_double_click_signs_in(engine: Engine) {
    let world = World::new().await;
    let connector = local_client(&world, "Claude").await;
    let browser = Browser::start(&world, engine).await;
    browser.network.slow(LATENCY);
    for _ in 0..3 {
        browser.forgets_cookies().await;
        let ask = connector.ask("skills:read");
        browser.open(&ask.url).await;
        browser.fills_in("ben").await;

        browser.double_clicks("Sign in").await;

        browser.reaches("Claude wants to").await;
        browser.approves(&connector, &ask).await;
    }
}

pub(super) async fn a_second_tab_goes_on_to_where_it_led(engine: Engine) {
    let world = World::new().await;
    let [one, other] = [local_client(&world, "Claude").await, local_client(&world, "Cursor").await];
    let (first, second) = (one.ask("skills:read"), other.ask("skills:read"));
    let browser = Browser::start(&world, engine).await;
    browser.open(&first.url).await;
    browser.fills_in("ben").await;
    let tab = browser.opens_tab().await;
    browser.open(&second.url).await;
    browser.fills_in("ben").await;
    browser.turns_to(&tab).await;
    browser.press("Sign in").await;
    browser.reaches("Claude wants to").await;
    let other_tab = browser.other_tab(&tab).await;
    browser.turns_to(&other_tab).await;

    browser.press("Sign in").await;

    browser.reaches("Cursor wants to").await;
    browser.approves(&other, &second).await;
    browser.turns_to(&tab).await;
    browser.approves(&one, &first).await;
}
