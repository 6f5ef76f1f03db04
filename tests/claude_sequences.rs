//! What Claude sends, request by request: the hosted client behind Cowork and claude.ai, and Claude Code. Each ends connected.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use test_system::TestSystem;
use test_system::connector::{AuthorizationRequest, Tokens};
use test_system::http_response::HttpResponse;

use crate::events::event;

const MCP: &str = "/api/mcp/server";
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const EITHER: (&str, &str) = ("accept", "application/json, text/event-stream");
const STREAM: (&str, &str) = ("accept", "text/event-stream");
const MODERN: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
const LEGACY: (&str, &str) = ("mcp-protocol-version", "2025-11-25");

/// One of Claude's programs, at our door.
struct Claude<'w> {
    test_system: &'w TestSystem,
    agent: &'static str,
}

impl Claude<'_> {
    async fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: String) -> HttpResponse {
        let request =
            self.test_system.http().request(method, self.test_system.absolute(url)).header("user-agent", self.agent);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.test_system.send(if body.is_empty() { request } else { request.body(body) }).await
    }

    async fn get(&self, url: &str, headers: &[(&str, &str)]) -> HttpResponse {
        self.send(Method::GET, url, headers, String::new()).await
    }

    async fn post(&self, url: &str, headers: &[(&str, &str)], body: &Value) -> HttpResponse {
        self.send(Method::POST, url, headers, body.to_string()).await
    }

    /// Without an `Accept` of its own, as `python-httpx` posts forms.
    async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> HttpResponse {
        self.send(Method::POST, url, &[FORM], test_system::person::encoded(fields)).await
    }
}

/// A request of the 2026-07-28 era.
fn modern(id: u32, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "claude-ai", "version": "0.1.0" },
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn legacy(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn initialize(name: &str) -> Value {
    let about = json!({ "name": name, "version": "2.1.280" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "roots": {} }, "clientInfo": about });
    legacy(0, "initialize", &params)
}

/// The value of a parameter of a challenge (RFC 9110 §11.2).
fn parameter(answer: &HttpResponse, name: &str) -> String {
    assert_eq!(answer.status, 401, "{answer:?}");
    let challenge = answer.header("www-authenticate").unwrap_or_else(|| panic!("no challenge: {answer:?}"));
    let (_, rest) = challenge.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{challenge}"));
    rest.split('"').next().unwrap().to_owned()
}

/// PKCE and `state` of one attempt, in the browser's address.
fn asks(test_system: &TestSystem, server: &Value, parameters: &[(&str, &str)]) -> AuthorizationRequest {
    let (verifier, state) = (test_system.random(), test_system.random());
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let own = [("state", state.as_str()), ("code_challenge", &challenge), ("code_challenge_method", "S256")];
    let endpoint = server["authorization_endpoint"].as_str().unwrap();
    let url = url::Url::parse_with_params(endpoint, parameters.iter().chain(&own)).unwrap();
    AuthorizationRequest { url: url.into(), verifier, state }
}

/// The person's part: the browser goes there and back.
async fn approved(test_system: &TestSystem, ask: &AuthorizationRequest, callback: &str) -> String {
    let landed = test_system.person("ana@example.com").approve(ask, "acme").await;
    assert_eq!(landed.status, 303, "{landed:?}");
    assert!(landed.location().starts_with(&format!("{callback}?")), "{landed:?}");
    let back = landed.redirect_parameters();
    assert_eq!((&back["state"], &back["iss"]), (&ask.state, &test_system.issuer()));
    back["code"].clone()
}

/// One set of tokens after another, from the first a second old to two at once.
async fn refreshes(claude: &Claude<'_>, endpoint: &str, client_id: &str, first: Tokens, resource: &str) -> Tokens {
    let test_system = claude.test_system;
    let refresh = async |token: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", client_id),
            ("resource", resource),
        ];
        claude.post_form(endpoint, &form).await.tokens(test_system)
    };
    // 1.15 s after the exchange.
    test_system.advance(1);
    let second = refresh(first.refresh.as_ref().unwrap()).await;
    // Twice at once, by two ways out of the same data centre: both get the same.
    let token = second.refresh.unwrap();
    let (one, two) = tokio::join!(refresh(&token), refresh(&token));
    assert_eq!(one.refresh, two.refresh);
    // Up to five minutes before the token expires.
    test_system.advance(3600 - 300);
    refresh(&one.refresh.unwrap()).await
}

/// Cowork, claude.ai, Desktop and mobile.
#[tokio::test(flavor = "multi_thread")]
async fn hosted_claude_connects() {
    let test_system = TestSystem::new().await;
    let server = Claude { test_system: &test_system, agent: "Claude-User" };
    let httpx = Claude { test_system: &test_system, agent: "python-httpx/0.28.1" };
    let callback = test_system::CALLBACK;

    // Probes without a token, of each method, before anything else is judged.
    for answer in [
        server.get(MCP, &[STREAM]).await,
        server.send(Method::DELETE, MCP, &[], String::new()).await,
        server.post(MCP, &[JSON], &json!({})).await,
        server.send(Method::POST, MCP, &[], String::new()).await,
    ] {
        assert_eq!(
            parameter(&answer, "resource_metadata"),
            test_system.at(&format!("/.well-known/oauth-protected-resource{MCP}"))
        );
    }
    let discover = [JSON, EITHER, MODERN, ("mcp-method", "server/discover")];
    let challenged = server.post(MCP, &discover, &modern(0, "server/discover", json!({}))).await;
    let scope = parameter(&challenged, "scope");

    // Discovery: where the challenge says, at the root, and with the path at the authorization server too.
    let protected = httpx.get(&parameter(&challenged, "resource_metadata"), &[]).await.json();
    assert_eq!(httpx.get("/.well-known/oauth-protected-resource", &[]).await.json(), protected);
    assert_eq!(protected["resource"], test_system.mcp_url());
    let issuer = protected["authorization_servers"][0].as_str().unwrap();
    assert_eq!(httpx.get("/.well-known/openid-configuration", &[]).await.status, 404);
    let server_metadata = httpx.get(&format!("{issuer}/.well-known/oauth-authorization-server"), &[]).await.json();
    assert_eq!(server_metadata["issuer"], issuer);

    // Registration, as recorded, twice per connect.
    let recorded: Value = serde_json::from_str(&event("register/claude")).unwrap();
    let recorded = serde_json::from_str(recorded["body"].as_str().unwrap()).unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let endpoint = server_metadata["registration_endpoint"].as_str().unwrap();
        let registered = httpx.post(endpoint, &[JSON], &recorded).await;
        assert_eq!((registered.status, &registered.json()["token_endpoint_auth_method"]), (201, &json!("none")));
        ids.push(registered.json()["client_id"].as_str().unwrap().to_owned());
    }
    assert_eq!((ids[0] == ids[1], test_system.count("clients").await), (true, 1));
    let client_id = ids[1].as_str();

    // The browser.
    let resource = test_system.mcp_url();
    let scope = format!("{scope} offline_access");
    let ask = asks(
        &test_system,
        &server_metadata,
        &[
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", callback),
            ("scope", &scope),
            ("resource", &resource),
        ],
    );
    let code = approved(&test_system, &ask, callback).await;

    // Tokens.
    let endpoint = server_metadata["token_endpoint"].as_str().unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", callback),
        ("client_id", client_id),
        ("code_verifier", &ask.verifier),
        ("resource", &resource),
    ];
    let first = httpx.post_form(endpoint, &form).await.tokens(&test_system);
    assert_eq!(first.scope, scope);
    let tokens = refreshes(&httpx, endpoint, client_id, first, &resource).await;

    // Connected: discovery of the modern era, and then the legacy handshake all the same.
    let bearer = format!("Bearer {}", tokens.access);
    let bearer = ("authorization", bearer.as_str());
    let found = server.post(MCP, &[&discover[..], &[bearer]].concat(), &modern(1, "server/discover", json!({}))).await;
    assert_eq!(found.status, 200, "{found:?}");
    assert!(
        found.json()["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")),
        "{found:?}"
    );
    let begun = server.post(MCP, &[JSON, EITHER, bearer], &initialize("claude-ai")).await;
    assert_eq!((begun.status, &begun.json()["result"]["protocolVersion"]), (200, &json!("2025-11-25")));
    assert_eq!(begun.header("mcp-session-id"), None);
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(server.post(MCP, &[JSON, EITHER, bearer], &initialized).await.status, 202);
    assert_eq!(server.get(MCP, &[STREAM, bearer]).await.status, 405);
    // It may leave the version out.
    for version in [&[][..], &[LEGACY]] {
        let headers = [&[JSON, EITHER, bearer], version].concat();
        let listed = server.post(MCP, &headers, &legacy(2, "tools/list", &json!({}))).await;
        assert!(listed.body.contains("roll_dice"), "{listed:?}");
    }
    let headers = [JSON, EITHER, bearer, MODERN, ("mcp-method", "tools/call"), ("mcp-name", "roll_dice")];
    let params = json!({ "name": "roll_dice", "arguments": { "dice": 2, "sides": 6 } });
    let rolled = server.post(MCP, &headers, &modern(3, "tools/call", params)).await;
    assert_eq!(rolled.json()["result"]["structuredContent"]["rolls"].as_array().unwrap().len(), 2, "{rolled:?}");
    assert_eq!(server.send(Method::DELETE, MCP, &[bearer], String::new()).await.status, 405);
}

/// Claude Code: another port at each connect, and a slash behind the resource.
#[tokio::test(flavor = "multi_thread")]
async fn claude_code_connects() {
    let test_system = TestSystem::new().await;
    let code = Claude { test_system: &test_system, agent: "claude-code/2.1.280 (cli)" };
    let recorded: Value = serde_json::from_str(&event("register/claude-code")).unwrap();
    let recorded: Value = serde_json::from_str(recorded["body"].as_str().unwrap()).unwrap();
    let mut ids = Vec::new();

    for (callback, slash) in [
        ("http://localhost:54213/callback", ""),
        ("http://localhost:61001/callback", "/"),
        ("http://127.0.0.1:40522/callback", ""),
        ("http://127.0.0.1:40523/callback", "/"),
    ] {
        // Its probe of the modern era, then the handshake; both without a token.
        let discover = [JSON, EITHER, MODERN, ("mcp-method", "server/discover")];
        parameter(&code.post(MCP, &discover, &modern(0, "server/discover", json!({}))).await, "resource_metadata");
        let challenged = code.post(MCP, &[JSON, EITHER], &initialize("claude-code")).await;
        let scope = parameter(&challenged, "scope");

        let version = &[LEGACY][..];
        let protected = code.get(&parameter(&challenged, "resource_metadata"), version).await.json();
        let issuer = protected["authorization_servers"][0].as_str().unwrap();
        let server_metadata =
            code.get(&format!("{issuer}/.well-known/oauth-authorization-server"), version).await.json();
        assert_eq!(server_metadata["issuer"], issuer);

        let mut asked = recorded.clone();
        asked["redirect_uris"] = json!([callback]);
        let endpoint = server_metadata["registration_endpoint"].as_str().unwrap();
        let registered = code.post(endpoint, &[JSON, ("accept", "application/json")], &asked).await;
        assert_eq!((registered.status, &registered.json()["redirect_uris"]), (201, &json!([callback])));
        let client_id = registered.json()["client_id"].as_str().unwrap().to_owned();
        ids.push(client_id.clone());

        let resource = format!("{}{slash}", test_system.mcp_url());
        let parameters = [
            ("response_type", "code"),
            ("client_id", client_id.as_str()),
            ("redirect_uri", callback),
            ("scope", &scope),
            ("resource", &resource),
        ];
        let ask = asks(&test_system, &server_metadata, &parameters);
        let authorization = approved(&test_system, &ask, callback).await;
        let endpoint = server_metadata["token_endpoint"].as_str().unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", authorization.as_str()),
            ("code_verifier", &ask.verifier),
            ("redirect_uri", callback),
            ("client_id", &client_id),
            ("resource", &resource),
        ];
        let first = code.post_form(endpoint, &form).await.tokens(&test_system);
        let tokens = refreshes(&code, endpoint, &client_id, first, &resource).await;

        let bearer = format!("Bearer {}", tokens.access);
        let bearer = ("authorization", bearer.as_str());
        let found =
            code.post(MCP, &[&discover[..], &[bearer]].concat(), &modern(1, "server/discover", json!({}))).await;
        assert_eq!(found.status, 200, "{found:?}");
        let begun = code.post(MCP, &[JSON, EITHER, bearer], &initialize("claude-code")).await;
        assert_eq!((begun.status, &begun.json()["result"]["protocolVersion"]), (200, &json!("2025-11-25")));
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(code.post(MCP, &[JSON, EITHER, LEGACY, bearer], &initialized).await.status, 202);
        assert_eq!(code.get(MCP, &[STREAM, LEGACY, bearer]).await.status, 405);
        let listed = code.post(MCP, &[JSON, EITHER, LEGACY, bearer], &legacy(1, "tools/list", &json!({}))).await;
        assert!(listed.body.contains("roll_dice"), "{listed:?}");
        let call = json!({ "name": "roll_dice", "arguments": { "dice": 1, "sides": 6 } });
        let rolled = code.post(MCP, &[JSON, EITHER, LEGACY, bearer], &legacy(2, "tools/call", &call)).await;
        assert_eq!(rolled.json()["result"]["structuredContent"]["rolls"].as_array().unwrap().len(), 1, "{rolled:?}");
        // Signing in again, it gives back what it had.
        let form = [("token", tokens.refresh.as_deref().unwrap()), ("client_id", &client_id)];
        assert_eq!(code.post_form(server_metadata["revocation_endpoint"].as_str().unwrap(), &form).await.status, 200);
        parameter(&code.post(MCP, &[JSON, EITHER, LEGACY, bearer], &legacy(3, "ping", &json!({}))).await, "error");
    }
    // One client for each host it calls itself by, whatever the port.
    assert_eq!((&ids[0], &ids[2]), (&ids[1], &ids[3]));
    assert_eq!(test_system.count("clients").await, 2);
}
