//! `SignInMaxAge`: a session that was begun long ago gives nothing away that outlasts it, until its person has signed in again.

use fakes::supabase::config::AccessTokenHook;
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

use crate::connection_permissions::chosen_on;
use crate::console::{grant_of, question};
use crate::sign_in::is_consent;

const ANA: &str = "ana@example.com";
const REASON: &str = "You signed in some time ago";

async fn with_max_age(minutes: &str, more: &[(&str, &str)]) -> TestSystem {
    let all = [("SignInMaxAge", minutes)].into_iter().chain(more.iter().copied());
    let all = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    TestSystem::with(|options| options.parameters = all).await
}

/// The form of the consent page with what a person decided.
fn approval(page: &HttpResponse) -> Form {
    let form = Form::find(page, "decision").unwrap_or_else(|| panic!("no consent page: {page:?}"));
    form.with("tenant", "acme").with("decision", "approve")
}

/// Signs in on a page that says why.
async fn signs_in_again(person: &Person<'_>, sent: &HttpResponse) -> HttpResponse {
    let page = person.open(sent.location()).await;
    assert!(page.status == 200 && page.body.contains(REASON), "{page:?}");
    let form = Form::find(&page, "password").unwrap().with("email", ANA);
    person.submit_and_follow(&form.with("password", "ana-demo")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_sign_in_is_repeated_before_an_approval() {
    let test_system = with_max_age("30", &[]).await;
    let claude = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), claude.authorization_request("skills:read views:read"));
    // In time, nothing is asked.
    ana.sign_in(&ask.url).await;
    test_system.advance(30 * 60);
    let in_time = ana.submit(&approval(&ana.open(&ask.url).await)).await;
    test_system.track_secret(&in_time.redirect_parameters()["code"]);
    assert_eq!(test_system.count("grants").await, 1);

    test_system.advance(1);
    let form = approval(&ana.open(&ask.url).await).without("allow:views:read");
    let sent = ana.submit(&form).await;
    assert!(sent.location().starts_with(&test_system.at("/auth/login?next=/oauth/authorize")), "{sent:?}");
    assert!(sent.location().ends_with("&max_age=1800"), "{sent:?}");
    assert_eq!(test_system.count("grants").await, 1);

    let page = signs_in_again(&ana, &sent).await;
    assert!(is_consent(&page) && page.body.contains("An approval takes a recent sign-in"), "{page:?}");
    let kept = Form::find(&page, "decision").unwrap();
    let ticked = |field: &str| kept.fields.iter().any(|(name, _)| name == field);
    assert!(ticked("allow:skills:read") && !ticked("allow:views:read"), "{kept:?}");
    let code = ana.submit(&approval(&page)).await.redirect_parameters().remove("code").unwrap();
    let scope = claude.exchange(&ask, &code).await.tokens(&test_system).scope;
    assert!(scope.contains("skills:read") && !scope.contains("views:read"), "{scope}");
    // Who is signed in recently enough is not asked twice.
    assert_eq!(ana.open(sent.location()).await.status, 303);

    // A mistake on the way leads nowhere else.
    test_system.advance(1801);
    let sent = ana.submit(&approval(&ana.open(&ask.url).await)).await;
    let form = Form::find(&ana.open(sent.location()).await, "password").unwrap().with("email", ANA);
    let wrong = ana.submit_and_follow(&form.clone().with("password", "wrong")).await;
    assert!(Form::find(&wrong, "password").is_some(), "{wrong:?}");
    assert!(is_consent(&ana.submit_and_follow(&form.with("password", "ana-demo")).await));
}

/// A refresh is no sign-in. The product's own page learns how recent it has to be, as `OpenID` Connect says it.
#[tokio::test(flavor = "multi_thread")]
async fn refreshed_session_is_as_old_as_its_sign_in() {
    let test_system = with_max_age("90", &[]).await;
    let claude = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), claude.authorization_request("skills:read"));
    ana.sign_in(&ask.url).await;
    for (later, asked) in [(3601, false), (3601, true)] {
        test_system.advance(later);
        let page = ana.open_following_redirects(&ask.url).await;
        let answer = ana.submit(&approval(&page)).await;
        assert_eq!(answer.location().contains("/auth/login"), asked, "{answer:?}");
        if !asked {
            test_system.track_secret(&answer.redirect_parameters()["code"]);
        }
    }

    let theirs = with_max_age("90", &[("LoginUrl", "https://app.example.com/sign-in")]).await;
    let ask = theirs.connector("Claude").await.authorization_request("skills:read");
    let ana = theirs.person(ANA);
    ana.set_cookie(crate::sign_in::SESSION_COOKIE, &crate::sign_in_tokens::session(&theirs, ANA, "ana-demo").await);
    let form = approval(&ana.open(&ask.url).await);
    theirs.system().redeploy("authorize", &[("SignInMaxAge", "1")]).await.unwrap();
    theirs.advance(61);
    let sent = ana.submit(&form).await;
    assert!(sent.location().starts_with("https://app.example.com/sign-in?next=http%3A//"), "{sent:?}");
    assert!(sent.location().ends_with("&max_age=60"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_age_will_do_by_default() {
    let test_system = TestSystem::new().await;
    let ask = test_system.connector("Claude").await.authorization_request("skills:read");
    let ana = test_system.person(ANA);
    ana.sign_in(&ask.url).await;
    test_system.advance(3500);
    let answer = ana.submit(&approval(&ana.open(&ask.url).await)).await;
    test_system.track_secret(&answer.redirect_parameters()["code"]);
    assert_eq!(ana.open("/auth/login?next=/admin&max_age=1").await.status, 303);
}

/// To sign in again would not help: the page says what would.
#[tokio::test(flavor = "multi_thread")]
async fn session_that_does_not_say_when_approves_nothing() {
    let test_system = with_max_age("30", &[]).await;
    test_system.supabase().configure(|config| config.access_token_hook = Some(AccessTokenHook::keeps_required()));
    let ask = test_system.connector("Claude").await.authorization_request("skills:read");
    let ana = test_system.person(ANA);
    let page = ana.sign_in(&ask.url).await;

    let page = ana.submit_and_follow(&approval(&page)).await;

    assert!(is_consent(&page) && page.body.contains("must keep the claim amr with its times"), "{page:?}");
    assert_eq!(test_system.count("grants").await, 0);
    let form = question(&ana.open("/admin/acme/keys/new").await);
    let page = ana.submit_and_follow(&form.with("name", "a").with("may:skills:read", "1").with("life", "7")).await;
    assert!(page.body.contains("must keep the claim amr with its times"), "{page:?}");
}

/// In the console too: what gives something lasting away, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn old_sign_in_makes_no_key_and_widens_no_connection() {
    let test_system = with_max_age("30", &[]).await;
    let (_, tokens) = test_system.connect(ANA, "acme", "skills:read views:read offline_access").await;
    let ana = test_system.person(ANA);
    ana.sign_in("/admin").await;
    test_system.advance(1801);
    let describing = question(&ana.open("/admin/acme/keys/new").await);
    let describing = describing.with("name", "a script").with("may:skills:read", "1").with("life", "7");
    let permissions = format!("/admin/permissions?connection={}", grant_of(&tokens));
    let asked = async |ticked: &[&str]| {
        let chosen = chosen_on(&ana.open(&permissions).await);
        let mut url = format!("{permissions}&step=confirm&confirmation={chosen}");
        for scope in ticked {
            url.extend(["&may:", scope, "=1"]);
        }
        question(&ana.open(&url).await)
    };

    let less = ana.submit_and_follow(&asked(&["skills:read"]).await).await;
    assert!(less.body.contains("What the application may do is changed"), "{less:?}");
    for (form, next) in [
        (describing, "/admin/acme/keys/new".to_owned()),
        (asked(&["skills:read", "entities:read"]).await, permissions.clone()),
    ] {
        let sent = ana.submit(&form).await;
        assert!(sent.location().ends_with("&max_age=1800"), "{sent:?}");
        let url = url::Url::parse(sent.location()).unwrap();
        assert!(url.query_pairs().any(|(name, value)| name == "next" && value == next), "{sent:?}");
        assert!(ana.open(sent.location()).await.body.contains(REASON));
        let back = ana.sign_in(sent.location()).await;
        assert_eq!(back.status, 200, "{back:?}");
        test_system.advance(1801);
    }
    assert_eq!(test_system.count("keys").await, 1, "that of the demo");
    // Ana signs in, and it is done.
    ana.clear_cookies();
    ana.sign_in("/admin").await;
    let more = ana.submit_and_follow(&asked(&["skills:read", "entities:read"]).await).await;
    assert!(more.body.contains("What the application may do is changed"), "{more:?}");
}
