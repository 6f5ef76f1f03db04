//! Signing in where Supabase, the project's hook, a mail server or a provider says no: what the person is told, and what is
//! told to nobody.

use std::time::{Duration, Instant};

use fakes::supabase::config::{AccessTokenHook, Config};
use fakes::supabase::seed::Person as Account;
use serde_json::Value;
use shared::oauth::tenant::{PersonId, TenantId};
use world::World;
use world::answer::Answer;
use world::person::{Form, Person};

use crate::pages::{MIA, shown, with_mia};
use crate::sign_in::{button, follows_link, is_consent, mail_form};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const NOBODY: &str = "nobody-at-all@example.com";

/// What a project's hook might say: as text, and with a mark that turns what follows.
const OF_HOOK: &str = "Only <b>employees</b> may\u{202e} sign in";
const AS_SHOWN: &str = "Only &#60;b&#62;employees&#60;/b&#62; may\u{fffd} sign in";

fn hook_refuses(world: &World, message: &str) {
    let hook = AccessTokenHook::Refuses(message.to_owned());
    world.supabase().configure(|config| config.access_token_hook = Some(hook));
}

/// What the sign-in service logged of its requests.
fn requests(world: &World) -> Vec<Value> {
    world.lines().into_iter().filter(|line| line["target"] == "request" && line["Function"] == "login").collect()
}

fn is_kept(person: &Person<'_>) -> bool {
    person.cookie_header().contains("sb-127-auth-token")
}

/// The page after the password.
async fn by_password(person: &Person<'_>, password: &str) -> Answer {
    let form = Form::find(&person.visit("/auth/login").await, "password").unwrap();
    person.sends(&form.with("email", &person.email).with("password", password)).await
}

/// The page after a code was asked for.
async fn asks_for_code(person: &Person<'_>) -> Answer {
    person.sends(&mail_form(person, "/auth/login").await).await
}

/// The provider's page, on the way from the sign-in page.
async fn at_provider(world: &World, person: &Person<'_>) -> String {
    let form = Form::find(&person.visit("/auth/login").await, "provider").unwrap();
    let leaving = person.sends(&form.with("provider", "github")).await;
    world.get(&button(&leaving)).await.location().to_owned()
}

/// Back from the provider, at our callback, after it was answered there with this field.
async fn back_from(world: &World, provider: &str, (name, value): (&str, &str)) -> String {
    let url = url::Url::parse(provider).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let form = format!("{}/provider", url.origin().ascii_serialization());
    let chosen = world.post_form(&form, &[("state", &state), (name, value)]).await;
    world.get(chosen.location()).await.location().to_owned()
}

/// A project's hook has the last word, in words of its own, by every way of signing in; and that is no fault of Supabase.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_refuses_is_shown_in_its_own_words() {
    for way in ["password", "code", "link", "button of a link", "provider", "factor"] {
        let world = with_mia().await;
        let ana = world.person(ANA);
        let page = match way {
            "password" => {
                hook_refuses(&world, OF_HOOK);
                by_password(&ana, "ana-demo").await
            }
            "code" => {
                let form = Form::find(&asks_for_code(&ana).await, "token").unwrap();
                hook_refuses(&world, OF_HOOK);
                ana.sends(&form.with("token", &world.supabase().inbox(ANA)[0].code)).await
            }
            "link" => {
                asks_for_code(&ana).await;
                hook_refuses(&world, OF_HOOK);
                ana.visit(&follows_link(&world, ANA).await).await
            }
            "button of a link" => {
                let callback = Some(world.at("/auth/callback"));
                world.supabase().configure(|config| config.callback_of_template = callback);
                asks_for_code(&ana).await;
                let page = ana.visit(&world.supabase().inbox(ANA)[0].link).await;
                hook_refuses(&world, OF_HOOK);
                ana.sends(&Form::find(&page, "token_hash").unwrap()).await
            }
            "provider" => {
                let provider = at_provider(&world, &ana).await;
                hook_refuses(&world, OF_HOOK);
                ana.visit(&back_from(&world, &provider, ("stranger", ANA)).await).await
            }
            _ => {
                let mia = Person::new(&world, MIA, "mia-demo");
                let form = Form::find(&mia.signs_in("/auth/login").await, "code").unwrap();
                hook_refuses(&world, OF_HOOK);
                mia.sends(&form.with("code", &shown(&world))).await
            }
        };

        assert!(page.body.contains("You are not signed in") && page.body.contains(AS_SHOWN), "{way}: {page:?}");
        assert!(world.absolute(&button(&page)).starts_with(&world.at("/auth/login")), "{way}: {page:?}");
        assert!(!is_kept(&ana), "{way}");
        for line in requests(&world) {
            assert!(line.get("Faults").is_none() && !line.to_string().contains("employees"), "{way}: {line}");
        }
    }
}

/// What somebody else writes is shown as far as a person would read it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_says_is_bounded() {
    let world = World::new().await;
    for (said, shown) in [("安".repeat(5000), 300), (String::new(), 0)] {
        hook_refuses(&world, &said);
        let page = by_password(&world.person(ANA), "ana-demo").await;
        assert!(page.body.contains("does not let this account sign in here"), "{page:?}");
        assert_eq!((page.body.matches('安').count(), page.body.contains("It says:")), (shown, shown > 0), "{page:?}");
    }
}

/// At a refresh too; then the browser forgets the session, so that one can sign in as somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_refuses_to_go_on_ends_the_session_in_the_browser() {
    let world = World::new().await;
    let ana = world.person(ANA);
    ana.signs_in("/auth/login").await;
    world.advance(3601);
    hook_refuses(&world, OF_HOOK);

    let page = ana.visit("/auth/login").await;

    assert!(page.body.contains("You are not signed in") && page.body.contains(AS_SHOWN), "{page:?}");
    assert!(!is_kept(&ana));
    let page = ana.visit(&button(&page)).await;
    assert!(Form::find(&page, "password").is_some(), "{page:?}");
}

/// An unconfirmed person is offered what confirms them, and where nothing does, whom to ask.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_confirmed_is_not_sent_for_a_code() {
    const NEW: &str = "new@example.com";
    let new = Account { confirmed: false, ..Account::new(NEW, "new-demo", "New") };
    let world = World::with(|options| options.people.push(new)).await;
    let person = Person::new(&world, NEW, "new-demo");

    let page = by_password(&person, "new-demo").await;
    assert!(page.body.contains("Have a code e-mailed to you to confirm it"), "{page:?}");
    let page = asks_for_code(&world.person(ANA)).await;
    assert!(!page.body.contains("never confirmed"), "{page:?}");

    world.supabase().configure(|config| config.disable_signup = true);
    // Later than what was last known of the project.
    world.advance(301);
    let page = by_password(&person, "new-demo").await;
    assert!(page.body.contains("This address has not been confirmed") && page.body.contains("Ask whoever"), "{page:?}");
    assert!(!page.body.contains("Have a code e-mailed"), "{page:?}");
    let page = asks_for_code(&person).await;
    assert!(page.body.contains("An address that was never confirmed gets none"), "{page:?}");
    assert_eq!(world.supabase().inbox(NEW).len(), 0);
}

/// Supabase looks a ban up before the code, so a code tells nobody who is banned.
#[tokio::test(flavor = "multi_thread")]
async fn six_digits_do_not_tell_who_is_banned() {
    let world = World::new().await;
    world.supabase().set_banned(BEN, true);
    let mut told = Vec::new();
    for email in [ANA, BEN, NOBODY] {
        let person = Person::new(&world, email, "");
        let form = Form::find(&asks_for_code(&person).await, "token").unwrap();
        let page = person.sends(&form.clone().with("token", "000000")).await;
        assert!(page.body.contains("wrong or has expired, or the account is suspended"), "{page:?}");
        told.push(anonymous(&page, email));
        if email == BEN {
            // The right one neither.
            let code = world.supabase().inbox(BEN).pop().unwrap().code;
            told.push(anonymous(&person.sends(&form.with("token", &code)).await, email));
        }
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:#?}");
}

/// A page without what is of one browser and address.
fn anonymous(page: &Answer, email: &str) -> (u16, String) {
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
async fn a_ban_is_told_to_whom_it_concerns() {
    let world = World::new().await;
    let ana = world.person(ANA);
    asks_for_code(&ana).await;
    world.supabase().set_banned(ANA, true);
    let by_link = ana.visit(&follows_link(&world, ANA).await).await;

    let provider = at_provider(&world, &ana).await;
    let by_provider = ana.visit(&back_from(&world, &provider, ("stranger", ANA)).await).await;

    let ben = world.person(BEN);
    ben.signs_in("/auth/login").await;
    world.supabase().set_banned(BEN, true);
    world.advance(61);
    let with_session = ben.visit("/auth/login").await;

    world.supabase().set_banned(BEN, false);
    ben.signs_in("/auth/login").await;
    world.advance(3601);
    world.supabase().set_banned(BEN, true);
    let at_refresh = ben.visit("/auth/login").await;

    for (way, page) in
        [("link", by_link), ("provider", by_provider), ("session", with_session), ("refresh", at_refresh)]
    {
        assert!(page.body.contains("This account is suspended"), "{way}: {page:?}");
    }
    assert!(!is_kept(&ben));
}

/// Mails fail for known addresses alone: the page is that for every address, and the operator learns what to change.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_fails_tells_the_operator_and_nobody_else() {
    type Cause = (&'static str, fn(&mut Config));
    let causes: [Cause; 4] = [
        ("EXTERNAL_EMAIL_MAGIC_LINK_ENABLED", |config| config.magic_link_enabled = false),
        ("SMTP_HOST", |config| config.mail_server_down = true),
        ("EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES", |config| config.authorized_addresses = vec!["team@example.org".into()]),
        ("RATE_LIMIT_EMAIL_SENT", |config| config.mails_per_hour = Some(0)),
    ];
    for (setting, breaks) in causes {
        let world = World::new().await;
        world.supabase().configure(breaks);
        let mut told = Vec::new();
        for email in [ANA, NOBODY] {
            let page = asks_for_code(&Person::new(&world, email, "")).await;
            assert!(page.body.contains("No mail after some minutes?"), "{setting}: {page:?}");
            told.push(anonymous(&page, email));
        }
        assert_eq!(told[0], told[1], "{setting}");
        assert_eq!(world.supabase().inbox(ANA).len(), 0, "{setting}");
        // The password works all the same, and the page says nothing else.
        assert!(by_password(&world.person(ANA), "ana-demo").await.body.contains("You are signed in"), "{setting}");

        let lines = requests(&world);
        let failed: Vec<_> = lines.iter().filter(|line| line.get("SignInMailFailed").is_some()).collect();
        let [failed] = failed.as_slice() else { panic!("{setting}: {lines:#?}") };
        assert_eq!(failed["SignInMailFailed"], 1);
        assert!(failed["reason"].as_str().unwrap().contains(&format!("look at {setting}")), "{failed}");
        assert!(lines.iter().all(|line| line.get("Faults").is_none()), "{setting}");
    }
}

/// A mail that was sent a moment ago is no failure.
#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_is_no_failure_of_mail() {
    let world = World::new().await;
    let ana = world.person(ANA);
    asks_for_code(&ana).await;
    asks_for_code(&ana).await;
    assert_eq!(world.supabase().inbox(ANA).len(), 1);
    assert!(world.lines().iter().all(|line| line.get("SignInMailFailed").is_none()));
}

/// A known address costs Supabase a mail, which takes its time, and an unknown one nothing: the answer takes as long.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_address_is_not_told_by_the_time_that_its_mail_takes() {
    let world = World::new().await;
    world.supabase().configure(|config| config.mail_takes = Duration::from_secs(1));
    let mut took = Vec::new();
    for email in [ANA, NOBODY, BEN] {
        let person = Person::new(&world, email, "");
        let form = mail_form(&person, "/auth/login").await;
        let began = Instant::now();
        person.submit(&form).await;
        took.push(began.elapsed());
    }
    assert_eq!(world.supabase().inbox(ANA).len(), 1);
    let (least, most) = (*took.iter().min().unwrap(), *took.iter().max().unwrap());
    // By less than the mail takes.
    assert!(least >= Duration::from_secs(2) && most < least + Duration::from_secs(1), "{took:?}");
}

/// A mail server that does not answer, which only a known address would show.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_does_not_answer_is_told_to_the_operator_alone() {
    let world = World::new().await;
    world.supabase().configure(|config| config.mail_takes = Duration::from_secs(7));

    let page = asks_for_code(&world.person(ANA)).await;

    assert!(Form::find(&page, "token").is_some(), "{page:?}");
    assert!(world.lines().iter().any(|line| line["SignInMailFailed"] == 1));
}

/// Where signing in by e-mail is off, everybody is told.
#[tokio::test(flavor = "multi_thread")]
async fn that_e_mail_is_off_is_told_whoever_asks() {
    let world = World::new().await;
    for email in [ANA, NOBODY] {
        let person = Person::new(&world, email, "");
        let form = mail_form(&person, "/auth/login").await;
        world.supabase().configure(|config| config.email_enabled = false);
        world.advance(301);
        let page = person.sends(&form).await;
        assert!(page.body.contains("Signing in by e-mail is switched off here"), "{email}: {page:?}");
        world.supabase().configure(|config| config.email_enabled = true);
        world.advance(301);
    }
}

/// What a provider says went wrong is what the person is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_a_provider_says_what_failed() {
    let world = World::new().await;
    for (answer, told) in [
        ("cancel", "The sign-in was cancelled"),
        ("error", "reported an error of its own"),
        ("unavailable", "is not available at the moment"),
        ("no address", "did not tell your e-mail address"),
    ] {
        let ana = world.person(ANA);
        let provider = at_provider(&world, &ana).await;
        let page = ana.visit(&back_from(&world, &provider, ("answer", answer)).await).await;
        assert!(page.body.contains(told), "{answer}: {page:?}");
        assert!(!page.body.contains("already used"), "{answer}: {page:?}");
        assert!(Form::find(&page, "provider").is_some(), "{answer}: {page:?}");
    }
}

/// Supabase answers with JSON for a provider that is off, which is not for people: it is asked before they leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_switched_off_is_a_page_of_ours() {
    let world = World::new().await;
    let ana = world.person(ANA);
    let form = Form::find(&ana.visit("/auth/login").await, "provider").unwrap();
    world.supabase().configure(|config| config.providers_off = vec!["github".to_owned()]);
    world.advance(5);

    let page = ana.sends(&form.with("provider", "github")).await;

    assert!(page.body.contains("That way of signing in is not offered here"), "{page:?}");
    assert!(!page.body.contains("Continue with GitHub") && page.body.contains("Continue with Google"), "{page:?}");
    // One that cannot be asked about is not in the way.
    world.supabase().set_path_down("/auth/v1/settings", true);
    let form = Form::find(&page, "provider").unwrap();
    let page = ana.sends(&form.with("provider", "google")).await;
    assert!(button(&page).contains("/authorize?provider=google"), "{page:?}");
}

/// A factor that is verified ends the person's other sessions: one plain sentence, and the browser forgets what ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_factor_elsewhere_has_ended_is_told_of() {
    const TOLD: &str = "Your session has ended, as it does when you sign out or use your authenticator app";
    let world = with_mia().await;
    let connector = world.connector("Claude").await;
    let (here, there) = (Person::new(&world, MIA, "mia-demo"), Person::new(&world, MIA, "mia-demo"));
    let ask = connector.ask("skills:read");
    let left_open = Form::find(&here.signs_in(&ask.url).await, "code").unwrap();
    let form = Form::find(&there.signs_in("/auth/login").await, "code").unwrap();
    assert!(there.sends(&form.with("code", &shown(&world))).await.body.contains("You are signed in"));

    let by_form = here.sends(&left_open.with("code", &shown(&world))).await;
    assert!(by_form.body.contains(TOLD) && Form::find(&by_form, "password").is_some(), "{by_form:?}");
    assert!(!is_kept(&here));
    let later = here.visit(&ask.url).await;
    assert!(!later.body.contains("Your session has ended"), "{later:?}");

    let other = Person::new(&world, MIA, "mia-demo");
    other.signs_in("/auth/login").await;
    world.advance(30);
    let again = Person::new(&world, MIA, "mia-demo");
    let form = Form::find(&again.signs_in("/auth/login").await, "code").unwrap();
    again.sends(&form.with("code", &shown(&world))).await;
    let by_link = other.visit(&ask.url).await;
    assert!(by_link.body.contains(TOLD), "{by_link:?}");
    assert!(!is_consent(&by_link));
}

/// Somebody who signs in by phone has no address: they see their number.
#[tokio::test(flavor = "multi_thread")]
async fn who_signed_in_by_phone_sees_the_number() {
    let (id, phone) = ("7c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e78", Some("491701234567".to_owned()));
    let pia = Account { id: Some(id.parse().unwrap()), phone, ..Account::new("pia@example.com", "pia-demo", "Pia") };
    let world = World::with(|options| options.people.push(pia)).await;
    let (acme, id) = (TenantId::parse("acme").unwrap(), PersonId::parse(id).unwrap());
    world.system().directory().put_member(&acme, &id, "member").await.unwrap();
    let connector = world.connector("Claude").await;
    let pia = Person::new(&world, "pia@example.com", "pia-demo");

    let signed_in = pia.signs_in("/auth/login").await;

    for page in [signed_in, pia.visit(&connector.ask("skills:read").url).await, pia.visit("/admin").await] {
        assert!(page.body.contains("+491701234567"), "{page:?}");
    }
}
