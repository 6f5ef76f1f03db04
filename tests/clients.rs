//! Real clients, unmodified, connect by themselves from the URL alone.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, GetPromptRequestParams, ReadResourceRequestParams, object};
use rmcp::service::{RoleClient, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthorizationCallback, AuthorizationRequest as RmcpAuthorizationRequest, CredentialStore,
    InMemoryCredentialStore, OAuthState, StoredCredentials,
};
use rmcp::transport::streamable_http_client::{InsufficientScopeError, StreamableHttpClientTransportConfig};
use serde_json::{Value, json};
use test_system::connector::AuthorizationRequest;
use test_system::{TestSystem, claims};

use crate::callback_port::callback_port;
use crate::script::{Script, at};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn the_typescript_sdk_connects_by_itself() {
    let test_system = TestSystem::new().await;
    let mut script =
        Script::start("node", "tests/clients/typescript-sdk/connect.mjs", &[&test_system.mcp_url(), "refreshing"]);

    let first = connects(&test_system, &mut script, "2025-11-25").await;

    // It cannot step up while it holds a refresh token, and is no worse off for having tried.
    let (gave_up, second) = said_with_tokens(&test_system, &mut script, "gave up").await;
    assert!(gave_up["error"].as_str().unwrap().contains("403"), "{gave_up}");
    assert_refreshed(&first, &second);
    stays(&test_system, script, &second, "list_skills").await;
}

/// Without a refresh token it asks for what the server names, and for nothing else: so the server names what it has as well.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn typescript_sdk_steps_up_without_a_refresh_token() {
    let test_system = TestSystem::new().await;
    let mut script =
        Script::start("node", "tests/clients/typescript-sdk/connect.mjs", &[&test_system.mcp_url(), "once"]);

    let first = connects(&test_system, &mut script, "2025-11-25").await;

    assert_eq!(first["refresh_token"], Value::Null);
    steps_up(&test_system, &mut script, &first).await;
    script.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn the_typescript_client_connects_by_itself() {
    let test_system = TestSystem::new().await;
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let script = "tests/clients/typescript-client/connect.mjs";
        let mut script = Script::start("node", script, &[&test_system.mcp_url(), mode]);

        let first = connects(&test_system, &mut script, version).await;
        let second = steps_up(&test_system, &mut script, &first).await;
        stays(&test_system, script, &second, "list_documents").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of PyPI, which tests/run installs"]
async fn the_python_sdk_connects_by_itself() {
    let test_system = TestSystem::new().await;
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let python = at("target/clients/python/bin/python");
        let mut script = Script::start(python, "tests/clients/python/connect.py", &[&test_system.mcp_url(), mode]);

        let first = connects(&test_system, &mut script, version).await;
        let second = steps_up(&test_system, &mut script, &first).await;
        stays(&test_system, script, &second, "list_documents").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_connects_by_itself() {
    let test_system = TestSystem::new().await;
    test_system.stop_cutting_pages();
    let mut state = OAuthState::new(test_system.mcp_url(), None).await.unwrap();
    let store = InMemoryCredentialStore::new();
    let OAuthState::Unauthorized(manager) = &mut state else { panic!("a new state") };
    manager.set_credential_store(store.clone());

    let request = RmcpAuthorizationRequest::new("http://localhost:49162/callback").with_client_name("Rust SDK");
    state.start_authorization(request).await.unwrap();
    let redirected = approve(&test_system, &state.get_authorization_url().await.unwrap(), &NAMED).await;
    state.handle_callback_url(&redirected).await.unwrap();
    let first = remembered(&test_system, &store).await;

    let client = AuthClient::new(reqwest::Client::new(), state.into_authorization_manager().unwrap());
    let config = StreamableHttpClientTransportConfig::with_uri(test_system.mcp_url());
    let running = ().serve(StreamableHttpClientTransport::with_client(client.clone(), config)).await.unwrap();
    let resources = running.list_all_resources().await.unwrap();
    let prompts = running.list_all_prompts().await.unwrap();
    let filled = GetPromptRequestParams::new("weekly-report").with_arguments(object(json!({ "week": "2026-W47" })));
    assert_saw(&json!({
        "tools": tool_names(&running).await,
        "rolled": called(&running, "roll_dice", json!({ "dice": 2, "sides": 6 })).await.unwrap(),
        "skills": called(&running, "list_skills", json!({})).await.unwrap(),
        "resources": resources.into_iter().map(|resource| resource.uri.clone()).collect::<Vec<_>>(),
        "skill": read(&running, "skill://weekly-report").await,
        "prompts": prompts.into_iter().map(|prompt| prompt.name).collect::<Vec<_>>(),
        "prompt": running.get_prompt(filled).await.unwrap(),
    }));

    // It does not ask by itself, but says what to ask for.
    let refused = called(&running, "list_documents", json!({})).await.unwrap_err();
    let wanted = insufficient_scope(&refused).unwrap_or_else(|| panic!("{refused:?}"));
    let url = client.auth_manager.lock().await.request_scope_upgrade(&wanted).await.unwrap();
    let redirected = approve(&test_system, &url, &BEYOND).await;
    let back = AuthorizationCallback::from_redirect_url(&redirected).unwrap();
    let manager = client.auth_manager.lock().await;
    manager.exchange_code_for_token_with_issuer(&back.code, &back.csrf_token, back.issuer.as_deref()).await.unwrap();
    drop(manager);
    let second = remembered(&test_system, &store).await;
    assert_stepped_up(&json!({
        "documents": called(&running, "list_documents", json!({})).await.unwrap(),
        "document": read(&running, "document://refund-policy").await,
    }));

    test_system.advance(3600);
    assert_has(&tool_names(&running).await, &["list_documents", "list_skills"]);
    assert_ne!(grant(&first), grant(&second));
    assert_refreshed(&second, &remembered(&test_system, &store).await);
    running.cancel().await.unwrap();
}

/// It registers anew at each connect, for a port of its own choice: all of them are one client.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of PyPI, which tests/run installs"]
async fn fastmcp_connects_by_itself_again_and_again() {
    let test_system = TestSystem::new().await;
    let python = at("target/clients/fastmcp/bin/python");
    let mut script = Script::start(python, "tests/clients/fastmcp/connect.py", &[&test_system.mcp_url(), "2"]);

    let mut ports = BTreeSet::new();
    for _ in 0..2 {
        let asked = said(&mut script, "authorize").await;
        let redirected = approve(&test_system, asked["url"].as_str().unwrap(), &NAMED).await;
        ports.insert(url::Url::parse(&redirected).unwrap().port());
        assert_eq!(test_system.get_once_listening(&redirected).await.status, 200);
        let saw = said(&mut script, "connected").await;
        assert_has(&saw["tools"], &["list_skills", "list_views", "roll_dice"]);
        assert_eq!(saw["rolled"]["rolls"].as_array().unwrap().len(), 2, "{saw}");
    }
    script.finish().await;
    assert_eq!((ports.len(), test_system.count("clients").await), (2, 1));
}

/// It looks for its own address in what it is told it registered: that must be there, port and all, whatever is kept.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn mcp_remote_connects_by_itself_again_and_again() {
    let test_system = TestSystem::new().await;
    let folder = at("target/tmp").join(format!("mcp-remote-{}", std::process::id()));

    // Anew, on another port, and from what it remembers.
    let (one, another) = (callback_port(), callback_port());
    for (port, memory, asks) in [(&one, "one", true), (&another, "another", true), (&another, "another", false)] {
        let memory = folder.join(memory);
        std::fs::create_dir_all(&memory).unwrap();
        let arguments = [&test_system.mcp_url(), port.as_str(), memory.to_str().unwrap()];
        let mut script = Script::start("node", "tests/clients/mcp-remote/connect.mjs", &arguments);
        if asks {
            let asked = said(&mut script, "authorize").await;
            let redirected = approve(&test_system, asked["url"].as_str().unwrap(), &NAMED).await;
            assert_eq!(url::Url::parse(&redirected).unwrap().port(), port.parse().ok());
            assert_eq!(test_system.get_once_listening(&redirected).await.status, 200);
        }
        let saw = said(&mut script, "connected").await;
        assert_has(&saw["tools"], &["list_skills", "list_views", "roll_dice"]);
        assert_eq!(saw["rolled"]["rolls"].as_array().unwrap().len(), 2, "{saw}");
        script.finish().await;
    }
    assert_eq!(test_system.count("clients").await, 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn the_inspector_connects_by_itself_again_and_again() {
    let test_system = TestSystem::new().await;
    let node = at("tests/clients/conformance/node_modules/.bin/node");
    let folder = at("target/tmp").join(format!("inspector-{}", std::process::id()));

    for _ in 0..2 {
        let port = callback_port();
        let (memory, callback) = (folder.join(&port), format!("http://127.0.0.1:{port}/oauth/callback"));
        std::fs::create_dir_all(&memory).unwrap();
        let arguments = [&test_system.mcp_url(), &callback, memory.to_str().unwrap()];
        let mut script = Script::start(&node, "tests/clients/inspector/connect.mjs", &arguments);
        let asked = said(&mut script, "authorize").await;
        let redirected = approve(&test_system, asked["url"].as_str().unwrap(), &NAMED).await;
        assert_eq!(test_system.get_once_listening(&redirected).await.status, 200);
        let saw = said(&mut script, "connected").await;
        assert_eq!(saw["status"], 0, "{saw}");
        assert_has(&saw["tools"], &["list_skills", "list_views", "roll_dice"]);
        script.finish().await;
    }
    assert_eq!(test_system.count("clients").await, 1);
    std::fs::remove_dir_all(folder).unwrap();
}

/// What the server names to whoever shows no credentials.
pub(crate) const NAMED: [&str; 3] = ["tools:execute", "skills:read", "views:read"];
/// And what listing documents needs besides.
const BEYOND: [&str; 4] = ["tools:execute", "skills:read", "views:read", "documents:read"];

/// From what a client asks a person to do, to what it then sees; its tokens.
pub(crate) async fn connects(test_system: &TestSystem, script: &mut Script, version: &str) -> Value {
    let tokens = is_approved(test_system, script, &NAMED).await;
    let saw = said(script, "connected").await;
    assert_eq!(saw["version"], version);
    assert_saw(&saw);
    tokens
}

/// An operation beyond its scopes (MCP 2025-11-25 and 2026-07-28, authorization): it asks for what it has and what it lacks.
/// Its new tokens, of a new grant.
pub(crate) async fn steps_up(test_system: &TestSystem, script: &mut Script, before: &Value) -> Value {
    let tokens = is_approved(test_system, script, &BEYOND).await;
    assert_stepped_up(&said(script, "stepped up").await);
    assert_ne!(grant(before), grant(&tokens));
    tokens
}

/// An hour later it still lists `tool`, without having asked again.
pub(crate) async fn stays(test_system: &TestSystem, mut script: Script, before: &Value, tool: &str) {
    test_system.advance(3600);
    script.send(&json!({ "seconds": 3600 })).await;
    let (later, tokens) = said_with_tokens(test_system, &mut script, "later").await;
    assert_has(&later["tools"], &[tool]);
    assert_refreshed(before, &tokens);
    script.finish().await;
}

/// It asks for these scopes, and is given them.
async fn is_approved(test_system: &TestSystem, script: &mut Script, scopes: &[&str]) -> Value {
    let asked = said(script, "authorize").await;
    let redirected = approve(test_system, asked["url"].as_str().unwrap(), scopes).await;
    script.send(&json!({ "redirected": redirected })).await;
    let tokens = said(script, "tokens").await;
    remember(test_system, &tokens);
    tokens
}

/// New tokens, and the event after them.
async fn said_with_tokens(test_system: &TestSystem, script: &mut Script, event: &str) -> (Value, Value) {
    let tokens = said(script, "tokens").await;
    remember(test_system, &tokens);
    (said(script, event).await, tokens)
}

/// The next event, which must be this one.
pub(crate) async fn said(script: &mut Script, event: &str) -> Value {
    let said = script.receive().await;
    assert_eq!(said["event"], event, "{said}");
    said
}

/// Ana approves what a client asks for, if it asks as it should; where she ends up.
pub(crate) async fn approve(test_system: &TestSystem, url: &str, scopes: &[&str]) -> String {
    let parsed = url::Url::parse(url).unwrap();
    let parameters: BTreeMap<_, _> = parsed.query_pairs().into_owned().collect();
    assert!(url.starts_with(&test_system.at("/oauth/authorize?")), "{url}");
    assert_eq!(parameters["resource"], test_system.mcp_url());
    assert_eq!(parameters["code_challenge_method"], "S256");
    let asked: BTreeSet<_> = parameters["scope"].split(' ').filter(|scope| *scope != "offline_access").collect();
    assert_eq!(asked, scopes.iter().copied().collect(), "{url}");

    let ask = AuthorizationRequest { url: url.to_owned(), verifier: String::new(), state: parameters["state"].clone() };
    let landed = test_system.person("ana@example.com").approve(&ask, "acme").await;
    assert_eq!(test_system.count("clients").await, 1);
    assert!(landed.location().starts_with(&parameters["redirect_uri"]), "{landed:?}");
    landed.location().to_owned()
}

/// What the scopes that the server names open.
fn assert_saw(saw: &Value) {
    assert_has(&saw["tools"], &["list_skills", "list_views", "read_skill", "read_view", "roll_dice"]);
    // Listed beyond the scopes, as Ana's role allows it.
    assert_has(&saw["tools"], &["list_documents", "create_entity"]);
    assert_rolled(&saw["rolled"]);
    assert_skills(&saw["skills"]);
    assert_has(&saw["resources"], &["skill://house-style", "skill://weekly-report"]);
    assert_markdown(&saw["skill"], "# Weekly report");
    assert_has(&saw["prompts"], &["house-style", "weekly-report"]);
    let message = &saw["prompt"]["messages"][0];
    assert_eq!((&message["role"], &message["content"]["type"]), (&json!("user"), &json!("text")), "{message}");
    assert!(message["content"]["text"].as_str().unwrap().contains("2026-W47"), "{message}");
}

/// And what documents:read opens.
fn assert_stepped_up(saw: &Value) {
    let documents = saw["documents"]["structuredContent"]["documents"].as_array().unwrap_or_else(|| panic!("{saw}"));
    assert_eq!(documents.iter().filter(|document| document["id"] == "refund-policy").count(), 1, "{saw}");
    assert_markdown(&saw["document"], "# Refund policy");
}

pub(crate) fn assert_has(names: &Value, wanted: &[&str]) {
    for name in wanted {
        assert!(names.as_array().unwrap().contains(&json!(name)), "{name} is not in {names}");
    }
}

fn assert_markdown(read: &Value, begins: &str) {
    let contents = &read["contents"][0];
    assert_eq!(contents["mimeType"], "text/markdown", "{read}");
    assert!(contents["text"].as_str().unwrap().starts_with(begins), "{read}");
}

fn assert_rolled(result: &Value) {
    assert_ne!(result["isError"], true, "{result}");
    let (rolls, total) = (&result["structuredContent"]["rolls"], &result["structuredContent"]["total"]);
    let rolls: Vec<_> = rolls.as_array().unwrap().iter().map(|roll| roll.as_u64().unwrap()).collect();
    assert_eq!(rolls.len(), 2, "{result}");
    assert!(rolls.iter().all(|roll| (1..=6).contains(roll)), "{result}");
    assert_eq!(total.as_u64(), Some(rolls.iter().sum()), "{result}");
}

/// Acme's, and not those of Globex.
fn assert_skills(result: &Value) {
    let skills = result["structuredContent"]["skills"].as_array().unwrap_or_else(|| panic!("{result}"));
    let mut names: Vec<_> = skills.iter().map(|skill| skill["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["house-style", "weekly-report"]);
}

/// Two generations of one grant.
fn assert_refreshed(first: &Value, second: &Value) {
    for name in ["access_token", "refresh_token"] {
        assert!(first[name].is_string() && second[name].is_string() && first[name] != second[name], "{name}");
    }
    assert_eq!(grant(first), grant(second));
}

fn grant(tokens: &Value) -> String {
    claims(tokens["access_token"].as_str().unwrap()).1["grant"].as_str().unwrap().to_owned()
}

fn remember(test_system: &TestSystem, tokens: &Value) {
    for name in ["access_token", "refresh_token"] {
        tokens[name].as_str().into_iter().for_each(|token| test_system.track_secret(token));
    }
}

pub(crate) async fn remembered(test_system: &TestSystem, store: &InMemoryCredentialStore) -> Value {
    let Some(StoredCredentials { token_response: Some(tokens), .. }) = store.load().await.unwrap() else {
        panic!("no tokens")
    };
    let tokens = serde_json::to_value(&tokens).unwrap();
    remember(test_system, &tokens);
    tokens
}

async fn tool_names(client: &RunningService<RoleClient, ()>) -> Value {
    client.list_all_tools().await.unwrap().into_iter().map(|tool| tool.name.into_owned()).collect()
}

async fn called(
    client: &RunningService<RoleClient, ()>,
    name: &'static str,
    arguments: Value,
) -> Result<Value, ServiceError> {
    let result = client.call_tool(CallToolRequestParams::new(name).with_arguments(object(arguments))).await?;
    Ok(serde_json::to_value(&result).unwrap())
}

async fn read(client: &RunningService<RoleClient, ()>, uri: &str) -> Value {
    let read = client.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
    serde_json::to_value(&read).unwrap()
}

/// The scopes that a refusal asks for.
fn insufficient_scope(refused: &ServiceError) -> Option<String> {
    let ServiceError::TransportSend(failed) = refused else { return None };
    let mut error: Option<&(dyn Error + 'static)> = Some(failed.error.as_ref());
    while let Some(why) = error {
        if let Some(insufficient) = why.downcast_ref::<InsufficientScopeError>() {
            return insufficient.required_scope.clone();
        }
        error = why.source();
    }
    None
}
