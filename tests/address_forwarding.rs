//! `Sb-Forwarded-For`: with a secret key, Supabase limits each person by their own address. `login` alone reads the key, and nobody is
//! kept out where it cannot.

use std::sync::Arc;

use fakes::captcha::{Captcha, TURNSTILE_TEST_SITE_KEY};
use local::Options;
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};
use test_system::recorded_calls::{AwsAction, RecordedCalls};

const ANA: &str = "ana@example.com";
const TOKEN: &str = "/auth/v1/token";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:supabase-AbCdEf";
/// That of the fake Supabase.
const KEY: &str = "sb_secret_local";
const HERE: &str = "198.51.100.7";
const THERE: &str = "198.51.100.8";
const ELSEWHERE: &str = "198.51.100.9";
/// What Supabase gives each address at once, here less than we do.
const BURST: usize = 3;

fn forwarding(options: &mut Options) {
    for (name, value) in [("ForwardingSecret", SECRET), ("ClientAddress", "forwarded")] {
        options.parameters.insert(name.to_owned(), value.to_owned());
    }
}

/// A deployment with a secret key in a project that takes addresses and limits by them.
async fn forwarding_system(change: impl FnOnce(&mut Options)) -> TestSystem {
    let test_system = TestSystem::with(|options| {
        forwarding(options);
        change(options);
    })
    .await;
    test_system.system().secrets().put(SECRET, KEY);
    test_system.track_secret(KEY);
    test_system.supabase().configure(|config| {
        config.forwarded_for_enabled = true;
        config.burst = Some(u32::try_from(BURST).unwrap());
    });
    test_system
}

/// The page after the form of the sign-in page, sent from an address.
async fn sign_in_from(person: &Person<'_>, password: &str, address: &str) -> HttpResponse {
    let form = Form::find(&person.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", &person.email).with("password", password);
    let answer = person.submit_with(&form, &[("sec-fetch-site", "same-origin"), ("x-forwarded-for", address)]).await;
    person.follow_redirects(answer).await
}

/// Guesses as often as Supabase lets one address; whether one more is refused by Supabase. Before that one guess elsewhere shows `login`
/// that no captcha is demanded.
async fn is_limited(test_system: &TestSystem, hop: &str) -> bool {
    let eve = test_system.person(ANA);
    sign_in_from(&eve, "guessed", ELSEWHERE).await;
    for _ in 0..BURST {
        let page = sign_in_from(&eve, "guessed", hop).await;
        assert!(!page.body.contains("Too many attempts"), "{page:?}");
    }
    let before = test_system.supabase().request_count(TOKEN);
    let refused = sign_in_from(&eve, "guessed", hop).await.body.contains("Too many attempts");
    assert_eq!(test_system.supabase().request_count(TOKEN), before + 1, "we would have let it through");
    refused
}

fn password(test_system: &TestSystem) -> String {
    test_system.system().demo().unwrap().people.iter().find(|person| person.email == ANA).unwrap().password.clone()
}

async fn can_sign_in(test_system: &TestSystem, hop: &str) -> bool {
    let ana = test_system.person(ANA);
    sign_in_from(&ana, &password(test_system), hop).await.body.contains("You are signed in")
}

/// Who guesses uses up what Supabase gives their own address, and nothing of anybody else's.
#[tokio::test(flavor = "multi_thread")]
async fn supabase_limits_each_person_by_their_own_address() {
    let test_system = forwarding_system(|_| {}).await;

    assert!(is_limited(&test_system, HERE).await);
    assert!(!can_sign_in(&test_system, HERE).await);
    assert!(can_sign_in(&test_system, THERE).await);

    // A project that has it switched off hears nothing of addresses.
    let test_system = forwarding_system(|_| {}).await;
    test_system.supabase().configure(|config| config.forwarded_for_enabled = false);
    assert!(!is_limited(&test_system, HERE).await);
}

/// No other function may read the key, and `login` may only where there is one; it does so once in five minutes.
#[tokio::test(flavor = "multi_thread")]
async fn secret_key_is_read_by_login_alone_once_in_minutes() {
    let calls = RecordedCalls::default();
    let test_system = forwarding_system(|options| options.interceptor = Some(calls.wire())).await;
    let read =
        || calls.take().into_iter().filter(|call| call.action.starts_with("secretsmanager:")).collect::<Vec<_>>();
    let by_login = AwsAction {
        function: "login".to_owned(),
        action: "secretsmanager:GetSecretValue".to_owned(),
        on: "supabase-AbCdEf".to_owned(),
    };

    test_system.connect(ANA, "acme", "skills:read").await;
    assert_eq!(read(), [] as [AwsAction; 0], "whose address is not known, and what is no sign-in, takes no key");
    // That sign-in showed that no captcha is demanded. The first of each further minute goes without the key, to see it again.
    for (later, expected) in [(0, vec![by_login.clone()]), (0, vec![]), (299, vec![]), (0, vec![]), (1, vec![by_login])]
    {
        test_system.advance(later);
        assert!(can_sign_in(&test_system, THERE).await);
        assert_eq!(read(), expected, "{later}");
    }

    let allowed: Vec<_> = test_system.system().policies().iter().filter(|(_, _, arn)| arn == SECRET).collect();
    assert_eq!(allowed, [&("login".to_owned(), "secretsmanager:GetSecretValue".to_owned(), SECRET.to_owned())]);
    let without = TestSystem::new().await;
    assert!(!without.system().policies().iter().any(|(_, action, _)| action.starts_with("secretsmanager:")));
}

/// No secret, one that holds something else, and a key that Supabase does not know: people sign in as without it, and with it again
/// half a minute after it was put right.
#[tokio::test(flavor = "multi_thread")]
async fn key_that_does_not_work_keeps_nobody_out() {
    for wrong in [None, Some("sb_publishable_local"), Some("sb_secret_replaced")] {
        let test_system = TestSystem::with(forwarding).await;
        test_system.supabase().configure(|config| {
            config.forwarded_for_enabled = true;
            config.burst = Some(u32::try_from(BURST).unwrap());
        });
        if let Some(wrong) = wrong {
            test_system.system().secrets().put(SECRET, wrong);
        }

        for _ in 0..=BURST {
            assert!(can_sign_in(&test_system, HERE).await, "{wrong:?}");
        }

        test_system.system().secrets().put(SECRET, KEY);
        test_system.advance(29);
        assert!(!is_limited(&test_system, HERE).await, "{wrong:?}");
        test_system.advance(1);
        assert!(is_limited(&test_system, THERE).await, "{wrong:?}");
    }
}

/// Supabase looks at no captcha of who has a secret key. So what a captcha protects is sent without, and the rest with it.
#[tokio::test(flavor = "multi_thread")]
async fn captcha_is_judged_although_there_is_a_secret_key() {
    let calls = RecordedCalls::default();
    let test_system = forwarding_system(|options| {
        options.interceptor = Some(calls.wire());
        for (name, value) in [("CaptchaProvider", "turnstile"), ("CaptchaSiteKey", TURNSTILE_TEST_SITE_KEY)] {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    })
    .await;
    let captcha = Captcha::new();
    let judge = Arc::clone(&captcha);
    test_system.supabase().configure(|config| config.captcha = Some(judge));
    let ana = test_system.person(ANA);
    let form = Form::find(&ana.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", ANA).with("password", &password(&test_system));
    let send = async |token: &str| {
        let form = form.clone().with("cf-turnstile-response", token);
        let headers = [("sec-fetch-site", "same-origin"), ("x-forwarded-for", HERE)];
        let answer = ana.submit_with(&form, &headers).await;
        ana.follow_redirects(answer).await
    };

    assert!(!send("made-up").await.body.contains("You are signed in"));
    assert!(send(&captcha.token()).await.body.contains("You are signed in"));
    assert!(!calls.made().iter().any(|call| call.action.starts_with("secretsmanager:")));
}

/// A project demands a captcha, and the deployment has none: a secret key must not open what Supabase refuses. Where the project demands
/// one from now on, it counts within a minute.
#[tokio::test(flavor = "multi_thread")]
async fn secret_key_takes_no_captcha_away() {
    let test_system = forwarding_system(|_| {}).await;
    let demand = |captcha| test_system.supabase().configure(|config| config.captcha = captcha);
    let ana = test_system.person(ANA);
    let mails = || test_system.supabase().inbox(ANA).len();
    let mail = async || {
        let form = Form::find(&ana.open("/auth/login").await, "password").unwrap();
        let form = Form { action: "/auth/login/code".to_owned(), ..form.without("password") };
        let headers = [("sec-fetch-site", "same-origin"), ("x-forwarded-for", HERE)];
        ana.submit_with(&form.with("email", ANA), &headers).await
    };

    demand(Some(Captcha::new()));
    for _ in 0..3 {
        assert!(!can_sign_in(&test_system, HERE).await);
        mail().await;
    }
    // What Supabase says before it looks for a captcha shows nothing of it.
    test_system.supabase().set_rate_limited(true);
    assert!(!can_sign_in(&test_system, HERE).await);
    test_system.supabase().set_rate_limited(false);
    assert!(!can_sign_in(&test_system, HERE).await);
    assert_eq!(mails(), 0);

    demand(None);
    assert!(can_sign_in(&test_system, HERE).await);
    demand(Some(Captcha::new()));
    test_system.advance(59);
    assert!(can_sign_in(&test_system, HERE).await, "not known yet");
    test_system.advance(1);
    for _ in 0..2 {
        assert!(!can_sign_in(&test_system, HERE).await);
        mail().await;
    }
    assert_eq!(mails(), 0);

    demand(None);
    mail().await;
    assert_eq!(mails(), 1);
}
