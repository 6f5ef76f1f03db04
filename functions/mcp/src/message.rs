//! Parses a JSON-RPC message. Clients get much wrong, or do it otherwise: what can be served is settled here.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use rmcp::model::{JsonObject, RequestId};
use serde_json::Value;
use shared::lambda::{Body, Request};
use shared::strict_json;

use crate::error::{McpError, MessageError};
use crate::operation::Operation;
use crate::protocol_version::ProtocolVersion;
use crate::request_metadata;

/// What was sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// A notification or a response: accepted with 202, without a body.
    Notification,
    /// A request.
    Call(Call),
}

/// A request of a client.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its id, which the response repeats.
    pub(crate) id: RequestId,
    /// Whose rules it follows.
    pub(crate) protocol_version: ProtocolVersion,
    /// What it asks for.
    pub(crate) operation: Operation,
}

/// The largest body that is read, in bytes.
const LIMIT: usize = 1024 * 1024;

impl Message {
    /// Parses a request's method, headers and body.
    pub(crate) fn parse(request: &Request) -> Result<Self, McpError> {
        // MCP 2025-11-25, transports: a GET may be answered by 405, a DELETE likewise. Discovery has had its 401 by now.
        if request.method() != Method::POST {
            return Err(McpError::MethodNotAllowed);
        }
        Self::parse_body(request.headers(), request.body())
    }

    fn parse_body(headers: &HeaderMap, body: &Body) -> Result<Self, McpError> {
        // `Accept` is not looked at: our answers are JSON, and some clients send `*/*` or nothing.
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(MessageError::UnsupportedMediaType.into());
        }
        let bytes: &[u8] = body.as_ref();
        if bytes.len() > LIMIT {
            return Err(MessageError::TooLarge.into());
        }
        // A member that is there twice is read in different ways by different readers (RFC 8259 §4). So the message has no meaning.
        let message = strict_json::value(bytes, strict_json::MAX_DEPTH).map_err(|_| MessageError::NotJson)?;
        let Value::Object(mut message) = message else {
            return Err(MessageError::NotOneMessage.into());
        };
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(MessageError::NotJsonRpc.into());
        }
        let is_response = message.contains_key("result") || message.contains_key("error");
        let method = match message.remove("method") {
            Some(Value::String(method)) => method,
            // We never ask, so whatever this answers, there is nothing to do with it.
            None if is_response => return Ok(Self::Notification),
            _ => return Err(MessageError::MissingMethod.into()),
        };
        let Some(id) = message.remove("id") else { return Ok(Self::Notification) };
        if is_response {
            return Err(MessageError::RequestAndResponse.into());
        }
        let id = parse_id(id).ok_or(MessageError::InvalidId)?;
        let invalid = |error| McpError::Message { id: Some(id.clone()), error };
        let params = match message.remove("params") {
            None => JsonObject::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err(invalid(MessageError::ParamsNotAnObject)),
        };
        let protocol_version = request_metadata::protocol_version(headers, &method, &params).map_err(invalid)?;
        match Operation::parse(protocol_version, &method, params) {
            Ok(operation) => Ok(Self::Call(Call { id, protocol_version, operation })),
            Err(error) => Err(McpError::Call { id, protocol_version, error }),
        }
    }
}

/// rmcp would take `1.0` for an integer too.
fn parse_id(id: Value) -> Option<RequestId> {
    match id {
        Value::String(text) => Some(RequestId::String(text.into())),
        id => id.as_i64().map(RequestId::Number),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HeaderName;
    use rmcp::model::ProtocolVersion as Revision;
    use serde_json::json;
    use shared::oauth::issuer::Issuer;
    use shared::oauth::resource::{ResourceAddress, ResourceServer};

    use super::*;
    use crate::challenge::Challenge;
    use crate::protocol_version::MODERN;
    use crate::request_metadata::{CAPABILITIES_KEY, VERSION_KEY};
    use crate::tools::catalog;

    /// A request of `method` with `params`, and the metadata of 2026-07-28 if it is given a version.
    fn request(method: &str, mut params: Value, version: Option<&str>) -> String {
        if let Some(version) = version {
            params["_meta"] = json!({ VERSION_KEY: version, CAPABILITIES_KEY: {} });
        }
        json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string()
    }

    fn parse(headers: &[(&'static str, &str)], body: impl Into<Body>) -> Result<Message, McpError> {
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Message::parse_body(&map, &body.into())
    }

    fn parse_call(headers: &[(&'static str, &str)], body: &str) -> Call {
        match parse(headers, body) {
            Ok(Message::Call(call)) => call,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn parse_error(headers: &[(&'static str, &str)], body: impl Into<Body>) -> (u16, i32, Option<Value>) {
        let (status, body) = error_response(headers, body);
        let code = i32::try_from(body["error"]["code"].as_i64().unwrap()).unwrap();
        (status, code, body.get("id").cloned())
    }

    fn error_response(headers: &[(&'static str, &str)], body: impl Into<Body>) -> (u16, Value) {
        let error = parse(headers, body).unwrap_err();
        let server = ResourceServer::at_issuer(Issuer::parse("https://connect.example.com").unwrap());
        let response = error.into_response(&Challenge::for_address(
            &ResourceAddress::main(&server),
            shared::oauth::scope::Scopes::DEFAULT.permissions(),
        ));
        let status = response.status().as_u16();
        let Body::Text(body) = response.into_body() else { panic!("no text") };
        (status, serde_json::from_str(&body).unwrap())
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
            (&[][..], "initialize", initialize.clone(), Operation::Initialize(Revision::V_2026_07_28)),
            (
                &[("mcp-protocol-version", "2026-07-28")],
                "initialize",
                initialize.clone(),
                Operation::Initialize(Revision::V_2026_07_28),
            ),
            (&[("mcp-method", "initialize")], "initialize", initialize, Operation::Initialize(Revision::V_2026_07_28)),
            (&[], "ping", json!({}), Operation::Ping),
            (&[], "tools/list", json!({}), Operation::ListTools(None)),
            (
                &[("mcp-protocol-version", "2025-11-25")],
                "tools/list",
                json!({ "cursor": "x" }),
                Operation::ListTools(Some("x".to_owned())),
            ),
            (
                &[("mcp-protocol-version", "2025-06-18")],
                "tools/list",
                json!({ "_meta": {} }),
                Operation::ListTools(None),
            ),
            (
                &[],
                "tools/call",
                json!({ "name": "read_skill", "arguments": { "name": "a" } }),
                Operation::BuiltIn(
                    catalog::find("read_skill").unwrap(),
                    json!({ "name": "a" }).as_object().unwrap().clone(),
                ),
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
            ("tools/list", json!({}), Operation::ListTools(None)),
            (
                "tools/call",
                json!({ "name": "find_invoice" }),
                Operation::Registered(
                    shared::store::workspace::Name::parse("find_invoice").unwrap(),
                    JsonObject::new(),
                ),
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
        let malformed_capabilities = || {
            let mut body: Value = serde_json::from_str(&list()).unwrap();
            body["params"]["_meta"][CAPABILITIES_KEY] = json!({ "sampling": 7 });
            body.to_string()
        };
        for (headers, body, status, code) in [
            // Half moved on: the header says modern, the body does not.
            (&[VERSION, ("mcp-method", "tools/list")][..], request("tools/list", json!({}), None), 400, -32602),
            (&[VERSION, ("mcp-method", "tools/list")], without(VERSION_KEY), 400, -32602),
            (&[VERSION, ("mcp-method", "tools/list")], without(CAPABILITIES_KEY), 400, -32602),
            (&[VERSION, ("mcp-method", "tools/list")], malformed_capabilities(), 400, -32602),
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
        let response = error_response(&[("mcp-protocol-version", "2030-01-01")], body);

        let supported = ["2026-07-28", "2025-11-25", "2025-06-18"];
        let data = json!({ "supported": supported, "requested": "2030-01-01" });
        let error = json!({ "code": -32022, "message": "Unsupported protocol version", "data": data });
        assert_eq!(response, (400, json!({ "jsonrpc": "2.0", "id": 7, "error": error })));
    }

    /// What was checked is what is run, whatever another parser would make of the bytes.
    #[test]
    fn duplicate_members_are_refused() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find_invoice","name":"read_skill"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[{"b":1,"b":1}]}}"#,
        ] {
            assert_eq!(parse_error(&[], body), (400, -32700, None), "{body}");
        }
    }
}
