//! The consent page offers more than a client requests: only to one that is vouched for, one step further, and unticked.

use scraper::{Html, Selector};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

const BEN: &str = "ben@example.com";
const EVIL: &str = "https://evil.example/callback";

async fn signed_in(test_system: &TestSystem) -> Person<'_> {
    let ben = test_system.person(BEN);
    ben.sign_in("/auth/login").await;
    ben
}

/// The names of the boxes of a page that begin so, and whether they are ticked.
fn boxes(page: &HttpResponse, begin: &str) -> Vec<(String, bool)> {
    let (html, selector) = (Html::parse_document(&page.body), Selector::parse("input[type=checkbox]").unwrap());
    let all = html.select(&selector).map(|found| {
        (found.value().attr("name").unwrap_or_default().to_owned(), found.value().attr("checked").is_some())
    });
    all.filter(|(name, _)| name.starts_with(begin)).collect()
}

fn more_url(page: &HttpResponse) -> Option<String> {
    let (html, selector) = (Html::parse_document(&page.body), Selector::parse("main form a[href*='&more=1']").unwrap());
    html.select(&selector).next().map(|link| link.value().attr("href").unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_vouched_for_can_be_given_more() {
    let test_system = TestSystem::new().await;
    let (ben, claude) = (signed_in(&test_system).await, test_system.connector("Claude").await);
    let ask = claude.authorization_request("skills:read views:read");
    let page = ben.open(&ask.url).await;
    assert_eq!(boxes(&page, "more:"), [], "one step further: {page:?}");

    let page = ben.open(&more_url(&page).expect("it is offered")).await;
    let more = ["tools:execute", "entities:read", "entities:write", "documents:read", "documents:write", "chat:create"];
    let mut offered = boxes(&page, "more:");
    offered.sort();
    let mut expected = more.map(|scope| (format!("more:{scope}"), false));
    expected.sort();
    assert_eq!(offered, expected, "unticked, and what Ben's role allows");
    let form = Form::find(&page, "decision").unwrap();
    let form = form.with("decision", "approve").with("more:documents:write", "1");
    let landed = ben.submit(&form).await.redirect_parameters();
    test_system.track_secret(&landed["code"]);

    let tokens = claude.exchange(&ask, &landed["code"]).await;
    assert_eq!(tokens.json()["scope"], "skills:read views:read documents:write", "what is beyond the request is named");
    let access = tokens.tokens(&test_system).access;
    assert_eq!(claude.tool(&access, "search_documents", serde_json::json!({ "query": "a" })).await.status, 200);
}

/// Neither the page nor its form gives more to anybody else, nor more than the role allows, nor what no client may have.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_given_more() {
    let test_system = TestSystem::new().await;
    let ben = signed_in(&test_system).await;
    let claude = test_system.connector("Claude").await;
    let evil = test_system.connector_at("Acme", &[EVIL]).await;
    for (connector, role) in [(&evil, "member"), (&claude, "viewer")] {
        test_system.set_role("acme", BEN, role).await;
        let ask = connector.authorization_request("skills:read");
        let page = ben.open(&format!("{}&more=1", ask.url)).await;
        let offered = boxes(&page, "more:");
        assert!(offered.iter().all(|(name, _)| role == "viewer" && name.ends_with(":read")), "{offered:?}");
        assert_eq!(more_url(&page), None);
        let form = Form::find(&page, "decision").unwrap().with("decision", "approve");
        let form = form.with("more:entities:write", "1").with("more:connections:manage", "1");
        let landed = ben.submit(&form).await.redirect_parameters();
        test_system.track_secret(&landed["code"]);

        let tokens = connector.exchange(&ask, &landed["code"]).await;
        assert_eq!(tokens.json()["scope"], "skills:read", "{role}");
    }
}

/// A form that was not accepted keeps what was ticked of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_ticked_beyond_the_request_is_kept() {
    let test_system = TestSystem::new().await;
    let (ben, claude) = (signed_in(&test_system).await, test_system.connector("Claude").await);
    let ask = claude.authorization_request("skills:read");
    let page = ben.open(&format!("{}&more=1", ask.url)).await;
    let form = Form::find(&page, "decision").unwrap().with("more:chat:create", "1").with("decision", "");

    let again = ben.submit_and_follow(&form).await;

    let ticked: Vec<_> = boxes(&again, "more:").into_iter().filter(|(_, ticked)| *ticked).collect();
    assert_eq!(ticked, [("more:chat:create".to_owned(), true)], "{again:?}");
}

/// Some clients refuse an answer that names more than they requested: one that nobody vouches for gets what was approved besides at its
/// first refresh.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_request_counts_at_once_only_where_the_client_is_vouched_for() {
    let test_system = TestSystem::new().await;
    let ben = signed_in(&test_system).await;
    for (redirect_uri, first, said) in
        [(test_system::CALLBACK, "skills:read views:read", false), (EVIL, "skills:read", true)]
    {
        let connector = test_system.connector_at("Acme", &[redirect_uri]).await;
        let (ask, code) = connector.approve_directly("skills:read offline_access", BEN, "acme").await;
        let before = connector.exchange(&ask, &code).await.tokens(&test_system);
        assert_eq!(connector.tool(&before.access, "list_views", serde_json::json!({})).await.status, 403);
        let ask = connector.authorization_request("skills:read");
        let page = ben.open(&ask.url).await;
        let sentence = "What you tick here counts when it next renews its access, within an hour.";
        assert_eq!(page.body.contains(sentence), said, "{redirect_uri}: {page:?}");
        let form = Form::find(&page, "decision").unwrap().with("decision", "approve");
        let landed = ben.submit(&form.with("also:acme:views:read", "1")).await.redirect_parameters();
        test_system.track_secret(&landed["code"]);

        let tokens = connector.exchange(&ask, &landed["code"]).await;

        assert_eq!(tokens.json()["scope"], first, "{redirect_uri}");
        let refreshed = connector.refresh(&tokens.tokens(&test_system).refresh.unwrap()).await;
        assert_eq!(refreshed.json()["scope"], "skills:read views:read", "{redirect_uri}");
    }
}

/// The challenge, the resource document, and a request that names nothing mean the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_says_what_a_first_connection_asks_for() {
    let test_system = TestSystem::with(|options| {
        options.parameters.insert("DefaultScopes".to_owned(), "skills:read entities:write".to_owned());
    })
    .await;
    let challenge = test_system.call(None, "tools/list", serde_json::json!({})).await;
    let named = "scope=\"skills:read entities:read entities:write\"";
    assert!(challenge.header("www-authenticate").unwrap().ends_with(named), "{challenge:?}");
    let document = test_system.get("/.well-known/oauth-protected-resource/api/mcp/server").await.json();
    let supported = serde_json::json!(["skills:read", "entities:read", "entities:write"]);
    assert_eq!(document["scopes_supported"], supported);
    let (ben, claude) = (signed_in(&test_system).await, test_system.connector("Claude").await);
    let page = ben.open(&claude.authorization_request_with(&[("scope", None)]).url).await;
    let ticked = ["skills:read", "entities:read", "entities:write", "offline_access"];
    assert_eq!(boxes(&page, "allow:"), ticked.map(|scope| (format!("allow:{scope}"), true)));
}
