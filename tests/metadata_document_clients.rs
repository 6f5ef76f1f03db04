//! Real clients, unmodified, connect by the metadata document at the https address that is their id, twice in a row.
//!
//! Our functions trust what the machine trusts, and learn that when they first reach out. So each test goes on in a process of its
//! own, for which `SSL_CERT_FILE` names the authority that its host of documents is certified by.

use std::path::{Path, PathBuf};
use std::process::Command;

use rmcp::transport::auth::{AuthorizationRequest, InMemoryCredentialStore, OAuthState};
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::metadata_document_host::MetadataDocumentHost;

use crate::callback_port::callback_port;
use crate::clients::{NAMED, approve, assert_has, connects, remembered, said, stays, steps_up};
use crate::script::{Script, at};

/// Where the documents of these clients are.
const PATH: &str = "/oauth/client.json";

#[test]
#[ignore = "needs packages of npm, which tests/run installs"]
fn the_typescript_client_connects_by_its_document() {
    over_https("the_typescript_client_connects_by_its_document", async |test_system, documents| {
        let client_id = published(documents, "TypeScript client");
        let script = "tests/clients/typescript-client/connect.mjs";
        connects_in_both_eras(test_system, documents, Path::new("node"), script, &client_id).await;
    });
}

#[test]
#[ignore = "needs packages of PyPI, which tests/run installs"]
fn the_python_sdk_connects_by_its_document() {
    over_https("the_python_sdk_connects_by_its_document", async |test_system, documents| {
        let client_id = published(documents, "Python SDK");
        let python = at("target/clients/python/bin/python");
        connects_in_both_eras(test_system, documents, &python, "tests/clients/python/connect.py", &client_id).await;
    });
}

#[test]
fn the_rust_sdk_connects_by_its_document_a_hundred_times() {
    over_https("the_rust_sdk_connects_by_its_document_a_hundred_times", async |test_system, documents| {
        let client_id = published(documents, "Rust SDK");
        for port in 0..100 {
            let asks = AuthorizationRequest::new(format!("http://localhost:{}/callback", 50_000 + port))
                .with_client_name("Rust SDK")
                .with_client_metadata_url(&client_id);
            let tokens = rust_sdk_connects(test_system, asks).await;
            is_the_client_of(&tokens, &client_id);
            disconnects(test_system, &tokens).await;
        }
        assert_eq!(documents.request_count(PATH), 1);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_connects_by_registration_a_hundred_times() {
    let test_system = TestSystem::new().await;
    for port in 0..100 {
        let address = format!("http://localhost:{}/callback", 50_000 + port);
        let asks = AuthorizationRequest::new(address).with_client_name("Rust SDK");
        disconnects(&test_system, &rust_sdk_connects(&test_system, asks).await).await;
    }
    assert_eq!(test_system.count("clients").await, 1);
}

#[test]
#[ignore = "needs packages of PyPI, which tests/run installs"]
fn fastmcp_connects_by_its_document() {
    over_https("fastmcp_connects_by_its_document", async |test_system, documents| {
        let client_id = published(documents, "FastMCP Client");
        let python = at("target/clients/fastmcp/bin/python");
        let mut script =
            Script::start(python, "tests/clients/fastmcp/connect.py", &[&test_system.mcp_url(), "2", &client_id]);
        for _ in 0..2 {
            is_sent(test_system, &mut script, &client_id).await;
            has_listed(&said(&mut script, "connected").await);
        }
        script.finish().await;
        assert_eq!(documents.request_count(PATH), 1);
    });
}

#[test]
#[ignore = "needs packages of npm, which tests/run installs"]
fn mcp_remote_connects_by_its_document() {
    over_https("mcp_remote_connects_by_its_document", async |test_system, documents| {
        let client_id = published(documents, "mcp-remote");
        for _ in 0..2 {
            let port = callback_port();
            let memory = memory("mcp-remote", &port);
            let arguments = [&test_system.mcp_url(), port.as_str(), memory.to_str().unwrap(), &client_id];
            let mut script = Script::start("node", "tests/clients/mcp-remote/connect.mjs", &arguments);
            is_sent(test_system, &mut script, &client_id).await;
            has_listed(&said(&mut script, "connected").await);
            script.finish().await;
            std::fs::remove_dir_all(memory).unwrap();
        }
        assert_eq!(documents.request_count(PATH), 1);
    });
}

#[test]
#[ignore = "needs packages of npm, which tests/run installs"]
fn the_inspector_connects_by_its_document() {
    over_https("the_inspector_connects_by_its_document", async |test_system, documents| {
        let client_id = published(documents, "MCP Inspector");
        let node = at("tests/clients/conformance/node_modules/.bin/node");
        for _ in 0..2 {
            let port = callback_port();
            let (memory, callback) = (memory("inspector", &port), format!("http://127.0.0.1:{port}/oauth/callback"));
            let arguments = [&test_system.mcp_url(), &callback, memory.to_str().unwrap(), &client_id];
            let mut script = Script::start(&node, "tests/clients/inspector/connect.mjs", &arguments);
            is_sent(test_system, &mut script, &client_id).await;
            has_listed(&said(&mut script, "connected").await);
            script.finish().await;
            std::fs::remove_dir_all(memory).unwrap();
        }
        assert_eq!(documents.request_count(PATH), 1);
    });
}

/// A client that knows both eras, in one and then, an hour later, in the other.
async fn connects_in_both_eras(
    test_system: &TestSystem,
    documents: &MetadataDocumentHost,
    program: &Path,
    script: &str,
    client_id: &str,
) {
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let mut script = Script::start(program, script, &[&test_system.mcp_url(), mode, client_id]);
        let first = connects(test_system, &mut script, version).await;
        let second = steps_up(test_system, &mut script, &first).await;
        stays(test_system, script, &second, "list_documents").await;
        is_the_client_of(&second, client_id);
    }
    // Once in each hour.
    assert_eq!(documents.request_count(PATH), 2);
}

/// Plays `story` where a host of documents has a certificate that counts; afterwards there is one client, however often it connected.
fn over_https(test: &str, story: impl AsyncFnOnce(&TestSystem, &MetadataDocumentHost)) {
    #[expect(clippy::disallowed_methods, reason = "what this test has told itself")]
    let authority = std::env::var(AUTHORITY).ok();
    let Some(authority) = authority else {
        let authority = at("target/tmp").join(format!("{test}-{}.pem", std::process::id()));
        std::fs::create_dir_all(at("target/tmp")).unwrap();
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("metadata_document_clients::{test}"), "--include-ignored", "--nocapture"])
            .envs([(AUTHORITY, &authority), ("SSL_CERT_FILE", &authority)])
            .output()
            .unwrap();
        let said = [again.stdout, again.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(again.status.success() && said.contains("1 passed"), "{said}");
        return std::fs::remove_file(authority).unwrap();
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let documents = MetadataDocumentHost::serve_https(&PathBuf::from(authority)).await;
        let test_system = documents.start_test_system().await;
        story(&test_system, &documents).await;
        assert_eq!(test_system.count("clients").await, 1);
    });
}

const AUTHORITY: &str = "TEST_AUTHORITY";

/// The id of a client that is answered at any port of this machine.
fn published(documents: &MetadataDocumentHost, name: &str) -> String {
    let addresses = ["http://localhost/callback", "http://localhost/oauth/callback", "http://127.0.0.1/oauth/callback"];
    documents.publish(PATH, &documents.document(PATH, name, &addresses));
    documents.at(PATH)
}

/// From its URL to its tokens.
async fn rust_sdk_connects(test_system: &TestSystem, asks: AuthorizationRequest) -> Value {
    let mut state = OAuthState::new(test_system.mcp_url(), None).await.unwrap();
    let store = InMemoryCredentialStore::new();
    let OAuthState::Unauthorized(manager) = &mut state else { panic!("a new state") };
    manager.set_credential_store(store.clone());
    state.start_authorization(asks).await.unwrap();
    let redirected = approve(test_system, &state.get_authorization_url().await.unwrap(), &NAMED).await;
    state.handle_callback_url(&redirected).await.unwrap();
    remembered(test_system, &store).await
}

/// It sends a person to authorize by that id, and is answered at its own port.
async fn is_sent(test_system: &TestSystem, script: &mut Script, client_id: &str) {
    let asked = said(script, "authorize").await;
    let url = asked["url"].as_str().unwrap();
    let named: Vec<_> = url::Url::parse(url).unwrap().query_pairs().into_owned().collect();
    assert!(named.contains(&("client_id".to_owned(), client_id.to_owned())), "{url}");
    let redirected = approve(test_system, url, &NAMED).await;
    assert_eq!(test_system.get_once_listening(&redirected).await.status, 200);
}

/// Nobody has a hundred connections of one client.
async fn disconnects(test_system: &TestSystem, tokens: &Value) {
    let token = tokens["access_token"].as_str().unwrap();
    let (_, claims) = test_system::claims(token);
    let form = [("token", token), ("client_id", claims["client_id"].as_str().unwrap())];
    assert_eq!(test_system.post_form("/oauth/revoke", &form).await.status, 200);
}

fn is_the_client_of(tokens: &Value, client_id: &str) {
    let (_, claims) = test_system::claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(claims["client_id"], client_id);
}

fn has_listed(saw: &Value) {
    assert!(saw.get("status").is_none_or(|status| *status == json!(0)), "{saw}");
    assert_has(&saw["tools"], &["list_skills", "list_views", "roll_dice"]);
}

/// A folder for what a client remembers.
fn memory(client: &str, port: &str) -> PathBuf {
    let folder = at("target/tmp").join(format!("{client}-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
