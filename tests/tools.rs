//! The tools that a tenant has registered, through MCP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use fakes::lambda::InvocationResult;
use local::Options;
use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Value, json};
use shared::oauth::tenant::TenantId;
use shared::store::workspace::tool::{BUILT_IN, Tool, ToolEndpoint};
use shared::store::workspace::tool_timeout::ToolTimeout;
use shared::store::workspace::{Name, ValidationError, WriteError};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::recorded_calls::RecordedCalls;
use tokio::net::TcpListener;
use workspace_file::allowed_origin::AllowedOrigin;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:invoices:live";

/// A tool of Acme's, whose arguments are a number of an invoice.
fn tool(name: &str, kind: ToolEndpoint) -> Tool {
    let schema = json!({
        "type": "object",
        "properties": { "number": { "type": "string", "pattern": "^[0-9]+$" } },
        "required": ["number"],
        "additionalProperties": false,
    });
    Tool {
        name: Name::parse(name).unwrap(),
        title: "Find an invoice".to_owned(),
        description: "By its number".to_owned(),
        input_schema: schema.as_object().unwrap().clone(),
        output_schema: None,
        kind,
        timeout: ToolTimeout::from_seconds(1).unwrap(),
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: true,
    }
}

fn at(url: &str) -> ToolEndpoint {
    ToolEndpoint::Http { url: url.to_owned() }
}

async fn keep(test_system: &TestSystem, tool: &Tool) {
    let acme = TenantId::parse("acme").unwrap();
    test_system.system().workspaces().as_operator(&acme).put_tool(tool).await.unwrap();
}

/// What a model is told by a tool's error.
fn told(answer: &HttpResponse) -> String {
    let result = answer.json()["result"].clone();
    assert_eq!(result["isError"], true, "{answer:?}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// Someone else's server, and what it has heard.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Vec<(HeaderMap, Value)>>>);

impl Server {
    /// Serves on this machine; the origin.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        origin
    }

    fn heard(&self) -> Vec<(HeaderMap, Value)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn serve(State(server): State<Server>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    server.0.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap_or_default()));
    match uri.path() {
        "/find" => axum::Json(json!({ "paid": true })).into_response(),
        "/moved" => (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]).into_response(),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(20)).await;
            StatusCode::OK.into_response()
        }
        "/large" => "x".repeat(2 * 1024 * 1024).into_response(),
        "/picture" => ([("content-type", "image/png")], "x").into_response(),
        "/several" => {
            let blocks = json!([
                { "type": "text", "text": "Here it is" },
                { "type": "resource", "resource": { "uri": "invoice://17", "mimeType": "text/plain", "text": "17" } },
            ]);
            ([("content-type", "application/vnd.mcp.content+json")], blocks.to_string()).into_response()
        }
        _ => (StatusCode::NOT_FOUND, "no such invoice").into_response(),
    }
}

async fn served(change: impl FnOnce(&mut Options)) -> (TestSystem, Server, String) {
    let server = Server::default();
    let origin = server.start().await;
    let test_system = TestSystem::with(|options| {
        options.tool_origins.push(AllowedOrigin::parse(&origin).unwrap());
        change(options);
    })
    .await;
    (test_system, server, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_receives_a_caller_token_valid_only_for_it() {
    let (test_system, server, origin) = served(|_| {}).await;
    let url = format!("{origin}/find");
    keep(&test_system, &tool("find_invoice", at(&url))).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;

    let answer = connector.tool(&tokens.access, "find_invoice", json!({ "number": "17" })).await;

    assert_eq!(answer.json()["result"]["structuredContent"], json!({ "paid": true }), "{answer:?}");
    let [(headers, body)] = server.heard().try_into().unwrap();
    assert_eq!(body, json!({ "number": "17" }));
    let shown = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (header, claims) = test_system::claims(shown);
    assert_eq!(header["typ"], "tool-call+jwt");
    let now = test_system.now();
    let (_, of_access) = test_system::claims(&tokens.access);
    assert_eq!(
        claims,
        json!({
            "iss": format!("{}/tools", test_system.issuer()), "aud": url, "sub": of_access["sub"], "tenant": "acme", "client_id": connector.client_id,
            "grant": of_access["grant"], "tool": "find_invoice", "iat": now, "exp": now + 60, "jti": claims["jti"],
        })
    );
    // As any receiver would: an ordinary library, and our published keys.
    let keys: jsonwebtoken::jwk::JwkSet =
        serde_json::from_value(test_system.get("/tools/.well-known/jwks.json").await.json()).unwrap();
    let of_access_tokens = test_system.get("/.well-known/jwks.json").await.json();
    assert!(!of_access_tokens.to_string().contains(header["kid"].as_str().unwrap()), "neither verifies the other's");
    let key = keys.find(header["kid"].as_str().unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&[&url]);
    validation.set_issuer(&[format!("{}/tools", test_system.issuer())]);
    // The test system's clock is not the machine's.
    validation.validate_exp = false;
    let verified = jsonwebtoken::decode::<Value>(shown, &key, &validation).unwrap();
    assert_eq!(verified.claims, claims);
    validation.set_audience(&["https://elsewhere.example/"]);
    assert!(jsonwebtoken::decode::<Value>(shown, &key, &validation).is_err());
    // It opens nothing here, and is made anew for each call.
    assert_eq!(connector.call(shown, "tools/list", json!({})).await.status, 401);
    let api_key = test_system.api_key();
    let by_key = test_system.call(
        Some(&api_key),
        "tools/call",
        json!({ "name": "find_invoice", "arguments": { "number": "1" } }),
    );
    assert_eq!(by_key.await.status, 200);
    let [(headers, _)] = server.heard().try_into().unwrap();
    let (_, again) = test_system::claims(headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap());
    assert!(again["key"].is_string() && again.get("grant").is_none() && again.get("client_id").is_none(), "{again}");
    assert_ne!(again["jti"], claims["jti"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_errors_and_whole_responses_reach_the_model() {
    let (test_system, server, origin) = served(|_| {}).await;
    let key = test_system.api_key();
    let call = async |name: &str, arguments: Value| {
        test_system.call(Some(&key), "tools/call", json!({ "name": name, "arguments": arguments })).await
    };
    keep(&test_system, &tool("find", at(&format!("{origin}/find")))).await;
    for (arguments, mistake) in [
        (json!({}), "- /: \"number\" is a required property"),
        (json!({ "number": "x" }), "- /number: \"x\" does not match \"^[0-9]+$\""),
    ] {
        let told = told(&call("find", arguments).await);
        assert_eq!(told, format!("The arguments do not fit the tool's schema:\n{mistake}"));
    }
    let large = told(&call("find", json!({ "number": "1".repeat(70_000) })).await);
    assert_eq!(large, "The arguments must not exceed 65536 bytes.");
    assert_eq!(server.heard().len(), 0, "nothing was sent");

    for (name, url, said) in [
        ("missing", format!("{origin}/none"), "The tool answered with HTTP status 404.\nno such invoice"),
        ("moved", format!("{origin}/moved"), "The tool answered with HTTP status 302."),
        ("slow", format!("{origin}/slow"), "The tool did not answer within 1 s."),
        ("large", format!("{origin}/large"), "The tool did not answer: its answer is too large."),
        (
            "inside",
            "https://10.0.0.1/".to_owned(),
            "The tool did not answer: its address is not on the public internet.",
        ),
        (
            "metadata",
            "https://169.254.169.254/".to_owned(),
            "The tool did not answer: its address is not on the public internet.",
        ),
        (
            "by_name",
            "https://localhost/".to_owned(),
            "The tool did not answer: its address is not on the public internet.",
        ),
        ("clear", "http://tools.acme.example/".to_owned(), "The tool did not answer: its address is not https."),
        ("gone", "http://127.0.0.1:1/".to_owned(), "The tool did not answer: its address is not https."),
    ] {
        keep(&test_system, &tool(name, at(&url))).await;
        assert_eq!(told(&call(name, json!({ "number": "1" })).await), said, "{name}");
    }
    for (name, content) in [
        ("picture", json!([{ "type": "image", "data": "eA==", "mimeType": "image/png" }])),
        (
            "several",
            json!([
                { "type": "text", "text": "Here it is" },
                { "type": "resource", "resource": { "uri": "invoice://17", "mimeType": "text/plain", "text": "17" } },
            ]),
        ),
    ] {
        keep(&test_system, &tool(name, at(&format!("{origin}/{name}")))).await;
        let answer = call(name, json!({ "number": "1" })).await.json();
        assert_eq!(answer["result"]["content"], content, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_function_can_be_a_tool() {
    let test_system = TestSystem::with(|options| {
        options.parameters.insert("ToolFunctions".to_owned(), format!("{FUNCTION},{}", local::demo_function::ARN));
    })
    .await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    test_system.system().lambda().deploy(FUNCTION, move |event: Value| {
        heard.lock().unwrap().push(event.clone());
        async move {
            match event["arguments"]["number"].as_str().unwrap() {
                "1" => InvocationResult::Returned(json!({ "paid": true })),
                "2" => InvocationResult::Returned(
                    json!({ "application/vnd.mcp.content+json": [{ "type": "text", "text": "two" }] }),
                ),
                "3" => InvocationResult::Failed("no such invoice".to_owned(), "Missing".to_owned()),
                "4" => InvocationResult::Throttled,
                "5" => InvocationResult::Returned(json!("x".repeat(2 * 1024 * 1024))),
                _ => {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    InvocationResult::Returned(Value::Null)
                }
            }
        }
    });
    keep(&test_system, &tool("invoice", ToolEndpoint::Lambda { function: FUNCTION.to_owned() })).await;
    keep(&test_system, &tool("gone", ToolEndpoint::Lambda { function: FUNCTION.replace("live", "gone") })).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    let call = async |name: &str, number: &str| connector.tool(&tokens.access, name, json!({ "number": number })).await;

    let answer = call("invoice", "1").await.json();

    assert_eq!(answer["result"]["structuredContent"], json!({ "paid": true }), "{answer}");
    let event = events.lock().unwrap()[0].clone();
    let (_, of_access) = test_system::claims(&tokens.access);
    let context = json!({
        "iss": format!("{}/tools", test_system.issuer()), "sub": of_access["sub"], "tenant": "acme", "client_id": connector.client_id,
        "grant": of_access["grant"], "tool": "invoice", "iat": test_system.now(), "jti": event["context"]["jti"],
    });
    assert_eq!(event, json!({ "arguments": { "number": "1" }, "context": context }));
    assert_eq!(call("invoice", "2").await.json()["result"]["content"], json!([{ "type": "text", "text": "two" }]));
    for (name, number, said) in [
        ("invoice", "3", "The tool failed.\nno such invoice"),
        ("invoice", "4", "The tool did not answer: it has too much to do."),
        ("invoice", "5", "The tool did not answer: its answer is too large."),
        ("invoice", "6", "The tool did not answer within 1 s."),
        ("gone", "1", "The tool did not answer: it cannot be reached."),
    ] {
        assert_eq!(told(&call(name, number).await), said, "{name} {number}");
    }
    let counted = connector.tool(&tokens.access, "count_words", json!({ "text": "one two  three" })).await.json();
    assert_eq!(counted["result"]["structuredContent"], json!({ "words": 3, "letters": 11 }), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_calls_are_rate_limited_per_hour() {
    let (test_system, server, origin) = served(|options| {
        options.parameters.insert("ToolCallsPerHour".to_owned(), "3".to_owned());
    })
    .await;
    keep(&test_system, &tool("find", at(&format!("{origin}/find")))).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    let call = async |number: &str| connector.tool(&tokens.access, "find", json!({ "number": number })).await;
    let left = 3600 - test_system.now() % 3600;

    // All at once, and what is wrong with the arguments is not counted.
    assert!(told(&call("x").await).starts_with("The arguments do not fit"));
    let answers = test_system::all(["1"; 8].map(&call)).await;

    let refused: Vec<_> = answers.iter().filter(|answer| answer.json()["result"]["isError"] == true).collect();
    assert_eq!((refused.len(), server.heard().len()), (5, 3));
    let minutes = (left + 59) / 60;
    assert_eq!(
        told(refused[0]),
        format!(
            "This connection has made its 3 calls of the workspace's own tools for this hour. It may make more in {minutes} \
             minutes. Do not try again before, and tell the person."
        )
    );
    // Another credential has a budget of its own.
    let by_key = json!({ "name": "find", "arguments": { "number": "1" } });
    assert_ne!(
        test_system.call(Some(&test_system.api_key()), "tools/call", by_key).await.json()["result"]["isError"],
        true
    );
    test_system.advance(left - 1);
    let fresh = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    let call = async || connector.tool(&fresh.access, "find", json!({ "number": "1" })).await;
    assert!(told(&call().await).contains("in 1 minutes"));
    test_system.advance(1);
    assert_ne!(call().await.json()["result"]["isError"], true);
}

/// Puts an item into the table as it was before a rule was made, past all checks: the tool `name` with another input schema.
async fn keep_unchecked(test_system: &TestSystem, name: &str, input_schema: &Value) {
    keep(test_system, &tool(name, at("https://tools.acme.example/"))).await;
    let items = test_system.system().items().unwrap();
    let (table, mut item) = items.into_iter().find(|(_, item)| item["item"]["S"] == format!("tool#{name}")).unwrap();
    item["input_schema"] = json!({ "S": input_schema.to_string() });
    test_system.put_unchecked(&table, &item).await;
}

/// A host hands all tools to its model at once, and for one of these the whole request is refused: every tool of every connector is
/// gone. So none is taken, and what was stored before is left out of the list, and counted.
#[tokio::test(flavor = "multi_thread")]
async fn tools_that_stop_a_host_are_refused_and_not_listed() {
    let test_system = TestSystem::new().await;
    let acme = test_system.system().workspaces().as_operator(&TenantId::parse("acme").unwrap());
    let long = "a".repeat(65);
    let many: serde_json::Map<_, _> =
        (0..400).map(|n| (format!("p{n}"), json!({ "type": "string", "description": "what it is" }))).collect();
    let mut stored = Vec::new();
    for (name, schema, error) in [
        ("any_of", json!({ "type": "object", "anyOf": [{ "required": ["a"] }] }), ValidationError::TopLevelKeyword),
        ("one_of", json!({ "type": "object", "oneOf": [{ "required": ["a"] }] }), ValidationError::TopLevelKeyword),
        ("all_of", json!({ "type": "object", "allOf": [{ "required": ["a"] }] }), ValidationError::TopLevelKeyword),
        ("dollar", json!({ "type": "object", "properties": { "$filter": {} } }), ValidationError::PropertyName),
        ("brackets", json!({ "type": "object", "properties": { "filter[name]": {} } }), ValidationError::PropertyName),
        ("letters", json!({ "type": "object", "properties": { "größe": {} } }), ValidationError::PropertyName),
        ("blank", json!({ "type": "object", "properties": { "a b": {} } }), ValidationError::PropertyName),
        ("long", json!({ "type": "object", "properties": { long.as_str(): {} } }), ValidationError::PropertyName),
        (
            "nested",
            json!({ "type": "object", "properties": { "a": { "type": "array", "items": { "properties": { "@b": {} } } } } }),
            ValidationError::PropertyName,
        ),
        ("large", json!({ "type": "object", "properties": many }), ValidationError::DefinitionSize),
    ] {
        let refused =
            Tool { input_schema: schema.as_object().unwrap().clone(), ..tool(name, at("https://a.example/")) };
        let Err(WriteError::Validation(why)) = acme.put_tool(&refused).await else { panic!("{name} is taken") };
        assert_eq!(why, error, "{name}");
        keep_unchecked(&test_system, name, &schema).await;
        stored.push(name);
    }
    keep(&test_system, &tool("fine", at("https://tools.acme.example/"))).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;

    let listed = connector.call(&tokens.access, "tools/list", json!({})).await;

    let tools = listed.json()["result"]["tools"].as_array().unwrap().clone();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, [&BUILT_IN[..], &["count_words", "fine", "roll_dice"]].concat());
    let line = test_system.lines().into_iter().rfind(|line| line["target"] == "request").unwrap();
    assert_eq!(line["UnlistedTools"], stored.len(), "{line}");
}

/// Some hosts read one page of the list and no more: it has all tools of a tenant, up to 1 MB.
#[tokio::test(flavor = "multi_thread")]
async fn one_page_lists_every_tool_up_to_a_megabyte() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    let with_description =
        |name: String| Tool { description: "d".repeat(2048), ..tool(&name, at("https://tools.acme.example/")) };
    for number in 0..130 {
        keep(&test_system, &tool(&format!("t{number:03}"), at("https://tools.acme.example/"))).await;
    }
    let page = connector.call(&tokens.access, "tools/list", json!({})).await.json()["result"].clone();
    assert_eq!((page["tools"].as_array().unwrap().len(), &page["nextCursor"]), (BUILT_IN.len() + 132, &Value::Null));

    for number in 0..460 {
        keep(&test_system, &with_description(format!("u{number:03}"))).await;
    }
    let first = connector.call(&tokens.access, "tools/list", json!({})).await;
    let cursor = first.json()["result"]["nextCursor"].clone();
    let second = connector.call(&tokens.access, "tools/list", json!({ "cursor": cursor })).await;

    assert!((900_000..1024 * 1024 + 10_000).contains(&first.body.len()), "{}", first.body.len());
    assert_eq!(second.json()["result"]["nextCursor"], Value::Null);
    let names = |answer: &HttpResponse| -> Vec<String> {
        let tools = answer.json()["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut expected =
        [&BUILT_IN[..], &["count_words", "roll_dice"]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    expected.extend((0..130).map(|number| format!("t{number:03}")));
    expected.extend((0..460).map(|number| format!("u{number:03}")));
    assert_eq!([names(&first), names(&second)].concat(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_in_order_to_authorized_callers() {
    let test_system = TestSystem::new().await;
    for number in 0..120 {
        keep(&test_system, &tool(&format!("t{number:03}"), at("https://tools.acme.example/"))).await;
    }
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute skills:read").await;
    let (_, without) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let names = |answer: &HttpResponse| -> Vec<String> {
        let tools = answer.json()["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };

    let (mut listed, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        let page = connector.call(&tokens.access, "tools/list", params).await;
        listed.extend(names(&page));
        cursor = page.json()["result"]["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }

    let mut expected =
        [&BUILT_IN[..], &["count_words", "roll_dice"]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    expected.extend((0..120).map(|number| format!("t{number:03}")));
    assert_eq!(listed, expected);
    let others = names(&connector.call(&without.access, "tools/list", json!({})).await);
    assert_eq!(others, BUILT_IN);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_tool_is_not_stored() {
    let test_system = TestSystem::new().await;
    let acme = TenantId::parse("acme").unwrap();
    let workspace = test_system.system().workspaces().as_operator(&acme);
    let circle = json!({ "type": "object", "properties": { "child": { "$ref": "#" } } });
    let with = |change: fn(&mut Tool)| {
        let mut tool = tool("fine", at("https://tools.acme.example/"));
        change(&mut tool);
        tool
    };
    let hostile = Tool { input_schema: circle.as_object().unwrap().clone(), ..with(|_| {}) };
    for (tool, why) in [
        (with(|tool| tool.name = Name::parse("list_skills").unwrap()), ValidationError::ReservedName),
        (with(|tool| tool.kind = at("ftp://tools.acme.example/")), ValidationError::Url),
        (with(|tool| tool.kind = ToolEndpoint::Lambda { function: "*".to_owned() }), ValidationError::Function),
        (hostile, ValidationError::CircularReference),
    ] {
        let kept = workspace.put_tool(&tool).await;
        assert!(matches!(kept, Err(WriteError::Validation(unfit)) if unfit == why), "{kept:?}");
    }
}

/// What a call of a tool may cost, beyond being let in.
#[tokio::test(flavor = "multi_thread")]
async fn tool_call_costs_at_most_one_signature_and_four_table_calls() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    connector.call(&tokens.access, "ping", json!({})).await;
    // The first call of an instance also asks KMS for the name of the key.
    connector.tool(&tokens.access, "roll_dice", json!({})).await;
    for (tool, arguments, expected) in
        [("roll_dice", json!({}), "kms:Sign"), ("count_words", json!({ "text": "a" }), "lambda:InvokeFunction")]
    {
        calls.clear();
        let answer = connector.tool(&tokens.access, tool, arguments).await;
        assert_ne!(answer.json()["result"]["isError"], true, "{answer:?}");
        let made: Vec<_> = calls.take().into_iter().map(|made| made.action).collect();
        let (batch, get, update) = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem");
        // One call for two tables lets it in. The budget is counted, and that it is under way.
        assert_eq!(made, [batch, batch, get, update, update, expected, update], "{tool}");
    }
}

/// A tool has the time that it is registered with, unless slow calls to AWS have used up too much of the function's: the answer, the
/// audit and the count of calls still have their two seconds. What the tool is asked is in the audit before it answers.
#[tokio::test(flavor = "multi_thread")]
async fn tool_is_given_up_two_seconds_before_the_function_ends() {
    const FUNCTION_TIMEOUT: Duration = Duration::from_secs(4);
    let (test_system, server, origin) = served(|options| {
        options.function_timeout = Some(FUNCTION_TIMEOUT);
        options.parameters.insert("ToolFunctions".to_owned(), FUNCTION.to_owned());
        options.interceptor = Some(Arc::new(|call: Call| async move {
            // The read of the tool, as slow as one that is not tried again may be.
            if call.function == "mcp" && call.operation == "GetItem" {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Decision::Pass
        }));
    })
    .await;
    let slow = Tool { timeout: ToolTimeout::from_seconds(25).unwrap(), ..tool("slow", at(&format!("{origin}/slow"))) };
    keep(&test_system, &slow).await;
    let lambda = Tool {
        timeout: ToolTimeout::from_seconds(25).unwrap(),
        ..tool("slow_function", ToolEndpoint::Lambda { function: FUNCTION.to_owned() })
    };
    keep(&test_system, &lambda).await;
    test_system.system().lambda().deploy(FUNCTION, |_| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        InvocationResult::Returned(Value::Null)
    });
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    let (person, grant) =
        (test_system.person_id("ana@example.com"), test_system::claims(&tokens.access).1["grant"].clone());
    let credential = format!("grant {} of {}", grant.as_str().unwrap(), connector.client_id);
    let of_grant = |event: &str| {
        let lines = test_system.audit(event).into_iter();
        lines.filter(|line| line["credential"] == credential).collect::<Vec<_>>()
    };
    let line = |event: &str, tool: &str| json!({ "event": event, "tenant": "acme", "person": person.as_str(), "credential": credential, "tool": tool });
    let ended = |tool: &str| {
        let mut line = line("tool_called", tool);
        line["outcome"] = json!("timed_out");
        line
    };

    let began = std::time::Instant::now();
    let (answer, ()) = tokio::join!(connector.tool(&tokens.access, "slow", json!({ "number": "1" })), async {
        for _ in 0..600 {
            if !server.0.lock().unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!((of_grant("tool_calling"), of_grant("tool_called")), (vec![line("tool_calling", "slow")], vec![]));
    });

    assert!(told(&answer).starts_with("The tool did not answer within 1"), "{answer:?}");
    assert!(began.elapsed() < FUNCTION_TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(of_grant("tool_called"), [ended("slow")]);

    let answer = connector.tool(&tokens.access, "slow_function", json!({ "number": "1" })).await;
    assert!(told(&answer).starts_with("The tool did not answer within 1"), "{answer:?}");
    assert_eq!(of_grant("tool_calling"), ["slow", "slow_function"].map(|tool| line("tool_calling", tool)));
    assert_eq!(of_grant("tool_called"), ["slow", "slow_function"].map(ended));
}

/// Where too little time is left, the tool is not called at all.
#[tokio::test(flavor = "multi_thread")]
async fn tool_is_not_called_without_time_to_answer() {
    let (test_system, server, origin) = served(|options| {
        options.function_timeout = Some(Duration::from_secs(2));
    })
    .await;
    keep(&test_system, &tool("find", at(&format!("{origin}/find")))).await;

    let arguments = json!({ "name": "find", "arguments": { "number": "1" } });
    let answer = test_system.call(Some(&test_system.api_key()), "tools/call", arguments).await;

    assert_eq!(told(&answer), "The tool was not called: too much time had passed before. Try again.");
    assert!(server.heard().is_empty());
}

/// A call that writes, and that outlives its function, is in the audit. One that reads has done nothing.
#[tokio::test(flavor = "multi_thread")]
async fn write_that_outlives_the_function_is_audited() {
    let (test_system, _, _) = served(|options| {
        options.function_timeout = Some(Duration::from_secs(1));
        options.interceptor = Some(Arc::new(|call: Call| async move {
            // At each attempt.
            if call.function == "mcp" && call.operation == "TransactWriteItems" {
                tokio::time::sleep(Duration::from_millis(1500)).await;
            }
            Decision::Pass
        }));
    })
    .await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "documents:write").await;
    let person = test_system.person_id("ana@example.com");
    let grant = test_system::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
    let credential = format!("grant {grant} of {}", connector.client_id);
    let of_grant = |event: &str| {
        let lines = test_system.audit(event).into_iter();
        lines.filter(|line| line["credential"] == credential).collect::<Vec<_>>()
    };

    let listed = connector.tool(&tokens.access, "list_documents", json!({})).await;
    let arguments = json!({ "id": "refund-policy", "version": 1, "title": "Late", "content": "late" });
    let lost = connector.tool(&tokens.access, "update_document", arguments).await;

    assert_eq!((listed.status, lost.status), (200, 500), "{lost:?}");
    let announced = json!({
        "event": "tool_calling", "tenant": "acme", "person": person.as_str(), "credential": credential,
        "tool": "update_document", "object": "refund-policy",
    });
    assert_eq!(of_grant("tool_calling"), [announced]);
    let ended: Vec<_> = of_grant("tool_called").into_iter().map(|line| line["tool"].clone()).collect();
    assert_eq!(ended, ["list_documents"]);
}

/// Slow tools of one tenant leave room for everybody else: a call holds an execution of `mcp` for as long as its tool takes.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_slow_tools_of_a_tenant_are_limited() {
    let (test_system, server, origin) = served(|options| {
        options.parameters.insert("ToolConcurrency".to_owned(), "2".to_owned());
    })
    .await;
    let begin_of_span = 300 - test_system.now() % 300;
    test_system.advance(begin_of_span);
    keep(&test_system, &tool("slow", at(&format!("{origin}/slow")))).await;
    keep(&test_system, &tool("find", at(&format!("{origin}/find")))).await;
    let globex = TenantId::parse("globex").unwrap();
    let of_globex = tool("find", at(&format!("{origin}/find")));
    test_system.system().workspaces().as_operator(&globex).put_tool(&of_globex).await.unwrap();
    test_system.set_role("globex", "ana@example.com", "member").await;
    let (ana, anas) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    let (ben, bens) = test_system.connect("ben@example.com", "acme", "tools:execute").await;
    let (other, others) = test_system.connect("ana@example.com", "globex", "tools:execute").await;
    let number = || json!({ "number": "1" });
    let sentence = "The workspace's own tools have as many calls under way as they may at one time: 2. Wait for calls that you have \
                    made to end, then try again, one at a time.";

    let (one, two, busy, elsewhere) = tokio::join!(
        ana.tool(&anas.access, "slow", number()),
        ben.tool(&bens.access, "slow", number()),
        async {
            while server.0.lock().unwrap().len() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ben.tool(&bens.access, "find", number()).await
        },
        async {
            while server.0.lock().unwrap().len() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other.tool(&others.access, "find", number()).await
        },
    );

    assert_eq!(told(&busy), sentence);
    assert_ne!(elsewhere.json()["result"]["isError"], true, "another tenant has its own: {elsewhere:?}");
    for slow in [one, two] {
        assert_eq!(told(&slow), "The tool did not answer within 1 s.");
    }
    // Calls that have ended, even by their time limit, are no longer under way; one after another there may be any number.
    for _ in 0..4 {
        let found = ana.tool(&anas.access, "find", number()).await;
        assert_ne!(found.json()["result"]["isError"], true, "{found:?}");
    }
}

/// What a function that was ended in the middle of a call leaves behind counts for five minutes at most.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_calls_stop_counting_after_five_minutes() {
    let interceptor = |call: Call| async move {
        let ends = call.body["UpdateExpression"] == "ADD #under_way :less";
        if ends { Decision::FailBefore(InjectedError::DENIED) } else { Decision::Pass }
    };
    let (test_system, server, origin) = served(|options| {
        options.interceptor = Some(Arc::new(interceptor));
        options.parameters.insert("ToolConcurrency".to_owned(), "2".to_owned());
    })
    .await;
    let begin_of_span = 300 - test_system.now() % 300;
    test_system.advance(begin_of_span);
    keep(&test_system, &tool("find", at(&format!("{origin}/find")))).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "tools:execute").await;
    let call = async || connector.tool(&tokens.access, "find", json!({ "number": "1" })).await;

    for _ in 0..2 {
        // That it cannot be said is not the caller's affair: the tool has answered.
        assert_ne!(call().await.json()["result"]["isError"], true);
    }
    assert!(told(&call().await).contains("under way"));
    test_system.advance(299);
    assert!(told(&call().await).contains("under way"));
    test_system.advance(1);
    assert_ne!(call().await.json()["result"]["isError"], true);
    assert_eq!(server.heard().len(), 3);
}

/// A call that cannot be counted is not made.
#[tokio::test(flavor = "multi_thread")]
async fn tool_is_not_called_when_counting_fails() {
    let interceptor = |call: Call| async move {
        let table = call.body["TableName"].as_str().unwrap_or_default();
        let counts = call.function == "mcp" && call.operation == "UpdateItem" && table.ends_with("-Workspace");
        if counts { Decision::FailBefore(InjectedError::INTERNAL) } else { Decision::Pass }
    };
    let (test_system, server, origin) = served(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    keep(&test_system, &tool("find", at(&format!("{origin}/find")))).await;

    let call = json!({ "name": "find", "arguments": { "number": "1" } });
    let answer = test_system.call(Some(&test_system.api_key()), "tools/call", call).await;

    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{answer:?}");
    assert_eq!(server.heard().len(), 0, "nothing was sent");
}
