//! Which clients are vouched for, and what people see and get where one is not.

use test_system::connector::Connector;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};
use test_system::{CALLBACK, TestSystem};

const EVIL: &str = "https://evil.example/callback";
const LOOPBACK: &str = "http://localhost:49163/callback";
const WARNING: &str = "Approve only if you started this yourself";

async fn signed_in(test_system: &TestSystem) -> Person<'_> {
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    ana
}

async fn consent_page(ana: &Person<'_>, connector: &Connector<'_>) -> String {
    let page = ana.open(&connector.authorization_request("skills:read").url).await;
    assert_eq!(page.status, 200, "{page:?}");
    page.body
}

/// A registration counts as a document does: where the codes can go decides. What it calls itself is no heading there either.
#[tokio::test(flavor = "multi_thread")]
async fn heading_is_a_name_that_the_deployment_knows_or_the_host() {
    let test_system = TestSystem::new().await;
    let ana = signed_in(&test_system).await;
    for (redirect_uris, heading, vouched) in [
        (&[CALLBACK][..], "<h1><bdi>claude.ai</bdi> wants to work in Amble as you", true),
        (&[EVIL], "<h1><bdi>evil.example</bdi> wants to work in Amble as you", false),
        (&[CALLBACK, EVIL], "<h1><bdi>claude.ai</bdi> wants to work in Amble as you", false),
        (&["https://claude.ai:8443/cb"], "<h1><bdi>claude.ai</bdi> wants to work in Amble as you", false),
        (&["https://vscode.dev/redirect"], "<h1><bdi>vscode.dev</bdi> wants to work in Amble as you", false),
        (&[LOOPBACK], "<h1>A program on this computer that calls itself “<bdi>Acme</bdi>” wants to work", false),
    ] {
        let connector = test_system.connector_at("Acme", redirect_uris).await;
        let page = consent_page(&ana, &connector).await;

        assert!(page.contains(heading), "{redirect_uris:?} {page}");
        let said = ["Verified:", "calls itself “<bdi>Acme</bdi>”; we have not verified that name", WARNING];
        assert_eq!(said.map(|it| page.contains(it)), [vouched, true, !vouched], "{redirect_uris:?} {page}");
    }
    for (name, shown) in [("Claude", "Claude"), ("CLAUDE  code", "Claude Code")] {
        let page = consent_page(&ana, &test_system.connector(name).await).await;
        assert!(page.contains(&format!("<h1><bdi>{shown}</bdi> wants to work in Amble as you")), "{page}");
        assert!(page.contains("Verified:") && !page.contains("calls itself") && !page.contains(WARNING), "{page}");
    }
    // Nowhere on the page does a name of one's own stand where that of the client would.
    let page = consent_page(&ana, &test_system.connector("Amble Security Update").await).await;
    assert_eq!(page.matches("Amble Security Update").count(), 1, "{page}");
    let added = test_system.confidential_client("acme-cowork", "cs_made-up").await;
    let page = consent_page(&ana, &added).await;
    assert!(page.contains("<h1><bdi>Acme for Cowork</bdi> wants") && !page.contains(WARNING), "{page}");
}

/// A deployment lists its own.
#[tokio::test(flavor = "multi_thread")]
async fn deployment_lists_the_hosts_that_are_vouched_for() {
    let test_system = TestSystem::with(|options| {
        options.parameters.insert("VouchedHosts".to_owned(), "apps.example.com".to_owned());
    })
    .await;
    let ana = signed_in(&test_system).await;
    for (redirect_uri, vouched) in
        [("https://apps.example.com/cb", true), ("https://a.apps.example.com/cb", false), (CALLBACK, false)]
    {
        let connector = test_system.connector_at("Acme", &[redirect_uri]).await;
        let page = consent_page(&ana, &connector).await;
        assert_eq!([page.contains("Verified:"), page.contains(WARNING)], [vouched, !vouched], "{redirect_uri} {page}");
    }
}

/// A name that looks like that of a known client, and leads elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn name_of_a_known_client_at_another_host_is_shown_as_an_impostor() {
    let test_system = TestSystem::new().await;
    let ana = signed_in(&test_system).await;
    for (name, redirect_uri, impersonated) in [
        ("Claude", EVIL, Some("This is not Claude.")),
        ("С\u{6c}аude™", EVIL, Some("This is not Claude.")),
        ("CIAUDE  code", EVIL, Some("This is not Claude Code.")),
        ("ChatGPT", CALLBACK, Some("This is not ChatGPT.")),
        ("Claude", CALLBACK, None),
        ("Claude Code", LOOPBACK, None),
        ("Claudette", EVIL, None),
    ] {
        let connector = test_system.connector_at(name, &[redirect_uri]).await;
        let page = consent_page(&ana, &connector).await;
        assert_eq!(page.contains("This is not "), impersonated.is_some(), "{name} {page}");
        if let Some(sentence) = impersonated {
            assert!(page.contains(sentence) && page.contains(WARNING) && !page.contains("Verified:"), "{name} {page}");
        }
    }
}

/// In the console the host stands beside every name.
#[tokio::test(flavor = "multi_thread")]
async fn console_shows_the_host_beside_the_name() {
    let test_system = TestSystem::new().await;
    let ana = signed_in(&test_system).await;
    for redirect_uri in [EVIL, LOOPBACK] {
        let connector = test_system.connector_at("Claude", &[redirect_uri]).await;
        let (ask, code) = connector.approve_directly("skills:read", "ana@example.com", "acme").await;
        let _ = connector.exchange(&ask, &code).await.tokens(&test_system);
    }
    test_system.settled().await;
    for page in ["/admin", "/admin/acme/connections"] {
        let page = ana.open(page).await;
        for origin in ["<bdi>evil.example</bdi>", "<bdi>localhost, a program on a computer</bdi>"] {
            assert!(page.body.contains(origin), "{}", page.body);
        }
    }
}

/// RFC 9700 §4.11.2: a link to us must not lead to whatever address somebody has registered.
#[tokio::test(flavor = "multi_thread")]
async fn error_is_redirected_unasked_only_to_clients_that_are_known() {
    let test_system = TestSystem::new().await;
    let ana = signed_in(&test_system).await;
    let evil = test_system.connector_at("Acme", &[EVIL]).await;
    let refusals =
        [("response_type", Some("token")), ("code_challenge", None), ("resource", Some("https://a.example"))];

    for (name, value) in refusals {
        let ask = evil.authorization_request_with(&[(name, value)]);
        let page = ana.open(&ask.url).await;

        assert_eq!((page.status, page.header("location")), (400, None), "{name} {page:?}");
        assert!(page.body.contains("Go back to evil.example</a>"), "{name} {page:?}");
        let back = back(&page);
        let told = |name: &str| back.query_pairs().find(|(known, _)| known == name).map(|(_, it)| it.into_owned());
        assert_eq!(back.host_str(), Some("evil.example"));
        assert_eq!((told("state"), told("iss")), (Some(ask.state), Some(test_system.issuer())));
        assert!(told("error").is_some() && told("code").is_none(), "{back}");
    }
    let refused = test_system.audit("authorization_refused");
    let reasons: Vec<_> = refused.iter().filter(|it| it["host"] == "evil.example").map(|it| &it["reason"]).collect();
    assert!(["response_type", "no_challenge", "target"].iter().all(|it| reasons.iter().any(|said| *said == it)));

    let added = test_system.confidential_client("acme-cowork", "cs_made-up").await;
    let local = test_system.connector_at("Acme", &[LOOPBACK]).await;
    let vouched = test_system.connector("Acme").await;
    for known in [&added, &local, &vouched] {
        let answer = ana.open(&known.authorization_request_with(&refusals[..1]).url).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        assert_eq!(answer.redirect_parameters()["error"], "unsupported_response_type");
    }
}

/// What the person decides goes back by redirect, and from then on they know the client. Others do not.
#[tokio::test(flavor = "multi_thread")]
async fn decision_is_redirected_anywhere_and_approval_makes_a_client_known() {
    let test_system = TestSystem::new().await;
    let ana = signed_in(&test_system).await;
    let evil = test_system.connector_at("Acme", &[EVIL]).await;
    let refused = async |person: &Person<'_>| {
        person.open(&evil.authorization_request_with(&[("response_type", Some("token"))]).url).await.status
    };

    let ask = evil.authorization_request("skills:read");
    let form = Form::find(&ana.open(&ask.url).await, "decision").unwrap();
    let denied = ana.submit(&form.with("decision", "deny")).await;
    assert_eq!((denied.status, denied.redirect_parameters()["error"].as_str()), (303, "access_denied"));
    test_system.settled().await;
    assert_eq!(refused(&ana).await, 400);

    assert_eq!(ana.approve(&ask, "acme").await.status, 303);
    test_system.settled().await;
    assert_eq!(refused(&ana).await, 303);
    let ben = test_system.person("ben@example.com");
    ben.sign_in("/auth/login").await;
    assert_eq!(refused(&ben).await, 400);
}

/// Where the button of a page leads.
fn back(page: &HttpResponse) -> url::Url {
    let html = scraper::Html::parse_document(&page.body);
    let button = scraper::Selector::parse("main a.button").unwrap();
    let button = html.select(&button).next().unwrap_or_else(|| panic!("no button: {page:?}"));
    url::Url::parse(button.value().attr("href").unwrap()).unwrap()
}
