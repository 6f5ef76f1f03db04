//! Forms of signing in that are sent twice, late, or gone back to.

use test_system::TestSystem;
use test_system::person::{Form, Person};

use crate::pages::{MIA, shown, with_mia};

const ANA: &str = "ana@example.com";

fn filled_in(form: Form) -> Form {
    form.with("email", ANA).with("password", "ana-demo")
}

/// What stands in the history is what can be read again: each form is answered by a redirect, refused or not.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_answered_by_a_redirect() {
    let test_system = with_mia().await;
    let ana = test_system.person(ANA);
    let page = ana.open("/auth/login?next=/admin").await;
    let (form, social) = (Form::find(&page, "password").unwrap(), Form::find(&page, "provider").unwrap());
    let code = Form { action: "/auth/login/code".to_owned(), ..form.clone().with("email", ANA) };
    let typing = Form::find(&ana.submit_and_follow(&code).await, "token").unwrap();
    let mia = Person::new(&test_system, MIA, "mia-demo");
    let factor = Form::find(&mia.sign_in("/auth/login").await, "code").unwrap();
    let right = shown(&test_system);
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
        (&ana, "a form that is out of date", filled_in(form.clone()).with("confirmation", &test_system.random())),
        (&ana, "a password", filled_in(form)),
    ] {
        let answer = who.submit(&form).await;
        assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{what}: {answer:?}");
        let page = who.follow_redirects(answer).await;
        assert_eq!(page.status, 200, "{what}: {page:?}");
    }
}

/// The page after a refused form tells it again when it is reloaded, and what was typed but for secrets; other tabs tell nothing.
#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_refused_form_can_be_reloaded_and_keeps_no_secret() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
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
async fn form_of_a_signed_in_person_continues() {
    let test_system = with_mia().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    let form = filled_in(Form::find(&ana.open_following_redirects(&ask.url).await, "password").unwrap());
    assert_eq!(ana.submit(&form).await.status, 303);

    for way in ["password", "code", "social"] {
        let form = Form { action: format!("/auth/login/{way}"), ..form.clone() };
        let page = ana.submit_and_follow(&form).await;
        assert!(Form::find(&page, "decision").is_some(), "{way}: {page:?}");
    }
    // With one factor of two, to the second.
    let mia = Person::new(&test_system, MIA, "mia-demo");
    let form = Form::find(&mia.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", MIA).with("password", "mia-demo");
    mia.submit(&form).await;
    assert!(mia.submit_and_follow(&form).await.body.contains("One more step"));
}

/// Cookies are blamed only where none came back.
#[tokio::test(flavor = "multi_thread")]
async fn cookie_error_is_shown_only_without_cookies() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    let form = filled_in(Form::find(&ana.open("/auth/login").await, "password").unwrap());
    let old = ana.submit_and_follow(&form.clone().with("confirmation", &test_system.random())).await;
    assert!(
        old.body.contains("That form was out of date")
            && !old.body.contains("keeps no cookies for this site, and nobody can sign in without. Allow them and try"),
        "{old:?}"
    );

    ana.clear_cookies();
    let blocked = ana.submit(&form).await;
    let page = test_system.get(blocked.location()).await;

    assert!(page.body.contains("This browser keeps no cookies"), "{page:?}");
}

/// Back from a provider's page leads to a page of ours that sends no form.
#[tokio::test(flavor = "multi_thread")]
async fn provider_redirect_page_can_be_reloaded() {
    let test_system = TestSystem::new().await;
    let (ana, eve) = (test_system.person(ANA), test_system.person(ANA));
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
async fn code_submitted_twice_continues() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    let form = Form::find(&ana.open_following_redirects(&ask.url).await, "password").unwrap().with("email", ANA);
    let typing = ana.submit_and_follow(&Form { action: "/auth/login/code".to_owned(), ..form }).await;
    let code = test_system.supabase().inbox(ANA).pop().unwrap().code;
    let form = Form::find(&typing, "token").unwrap().with("token", &code);
    let before = ana.cookie_header();

    assert_eq!(ana.submit(&form).await.status, 303);
    let session = ana.cookie_header();
    ana.clear_cookies();
    for (name, value) in before.split("; ").filter_map(|cookie| cookie.split_once('=')) {
        ana.set_cookie(name, value);
    }
    let second = ana.submit(&form).await;
    for (name, value) in session.split("; ").filter_map(|cookie| cookie.split_once('=')) {
        ana.set_cookie(name, value);
    }

    let page = ana.follow_redirects(second).await;
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}
