//! What limits attempts to sign in bars nobody for longer than it has to, and nobody else.

use std::sync::Arc;

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::Value;
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

const ANA: &str = "ana@example.com";
const TOKEN: &str = "/auth/v1/token";
const VERIFY: &str = "/auth/v1/verify";

/// The form of the sign-in page, filled in by somebody who guesses.
async fn guess(person: &Person<'_>) -> Form {
    let form = Form::find(&person.open("/auth/login").await, "password").unwrap();
    form.with("email", ANA).with("password", "guessed")
}

/// The same with a code of a mail.
fn with_code(form: &Form) -> Form {
    Form { action: "/auth/login/verify".to_owned(), ..form.clone().with("token", "000000") }
}

async fn submit_from(person: &Person<'_>, form: &Form, forwarded: &str) -> HttpResponse {
    person.submit_with(form, &[("sec-fetch-site", "same-origin"), ("x-forwarded-for", forwarded)]).await
}

fn counted(test_system: &TestSystem) -> Vec<Value> {
    let items = test_system.system().items().unwrap();
    items.into_iter().map(|(_, item)| item).filter(|item| item["kind"]["S"] == "sign_ins").collect()
}

/// Four hundred forms in a second do not bar for half an hour: those that were refused were none.
#[tokio::test(flavor = "multi_thread")]
async fn refused_attempts_cost_nothing() {
    let test_system = TestSystem::new().await;
    let (eve, ana) = (test_system.person(ANA), test_system.person(ANA));
    let form = guess(&eve).await;
    let asked = || test_system.supabase().request_count(TOKEN);
    for _ in 0..400 {
        eve.submit(&form).await;
    }
    assert_eq!(asked(), 10);
    let refused = eve.submit_and_follow(&form).await;
    assert!(refused.body.contains("Too many attempts"), "{refused:?}");
    assert_eq!(counted(&test_system)[0]["password"]["N"], "10");
    // What is limited apart at Supabase is so here.
    eve.submit(&with_code(&form)).await;
    assert_eq!(test_system.supabase().request_count(VERIFY), 1);

    test_system.advance(6);
    assert!(ana.sign_in("/auth/login").await.body.contains("You are signed in"));
    // And what succeeds is given back: a whole office can sign in.
    for _ in 0..12 {
        let colleague = test_system.person(ANA);
        assert!(colleague.sign_in("/auth/login").await.body.contains("You are signed in"));
    }
    assert_eq!((asked(), counted(&test_system)[0]["password"]["N"].as_str()), (23, Some("10")));
}

/// Lambda runs as many processes as there are requests: what can be guessed is counted for all of them, by the hour.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_counted_for_all_processes() {
    let test_system = TestSystem::new().await;
    let eve = test_system.person(ANA);
    let form = with_code(&guess(&eve).await);
    // A whole hour, whenever this began.
    test_system.advance(3600 - test_system.now() % 3600);
    let asked = || test_system.supabase().request_count(VERIFY);
    for process in 1..=13 {
        for _ in 0..11 {
            eve.submit(&form).await;
        }
        assert_eq!(asked(), (10 * process).min(120), "{process}");
        test_system.system().redeploy("login", &[]).await.unwrap();
    }
    let items = counted(&test_system);
    let now = test_system.now();
    let [item] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((&item["code"]["N"], &item["expires"]["N"]), (&"120".into(), &(now + 7200).to_string().into()));
    assert!(!item.to_string().contains("127.0.0.1"), "{item}");

    test_system.advance(3599);
    eve.submit(&form).await;
    assert_eq!(asked(), 120);
    test_system.advance(1);
    eve.submit(&form).await;
    assert_eq!(asked(), 121);
}

/// Behind a CDN everybody comes from the CDN. Who is limited is whom the hop before API Gateway names, and nobody where none does.
#[tokio::test(flavor = "multi_thread")]
async fn address_comes_from_the_trusted_hop() {
    for (setting, [mine, spoofed, others, bare]) in
        [("gateway", [10, 10, 10, 10]), ("forwarded", [10, 10, 20, 30]), ("unknown", [15, 20, 25, 30])]
    {
        let setting = ("ClientAddress".to_owned(), setting.to_owned());
        let test_system = TestSystem::with(|options| options.parameters = [setting.clone()].into()).await;
        let eve = test_system.person(ANA);
        let form = guess(&eve).await;
        let asked = || test_system.supabase().request_count(TOKEN);
        for _ in 0..15 {
            submit_from(&eve, &form, "198.51.100.7").await;
        }
        assert_eq!(asked(), mine, "{setting:?}");
        for hop in 0..5 {
            submit_from(&eve, &form, &format!("192.0.2.{hop}, 198.51.100.7")).await;
        }
        assert_eq!(asked(), spoofed, "{setting:?}");
        for _ in 0..others - spoofed {
            submit_from(&eve, &form, "198.51.100.8").await;
        }
        assert_eq!(asked(), others, "{setting:?}");
        // Nobody says where this one comes from: it went around the proxy.
        for _ in 0..bare - others {
            eve.submit(&form).await;
        }
        assert_eq!(asked(), bare, "{setting:?}");
    }
}

/// A limit that cannot be kept keeps nobody out.
#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_while_the_table_fails() {
    let fail = |call: Call| {
        let fails = call.function == "login";
        async move { if fails { Decision::FailBefore(InjectedError::INTERNAL) } else { Decision::Pass } }
    };
    let test_system = TestSystem::with(|options| options.interceptor = Some(Arc::new(fail))).await;

    let page = test_system.person(ANA).sign_in("/auth/login").await;

    assert!(page.body.contains("You are signed in"), "{page:?}");
    assert_eq!(counted(&test_system), [] as [Value; 0]);
}
