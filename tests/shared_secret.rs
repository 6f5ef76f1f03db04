//! Projects that sign with a shared secret: Supabase alone can verify such tokens, and anybody can make up one that looks alike.

use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::Form;

use crate::attacks::{altered, cookie};
use crate::sign_in::{SESSION_COOKIE, is_consent};
use crate::sign_in_tokens::{access_token, session};

const ANA: &str = "ana@example.com";
const USER: &str = "/auth/v1/user";

async fn with_setting(setting: &str) -> TestSystem {
    let setting = ("SupabaseSharedSecret".to_owned(), setting.to_owned());
    TestSystem::with(|options| options.parameters = [setting].into()).await
}

/// A page that a stranger asks for with a made-up token, another one for each `number`.
async fn opened_with_forged_token(test_system: &TestSystem, url: &str, number: i64) -> HttpResponse {
    let real = access_token(&session(test_system, ANA, "ana-demo").await);
    let (header, claims) =
        (json!({ "alg": "HS256", "kid": "another" }), json!({ "exp": test_system.now() + 600 + number }));
    let forged = altered(&real, &header, &claims);
    let eve = test_system.person(ANA);
    eve.set_cookie(SESSION_COOKIE, &cookie(&json!({ "access_token": forged, "refresh_token": "x", "expires_at": 1 })));
    eve.open(url).await
}

fn noted(test_system: &TestSystem) -> Vec<i64> {
    let items = test_system.system().items().unwrap();
    let items = items.into_iter().filter(|(_, item)| item["kind"]["S"] == "shared_secret");
    items.map(|(_, item)| item["vouched"]["N"].as_str().unwrap().parse().unwrap()).collect()
}

/// The project signs with ES256. What is not asked is neither signed in nor signed out, and no failure that an alarm may count.
#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_ask_supabase_as_often_as_the_setting_says() {
    for (setting, asked) in [("auto", 1), ("yes", 5), ("no", 0)] {
        let test_system = with_setting(setting).await;
        let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
        for second in 0..2 {
            let before = test_system.supabase().request_count(USER);
            let mut statuses = Vec::new();
            for number in 0..8 {
                let answer = opened_with_forged_token(&test_system, &url, number).await;
                assert_eq!(answer.status == 503, answer.header("retry-after").is_some(), "{setting}: {answer:?}");
                statuses.push(answer.status);
            }
            let signed_out = if setting == "no" { 8 } else { asked };
            let expected = [[303; 8], [503; 8]].concat()[8 - signed_out..16 - signed_out].to_vec();
            assert_eq!(statuses, expected, "{setting}, in second {second}");
            assert_eq!(test_system.supabase().request_count(USER) - before, asked, "{setting}, in second {second}");
            test_system.advance(1);
        }
        for line in test_system.lines().iter().filter(|line| line["target"] == "request") {
            assert!(line.get("Faults").is_none(), "{setting}: {line}");
            assert_eq!(line["status"] == 503, line["Unasked"] == 1, "{setting}: {line}");
        }
    }
}

/// Where the secret signs, one person who has signed in is enough for all processes, and for a day.
#[tokio::test(flavor = "multi_thread")]
async fn vouched_secret_is_asked_about_freely_for_a_day() {
    let test_system = with_setting("auto").await;
    test_system.supabase().use_shared_secret(true);
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    assert!(test_system.person(ANA).sign_in("/auth/login").await.body.contains("You are signed in"));
    for (later, asked) in [(1, 4), (86_390, 4), (20, 1)] {
        test_system.advance(later);
        test_system.system().redeploy("authorize", &[]).await.unwrap();
        let before = test_system.supabase().request_count(USER);
        let mut statuses = Vec::new();
        for number in 0..4 {
            statuses.push(opened_with_forged_token(&test_system, &url, number).await.status);
        }
        assert_eq!(test_system.supabase().request_count(USER) - before, asked, "{later}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 303).count(), asked, "{later}: {statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn word_of_supabase_is_noted_once_an_hour() {
    let test_system = with_setting("auto").await;
    let began = test_system.now();
    assert!(test_system.person(ANA).sign_in("/auth/login").await.body.contains("You are signed in"));
    assert!(noted(&test_system).is_empty(), "a key signs");
    test_system.supabase().use_shared_secret(true);
    for (later, expected) in [(0, began), (1800, began), (1800, began), (1, began + 3601)] {
        test_system.advance(later);
        for function in ["login", "authorize", "admin"] {
            test_system.system().redeploy(function, &[]).await.unwrap();
        }
        let ana = test_system.person(ANA);
        assert_eq!(ana.sign_in("/admin").await.status, 200);
        assert_eq!(noted(&test_system), [expected], "{later}");
    }
    // Nobody notes it where somebody has said it.
    let test_system = with_setting("yes").await;
    test_system.supabase().use_shared_secret(true);
    assert_eq!(test_system.person(ANA).sign_in("/admin").await.status, 200);
    assert!(noted(&test_system).is_empty());
}

/// Somebody whose session cannot be looked at now is not sent to sign in: a moment later it can be.
#[tokio::test(flavor = "multi_thread")]
async fn unasked_question_does_not_sign_out() {
    let test_system = with_setting("auto").await;
    test_system.supabase().use_shared_secret(true);
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    let ana = test_system.person(ANA);
    ana.set_cookie(SESSION_COOKIE, &session(&test_system, ANA, "ana-demo").await);
    assert_eq!(opened_with_forged_token(&test_system, &url, 0).await.status, 303);

    let page = ana.open(&url).await;
    assert_eq!((page.status, page.header("location"), page.header("retry-after")), (503, None, Some("1")), "{page:?}");
    test_system.advance(1);

    assert!(is_consent(&ana.open(&url).await));
}

/// A token that Supabase did not know does not use up the next second as well: another host's cookie stands before the session for good.
#[tokio::test(flavor = "multi_thread")]
async fn planted_token_does_not_keep_a_session_from_being_looked_at() {
    let login = ("LoginUrl".to_owned(), "https://app.example.com/sign-in".to_owned());
    let test_system = TestSystem::with(|options| options.parameters = [login].into()).await;
    test_system.supabase().use_shared_secret(true);
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    let genuine = session(&test_system, ANA, "ana-demo").await;
    let forged = altered(&access_token(&genuine), &json!({}), &json!({ "email": "eve@example.com" }));
    let forged = cookie(&json!({ "access_token": forged, "refresh_token": "x", "expires_at": 1 }));
    let cookies = format!("{SESSION_COOKIE}={forged}; {SESSION_COOKIE}={genuine}");
    let open = || test_system.send(test_system.http().get(&url).header("cookie", &cookies));

    assert_eq!(open().await.status, 503);
    test_system.advance(1);
    let page = open().await;

    assert!(is_consent(&page) && page.body.contains(ANA), "{page:?}");
}

/// However many tokens come in one request: Supabase is asked about them until it does not know one.
#[tokio::test(flavor = "multi_thread")]
async fn one_request_has_one_question_in_vain() {
    let login = ("LoginUrl".to_owned(), "https://app.example.com/sign-in".to_owned());
    let setting = ("SupabaseSharedSecret".to_owned(), "yes".to_owned());
    let test_system = TestSystem::with(|options| options.parameters = [login, setting].into()).await;
    test_system.supabase().use_shared_secret(true);
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    let genuine = [session(&test_system, ANA, "ana-demo").await, session(&test_system, ANA, "ana-demo").await];
    let forged = |number: i64| {
        let claims = json!({ "exp": test_system.now() + 600 + number });
        let token = altered(&access_token(&genuine[0]), &json!({}), &claims);
        cookie(&json!({ "access_token": token, "refresh_token": "x", "expires_at": 1 }))
    };
    let open = async |values: &[String]| {
        let before = test_system.supabase().request_count(USER);
        let names = ["sb-a-auth-token", SESSION_COOKIE, "sb-b-auth-token"].into_iter().cycle();
        let cookies: Vec<_> = names.zip(values).map(|(name, value)| format!("{name}={value}")).collect();
        let page = test_system.send(test_system.http().get(&url).header("cookie", cookies.join("; "))).await;
        (page.status, test_system.supabase().request_count(USER) - before)
    };

    let many: Vec<_> = (0..5).map(forged).collect();
    assert_eq!(open(&many).await, (503, 1));
    assert_eq!(open(&genuine).await, (200, 2), "what Supabase knows is no question in vain");
    let [ana, _] = genuine.clone();
    assert_eq!(open(&[forged(5), ana.clone()]).await, (200, 1), "which is known by now");
    assert_eq!(open(&[forged(5), ana]).await, (200, 0));
}

/// While there are no keys of the project, it is asked for them once a second.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_had_are_asked_for_once_a_second() {
    const JWKS: &str = "/auth/v1/.well-known/jwks.json";
    let test_system = TestSystem::new().await;
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    let ana = test_system.person(ANA);
    ana.set_cookie(SESSION_COOKIE, &session(&test_system, ANA, "ana-demo").await);
    test_system.supabase().set_path_down(JWKS, true);
    for _ in 0..3 {
        let before = test_system.supabase().request_count(JWKS);
        for _ in 0..4 {
            let page = ana.open(&url).await;
            assert!(page.status == 503 && page.header("retry-after").is_some(), "{page:?}");
        }
        assert_eq!(test_system.supabase().request_count(JWKS) - before, 1);
        test_system.advance(1);
    }
    // No stranger caused it, so it is a failure that the alarm of 5xx hears of.
    let lines = test_system.lines().into_iter().filter(|line| line["target"] == "request" && line["status"] == 503);
    let unasked: Vec<_> = lines.map(|line| line.get("Unasked").cloned()).collect();
    assert_eq!(unasked, vec![None; 12]);

    test_system.supabase().set_path_down(JWKS, false);
    assert!(is_consent(&ana.open(&url).await));
}

/// With `no`, a session of the secret is none, and whoever signs in is told whom to tell.
#[tokio::test(flavor = "multi_thread")]
async fn unused_secret_signs_nobody_in() {
    let test_system = with_setting("no").await;
    test_system.supabase().use_shared_secret(true);
    let ana = test_system.person(ANA);
    ana.set_cookie(SESSION_COOKIE, &session(&test_system, ANA, "ana-demo").await);
    assert_eq!(ana.open("/admin").await.status, 303);
    let form = Form::find(&ana.open("/auth/login").await, "password").unwrap();
    let page = ana.submit_and_follow(&form.with("email", ANA).with("password", "ana-demo")).await;

    assert!(page.body.contains("Sign-in is not answering"), "{page:?}");
    assert_eq!(test_system.supabase().request_count(USER), 0);
    let reasons: Vec<Value> = test_system.lines().iter().map(|line| line["reason"].clone()).collect();
    assert!(reasons.iter().any(|reason| reason.to_string().contains("SUPABASE_SHARED_SECRET")), "{reasons:?}");
}

/// Supabase wants fewer calls: everybody is asked to come back, and it is nobody's failure.
#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_of_supabase_is_no_server_error() {
    let test_system = TestSystem::new().await;
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    let ana = test_system.person(ANA);
    let form = Form::find(&ana.sign_in(&url).await, "decision").unwrap().with("tenant", "acme");
    let new_key = Form::find(&ana.open("/admin/acme/keys/new").await, "step").unwrap();
    test_system.advance(61);
    test_system.supabase().set_path_rate_limited(USER, true);
    let before = test_system.lines().len();

    for page in [url.as_str(), "/admin", "/auth/login", "/admin/api/me/connections"] {
        let answer = ana.open(page).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("2")), "{page}: {answer:?}");
    }
    for form in [form.clone().with("decision", "approve"), new_key.with("name", "a").with("may:skills:read", "1")] {
        let answer = ana.submit(&form).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        assert_eq!(ana.follow_redirects(answer).await.status, 429);
    }
    for line in &test_system.lines()[before..] {
        assert!(line.get("Faults").is_none() && line["level"] != "ERROR", "{line}");
    }

    test_system.supabase().set_path_rate_limited(USER, false);
    let answer = ana.submit(&form.with("decision", "approve")).await;
    test_system.track_secret(&answer.redirect_parameters()["code"]);
}
