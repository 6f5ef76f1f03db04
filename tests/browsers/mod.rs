//! Signing in and deciding in every engine that people have. Each rule is held in Chromium by `tests/run`, and in Firefox and
//! `WebKit` as well by `tests/run browsers`.
//!
//! The browsers are the real ones, as Debian has them, and all are driven by one protocol ([`webdriver`]). Their network is ours
//! ([`proxy`]), so nothing leaves the machine.

mod back;
mod browser;
mod callback;
mod double_click;
mod engine;
mod mails;
mod new_key;
mod proxy;
mod signing_key;
mod ways;
mod webdriver;

use std::time::Duration;

use browser::Browser;
use engine::Engine;
use world::World;
use world::connector::{Ask, Connector};

/// Of a request on a slow network: two clicks are sent before the first is answered.
const LATENCY: Duration = Duration::from_millis(100);

/// A client on the same machine, where every engine has a page to show.
async fn local_client<'w>(world: &'w World, name: &str) -> Connector<'w> {
    world.connector_at(name, &["http://localhost:49163/callback"]).await
}

/// A client of this machine, what it asks for, and a browser in which it begins.
async fn begins_to_connect(world: &World, engine: Engine) -> (Connector<'_>, Ask, Browser<'_>) {
    let connector = local_client(world, "Claude").await;
    let ask = connector.ask("skills:read");
    let browser = Browser::start(world, engine).await;
    browser.open(&ask.url).await;
    (connector, ask, browser)
}

macro_rules! in_every_engine {
    ($($file:ident::$rule:ident,)*) => {
        in_engine!(chromium, Engine::Chromium, $($file::$rule,)*);
        in_engine!(firefox, Engine::Firefox, $($file::$rule,)*);
        in_engine!(webkit, Engine::WebKit, $($file::$rule,)*);
    };
}

macro_rules! in_engine {
    ($name:ident, $engine:expr, $($file:ident::$rule:ident,)*) => {
        mod $name {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                #[ignore = "needs browsers and their drivers, which tests/run installs"]
                async fn $rule() {
                    Box::pin(super::$file::$rule($engine)).await;
                }
            )*
        }
    };
}

in_every_engine! {
    ways::who_signs_in_by_password_gets_to_every_client,
    ways::who_types_a_code_gets_to_every_client,
    ways::who_follows_a_link_gets_to_every_client,
    ways::who_presses_the_button_of_a_link_gets_to_every_client,
    ways::who_has_a_second_factor_gets_to_every_client,
    ways::who_signs_in_at_a_provider_gets_to_every_client,
    mails::a_double_click_leaves_the_mail_good,
    mails::asking_for_another_code_at_once_leaves_the_link_good,
    mails::a_link_opened_in_another_browser_stays_good,
    mails::a_stranger_who_asks_for_the_same_mail_is_told_of,
    signing_key::a_new_key_under_way_leads_to_no_circle,
    signing_key::a_session_that_nobody_recognises_leads_to_a_page,
    callback::the_button_repeats_a_callback_that_was_too_much,
    double_click::a_double_click_signs_in,
    double_click::a_second_tab_goes_on_to_where_it_led,
    back::after_a_password,
    back::after_a_code,
    back::after_a_second_factor,
    back::after_an_approval,
    back::after_a_form_of_another_account,
    back::after_the_end_of_a_connection,
    back::after_the_end_of_all_connections,
    back::after_a_new_key,
    new_key::a_double_click_selects_it_whole,
    new_key::its_button_copies_it,
}
