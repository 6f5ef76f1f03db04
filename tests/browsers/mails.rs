//! What a person repeats makes no mail worse, and who made one useless is told of.

use world::World;

use super::LATENCY;
use super::browser::Browser;
use super::engine::Engine;
use super::ways::{BEN, asks_for_a_mail, follows_the_link, uses_our_template};
use super::{begins_to_connect, local_client};

/// The first mail is the only one within a minute, so its link has to work.
pub(super) async fn a_double_click_leaves_the_mail_good(engine: Engine) {
    let world = World::new().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    browser.reaches("Sign in to").await;
    browser.fill("E-mail address", BEN).await;
    browser.network.slow(LATENCY);

    browser.double_clicks("E-mail me a code").await;

    browser.reaches("Check your e-mail").await;
    assert_eq!(world.supabase().inbox(BEN).len(), 1);
    follows_the_link(&world, &browser).await;
    browser.reaches("Claude wants to").await;
    browser.approves(&connector, &ask).await;
}

pub(super) async fn asking_for_another_code_at_once_leaves_the_link_good(engine: Engine) {
    let world = World::new().await;
    let (connector, ask, browser) = begins_to_connect(&world, engine).await;
    asks_for_a_mail(&browser).await;
    let sent = browser.network.asked("POST /auth/login/code");

    browser.sends("Send another code").await;

    browser.reaches("Check your e-mail").await;
    assert_eq!(browser.network.asked("POST /auth/login/code"), sent + 1);
    assert_eq!(world.supabase().inbox(BEN).len(), 1);
    follows_the_link(&world, &browser).await;
    browser.reaches("Claude wants to").await;
    browser.approves(&connector, &ask).await;
}

/// A mail of the template that we recommend, read elsewhere first.
pub(super) async fn a_link_opened_in_another_browser_stays_good(engine: Engine) {
    let world = World::new().await;
    uses_our_template(&world);
    let connector = local_client(&world, "Claude").await;
    let ask = connector.ask("skills:read");
    let (browser, another) = (Browser::start(&world, engine).await, Browser::start(&world, engine).await);
    browser.open(&ask.url).await;
    asks_for_a_mail(&browser).await;

    follows_the_link(&world, &another).await;
    another.reaches("Continue in the other browser").await;

    follows_the_link(&world, &browser).await;
    browser.reaches("Continue signing in").await;
    browser.press("Continue").await;
    browser.reaches("Claude wants to").await;
    browser.approves(&connector, &ask).await;
}

/// They are at another browser. The link is lost by that; the code of the next mail is not.
pub(super) async fn a_stranger_who_asks_for_the_same_mail_is_told_of(engine: Engine) {
    let world = World::new().await;
    let connector = local_client(&world, "Claude").await;
    let ask = connector.ask("skills:read");
    let (browser, stranger) = (Browser::start(&world, engine).await, Browser::start(&world, engine).await);
    browser.open(&ask.url).await;
    asks_for_a_mail(&browser).await;
    stranger.open("/auth/login").await;
    asks_for_a_mail(&stranger).await;

    follows_the_link(&world, &browser).await;

    browser.reads("asked for a mail to the same address").await;
    let page = browser.reads("The code of the next mail always works").await;
    assert!(page.contains("is used up") && page.contains("Another one can be sent in"), "{page}");
    world.advance(60);
    browser.sends("Send another code").await;
    stranger.sends("Send another code").await;
    stranger.reaches("Check your e-mail").await;
    assert_eq!(world.supabase().inbox(BEN).len(), 2);
    let code = world.supabase().inbox(BEN).pop().expect("a mail").code;
    browser.fill("Code", &code).await;
    browser.press("Continue").await;
    browser.reaches("Claude wants to").await;
    browser.approves(&connector, &ask).await;
    // What the stranger has in hand is good for nothing.
    stranger.open("/auth/login").await;
    follows_the_link(&world, &stranger).await;
    assert!(!stranger.page().await.is_some_and(|page| page.heading.contains("You are signed in")));
}
