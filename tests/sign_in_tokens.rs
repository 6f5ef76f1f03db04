//! Access tokens of Supabase that are no person's session: those that its own OAuth server gives to third parties.
//!
//! A custom access token hook may drop what tells them apart, `client_id` and `amr`. Then no token of that project tells.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fakes::supabase::config::AccessTokenHook;
use fakes::supabase::seed::Person as Account;
use serde_json::{Value, json};
use shared::oauth::tenant::{PersonId, TenantId};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

use crate::sign_in::{SESSION_COOKIE, button, is_consent};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const OLA: &str = "ola@example.com";
const OLA_ID: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e77";
const OAUTH_SERVER: &str = "/auth/v1/.well-known/oauth-authorization-server";
/// What every page says to whoever can mend it.
const HOOK_KEEPS: &str = "the OAuth server of their Supabase project is on, so its custom access token hook must keep the claims \
                          amr and client_id";

/// A test system in which Ola owns a workspace, and lets a third party know their address by Supabase's own OAuth server. A hook keeps what
/// Supabase requires of it, and no more.
async fn with_a_third_party(is_on: bool) -> TestSystem {
    let ola =
        Account { id: Some(OLA_ID.parse().unwrap()), with_client_id: true, ..Account::new(OLA, "ola-demo", "Ola") };
    let test_system = TestSystem::with(|options| options.people.push(ola)).await;
    let (acme, id) = (TenantId::parse("acme").unwrap(), PersonId::parse(OLA_ID).unwrap());
    test_system.system().directory().put_member(&acme, &id, "owner").await.unwrap();
    hook_drops(&test_system, is_on);
    test_system
}

fn hook_drops(test_system: &TestSystem, is_on: bool) {
    test_system.supabase().configure(|config| {
        config.access_token_hook = Some(AccessTokenHook::keeps_required());
        config.oauth_server_enabled = is_on;
    });
}

/// A session as Supabase gives it out, in a cookie as `@supabase/ssr` writes it.
pub(crate) async fn session(test_system: &TestSystem, email: &str, password: &str) -> String {
    let url = format!("{}/auth/v1/token?grant_type=password", test_system.system().supabase_url());
    let request = test_system.http().post(url).header("apikey", "sb_publishable_local");
    let request = request.json(&json!({ "email": email, "password": password }));
    let session: Value = request.send().await.unwrap().json().await.unwrap();
    format!("base64-{}", URL_SAFE_NO_PAD.encode(session.to_string()))
}

/// The access token in such a cookie.
pub(crate) fn access_token(cookie: &str) -> String {
    let text = URL_SAFE_NO_PAD.decode(cookie.strip_prefix("base64-").unwrap()).unwrap();
    let session: Value = serde_json::from_slice(&text).unwrap();
    session["access_token"].as_str().unwrap().to_owned()
}

/// Somebody whose browser the third party has planted its token in.
async fn planted(test_system: &TestSystem) -> Person<'_> {
    let ola = Person::new(test_system, OLA, "ola-demo");
    ola.set_cookie(SESSION_COOKIE, &session(test_system, OLA, "ola-demo").await);
    ola
}

/// Neither a redirect nor a consent page, but why not.
fn names_the_claims(page: &HttpResponse) {
    assert_eq!(page.header("location"), None, "{page:?}");
    assert!(page.body.contains(HOOK_KEEPS), "{page:?}");
    assert!(!is_consent(page), "{page:?}");
}

/// It would approve connections as the owner, whatever scope it was given with. Who sits at that browser can still sign in.
#[tokio::test(flavor = "multi_thread")]
async fn third_party_token_without_amr_is_no_session() {
    let test_system = with_a_third_party(true).await;
    let connector = test_system.connector("Claude").await;
    for url in
        [connector.authorization_request("skills:read").url, test_system.at("/admin"), test_system.at("/auth/login")]
    {
        let ola = planted(&test_system).await;

        let page = ola.open_following_redirects(&url).await;

        names_the_claims(&page);
        assert!(Form::find(&page, "password").is_some(), "{page:?}");
        assert!(!ola.cookie_header().contains("mcp-approved"), "{url}");
    }
    let ola = planted(&test_system).await;
    let page = ola.open_following_redirects(&connector.authorization_request("skills:read").url).await;
    test_system.supabase().configure(|config| config.access_token_hook = None);

    let form = Form::find(&page, "password").unwrap().with("email", ANA).with("password", "ana-demo");
    let page = ola.submit_and_follow(&form).await;

    assert!(is_consent(&page) && page.body.contains(ANA), "{page:?}");
}

/// A session of our own page looks the same: a mark in a cookie of ours would prove nothing, as the third party holds its token in
/// the browser that it signed in with.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_error_names_the_claims_the_hook_must_keep() {
    let test_system = with_a_third_party(true).await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let page = ana.open_following_redirects(&connector.authorization_request("skills:read").url).await;

    let form = Form::find(&page, "password").unwrap().with("email", ANA).with("password", "ana-demo");
    names_the_claims(&ana.submit_and_follow(&form).await);

    assert!(!ana.cookie_header().contains(SESSION_COOKIE), "{}", ana.cookie_header());
    // A code that was mailed, too.
    let page = ana.open_following_redirects("/auth/login").await;
    let form = Form::find(&page, "password").unwrap().with("email", ANA);
    let page = ana.submit_and_follow(&Form { action: "/auth/login/code".to_owned(), ..form }).await;
    let code = test_system.supabase().inbox(ANA).pop().unwrap().code;
    names_the_claims(&ana.submit_and_follow(&Form::find(&page, "token").unwrap().with("token", &code)).await);
    assert!(!ana.cookie_header().contains(SESSION_COOKIE), "{}", ana.cookie_header());
}

/// A product's own page takes such a session for one and sends the browser back: there is a page, and no circle.
#[tokio::test(flavor = "multi_thread")]
async fn product_session_without_amr_gets_an_explanation() {
    let login = ("LoginUrl".to_owned(), "https://app.example.com/sign-in".to_owned());
    let test_system = TestSystem::with(|options| options.parameters = [login].into()).await;
    let connector = test_system.connector("Claude").await;
    hook_drops(&test_system, true);
    let cookie = session(&test_system, ANA, "ana-demo").await;
    for url in [connector.authorization_request("skills:read").url, test_system.at("/admin")] {
        let ana = test_system.person(ANA);
        ana.set_cookie(SESSION_COOKIE, &cookie);
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
async fn amr_is_optional_without_supabase_oauth_server() {
    let test_system = with_a_third_party(false).await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    assert!(is_consent(&ana.sign_in(&connector.authorization_request("skills:read").url).await));
    // Once for each function, and not again.
    assert_eq!(test_system.supabase().request_count(OAUTH_SERVER), 2);
    assert!(is_consent(&ana.open_following_redirects(&connector.authorization_request("skills:read").url).await));
    assert_eq!(test_system.supabase().request_count(OAUTH_SERVER), 2);

    let usual = TestSystem::new().await;
    usual.supabase().configure(|config| config.oauth_server_enabled = true);
    let connector = usual.connector("Claude").await;
    assert!(is_consent(&usual.person(ANA).sign_in(&connector.authorization_request("skills:read").url).await));
    assert_eq!(usual.supabase().request_count(OAUTH_SERVER), 0);
}

/// Not knowing is neither signed in nor signed out: the same request succeeds when Supabase answers.
#[tokio::test(flavor = "multi_thread")]
async fn token_without_amr_is_unavailable_while_oauth_server_status_is_unknown() {
    let test_system = with_a_third_party(false).await;
    let connector = test_system.connector("Claude").await;
    let url = connector.authorization_request("skills:read").url;
    test_system.supabase().set_path_down(OAUTH_SERVER, true);
    let ben = test_system.person(BEN);
    ben.set_cookie(SESSION_COOKIE, &session(&test_system, BEN, "ben-demo").await);
    let page = ben.open(&url).await;
    assert_eq!(page.status, 503, "{page:?}");
    let ana = test_system.person(ANA);
    let form = Form::find(&ana.open_following_redirects(&url).await, "password").unwrap();
    // The password is spent, so the session is kept: only to look at it has to wait.
    let page = ana.submit_and_follow(&form.with("email", ANA).with("password", "ana-demo")).await;
    assert_eq!(page.status, 503, "{page:?}");

    test_system.supabase().set_path_down(OAUTH_SERVER, false);
    test_system.advance(2);

    assert!(is_consent(&ben.open(&url).await));
    assert!(is_consent(&ana.open_following_redirects(&button(&page)).await));
}
