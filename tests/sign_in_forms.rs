//! Forms of signing in that are sent twice, late, or gone back to.

use world::World;
use world::person::{Form, Person};

use crate::pages::{MIA, shown, with_mia};

const ANA: &str = "ana@example.com";

fn filled_in(form: Form) -> Form {
    form.with("email", ANA).with("password", "ana-demo")
}

/// What stands in the history is what can be read again: each form is answered by a redirect, refused or not.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_answered_by_a_redirect() {
    let world = with_mia().await;
    let ana = world.person(ANA);
    let page = ana.open("/auth/login?next=/admin").await;
    let (form, social) = (Form::find(&page, "password").unwrap(), Form::find(&page, "provider").unwrap());
    let code = Form { action: "/auth/login/code".to_owned(), ..form.clone().with("email", ANA) };
    let typing = Form::find(&ana.sends(&code).await, "token").unwrap();
    let mia = Person::new(&world, MIA, "mia-demo");
    let factor = Form::find(&mia.signs_in("/auth/login").await, "code").unwrap();
    let right = shown(&world);
    for (who, what, form) in [
        (&ana, "no address", form.clone().with("password", "x")),
        (&ana, "a wrong password", filled_in(form.clone()).with("password", "wrong")),
        (&ana, "no address for a code", Form { action: code.action.clone(), ..form.clone() }),
        (&ana, "a code", code),
        (&ana, "a wrong code", typing.clone().with("token", "000000")),
        (&ana, "no code", typing),
        (&ana, "an unknown provider", social.clone().with("provider", "none")),
        (&ana, "a provider", social.with("provider", "github")),
        (&mia, "a wrong factor", factor.clone().with("code", "12345")),
        (&mia, "a factor", factor.with("code", &right)),
        (&ana, "a form that is out of date", filled_in(form.clone()).with("confirmation", &world.random())),
        (&ana, "a password", filled_in(form)),
    ] {
        let answer = who.submit(&form).await;
        assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{what}: {answer:?}");
        let page = who.read(answer).await;
        assert_eq!(page.status, 200, "{what}: {page:?}");
    }
}

/// The page after a refused form tells it again when it is reloaded, and what was typed but for secrets; other tabs tell nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_can_be_read_again_and_keeps_no_secret() {
    let world = World::new().await;
    let ana = world.person(ANA);
    let form = Form::find(&ana.open("/auth/login?next=/admin").await, "password").unwrap();

    let refused = ana.submit(&filled_in(form).with("password", "hunter-2-hunter")).await;

    let address = refused.location().to_owned();
    for _ in 0..2 {
        let page = ana.open(&address).await;
        assert!(page.body.contains("do not match"), "{page:?}");
        let form = Form::find(&page, "password").unwrap();
        let value = |name: &str| form.fields.iter().find(|field| field.0 == name).map(|field| field.1.clone());
        assert_eq!((value("email").unwrap(), value("password").unwrap()), (ANA.to_owned(), String::new()));
        assert_eq!(value("next").unwrap(), "/admin");
        let focused = page.body.split("id=\"password\"").nth(1).unwrap().split('>').next().unwrap();
        assert!(focused.contains("autofocus aria-invalid=\"true\""), "{focused}");
    }
    assert!(!ana.open("/auth/login?next=/admin").await.body.contains("do not match"), "another tab");
    let kept = ana.cookie_header();
    let decoded = kept.split(['.', '=', ';']).filter_map(|part| {
        use base64::Engine as _;
        String::from_utf8(base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part.trim()).ok()?).ok()
    });
    let all: Vec<_> = decoded.chain([kept.clone(), address]).collect();
    assert!(all.iter().any(|text| text.contains(ANA)) && !all.iter().any(|text| text.contains("hunter")), "{all:?}");
}

/// The second of two clicks, and the form of a second tab: the first one has signed the person in, so they go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_somebody_who_is_signed_in_goes_on() {
    let world = with_mia().await;
    let connector = world.connector("Claude").await;
    let (ana, ask) = (world.person(ANA), connector.ask("skills:read"));
    let form = filled_in(Form::find(&ana.visit(&ask.url).await, "password").unwrap());
    assert_eq!(ana.submit(&form).await.status, 303);

    for way in ["password", "code", "social"] {
        let form = Form { action: format!("/auth/login/{way}"), ..form.clone() };
        let page = ana.sends(&form).await;
        assert!(Form::find(&page, "decision").is_some(), "{way}: {page:?}");
    }
    // With one factor of two, to the second.
    let mia = Person::new(&world, MIA, "mia-demo");
    let form = Form::find(&mia.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", MIA).with("password", "mia-demo");
    mia.submit(&form).await;
    assert!(mia.sends(&form).await.body.contains("One more step"));
}

/// Cookies are blamed only where none came back.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_blamed_where_there_are_none() {
    let world = World::new().await;
    let ana = world.person(ANA);
    let form = filled_in(Form::find(&ana.open("/auth/login").await, "password").unwrap());
    let old = ana.sends(&form.clone().with("confirmation", &world.random())).await;
    assert!(
        old.body.contains("That form was out of date")
            && !old.body.contains("keeps no cookies for this site, and nobody can sign in without. Allow them and try"),
        "{old:?}"
    );

    ana.forgets_cookies();
    let blocked = ana.submit(&form).await;
    let page = world.get(blocked.location()).await;

    assert!(page.body.contains("This browser keeps no cookies"), "{page:?}");
}

/// Back from a provider's page leads to a page of ours that sends no form.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_the_way_to_a_provider_can_be_read_again() {
    let world = World::new().await;
    let (ana, eve) = (world.person(ANA), world.person(ANA));
    let social = Form::find(&ana.open("/auth/login").await, "provider").unwrap().with("provider", "github");
    let address = ana.submit(&social).await.location().to_owned();

    let (first, again) = (ana.open(&address).await, ana.open(&address).await);

    assert!(first.status == 200 && first.body.contains("Continue with GitHub"), "{first:?}");
    assert_eq!(first.body, again.body);
    let elsewhere = eve.open(&address).await;
    assert!(elsewhere.status == 400 && !elsewhere.body.contains("Continue with GitHub\""), "{elsewhere:?}");
}

/// The second of two clicks is told that its code is spent; the browser has the session of the first by then, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_sent_twice_goes_on() {
    let world = World::new().await;
    let connector = world.connector("Claude").await;
    let (ana, ask) = (world.person(ANA), connector.ask("skills:read"));
    let form = Form::find(&ana.visit(&ask.url).await, "password").unwrap().with("email", ANA);
    let typing = ana.sends(&Form { action: "/auth/login/code".to_owned(), ..form }).await;
    let code = world.supabase().inbox(ANA).pop().unwrap().code;
    let form = Form::find(&typing, "token").unwrap().with("token", &code);
    let before = ana.cookie_header();

    assert_eq!(ana.submit(&form).await.status, 303);
    let session = ana.cookie_header();
    ana.forgets_cookies();
    for (name, value) in before.split("; ").filter_map(|cookie| cookie.split_once('=')) {
        ana.has_cookie(name, value);
    }
    let second = ana.submit(&form).await;
    for (name, value) in session.split("; ").filter_map(|cookie| cookie.split_once('=')) {
        ana.has_cookie(name, value);
    }

    let page = ana.read(second).await;
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}
