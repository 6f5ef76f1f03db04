//! A callback that Supabase has no time for.

use world::World;

use super::browser::Browser;
use super::engine::Engine;
use super::local_client;
use super::ways::{BEN, asks_for_a_mail};

pub(super) async fn the_button_repeats_a_callback_that_was_too_much(engine: Engine) {
    let world = World::new().await;
    let connector = local_client(&world, "Claude").await;
    let browser = Browser::start(&world, engine).await;
    for by_mail in [true, false] {
        browser.forgets_cookies().await;
        let ask = connector.ask("skills:read");
        browser.open(&ask.url).await;
        if by_mail {
            asks_for_a_mail(&browser).await;
            // Supabase limits links too, so this one is followed as far as the callback.
            let link = world.supabase().inbox(BEN).pop().expect("a mail").link;
            let callback = world.get(&link).await.location().to_owned();
            world.supabase().set_rate_limited(true);
            browser.open(&callback).await;
        } else {
            browser.reaches("Sign in to").await;
            browser.press("Continue with GitHub").await;
            browser.reaches("Sign in with github").await;
            world.supabase().set_rate_limited(true);
            browser.press("Ben ben@example.com").await;
        }
        browser.reaches("Not signed in yet").await;
        // Too early.
        browser.press("Try again").await;
        browser.reaches("Not signed in yet").await;
        world.supabase().set_rate_limited(false);

        browser.press("Try again").await;

        browser.reaches("Claude wants to").await;
        browser.approves(&connector, &ask).await;
    }
}
