//! What hosts do when a call needs more than the person approved, replayed from public reports: the journey of a person who connects
//! with what the host requests by itself, and reaches all that their role allows.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::oauth::scope::Scopes;
use test_system::connector::{Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::Person;
use test_system::{TestSystem, claims};

use crate::step_up::refusal;

const ANA: &str = "ana@example.com";
const VERA: &str = "vera@example.com";

const CLAUDE: (&str, &str) =
    ("https://claude.ai/oauth/mcp-oauth-client-metadata", "https://claude.ai/api/mcp/auth_callback");
const CLAUDE_CODE: (&str, &str) = ("https://claude.ai/oauth/claude-code-client-metadata", "http://localhost/callback");
const CHATGPT: (&str, &str) =
    ("https://chatgpt.com/oauth/client.json", "https://chatgpt.com/connector_platform_oauth_redirect");
const CODEX: (&str, &str) = ("https://chatgpt.com/oauth/codex/client.json", "http://127.0.0.1/callback");

const SENTENCE: &str = "This needs a permission that the connection does not have";
const ROLE: &str = "The role in this workspace does not allow this. An administrator of the workspace can change it.";
const DENIED: &str =
    "The person chose not to allow this. They can allow it on the console of this server, or connect again.";

/// A host that takes scopes from challenges alone, and calls what is listed alone.
struct Driver<'w> {
    connector: Connector<'w>,
    person: Person<'w>,
    /// What the first challenge named, and what clients add.
    discovered: BTreeSet<String>,
    tokens: Option<Tokens>,
    clicks: u32,
}

impl<'w> Driver<'w> {
    /// Discovers and connects.
    async fn connect(test_system: &'w TestSystem, host: (&str, &str), email: &str) -> Self {
        let challenged = test_system.call(None, "tools/list", json!({})).await;
        assert_eq!(challenged.status, 401);
        let mut discovered = scopes(&parameter(challenged.header("www-authenticate").unwrap(), "scope"));
        let metadata = test_system.get("/.well-known/oauth-authorization-server").await.json();
        if metadata["scopes_supported"].as_array().unwrap().contains(&json!("offline_access")) {
            discovered.insert("offline_access".to_owned());
        }
        let (connector, person) = (client(test_system, host).await, test_system.person(email));
        let mut driver = Self { connector, person, discovered, tokens: None, clicks: 0 };
        driver.reconnect(BTreeSet::new()).await;
        driver
    }

    /// The person approves what the page proposes, with one click.
    async fn reconnect(&mut self, more: BTreeSet<String>) {
        let requested: Vec<_> = self.discovered.union(&more).cloned().collect();
        let ask = self.connector.authorization_request(&requested.join(" "));
        let code = self.person.code(&ask, "acme").await;
        self.clicks += 1;
        self.tokens = Some(self.connector.exchange(&ask, &code).await.tokens(self.connector.test_system));
    }

    fn access(&self) -> &str {
        &self.tokens.as_ref().unwrap().access
    }

    async fn tools(&self) -> Vec<Value> {
        let listed = self.connector.call(self.access(), "tools/list", json!({})).await.json();
        listed["result"]["tools"].as_array().unwrap().clone()
    }

    async fn send(&self, tool: &str, arguments: &Value) -> HttpResponse {
        assert!(self.tools().await.iter().any(|listed| listed["name"] == tool), "{tool} is not listed");
        self.connector.tool(self.access(), tool, arguments.clone()).await
    }

    /// Claude: a 403 with a challenge leads to the consent page, and then the same call is made again. Earlier step-ups are
    /// forgotten: it requests what it discovered, and what this challenge names.
    async fn call_as_claude(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.send(tool, &arguments).await;
        if answer.status != 403 {
            return content(&answer);
        }
        let challenge = answer.header("www-authenticate").unwrap().to_owned();
        assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", "), "{challenge}");
        self.reconnect(scopes(&parameter(&challenge, "scope"))).await;
        content(&self.send(tool, &arguments).await)
    }

    /// `ChatGPT`: an error of the tool with a challenge in its metadata, and that the tool says what it needs, lead to the consent page.
    /// It requests what it has and what the tool says.
    async fn call_as_chatgpt(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.send(tool, &arguments).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (200, None), "{answer:?}");
        let result = answer.json()["result"].clone();
        let Some(challenge) = result["_meta"]["mcp/www_authenticate"][0].as_str() else { return content(&answer) };
        assert_eq!(result["isError"], true);
        assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", error_description=\""), "{challenge}");
        let tools = self.tools().await;
        let listed = tools.iter().find(|listed| listed["name"] == tool).unwrap();
        let needed = listed["securitySchemes"][0]["scopes"].as_array().unwrap().iter();
        let held = scopes(&self.tokens.as_ref().unwrap().scope);
        self.reconnect(needed.map(|scope| scope.as_str().unwrap().to_owned()).chain(held).collect()).await;
        content(&self.send(tool, &arguments).await)
    }
}

/// A client whose metadata document is at the address of that host.
async fn client<'w>(test_system: &'w TestSystem, (id, redirect_uri): (&str, &str)) -> Connector<'w> {
    test_system.store_metadata_document(id, "A client", &[redirect_uri]).await;
    Connector { test_system, client_id: id.to_owned(), redirect_uri: redirect_uri.to_owned(), secret: None }
}

async fn connected(connector: &Connector<'_>, email: &str, scope: &str, unticked: &[&str]) -> Tokens {
    let ask = connector.authorization_request(scope);
    let answer = connector.test_system.person(email).approve_without(&ask, "acme", unticked).await;
    connector.exchange(&ask, &answer.redirect_parameters()["code"]).await.tokens(connector.test_system)
}

fn scopes(text: &str) -> BTreeSet<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A parameter of a challenge.
fn parameter(challenge: &str, name: &str) -> String {
    let (_, rest) = challenge.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{name} in {challenge}"));
    rest.split('"').next().unwrap().to_owned()
}

fn content(answer: &HttpResponse) -> Value {
    let result = answer.json()["result"].clone();
    assert!(answer.status == 200 && result["isError"] != true, "{answer:?}");
    result["structuredContent"].clone()
}

/// The whole reach of a member: each kind of thing, in any order, with one click for each that was not approved yet.
const REACH: [(&str, &str, &str); 5] = [
    ("list_entities", r#"{ "type": "invoice" }"#, "entities"),
    ("search_documents", r#"{ "query": "refund" }"#, "documents"),
    ("create_chat", r#"{ "message": "Hello" }"#, "id"),
    ("create_document", r#"{ "title": "A note", "content": "Hello" }"#, "id"),
    (
        "update_entity",
        r#"{ "type": "invoice", "id": "2026-0102", "version": 1, "fields": { "paid": true } }"#,
        "fields",
    ),
];

/// Connected as Claude connects, a person sees the tools for records, and reads the records after one click.
#[tokio::test(flavor = "multi_thread")]
async fn person_reaches_from_claude_what_their_role_allows() {
    let test_system = TestSystem::new().await;
    test_system.stop_cutting_pages();
    let mut claude = Driver::connect(&test_system, CLAUDE, ANA).await;
    assert_eq!(claude.tokens.as_ref().unwrap().scope, "tools:execute skills:read views:read offline_access");

    // A saved view has its rows at once, without any click.
    let view = claude.call_as_claude("read_view", json!({ "name": "open-invoices" })).await;
    assert_eq!((view["rows"].as_array().unwrap().len(), claude.clicks), (6, 1));

    for (clicks, (tool, arguments, member)) in (2..).zip(REACH) {
        let found = claude.call_as_claude(tool, serde_json::from_str(arguments).unwrap()).await;
        assert!(found[member].as_array().is_none_or(|rows| !rows.is_empty()) && !found[member].is_null(), "{found}");
        assert_eq!(claude.clicks, clicks, "{tool}");
    }
    // What was approved on the way is still there.
    for (tool, arguments, _) in &REACH[..2] {
        claude.call_as_claude(tool, serde_json::from_str(arguments).unwrap()).await;
    }
    assert_eq!(claude.clicks, 6);
    assert_eq!(Scopes::parse(&claude.tokens.as_ref().unwrap().scope), Scopes::SUPPORTED);
}

/// The same in `ChatGPT`'s dialect.
#[tokio::test(flavor = "multi_thread")]
async fn person_reaches_from_chatgpt_what_their_role_allows() {
    let test_system = TestSystem::new().await;
    test_system.stop_cutting_pages();
    let mut chatgpt = Driver::connect(&test_system, CHATGPT, ANA).await;
    let view = chatgpt.call_as_chatgpt("read_view", json!({ "name": "open-invoices" })).await;
    assert_eq!((view["rows"].as_array().unwrap().len(), chatgpt.clicks), (6, 1));

    for (clicks, (tool, arguments, member)) in (2..).zip(REACH) {
        let found = chatgpt.call_as_chatgpt(tool, serde_json::from_str(arguments).unwrap()).await;
        assert!(found[member].as_array().is_none_or(|rows| !rows.is_empty()) && !found[member].is_null(), "{found}");
        assert_eq!(chatgpt.clicks, clicks, "{tool}");
    }
    assert_eq!(Scopes::parse(&chatgpt.tokens.as_ref().unwrap().scope), Scopes::SUPPORTED);
}

/// `ChatGPT` shows the person a button for a result with a challenge. An error of HTTP reaches neither the person nor the model.
#[tokio::test(flavor = "multi_thread")]
async fn chatgpt_gets_the_challenge_in_the_result_of_the_tool() {
    let test_system = TestSystem::new().await;
    let document = test_system.at("/.well-known/oauth-protected-resource/api/mcp/server");
    let by_document = client(&test_system, CHATGPT).await;
    let registered = test_system.connector_at("Any name", &["https://chatgpt.com/connector/oauth/a1b2"]).await;
    for connector in [&by_document, &registered] {
        let tokens = connected(connector, ANA, "skills:read chat:create", &["chat:create"]).await;
        for (tool, scope) in [
            ("list_views", "skills:read views:read"),
            ("create_entity", "skills:read entities:read entities:write"),
            ("roll_dice", "tools:execute skills:read"),
            ("no_such_tool", "tools:execute skills:read"),
        ] {
            let challenge = format!(
                "Bearer error=\"insufficient_scope\", error_description=\"{SENTENCE}\", resource_metadata=\"{document}\", scope=\"{scope}\""
            );
            let mut result = json!({
                "content": [{ "type": "text", "text": SENTENCE }],
                "isError": true,
                "_meta": { "mcp/www_authenticate": [challenge] },
            });
            let call = json!({ "name": tool, "arguments": {} });

            let legacy = connector.call(&tokens.access, "tools/call", call.clone()).await;
            assert_eq!((legacy.status, legacy.header("www-authenticate")), (200, None), "{tool}");
            assert_eq!(legacy.header("cache-control"), Some("no-store"));
            assert_eq!(legacy.json(), json!({ "jsonrpc": "2.0", "id": 1, "result": result }), "{tool}");

            let modern = test_system.call_modern(&tokens.access, "tools/call", call).await;
            let named = &modern.json()["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
            assert_eq!(named["name"], "amble-connect", "{modern:?}");
            result["_meta"]["io.modelcontextprotocol/serverInfo"] = named.clone();
            result["resultType"] = json!("complete");
            assert_eq!(modern.json(), json!({ "jsonrpc": "2.0", "id": 1, "result": result }), "{tool}");
        }
        let grant = claims(&tokens.access).1["grant"].clone();
        let wanted = test_system.audit("scope_wanted").into_iter().filter(|event| event["grant"] == grant);
        let wanted: BTreeSet<_> = wanted.map(|it| it["scope"].as_str().unwrap().to_owned()).collect();
        assert_eq!(wanted, ["entities:read entities:write", "tools:execute", "views:read"].map(str::to_owned).into());

        // Where no approval would help, there is a sentence, and no button.
        let viewer = connected(connector, VERA, "skills:read", &[]).await;
        for (token, said) in [(&viewer.access, ROLE), (&tokens.access, DENIED)] {
            let answer = connector.tool(token, "create_chat", json!({})).await;
            let result = json!({ "content": [{ "type": "text", "text": said }], "isError": true });
            assert_eq!((answer.status, &answer.json()["result"]), (200, &result), "{answer:?}");
        }
        // What is no tool has no result to be in, and a token that is not valid gets its 401.
        let read = connector.call(&tokens.access, "resources/read", json!({ "uri": "document://refund-policy" })).await;
        assert_eq!((read.status, &read.json()["error"]["data"]["error"]), (403, &json!("insufficient_scope")));
        assert_eq!(connector.tool("a.b.c", "list_views", json!({})).await.status, 401);
    }
}

/// Whose address is another gets what the specification says, whatever it calls itself.
#[tokio::test(flavor = "multi_thread")]
async fn no_host_is_recognised_by_its_name() {
    let test_system = TestSystem::new().await;
    let claude = client(&test_system, CLAUDE).await;
    let named = test_system.connector_at("ChatGPT", &["https://chatgpt.com.example/connector/oauth/a1b2"]).await;
    for connector in [&claude, &named] {
        let tokens = connected(connector, ANA, "skills:read", &[]).await;
        let answer = connector.tool(&tokens.access, "list_entities", json!({})).await;
        let challenge = answer.header("www-authenticate").unwrap();
        assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (403, Some(SENTENCE)));
        assert_eq!(parameter(challenge, "error"), "insufficient_scope");
        assert_eq!(parameter(challenge, "scope"), "skills:read entities:read");
    }
}

/// Where the host does not ask the person, the error says what they can do: in the message, which the TypeScript SDK shows, and in the
/// header, which rmcp shows.
#[tokio::test(flavor = "multi_thread")]
async fn clients_on_the_own_machine_are_told_what_the_person_can_do() {
    const CLAUDE_CODE_SAYS: &str = "Tell the person: enter /mcp, choose this server and Re-authenticate, and approve the permission. \
                                    Then try again.";
    const CODEX_SAYS: &str = "Tell the person: run codex mcp login with the name of this server, and approve the permission. Then try \
                              again.";
    const LOCAL_SAYS: &str = "If no page opens by itself, tell the person: sign in to this server again and approve the permission. Then \
                              try again.";
    let test_system = TestSystem::new().await;
    let document = test_system.at("/.well-known/oauth-protected-resource/api/mcp/server");
    let of_codex = "https://chatgpt.com/oauth/codex/a1b2c3/client.json";
    let registered = test_system.connector_at("Claude Code", &["http://localhost:54213/callback"]).await;
    for (connector, says) in [
        (client(&test_system, CLAUDE_CODE).await, CLAUDE_CODE_SAYS),
        (client(&test_system, CODEX).await, CODEX_SAYS),
        (client(&test_system, (of_codex, "http://127.0.0.1/callback/a1b2c3")).await, CODEX_SAYS),
        (registered, LOCAL_SAYS),
    ] {
        let tokens = connected(&connector, ANA, "skills:read", &[]).await;
        let message = format!("{SENTENCE}. {says}");
        let (error, scope) = ("insufficient_scope", "skills:read entities:read");

        let answer = connector.tool(&tokens.access, "list_entities", json!({})).await;

        assert_eq!(answer.status, 403);
        assert_eq!(
            answer.header("www-authenticate").unwrap(),
            format!(
                "Bearer error=\"{error}\", error_description=\"{message}\", resource_metadata=\"{document}\", scope=\"{scope}\""
            )
        );
        assert_eq!(answer.json(), refusal(&json!(1), &message, scope, &document));
        // What they do then: sign in again, with the scopes that the host has kept or with the same as before.
        for again in [scope, "skills:read"] {
            let page = test_system.person(ANA).sign_in(&connector.authorization_request(again).url).await;
            assert!(page.body.contains("Read records"), "{again}");
        }
    }
}
