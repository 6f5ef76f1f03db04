//! Signing in where Supabase, the project's hook, a mail server or a provider says no: what the person is told, and what is
//! told to nobody.

use std::time::{Duration, Instant};

use fakes::supabase::config::{AccessTokenHook, Config};
use fakes::supabase::seed::Person as Account;
use serde_json::Value;
use shared::oauth::tenant::{PersonId, TenantId};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

use crate::pages::{MIA, shown, with_mia};
use crate::sign_in::{button, follows_link, is_consent, mail_form};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const NOBODY: &str = "nobody-at-all@example.com";

/// What a project's hook might say: as text, and with a mark that turns what follows.
const OF_HOOK: &str = "Only <b>employees</b> may\u{202e} sign in";
const AS_SHOWN: &str = "Only &#60;b&#62;employees&#60;/b&#62; may\u{fffd} sign in";

fn hook_refuses(test_system: &TestSystem, message: &str) {
    let hook = AccessTokenHook::Refuses(message.to_owned());
    test_system.supabase().configure(|config| config.access_token_hook = Some(hook));
}

/// What the sign-in service logged of its requests.
fn requests(test_system: &TestSystem) -> Vec<Value> {
    test_system.lines().into_iter().filter(|line| line["target"] == "request" && line["Function"] == "login").collect()
}

fn is_kept(person: &Person<'_>) -> bool {
    person.cookie_header().contains("sb-127-auth-token")
}

/// The page after the password.
async fn by_password(person: &Person<'_>, password: &str) -> HttpResponse {
    let form = Form::find(&person.open_following_redirects("/auth/login").await, "password").unwrap();
    person.submit_and_follow(&form.with("email", &person.email).with("password", password)).await
}

/// The page after a code was asked for.
async fn asks_for_code(person: &Person<'_>) -> HttpResponse {
    person.submit_and_follow(&mail_form(person, "/auth/login").await).await
}

/// The provider's page, on the way from the sign-in page.
async fn at_provider(test_system: &TestSystem, person: &Person<'_>) -> String {
    let form = Form::find(&person.open_following_redirects("/auth/login").await, "provider").unwrap();
    let leaving = person.submit_and_follow(&form.with("provider", "github")).await;
    test_system.get(&button(&leaving)).await.location().to_owned()
}

/// Back from the provider, at our callback, after it was answered there with this field.
async fn back_from(test_system: &TestSystem, provider: &str, (name, value): (&str, &str)) -> String {
    let url = url::Url::parse(provider).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let form = format!("{}/provider", url.origin().ascii_serialization());
    let chosen = test_system.post_form(&form, &[("state", &state), (name, value)]).await;
    test_system.get(chosen.location()).await.location().to_owned()
}

/// A project's hook has the last word, in words of its own, by every way of signing in; and that is no fault of Supabase.
#[tokio::test(flavor = "multi_thread")]
async fn hook_refusal_is_shown_in_its_own_words() {
    for way in ["password", "code", "link", "button of a link", "provider", "factor"] {
        let test_system = with_mia().await;
        let ana = test_system.person(ANA);
        let page = match way {
            "password" => {
                hook_refuses(&test_system, OF_HOOK);
                by_password(&ana, "ana-demo").await
            }
            "code" => {
                let form = Form::find(&asks_for_code(&ana).await, "token").unwrap();
                hook_refuses(&test_system, OF_HOOK);
                ana.submit_and_follow(&form.with("token", &test_system.supabase().inbox(ANA)[0].code)).await
            }
            "link" => {
                asks_for_code(&ana).await;
                hook_refuses(&test_system, OF_HOOK);
                ana.open_following_redirects(&follows_link(&test_system, ANA).await).await
            }
            "button of a link" => {
                let callback = Some(test_system.placed_at("/auth/callback"));
                test_system.supabase().configure(|config| config.callback_of_template = callback);
                asks_for_code(&ana).await;
                let page = ana.open_following_redirects(&test_system.supabase().inbox(ANA)[0].link).await;
                hook_refuses(&test_system, OF_HOOK);
                ana.submit_and_follow(&Form::find(&page, "token_hash").unwrap()).await
            }
            "provider" => {
                let provider = at_provider(&test_system, &ana).await;
                hook_refuses(&test_system, OF_HOOK);
                ana.open_following_redirects(&back_from(&test_system, &provider, ("stranger", ANA)).await).await
            }
            _ => {
                let mia = Person::new(&test_system, MIA, "mia-demo");
                let form = Form::find(&mia.sign_in("/auth/login").await, "code").unwrap();
                hook_refuses(&test_system, OF_HOOK);
                mia.submit_and_follow(&form.with("code", &shown(&test_system))).await
            }
        };

        assert!(page.body.contains("You are not signed in") && page.body.contains(AS_SHOWN), "{way}: {page:?}");
        assert!(test_system.absolute(&button(&page)).starts_with(&test_system.at("/auth/login")), "{way}: {page:?}");
        assert!(!is_kept(&ana), "{way}");
        for line in requests(&test_system) {
            assert!(line.get("Faults").is_none() && !line.to_string().contains("employees"), "{way}: {line}");
        }
    }
}

/// Whoever helps finds the reason in the lines of that request.
#[tokio::test(flavor = "multi_thread")]
async fn page_after_a_refused_form_says_the_reference_of_the_form() {
    let test_system = TestSystem::new().await;
    hook_refuses(&test_system, "Contractors sign in at the agency.");
    let ana = test_system.person(ANA);
    let form = Form::find(&ana.open_following_redirects("/auth/login").await, "password").unwrap();
    let answer = ana.submit(&form.with("email", &ana.email).with("password", "ana-demo")).await;
    let page = ana.open_following_redirects(answer.location()).await;
    let reference = answer.header("apigw-requestid").unwrap();
    assert!(page.body.contains(&format!("give this reference and the time: <code>{reference}</code>")), "{page:?}");
}

/// What somebody else writes is shown as far as a person would read it.
#[tokio::test(flavor = "multi_thread")]
async fn hook_message_length_is_limited() {
    let test_system = TestSystem::new().await;
    for (said, shown) in [("安".repeat(5000), 300), (String::new(), 0)] {
        hook_refuses(&test_system, &said);
        let page = by_password(&test_system.person(ANA), "ana-demo").await;
        assert!(page.body.contains("does not let this account sign in here"), "{page:?}");
        assert_eq!((page.body.matches('安').count(), page.body.contains("It says:")), (shown, shown > 0), "{page:?}");
    }
}

/// At a refresh too; then the browser forgets the session, so that one can sign in as somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn hook_refusal_at_refresh_clears_the_session() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    ana.sign_in("/auth/login").await;
    test_system.advance(3601);
    hook_refuses(&test_system, OF_HOOK);

    let page = ana.open_following_redirects("/auth/login").await;

    assert!(page.body.contains("You are not signed in") && page.body.contains(AS_SHOWN), "{page:?}");
    assert!(!is_kept(&ana));
    let page = ana.open_following_redirects(&button(&page)).await;
    assert!(Form::find(&page, "password").is_some(), "{page:?}");
}

/// An unconfirmed person is offered what confirms them, and where nothing does, whom to ask.
#[tokio::test(flavor = "multi_thread")]
async fn unconfirmed_person_is_offered_a_way_to_confirm() {
    const NEW: &str = "new@example.com";
    let new = Account { confirmed: false, ..Account::new(NEW, "new-demo", "New") };
    let test_system = TestSystem::with(|options| options.people.push(new)).await;
    let person = Person::new(&test_system, NEW, "new-demo");

    let page = by_password(&person, "new-demo").await;
    assert!(page.body.contains("Have a code e-mailed to you to confirm it"), "{page:?}");
    let page = asks_for_code(&test_system.person(ANA)).await;
    assert!(!page.body.contains("never confirmed"), "{page:?}");

    test_system.supabase().configure(|config| config.disable_signup = true);
    // Later than what was last known of the project.
    test_system.advance(301);
    let page = by_password(&person, "new-demo").await;
    assert!(page.body.contains("This address has not been confirmed") && page.body.contains("Ask whoever"), "{page:?}");
    assert!(!page.body.contains("Have a code e-mailed"), "{page:?}");
    let page = asks_for_code(&person).await;
    assert!(page.body.contains("An address that was never confirmed gets none"), "{page:?}");
    assert_eq!(test_system.supabase().inbox(NEW).len(), 0);
}

/// Supabase looks a ban up before the code, so a code tells nobody who is banned.
#[tokio::test(flavor = "multi_thread")]
async fn code_form_does_not_reveal_bans() {
    let test_system = TestSystem::new().await;
    test_system.supabase().set_banned(BEN, true);
    let mut told = Vec::new();
    for email in [ANA, BEN, NOBODY] {
        let person = Person::new(&test_system, email, "");
        let form = Form::find(&asks_for_code(&person).await, "token").unwrap();
        let page = person.submit_and_follow(&form.clone().with("token", "000000")).await;
        assert!(page.body.contains("wrong or has expired, or the account is suspended"), "{page:?}");
        told.push(anonymous(&page, email));
        if email == BEN {
            // The right one neither.
            let code = test_system.supabase().inbox(BEN).pop().unwrap().code;
            told.push(anonymous(&person.submit_and_follow(&form.with("token", &code)).await, email));
        }
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:#?}");
}

/// A page without what is of one browser and address.
fn anonymous(page: &HttpResponse, email: &str) -> (u16, String) {
    let mut body = page.body.replace(email, "");
    for field in ["confirmation", "flow"] {
        if let Some((_, value)) =
            Form::find(page, field).and_then(|form| form.fields.into_iter().find(|(name, _)| name == field))
        {
            body = body.replace(&value, "");
        }
    }
    (page.status, body)
}

/// Who has shown that the account is theirs is told that it is suspended: by a link, by a provider, with a session.
#[tokio::test(flavor = "multi_thread")]
async fn banned_person_is_told_of_the_ban() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    asks_for_code(&ana).await;
    test_system.supabase().set_banned(ANA, true);
    let by_link = ana.open_following_redirects(&follows_link(&test_system, ANA).await).await;

    let provider = at_provider(&test_system, &ana).await;
    let by_provider = ana.open_following_redirects(&back_from(&test_system, &provider, ("stranger", ANA)).await).await;

    let ben = test_system.person(BEN);
    ben.sign_in("/auth/login").await;
    test_system.supabase().set_banned(BEN, true);
    test_system.advance(61);
    let with_session = ben.open_following_redirects("/auth/login").await;

    test_system.supabase().set_banned(BEN, false);
    ben.sign_in("/auth/login").await;
    test_system.advance(3601);
    test_system.supabase().set_banned(BEN, true);
    let at_refresh = ben.open_following_redirects("/auth/login").await;

    for (way, page) in
        [("link", by_link), ("provider", by_provider), ("session", with_session), ("refresh", at_refresh)]
    {
        assert!(page.body.contains("This account is suspended"), "{way}: {page:?}");
    }
    assert!(!is_kept(&ben));
}

/// Mails fail for known addresses alone: the page is that for every address, and the operator learns what to change.
#[tokio::test(flavor = "multi_thread")]
async fn mail_failure_is_logged_and_not_shown() {
    type Cause = (&'static str, fn(&mut Config));
    let causes: [Cause; 4] = [
        ("EXTERNAL_EMAIL_MAGIC_LINK_ENABLED", |config| config.magic_link_enabled = false),
        ("SMTP_HOST", |config| config.mail_server_down = true),
        ("EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES", |config| config.authorized_addresses = vec!["team@example.org".into()]),
        ("RATE_LIMIT_EMAIL_SENT", |config| config.mails_per_hour = Some(0)),
    ];
    for (setting, breaks) in causes {
        let test_system = TestSystem::new().await;
        test_system.supabase().configure(breaks);
        let mut told = Vec::new();
        for email in [ANA, NOBODY] {
            let page = asks_for_code(&Person::new(&test_system, email, "")).await;
            assert!(page.body.contains("No mail after some minutes?"), "{setting}: {page:?}");
            told.push(anonymous(&page, email));
        }
        assert_eq!(told[0], told[1], "{setting}");
        assert_eq!(test_system.supabase().inbox(ANA).len(), 0, "{setting}");
        // The password works all the same, and the page says nothing else.
        assert!(
            by_password(&test_system.person(ANA), "ana-demo").await.body.contains("You are signed in"),
            "{setting}"
        );

        let lines = requests(&test_system);
        let failed: Vec<_> = lines.iter().filter(|line| line.get("SignInMailFailed").is_some()).collect();
        let [failed] = failed.as_slice() else { panic!("{setting}: {lines:#?}") };
        assert_eq!(failed["SignInMailFailed"], 1);
        assert!(failed["reason"].as_str().unwrap().contains(&format!("look at {setting}")), "{failed}");
        assert!(lines.iter().all(|line| line.get("Faults").is_none()), "{setting}");
    }
}

/// A mail that was sent a moment ago is no failure.
#[tokio::test(flavor = "multi_thread")]
async fn mail_rate_limit_is_no_mail_failure() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    asks_for_code(&ana).await;
    asks_for_code(&ana).await;
    assert_eq!(test_system.supabase().inbox(ANA).len(), 1);
    assert!(test_system.lines().iter().all(|line| line.get("SignInMailFailed").is_none()));
}

/// A known address costs Supabase a mail, which takes its time, and an unknown one nothing: the answer takes as long.
#[tokio::test(flavor = "multi_thread")]
async fn response_time_does_not_reveal_known_addresses() {
    let test_system = TestSystem::new().await;
    test_system.supabase().configure(|config| config.mail_takes = Duration::from_secs(1));
    let mut took = Vec::new();
    for email in [ANA, NOBODY, BEN] {
        let person = Person::new(&test_system, email, "");
        let form = mail_form(&person, "/auth/login").await;
        let began = Instant::now();
        person.submit(&form).await;
        took.push(began.elapsed());
    }
    assert_eq!(test_system.supabase().inbox(ANA).len(), 1);
    let (least, most) = (*took.iter().min().unwrap(), *took.iter().max().unwrap());
    // By less than the mail takes.
    assert!(least >= Duration::from_secs(2) && most < least + Duration::from_secs(1), "{took:?}");
}

/// A mail server that does not answer, which only a known address would show.
#[tokio::test(flavor = "multi_thread")]
async fn mail_server_timeout_is_logged_and_not_shown() {
    let test_system = TestSystem::new().await;
    test_system.supabase().configure(|config| config.mail_takes = Duration::from_secs(7));

    let page = asks_for_code(&test_system.person(ANA)).await;

    assert!(Form::find(&page, "token").is_some(), "{page:?}");
    assert!(test_system.lines().iter().any(|line| line["SignInMailFailed"] == 1));
}

/// Where signing in by e-mail is off, everybody is told.
#[tokio::test(flavor = "multi_thread")]
async fn disabled_email_sign_in_is_shown_to_everyone() {
    let test_system = TestSystem::new().await;
    for email in [ANA, NOBODY] {
        let person = Person::new(&test_system, email, "");
        let form = mail_form(&person, "/auth/login").await;
        test_system.supabase().configure(|config| config.email_enabled = false);
        test_system.advance(301);
        let page = person.submit_and_follow(&form).await;
        assert!(page.body.contains("Signing in by e-mail is switched off here"), "{email}: {page:?}");
        test_system.supabase().configure(|config| config.email_enabled = true);
        test_system.advance(301);
    }
}

/// What a provider says went wrong is what the person is told.
#[tokio::test(flavor = "multi_thread")]
async fn provider_error_is_shown() {
    let test_system = TestSystem::new().await;
    for (answer, told) in [
        ("cancel", "The sign-in was cancelled"),
        ("error", "reported an error of its own"),
        ("unavailable", "is not available at the moment"),
        ("no address", "did not tell your e-mail address"),
    ] {
        let ana = test_system.person(ANA);
        let provider = at_provider(&test_system, &ana).await;
        let page = ana.open_following_redirects(&back_from(&test_system, &provider, ("answer", answer)).await).await;
        assert!(page.body.contains(told), "{answer}: {page:?}");
        assert!(!page.body.contains("already used"), "{answer}: {page:?}");
        assert!(Form::find(&page, "provider").is_some(), "{answer}: {page:?}");
    }
}

/// Supabase answers with JSON for a provider that is off, which is not for people: it is asked before they leave.
#[tokio::test(flavor = "multi_thread")]
async fn disabled_provider_shows_our_own_page() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    let form = Form::find(&ana.open_following_redirects("/auth/login").await, "provider").unwrap();
    test_system.supabase().configure(|config| config.providers_off = vec!["github".to_owned()]);
    test_system.advance(5);

    let page = ana.submit_and_follow(&form.with("provider", "github")).await;

    assert!(page.body.contains("That way of signing in is not offered here"), "{page:?}");
    assert!(!page.body.contains("Continue with GitHub") && page.body.contains("Continue with Google"), "{page:?}");
    // One that cannot be asked about is not in the way.
    test_system.supabase().set_path_down("/auth/v1/settings", true);
    let form = Form::find(&page, "provider").unwrap();
    let page = ana.submit_and_follow(&form.with("provider", "google")).await;
    assert!(button(&page).contains("/authorize?provider=google"), "{page:?}");
}

/// A factor that is verified ends the person's other sessions: one plain sentence, and the browser forgets what ended.
#[tokio::test(flavor = "multi_thread")]
async fn session_ended_by_a_factor_elsewhere_is_explained() {
    const TOLD: &str = "Your session has ended, as it does when you sign out or use your authenticator app";
    let test_system = with_mia().await;
    let connector = test_system.connector("Claude").await;
    let (here, there) = (Person::new(&test_system, MIA, "mia-demo"), Person::new(&test_system, MIA, "mia-demo"));
    let ask = connector.authorization_request("skills:read");
    let left_open = Form::find(&here.sign_in(&ask.url).await, "code").unwrap();
    let form = Form::find(&there.sign_in("/auth/login").await, "code").unwrap();
    assert!(there.submit_and_follow(&form.with("code", &shown(&test_system))).await.body.contains("You are signed in"));

    let by_form = here.submit_and_follow(&left_open.with("code", &shown(&test_system))).await;
    assert!(by_form.body.contains(TOLD) && Form::find(&by_form, "password").is_some(), "{by_form:?}");
    assert!(!is_kept(&here));
    let later = here.open_following_redirects(&ask.url).await;
    assert!(!later.body.contains("Your session has ended"), "{later:?}");

    let other = Person::new(&test_system, MIA, "mia-demo");
    other.sign_in("/auth/login").await;
    test_system.advance(30);
    let again = Person::new(&test_system, MIA, "mia-demo");
    let form = Form::find(&again.sign_in("/auth/login").await, "code").unwrap();
    again.submit_and_follow(&form.with("code", &shown(&test_system))).await;
    let by_link = other.open_following_redirects(&ask.url).await;
    assert!(by_link.body.contains(TOLD), "{by_link:?}");
    assert!(!is_consent(&by_link));
}

/// Somebody who signs in by phone has no address: they see their number.
#[tokio::test(flavor = "multi_thread")]
async fn phone_user_sees_their_number() {
    let (id, phone) = ("7c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e78", Some("491701234567".to_owned()));
    let pia = Account { id: Some(id.parse().unwrap()), phone, ..Account::new("pia@example.com", "pia-demo", "Pia") };
    let test_system = TestSystem::with(|options| options.people.push(pia)).await;
    let (acme, id) = (TenantId::parse("acme").unwrap(), PersonId::parse(id).unwrap());
    test_system.system().directory().put_member(&acme, &id, "member").await.unwrap();
    let connector = test_system.connector("Claude").await;
    let pia = Person::new(&test_system, "pia@example.com", "pia-demo");

    let signed_in = pia.sign_in("/auth/login").await;

    for page in [
        signed_in,
        pia.open_following_redirects(&connector.authorization_request("skills:read").url).await,
        pia.open_following_redirects("/admin").await,
    ] {
        assert!(page.body.contains("+491701234567"), "{page:?}");
    }
}
