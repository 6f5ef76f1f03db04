//! What a body says, and under which revision of the protocol.
//!
//! Two eras share the endpoint: since 2026-07-28 every request carries its version and capabilities with it; before that, they
//! were agreed on by `initialize`, of which a stateless server remembers nothing. rmcp serves both, but assumes bodies that rmcp
//! wrote, so all that real clients get wrong or do otherwise is settled here, in front of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use rmcp::model::{
    CallToolRequestParams, GetPromptRequestParams, InitializeRequestParams, PaginatedRequestParams,
    ReadResourceRequestParams,
};
use serde_json::{Map, Value, from_value, json};
use shared::lambda::{Body, Request};

use crate::operation::{Operation, Unknown};
use crate::refusal::Refusal;

/// The revision of the modern era.
pub(crate) const MODERN: &str = "2026-07-28";
/// Those of the legacy era, the newest first. Not 2025-03-26: it would oblige us to take batches.
pub(crate) const LEGACY: [&str; 2] = ["2025-11-25", "2025-06-18"];

/// The largest body that is read, in bytes.
const LIMIT: usize = 1024 * 1024;

const VERSION_HEADER: &str = "mcp-protocol-version";
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
/// Of the legacy era alone.
const RESOURCE_NOT_FOUND: i32 = -32002;
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;

/// What was sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// A notification or a response: taken note of, and not answered.
    Notice,
    /// A request.
    Call(Call),
}

/// A request of a client.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Whose rules it follows.
    pub(crate) era: Era,
    /// What it asks for.
    pub(crate) operation: Operation,
    /// The method, as it was sent.
    pub(crate) method: String,
    /// The whole message, as it was understood.
    pub(crate) body: Value,
}

/// Which of the two protocols a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25 and 2025-06-18.
    Legacy,
}

/// An answer of JSON-RPC to what is not a request that we take.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// The status.
    pub(crate) status: StatusCode,
    /// The id, if it could be read.
    pub(crate) id: Option<Value>,
    /// The code.
    pub(crate) code: i32,
    /// The sentence.
    pub(crate) message: &'static str,
    /// More, where the specification defines it.
    pub(crate) data: Option<Value>,
}

impl Message {
    /// Reads a request's method, headers and body.
    pub(crate) fn read(request: &Request) -> Result<Self, Refusal> {
        // MCP 2025-11-25, transports: a GET may be answered by 405, a DELETE likewise. Discovery has had its 401 by now.
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        Ok(Self::parse(request.headers(), request.body())?)
    }

    fn parse(headers: &HeaderMap, body: &Body) -> Result<Self, Malformed> {
        // `Accept` is not looked at: our answers are JSON, and some clients send `*/*` or nothing.
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(malformed(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                INVALID_REQUEST,
                "The body must be application/json",
            ));
        }
        let bytes: &[u8] = body.as_ref();
        if bytes.len() > LIMIT {
            return Err(malformed(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, "The body is too large"));
        }
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|_| malformed(StatusCode::BAD_REQUEST, PARSE_ERROR, "The body is not JSON"))?;
        // Batches ended with 2025-06-18.
        let Value::Object(message) = value else {
            return Err(invalid(None, "The body must be one JSON-RPC message"));
        };
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(invalid(None, "The body is not a JSON-RPC 2.0 message"));
        }
        let method = match message.get("method") {
            Some(Value::String(method)) => method.clone(),
            // We never ask, so whatever this answers, there is nothing to do with it.
            None if message.contains_key("result") || message.contains_key("error") => return Ok(Self::Notice),
            _ => return Err(invalid(None, "The message has no method")),
        };
        let Some(id) = message.get("id") else { return Ok(Self::Notice) };
        // Others would read it as a response.
        if message.contains_key("result") || message.contains_key("error") {
            return Err(invalid(None, "The message is both a request and a response"));
        }
        if !(id.is_string() || id.is_i64()) {
            return Err(invalid(None, "The id must be a string or an integer"));
        }
        let id = id.clone();
        let none = Map::new();
        let params = match message.get("params") {
            None => &none,
            Some(Value::Object(params)) => params,
            Some(_) => return Err(invalid(Some(id), "The params must be an object")),
        };
        let (era, operation) = understand(headers, &method, params).map_err(|why| Malformed { id: Some(id), ..why })?;
        Ok(Self::Call(Call { era, operation, method, body: Value::Object(message) }))
    }
}

/// The era, then what its rules demand of headers and metadata, then the method.
fn understand(headers: &HeaderMap, method: &str, params: &Map<String, Value>) -> Result<(Era, Operation), Malformed> {
    let header = headers.get(VERSION_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let meta = params.get("_meta");
    let era = match (meta.and_then(|meta| meta.get(VERSION_KEY)), header.as_deref()) {
        (Some(version), header) => {
            check_metadata(headers, header, version, meta, method, params)?;
            Era::Modern
        }
        // rmcp would compare the header with the body here, and refuse; the handshake is what agrees on a version.
        (None, _) if method == "initialize" => Era::Legacy,
        // Claude has been seen to leave the header out; 2025-11-25 lets us assume an older version then.
        (None, None) => Era::Legacy,
        (None, Some(version)) if LEGACY.contains(&version) => Era::Legacy,
        // Serving it as legacy would forgive a client that has half moved on; none is known (base protocol, `_meta`).
        (None, Some(MODERN)) => {
            return Err(bad_request(INVALID_PARAMS, "The request lacks the protocol version in its metadata"));
        }
        (None, Some(version)) => return Err(unsupported(version)),
    };
    let operation = Operation::of(era, method, params).map_err(|unknown| match unknown {
        // 2026-07-28, transports: an unknown method is a 404, which in the legacy era would say that a session had ended.
        Unknown::Method if era == Era::Modern => {
            malformed(StatusCode::NOT_FOUND, METHOD_NOT_FOUND, "There is no such method")
        }
        Unknown::Method => malformed(StatusCode::OK, METHOD_NOT_FOUND, "There is no such method"),
        Unknown::Tool => malformed(StatusCode::OK, INVALID_PARAMS, "There is no such tool"),
        Unknown::Prompt => malformed(StatusCode::OK, INVALID_PARAMS, "There is no such prompt"),
        Unknown::Resource => no_resource(era, params.get("uri")),
        Unknown::Completing => {
            malformed(StatusCode::OK, INVALID_PARAMS, "There is no such prompt, template or variable to complete")
        }
        Unknown::Params => malformed(StatusCode::OK, INVALID_PARAMS, "The params are not those of the method"),
    })?;
    if fits(&operation, params) {
        Ok((era, operation))
    } else {
        Err(malformed(StatusCode::OK, INVALID_PARAMS, "The params are not those of the method"))
    }
}

/// Whether the params are those of the operation. rmcp would take ones that it cannot read for none, or the method for one that
/// it does not know.
fn fits(operation: &Operation, params: &Map<String, Value>) -> bool {
    let meta = params.get("_meta");
    let params = || Value::Object(params.clone());
    match operation {
        Operation::Discover | Operation::Ping => meta.is_none_or(|meta| meta.is_null() || meta.is_object()),
        Operation::Initialize => from_value::<InitializeRequestParams>(params()).is_ok(),
        Operation::ListTools | Operation::ListResources | Operation::ListTemplates | Operation::ListPrompts => {
            from_value::<PaginatedRequestParams>(params()).is_ok()
        }
        Operation::BuiltIn(_) | Operation::Registered(_) => from_value::<CallToolRequestParams>(params()).is_ok(),
        Operation::ReadResource(_) => from_value::<ReadResourceRequestParams>(params()).is_ok(),
        Operation::GetPrompt(_) => from_value::<GetPromptRequestParams>(params()).is_ok(),
        // It was read of them.
        Operation::Complete(_) => true,
    }
}

/// 2026-07-28, base protocol and transports: what every request carries, twice.
fn check_metadata(
    headers: &HeaderMap,
    header: Option<&str>,
    version: &Value,
    meta: Option<&Value>,
    method: &str,
    params: &Map<String, Value>,
) -> Result<(), Malformed> {
    let Value::String(version) = version else {
        return Err(bad_request(INVALID_PARAMS, "The protocol version must be a string"));
    };
    if !meta.and_then(|meta| meta.get(CAPABILITIES_KEY)).is_some_and(Value::is_object) {
        return Err(bad_request(INVALID_PARAMS, "The request lacks the client's capabilities in its metadata"));
    }
    if header != Some(version) {
        return Err(bad_request(HEADER_MISMATCH, "MCP-Protocol-Version does not match the body"));
    }
    if version != MODERN {
        return Err(unsupported(version));
    }
    if named(headers, "mcp-method").as_deref() != Some(method) {
        return Err(bad_request(HEADER_MISMATCH, "Mcp-Method does not match the body"));
    }
    let name = match method {
        "tools/call" | "prompts/get" => params.get("name"),
        "resources/read" => params.get("uri"),
        _ => None,
    };
    match name.and_then(Value::as_str) {
        Some(name) if named(headers, "mcp-name").as_deref() != Some(name) => {
            Err(bad_request(HEADER_MISMATCH, "Mcp-Name does not match the body"))
        }
        _ => Ok(()),
    }
}

/// The value of a header that occurs once, decoded if it is wrapped in `=?base64?…?=` (2026-07-28, transports).
fn named(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let value = value.to_str().ok()?.trim_matches([' ', '\t']);
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// SEP-2164: 2026-07-28 knows this error by another code, and what it repeats is the client's own.
fn no_resource(era: Era, uri: Option<&Value>) -> Malformed {
    let code = if era == Era::Modern { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
    let data = uri.map(|uri| json!({ "uri": uri }));
    Malformed { data, ..malformed(StatusCode::OK, code, "There is no such resource") }
}

fn unsupported(requested: &str) -> Malformed {
    let supported: Vec<_> = std::iter::once(MODERN).chain(LEGACY).collect();
    let data = json!({ "supported": supported, "requested": requested });
    Malformed { data: Some(data), ..bad_request(UNSUPPORTED_VERSION, "Unsupported protocol version") }
}

fn invalid(id: Option<Value>, message: &'static str) -> Malformed {
    Malformed { id, ..bad_request(INVALID_REQUEST, message) }
}

/// Of a request that is none of HTTP.
pub(crate) const fn not_http() -> Malformed {
    bad_request(INVALID_REQUEST, "The request is malformed")
}

const fn bad_request(code: i32, message: &'static str) -> Malformed {
    malformed(StatusCode::BAD_REQUEST, code, message)
}

const fn malformed(status: StatusCode, code: i32, message: &'static str) -> Malformed {
    Malformed { status, id: None, code, message, data: None }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HeaderName;

    use super::*;

    /// A request of `method` with `params`, and the metadata of the modern era if it is given a version.
    fn request(method: &str, mut params: Value, version: Option<&str>) -> String {
        if let Some(version) = version {
            params["_meta"] = json!({ VERSION_KEY: version, CAPABILITIES_KEY: {} });
        }
        json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string()
    }

    fn parse(headers: &[(&'static str, &str)], body: impl Into<Body>) -> Result<Message, Malformed> {
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Message::parse(&map, &body.into())
    }

    fn called(headers: &[(&'static str, &str)], body: &str) -> Call {
        match parse(headers, body) {
            Ok(Message::Call(call)) => call,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn refused(headers: &[(&'static str, &str)], body: impl Into<Body>) -> (u16, i32, Option<Value>) {
        let malformed = parse(headers, body).unwrap_err();
        (malformed.status.as_u16(), malformed.code, malformed.id)
    }

    #[test]
    fn what_is_not_a_message() {
        for (body, code) in [
            ("", -32700),
            ("{", -32700),
            ("nonsense", -32700),
            ("[]", -32600),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
            (r#""ping""#, -32600),
            ("null", -32600),
            ("{}", -32600),
            (r#"{"id":1,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        ] {
            assert_eq!(refused(&[], body), (400, code, None), "{body}");
        }
        assert_eq!(
            refused(&[], r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#),
            (400, -32600, Some(json!(1)))
        );
        assert_eq!(refused(&[], vec![b'"', 0xff, b'"']), (400, -32700, None));
        assert_eq!(refused(&[], format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000))), (400, -32700, None));
        assert_eq!(refused(&[], " ".repeat(LIMIT + 1)), (413, -32600, None));
        assert_eq!(refused(&[("content-type", "text/plain")], request("ping", json!({}), None)), (415, -32600, None));
    }

    #[test]
    fn what_is_not_answered() {
        for body in [
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/made_up"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":""}}"#,
        ] {
            assert!(matches!(parse(&[], body), Ok(Message::Notice)), "{body}");
        }
    }

    #[test]
    fn which_era_a_request_belongs_to() {
        let initialize = json!({ "protocolVersion": "2026-07-28", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } });
        for (headers, method, params, operation) in [
            (&[][..], "initialize", initialize.clone(), Operation::Initialize),
            (&[("mcp-protocol-version", "2026-07-28")], "initialize", initialize.clone(), Operation::Initialize),
            (&[("mcp-method", "initialize")], "initialize", initialize, Operation::Initialize),
            (&[], "ping", json!({}), Operation::Ping),
            (&[], "tools/list", json!({}), Operation::ListTools),
            (&[("mcp-protocol-version", "2025-11-25")], "tools/list", json!({ "cursor": "x" }), Operation::ListTools),
            (&[("mcp-protocol-version", "2025-06-18")], "tools/list", json!({ "_meta": {} }), Operation::ListTools),
            (
                &[],
                "tools/call",
                json!({ "name": "read_skill", "arguments": { "name": "a" } }),
                Operation::BuiltIn(crate::tools::BuiltIn::named("read_skill").unwrap()),
            ),
        ] {
            let call = called(headers, &request(method, params, None));
            assert_eq!((call.era, call.operation), (Era::Legacy, operation), "{headers:?} {method}");
        }
        let modern = |method| [("mcp-protocol-version", MODERN), ("mcp-method", method), ("mcp-name", "find_invoice")];
        for (method, params, operation) in [
            ("server/discover", json!({}), Operation::Discover),
            ("tools/list", json!({}), Operation::ListTools),
            (
                "tools/call",
                json!({ "name": "find_invoice" }),
                Operation::Registered(shared::store::workspace::Name::parse("find_invoice").unwrap()),
            ),
        ] {
            let call = called(&modern(method), &request(method, params, Some(MODERN)));
            assert_eq!((call.era, call.operation), (Era::Modern, operation), "{method}");
        }
        let wrapped = [
            ("mcp-protocol-version", MODERN),
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?cmVhZF9za2lsbA==?="),
        ];
        called(&wrapped, &request("tools/call", json!({ "name": "read_skill" }), Some(MODERN)));
    }

    #[test]
    fn what_the_legacy_era_refuses() {
        let id = Some(json!(7));
        for (method, params, code) in [
            ("server/discover", json!({}), -32601),
            ("resources/subscribe", json!({ "uri": "skill://a" }), -32601),
            ("resources/list", json!({ "cursor": 1 }), -32602),
            ("resources/templates/list", json!({ "cursor": 1 }), -32602),
            ("resources/read", json!({}), -32602),
            ("resources/read", json!({ "uri": 1 }), -32602),
            ("resources/read", json!({ "uri": "file:///etc/passwd" }), -32002),
            ("resources/read", json!({ "uri": "skill://not a name" }), -32002),
            ("prompts/list", json!({ "cursor": 1 }), -32602),
            ("prompts/get", json!({}), -32602),
            ("prompts/get", json!({ "name": "not a name" }), -32602),
            ("prompts/get", json!({ "name": "weekly-report", "arguments": [] }), -32602),
            ("completion/complete", json!({}), -32602),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": "a" }, "argument": { "name": "b" } }),
                -32602,
            ),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/made-up", "name": "a" }, "argument": { "name": "b", "value": "" } }),
                -32602,
            ),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/resource", "uri": "file:///{a}" }, "argument": { "name": "a", "value": "" } }),
                -32602,
            ),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/resource", "uri": "skill://{name}" }, "argument": { "name": "id", "value": "" } }),
                -32602,
            ),
            ("logging/setLevel", json!({ "level": "info" }), -32601),
            ("made/up", json!({}), -32601),
            ("initialize", json!({}), -32602),
            ("initialize", json!({ "protocolVersion": 1 }), -32602),
            ("tools/call", json!({}), -32602),
            ("tools/call", json!({ "name": 1 }), -32602),
            ("tools/call", json!({ "name": "not a name" }), -32602),
            ("tools/call", json!({ "name": "read_skill", "arguments": [] }), -32602),
            ("tools/list", json!({ "cursor": 1 }), -32602),
        ] {
            assert_eq!(refused(&[], request(method, params, None)), (200, code, id.clone()), "{method}");
        }
    }

    /// 2026-07-28, transports and base protocol.
    #[test]
    fn what_the_modern_era_refuses() {
        const VERSION: (&str, &str) = ("mcp-protocol-version", MODERN);
        let id = Some(json!(7));
        let list = || request("tools/list", json!({}), Some(MODERN));
        let call = || request("tools/call", json!({ "name": "read_skill" }), Some(MODERN));
        let prompt = || request("prompts/get", json!({ "name": "weekly-report" }), Some(MODERN));
        let read = |uri: &str| request("resources/read", json!({ "uri": uri }), Some(MODERN));
        let without = |key: &str| {
            let mut body: Value = serde_json::from_str(&list()).unwrap();
            body["params"]["_meta"].as_object_mut().unwrap().remove(key);
            body.to_string()
        };
        for (headers, body, status, code) in [
            // Half moved on: the header says modern, the body does not.
            (&[VERSION, ("mcp-method", "tools/list")][..], request("tools/list", json!({}), None), 400, -32602),
            (&[VERSION, ("mcp-method", "tools/list")], without(VERSION_KEY), 400, -32602),
            (&[VERSION, ("mcp-method", "tools/list")], without(CAPABILITIES_KEY), 400, -32602),
            (&[("mcp-method", "tools/list")], list(), 400, -32020),
            (&[("mcp-protocol-version", "2025-11-25"), ("mcp-method", "tools/list")], list(), 400, -32020),
            (&[VERSION], list(), 400, -32020),
            (&[VERSION, ("mcp-method", "tools/call")], list(), 400, -32020),
            (&[VERSION, ("mcp-method", "Tools/List")], list(), 400, -32020),
            (&[VERSION, ("mcp-method", "tools/call")], call(), 400, -32020),
            (&[VERSION, ("mcp-method", "tools/call"), ("mcp-name", "list_skills")], call(), 400, -32020),
            (&[VERSION, ("mcp-method", "tools/call"), ("mcp-name", "=?base64?!?=")], call(), 400, -32020),
            (
                &[("mcp-protocol-version", "2030-01-01")],
                request("tools/list", json!({}), Some("2030-01-01")),
                400,
                -32022,
            ),
            (&[("mcp-protocol-version", "2030-01-01")], request("tools/list", json!({}), None), 400, -32022),
            (&[("mcp-protocol-version", "2025-03-26")], request("tools/list", json!({}), None), 400, -32022),
            (&[("mcp-protocol-version", "nonsense")], request("tools/list", json!({}), None), 400, -32022),
            (&[VERSION, ("mcp-method", "prompts/get")], prompt(), 400, -32020),
            (&[VERSION, ("mcp-method", "prompts/get"), ("mcp-name", "Weekly-Report")], prompt(), 400, -32020),
            (&[VERSION, ("mcp-method", "resources/read")], read("skill://a"), 400, -32020),
            (&[VERSION, ("mcp-method", "resources/read"), ("mcp-name", "skill://b")], read("skill://a"), 400, -32020),
            (&[VERSION, ("mcp-method", "resources/read"), ("mcp-name", "file:///a")], read("file:///a"), 200, -32602),
            (
                &[VERSION, ("mcp-method", "resources/subscribe")],
                request("resources/subscribe", json!({ "uri": "skill://a" }), Some(MODERN)),
                404,
                -32601,
            ),
            (&[VERSION, ("mcp-method", "initialize")], request("initialize", json!({}), Some(MODERN)), 404, -32601),
            (&[VERSION, ("mcp-method", "ping")], request("ping", json!({}), Some(MODERN)), 404, -32601),
            (&[VERSION, ("mcp-method", "made/up")], request("made/up", json!({}), Some(MODERN)), 404, -32601),
            (
                &[VERSION, ("mcp-method", "subscriptions/listen")],
                request("subscriptions/listen", json!({}), Some(MODERN)),
                404,
                -32601,
            ),
        ] {
            assert_eq!(refused(headers, body.clone()), (status, code, id.clone()), "{headers:?} {body}");
        }
    }

    #[test]
    fn an_unsupported_version_is_told_which_are_supported() {
        let body = request("tools/list", json!({}), Some("2030-01-01"));
        let malformed = parse(&[("mcp-protocol-version", "2030-01-01")], body).unwrap_err();

        let supported = ["2026-07-28", "2025-11-25", "2025-06-18"];
        assert_eq!(malformed.data, Some(json!({ "supported": supported, "requested": "2030-01-01" })));
    }

    /// What was checked is what is run, whatever another parser would make of the bytes.
    #[test]
    fn a_name_given_twice_is_the_one_that_was_checked() {
        let body =
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find_invoice","name":"read_skill"}}"#;

        let call = called(&[], body);

        assert_eq!(call.operation.scopes().to_string(), "skills:read");
        assert_eq!(call.body["params"], json!({ "name": "read_skill" }));
    }
}
