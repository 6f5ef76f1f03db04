//! The link of a mail that follows the template that we recommend: it carries the hash of the mail's code.

use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

const ANA: &str = "ana@example.com";

/// A project with our template.
async fn with_template() -> TestSystem {
    let test_system = TestSystem::new().await;
    let callback = test_system.placed_at("/auth/callback");
    test_system.supabase().configure(|config| config.callback_of_template = Some(callback));
    test_system
}

/// Asks for a mail on the sign-in page at `url`; the page where its code is typed in.
async fn asks_for_mail(person: &Person<'_>, url: &str) -> HttpResponse {
    let form =
        Form::find(&person.open_following_redirects(url).await, "password").unwrap().with("email", &person.email);
    person.submit_and_follow(&Form { action: "/auth/login/code".to_owned(), ..form }).await
}

fn link(test_system: &TestSystem) -> String {
    test_system.supabase().inbox(ANA).pop().unwrap().link
}

fn verified(test_system: &TestSystem) -> usize {
    test_system.supabase().request_count("/auth/v1/verify")
}

/// To open it spends nothing, however often; its button signs in, and goes on to where the sign-in was begun.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_button_uses_up_the_link() {
    let test_system = with_template().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    asks_for_mail(&ana, &ask.url).await;
    let link = link(&test_system);
    assert!(
        link.starts_with(&test_system.placed_at("/auth/callback?flow=")) && link.contains("&token_hash=pkce_"),
        "{link}"
    );

    for _ in 0..3 {
        let page = ana.open(&link).await;
        assert!(page.status == 200 && page.body.contains("Continue signing in") && page.body.contains(ANA), "{page:?}");
    }
    assert_eq!(verified(&test_system), 0);
    let page = ana.submit_and_follow(&Form::find(&ana.open(&link).await, "token_hash").unwrap()).await;

    assert!(Form::find(&page, "decision").is_some() && page.body.contains("Claude"), "{page:?}");
    assert_eq!(verified(&test_system), 1);
}

/// In another browser, or for a scanner of mail, it says where to go on; the code of the same mail is as good as before.
#[tokio::test(flavor = "multi_thread")]
async fn link_opened_in_another_browser_is_not_used_up() {
    let test_system = with_template().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    let typing = asks_for_mail(&ana, &ask.url).await;
    let scanner = test_system.person(ANA);

    let page = scanner.open(&link(&test_system)).await;

    assert!(page.status == 200 && page.body.contains("Go back to the page where you asked for the mail"), "{page:?}");
    assert!(Form::find(&page, "token_hash").is_none(), "{page:?}");
    assert_eq!(verified(&test_system), 0);
    let code = test_system.supabase().inbox(ANA).pop().unwrap().code;
    let page = ana.submit_and_follow(&Form::find(&typing, "token").unwrap().with("token", &code)).await;
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}

/// No flow of Supabase stands behind it, so that nobody who asks for the same address makes it useless.
#[tokio::test(flavor = "multi_thread")]
async fn mail_requested_by_a_stranger_leaves_the_link_valid() {
    let test_system = with_template().await;
    let connector = test_system.connector("Claude").await;
    let (ana, eve, ask) =
        (test_system.person(ANA), test_system.person(ANA), connector.authorization_request("skills:read"));
    asks_for_mail(&ana, &ask.url).await;
    asks_for_mail(&eve, "/auth/login").await;

    let page = ana.submit_and_follow(&Form::find(&ana.open(&link(&test_system)).await, "token_hash").unwrap()).await;

    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}

/// Of a mail that is used up another one can be asked for at once; what fails for a moment is tried again by the same button.
#[tokio::test(flavor = "multi_thread")]
async fn refused_link_offers_another_mail_or_a_retry() {
    let test_system = with_template().await;
    let ana = test_system.person(ANA);
    asks_for_mail(&ana, "/auth/login").await;
    let link = link(&test_system);
    let button = Form::find(&ana.open(&link).await, "token_hash").unwrap();

    test_system.supabase().set_rate_limited(true);
    let later = ana.submit_and_follow(&button).await;
    assert!(later.body.contains("Too many attempts just now"), "{later:?}");
    assert_eq!(Form::find(&later, "token_hash").unwrap().fields, button.fields);
    test_system.supabase().set_rate_limited(false);
    test_system.advance(3700);
    let late = ana.submit_and_follow(&button).await;
    assert!(late.body.contains("too long ago"), "{late:?}");

    asks_for_mail(&ana, "/auth/login").await;
    let used = button.with("token_hash", "pkce_00000000000000000000000000000000000000000000000000000000");
    let flow = crate::mail_link::link(&test_system).split(['=', '&']).nth(1).unwrap().to_owned();
    let page = ana.submit_and_follow(&used.with("flow", &flow)).await;
    assert!(page.body.contains("used already") && page.body.contains("Send another code"), "{page:?}");
}

/// Nobody presses the button for somebody else (login CSRF): not from another site, nor with the form of another browser.
#[tokio::test(flavor = "multi_thread")]
async fn link_can_be_confirmed_only_in_its_own_browser() {
    let test_system = with_template().await;
    let (ana, eve) = (test_system.person(ANA), test_system.person(ANA));
    asks_for_mail(&ana, "/auth/login").await;
    let button = Form::find(&ana.open(&link(&test_system)).await, "token_hash").unwrap();
    eve.open("/auth/login").await;

    assert!(eve.submit_and_follow(&button).await.body.contains("was asked for in another browser"));
    let elsewhere = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    assert_eq!(ana.submit_with(&button, &elsewhere).await.status, 403);
    assert_eq!(verified(&test_system), 0);
}
