//! Access tokens of Supabase that are no person's session: those that its own OAuth server gives to third parties.
//!
//! A custom access token hook may drop what tells them apart, `client_id` and `amr`. Then no token of that project tells.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fakes::supabase::config::AccessTokenHook;
use fakes::supabase::seed::Person as Account;
use serde_json::{Value, json};
use shared::oauth::tenant::{PersonId, TenantId};
use world::World;
use world::answer::Answer;
use world::person::{Form, Person};

use crate::sign_in::{SESSION_COOKIE, button, is_consent};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const OLA: &str = "ola@example.com";
const OLA_ID: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e77";
const OAUTH_SERVER: &str = "/auth/v1/.well-known/oauth-authorization-server";
/// What every page says to whoever can mend it.
const HOOK_KEEPS: &str = "the OAuth server of their Supabase project is on, so its custom access token hook must keep the claims \
                          amr and client_id";

/// A world in which Ola owns a workspace, and lets a third party know their address by Supabase's own OAuth server. A hook keeps what
/// Supabase requires of it, and no more.
async fn with_a_third_party(is_on: bool) -> World {
    let ola =
        Account { id: Some(OLA_ID.parse().unwrap()), with_client_id: true, ..Account::new(OLA, "ola-demo", "Ola") };
    let world = World::with(|options| options.people.push(ola)).await;
    let (acme, id) = (TenantId::parse("acme").unwrap(), PersonId::parse(OLA_ID).unwrap());
    world.system().directory().put_member(&acme, &id, "owner").await.unwrap();
    hook_drops(&world, is_on);
    world
}

fn hook_drops(world: &World, is_on: bool) {
    world.supabase().configure(|config| {
        config.access_token_hook = Some(AccessTokenHook::keeps_required());
        config.oauth_server_enabled = is_on;
    });
}

/// A session as Supabase gives it out, in a cookie as `@supabase/ssr` writes it.
async fn session(world: &World, email: &str, password: &str) -> String {
    let url = format!("{}/auth/v1/token?grant_type=password", world.system().supabase_url());
    let request = world.http().post(url).header("apikey", "sb_publishable_local");
    let request = request.json(&json!({ "email": email, "password": password }));
    let session: Value = request.send().await.unwrap().json().await.unwrap();
    format!("base64-{}", URL_SAFE_NO_PAD.encode(session.to_string()))
}

/// Somebody whose browser the third party has planted its token in.
async fn planted(world: &World) -> Person<'_> {
    let ola = Person::new(world, OLA, "ola-demo");
    ola.has_cookie(SESSION_COOKIE, &session(world, OLA, "ola-demo").await);
    ola
}

/// Neither a redirect nor a consent page, but why not.
fn names_the_claims(page: &Answer) {
    assert_eq!(page.header("location"), None, "{page:?}");
    assert!(page.body.contains(HOOK_KEEPS), "{page:?}");
    assert!(!is_consent(page), "{page:?}");
}

/// It would approve connections as the owner, whatever scope it was given with. Who sits at that browser can still sign in.
#[tokio::test(flavor = "multi_thread")]
async fn a_third_partys_token_that_a_hook_stripped_is_nobodys_session() {
    let world = with_a_third_party(true).await;
    let connector = world.connector("Claude").await;
    for url in [connector.ask("skills:read").url, world.at("/admin"), world.at("/auth/login")] {
        let ola = planted(&world).await;

        let page = ola.visit(&url).await;

        names_the_claims(&page);
        assert!(Form::find(&page, "password").is_some(), "{page:?}");
        assert!(!ola.cookie_header().contains("mcp-approved"), "{url}");
    }
    let ola = planted(&world).await;
    let page = ola.visit(&connector.ask("skills:read").url).await;
    world.supabase().configure(|config| config.access_token_hook = None);

    let form = Form::find(&page, "password").unwrap().with("email", ANA).with("password", "ana-demo");
    let page = ola.sends(&form).await;

    assert!(is_consent(&page) && page.body.contains(ANA), "{page:?}");
}

/// A session of our own page looks the same: a mark in a cookie of ours would prove nothing, as the third party holds its token in
/// the browser that it signed in with.
#[tokio::test(flavor = "multi_thread")]
async fn signing_in_tells_which_claims_the_hook_must_keep() {
    let world = with_a_third_party(true).await;
    let connector = world.connector("Claude").await;
    let ana = world.person(ANA);
    let page = ana.visit(&connector.ask("skills:read").url).await;

    let form = Form::find(&page, "password").unwrap().with("email", ANA).with("password", "ana-demo");
    names_the_claims(&ana.sends(&form).await);

    assert!(!ana.cookie_header().contains(SESSION_COOKIE), "{}", ana.cookie_header());
    // A code that was mailed, too.
    let page = ana.visit("/auth/login").await;
    let form = Form::find(&page, "password").unwrap().with("email", ANA);
    let page = ana.sends(&Form { action: "/auth/login/code".to_owned(), ..form }).await;
    let code = world.supabase().inbox(ANA).pop().unwrap().code;
    names_the_claims(&ana.sends(&Form::find(&page, "token").unwrap().with("token", &code)).await);
    assert!(!ana.cookie_header().contains(SESSION_COOKIE), "{}", ana.cookie_header());
}

/// A product's own page takes such a session for one and sends the browser back: there is a page, and no circle.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_from_the_products_page_without_amr_is_told_why() {
    let login = ("LoginUrl".to_owned(), "https://app.example.com/sign-in".to_owned());
    let world = World::with(|options| options.parameters = [login].into()).await;
    let connector = world.connector("Claude").await;
    hook_drops(&world, true);
    let cookie = session(&world, ANA, "ana-demo").await;
    for url in [connector.ask("skills:read").url, world.at("/admin")] {
        let ana = world.person(ANA);
        ana.has_cookie(SESSION_COOKIE, &cookie);
        let sent = ana.open(&url).await;
        assert!(sent.location().starts_with("https://app.example.com/sign-in?next="), "{sent:?}");

        let page = ana.open(&url).await;

        names_the_claims(&page);
        assert_eq!(page.status, 400);
        assert!(button(&page).starts_with("https://app.example.com/sign-in?next="), "{page:?}");
    }
}

/// Without that server nobody else has such tokens. Whether it is there is asked only for them.
#[tokio::test(flavor = "multi_thread")]
async fn without_supabases_oauth_server_a_token_need_not_say_how_its_person_signed_in() {
    let world = with_a_third_party(false).await;
    let connector = world.connector("Claude").await;
    let ana = world.person(ANA);
    assert!(is_consent(&ana.signs_in(&connector.ask("skills:read").url).await));
    // Once for each function, and not again.
    assert_eq!(world.supabase().request_count(OAUTH_SERVER), 2);
    assert!(is_consent(&ana.visit(&connector.ask("skills:read").url).await));
    assert_eq!(world.supabase().request_count(OAUTH_SERVER), 2);

    let usual = World::new().await;
    usual.supabase().configure(|config| config.oauth_server_enabled = true);
    let connector = usual.connector("Claude").await;
    assert!(is_consent(&usual.person(ANA).signs_in(&connector.ask("skills:read").url).await));
    assert_eq!(usual.supabase().request_count(OAUTH_SERVER), 0);
}

/// Not knowing is neither signed in nor signed out: the same request succeeds when Supabase answers.
#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_says_whether_that_server_is_on_such_a_token_has_to_wait() {
    let world = with_a_third_party(false).await;
    let connector = world.connector("Claude").await;
    let url = connector.ask("skills:read").url;
    world.supabase().set_path_down(OAUTH_SERVER, true);
    let ben = world.person(BEN);
    ben.has_cookie(SESSION_COOKIE, &session(&world, BEN, "ben-demo").await);
    let page = ben.open(&url).await;
    assert_eq!(page.status, 503, "{page:?}");
    let ana = world.person(ANA);
    let form = Form::find(&ana.visit(&url).await, "password").unwrap();
    // The password is spent, so the session is kept: only to look at it has to wait.
    let page = ana.sends(&form.with("email", ANA).with("password", "ana-demo")).await;
    assert_eq!(page.status, 503, "{page:?}");

    world.supabase().set_path_down(OAUTH_SERVER, false);
    world.advance(2);

    assert!(is_consent(&ben.open(&url).await));
    assert!(is_consent(&ana.visit(&button(&page)).await));
}
