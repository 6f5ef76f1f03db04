//! Calling the MCP server (MCP 2026-07-28, 2025-11-25; RFC 6750, RFC 9728).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fakes::kms::key_spec::KeySpec;
use local::key_arn::{KeyPurpose, key_arn};
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;

fn tool_names(answer: &HttpResponse) -> Vec<String> {
    let body = answer.json();
    let tools = body["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// RFC 6750 §3, RFC 9728 §5.1: whatever the method, before anything else.
#[tokio::test(flavor = "multi_thread")]
async fn request_without_credentials_is_challenged() {
    let test_system = TestSystem::new().await;
    let document = test_system.at("/.well-known/oauth-protected-resource/api/mcp/server");
    let basic = format!("Bearer resource_metadata=\"{document}\", scope=\"tools:execute skills:read views:read\"");

    for method in ["GET", "DELETE", "POST"] {
        let answer = test_system.request(method, "/api/mcp/server").await;

        assert_eq!(answer.status, 401, "{method}");
        assert_eq!(answer.header("www-authenticate"), Some(basic.as_str()), "{method}");
        assert_eq!(answer.header("x-challenge"), None, "the gateway takes it away");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.json();
        assert_eq!(body["resource_metadata"], document, "{body}");
        assert_eq!(body["scope"], "tools:execute skills:read views:read", "{body}");
    }
}

/// RFC 9068 §4, and the grant behind the token: our own signature is not enough, if what it signs is not what the grant says.
#[tokio::test(flavor = "multi_thread")]
async fn token_claims_must_match_the_grant() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let ben = test_system.person_id("ben@example.com");
    let call = async |claim: &str, value: &str| {
        let token = signed_again(&test_system, &tokens.access, claim, value).await;
        test_system.call(Some(&token), "tools/call", json!({ "name": "list_views", "arguments": {} })).await
    };

    // As it is, it comes in, and lacks the scope.
    assert_eq!(call("jti", "another").await.status, 403);
    for (claim, value) in [
        ("tenant", "globex"),
        ("sub", ben.as_str()),
        ("client_id", "c_another"),
        ("aud", &test_system.mcp_url_of("acme")),
        ("iss", "https://another.example"),
        ("grant", "AAAAAAAAAAAAAAAAAAAAAA"),
    ] {
        assert_eq!(call(claim, value).await.status, 401, "{claim}");
    }
    assert_eq!(call("scope", "skills:read views:read").await.status, 403, "more than was approved");
}

/// What signs tool tokens signs no access token, whatever the header and the claims say: not by its own name, nor by the other's.
#[tokio::test(flavor = "multi_thread")]
async fn access_token_signed_by_the_key_of_tool_tokens_is_rejected() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let (header, claims) = test_system::claims(&tokens.access);
    let by = async |key: &str, kid: &Value| {
        let mut header = header.clone();
        header["kid"] = kid.clone();
        let token = signed(&test_system, key, &header, &claims).await;
        test_system.call(Some(&token), "tools/list", json!({})).await
    };
    let of_tools = key_arn(KeyPurpose::ToolTokens, KeySpec::Rsa2048);
    let published = test_system.get("/tools/.well-known/jwks.json").await.json()["keys"].clone();
    assert_eq!(published.as_array().unwrap().len(), 1);

    assert_eq!(by(test_system.system().signing_key(), &header["kid"]).await.status, 200, "as it is");
    for kid in [&published[0]["kid"], &header["kid"]] {
        let answer = by(&of_tools, kid).await;
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_token")));
    }
}

/// A token with another claim, signed by our own key.
async fn signed_again(test_system: &TestSystem, token: &str, claim: &str, value: &str) -> String {
    let (header, mut claims) = test_system::claims(token);
    claims[claim] = json!(value);
    signed(test_system, test_system.system().signing_key(), &header, &claims).await
}

/// A token of that header and those claims, signed by KMS with `key`.
async fn signed(test_system: &TestSystem, key: &str, header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let asked = json!({
        "KeyId": key,
        "Message": STANDARD.encode(&message),
        "MessageType": "RAW",
        "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
    });
    let request =
        reqwest::Client::new().post(test_system.system().kms_url()).header("x-amz-target", "TrentService.Sign");
    let request = request.header("content-type", "application/x-amz-json-1.1").header(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=00",
    );
    let answer = request.body(asked.to_string()).send().await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let signature = STANDARD.decode(answer["Signature"].as_str().unwrap_or_else(|| panic!("{answer}"))).unwrap();
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    test_system.track_secret(&token);
    token
}

/// RFC 6750 §3.1: `invalid_token`, for whatever is wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_token_is_rejected() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let good = tokens.access.as_str();
    let parts: Vec<_> = good.split('.').collect();
    let (mistyped_key, other) = (format!("{}A", test_system.api_key()), test_system.random());
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let swapped = format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len()));

    for token in [
        "x",
        "a.b.c",
        other.as_str(),
        unsigned.as_str(),
        swapped.as_str(),
        &good[..good.len() - 2],
        mistyped_key.as_str(),
        "sk_",
        "sk_AAAA",
        tokens.refresh.as_deref().unwrap(),
    ] {
        let answer = test_system.call(Some(token), "tools/list", json!({})).await;

        assert_eq!(answer.status, 401, "{token}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer error=\"invalid_token\", "), "{challenge}");
        assert!(challenge.contains("resource_metadata=\""), "{challenge}");
        assert_eq!(answer.json()["error"], "invalid_token", "{token}");
    }
    assert_eq!(test_system.call(Some(good), "tools/list", json!({})).await.status, 200);
    // RFC 9110 §11.1: the scheme in any case. OAuth 2.1 §5.1: never from the query.
    let request = |scheme: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
        test_system
            .http()
            .post(test_system.mcp_url())
            .header("content-type", "application/json")
            .body(body)
            .header("authorization", format!("{scheme} {good}"))
    };
    assert_eq!(test_system.send(request("bearer")).await.status, 200);
    assert_eq!(test_system.send(request("Basic")).await.status, 401);
    assert_eq!(test_system.request("POST", &format!("/api/mcp/server?access_token={good}")).await.status, 401);
}

/// RFC 9068 §4, RFC 8707: a token for elsewhere, or by somebody else, opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn token_of_another_deployment_is_rejected() {
    let (one, two) = (TestSystem::new().await, TestSystem::new().await);
    let (_, tokens) = one.connect("ana@example.com", "acme", "skills:read").await;

    // Both sign with the same key in this process: issuer and audience are what keep them apart.
    assert_eq!(two.call(Some(&tokens.access), "tools/list", json!({})).await.status, 401);
}

/// Revoking a grant is effective at the next call, though the token is good for an hour.
#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_and_authorized_by_scope() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;

    let listed = connector.call(&tokens.access, "tools/list", json!({})).await;
    let ours = shared::store::workspace::tool::BUILT_IN.len();
    assert_eq!(tool_names(&listed).len(), ours, "ours, as the role allows them, and none of the tenant's");

    for name in ["list_views", "read_view", "roll_dice"] {
        let refused = connector.tool(&tokens.access, name, json!({})).await;

        assert_eq!(refused.status, 403, "{name} {refused:?}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", "), "{challenge}");
        let needed = if name == "roll_dice" { "tools:execute skills:read" } else { "skills:read views:read" };
        assert!(challenge.contains(&format!("scope=\"{needed}\"")), "{challenge}");
        assert_eq!(refused.json()["error"]["data"]["error"], "insufficient_scope");
        assert_eq!(refused.json()["scope"], needed);
    }
}

/// The things of one tenant, and never another's.
#[tokio::test(flavor = "multi_thread")]
async fn each_connection_sees_its_own_tenant() {
    let test_system = TestSystem::new().await;
    let (connector, in_acme) = test_system.connect("ana@example.com", "acme", "skills:read views:read").await;
    let (_, in_globex) = test_system.connect("ana@example.com", "globex", "skills:read views:read").await;
    let list = async |token: &str| {
        let answer = connector.tool(token, "list_skills", json!({})).await;
        answer.json()["result"]["structuredContent"].clone()
    };

    let (acme, globex) = (list(&in_acme.access).await, list(&in_globex.access).await);

    assert_ne!(acme, globex);
    let name = acme["skills"][0]["name"].as_str().unwrap_or_else(|| panic!("{acme}"));
    let read = connector.tool(&in_acme.access, "read_skill", json!({ "name": name })).await;
    assert_ne!(read.json()["result"]["isError"], true, "{read:?}");
    let known: Vec<_> = globex["skills"].as_array().unwrap().iter().map(|skill| skill["name"].clone()).collect();
    if !known.contains(&Value::from(name)) {
        let foreign = connector.tool(&in_globex.access, "read_skill", json!({ "name": name })).await;
        assert_eq!(foreign.json()["result"]["isError"], true, "{foreign:?}");
    }
}

/// MCP 2025-11-25 "Lifecycle": the version that was asked for, if it is one of ours.
#[tokio::test(flavor = "multi_thread")]
async fn initialize_negotiates_the_protocol_version() {
    let test_system = TestSystem::new().await;
    let key = test_system.api_key();

    for (asked, answered) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let params =
            json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answer = test_system.call(Some(&key), "initialize", params).await;

        assert_eq!(answer.status, 200, "{asked}");
        let result = answer.json()["result"].clone();
        assert_eq!(result["protocolVersion"], answered, "{asked}");
        assert_eq!(result["serverInfo"]["name"], "amble-connect");
        assert!(result["capabilities"]["tools"].is_object(), "{result}");
        assert_eq!(answer.header("mcp-session-id"), None);
    }
    let notified = test_system.http().post(test_system.mcp_url()).header("authorization", format!("Bearer {key}"));
    let notified = notified.header("content-type", "application/json");
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(test_system.send(notified.body(body.to_string())).await.status, 202);
    assert_eq!(test_system.call(Some(&key), "ping", json!({})).await.json()["result"], json!({}));
}

/// MCP 2026-07-28 "Streamable HTTP" and "Versioning".
#[tokio::test(flavor = "multi_thread")]
async fn version_2026_07_28_is_declared_by_each_request() {
    let test_system = TestSystem::new().await;
    let key = test_system.api_key();
    let meta = |version: &str| {
        json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
        })
    };
    let send = async |method: &str, params: Value, headers: &[(&str, &str)]| {
        let body = json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params }).to_string();
        let request = test_system.http().post(test_system.mcp_url()).header("authorization", format!("Bearer {key}"));
        let request = request.header("content-type", "application/json").body(body);
        test_system.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };
    let now = "2026-07-28";

    let discovered = send(
        "server/discover",
        json!({ "_meta": meta(now) }),
        &[("mcp-protocol-version", now), ("mcp-method", "server/discover")],
    )
    .await;
    assert_eq!(discovered.status, 200, "{discovered:?}");
    let result = discovered.json()["result"].clone();
    assert_eq!(result["resultType"], "complete", "{result}");
    assert!(result["supportedVersions"].as_array().unwrap().contains(&json!(now)), "{result}");
    assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{result}");

    let listed = send(
        "tools/list",
        json!({ "_meta": meta(now) }),
        &[("mcp-protocol-version", now), ("mcp-method", "tools/list")],
    )
    .await;
    assert_eq!(listed.json()["result"]["cacheScope"], "private", "{listed:?}");
    assert_eq!(listed.json()["id"], "a");

    for (method, params, headers, status, code) in [
        ("tools/list", json!({ "_meta": meta(now) }), vec![("mcp-method", "tools/list")], 400, -32020),
        ("tools/list", json!({ "_meta": meta(now) }), vec![("mcp-protocol-version", now)], 400, -32020),
        (
            "tools/list",
            json!({ "_meta": meta(now) }),
            vec![("mcp-protocol-version", now), ("mcp-method", "ping")],
            400,
            -32020,
        ),
        (
            "tools/list",
            json!({ "_meta": meta("2030-01-01") }),
            vec![("mcp-protocol-version", "2030-01-01"), ("mcp-method", "tools/list")],
            400,
            -32022,
        ),
        ("tools/list", json!({}), vec![("mcp-protocol-version", now), ("mcp-method", "tools/list")], 400, -32602),
        (
            "ping",
            json!({ "_meta": meta(now) }),
            vec![("mcp-protocol-version", now), ("mcp-method", "ping")],
            404,
            -32601,
        ),
        (
            "made/up",
            json!({ "_meta": meta(now) }),
            vec![("mcp-protocol-version", now), ("mcp-method", "made/up")],
            404,
            -32601,
        ),
        (
            "tools/call",
            json!({ "name": "list_skills", "_meta": meta(now) }),
            vec![("mcp-protocol-version", now), ("mcp-method", "tools/call")],
            400,
            -32020,
        ),
    ] {
        let answer = send(method, params, &headers).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{method} {headers:?} {answer:?}"
        );
    }
}

/// What is not JSON-RPC, or not allowed.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_get_the_right_error() {
    let test_system = TestSystem::new().await;
    let key = test_system.api_key();
    let post = |body: Vec<u8>| {
        let request = test_system.http().post(test_system.mcp_url()).header("authorization", format!("Bearer {key}"));
        request.header("content-type", "application/json").body(body)
    };

    for (body, status, code) in [
        (b"{".to_vec(), 400, -32700),
        (b"\xff".to_vec(), 400, -32700),
        (b"".to_vec(), 400, -32700),
        (b"[]".to_vec(), 400, -32600),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]".to_vec(), 400, -32600),
        (b"7".to_vec(), 400, -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1}".to_vec(), 400, -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"made/up\"}".to_vec(), 200, -32601),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"made_up\"}}".to_vec(),
            200,
            -32602,
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":\"made up\"}}".to_vec(),
            200,
            -32602,
        ),
    ] {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let answer = test_system.send(post(body)).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{shown} {answer:?}");
    }
    let large = test_system.send(post(vec![b' '; 5 * 1024 * 1024])).await;
    assert_eq!(large.status, 413);

    for method in ["GET", "DELETE"] {
        let request =
            test_system.http().request(method.parse().unwrap(), test_system.mcp_url()).header("x-api-key", &key);
        let answer = test_system.send(request).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    let foreign = test_system.send(post(b"{}".to_vec()).header("origin", "https://evil.example")).await;
    assert_eq!(foreign.status, 403);
}

/// The gateway of AWS may rename the challenge; the template's mapping brings it back.
#[tokio::test(flavor = "multi_thread")]
async fn challenge_survives_a_gateway_that_renames_the_header() {
    let test_system = TestSystem::with(|options| options.rename_challenge = true).await;

    let answer = test_system.request("POST", "/api/mcp/server").await;

    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer resource_metadata=\""), "{answer:?}");
}
