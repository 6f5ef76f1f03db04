//! Pages that people trust: what every page carries, and what is tried against the people who use them.

use fakes::supabase::secret::Secret;
use fakes::supabase::seed::{Factor, Person as Account};
use local::Options;
use serde_json::json;
use shared::oauth::role::Role;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::directory::Tenant;
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

const ANA: &str = "ana@example.com";
const FACTOR: &str = "34e770dd-9ff9-416c-87fa-43b31d7ef225";
pub(crate) const MIA: &str = "mia@example.com";
pub(crate) const MIA_ID: &str = "7c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e77";

/// With Mia, a member of Acme who has an authenticator.
pub(crate) async fn with_mia() -> TestSystem {
    with_mia_and(|_| {}).await
}

/// The same, whose options `change` may set.
pub(crate) async fn with_mia_and(change: impl FnOnce(&mut Options)) -> TestSystem {
    let secret = Secret::from("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP");
    let factor = Factor { id: FACTOR.parse().unwrap(), friendly_name: "Phone".to_owned(), secret };
    let mia =
        Account { id: Some(MIA_ID.parse().unwrap()), factors: vec![factor], ..Account::new(MIA, "mia-demo", "Mia") };
    let test_system = TestSystem::with(|options| {
        options.people.push(mia);
        change(options);
    })
    .await;
    let (acme, id) = (TenantId::parse("acme").unwrap(), PersonId::parse(MIA_ID).unwrap());
    test_system.system().directory().put_member(&acme, &id, "member").await.unwrap();
    test_system
}

/// What Mia's authenticator shows.
pub(crate) fn shown(test_system: &TestSystem) -> String {
    test_system.supabase().totp_code(FACTOR.parse().unwrap()).unwrap()
}

/// The page that Mia comes to by her password, sent with these fields besides.
pub(crate) async fn mia_signed_in(test_system: &TestSystem, fields: &[(&str, &str)]) -> HttpResponse {
    let mia = Person::new(test_system, MIA, "mia-demo");
    let form = Form::find(&mia.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", MIA).with("password", "mia-demo");
    let answer = mia.submit(&fields.iter().fold(form, |form, (name, value)| form.with(name, value))).await;
    mia.open_following_redirects(answer.location()).await
}

/// Mia, as far as her password takes her.
async fn mfa_pending<'w>(test_system: &'w TestSystem, url: &str) -> (Person<'w>, HttpResponse) {
    let mia = Person::new(test_system, MIA, "mia-demo");
    let page = mia.sign_in(url).await;
    (mia, page)
}

fn assert_security_headers(page: &HttpResponse, what: &str) {
    let policy = page.header("content-security-policy").unwrap_or_else(|| panic!("{what}: {page:?}"));
    for part in ["default-src 'none'", "style-src 'sha256-", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{what}: {policy}");
    }
    for unsafe_ in ["unsafe-inline", "unsafe-eval", "https:", "*"] {
        assert!(!policy.contains(unsafe_) || what == "sign-in, connecting", "{what}: {policy}");
    }
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("document-policy", "force-load-at-top"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), Some(value), "{what}");
    }
    // A host's window of a connect must still know who opened it.
    assert_eq!(page.header("cross-origin-opener-policy"), None, "{what}");
    // Nothing is fetched from anywhere, and nothing is styled or scripted but by what the policy names.
    for outside in
        [" src=\"http", " href=\"http://fonts", "<link rel=\"stylesheet", " style=\"", " onclick=", "@import"]
    {
        assert!(!page.body.contains(outside), "{what}: {outside}");
    }
}

/// OAuth 2.1 §7.10: no page of ours is shown inside another, kept, or told on.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_the_security_headers() {
    let test_system = with_mia().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let ana = test_system.person(ANA);

    assert_security_headers(&ana.open("/auth/login").await, "sign-in");
    assert_security_headers(&ana.open_following_redirects(&ask.url).await, "sign-in, connecting");
    let form = Form::find(&ana.open("/auth/login").await, "password").unwrap();
    assert_security_headers(
        &ana.submit_and_follow(&form.clone().with("email", ANA).with("password", "wrong")).await,
        "sign-in, refused",
    );
    let code = Form { action: "/auth/login/code".to_owned(), ..form.with("email", ANA) };
    assert_security_headers(&ana.submit_and_follow(&code).await, "code");
    let social = Form::find(&ana.open("/auth/login").await, "provider").unwrap();
    let leaving = ana.submit_and_follow(&social.with("provider", "github")).await;
    assert_security_headers(&leaving, "on to a provider");
    assert_security_headers(&mfa_pending(&test_system, "/auth/login").await.1, "second factor");
    assert_security_headers(&ana.sign_in("/auth/login").await, "signed in");
    let page = ana.open(&ask.url).await;
    assert_security_headers(&page, "consent");
    assert_security_headers(
        &ana.submit_and_follow(&Form::find(&page, "decision").unwrap().with("decision", "approve")).await,
        "again",
    );
    assert_security_headers(&ana.open("/oauth/authorize").await, "stranded");
}

/// As the deployment says: name, logo, colour, help. A logo is in the page, which fetches nothing.
#[tokio::test(flavor = "multi_thread")]
async fn pages_show_the_configured_branding() {
    const LOGO: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=";
    let test_system = TestSystem::with(|options| {
        for (name, value) in [
            ("ProductName", "Räum & Söhne"),
            ("Logo", LOGO),
            ("AccentColor", "#ffcc00"),
            ("SupportUrl", "https://help.example.com/connect?a=1&b=2"),
        ] {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    })
    .await;

    let page = test_system.get("/auth/login").await;

    for shown in [
        "Sign in to Räum &#38; Söhne",
        "<img src=\"data:image/svg+xml;base64,PHN2",
        "href=\"https://help.example.com/connect?a=1&#38;b=2\"",
        // Yellow, made legible.
        "--accent:#7f6600",
    ] {
        assert!(page.body.contains(shown), "{shown}: {}", &page.body[..2000]);
    }
    assert!(page.header("content-security-policy").unwrap().contains("img-src data:;"));
}

/// What people named reads as what it is: markup is text, and a character that would turn the sentence around is seen.
#[tokio::test(flavor = "multi_thread")]
async fn tenant_names_are_escaped_and_bidi_characters_shown() {
    let test_system = TestSystem::new().await;
    let (id, ana) = (TenantId::parse("evil").unwrap(), test_system.person_id(ANA));
    let name = "</bdi><script>alert(1)</script>\u{202e}emcA\u{2066}\u{200b}".to_owned();
    let directory = test_system.system().directory();
    directory.put_tenant(&Tenant { id: id.clone(), name, roles: Vec::new() }).await.unwrap();
    directory.put_member(&id, &ana, "owner").await.unwrap();
    let connector = test_system.connector("Claude").await;

    let page = test_system.person(ANA).sign_in(&connector.authorization_request("skills:read").url).await;

    assert_eq!(page.body.matches("<script").count(), 1, "ours alone");
    assert!(!page.body.contains(['\u{202e}', '\u{2066}', '\u{200b}']), "{page:?}");
    assert!(page.body.contains("&#60;/script&#62;\u{fffd}emcA\u{fffd}\u{fffd}</bdi>"), "{page:?}");
}

/// Browsers look for an icon: one that the page does not name at an address that its policy forbids, which they log.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_an_icon_that_its_csp_allows() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    ana.sign_in("/auth/login").await;
    for page in [
        "/auth/login",
        &connector.authorization_request("skills:read").url,
        "/oauth/authorize",
        "/admin",
        "/admin/no-such/keys",
    ] {
        let page = ana.open(page).await;
        assert!(page.body.contains("<link rel=\"icon\" href=\"data:image/svg+xml;base64,"), "{page:?}");
        assert!(page.header("content-security-policy").unwrap().contains("img-src data:;"), "{page:?}");
    }
}

/// What an emoji is written with and marks from right to left belong to a name. It is isolated, so that it moves nothing around it.
#[tokio::test(flavor = "multi_thread")]
async fn names_with_emoji_and_rtl_marks_are_shown_unchanged() {
    const TEAM: &str = "👩\u{200d}💻 חברה\u{200f}!";
    const ROLE: &str = "❤\u{fe0f} ראש\u{200f}";
    let test_system = TestSystem::new().await;
    let id = TenantId::parse("team").unwrap();
    let role = Role { name: ROLE.to_owned(), permissions: Scopes::ALL_PERMISSIONS };
    let directory = test_system.system().directory();
    directory.put_tenant(&Tenant { id: id.clone(), name: TEAM.to_owned(), roles: vec![role] }).await.unwrap();
    directory.put_member(&id, &test_system.person_id(ANA), ROLE).await.unwrap();
    let connector = test_system.connector("🏳\u{fe0f}\u{200d}🌈 Cloud").await;
    let ana = test_system.person(ANA);

    let consent = ana.sign_in(&connector.authorization_request("skills:read").url).await;
    let form = Form::find(&ana.open("/admin/team/keys/new").await, "step").unwrap();
    let form = form.with("name", "👩\u{200d}💻").with("may:skills:read", "1").with("life", "7");
    let asked = ana.submit_and_follow(&form).await;
    let end = ana.open(&format!("/admin/team/connections/end?client={}", connector.client_id)).await;

    for (page, names) in [
        (&consent, [TEAM, ROLE, "🏳\u{fe0f}\u{200d}🌈 Cloud"]),
        (&asked, ["👩\u{200d}💻", TEAM, TEAM]),
        (&end, ["🏳\u{fe0f}\u{200d}🌈 Cloud", TEAM, TEAM]),
    ] {
        for name in names {
            let isolated = page.body.contains(&format!("<bdi>{name}</bdi>"));
            assert!(isolated || page.body.contains(&format!("<bdi class=\"name\">{name}</bdi>")), "{name}: {page:?}");
        }
        assert!(!page.body.contains('\u{fffd}'), "{page:?}");
    }
}

/// Going back sends no form: what was wrong with one is told at the request's own address, with what was chosen.
#[tokio::test(flavor = "multi_thread")]
async fn refused_approval_redirects_to_a_readable_page() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) =
        (test_system.person(ANA), connector.authorization_request("tools:execute skills:read offline_access"));
    let form = Form::find(&ana.sign_in(&ask.url).await, "decision").unwrap().with("decision", "approve");

    let chosen = form.clone().without("allow:skills:read").without("allow:offline_access");
    let refused = ana.submit(&chosen).await;
    assert_eq!((refused.status, refused.header("cache-control")), (303, Some("no-store")), "{refused:?}");
    assert!(refused.location().starts_with(&test_system.at("/oauth/authorize?")), "{refused:?}");
    let [page, again] = [ana.open(refused.location()).await, ana.open(refused.location()).await];
    assert_eq!((page.status, unconfirmed(&page)), (200, unconfirmed(&again)), "a reload tells it again");
    assert!(page.body.contains("Choose the workspace that this connection is for"), "{page:?}");
    let kept = Form::find(&page, "decision").unwrap().with("decision", "approve");
    assert_eq!(sorted(&kept), sorted(&chosen));
    assert!(page.body.contains("value=\"acme\" data-role=\"owner\" data-lacks=\"\" required autofocus"), "{page:?}");

    let none = chosen.clone().with("tenant", "globex").without("allow:tools:execute");
    let page = ana.submit_and_follow(&none).await;
    assert!(page.body.contains("Leave at least one permission ticked"), "{page:?}");
    assert!(page.body.contains("value=\"globex\" data-role=\"viewer\"") && page.body.contains("required checked>"));
    assert!(page.body.contains("name=\"allow:skills:read\" value=\"1\" autofocus"), "{page:?}");
    // In another tab, or once it is forgotten, the page is as new.
    let fresh = ana.open(&ask.url).await;
    assert!(!fresh.body.contains("role=\"alert\"") && !fresh.body.contains("autofocus"), "{fresh:?}");
    ana.set_cookie("mcp-notice", "x");
    assert_eq!(unconfirmed(&ana.open(refused.location()).await), unconfirmed(&fresh));
    // What somebody else may have sent chooses nothing.
    let forged = chosen.with("tenant", "acme").with("confirmation", "made-up").with("also:acme:views:read", "1");
    let page = ana.submit_and_follow(&forged).await;
    let kept = Form::find(&page, "decision").unwrap().with("decision", "approve");
    assert!(page.body.contains("Please look again and decide"), "{page:?}");
    assert_eq!(sorted(&kept), sorted(&form));

    // And a request that cannot be served any more says so at its own address.
    let gone = ana.submit(&form.with("client_id", "c_unknown")).await;
    let page = ana.open(gone.location()).await;
    assert_eq!((gone.status, page.status), (303, 400));
    assert!(page.body.contains("This application is not known here"), "{page:?}");
    assert_eq!(test_system.count("grants").await, 0);
}

/// What a form asks for: all but its confirmation, which each page has for itself.
fn sorted(form: &Form) -> Vec<(String, String)> {
    let mut fields = form.clone().without("confirmation").fields;
    fields.sort();
    fields
}

/// A consent page without its confirmation.
fn unconfirmed(page: &HttpResponse) -> String {
    let form = Form::find(page, "decision").unwrap();
    let (_, confirmation) = form.fields.into_iter().find(|(name, _)| name == "confirmation").unwrap();
    page.body.replace(&confirmation, "")
}

/// RFC 9700 §4.11.2: no form of ours leads anywhere else, whatever it says is next.
#[tokio::test(flavor = "multi_thread")]
async fn forms_redirect_only_to_our_origin() {
    let test_system = TestSystem::new().await;
    for next in
        ["//evil.example/", "/\\evil.example", "https://evil.example/", "/\t//evil.example", "javascript:alert(1)"]
    {
        let ana = test_system.person(ANA);
        let form = Form::find(&ana.open("/auth/login").await, "password").unwrap();
        let signed_in = ana.submit(&form.with("email", ANA).with("password", "ana-demo").with("next", next)).await;
        assert_eq!(signed_in.location(), test_system.at("/auth/login"), "{next}");

        let out = Form::find(&ana.open("/auth/login").await, "confirmation").unwrap().with("next", next);
        assert_eq!(ana.submit(&out).await.location(), test_system.at("/auth/login"), "{next}");
    }
}

/// Nobody signs a person in, or out, from another site: not by a form, and not with the secret of another browser.
#[tokio::test(flavor = "multi_thread")]
async fn cross_site_requests_cannot_sign_in_or_out() {
    let test_system = TestSystem::new().await;
    let (ana, ben) = (test_system.person(ANA), test_system.person("ben@example.com"));
    let as_ben = Form::find(&ben.open("/auth/login").await, "password").unwrap();
    let as_ben = as_ben.with("email", "ben@example.com").with("password", "ben-demo");

    // Ben's page, sent by Ana's browser, which has a page of its own open.
    ana.open("/auth/login").await;
    let answer = ana.submit_and_follow(&as_ben).await;
    assert!(answer.body.contains("That form was out of date"), "{answer:?}");
    assert_eq!(session_of(&ana), None, "{answer:?}");
    for headers in [
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        vec![("sec-fetch-site", "same-site")],
        vec![("origin", "https://evil.example")],
        vec![],
    ] {
        let own = Form::find(&ben.open("/auth/login").await, "password").unwrap();
        let own = own.with("email", "ben@example.com").with("password", "ben-demo");
        let answer = ben.submit_with(&own, &headers).await;
        assert_eq!((answer.status, session_of(&ben)), (403, None), "{headers:?}");
    }

    let page = ana.sign_in("/auth/login").await;
    let out = Form::find(&page, "confirmation").unwrap();
    assert_eq!(out.action, "/auth/logout");
    let elsewhere = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    assert_eq!(ana.submit_with(&out, &elsewhere).await.status, 403);
    for forged in [out.clone().without("confirmation"), out.clone().with("confirmation", &test_system.random())] {
        let page = ana.submit_and_follow(&forged).await;
        assert!(page.body.contains("You are still signed in: that form was out of date"), "{page:?}");
    }
    assert!(ana.open("/auth/login").await.body.contains("You are signed in"));
    assert_eq!(ana.submit(&out).await.status, 303);
    assert!(Form::find(&ana.open("/auth/login").await, "password").is_some());
}

/// Session fixation: whatever an attacker has planted in a browser before its owner signs in is of no use afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn session_fixation_is_prevented() {
    let test_system = TestSystem::new().await;
    let (ana, mallory) = (test_system.person(ANA), test_system.person("ben@example.com"));
    // Mallory's own session, and the secret of a page that Mallory has seen.
    mallory.sign_in("/auth/login").await;
    let planted = session_of(&mallory).unwrap();
    let seen = Form::find(&ana.open("/auth/login").await, "password").unwrap();

    let answer = ana.submit(&seen.clone().with("email", ANA).with("password", "ana-demo")).await;
    assert_eq!(answer.status, 303);
    assert_ne!(session_of(&ana).unwrap(), planted);

    let reused = ana.submit(&seen.with("email", "ben@example.com").with("password", "ben-demo")).await;
    assert_eq!(reused.location(), test_system.at("/auth/login"), "the secret of the page went with the sign-in");
    assert!(ana.follow_redirects(reused).await.body.contains(ANA), "and nobody else was signed in");
    // A browser in which both are: the planted one in chunks, which would be read where the new one is whole.
    let (name, value) = planted;
    let (one, two) = value.split_at(value.len() / 2);
    let cookies = format!("{name}.0={one}; {name}.1={two}");
    let page = test_system.send(test_system.http().get(test_system.at("/auth/login")).header("cookie", &cookies)).await;
    assert!(page.body.contains("ben@example.com"), "the attack as such works: {page:?}");
    let door = test_system.send(test_system.http().get(test_system.at("/auth/login"))).await;
    let form = Form::find(&door, "password").unwrap().with("email", ANA).with("password", "ana-demo");
    let door = door.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let posted = test_system.http().post(test_system.at(&form.action)).header("cookie", format!("{door}; {cookies}"));
    let posted =
        posted.header("content-type", "application/x-www-form-urlencoded").header("sec-fetch-site", "same-origin");
    let signed_in = test_system.send(posted.body(test_system::person::encoded(&form.fields))).await;
    assert_eq!(signed_in.status, 303, "{signed_in:?}");
    for chunk in ["0", "1"] {
        let gone = format!("{name}.{chunk}=; Path=/; Max-Age=0");
        assert!(signed_in.headers("set-cookie").any(|set| set.starts_with(&gone)), "{chunk}: {signed_in:?}");
    }
}

/// Between the page and the click, somebody else has signed in in this browser: nothing happens, and they are told.
#[tokio::test(flavor = "multi_thread")]
async fn consent_page_of_one_account_cannot_approve_for_another() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    let form = Form::find(&ana.sign_in(&ask.url).await, "decision").unwrap().with("tenant", "acme");
    let ben = test_system.person("ben@example.com");
    ben.sign_in("/auth/login").await;

    for decision in ["approve", "deny"] {
        let answer = ben.submit_and_follow(&form.clone().with("decision", decision)).await;
        assert!(Form::find(&answer, "decision").is_some(), "{decision}: {answer:?}");
        assert!(answer.body.contains("signed in with another account than when this page was opened"), "{answer:?}");
        assert!(answer.body.contains("ben@example.com") && !answer.body.contains(ANA), "{answer:?}");
    }
    // The hint is none of what decides.
    let id = test_system.person_id("ben@example.com");
    let claimed = ben.submit_and_follow(&form.with("account", id.as_str()).with("decision", "approve")).await;
    assert!(claimed.body.contains("Please look again and decide"), "{claimed:?}");
    assert_eq!(test_system.count("grants").await, 0);
}

/// Back button, double click, opened twice: the page says that it has been approved, and is good for another approval.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_request_after_approval_says_so() {
    const TOLD: &str = "You have approved this already";
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    for _ in 0..2 {
        assert!(!ana.sign_in(&ask.url).await.body.contains(TOLD));
    }
    let approved = ana.approve(&ask, "acme").await;
    let cookie = approved.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"), "{cookie}");
    let value = cookie.split(['=', ';']).nth(1).unwrap();

    let page = ana.open(&ask.url).await;
    assert!(page.body.contains(TOLD), "{page:?}");
    assert!(
        !ana.open(&connector.authorization_request("skills:read").url).await.body.contains(TOLD),
        "another request is new"
    );
    let form = Form::find(&page, "decision").unwrap().with("tenant", "acme").with("decision", "approve");
    let again = ana.submit_and_follow(&form.clone().with("confirmation", value)).await;
    assert!(again.body.contains("Please look again and decide"), "it is no confirmation: {again:?}");
    let again = ana.submit(&form).await;
    test_system.track_secret(&again.redirect_parameters()["code"]);
    assert_eq!(test_system.count("grants").await, 2);
}

/// A second factor that Supabase knows of is asked for before anything is shown or done: whoever has only the password has nothing.
#[tokio::test(flavor = "multi_thread")]
async fn second_factor_is_required_before_anything_else() {
    let test_system = with_mia().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");

    let (mia, page) = mfa_pending(&test_system, &ask.url).await;

    assert!(page.status == 200 && page.body.contains("One more step"), "{page:?}");
    assert!(!page.body.contains("Acme") && page.body.contains(MIA), "{page:?}");
    let form = Form::find(&page, "code").unwrap();
    let right = shown(&test_system);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for code in [wrong, "", "12345", "not-it"] {
        let refused = mia.submit_and_follow(&form.clone().with("code", code)).await;
        assert!(refused.body.contains("That code is wrong or has run out"), "{refused:?}");
        assert!(Form::find(&refused, "code").is_some(), "and can be typed in again");
    }
    let another = mia.submit_and_follow(&form.clone().with("code", &right).with("factor", MIA_ID)).await;
    assert!(another.body.contains("That authenticator is not set up"), "{another:?}");
    assert!(mia.open(&ask.url).await.location().contains("/auth/login?next="));

    let done = mia.submit(&form.with("code", &right)).await;
    assert_eq!(done.status, 303, "{done:?}");
    let page = mia.open_following_redirects(done.location()).await;
    let consent = Form::find(&page, "decision").unwrap_or_else(|| panic!("{page:?}"));
    let code = mia.submit(&consent.with("decision", "approve")).await.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    // Signed in once, with both, for as long as the session lives: also when its token has been refreshed.
    assert_eq!(mia.open(&connector.authorization_request("skills:read").url).await.status, 200);
    test_system.advance(3601);
    let page = mia.sign_in(&connector.authorization_request("skills:read").url).await;
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}

/// The session that a product's own page has made is no better: at `aal1` it approves nothing, and leads to the second factor.
#[tokio::test(flavor = "multi_thread")]
async fn aal1_session_of_a_person_with_second_factor_cannot_approve() {
    let test_system = with_mia().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let (mia, page) = mfa_pending(&test_system, "/auth/login").await;
    let (name, value) = session_of(&mia).unwrap();
    let cookies = format!("{name}={value}");

    for (method, body) in
        [("GET", String::new()), ("POST", test_system::person::encoded(&[("decision", "approve"), ("tenant", "acme")]))]
    {
        let url = url::Url::parse(&ask.url).unwrap();
        let request = if method == "GET" {
            test_system.http().get(url.as_str())
        } else {
            let form = format!("{}&{body}", url.query().unwrap());
            test_system
                .http()
                .post(test_system.at("/oauth/authorize"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form)
        };
        let answer = test_system.send(request.header("cookie", &cookies).header("sec-fetch-site", "same-origin")).await;
        assert_eq!(answer.status, 303, "{method}: {answer:?}");
        assert!(answer.location().starts_with(&test_system.at("/auth/login?next=")), "{method}: {answer:?}");
    }
    assert_eq!(test_system.count("grants").await, 0);

    // And out again, at Supabase too.
    let out = Form::find(&page, "confirmation").unwrap();
    assert_eq!((out.action.as_str(), mia.submit(&out).await.status), ("/auth/logout", 303));
    let dead = test_system.send(test_system.http().get(test_system.at("/auth/login")).header("cookie", &cookies)).await;
    assert!(Form::find(&dead, "password").is_some() && !dead.body.contains("One more step"), "{dead:?}");
}

/// What is refused helps, and says nothing about whether an address exists.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_errors_help_and_reveal_no_addresses() {
    let test_system = TestSystem::new().await;
    let mut told = Vec::new();
    for email in [ANA, "nobody-at-all@example.com"] {
        let person = Person::new(&test_system, email, "wrong");
        let form = Form::find(&person.open("/auth/login").await, "password").unwrap();
        let secret = form.fields.iter().find(|(name, _)| name == "confirmation").unwrap().1.clone();
        for action in ["/auth/login/password", "/auth/login/code"] {
            let form =
                Form { action: action.to_owned(), ..form.clone().with("email", email).with("password", "wrong") };
            let answer = person.submit_and_follow(&form).await;
            let flows = person.cookie_header();
            let flow = flows.split("; ").find_map(|cookie| cookie.strip_prefix("mcp-login-")?.split('=').next());
            told.push(answer.body.replace(email, "").replace(&secret, "").replace(flow.unwrap_or("none"), ""));
        }
    }
    assert_eq!((&told[0], &told[1]), (&told[2], &told[3]));
    assert!(told[0].contains("do not match") && told[1].contains("Check your e-mail"), "{told:?}");

    test_system.supabase().set_rate_limited(true);
    let ana = test_system.person(ANA);
    let form = Form::find(&ana.open("/auth/login").await, "password").unwrap();
    let limited = ana.submit_and_follow(&form.with("email", ANA).with("password", "ana-demo")).await;
    assert!(limited.body.contains("Wait a minute, then try again") && limited.body.contains(ANA), "{limited:?}");
}

/// The session cookie of a browser, if it has one.
fn session_of(person: &Person<'_>) -> Option<(String, String)> {
    let cookies = person.cookie_header();
    let found = cookies.split("; ").find(|pair| pair.starts_with("sb-"))?;
    found.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
}
