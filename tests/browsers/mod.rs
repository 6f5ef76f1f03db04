//! Signing in and deciding in every engine that people have. Each rule is held in Chromium by `tests/run`, and in Firefox and
//! `WebKit` as well by `tests/run browsers`.
//!
//! The browsers are the real ones, as Debian has them, and all are driven by one protocol ([`webdriver`]). Their network is ours
//! ([`proxy`]), so nothing leaves the machine.

mod back_button;
mod browser;
mod callback;
mod double_click;
mod engine;
mod new_api_key;
mod proxy;
mod sign_in_mails;
mod sign_in_methods;
mod signing_key;
mod webdriver;

use std::time::Duration;

use browser::Browser;
use engine::Engine;
use test_system::TestSystem;
use test_system::connector::{AuthorizationRequest, Connector};

/// Of a request on a slow network: two clicks are sent before the first is answered.
const LATENCY: Duration = Duration::from_millis(100);

/// A client on the same machine, where every engine has a page to show.
async fn local_client<'w>(test_system: &'w TestSystem, name: &str) -> Connector<'w> {
    test_system.connector_at(name, &["http://localhost:49163/callback"]).await
}

/// A client of this machine, what it asks for, and a browser in which it begins.
async fn start_connecting(
    test_system: &TestSystem,
    engine: Engine,
) -> (Connector<'_>, AuthorizationRequest, Browser<'_>) {
    let connector = local_client(test_system, "Claude").await;
    let ask = connector.authorization_request("skills:read");
    let browser = Browser::start(test_system, engine).await;
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
    sign_in_methods::password_sign_in_reaches_every_client,
    sign_in_methods::code_sign_in_reaches_every_client,
    sign_in_methods::link_sign_in_reaches_every_client,
    sign_in_methods::link_button_sign_in_reaches_every_client,
    sign_in_methods::second_factor_sign_in_reaches_every_client,
    sign_in_methods::provider_sign_in_reaches_every_client,
    sign_in_mails::double_click_sends_one_mail_with_a_valid_link,
    sign_in_mails::requesting_another_code_at_once_keeps_the_link_valid,
    sign_in_mails::link_opened_in_another_browser_stays_valid,
    sign_in_mails::link_invalidated_by_a_stranger_is_explained,
    signing_key::key_rotation_during_sign_in_causes_no_redirect_loop,
    signing_key::unrecognised_session_shows_a_page,
    callback::button_retries_a_rate_limited_callback,
    double_click::a_double_click_signs_in,
    double_click::second_tab_continues_to_its_own_client,
    back_button::back_after_a_password_resends_no_form,
    back_button::back_after_a_code_resends_no_form,
    back_button::back_after_a_second_factor_resends_no_form,
    back_button::back_after_an_approval_says_so,
    back_button::back_after_a_form_of_another_account_resends_no_form,
    back_button::back_after_revoking_a_connection_resends_no_form,
    back_button::back_after_revoking_all_connections_resends_no_form,
    back_button::back_after_creating_an_api_key_creates_no_other,
    new_api_key::double_click_selects_the_whole_key,
    new_api_key::copy_button_copies_the_key,
}
