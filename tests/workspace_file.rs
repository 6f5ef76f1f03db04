//! What a workspace file says is what a tenant has, and applying it again does nothing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use local::{Options, System};
use serde_json::json;
use shared::clock::Timestamp;
use shared::oauth::tenant::TenantId;
use shared::store::workspace::Name;
use shared::store::workspace::tool::ToolEndpoint;
use test_system::TestSystem;
use workspace_file::{Variables, WorkspaceFile};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);

/// A proxy to DynamoDB that records every write as `PutItem tool#roll_dice`, and counts how often the item of a tenant is read by itself.
#[derive(Clone)]
struct DynamoDbProxy {
    to: String,
    http: reqwest::Client,
    writes: Arc<Mutex<Vec<String>>>,
    reads_of_tenants: Arc<AtomicUsize>,
}

impl DynamoDbProxy {
    /// A system behind the proxy, and the one that holds its tables.
    async fn system() -> (System, System, Self) {
        let tables = System::start(Options::default()).await.unwrap();
        // Whoever starts a test system installs it too.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let proxy =
            Self { to: tables.dynamo_url().to_owned(), http, writes: Arc::default(), reads_of_tenants: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let options = Options { demo: true, dynamo: Some(address), ..Options::default() };
        (System::start(options).await.unwrap(), tables, proxy)
    }

    /// What was written since this was asked last.
    fn written(&self) -> Vec<String> {
        std::mem::take(&mut *self.writes.lock().unwrap())
    }

    /// How often a tenant was read by itself since this was asked last.
    fn reads_of_tenants(&self) -> usize {
        self.reads_of_tenants.swap(0, Ordering::SeqCst)
    }
}

async fn pass(State(proxy): State<DynamoDbProxy>, headers: HeaderMap, body: Bytes) -> (axum::http::StatusCode, Bytes) {
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    if operation == "CreateTable" {
        let there = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceInUseException"}"#;
        return (axum::http::StatusCode::BAD_REQUEST, Bytes::from_static(there.as_bytes()));
    }
    if ["Put", "Update", "Delete", "BatchWrite", "TransactWrite"].iter().any(|write| operation.starts_with(write)) {
        let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let key = if request["Item"].is_object() { &request["Item"] } else { &request["Key"] };
        let key = key["item"]["S"].as_str().or(key["sk"]["S"].as_str()).unwrap_or_default();
        proxy.writes.lock().unwrap().push(format!("{operation} {key}"));
    }
    if operation == "BatchGetItem" {
        let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let mut keys =
            request["RequestItems"].as_object().unwrap().values().flat_map(|of| of["Keys"].as_array().unwrap());
        proxy.reads_of_tenants.fetch_add(usize::from(keys.all(|key| key["sk"]["S"] == "tenant")), Ordering::SeqCst);
    }
    let answer = proxy.http.post(&proxy.to).headers(headers).body(body).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap())
}

/// The demo's file, with tools where they are served now.
async fn demo(system: &System) -> (String, Variables) {
    let text = std::fs::read_to_string(format!("{ROOT}/infra/local/demo.yaml")).unwrap();
    let acme = system.workspaces().as_operator(&TenantId::parse("acme").unwrap());
    let tool = acme.tool(&Name::parse("roll_dice").unwrap()).await.unwrap().unwrap();
    let ToolEndpoint::Http { url } = tool.kind else { panic!("no url") };
    let tools_at = url.strip_suffix("/roll-dice").unwrap().to_owned();
    (text, [("TOOLS_AT".to_owned(), tools_at)].into())
}

/// What applying a text does, line by line.
async fn apply(system: &System, text: &str, variables: &Variables) -> Vec<String> {
    let file = WorkspaceFile::parse(text, "file.yaml", None, variables).unwrap_or_else(|wrong| panic!("{wrong}"));
    let (directory, workspaces) = (system.directory(), system.workspaces());
    let plan = file.plan(directory, workspaces).await.unwrap();
    let mut done = Vec::new();
    plan.apply(directory, workspaces, NOW, |change| done.push(change.to_string())).await.unwrap();
    let planned: Vec<_> = plan.to_string().lines().map(str::to_owned).collect();
    assert_eq!(planned[..planned.len() - 1], done);
    planned
}

/// A file that was applied changes nothing when it is applied again, and changed, it changes what was changed.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_differs_is_written() {
    let (system, _tables, proxy) = DynamoDbProxy::system().await;
    let (text, variables) = demo(&system).await;
    assert!(proxy.written().len() > 20);

    assert_eq!(apply(&system, &text, &variables).await, ["0 to create, 0 to change, 29 as they are"]);
    assert_eq!(proxy.written(), [""; 0]);

    let changed = text
        .replacen("timeout_seconds: 5", "timeout_seconds: 6", 1)
        .replace("Vera, role: viewer", "Vera, role: editor")
        .replace("editor: [skills:read,", "auditor: [documents:read]\n      editor: [skills:read,")
        .replace("2026-0112: { customer: Tidewater", "2026-0113: { customer: Tidewater")
        .replace("due: 2026-12-04, paid: false }", "due: 2026-12-04, paid: true, note: By transfer }")
        .replace("The last one out sets the alarm.", "The last one out locks the door.");
    assert_eq!(
        apply(&system, &changed, &variables).await,
        [
            "~ tenant acme [roles]",
            "~ tenant acme: member 5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e03 (Vera) as editor [role]",
            "~ tenant acme: tool roll_dice [timeout_seconds]",
            "~ tenant acme: invoice 2026-0111 [note, paid]",
            "+ tenant acme: invoice 2026-0113",
            "~ tenant acme: document office-handbook [content]",
            "1 to create, 5 to change, 23 as they are",
        ]
    );
    let written = proxy.written();
    assert_eq!(
        written,
        [
            "UpdateItem tenant",
            "UpdateItem tenant#acme",
            "PutItem tool#roll_dice",
            "UpdateItem entity#invoice#2026-0111",
            "TransactWriteItems ",
            "TransactWriteItems ",
        ]
    );
    assert_eq!(apply(&system, &changed, &variables).await, ["0 to create, 0 to change, 29 as they are"]);
    assert_eq!(proxy.written(), [""; 0]);

    // The roles that it no longer names, and the invoice, are left alone.
    assert_eq!(apply(&system, &text, &variables).await.last().unwrap(), "0 to create, 4 to change, 25 as they are");
    let acme = TenantId::parse("acme").unwrap();
    let roles = system.directory().find(&acme).await.unwrap().unwrap().roles;
    let roles: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(roles, ["auditor", "editor"]);
}

/// In which partitions the items of a tenant lie is read once for the plan, and once for all that is written.
#[tokio::test(flavor = "multi_thread")]
async fn layout_is_read_once_however_much_is_written() {
    let (system, _tables, proxy) = DynamoDbProxy::system().await;
    let (text, variables) = demo(&system).await;
    let changed = text
        .replacen("timeout_seconds: 5", "timeout_seconds: 6", 1)
        .replace("2026-0112: { customer: Tidewater", "2026-0113: { customer: Tidewater")
        .replace("due: 2026-12-04, paid: false }", "due: 2026-12-04, paid: true, note: By transfer }")
        .replace("The last one out sets the alarm.", "The last one out locks the door.");
    proxy.reads_of_tenants();

    assert_eq!(apply(&system, &text, &variables).await.len(), 1);
    let reads_of_plan = proxy.reads_of_tenants();
    assert_eq!(apply(&system, &changed, &variables).await.len(), 5);

    assert_eq!(proxy.reads_of_tenants(), reads_of_plan + 1);
}

/// What was interrupted is completed by doing it again.
#[tokio::test(flavor = "multi_thread")]
async fn missing_items_are_written_again() {
    let (system, _tables, proxy) = DynamoDbProxy::system().await;
    let (text, variables) = demo(&system).await;
    let (acme, id) = (TenantId::parse("acme").unwrap(), Name::parse("2026-0105").unwrap());
    let workspace = system.workspaces().as_operator(&acme);
    let invoice = workspace.entity(&Name::parse("invoice").unwrap(), &id).await.unwrap().unwrap();
    workspace.delete_entity(invoice).await.unwrap();
    proxy.written();

    assert_eq!(
        apply(&system, &text, &variables).await,
        ["+ tenant acme: invoice 2026-0105", "1 to create, 0 to change, 28 as they are"]
    );
    // The first one meets the tombstone.
    assert_eq!(proxy.written(), ["TransactWriteItems ", "TransactWriteItems "]);
}

/// The documents' example is a file that a local system takes, and what it says is there for who it says.
#[tokio::test(flavor = "multi_thread")]
async fn documents_example_fills_a_workspace() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/workspace-files.md")).unwrap();
    let (_, example) = page.split_once("```yaml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let path = temporary("documents.yaml", example);
    let test_system = TestSystem::with(|options| options.workspace = Some(path.clone())).await;

    let demo = test_system.system().demo().unwrap();
    let ana: Vec<_> =
        demo.people[0].tenants.iter().map(|tenant| (tenant.name.as_str(), tenant.role.as_str())).collect();
    assert_eq!(ana, [("Acme", "owner"), ("Globex", "viewer"), ("Initech", "clerk")]);
    let (connector, tokens) = test_system.connect("ana@example.com", "initech", "skills:read entities:read").await;
    let read = connector.tool(&tokens.access, "read_skill", json!({ "name": "stand-up" })).await.json();
    assert_eq!(read["result"]["structuredContent"]["title"], "Stand-up", "{read}");
    let read = connector.tool(&tokens.access, "list_entities", json!({ "type": "task" })).await.json();
    assert_eq!(read["result"]["structuredContent"]["entities"][0]["fields"]["title"], "Buy coffee", "{read}");
    std::fs::remove_file(path).unwrap();
}

/// A file with mistakes stops the start, and says where to look.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_file_stops_the_start() {
    let path =
        temporary("mistakes.yaml", "tenants:\n  acme:\n    name: Acme\n    roles: { editor: [entities:wirte] }\n");
    let options = Options { demo: true, workspace: Some(path.clone()), ..Options::default() };
    let Err(failure) = System::start(options).await else { panic!("it starts") };
    let expected = format!(
        "a workspace file cannot be used:\n{}:4:23: role editor of tenant acme: `entities:wirte` is no permission; did you \
         mean `entities:write`?",
        path.display()
    );
    assert_eq!(failure.to_string(), expected);
    std::fs::remove_file(path).unwrap();
}

fn temporary(name: &str, text: &str) -> PathBuf {
    let path = Path::new(&std::env::temp_dir()).join(format!("amble-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}
