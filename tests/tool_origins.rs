//! Tools on the developer's own machine: called at exactly the origins that the local system is told, and by nothing but tools.

use std::path::PathBuf;

use axum::Router;
use axum::routing::post;
use local::Options;
use serde_json::json;
use shared::oauth::secret::{Secret, to_text};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::metadata_document_host::MetadataDocumentHost;
use tokio::net::TcpListener;
use workspace_file::allowed_origin::AllowedOrigin;

/// A tool of one's own; its port.
async fn serve_tool() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/greet", post(|| async { axum::Json(json!({ "greeting": "Hello" })) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// A workspace file with that tool. It is gone with its test.
struct File(PathBuf);

impl File {
    fn with_tool(port: u16, local: &str) -> Self {
        let path = std::env::temp_dir().join(format!("amble-tools-{}.yaml", to_text(Secret::<9>::random().expose())));
        let text = format!(
            "tenants:\n  acme:\n    name: Acme\n    tools:\n      greet:\n        title: Greet\n        description: Says \
             hello\n        url: http://localhost:{port}/greet\n        input_schema: {{ type: object }}\n{local}\n"
        );
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a call of the tool comes to, in a system with that file.
async fn greet(file: &File, change: impl FnOnce(&mut Options)) -> HttpResponse {
    let test_system = TestSystem::with(|options| {
        options.workspace = Some(file.0.clone());
        change(options);
    })
    .await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    connector.tool(&tokens.access, "greet", json!({})).await
}

fn origin(port: u16) -> AllowedOrigin {
    AllowedOrigin::parse(&format!("http://localhost:{port}")).unwrap()
}

/// On the command line, or in the file itself.
#[tokio::test(flavor = "multi_thread")]
async fn tool_on_this_machine_is_called_at_an_allowed_origin() {
    let port = serve_tool().await;
    let (plain, with_local) = (
        File::with_tool(port, ""),
        File::with_tool(port, &format!("local: {{ outbound_allow: [http://localhost:{port}] }}")),
    );

    let by_option = greet(&plain, |options| options.tool_origins.push(origin(port))).await;
    let by_file = greet(&with_local, |_| {}).await;

    for answer in [by_option, by_file] {
        assert_eq!(answer.json()["result"]["structuredContent"], json!({ "greeting": "Hello" }), "{answer:?}");
    }
}

/// Another port is another origin, and so is another name of the same machine.
#[tokio::test(flavor = "multi_thread")]
async fn tool_at_another_origin_is_refused() {
    let port = serve_tool().await;
    let file = File::with_tool(port, "");
    for allowed in ["http://localhost:1".to_owned(), format!("http://127.0.0.1:{port}")] {
        let allowed = AllowedOrigin::parse(&allowed).unwrap();
        let answer = greet(&file, |options| options.tool_origins.push(allowed.clone())).await;

        let result = &answer.json()["result"];
        assert_eq!(result["isError"], true, "{answer:?}");
        assert_eq!(result["content"][0]["text"], "The tool did not answer: its address is not https.", "{allowed}");
    }
}

/// Anybody may name a metadata document before they sign in: it is not fetched where tools may be called.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_document_is_not_fetched_at_an_origin_of_tools() {
    let documents = MetadataDocumentHost::serve().await;
    let allowed = AllowedOrigin::parse(documents.origin()).unwrap();
    let test_system = TestSystem::with(|options| options.tool_origins.push(allowed)).await;
    let connector = documents.connector(&test_system, "/client", "Claude", &["http://localhost/callback"]);

    let page = test_system.get(&connector.authorization_request("tools:execute").url).await;

    assert_eq!((page.status, documents.total_request_count()), (400, 0), "{page:?}");
}
