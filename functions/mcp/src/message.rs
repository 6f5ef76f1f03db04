//! Parses a JSON-RPC message, and finds the revision of the protocol that it follows.
//!
//! The endpoint serves two generations of the protocol. Since 2026-07-28 every request carries its version and
//! capabilities; before that, they
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

use crate::error::McpError;
use crate::operation::{Operation, UnknownOperation};

/// The revision of [`ProtocolVersion::Modern`].
pub(crate) const MODERN: &str = "2026-07-28";
/// The revisions of [`ProtocolVersion::Legacy`], the newest first. Not 2025-03-26: it would oblige us to take batches.
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
/// Of 2025-11-25 and 2025-06-18 alone.
const RESOURCE_NOT_FOUND: i32 = -32002;
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;

/// What was sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// A notification or a response: accepted with 202, without a body.
    Notification,
    /// A request.
    Call(Call),
}

/// A request of a client.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Whose rules it follows.
    pub(crate) protocol_version: ProtocolVersion,
    /// What it asks for.
    pub(crate) operation: Operation,
    /// The method, as it was sent.
    pub(crate) method: String,
    /// The whole message, as it was understood.
    pub(crate) body: Value,
}

/// The generation of the protocol that a request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolVersion {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25 and 2025-06-18.
    Legacy,
}

/// A JSON-RPC error, with the HTTP status that it is sent with.
#[derive(Debug)]
pub(crate) struct JsonRpcError {
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
    pub(crate) fn read(request: &Request) -> Result<Self, McpError> {
        // MCP 2025-11-25, transports: a GET may be answered by 405, a DELETE likewise. Discovery has had its 401 by now.
        if request.method() != Method::POST {
            return Err(McpError::MethodNotAllowed);
        }
        Ok(Self::parse(request.headers(), request.body())?)
    }

    fn parse(headers: &HeaderMap, body: &Body) -> Result<Self, JsonRpcError> {
        // `Accept` is not looked at: our answers are JSON, and some clients send `*/*` or nothing.
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(json_rpc_error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                INVALID_REQUEST,
                "The body must be application/json",
            ));
        }
        let bytes: &[u8] = body.as_ref();
        if bytes.len() > LIMIT {
            return Err(json_rpc_error(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, "The body is too large"));
        }
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|_| json_rpc_error(StatusCode::BAD_REQUEST, PARSE_ERROR, "The body is not JSON"))?;
        // Batches ended with 2025-06-18.
        let Value::Object(message) = value else {
            return Err(invalid_request(None, "The body must be one JSON-RPC message"));
        };
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(invalid_request(None, "The body is not a JSON-RPC 2.0 message"));
        }
        let method = match message.get("method") {
            Some(Value::String(method)) => method.clone(),
            // We never ask, so whatever this answers, there is nothing to do with it.
            None if message.contains_key("result") || message.contains_key("error") => return Ok(Self::Notification),
            _ => return Err(invalid_request(None, "The message has no method")),
        };
        let Some(id) = message.get("id") else { return Ok(Self::Notification) };
        // Others would read it as a response.
        if message.contains_key("result") || message.contains_key("error") {
            return Err(invalid_request(None, "The message is both a request and a response"));
        }
        if !(id.is_string() || id.is_i64()) {
            return Err(invalid_request(None, "The id must be a string or an integer"));
        }
        let id = id.clone();
        let none = Map::new();
        let params = match message.get("params") {
            None => &none,
            Some(Value::Object(params)) => params,
            Some(_) => return Err(invalid_request(Some(id), "The params must be an object")),
        };
        let (protocol_version, operation) =
            parse_operation(headers, &method, params).map_err(|why| JsonRpcError { id: Some(id), ..why })?;
        Ok(Self::Call(Call { protocol_version, operation, method, body: Value::Object(message) }))
    }
}

/// The protocol version, then what its rules demand of headers and metadata, then the method.
fn parse_operation(
    headers: &HeaderMap,
    method: &str,
    params: &Map<String, Value>,
) -> Result<(ProtocolVersion, Operation), JsonRpcError> {
    let header = headers.get(VERSION_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let meta = params.get("_meta");
    let protocol_version = match (meta.and_then(|meta| meta.get(VERSION_KEY)), header.as_deref()) {
        (Some(version), header) => {
            validate_metadata(headers, header, version, meta, method, params)?;
            ProtocolVersion::Modern
        }
        // rmcp would compare the header with the body here, and refuse; the handshake is what agrees on a version.
        (None, _) if method == "initialize" => ProtocolVersion::Legacy,
        // Claude has been seen to leave the header out; 2025-11-25 lets us assume an older version then.
        (None, None) => ProtocolVersion::Legacy,
        (None, Some(version)) if LEGACY.contains(&version) => ProtocolVersion::Legacy,
        // Serving it as legacy would forgive a client that has half moved on; none is known (base protocol, `_meta`).
        (None, Some(MODERN)) => {
            return Err(bad_request(INVALID_PARAMS, "The request lacks the protocol version in its metadata"));
        }
        (None, Some(version)) => return Err(unsupported_version(version)),
    };
    let operation = Operation::parse(protocol_version, method, params).map_err(|unknown| match unknown {
        // 2026-07-28, transports: an unknown method is a 404, which before 2026-07-28 would say that a session had ended.
        UnknownOperation::Method if protocol_version == ProtocolVersion::Modern => {
            json_rpc_error(StatusCode::NOT_FOUND, METHOD_NOT_FOUND, "There is no such method")
        }
        UnknownOperation::Method => json_rpc_error(StatusCode::OK, METHOD_NOT_FOUND, "There is no such method"),
        UnknownOperation::Tool => json_rpc_error(StatusCode::OK, INVALID_PARAMS, "There is no such tool"),
        UnknownOperation::Prompt => json_rpc_error(StatusCode::OK, INVALID_PARAMS, "There is no such prompt"),
        UnknownOperation::Resource => resource_not_found(protocol_version, params.get("uri")),
        UnknownOperation::CompletionReference => {
            json_rpc_error(StatusCode::OK, INVALID_PARAMS, "There is no such prompt, template or variable to complete")
        }
        UnknownOperation::Params => {
            json_rpc_error(StatusCode::OK, INVALID_PARAMS, "The params are not those of the method")
        }
    })?;
    if params_are_valid(&operation, params) {
        Ok((protocol_version, operation))
    } else {
        Err(json_rpc_error(StatusCode::OK, INVALID_PARAMS, "The params are not those of the method"))
    }
}

/// Whether the params are those of the operation. rmcp would take ones that it cannot read for none, or the method for one that
/// it does not know.
fn params_are_valid(operation: &Operation, params: &Map<String, Value>) -> bool {
    let meta = params.get("_meta");
    let params = || Value::Object(params.clone());
    match operation {
        Operation::Discover | Operation::Ping => meta.is_none_or(|meta| meta.is_null() || meta.is_object()),
        Operation::Initialize => from_value::<InitializeRequestParams>(params()).is_ok(),
        Operation::ListTools | Operation::ListResources | Operation::ListResourceTemplates | Operation::ListPrompts => {
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
fn validate_metadata(
    headers: &HeaderMap,
    header: Option<&str>,
    version: &Value,
    meta: Option<&Value>,
    method: &str,
    params: &Map<String, Value>,
) -> Result<(), JsonRpcError> {
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
        return Err(unsupported_version(version));
    }
    if single_header_value(headers, "mcp-method").as_deref() != Some(method) {
        return Err(bad_request(HEADER_MISMATCH, "Mcp-Method does not match the body"));
    }
    let name = match method {
        "tools/call" | "prompts/get" => params.get("name"),
        "resources/read" => params.get("uri"),
        _ => None,
    };
    match name.and_then(Value::as_str) {
        Some(name) if single_header_value(headers, "mcp-name").as_deref() != Some(name) => {
            Err(bad_request(HEADER_MISMATCH, "Mcp-Name does not match the body"))
        }
        _ => Ok(()),
    }
}

/// The value of a header that occurs once, decoded if it is wrapped in `=?base64?…?=` (2026-07-28, transports).
fn single_header_value(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let value = value.to_str().ok()?.trim_matches([' ', '\t']);
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// SEP-2164: 2026-07-28 knows this error by another code, and what it repeats is the client's own.
fn resource_not_found(protocol_version: ProtocolVersion, uri: Option<&Value>) -> JsonRpcError {
    let code = if protocol_version == ProtocolVersion::Modern { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
    let data = uri.map(|uri| json!({ "uri": uri }));
    JsonRpcError { data, ..json_rpc_error(StatusCode::OK, code, "There is no such resource") }
}

fn unsupported_version(requested: &str) -> JsonRpcError {
    let supported: Vec<_> = std::iter::once(MODERN).chain(LEGACY).collect();
    let data = json!({ "supported": supported, "requested": requested });
    JsonRpcError { data: Some(data), ..bad_request(UNSUPPORTED_VERSION, "Unsupported protocol version") }
}

fn invalid_request(id: Option<Value>, message: &'static str) -> JsonRpcError {
    JsonRpcError { id, ..bad_request(INVALID_REQUEST, message) }
}

/// For a request that is not valid HTTP.
pub(crate) const fn malformed_http_request() -> JsonRpcError {
    bad_request(INVALID_REQUEST, "The request is malformed")
}

const fn bad_request(code: i32, message: &'static str) -> JsonRpcError {
    json_rpc_error(StatusCode::BAD_REQUEST, code, message)
}

const fn json_rpc_error(status: StatusCode, code: i32, message: &'static str) -> JsonRpcError {
    JsonRpcError { status, id: None, code, message, data: None }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HeaderName;

    use super::*;

    /// A request of `method` with `params`, and the metadata of 2026-07-28 if it is given a version.
    fn request(method: &str, mut params: Value, version: Option<&str>) -> String {
        if let Some(version) = version {
            params["_meta"] = json!({ VERSION_KEY: version, CAPABILITIES_KEY: {} });
        }
        json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string()
    }

    fn parse(headers: &[(&'static str, &str)], body: impl Into<Body>) -> Result<Message, JsonRpcError> {
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Message::parse(&map, &body.into())
    }

    fn parse_call(headers: &[(&'static str, &str)], body: &str) -> Call {
        match parse(headers, body) {
            Ok(Message::Call(call)) => call,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn parse_error(headers: &[(&'static str, &str)], body: impl Into<Body>) -> (u16, i32, Option<Value>) {
        let error = parse(headers, body).unwrap_err();
        (error.status.as_u16(), error.code, error.id)
    }

    #[test]
    fn malformed_messages_are_rejected() {
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
            assert_eq!(parse_error(&[], body), (400, code, None), "{body}");
        }
        assert_eq!(
            parse_error(&[], r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#),
            (400, -32600, Some(json!(1)))
        );
        assert_eq!(parse_error(&[], vec![b'"', 0xff, b'"']), (400, -32700, None));
        assert_eq!(parse_error(&[], format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000))), (400, -32700, None));
        assert_eq!(parse_error(&[], " ".repeat(LIMIT + 1)), (413, -32600, None));
        assert_eq!(
            parse_error(&[("content-type", "text/plain")], request("ping", json!({}), None)),
            (415, -32600, None)
        );
    }

    #[test]
    fn notifications_and_responses_are_accepted() {
        for body in [
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/made_up"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":""}}"#,
        ] {
            assert!(matches!(parse(&[], body), Ok(Message::Notification)), "{body}");
        }
    }

    #[test]
    fn protocol_version_comes_from_metadata_or_header() {
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
                Operation::BuiltIn(crate::tools::BuiltIn::find("read_skill").unwrap()),
            ),
        ] {
            let call = parse_call(headers, &request(method, params, None));
            assert_eq!(
                (call.protocol_version, call.operation),
                (ProtocolVersion::Legacy, operation),
                "{headers:?} {method}"
            );
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
            let call = parse_call(&modern(method), &request(method, params, Some(MODERN)));
            assert_eq!((call.protocol_version, call.operation), (ProtocolVersion::Modern, operation), "{method}");
        }
        let wrapped = [
            ("mcp-protocol-version", MODERN),
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?cmVhZF9za2lsbA==?="),
        ];
        parse_call(&wrapped, &request("tools/call", json!({ "name": "read_skill" }), Some(MODERN)));
    }

    #[test]
    fn legacy_errors_have_their_status_and_code() {
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
            assert_eq!(parse_error(&[], request(method, params, None)), (200, code, id.clone()), "{method}");
        }
    }

    /// 2026-07-28, transports and base protocol.
    #[test]
    fn modern_errors_have_their_status_and_code() {
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
            assert_eq!(parse_error(headers, body.clone()), (status, code, id.clone()), "{headers:?} {body}");
        }
    }

    #[test]
    fn unsupported_version_error_lists_the_supported_ones() {
        let body = request("tools/list", json!({}), Some("2030-01-01"));
        let error = parse(&[("mcp-protocol-version", "2030-01-01")], body).unwrap_err();

        let supported = ["2026-07-28", "2025-11-25", "2025-06-18"];
        assert_eq!(error.data, Some(json!({ "supported": supported, "requested": "2030-01-01" })));
    }

    /// What was checked is what is run, whatever another parser would make of the bytes.
    #[test]
    fn duplicate_members_are_resolved_before_authorization() {
        let body =
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find_invoice","name":"read_skill"}}"#;

        let call = parse_call(&[], body);

        assert_eq!(call.operation.scopes().to_string(), "skills:read");
        assert_eq!(call.body["params"], json!({ "name": "read_skill" }));
    }
}
