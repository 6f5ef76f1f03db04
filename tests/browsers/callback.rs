//! A callback that Supabase has no time for.

use test_system::TestSystem;

use super::browser::Browser;
use super::engine::Engine;
use super::local_client;
use super::sign_in_methods::{BEN, request_mail};

pub(super) async fn button_retries_a_rate_limited_callback(engine: Engine) {
    let test_system = TestSystem::new().await;
    let connector = local_client(&test_system, "Claude").await;
    let browser = Browser::start(&test_system, engine).await;
    for by_mail in [true, false] {
        browser.clear_cookies().await;
        let ask = connector.authorization_request("skills:read");
        browser.open(&ask.url).await;
        if by_mail {
            request_mail(&browser).await;
            // Supabase limits links too, so this one is followed as far as the callback.
            let link = test_system.supabase().inbox(BEN).pop().expect("a mail").link;
            let callback = test_system.get(&link).await.location().to_owned();
            test_system.supabase().set_rate_limited(true);
            browser.open(&callback).await;
        } else {
            browser.wait_for_page("Sign in to").await;
            browser.press("Continue with GitHub").await;
            browser.wait_for_page("Sign in with github").await;
            test_system.supabase().set_rate_limited(true);
            browser.press("Ben ben@example.com").await;
        }
        browser.wait_for_page("Not signed in yet").await;
        // Too early.
        browser.press("Try again").await;
        browser.wait_for_page("Not signed in yet").await;
        test_system.supabase().set_rate_limited(false);

        browser.press("Try again").await;

        browser.wait_for_page("wants to work in").await;
        browser.approve(&connector, &ask).await;
    }
}
