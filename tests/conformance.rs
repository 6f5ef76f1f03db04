//! The conformance suite of the Model Context Protocol, unmodified, against the running system.
//!
//! Its scenarios ask for tools and prompts of fixed names. A tenant has them here as it has anything of its own: skills, and tools
//! that it serves over HTTP. What no tenant can have is listed in `conformance/<revision>.yaml`, each entry with its reason; an
//! entry that passes nevertheless fails the run, and so does a warning.

use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use shared::oauth::tenant::TenantId;
use shared::store::workspace::Name;
use shared::store::workspace::skill::{Argument, Skill};
use shared::store::workspace::tool::{Tool, ToolEndpoint};
use shared::store::workspace::tool_timeout::ToolTimeout;
use test_system::TestSystem;
use test_system::connector::AuthorizationRequest;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use workspace_file::allowed_origin::AllowedOrigin;

use crate::callback_port::callback_port;
use crate::script::at;

/// Every scenario that a revision requires of a server, and two that are reported without being required.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn the_server_meets_the_requirements_of_both_revisions() {
    let (_world, url) = served().await;

    for (revision, besides) in [
        ("2025-11-25", &["✓ json-schema-2020-12: 7 passed, 0 failed"][..]),
        // A keyword at the top that makes hosts refuse the whole request: it is refused here as well.
        ("2026-07-28", &["✗ json-schema-2020-12: 7 passed, 1 failed", "✓ http-header-validation: 14 passed, 0 failed"]),
    ] {
        let baseline = at(&format!("tests/conformance/{revision}.yaml"));
        let baseline = baseline.to_str().unwrap();

        let suite =
            Suite::start(&["server", "--url", &url, "--requirements", revision, "--expected-failures", baseline]);
        let said = suite.finish().await;

        for told in besides.iter().copied().chain(["✓ tools-list: ", "✓ tools-call-simple-text: "]) {
            assert!(said.contains(told), "{told}: {said}");
        }
    }
}

/// The authorization server, without exception: the suite asks as a client does, and Ana approves on the real pages. That the
/// metadata does not announce client ID metadata documents is a warning, which does not count here.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn the_authorization_server_meets_every_revision() {
    let test_system = TestSystem::new().await;
    let port = callback_port();
    let client = test_system.connector_at("Conformance suite", &[&format!("http://127.0.0.1:{port}/callback")]).await;
    let (issuer, resource, id) = (test_system.issuer(), test_system.mcp_url(), client.client_id.clone());

    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let mut suite = Suite::start(&[
            "authorization",
            "--url",
            &issuer,
            "--client-id",
            &id,
            "--resource",
            &resource,
            "--port",
            &port,
            "--spec-version",
            revision,
        ]);
        let url = suite.read_line_starting(&test_system.at("/oauth/authorize?")).await;
        suite.read_line_starting("Callback server started").await;
        let ask = AuthorizationRequest { url, verifier: String::new(), state: String::new() };
        let landed = test_system.person("ana@example.com").approve(&ask, "acme").await;
        assert_eq!(test_system.get(landed.location()).await.status, 200, "the suite listens there");

        let said = suite.finish().await;
        for scenario in ["authorization-server-metadata-endpoint", "authorization-code-grant"] {
            assert!(said.contains(&format!("✓ {scenario}: ")), "{said}");
        }
    }
}

/// A test system whose Acme has what the suite asks for, and where the suite, which cannot sign in, may call as Ana.
async fn served() -> (TestSystem, String) {
    let fixtures = listen().await;
    let origin = format!("http://127.0.0.1:{}", fixtures.local_addr().unwrap().port());
    let allowed = AllowedOrigin::parse(&origin).unwrap();
    let test_system = TestSystem::with(|options| options.tool_origins.push(allowed)).await;
    tokio::spawn(async move { axum::serve(fixtures, Router::new().route("/{name}", post(fixture))).await });
    lay_out(&test_system, &origin).await;

    let scope = "tools:execute skills:read views:read entities:write documents:write chat:create";
    let (_, tokens) = test_system.connect("ana@example.com", "acme", scope).await;
    let proxy = AuthenticatingProxy {
        http: test_system.http().inner().clone(),
        url: test_system.mcp_url(),
        token: tokens.access,
    };
    let listener = listen().await;
    // By this name, or the suite would not try to rebind it.
    let url = format!("http://localhost:{}/mcp", listener.local_addr().unwrap().port());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(forward).with_state(proxy)).await });
    (test_system, url)
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Skills and tools as a tenant would have them.
async fn lay_out(test_system: &TestSystem, origin: &str) {
    let acme = test_system.system().workspaces().as_operator(&TenantId::parse("acme").unwrap());
    let argument = |text| Argument { name: name(text), description: "Anything.".to_owned(), required: true };
    for (called, content, arguments) in [
        ("test_simple_prompt", "Say something.", Vec::new()),
        ("test_prompt_with_arguments", "Say {{arg1}}, then {{arg2}}.", vec![argument("arg1"), argument("arg2")]),
    ] {
        let skill = Skill {
            name: name(called),
            title: called.replace('_', " "),
            description: WHY.to_owned(),
            content: content.to_owned(),
            arguments,
        };
        acme.put_skill(&skill).await.unwrap();
    }
    let any = json!({ "type": "object" });
    for (called, input) in [
        ("test_simple_text", any.clone()),
        ("test_image_content", any.clone()),
        ("test_audio_content", any.clone()),
        ("test_embedded_resource", any.clone()),
        ("test_multiple_content_types", any.clone()),
        ("test_error_handling", any.clone()),
        // The suite looks whether anything but the answer comes back.
        ("test_logging_tool", any.clone()),
        ("test_streaming_elicitation", any),
        ("json_schema_2020_12_tool", every_keyword()),
    ] {
        let tool = Tool {
            name: name(called),
            title: called.replace('_', " "),
            description: WHY.to_owned(),
            input_schema: object(input),
            output_schema: None,
            kind: ToolEndpoint::Http { url: format!("{origin}/{called}") },
            timeout: ToolTimeout::from_seconds(5).unwrap(),
            read_only: true,
            destructive: false,
            idempotent: true,
            open_world: false,
        };
        acme.put_tool(&tool).await.unwrap();
    }
}

/// What each tool answers.
async fn fixture(Path(name): Path<String>) -> Response {
    let typed = |kind: &'static str, body: &'static [u8]| ([(header::CONTENT_TYPE, kind)], body).into_response();
    let blocks = |blocks: Value| {
        ([(header::CONTENT_TYPE, "application/vnd.mcp.content+json")], blocks.to_string()).into_response()
    };
    let text = json!({ "type": "text", "text": "Several things:" });
    let image = json!({ "type": "image", "data": STANDARD.encode(PIXEL), "mimeType": "image/png" });
    let resource = json!({ "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "What is embedded." });
    let resource = json!({ "type": "resource", "resource": resource });
    match name.as_str() {
        "test_simple_text" | "test_logging_tool" | "test_streaming_elicitation" => {
            typed("text/plain", b"Said by a tool.")
        }
        "test_image_content" => typed("image/png", PIXEL),
        "test_audio_content" => typed("audio/wav", SILENCE),
        "test_embedded_resource" => blocks(json!([resource])),
        "test_multiple_content_types" => blocks(json!([text, image, resource])),
        "test_error_handling" => (StatusCode::UNPROCESSABLE_ENTITY, "It refuses.").into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A picture of one pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0c\
    IDATx\xdac\xf8\xcf\xc0\0\0\x03\x01\x01\0\xf7\x03AC\0\0\0\0IEND\xaeB`\x82";
/// A sound of one sample.
const SILENCE: &[u8] =
    b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x02\0\0\0\0\0";

/// The keywords whose way through us the suite looks at, but for those at the top that make a host refuse the whole request: they are
/// refused here as well.
fn every_keyword() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

const WHY: &str = "What the conformance suite asks for.";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// Where the suite knocks: requests go on as they are, with a token.
#[derive(Clone)]
struct AuthenticatingProxy {
    http: reqwest::Client,
    url: String,
    token: String,
}

async fn forward(State(proxy): State<AuthenticatingProxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1024 * 1024).await.unwrap();
    let mut headers = parts.headers;
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", proxy.token)).unwrap());
    let passed = proxy.http.request(parts.method, proxy.url).headers(of_the_message(headers)).body(body).send().await;
    let answer = passed.unwrap();
    let (status, headers) = (answer.status(), of_the_message(answer.headers().clone()));
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

/// Without what belongs to one connection (RFC 9110 §7.6.1) and the length, which each side counts.
fn of_the_message(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers
}

/// The suite at work. It is killed with its test.
struct Suite {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Suite {
    const FOLDER: &str = "tests/clients/conformance/node_modules/.bin";
    const TIMEOUT: Duration = Duration::from_mins(3);

    /// With the Node that its lock file names: it needs a newer one than tests/run asks for.
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(at(Self::FOLDER).join("node"))
            .arg(at(Self::FOLDER).join("conformance"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("the suite does not start; tests/run installs it: {error}"));
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, output, said: String::new() }
    }

    /// Its next line, if it says more.
    async fn read_line(&mut self) -> Option<String> {
        let line = timeout(Self::TIMEOUT, self.output.next_line()).await.expect("it goes on").unwrap()?;
        self.said.extend([line.as_str(), "\n"]);
        Some(line)
    }

    /// The next line that begins so.
    async fn read_line_starting(&mut self, begins: &str) -> String {
        loop {
            let line = self.read_line().await.unwrap_or_else(|| panic!("not a word of {begins}: {}", self.said));
            if line.starts_with(begins) {
                return line;
            }
        }
    }

    /// Lets it end, which it must do without a complaint; all that it said.
    async fn finish(mut self) -> String {
        while self.read_line().await.is_some() {}
        let status = timeout(Self::TIMEOUT, self.child.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{}", self.said);
        self.said
    }
}
