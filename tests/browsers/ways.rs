//! Every way of signing in leads to every kind of client, approved and denied: no policy of a page stops a redirect.

use world::World;

use super::browser::Browser;
use super::engine::Engine;
use crate::pages::{shown, with_mia};

/// A way of signing in, and who goes it.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Password,
    Code,
    /// Of a mail that is read in the browser which asked for it.
    Link,
    /// The same of the template that we recommend.
    Button,
    Factor,
    Provider,
}

impl Way {
    /// From the page for signing in to whatever comes next.
    pub(super) async fn goes(self, world: &World, browser: &Browser<'_>) {
        match self {
            Self::Password => browser.signs_in("ben").await,
            Self::Code => {
                asks_for_a_mail(browser).await;
                let code = world.supabase().inbox(BEN).pop().expect("a mail").code;
                browser.fill("Code", &code).await;
                browser.press("Continue").await;
            }
            Self::Link => {
                asks_for_a_mail(browser).await;
                follows_the_link(world, browser).await;
            }
            Self::Button => {
                uses_our_template(world);
                asks_for_a_mail(browser).await;
                follows_the_link(world, browser).await;
                browser.reaches("Continue signing in").await;
                browser.press("Continue").await;
            }
            Self::Factor => {
                browser.signs_in("mia").await;
                browser.reaches("One more step").await;
                browser.fill("Code", &shown(world)).await;
                browser.press("Continue").await;
            }
            Self::Provider => {
                browser.reaches("Sign in to").await;
                browser.press("Continue with GitHub").await;
                browser.reaches("Sign in with github").await;
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

pub(super) async fn asks_for_a_mail(browser: &Browser<'_>) {
    browser.reaches("Sign in to").await;
    browser.fill("E-mail address", BEN).await;
    browser.press("E-mail me a code").await;
    browser.reaches("Check your e-mail").await;
}

/// From now on mails follow the template that we recommend.
pub(super) fn uses_our_template(world: &World) {
    let callback = world.at("/auth/callback");
    world.supabase().configure(|config| config.callback_of_template = Some(callback));
}

pub(super) async fn follows_the_link(world: &World, browser: &Browser<'_>) {
    let link = world.supabase().inbox(BEN).pop().expect("a mail").link;
    browser.open(&link).await;
}

/// Back to a program on the same machine by number and by name, and to a site.
async fn gets_to_every_client(engine: Engine, way: Way) {
    let world = with_mia().await;
    let browser = Browser::start(&world, engine).await;
    for address in ["http://127.0.0.1:49163/callback", "http://localhost:49163/callback", world::CALLBACK] {
        let connector = world.connector_at("Claude", &[address]).await;
        for approving in [true, false] {
            browser.forgets_cookies().await;
            let ask = connector.ask("skills:read");
            browser.open(&ask.url).await;
            way.goes(&world, &browser).await;
            let page = browser.reaches("Claude wants to").await;
            assert!(page.contains(way.email()), "{page}");
            if approving {
                browser.approves(&connector, &ask).await;
            } else {
                browser.press("Deny").await;
                let landed = browser.lands(&connector, &ask).await;
                assert_eq!((landed["error"].as_str(), landed.get("code")), ("access_denied", None), "{address}");
            }
            // Until another mail is sent, and the authenticator shows another code.
            world.advance(61);
        }
    }
}

pub(super) async fn who_signs_in_by_password_gets_to_every_client(engine: Engine) {
    gets_to_every_client(engine, Way::Password).await;
}

pub(super) async fn who_types_a_code_gets_to_every_client(engine: Engine) {
    gets_to_every_client(engine, Way::Code).await;
}

pub(super) async fn who_follows_a_link_gets_to_every_client(engine: Engine) {
    gets_to_every_client(engine, Way::Link).await;
}

pub(super) async fn who_presses_the_button_of_a_link_gets_to_every_client(engine: Engine) {
    gets_to_every_client(engine, Way::Button).await;
}

pub(super) async fn who_has_a_second_factor_gets_to_every_client(engine: Engine) {
    gets_to_every_client(engine, Way::Factor).await;
}

pub(super) async fn who_signs_in_at_a_provider_gets_to_every_client(engine: Engine) {
    gets_to_every_client(engine, Way::Provider).await;
}

pub(super) const BEN: &str = "ben@example.com";
