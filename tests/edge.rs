//! The edge before API Gateway (`infra/edge`): a request that came around it is refused once the deployment is closed, and what it says of
//! an address counts only with its secret.

use local::Options;
use serde_json::{Value, json};
use test_system::person::{Form, Person};
use test_system::recorded_calls::{AwsAction, RecordedCalls};
use test_system::{TestSystem, edge_digest};

const SECRET: &str = "not-a-real-secret-of-the-edge-at-present";
const NEXT: &str = "not-a-real-secret-of-the-edge-tomorrow";
const VERIFY: &str = "x-origin-verify";
const VIEWER: &str = "cloudfront-viewer-address";
/// What the sign-in page reads of Supabase.
const SETTINGS: &str = "/auth/v1/settings";

/// A deployment behind CloudFront, while one secret replaces the other.
fn behind_the_edge(options: &mut Options, only: &str) {
    let digests = format!("{},{}", edge_digest(SECRET), edge_digest(NEXT));
    for (name, value) in [("EdgeSecretDigests", digests.as_str()), ("EdgeOnly", only), ("ClientAddress", "cloudfront")]
    {
        options.parameters.insert(name.to_owned(), value.to_owned());
    }
}

/// Every route is closed before anything is called; either secret opens it; and nothing else of the way changes.
#[tokio::test(flavor = "multi_thread")]
async fn request_around_a_closed_edge_is_refused() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| {
        behind_the_edge(options, "yes");
        options.interceptor = Some(calls.wire());
    })
    .await;
    test_system.track_secret(SECRET);
    test_system.track_secret(NEXT);
    let send = async |method: &str, path: &str, secret: Option<&str>| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = test_system.http().request(method, test_system.at(path)).header(VIEWER, "198.51.100.7:1");
        test_system.send(secret.map_or(request.try_clone().unwrap(), |secret| request.header(VERIFY, secret))).await
    };
    let digest = edge_digest(SECRET);
    let around = [None, Some("not-a-real-secret-of-anybody"), Some(digest.as_str())];
    calls.clear();

    for route in test_system.system().routes().into_keys() {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("{tenant}", "acme");
        for secret in around {
            let answer = send(method, &path, secret).await;
            assert_eq!((answer.status, answer.body.as_str()), (403, ""), "{route} {answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{route}");
        }
    }
    // What is malformed as well. The second of the two makes the event unreadable, so that its headers are read by themselves.
    let settings = test_system.supabase().request_count(SETTINGS);
    for (function, events) in crate::events::by_function() {
        let (name, event) = &events[0];
        for (pointer, value) in [("/rawQueryString", "\""), ("/headers/user-agent", "\u{7f}")] {
            for (secret, expected) in around.map(|secret| (secret, 403)).into_iter().chain([(Some(SECRET), 400)]) {
                let mut event: Value = serde_json::from_str(event).unwrap();
                *event.pointer_mut(pointer).unwrap() = json!(value);
                if let Some(secret) = secret {
                    event["headers"][VERIFY] = json!(secret);
                }
                let before = test_system.supabase().request_count(SETTINGS);
                let answer = test_system.system().invoke(&function, &event.to_string()).await.unwrap().unwrap();
                let answer: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(answer["statusCode"], expected, "{name} {pointer} {secret:?}");
                if expected == 403 {
                    assert_eq!(test_system.supabase().request_count(SETTINGS), before, "{name} {pointer} {secret:?}");
                }
            }
        }
    }
    assert_eq!(calls.made(), [] as [AwsAction; 0]);
    assert!(
        test_system.supabase().request_count(SETTINGS) > settings,
        "the sign-in page reads the settings where it may"
    );
    let reasons = |line: &Value| line["target"] == "request" && line["reason"] == "around the edge";
    assert!(test_system.lines().iter().any(reasons));

    for secret in [SECRET, NEXT] {
        for (method, path, expected) in [
            ("GET", "/.well-known/oauth-authorization-server", 200),
            ("POST", "/api/mcp/server", 401),
            ("POST", "/oauth/token", 400),
            ("GET", "/oauth/authorize", 400),
            ("GET", "/auth/login", 200),
        ] {
            assert_eq!(send(method, path, Some(secret)).await.status, expected, "{method} {path}");
        }
    }
}

/// The whole way through the edge, from sign-in to a call; and the audit says where the person was, not where the edge is.
#[tokio::test(flavor = "multi_thread")]
async fn connection_through_the_edge_works_and_names_its_address() {
    let test_system = TestSystem::with(|options| {
        behind_the_edge(options, "yes");
        options.set_headers = &[(VERIFY, NEXT), (VIEWER, "2001:db8:1:2:3:4:5:6:46532")];
    })
    .await;
    test_system.track_secret(NEXT);

    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;

    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    assert_eq!(connector.refresh(&tokens.refresh.unwrap()).await.status, 200);
    let approved = test_system.lines().into_iter().find(|line| line["event"] == "grant_approved").unwrap();
    assert_eq!(approved["ip"], "2001:db8:1:2:3:4:5:6");
}

/// Before it is closed, people still come around the edge: they are where API Gateway sees them, whatever they say of themselves.
#[tokio::test(flavor = "multi_thread")]
async fn address_of_the_edge_counts_only_with_its_secret() {
    let test_system = TestSystem::with(|options| behind_the_edge(options, "no")).await;
    let eve = test_system.person("ana@example.com");
    let form = Form::find(&eve.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", "ana@example.com").with("password", "guessed");
    let guesses = async |person: &Person<'_>, headers: &[(&str, &str)]| {
        let before = test_system.supabase().request_count("/auth/v1/token");
        for _ in 0..12 {
            person.submit_with(&form, &[&[("sec-fetch-site", "same-origin")], headers].concat()).await;
        }
        test_system.supabase().request_count("/auth/v1/token") - before
    };

    // Ten at once for each address (docs/decisions/0042-sign-in-limits.md).
    assert_eq!(guesses(&eve, &[(VERIFY, SECRET), (VIEWER, "198.51.100.7:1")]).await, 10);
    assert_eq!(guesses(&eve, &[(VERIFY, NEXT), (VIEWER, "198.51.100.7:2")]).await, 0);
    assert_eq!(guesses(&eve, &[(VERIFY, SECRET), (VIEWER, "198.51.100.8:1")]).await, 10);
    assert_eq!(guesses(&eve, &[(VIEWER, "198.51.100.9:1")]).await, 10);
    assert_eq!(guesses(&eve, &[(VERIFY, "wrong"), (VIEWER, "198.51.100.10:1")]).await, 0);
}
