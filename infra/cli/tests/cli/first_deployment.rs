//! `amble doctor --first-deployment`, and what it says of the account: all well where all is well, and each planted fault by its name.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use local::front::Front;
use local::{Options, System};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::program::Amble;

const NAMES: [&str; 8] =
    ["raw_query", "raw_host", "header_names", "slash", "head", "leading_keys", "throttles", "rollback"];

/// What is answered to a request in place of the system, by the request's head.
type PlantedAnswer = fn(&str) -> Option<&'static str>;

/// In front of the local system at the issuer's address, on bytes: what is no HTTP gets through as well.
struct RawProxy {
    origin: String,
    plant: Arc<Mutex<Option<PlantedAnswer>>>,
    _system: System,
}

impl RawProxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let front = Front::Proxy(origin.clone());
        let system = System::start(Options { demo: true, front, ..Options::default() }).await.unwrap();
        let to = system.local_origin().strip_prefix("http://").unwrap().to_owned();
        let plant: Arc<Mutex<Option<PlantedAnswer>>> = Arc::default();
        let planted = Arc::clone(&plant);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, to.clone(), Arc::clone(&planted)));
            }
        });
        Self { origin, plant, _system: system }
    }

    async fn reports(&self, plant: Option<PlantedAnswer>, more: &[&str]) -> (i32, Value) {
        *self.plant.lock().unwrap() = plant;
        let url = format!("{}/api/mcp/server", self.origin);
        let amble = Amble(Vec::new()).with("ANAS_PASSWORD", "ana-demo");
        let ended = amble.run(&[&["doctor", &url, "--json", "--first-deployment"], more].concat()).await;
        (ended.status, serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}")))
    }
}

async fn pass(mut stream: TcpStream, to: String, plant: Arc<Mutex<Option<PlantedAnswer>>>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let plant = *plant.lock().unwrap();
    // What the doctor sends byte for byte, and nothing else.
    let raw = text.contains("User-Agent: amble doctor\r\n");
    if let Some(answer) = plant.filter(|_| raw).and_then(|plant| plant(&text)) {
        let _ = stream.write_all(answer.as_bytes()).await;
        return;
    }
    let Ok(mut system) = TcpStream::connect(to).await else { return };
    if system.write_all(&head).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut system).await;
    }
}

/// Of the list: each check by its name, its verdict, and what was found.
fn list(report: &Value) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks =
        report["checks"].as_array().unwrap().iter().filter(|check| NAMES.contains(&check["check"].as_str().unwrap()));
    checks
        .map(|check| {
            let findings = check["findings"].as_array().unwrap().iter();
            let findings =
                findings.map(|it| format!("{} {}: {}", text(&it["verdict"]), text(&it["code"]), text(&it["seen"])));
            (text(&check["check"]), text(&check["verdict"]), findings.collect())
        })
        .collect()
}

fn seen<'a>(report: &'a Value, name: &str) -> &'a Value {
    &report["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap()["seen"]
}

const ANA: [&str; 4] = ["--person", "ana@example.com", "--password-env", "ANAS_PASSWORD"];

#[tokio::test(flavor = "multi_thread")]
async fn first_deployment_checks_pass_or_say_how_to_look() {
    let proxy = RawProxy::start().await;

    let (status, report) = proxy.reports(None, &ANA).await;

    let expected = [
        ("raw_query", "well"),
        ("raw_host", "well"),
        ("header_names", "well"),
        ("slash", "well"),
        ("head", "well"),
        ("leading_keys", "well"),
        ("throttles", "skipped"),
        ("rollback", "skipped"),
    ];
    let expected = expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned(), vec![]));
    assert_eq!((status, list(&report)), (0, expected.to_vec()), "{report}");
    assert_eq!(seen(&report, "raw_query")[0], "a document with a quotation mark in the query: 400 by a function");
    assert_eq!(seen(&report, "raw_host")[0], "a host with a quotation mark: 400 by a function");

    let (_, report) = proxy.reports(None, &[]).await;
    assert!(seen(&report, "leading_keys")[0].as_str().unwrap().starts_with("give --person"), "{report}");
    let url = format!("{}/api/mcp/server", proxy.origin);
    let without = Amble(Vec::new()).json(&["doctor", &url]).await;
    assert_eq!(list(&without), [], "not unless it is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_of_aws_is_found_and_named() {
    const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n\r\n{\"message\":\"Internal Server Error\"}";
    let proxy = RawProxy::start().await;
    let cases: [(&str, PlantedAnswer, &[&str]); 9] = [
        (
            "raw_query",
            |head| head.contains("?a=\"").then_some(FAILED),
            &[
                "broken raw_query_fails: a document with a quotation mark in the query is answered 500 by API Gateway",
                "broken raw_query_fails: a page with a quotation mark in the query is answered 500 by API Gateway",
            ],
        ),
        (
            "raw_query",
            |head| (head.starts_with("GET /oauth") && head.contains('\u{7f}')).then_some(FAILED),
            &["broken raw_query_fails: a page with DEL in the query is answered 500 by API Gateway"],
        ),
        (
            "raw_host",
            |head| head.contains("<>\r\n").then_some("HTTP/1.1 502 Bad Gateway\r\n\r\n"),
            &["broken raw_host_fails: a host with <> is answered 502 by something before the function"],
        ),
        (
            "header_names",
            |head| {
                head.starts_with("DELETE")
                    .then_some("HTTP/1.1 401 Unauthorized\r\nX-Amzn-Remapped-WWW-Authenticate: Bearer\r\n\r\n")
            },
            &[
                "broken header_renamed: DELETE is answered with x-amzn-remapped-www-authenticate in place of WWW-Authenticate",
            ],
        ),
        (
            "header_names",
            |head| head.starts_with("POST").then_some("HTTP/1.1 401 Unauthorized\r\n\r\n"),
            &["broken header_dropped: POST is answered 401 without WWW-Authenticate"],
        ),
        (
            "slash",
            |head| head.contains("/server/ HTTP").then_some("HTTP/1.1 301 Moved Permanently\r\n\r\n"),
            &["broken slash_answered: /api/mcp/server/ is answered 301 by something before the function"],
        ),
        (
            "slash",
            |head| head.contains("/server/ HTTP").then_some(FAILED),
            &["broken slash_answered: /api/mcp/server/ is answered 500 by API Gateway"],
        ),
        (
            "head",
            |head| head.starts_with("HEAD").then_some("HTTP/1.1 500 Internal Server Error\r\n\r\n"),
            &[
                "broken head_answered: HEAD /.well-known/oauth-protected-resource/api/mcp/server is answered 500 by something before the \
             function, or with a body",
            ],
        ),
        (
            "head",
            |head| head.starts_with("HEAD").then_some("HTTP/1.1 200 OK\r\n\r\nbody"),
            &[
                "broken head_answered: HEAD /.well-known/oauth-protected-resource/api/mcp/server is answered 200 by something before the \
             function, or with a body",
            ],
        ),
    ];
    for (name, plant, expected) in cases {
        let (status, report) = proxy.reports(Some(plant), &[]).await;
        let found: Vec<_> = list(&report).into_iter().filter(|(_, _, found)| !found.is_empty()).collect();
        let expected = vec![(name.to_owned(), "broken".to_owned(), expected.iter().map(ToString::to_string).collect())];
        assert_eq!((status, found), (1, expected), "{name}: {report}");
    }
    // A connection that is closed, or an answer that is none, is no failure of ours.
    let (status, report) = proxy.reports(Some(|head| head.contains("?a=").then_some("")), &[]).await;
    assert_eq!((status, &list(&report)[0].1), (0, &"well".to_owned()), "{report}");
    let (status, report) = proxy.reports(Some(|head| head.contains("?a=").then_some("SSH-2.0\r\n")), &[]).await;
    assert_eq!((status, &list(&report)[0].1), (0, &"skipped".to_owned()), "{report}");
}

/// A stack, and what Lambda says of its account.
async fn of_account(url: String, settings: (u16, Value)) -> Amble {
    let answer = move |request: Request| {
        let (url, settings) = (url.clone(), settings.clone());
        async move { aws(&request, &url, settings) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    Amble::of_environment(&address)
}

fn aws(request: &Request, url: &str, (status, settings): (u16, Value)) -> Response {
    if request.uri().path().starts_with("/2016-08-19/account-settings") {
        let kind = settings["__type"].as_str().unwrap_or_default().to_owned();
        let headers = [("x-amzn-errortype", kind), ("content-type", "application/json".to_owned())];
        return (StatusCode::from_u16(status).unwrap(), headers, settings.to_string()).into_response();
    }
    let output =
        |key, value| format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>");
    let outputs = output("TableClients", "clients") + &output("ConnectorUrl", url);
    format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks><member>\
         <StackName>amble</StackName><CreationTime>2026-11-29T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
         <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )
    .into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn low_lambda_concurrency_limit_is_reported() {
    let system = System::start(Options { demo: true, ..Options::default() }).await.unwrap();
    let limit = |limit: u32| json!({ "AccountLimit": { "ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": limit }, "AccountUsage": {} });
    let sentence =
        |limit| format!("at most {limit} functions run at the same time in us-east-1, those of other stacks included");
    let denied = json!({ "__type": "AccessDeniedException", "Message": "not allowed" });
    for (settings, verdict, told) in [
        ((200, limit(10)), "weak", sentence(10)),
        ((200, limit(99)), "weak", sentence(99)),
        ((200, limit(100)), "well", sentence(100)),
        ((403, denied), "skipped", "needs lambda:GetAccountSettings: not allowed".to_owned()),
    ] {
        let amble = of_account(system.mcp_url(), settings).await;
        let report = amble.json(&["doctor", "--stack", "amble"]).await;
        let check = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "account").unwrap();
        assert_eq!(check["verdict"], verdict, "{check}");
        let finding = &check["findings"][0];
        let said = if verdict == "weak" { &finding["seen"] } else { &check["seen"][0] };
        assert_eq!(said, &json!(told), "{check}");
        assert_eq!(finding.get("code"), (verdict == "weak").then_some(&json!("concurrency_low")), "{check}");
    }
    let without = Amble(Vec::new()).json(&["doctor", &system.mcp_url()]).await;
    assert!(without["checks"].as_array().unwrap().iter().all(|check| check["check"] != "account"), "{without}");
}
