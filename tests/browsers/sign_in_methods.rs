//! Every way of signing in leads to every kind of client, approved and denied: no policy of a page stops a redirect.

use test_system::TestSystem;

use super::browser::Browser;
use super::engine::Engine;
use crate::pages::{shown, with_mia};

/// A way of signing in, and who goes it.
#[derive(Clone, Copy)]
pub(super) enum SignInMethod {
    Password,
    Code,
    /// Of a mail that is read in the browser which asked for it.
    Link,
    /// The same of the template that we recommend.
    Button,
    Factor,
    Provider,
}

impl SignInMethod {
    /// From the page for signing in to whatever comes next.
    pub(super) async fn sign_in_with(self, test_system: &TestSystem, browser: &Browser<'_>) {
        match self {
            Self::Password => browser.sign_in("ben").await,
            Self::Code => {
                request_mail(browser).await;
                let code = test_system.supabase().inbox(BEN).pop().expect("a mail").code;
                browser.fill("Code", &code).await;
                browser.press("Continue").await;
            }
            Self::Link => {
                request_mail(browser).await;
                follow_link(test_system, browser).await;
            }
            Self::Button => {
                use_our_mail_template(test_system);
                request_mail(browser).await;
                follow_link(test_system, browser).await;
                browser.wait_for_page("Continue signing in").await;
                browser.press("Continue").await;
            }
            Self::Factor => {
                browser.sign_in("mia").await;
                browser.wait_for_page("One more step").await;
                browser.fill("Code", &shown(test_system)).await;
                browser.press("Continue").await;
            }
            Self::Provider => {
                browser.wait_for_page("Sign in to").await;
                browser.press("Continue with GitHub").await;
                browser.wait_for_page("Sign in with github").await;
                browser.press("Vera vera@example.com").await;
            }
        }
    }

    const fn email(self) -> &'static str {
        match self {
            Self::Password | Self::Code | Self::Link | Self::Button => BEN,
            Self::Factor => "mia@example.com",
            Self::Provider => "vera@example.com",
        }
    }
}

pub(super) async fn request_mail(browser: &Browser<'_>) {
    browser.wait_for_page("Sign in to").await;
    browser.fill("E-mail address", BEN).await;
    browser.press("E-mail me a code").await;
    browser.wait_for_page("Check your e-mail").await;
}

/// From now on mails follow the template that we recommend.
pub(super) fn use_our_mail_template(test_system: &TestSystem) {
    let callback = test_system.at("/auth/callback");
    test_system.supabase().configure(|config| config.callback_of_template = Some(callback));
}

pub(super) async fn follow_link(test_system: &TestSystem, browser: &Browser<'_>) {
    let link = test_system.supabase().inbox(BEN).pop().expect("a mail").link;
    browser.open(&link).await;
}

/// Back to a program on the same machine by number and by name, and to a site.
async fn reaches_every_client(engine: Engine, method: SignInMethod) {
    let test_system = with_mia().await;
    let browser = Browser::start(&test_system, engine).await;
    for address in ["http://127.0.0.1:49163/callback", "http://localhost:49163/callback", test_system::CALLBACK] {
        let connector = test_system.connector_at("Claude", &[address]).await;
        for approving in [true, false] {
            browser.clear_cookies().await;
            let ask = connector.authorization_request("skills:read");
            browser.open(&ask.url).await;
            method.sign_in_with(&test_system, &browser).await;
            let page = browser.wait_for_page("wants to work in").await;
            assert!(page.contains(method.email()), "{page}");
            if approving {
                browser.approve(&connector, &ask).await;
            } else {
                browser.press("Deny").await;
                let landed = browser.wait_for_redirect(&connector, &ask).await;
                assert_eq!((landed["error"].as_str(), landed.get("code")), ("access_denied", None), "{address}");
            }
            // Until another mail is sent, and the authenticator shows another code.
            test_system.advance(61);
        }
    }
}

pub(super) async fn password_sign_in_reaches_every_client(engine: Engine) {
    reaches_every_client(engine, SignInMethod::Password).await;
}

pub(super) async fn code_sign_in_reaches_every_client(engine: Engine) {
    reaches_every_client(engine, SignInMethod::Code).await;
}

pub(super) async fn link_sign_in_reaches_every_client(engine: Engine) {
    reaches_every_client(engine, SignInMethod::Link).await;
}

pub(super) async fn link_button_sign_in_reaches_every_client(engine: Engine) {
    reaches_every_client(engine, SignInMethod::Button).await;
}

pub(super) async fn second_factor_sign_in_reaches_every_client(engine: Engine) {
    reaches_every_client(engine, SignInMethod::Factor).await;
}

pub(super) async fn provider_sign_in_reaches_every_client(engine: Engine) {
    reaches_every_client(engine, SignInMethod::Provider).await;
}

pub(super) const BEN: &str = "ben@example.com";
