//! Projects that demand a captcha: the widget where it is needed and nowhere else, and its token on the way to Supabase.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fakes::captcha::{Captcha, HCAPTCHA_TEST_SITE_KEY, TURNSTILE_TEST_SITE_KEY};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

use crate::browser::{Browser, WITHOUT_JAVASCRIPT};
use crate::pages::{mia_signed_in, with_mia_and};

const ANA: &str = "ana@example.com";
const MAIL: &str = "/auth/login/code";

/// A provider, as a deployment and its pages know it.
#[derive(Clone, Copy)]
struct Provider {
    name: &'static str,
    site_key: &'static str,
    class: &'static str,
    field: &'static str,
    script: &'static str,
    /// What a page with its widget lets in besides, in `style-src` and at the end of `script-src`, with what follows that.
    style_src: &'static str,
    script_src: &'static str,
}

const TURNSTILE: Provider = Provider {
    name: "turnstile",
    site_key: TURNSTILE_TEST_SITE_KEY,
    class: "cf-turnstile",
    field: "cf-turnstile-response",
    script: "https://challenges.cloudflare.com/turnstile/v0/api.js",
    style_src: "",
    script_src: " https://challenges.cloudflare.com; frame-src https://challenges.cloudflare.com",
};
const HCAPTCHA: Provider = Provider {
    name: "hcaptcha",
    site_key: HCAPTCHA_TEST_SITE_KEY,
    class: "h-captcha",
    field: "h-captcha-response",
    script: "https://js.hcaptcha.com/1/api.js?recaptchacompat=off",
    style_src: " https://hcaptcha.com https://*.hcaptcha.com",
    script_src: " https://hcaptcha.com https://*.hcaptcha.com; frame-src https://hcaptcha.com https://*.hcaptcha.com; \
                 connect-src https://hcaptcha.com https://*.hcaptcha.com",
};

/// A test system with Mia whose project demands a captcha, which the deployment shows if it has a `provider`.
async fn demanding(provider: Option<Provider>) -> (TestSystem, Arc<Captcha>) {
    let test_system = with_mia_and(|options| {
        for (name, value) in
            provider.iter().flat_map(|it| [("CaptchaProvider", it.name), ("CaptchaSiteKey", it.site_key)])
        {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    })
    .await;
    let captcha = Captcha::new();
    let asked = Arc::clone(&captcha);
    test_system.supabase().configure(|config| config.captcha = Some(asked));
    (test_system, captcha)
}

/// The page that a form led to, by a redirect or without one.
async fn page_after(person: &Person<'_>, answer: HttpResponse) -> HttpResponse {
    match answer.header("location").map(str::to_owned) {
        Some(location) => person.open_following_redirects(&location).await,
        None => answer,
    }
}

/// Sends a form that signs the person in.
async fn submit_sign_in(person: &Person<'_>, form: &Form) {
    let page = page_after(person, person.submit(form).await).await;
    assert!(page.body.contains("You are signed in"), "{page:?}");
}

/// The form of the sign-in page, with the person's address and password in it.
async fn password_form(test_system: &TestSystem, person: &Person<'_>) -> Form {
    let form = Form::find(&person.open("/auth/login").await, "password").unwrap();
    let password =
        &test_system.system().demo().unwrap().people.iter().find(|it| it.email == person.email).unwrap().password;
    form.with("email", &person.email).with("password", password)
}

fn to(form: &Form, action: &str) -> Form {
    Form { action: action.to_owned(), ..form.clone() }
}

/// The form of the code page that asks for another mail.
fn another(page: &HttpResponse) -> Form {
    let form = Form::find(page, "token").unwrap_or_else(|| panic!("no code page: {page:?}"));
    to(&form.without("token"), MAIL)
}

fn has_widget(page: &HttpResponse, provider: Provider) -> bool {
    let widget = format!("<div class=\"{}\" data-sitekey=\"{}\"", provider.class, provider.site_key);
    let script = format!("<script src=\"{}\" async></script>", provider.script);
    let times = page.body.matches(&widget).count();
    assert_eq!(times, page.body.matches(&script).count(), "{page:?}");
    assert!(times < 2, "{page:?}");
    times == 1
}

fn policy(page: &HttpResponse) -> &str {
    page.header("content-security-policy").unwrap_or_else(|| panic!("no policy: {page:?}"))
}

/// A password and a mail each take a token with them, and another mail another one.
#[tokio::test(flavor = "multi_thread")]
async fn captcha_token_is_passed_to_supabase() {
    for provider in [TURNSTILE, HCAPTCHA] {
        let (test_system, captcha) = demanding(Some(provider)).await;
        let ana = test_system.person(ANA);
        let form = password_form(&test_system, &ana).await;

        let page = page_after(&ana, ana.submit(&to(&form, MAIL).with(provider.field, &captcha.token())).await).await;
        assert_eq!(test_system.supabase().inbox(ANA).len(), 1, "{page:?}");
        assert!(has_widget(&page, provider), "the code page asks for mails too");
        test_system.advance(61);
        ana.submit(&another(&page).with(provider.field, &captcha.token())).await;
        assert_eq!(test_system.supabase().inbox(ANA).len(), 2);
        // The code itself takes none: Supabase does not ask for one there.
        let code = test_system.supabase().inbox(ANA).pop().unwrap().code;
        submit_sign_in(&ana, &Form::find(&page, "token").unwrap().with("token", &code)).await;

        let ana = test_system.person(ANA);
        let form = password_form(&test_system, &ana).await;
        submit_sign_in(&ana, &form.with(provider.field, &captcha.token())).await;
    }
}

/// A form that was sent before the widget was ready, or without JavaScript, spends nothing at Supabase.
#[tokio::test(flavor = "multi_thread")]
async fn form_without_captcha_token_is_refused_without_calling_supabase() {
    let (test_system, captcha) = demanding(Some(TURNSTILE)).await;
    let ana = test_system.person(ANA);
    let form = password_form(&test_system, &ana).await;
    for form in [form.clone(), to(&form, MAIL), form.with(TURNSTILE.field, "")] {
        let page = page_after(&ana, ana.submit(&form).await).await;
        assert!(page.body.contains("was not done. Wait for it to be done"), "{page:?}");
        assert!(has_widget(&page, TURNSTILE));
        assert!(page.body.contains(&format!("value=\"{ANA}\"")), "the address need not be typed again");
    }
    let asked = ["/auth/v1/token", "/auth/v1/otp"].map(|path| test_system.supabase().request_count(path));
    assert_eq!(asked, [0, 0]);

    // Elsewhere is no token: the other provider's field is none.
    let form = password_form(&test_system, &ana).await.with(HCAPTCHA.field, &captcha.token());
    assert!(page_after(&ana, ana.submit(&form).await).await.body.contains("was not done"));
}

/// A token counts once and for minutes: what is wrong with it is told, and the page has a new widget.
#[tokio::test(flavor = "multi_thread")]
async fn refused_captcha_token_shows_an_error_and_a_new_widget() {
    let (test_system, captcha) = demanding(Some(TURNSTILE)).await;
    let ana = test_system.person(ANA);
    let used = captcha.token();
    let wrong = password_form(&test_system, &ana).await.with("password", "wrong").with(TURNSTILE.field, &used);
    let page = page_after(&ana, ana.submit(&wrong).await).await;
    assert!(page.body.contains("do not match") && has_widget(&page, TURNSTILE), "{page:?}");
    let old = captcha.token();
    captcha.expire();

    for token in [used.as_str(), &old, "made up"] {
        for action in ["/auth/login/password", MAIL] {
            let form = password_form(&test_system, &ana).await.with(TURNSTILE.field, token);
            let page = page_after(&ana, ana.submit(&to(&form, action)).await).await;
            assert!(page.body.contains("had run out or failed") && has_widget(&page, TURNSTILE), "{token}: {page:?}");
        }
    }
    assert!(test_system.supabase().inbox(ANA).is_empty());
    let refused = logged(&test_system, "refused the captcha");
    assert_eq!(refused.len(), 6);
    assert!(refused[0].contains("the secret key at Supabase is not the one that belongs to CaptchaSiteKey"));

    let form = password_form(&test_system, &ana).await.with(TURNSTILE.field, &captcha.token());
    submit_sign_in(&ana, &form).await;
}

/// The policy of a page, to the letter, where the widget is; everywhere else nobody's host is in it.
#[tokio::test(flavor = "multi_thread")]
async fn csp_allows_the_captcha_provider_only_where_its_widget_is() {
    for provider in [TURNSTILE, HCAPTCHA] {
        let (test_system, captcha) = demanding(Some(provider)).await;
        let ana = test_system.person(ANA);
        let sign_in = ana.open("/auth/login").await;
        let form = password_form(&test_system, &ana).await;
        let refused = page_after(&ana, ana.submit(&form).await).await;
        let mail = to(&form, MAIL).with(provider.field, &captcha.token());
        let code = page_after(&ana, ana.submit(&mail).await).await;
        for (what, page) in [("sign-in", &sign_in), ("refused", &refused), ("code", &code)] {
            assert!(has_widget(page, provider), "{what}: {page:?}");
            let [style, scripts] = ["style", "script"].map(|element| digests_of(page, element));
            let expected = format!(
                "default-src 'none'; style-src {style}{}; base-uri 'none'; frame-ancestors 'none'; img-src data:; script-src {scripts}{}; \
                 form-action 'self'",
                provider.style_src, provider.script_src
            );
            assert_eq!(policy(page), expected, "{what}");
            assert!(page.body.contains("<noscript><div class=\"warning\"><p>This form needs a check"), "{what}");
        }

        let connector = test_system.connector("Claude").await;
        let url = connector.authorization_request("skills:read").url;
        let social = Form::find(&sign_in, "provider").unwrap().with("provider", "github");
        let leaving = page_after(&ana, ana.submit(&social).await).await;
        let retry = {
            let callback = callback_of_mail(&test_system).await;
            test_system.supabase().set_rate_limited(true);
            let page = ana.open(&callback).await;
            test_system.supabase().set_rate_limited(false);
            page
        };
        let form = password_form(&test_system, &ana).await.with(provider.field, &captcha.token());
        submit_sign_in(&ana, &form).await;
        let pages = [
            ("on to a provider", leaving),
            ("retry", retry),
            ("second factor", mia_signed_in(&test_system, &[(provider.field, &captcha.token())]).await),
            ("signed in", ana.open("/auth/login").await),
            ("consent", ana.open(&url).await),
            ("stranded", ana.open("/oauth/authorize").await),
            ("console", ana.open("/admin").await),
        ];
        for (what, page) in &pages {
            assert!(page.status != 303 && !has_widget(page, provider), "{what}: {page:?}");
            for host in ["cloudflare", "hcaptcha", "frame-src", "connect-src"] {
                assert!(!policy(page).contains(host) && !page.body.contains(host), "{what}: {host}");
            }
        }

        // Where no password is sent and no mail is asked for.
        test_system.supabase().configure(|config| config.email_enabled = false);
        test_system.advance(301);
        let page = test_system.get("/auth/login").await;
        assert!(!has_widget(&page, provider) && !policy(&page).contains("frame-src"), "{page:?}");
    }
}

/// The deployment lacks what the project demands: the operator is told what to set, and the person to choose another way.
#[tokio::test(flavor = "multi_thread")]
async fn missing_captcha_configuration_is_logged_for_the_operator() {
    let (test_system, captcha) = demanding(None).await;
    let ana = test_system.person(ANA);
    let form = password_form(&test_system, &ana).await;
    // A field that nobody asked for goes nowhere.
    let form = form.with(TURNSTILE.field, &captcha.token());
    for action in ["/auth/login/password", MAIL] {
        let page = page_after(&ana, ana.submit(&to(&form, action)).await).await;
        assert!(page.body.contains("needs a check that this page cannot show. Choose another way"), "{page:?}");
        assert!(!page.body.contains("id=\"captcha\"") && !policy(&page).contains("frame-src"), "{page:?}");
    }
    let told = "the project demands a captcha: deploy with its CaptchaProvider and CaptchaSiteKey";
    assert_eq!(logged(&test_system, "demands a captcha"), [told; 2]);
}

/// The settings are the sign-in page's, and no other function's.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_login_function_gets_captcha_settings() {
    let (test_system, _) = demanding(Some(TURNSTILE)).await;
    let functions: std::collections::BTreeSet<_> = test_system.system().routes().into_values().collect();
    let told: Vec<_> = functions
        .into_iter()
        .filter(|name| {
            test_system.system().variables(name).unwrap().keys().any(|variable| variable.contains("CAPTCHA"))
        })
        .collect();
    assert_eq!(told, ["login"]);
    let variables = test_system.system().variables("login").unwrap();
    assert_eq!(
        (variables["CAPTCHA_PROVIDER"].as_str(), variables["CAPTCHA_SITE_KEY"].as_str()),
        ("turnstile", TURNSTILE_TEST_SITE_KEY)
    );
}

/// In Chromium, which holds the pages to their policies: who is faster than the widget waits for it, and a mail, another one and
/// a password each take a token of their own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn browser_form_waits_for_the_captcha_widget() {
    for provider in [TURNSTILE, HCAPTCHA] {
        let (test_system, captcha) = demanding(Some(provider)).await;
        let mut browser = Browser::start(&test_system, &[&format!("--captcha={}", serve(&captcha).await)]);
        browser.open(&test_system.at("/auth/login")).await;
        browser.wait_for_page("Sign in to").await;
        browser.fill("E-mail address", ANA).await;
        browser.press("E-mail me a code").await;
        browser.wait_for_page("Check your e-mail").await;
        assert_eq!(test_system.supabase().inbox(ANA).len(), 1);
        browser.pictures(&format!("code-{}", provider.name)).await;
        test_system.advance(61);
        browser.press("Send another code").await;
        for _ in 0..100 {
            if test_system.supabase().inbox(ANA).len() == 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(test_system.supabase().inbox(ANA).len(), 2);
        browser.wait_for_page("Check your e-mail").await;

        browser.open(&test_system.at("/auth/login")).await;
        browser.wait_for_page("Sign in to").await;
        browser.pictures(&format!("sign-in-{}", provider.name)).await;
        browser.fill("E-mail address", ANA).await;
        browser.fill("Password", "ana-demo").await;
        // A second click must not show the same token again.
        browser.act(json!({ "act": "press", "name": "Sign in", "clicks": 2 })).await;
        browser.wait_for_page("You are signed in").await;
        browser.finish().await;
        assert!(logged(&test_system, "captcha").is_empty());
    }
}

/// A widget that is kept out, and a browser without JavaScript: the page says why its form does not work.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn browser_form_explains_a_missing_captcha_widget() {
    let (test_system, _) = demanding(Some(TURNSTILE)).await;
    for (arguments, told) in [
        (&["--captcha=http://127.0.0.1:9"][..], "The check could not be shown"),
        (&[WITHOUT_JAVASCRIPT], "the check needs JavaScript"),
    ] {
        let mut browser = Browser::start(&test_system, arguments);
        browser.open(&test_system.at("/auth/login")).await;
        assert!(browser.wait_for_page("Sign in to").await.contains(told), "{told}");
        browser
            .pictures(if arguments[0] == WITHOUT_JAVASCRIPT {
                "captcha-without-javascript"
            } else {
                "captcha-kept-out"
            })
            .await;
        browser.finish().await;
    }
}

/// Serves the provider's hosts on this machine.
async fn serve(captcha: &Arc<Captcha>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = captcha.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Where the link of the newest mail to Ana sends the browser: our callback.
async fn callback_of_mail(test_system: &TestSystem) -> String {
    let mail = test_system.supabase().inbox(ANA).pop().unwrap();
    test_system.get(&mail.link).await.location().to_owned()
}

/// The reasons in this test system's log that say so.
fn logged(test_system: &TestSystem, text: &str) -> Vec<String> {
    let lines = test_system.lines();
    let reasons = lines.iter().filter_map(|line| line["reason"].as_str());
    reasons.filter(|reason| reason.contains(text)).map(str::to_owned).collect()
}

/// SHA-256 of each text of a page's elements of that name without attributes, as a policy names them.
fn digests_of(page: &HttpResponse, element: &str) -> String {
    let (opens, closes) = (format!("<{element}>"), format!("</{element}>"));
    let texts = page.body.split(&opens).skip(1).map(|rest| rest.split_once(&closes).unwrap().0);
    let digests = texts.map(|text| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text))));
    digests.collect::<Vec<_>>().join(" ")
}
