//! Whose session counts where several hosts of one domain can set cookies of one name.

use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::Form;

use crate::sign_in::{SESSION_COOKIE, is_consent};
use crate::sign_in_tokens::session;

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const OWN_COOKIE: &str = "__Host-sb-127-auth-token";

/// Our own sign-in page, as it is over https.
async fn over_https() -> TestSystem {
    with_parameter("Issuer", "https://connect.example.com").await
}

/// A product with a sign-in page of its own.
async fn beside_a_product() -> TestSystem {
    with_parameter("LoginUrl", "https://app.example.com/sign-in").await
}

async fn with_parameter(name: &str, value: &str) -> TestSystem {
    let parameters = [(name, value), ("SessionCookie", SESSION_COOKIE)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    TestSystem::with(|options| options.parameters = parameters.into()).await
}

async fn open_with(test_system: &TestSystem, url: &str, cookies: &[(&str, &str)]) -> HttpResponse {
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    test_system.send(test_system.http().get(test_system.absolute(url)).header("cookie", cookies.join("; "))).await
}

/// Browsers take a `__Host-` cookie from the host itself alone. So no other host of the domain can have a person approve as somebody
/// else.
#[tokio::test(flavor = "multi_thread")]
async fn our_page_keeps_the_session_where_no_other_host_can_set_it() {
    let test_system = over_https().await;
    let ana = test_system.person(ANA);
    let planted = session(&test_system, BEN, "ben-demo").await;
    ana.set_cookie(SESSION_COOKIE, &planted);
    for page in ["/auth/login", "/admin"] {
        let answer = ana.open(page).await;
        assert!(!answer.body.contains(BEN), "{answer:?}");
    }

    let form = Form::find(&ana.open("/auth/login").await, "password").expect("nobody is signed in");
    let signed_in = ana.submit(&form.with("email", ANA).with("password", "ana-demo")).await;

    let kept = signed_in.headers("set-cookie").find(|set| set.starts_with(OWN_COOKIE));
    let kept = kept.unwrap_or_else(|| panic!("no session: {signed_in:?}"));
    assert!(kept.ends_with("; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure"), "{kept}");
    let header = ana.cookie_header();
    assert!(!header.contains(&planted) && header.contains(OWN_COOKIE), "the former name is cleared: {header}");
    for cookies in [header.clone(), format!("{SESSION_COOKIE}={planted}; {header}")] {
        let request = test_system.http().get(test_system.at("/auth/login")).header("cookie", cookies);
        let page = test_system.send(request).await;
        assert!(page.body.contains("You are signed in") && page.body.contains(ANA), "{page:?}");
    }
    // What is kept under the former name counts nowhere, also if it is Ana's own.
    let former = session(&test_system, ANA, "ana-demo").await;
    let page = open_with(&test_system, "/auth/login", &[(SESSION_COOKIE, &former)]).await;
    assert!(Form::find(&page, "password").is_some(), "{page:?}");
    assert_eq!(page.headers("set-cookie").filter(|set| set.contains("auth-token=; ")).count(), 1, "{page:?}");
}

/// A session that is valid counts, wherever it stands among others of its name.
#[tokio::test(flavor = "multi_thread")]
async fn valid_session_counts_among_cookies_of_one_name() {
    let test_system = beside_a_product().await;
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    let ended = session(&test_system, BEN, "ben-demo").await;
    test_system.supabase().sign_out_everywhere(BEN);
    let sessions = [session(&test_system, ANA, "ana-demo").await, session(&test_system, ANA, "ana-demo").await, ended];
    let [ana, again, ended] = sessions.each_ref().map(String::as_str);
    let (start, end) = ana.split_at(900);
    let chunks = [0, 1].map(|place| format!("{SESSION_COOKIE}.{place}"));
    let [first, second] = chunks.each_ref().map(String::as_str);
    for cookies in [
        vec![(SESSION_COOKIE, ana)],
        vec![(SESSION_COOKIE, "planted"), (SESSION_COOKIE, ana), (SESSION_COOKIE, "planted-too")],
        vec![(SESSION_COOKIE, ended), (SESSION_COOKIE, ana)],
        vec![(SESSION_COOKIE, ana), (SESSION_COOKIE, again)],
        vec![(first, start), (second, "planted"), (second, end), (second, "planted-too")],
        vec![(SESSION_COOKIE, "planted"), (first, start), (second, end)],
        vec![(first, "planted"), (first, start), (first, "planted-too"), (second, end)],
        vec![(SESSION_COOKIE, "planted"), ("sb-one-auth-token", ana)],
        vec![(SESSION_COOKIE, ended), ("sb-one-auth-token", ana), ("sb-two-auth-token", again)],
    ] {
        let page = open_with(&test_system, &url, &cookies).await;

        assert!(is_consent(&page) && page.body.contains(ANA), "{cookies:?}: {page:?}");
    }
}

/// Nobody can say which of two people sits there. So it is neither, and the page says what to do; no page of the product could.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_two_people_are_nobody() {
    let test_system = beside_a_product().await;
    let url = test_system.connector("Claude").await.authorization_request("skills:read").url;
    let sessions = [session(&test_system, ANA, "ana-demo").await, session(&test_system, BEN, "ben-demo").await];
    let [ana, ben] = sessions.each_ref().map(String::as_str);
    let (start, end) = ben.split_at(900);
    let chunks = [0, 1].map(|place| format!("{SESSION_COOKIE}.{place}"));
    let [first, second] = chunks.each_ref().map(String::as_str);
    let many: Vec<_> = (0..65).map(|number| number.to_string()).collect();
    let many = many.iter().map(|value| (SESSION_COOKIE, value.as_str()));
    for cookies in [
        vec![(SESSION_COOKIE, ana), (SESSION_COOKIE, ben)],
        vec![(SESSION_COOKIE, ben), (SESSION_COOKIE, ana), (SESSION_COOKIE, ben)],
        vec![(SESSION_COOKIE, ana), (first, start), (second, end)],
        vec![("sb-one-auth-token", ana), ("sb-two-auth-token", ben)],
        // No name hides another, whichever the settings give.
        vec![(SESSION_COOKIE, ana), ("sb-two-auth-token", ben)],
        vec![("sb-two-auth-token", ana), (first, start), (second, end)],
        many.chain([(SESSION_COOKIE, ana)]).collect(),
    ] {
        for page in [url.as_str(), "/admin"] {
            let answer = open_with(&test_system, page, &cookies).await;

            assert_eq!((answer.status, answer.header("location")), (400, None), "{answer:?}");
            for text in ["Two people are signed in in this browser", "Delete the cookies of this site"] {
                assert!(answer.body.contains(text), "{answer:?}");
            }
            assert!(!answer.body.contains(ANA) && !answer.body.contains(BEN), "{answer:?}");
        }
        let answer = open_with(&test_system, "/admin/api/me/connections", &cookies).await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    // On this machine our own page has such cookies too, and clears them.
    let ours = TestSystem::new().await;
    let [ana, ben] = [session(&ours, ANA, "ana-demo").await, session(&ours, BEN, "ben-demo").await];
    let page = open_with(&ours, "/auth/login", &[(SESSION_COOKIE, &ana), (SESSION_COOKIE, &ben)]).await;
    assert!(page.body.contains("sessions of two people") && Form::find(&page, "password").is_some(), "{page:?}");
    assert!(page.headers("set-cookie").any(|set| set.starts_with(&format!("{SESSION_COOKIE}=; "))), "{page:?}");
}
