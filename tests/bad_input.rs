//! Bad input to every endpoint: the right error each, nothing stored, no 5xx, no panic.

use test_system::TestSystem;

/// RFC 6749 §3.1, §3.2: repeated, oversized, truncated, mistyped, mis-encoded.
#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_by_every_endpoint_that_takes_one() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let test_system = TestSystem::new().await;
    let large = format!("grant_type={}", "x".repeat(20_000));
    let large_json = format!("{{\"client_name\":\"{}\"}}", "x".repeat(20_000));
    let deep = "[".repeat(10_000);

    for (path, kind, body, status, error) in [
        ("/oauth/token", FORM, b"grant_type=a&grant_type=b".as_slice(), 400, "invalid_request"),
        ("/oauth/token", FORM, b"client_id=a&client_id=a", 400, "invalid_request"),
        ("/oauth/token", FORM, large.as_bytes(), 413, "invalid_request"),
        ("/oauth/token", FORM, b"grant_type=%ff", 400, "invalid_request"),
        ("/oauth/token", FORM, b"grant_type=\xff", 400, "invalid_request"),
        ("/oauth/token", FORM, b"", 400, "invalid_request"),
        ("/oauth/token", FORM, b"&&&===&", 400, "invalid_request"),
        ("/oauth/token", "application/json", b"{\"grant_type\":\"refresh_token\"}", 400, "invalid_request"),
        ("/oauth/token", "text/plain", b"grant_type=refresh_token", 400, "invalid_request"),
        ("/oauth/token", "", b"grant_type=refresh_token", 400, "invalid_request"),
        ("/oauth/revoke", FORM, b"token=a&token=b", 400, "invalid_request"),
        ("/oauth/revoke", FORM, large.as_bytes(), 413, "invalid_request"),
        ("/oauth/revoke", FORM, b"token=%ff", 400, "invalid_request"),
        ("/oauth/revoke", FORM, b"", 400, "invalid_request"),
        ("/oauth/revoke", "application/json", b"{}", 400, "invalid_request"),
        (
            "/oauth/register",
            "application/json",
            b"{\"redirect_uris\":[\"https://a.exam",
            400,
            "invalid_client_metadata",
        ),
        ("/oauth/register", "application/json", b"", 400, "invalid_client_metadata"),
        ("/oauth/register", "application/json", b"\xff\xfe", 400, "invalid_client_metadata"),
        ("/oauth/register", "application/json", deep.as_bytes(), 400, "invalid_client_metadata"),
        ("/oauth/register", "application/json", large_json.as_bytes(), 413, "invalid_client_metadata"),
        (
            "/oauth/register",
            "application/json",
            b"{\"redirect_uris\":[\"https://a.example/\"],\"redirect_uris\":[\"https://b.example/\"]}",
            400,
            "invalid_client_metadata",
        ),
        ("/oauth/register", FORM, b"redirect_uris=https://a.example/", 400, "invalid_client_metadata"),
    ] {
        let answer = test_system.post_bytes(path, kind, body).await;

        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(answer.status, status, "{path} {kind} {shown}: {answer:?}");
        assert_eq!(answer.json()["error"], error, "{path} {kind} {shown}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    for table in ["clients", "grants"] {
        assert_eq!(test_system.count(table).await, 0, "{table}");
    }
}

/// The same at authorize, as pages.
#[tokio::test(flavor = "multi_thread")]
async fn bad_input_to_authorize_gets_a_page() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let test_system = TestSystem::new().await;

    for query in ["", "?", "?client_id=%ff", "?client_id=a&client_id=b", "?client_id=a%00b", "?=&=", "?%"] {
        let answer = test_system.get(&format!("/oauth/authorize{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{query}");
    }
    for (kind, body) in [(FORM, b"".as_slice()), (FORM, b"client_id=\xff"), ("application/json", b"{}"), ("", b"x")] {
        let answer = test_system.post_bytes("/oauth/authorize", kind, body).await;
        assert_eq!(answer.status, 400, "{kind} {body:?}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{kind} {body:?}");
    }
    assert_eq!(test_system.count("grants").await, 0);
}

/// API Gateway knows which methods there are; nothing else reaches a function.
#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_not_found() {
    let test_system = TestSystem::new().await;

    for (method, path) in [
        ("GET", "/oauth/token"),
        ("GET", "/oauth/register"),
        ("GET", "/oauth/revoke"),
        ("PUT", "/oauth/token"),
        ("DELETE", "/oauth/authorize"),
        ("OPTIONS", "/oauth/authorize"),
        ("POST", "/.well-known/jwks.json"),
        ("PATCH", "/api/mcp/server"),
        ("POST", "/oauth/token/"),
        ("POST", "//oauth/token"),
        ("POST", "/OAUTH/TOKEN"),
    ] {
        let answer = test_system.request(method, path).await;
        assert!(matches!(answer.status, 403 | 404), "{method} {path}: {answer:?}");
    }
}

/// What no client of HTTP would send, and every attacker can: the function refuses it, in its own kind of answer.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_queries_and_hosts_are_refused_by_the_function() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let test_system = TestSystem::new().await;
    let authority = test_system.issuer().strip_prefix("http://").unwrap().to_owned();
    let json = "application/json";
    for (line, host, kind) in [
        ("GET /.well-known/jwks.json?a=\"", "", json),
        ("POST /oauth/token?<", "", json),
        ("POST /api/mcp/server? ", "", json),
        ("GET /oauth/authorize?client_id=\"&state=\u{7f}", "", "text/html"),
        ("GET /auth/login?next=>", "", "text/html"),
        ("GET /admin?\"", "", "text/html"),
        ("GET /admin/api/connections?\"", "", json),
        ("GET /oauth/authorize", "\"", "text/html"),
        ("POST /oauth/register", "<>", json),
    ] {
        let mut stream = tokio::net::TcpStream::connect(&authority).await.unwrap();
        let (method, path) = line.split_once(' ').unwrap();
        let target = test_system.placed_at(path);
        let line = format!("{method} {}", target.strip_prefix(&test_system.issuer()).unwrap());
        let request = format!("{line} HTTP/1.1\r\nHost: {authority}{host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();

        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line}: {answer}"));
        assert!(head.starts_with("HTTP/1.1 400 "), "{line}: {answer}");
        for header in [&format!("content-type: {kind}"), "x-content-type-options: nosniff", "apigw-requestid: "] {
            assert!(head.contains(header), "{line}: {head}");
        }
        let shape = if kind == json {
            body.starts_with("{\"error\":") || body.contains("-32600")
        } else {
            body.contains("<h1>")
        };
        assert!(shape && !body.contains("made-up"), "{line}: {body}");
    }
    // One line for each, like any other request's.
    let lines = test_system.lines().into_iter().filter(|line| line["target"] == "request");
    let reasons: Vec<_> = lines.map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons.len(), 9, "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.contains("is malformed")), "{reasons:?}");
}

/// RFC 8259 §4: which of two members of a name counts is left open, and so the message has no meaning. JSON-RPC 2.0 §5.1.
#[tokio::test(flavor = "multi_thread")]
async fn json_rpc_message_with_a_member_twice_is_refused() {
    let test_system = TestSystem::new().await;
    let key = test_system.api_key();

    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_skills","name":"read_skill","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_skill","arguments":{"name":"a","name":"b"}}}"#,
    ] {
        let url = test_system.absolute("/api/mcp/server");
        let request = test_system.http().post(url).bearer_auth(&key).header("content-type", "application/json");
        let answer = test_system.send(request.body(body)).await;

        let error = serde_json::json!({ "code": -32700, "message": "The body is not JSON" });
        assert_eq!((answer.status, answer.json()["error"].clone()), (400, error), "{body}");
    }
}
