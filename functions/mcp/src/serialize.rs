//! Serializes the result of a call into the JSON-RPC response, in the form of its protocol version.

use http::StatusCode;
use rmcp::model::{
    CacheScope, JsonRpcResponse, JsonRpcVersion2_0, ListToolsResult, MetaObject, RequestId, ResultType, ServerResult,
};
use serde::Serialize;
use shared::http::response;
use shared::lambda::Response;

use crate::protocol_version::ProtocolVersion;
use crate::server_info::ServerInfo;
use crate::tools::security_schemes::ListedTool;

/// How long a client may keep a list, in milliseconds. What is listed differs by the token's scopes and by the role: the Go SDK and
/// rmcp keep a list although the token changes, so after a step-up the new tools would be missing.
const LIST_TTL: u64 = 0;
/// How long it may keep what a resource says: a model must not work from what it has just replaced.
const READ_TTL: u64 = 0;

/// The response to the request `id`.
pub(crate) fn serialize(
    id: RequestId,
    protocol_version: ProtocolVersion,
    mut result: ServerResult,
    server_info: &ServerInfo,
) -> Response {
    match protocol_version {
        ProtocolVersion::Modern => add_modern_members(&mut result, server_info),
        // `resultType` came with 2026-07-28.
        ProtocolVersion::Legacy => result.strip_result_type_for_legacy_peer(),
    }
    let jsonrpc = JsonRpcVersion2_0;
    if let ServerResult::ListToolsResult(list) = &result {
        return response::json(StatusCode::OK, &JsonRpcResponse { jsonrpc, id, result: ToolsList::from(list) });
    }
    response::json(StatusCode::OK, &JsonRpcResponse { jsonrpc, id, result })
}

/// The result of `tools/list`, with the member that rmcp's type of a tool does not have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolsList<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'a ResultType>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a MetaObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_scope: Option<CacheScope>,
    tools: Vec<ListedTool<'a>>,
}

impl<'a> From<&'a ListToolsResult> for ToolsList<'a> {
    fn from(
        ListToolsResult { result_type, meta, next_cursor, ttl_ms, cache_scope, tools }: &'a ListToolsResult,
    ) -> Self {
        Self {
            result_type: result_type.as_ref(),
            meta: meta.as_ref(),
            next_cursor: next_cursor.as_deref(),
            ttl_ms: *ttl_ms,
            cache_scope: *cache_scope,
            tools: tools.iter().map(ListedTool::from).collect(),
        }
    }
}

/// 2026-07-28: every result should name its server (base protocol), and lists and resources say how long they may be kept, and
/// by whom (caching).
fn add_modern_members(result: &mut ServerResult, server_info: &ServerInfo) {
    let (meta, cache_hints) = match result {
        ServerResult::ListToolsResult(list) => {
            (&mut list.meta, Some((&mut list.ttl_ms, &mut list.cache_scope, LIST_TTL)))
        }
        ServerResult::ListResourcesResult(list) => {
            (&mut list.meta, Some((&mut list.ttl_ms, &mut list.cache_scope, LIST_TTL)))
        }
        ServerResult::ListResourceTemplatesResult(list) => {
            (&mut list.meta, Some((&mut list.ttl_ms, &mut list.cache_scope, LIST_TTL)))
        }
        ServerResult::ListPromptsResult(list) => {
            (&mut list.meta, Some((&mut list.ttl_ms, &mut list.cache_scope, LIST_TTL)))
        }
        ServerResult::ReadResourceResult(read) => {
            (&mut read.meta, Some((&mut read.ttl_ms, &mut read.cache_scope, READ_TTL)))
        }
        ServerResult::CallToolResult(called) => (&mut called.meta, None),
        ServerResult::GetPromptResult(prompt) => (&mut prompt.meta, None),
        ServerResult::CompleteResult(completed) => (&mut completed.meta, None),
        // `server/discover` names the server and its time itself; the others are not of that version, or not ours.
        _ => return,
    };
    meta.get_or_insert_default().0.extend(server_info.meta().0);
    if let Some((ttl_ms, cache_scope, milliseconds)) = cache_hints {
        *ttl_ms = Some(milliseconds);
        *cache_scope = Some(CacheScope::Private);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rmcp::model::{
        CallToolResult, CompleteResult, CompletionInfo, ContentBlock, GetPromptResult, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, Prompt, PromptMessage, ReadResourceResult,
        Resource, ResourceContents, ResourceTemplate, Role, Tool,
    };
    use serde_json::{Value, json};
    use shared::lambda::Body;
    use shared::oauth::scope::Scope;

    use super::*;
    use crate::tools::security_schemes;

    /// The text of the response to the request 7.
    fn serialized(protocol_version: ProtocolVersion, result: impl Into<ServerResult>) -> String {
        let server_info = ServerInfo::titled("Amble");
        let response = serialize(RequestId::Number(7), protocol_version, result.into(), &server_info);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        let Body::Text(text) = response.into_body() else { panic!("no text") };
        text
    }

    fn tools() -> ListToolsResult {
        let schema = json!({ "type": "object" }).as_object().unwrap().clone();
        let mut listed = ListToolsResult::with_all_items(vec![Tool::new("t", "T", Arc::new(schema))]);
        listed.next_cursor = Some("bmV4dA".to_owned());
        listed
    }

    fn completion() -> CompleteResult {
        let mut suggested = CompletionInfo::default();
        (suggested.total, suggested.has_more) = (Some(1), Some(false));
        suggested.values = vec!["a".to_owned()];
        CompleteResult::new(suggested)
    }

    fn results() -> [ServerResult; 10] {
        let contents = ResourceContents::text("x", "skill://a").with_mime_type("text/markdown");
        [
            ServerResult::empty(()),
            tools().into(),
            CallToolResult::structured(json!({ "a": 1 })).into(),
            CallToolResult::error(vec![ContentBlock::text("no")]).into(),
            ListResourcesResult::with_all_items(vec![Resource::new("skill://a", "a")]).into(),
            ListResourceTemplatesResult::with_all_items(vec![ResourceTemplate::new("skill://{name}", "skill")]).into(),
            ReadResourceResult::new(vec![contents]).into(),
            ListPromptsResult::with_all_items(vec![Prompt::new("p", Some("d"), None)]).into(),
            GetPromptResult::new(vec![PromptMessage::new_text(Role::User, "x")]).with_description("d").into(),
            completion().into(),
        ]
    }

    /// Byte for byte what rmcp's own HTTP server answers.
    #[test]
    fn legacy_results_have_no_later_members() {
        let expected = [
            "{}",
            r#"{"nextCursor":"bmV4dA","tools":[{"name":"t","description":"T","inputSchema":{"type":"object"}}]}"#,
            r#"{"content":[{"type":"text","text":"{\"a\":1}"}],"structuredContent":{"a":1},"isError":false}"#,
            r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#,
            r#"{"resources":[{"uri":"skill://a","name":"a"}]}"#,
            r#"{"resourceTemplates":[{"uriTemplate":"skill://{name}","name":"skill"}]}"#,
            r#"{"contents":[{"uri":"skill://a","mimeType":"text/markdown","text":"x"}]}"#,
            r#"{"prompts":[{"name":"p","description":"d"}]}"#,
            r#"{"description":"d","messages":[{"role":"user","content":{"type":"text","text":"x"}}]}"#,
            r#"{"completion":{"values":["a"],"total":1,"hasMore":false}}"#,
        ];
        for (result, expected) in results().into_iter().zip(expected) {
            let expected = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{expected}}}"#);
            assert_eq!(serialized(ProtocolVersion::Legacy, result), expected);
        }
    }

    /// Byte for byte what rmcp's own HTTP server answers.
    #[test]
    fn modern_results_name_the_server_and_how_long_they_may_be_kept() {
        let named = concat!(
            r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"amble-connect","title":"Amble","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#""}}"#
        );
        let kept = r#""ttlMs":0,"cacheScope":"private""#;
        let read = r#""ttlMs":0,"cacheScope":"private""#;
        let expected = [
            format!(
                r#"{named},"nextCursor":"bmV4dA",{kept},"tools":[{{"name":"t","description":"T","inputSchema":{{"type":"object"}}}}]"#
            ),
            format!(
                r#""content":[{{"type":"text","text":"{{\"a\":1}}"}}],"structuredContent":{{"a":1}},"isError":false,{named}"#
            ),
            format!(r#""content":[{{"type":"text","text":"no"}}],"isError":true,{named}"#),
            format!(r#"{named},{kept},"resources":[{{"uri":"skill://a","name":"a"}}]"#),
            format!(r#"{named},{kept},"resourceTemplates":[{{"uriTemplate":"skill://{{name}}","name":"skill"}}]"#),
            format!(r#"{read},"contents":[{{"uri":"skill://a","mimeType":"text/markdown","text":"x"}}],{named}"#),
            format!(r#"{named},{kept},"prompts":[{{"name":"p","description":"d"}}]"#),
            format!(
                r#""description":"d","messages":[{{"role":"user","content":{{"type":"text","text":"x"}}}}],{named}"#
            ),
            format!(r#""completion":{{"values":["a"],"total":1,"hasMore":false}},{named}"#),
        ];
        // `ping` ended with 2025-11-25.
        for (result, expected) in results().into_iter().skip(1).zip(expected) {
            let expected = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"resultType":"complete",{expected}}}}}"#);
            assert_eq!(serialized(ProtocolVersion::Modern, result), expected);
        }
    }

    /// Beside the schema of the tool and in its metadata.
    #[test]
    fn tools_say_what_they_need_in_both_places() {
        let mut listed = tools();
        listed.tools[0].meta = Some(security_schemes::metadata(Scope::EntitiesWrite));

        let schemes = r#"[{"scopes":["entities:read","entities:write"],"type":"oauth2"}]"#;
        let expected = format!(
            r#"{{"jsonrpc":"2.0","id":7,"result":{{"nextCursor":"bmV4dA","tools":[{{"name":"t","description":"T","inputSchema":{{"type":"object"}},"_meta":{{"securitySchemes":{schemes}}},"securitySchemes":{schemes}}}]}}}}"#
        );
        assert_eq!(serialized(ProtocolVersion::Legacy, listed), expected);
    }

    #[test]
    fn discovery_says_what_the_server_is_and_serves() {
        let response =
            serialized(ProtocolVersion::Modern, ServerInfo::titled("Amble").discover("Instructions".to_owned()));

        let mut response: Value = serde_json::from_str(&response).unwrap();
        let instructions = response["result"].as_object_mut().unwrap().remove("instructions");
        assert_eq!(instructions.unwrap(), "Instructions");
        let server_info = json!({ "name": "amble-connect", "title": "Amble", "version": env!("CARGO_PKG_VERSION") });
        assert_eq!(
            response,
            json!({
                "jsonrpc": "2.0",
                "id": 7,
                "result": {
                    "resultType": "complete",
                    "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18"],
                    "capabilities": { "completions": {}, "prompts": {}, "resources": {}, "tools": {} },
                    "ttlMs": 0,
                    "cacheScope": "private",
                    "_meta": { "io.modelcontextprotocol/serverInfo": server_info },
                },
            })
        );
    }

    /// MCP 2025-11-25, lifecycle: the version that was asked for, or another that is served.
    #[test]
    fn initialize_agrees_on_a_version_that_has_a_handshake() {
        for (requested, agreed) in [
            ("2025-11-25", "2025-11-25"),
            ("2025-06-18", "2025-06-18"),
            ("2026-07-28", "2025-11-25"),
            ("2025-03-26", "2025-11-25"),
            ("2024-11-05", "2025-11-25"),
            ("2030-01-01", "2025-11-25"),
            ("nonsense", "2025-11-25"),
        ] {
            let requested = serde_json::from_value(json!(requested)).unwrap();
            let response = serialized(
                ProtocolVersion::Legacy,
                ServerInfo::titled("Amble").initialize(&requested, "Instructions".to_owned()),
            );

            let mut response: Value = serde_json::from_str(&response).unwrap();
            let instructions = response["result"].as_object_mut().unwrap().remove("instructions");
            assert_eq!(instructions.unwrap(), "Instructions");
            assert_eq!(
                response,
                json!({
                    "jsonrpc": "2.0",
                    "id": 7,
                    "result": {
                        "protocolVersion": agreed,
                        "capabilities": { "completions": {}, "prompts": {}, "resources": {}, "tools": {} },
                        "serverInfo": { "name": "amble-connect", "title": "Amble", "version": env!("CARGO_PKG_VERSION") },
                    },
                }),
                "{requested}"
            );
        }
    }
}
