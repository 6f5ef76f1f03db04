//! The link of a mail that follows the template that we recommend: it carries the hash of the mail's code.

use world::World;
use world::answer::Answer;
use world::person::{Form, Person};

const ANA: &str = "ana@example.com";

/// A project with our template.
async fn with_template() -> World {
    let world = World::new().await;
    let callback = world.at("/auth/callback");
    world.supabase().configure(|config| config.callback_of_template = Some(callback));
    world
}

/// Asks for a mail on the sign-in page at `url`; the page where its code is typed in.
async fn asks_for_mail(person: &Person<'_>, url: &str) -> Answer {
    let form = Form::find(&person.visit(url).await, "password").unwrap().with("email", &person.email);
    person.sends(&Form { action: "/auth/login/code".to_owned(), ..form }).await
}

fn link(world: &World) -> String {
    world.supabase().inbox(ANA).pop().unwrap().link
}

fn verified(world: &World) -> usize {
    world.supabase().request_count("/auth/v1/verify")
}

/// To open it spends nothing, however often; its button signs in, and goes on to where the sign-in was begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_spent_by_its_button_alone() {
    let world = with_template().await;
    let connector = world.connector("Claude").await;
    let (ana, ask) = (world.person(ANA), connector.ask("skills:read"));
    asks_for_mail(&ana, &ask.url).await;
    let link = link(&world);
    assert!(link.starts_with(&world.at("/auth/callback?flow=")) && link.contains("&token_hash=pkce_"), "{link}");

    for _ in 0..3 {
        let page = ana.open(&link).await;
        assert!(page.status == 200 && page.body.contains("Continue signing in") && page.body.contains(ANA), "{page:?}");
    }
    assert_eq!(verified(&world), 0);
    let page = ana.sends(&Form::find(&ana.open(&link).await, "token_hash").unwrap()).await;

    assert!(Form::find(&page, "decision").is_some() && page.body.contains("Claude"), "{page:?}");
    assert_eq!(verified(&world), 1);
}

/// In another browser, or for a scanner of mail, it says where to go on; the code of the same mail is as good as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_opened_elsewhere_spends_nothing() {
    let world = with_template().await;
    let connector = world.connector("Claude").await;
    let (ana, ask) = (world.person(ANA), connector.ask("skills:read"));
    let typing = asks_for_mail(&ana, &ask.url).await;
    let scanner = world.person(ANA);

    let page = scanner.open(&link(&world)).await;

    assert!(page.status == 200 && page.body.contains("Go back to the page where you asked for the mail"), "{page:?}");
    assert!(Form::find(&page, "token_hash").is_none(), "{page:?}");
    assert_eq!(verified(&world), 0);
    let code = world.supabase().inbox(ANA).pop().unwrap().code;
    let page = ana.sends(&Form::find(&typing, "token").unwrap().with("token", &code)).await;
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}

/// No flow of Supabase stands behind it, so that nobody who asks for the same address makes it useless.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_asks_for_the_same_mail_leaves_the_link_good() {
    let world = with_template().await;
    let connector = world.connector("Claude").await;
    let (ana, eve, ask) = (world.person(ANA), world.person(ANA), connector.ask("skills:read"));
    asks_for_mail(&ana, &ask.url).await;
    asks_for_mail(&eve, "/auth/login").await;

    let page = ana.sends(&Form::find(&ana.open(&link(&world)).await, "token_hash").unwrap()).await;

    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}

/// Of a mail that is used up another one can be asked for at once; what fails for a moment is tried again by the same button.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_refused_leads_on() {
    let world = with_template().await;
    let ana = world.person(ANA);
    asks_for_mail(&ana, "/auth/login").await;
    let link = link(&world);
    let button = Form::find(&ana.open(&link).await, "token_hash").unwrap();

    world.supabase().set_rate_limited(true);
    let later = ana.sends(&button).await;
    assert!(later.body.contains("Too many attempts just now"), "{later:?}");
    assert_eq!(Form::find(&later, "token_hash").unwrap().fields, button.fields);
    world.supabase().set_rate_limited(false);
    world.advance(3700);
    let late = ana.sends(&button).await;
    assert!(late.body.contains("too long ago"), "{late:?}");

    asks_for_mail(&ana, "/auth/login").await;
    let used = button.with("token_hash", "pkce_00000000000000000000000000000000000000000000000000000000");
    let flow = crate::mail_link::link(&world).split(['=', '&']).nth(1).unwrap().to_owned();
    let page = ana.sends(&used.with("flow", &flow)).await;
    assert!(page.body.contains("used already") && page.body.contains("Send another code"), "{page:?}");
}

/// Nobody presses the button for somebody else (login CSRF): not from another site, nor with the form of another browser.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_confirmed_by_its_own_browser_alone() {
    let world = with_template().await;
    let (ana, eve) = (world.person(ANA), world.person(ANA));
    asks_for_mail(&ana, "/auth/login").await;
    let button = Form::find(&ana.open(&link(&world)).await, "token_hash").unwrap();
    eve.open("/auth/login").await;

    assert!(eve.sends(&button).await.body.contains("was asked for in another browser"));
    let elsewhere = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    assert_eq!(ana.submit_with(&button, &elsewhere).await.status, 403);
    assert_eq!(verified(&world), 0);
}
