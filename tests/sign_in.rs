//! Signing in where it does not go straight: what a person repeats, what fails for a moment, what changes under way.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use scraper::{Html, Selector};
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

use crate::pages::{MIA, shown, with_mia};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
/// As `@supabase/ssr` names it for the project at 127.0.0.1.
pub(crate) const SESSION_COOKIE: &str = "sb-127-auth-token";

/// The form of the sign-in page at `url`, which has a mail sent.
pub(crate) async fn mail_form(person: &Person<'_>, url: &str) -> Form {
    let page = person.open_following_redirects(url).await;
    let form = Form::find(&page, "password").unwrap_or_else(|| panic!("no sign-in page: {page:?}"));
    Form { action: "/auth/login/code".to_owned(), ..form.with("email", &person.email) }
}

/// Follows the link of the newest mail to this address; the address of our callback to which Supabase sends the browser.
pub(crate) async fn follows_link(test_system: &TestSystem, email: &str) -> String {
    let mail = test_system.supabase().inbox(email).pop().unwrap_or_else(|| panic!("no mail to {email}"));
    test_system.get(&mail.link).await.location().to_owned()
}

/// Where the button of a page leads.
pub(crate) fn button(page: &HttpResponse) -> String {
    let html = Html::parse_document(&page.body);
    let selector = Selector::parse("a.button").unwrap();
    let button = html.select(&selector).next().unwrap_or_else(|| panic!("no button: {page:?}"));
    button.attr("href").unwrap().to_owned()
}

pub(crate) fn is_consent(page: &HttpResponse) -> bool {
    Form::find(page, "decision").is_some()
}

/// Whatever keeps a callback from being answered for a moment, the page's button repeats that very request, and it succeeds.
#[tokio::test(flavor = "multi_thread")]
async fn failed_callback_can_be_retried() {
    type Cause<'a> = (&'a str, u16, &'a dyn Fn(bool));

    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let causes: [Cause<'_>; 2] = [
        ("too many requests at Supabase", 429, &|on| test_system.supabase().set_rate_limited(on)),
        ("Supabase does not answer", 503, &|on| test_system.supabase().set_down(on)),
    ];
    for (cause, status, fails) in causes {
        let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
        ana.submit(&mail_form(&ana, &ask.url).await).await;
        let callback = follows_link(&test_system, ANA).await;

        fails(true);
        for _ in 0..2 {
            let page = ana.open(&callback).await;
            assert_eq!(page.status, status, "{cause}: {page:?}");
            assert_eq!(test_system.absolute(&button(&page)), callback, "{cause}");
        }
        fails(false);

        let page = ana.open_following_redirects(&callback).await;
        assert!(is_consent(&page), "{cause}: {page:?}");
        test_system.advance(61);
    }
}

/// The same of our own limit on attempts.
#[tokio::test(flavor = "multi_thread")]
async fn rate_limited_callback_can_be_retried() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    ana.submit(&mail_form(&ana, &ask.url).await).await;
    let callback = follows_link(&test_system, ANA).await;
    let eve = Person::new(&test_system, ANA, "wrong");
    let form = Form::find(&eve.open("/auth/login").await, "password").unwrap().with("email", ANA);
    for _ in 0..20 {
        eve.submit(&form.clone().with("password", "wrong")).await;
    }

    let page = ana.open(&callback).await;
    assert_eq!(page.status, 429, "{page:?}");
    test_system.advance(10);

    let page = ana.open_following_redirects(&button(&page)).await;
    assert!(is_consent(&page), "{page:?}");
}

/// A session that was begun is kept when Supabase fails right after it: the code that it came from is spent.
#[tokio::test(flavor = "multi_thread")]
async fn session_is_kept_when_supabase_fails_after_the_exchange() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    ana.submit(&mail_form(&ana, &ask.url).await).await;
    let callback = follows_link(&test_system, ANA).await;
    test_system.supabase().set_path_down("/auth/v1/user", true);

    let page = ana.open(&callback).await;
    assert_eq!(page.status, 503, "{page:?}");
    test_system.supabase().set_path_down("/auth/v1/user", false);

    let page = ana.open_following_redirects(&button(&page)).await;
    assert!(is_consent(&page), "{page:?}");
}

/// The project signs with a key that authorize has not fetched yet: Supabase is asked, and nobody goes in circles.
#[tokio::test(flavor = "multi_thread")]
async fn unfetched_signing_key_is_verified_by_supabase() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    assert!(is_consent(&test_system.person(ANA).sign_in(&connector.authorization_request("skills:read").url).await));
    test_system.supabase().rotate_key().unwrap();
    let ben = test_system.person(BEN);

    let page = ben.sign_in(&connector.authorization_request("skills:read").url).await;

    assert!(is_consent(&page), "{page:?}");
}

/// Made-up keys make us ask five times a second and no more; beyond that the answer is 503, and never to sign in.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_key_lookups_are_limited_to_five_a_second() {
    const USER: &str = "/auth/v1/user";
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let ana = test_system.person(ANA);
    ana.sign_in(&ask.url).await;
    let (name, value) = session_of(&ana);
    for second in 0..2 {
        let before = test_system.supabase().request_count(USER);
        let mut statuses = Vec::new();
        for number in 0..8 {
            let eve = Person::new(&test_system, "eve@example.com", "");
            eve.set_cookie(&name, &with_key(&value, &format!("made-up-{second}-{number}")));
            let answer = eve.open(&ask.url).await;
            assert!(answer.status != 503 || answer.header("retry-after").is_some(), "{answer:?}");
            statuses.push(answer.status);
        }
        assert_eq!(statuses, [303, 303, 303, 303, 303, 503, 503, 503], "in second {second}");
        assert_eq!(test_system.supabase().request_count(USER) - before, 5);
        test_system.advance(1);
    }
}

/// A request that comes back from signing in with a session that is none gets a page with the reason and one button.
#[tokio::test(flavor = "multi_thread")]
async fn unrecognised_session_after_sign_in_gets_a_page() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    for url in [connector.authorization_request("skills:read").url, test_system.at("/admin")] {
        let ana = test_system.person(ANA);
        ana.set_cookie(SESSION_COOKIE, "base64-bm90aGluZw");
        let sent = ana.open(&url).await;
        assert!(sent.location().contains("/auth/login?next="), "{sent:?}");

        let page = ana.open(&url).await;

        assert_eq!((page.status, page.header("location")), (400, None), "{page:?}");
        assert!(page.body.contains("could not be recognised"), "{page:?}");
        assert!(test_system.absolute(&button(&page)).starts_with(&test_system.at("/auth/login?next=")), "{page:?}");
        // Without a session it is only somebody who has not signed in yet.
        let ben = test_system.person(BEN);
        for _ in 0..2 {
            assert_eq!(ben.open(&url).await.status, 303);
        }
    }
}

/// A double click, and "Send another code" within the minute: Supabase keeps the newest challenge though it sends no mail.
#[tokio::test(flavor = "multi_thread")]
async fn requesting_another_mail_keeps_the_first_valid() {
    for way in ["a double click", "send another code", "two addresses in between"] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
        let form = mail_form(&ana, &ask.url).await;
        let page = ana.submit_and_follow(&form).await;
        match way {
            "a double click" => {
                for _ in 0..5 {
                    ana.submit(&form).await;
                }
            }
            "send another code" => {
                let again = Form { action: "/auth/login/code".to_owned(), ..Form::find(&page, "token").unwrap() };
                assert!(ana.submit_and_follow(&again).await.body.contains("Check your e-mail"));
            }
            _ => {
                ana.submit(&form.clone().with("email", BEN)).await;
                ana.submit(&form.clone().with("email", " ANA@example.com ")).await;
            }
        }
        assert_eq!(test_system.supabase().inbox(ANA).len(), 1, "{way}");

        let page = ana.open_following_redirects(&follows_link(&test_system, ANA).await).await;

        assert!(is_consent(&page), "{way}: {page:?}");
    }
}

/// The response to the first of two clicks never arrived, and with it its cookie.
#[tokio::test(flavor = "multi_thread")]
async fn link_works_when_the_first_response_was_lost() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    let form = mail_form(&ana, &ask.url).await;
    let before = ana.cookie_header();
    ana.submit(&form).await;
    ana.clear_cookies();
    for (name, value) in before.split("; ").filter_map(|cookie| cookie.split_once('=')) {
        ana.set_cookie(name, value);
    }
    ana.submit(&form).await;

    let page = ana.open_following_redirects(&follows_link(&test_system, ANA).await).await;

    assert!(is_consent(&page), "{page:?}");
}

/// Each attempt keeps its own way back, and the address that comes back decides which.
#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_have_independent_sign_in_flows() {
    let test_system = TestSystem::new().await;
    let [one, other] = [test_system.connector("Claude").await, test_system.connector("Cursor").await];
    let ana = test_system.person(ANA);
    ana.submit(&mail_form(&ana, &one.authorization_request("skills:read").url).await).await;
    ana.submit(&mail_form(&ana, &other.authorization_request("skills:read").url).await).await;
    let mails = test_system.supabase().inbox(ANA);
    assert_eq!(mails.len(), 1);

    let page = ana.open_following_redirects(&follows_link(&test_system, ANA).await).await;

    assert!(is_consent(&page) && page.body.contains("Claude") && !page.body.contains("Cursor"), "{page:?}");
}

/// The newest challenge is another one of this browser: a wrong verifier spends nothing, so the others are tried.
#[tokio::test(flavor = "multi_thread")]
async fn every_pkce_verifier_of_the_browser_is_tried() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    ana.submit(&mail_form(&ana, "/auth/login").await).await;
    // Signed in and out by password, so the browser begins anew.
    let page = ana.sign_in("/auth/login").await;
    ana.submit(&Form::find(&page, "confirmation").unwrap()).await;
    ana.submit(&mail_form(&ana, "/auth/login").await).await;
    assert_eq!(test_system.supabase().inbox(ANA).len(), 1);

    let back = ana.open_following_redirects(&follows_link(&test_system, ANA).await).await;

    assert!(back.body.contains("You are signed in"), "{back:?}");
}

/// Whoever sends any number of cookies has us try no more verifiers than a browser is given: Supabase counts what comes from us, so
/// its limit is everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn number_of_tried_verifiers_is_limited() {
    const TOKEN: &str = "/auth/v1/token";
    let test_system = TestSystem::new().await;
    let (ana, eve) = (test_system.person(ANA), test_system.person(ANA));
    ana.submit(&mail_form(&ana, "/auth/login").await).await;
    let callback = follows_link(&test_system, ANA).await;
    // A live code, and verifiers that are none of it.
    eve.submit(&mail_form(&eve, "/auth/login").await).await;
    let cookies = eve.cookie_header();
    let (_, kept) = cookies.split("; ").find_map(|cookie| cookie.split_once("mcp-login-")?.1.split_once('=')).unwrap();
    let mut parts: Vec<_> = kept.split('.').map(str::to_owned).collect();
    let id = callback.split("flow=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    for number in 0..50_u8 {
        parts[1] = BASE64_URL_SAFE_NO_PAD.encode([number; 32]);
        let id = if number == 0 { id.clone() } else { BASE64_URL_SAFE_NO_PAD.encode([number; 16]) };
        eve.set_cookie(&format!("mcp-login-{id}"), &parts.join("."));
    }
    let before = test_system.supabase().request_count(TOKEN);

    let page = eve.open(&callback).await;

    assert!(page.body.contains("asked for a mail to the same address"), "{page:?}");
    assert_eq!(test_system.supabase().request_count(TOKEN) - before, 3);
}

/// A stranger who asks for the same address makes the link useless: the page says so, and that the next code works.
#[tokio::test(flavor = "multi_thread")]
async fn link_invalidated_by_a_stranger_is_explained() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, eve, ask) =
        (test_system.person(ANA), test_system.person(ANA), connector.authorization_request("skills:read"));
    ana.submit(&mail_form(&ana, &ask.url).await).await;
    eve.submit(&mail_form(&eve, "/auth/login").await).await;

    let page = ana.open_following_redirects(&follows_link(&test_system, ANA).await).await;

    assert_eq!(page.status, 400, "{page:?}");
    for told in ["asked for a mail to the same address", "is used up", "The code of the next mail always works"] {
        assert!(page.body.contains(told), "{told}: {page:?}");
    }
    assert!(page.body.contains("Another one can be sent in 60 s."), "{page:?}");
    test_system.advance(60);
    let form = Form::find(&page, "token").unwrap();
    ana.submit(&Form { action: "/auth/login/code".to_owned(), ..form.clone() }).await;
    eve.submit(&mail_form(&eve, "/auth/login").await).await;
    let code = test_system.supabase().inbox(ANA).pop().unwrap().code;
    let page = ana.submit_and_follow(&form.with("token", &code)).await;
    assert!(is_consent(&page), "{page:?}");
}

/// Supabase exchanges the code of somebody who was banned after they followed the link; `GET /user` says it.
#[tokio::test(flavor = "multi_thread")]
async fn ban_before_the_exchange_is_shown_as_a_ban() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    ana.submit(&mail_form(&ana, "/auth/login").await).await;
    let callback = follows_link(&test_system, ANA).await;
    test_system.supabase().set_banned(ANA, true);

    let page = ana.open(&callback).await;

    assert_eq!(page.status, 400, "{page:?}");
    assert!(page.body.contains("This account is suspended"), "{page:?}");
}

/// Supabase wants a factor verified from the address that asked for it, and a Lambda has more than one.
#[tokio::test(flavor = "multi_thread")]
async fn factor_verified_from_another_ip_is_challenged_again() {
    let test_system = with_mia().await;
    let mia = Person::new(&test_system, MIA, "mia-demo");
    let page = mia.sign_in("/auth/login").await;
    let form = Form::find(&page, "code").unwrap().with("code", &shown(&test_system));
    test_system.supabase().mismatch_next_addresses(2);
    let refused = mia.submit_and_follow(&form).await;
    assert!(refused.body.contains("could not be checked this time"), "{refused:?}");

    test_system.supabase().mismatch_next_addresses(1);
    let signed_in = mia.submit(&form).await;

    assert_eq!(signed_in.status, 303, "{signed_in:?}");
}

fn session_of(person: &Person<'_>) -> (String, String) {
    let cookies = person.cookie_header();
    let (name, value) = cookies.split("; ").find(|pair| pair.starts_with("sb-")).unwrap().split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

/// The same session, signed by nobody with a key of this name.
fn with_key(cookie: &str, kid: &str) -> String {
    let json = BASE64_URL_SAFE_NO_PAD.decode(cookie.strip_prefix("base64-").unwrap()).unwrap();
    let mut session: Value = serde_json::from_slice(&json).unwrap();
    let token = session["access_token"].as_str().unwrap().to_owned();
    let claims = token.split('.').nth(1).unwrap();
    let header = BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": "ES256", "kid": kid, "typ": "JWT" }).to_string());
    session["access_token"] = json!(format!("{header}.{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64])));
    format!("base64-{}", BASE64_URL_SAFE_NO_PAD.encode(session.to_string()))
}
