//! Turns the response of a tenant's tool into a tool result.
//!
//! | the answer | the result |
//! | --- | --- |
//! | `application/json` and `…+json` | structured content if it is an object, else text |
//! | `text/*` | text |
//! | `image/*`, `audio/*` | an image, a sound |
//! | `application/vnd.mcp.content+json` | several of them: an array of MCP's content blocks (`text`, `image`, `audio`, `resource`, `resource_link`) |
//! | another status than 2xx | an error of the tool, with the beginning of what it says |
//!
//! A Lambda function returns JSON: an object is structured content, a string is text, and an object whose one member is called
//! `application/vnd.mcp.content+json` is such an array.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{ContentBlock, ResourceContents};
use serde_json::Value;
use shared::outbound::OutboundResponse;
use shared::store::workspace::tool::Tool;

use crate::tools::page_size::{MAX_JSON, MAX_TEXT, beginning};
use crate::tools::schema::{Formats, SchemaValidationError, validate};
use crate::tools::tool_error::ToolError;
use crate::tools::tool_result::ToolResult;

/// The `Accept` header of a call, the preferred types first.
pub(super) const ACCEPT: &str =
    "application/json, application/vnd.mcp.content+json, text/*;q=0.5, image/*;q=0.5, audio/*;q=0.5";
/// The most bytes that a tool may answer in all: an image or sound of [`MEDIA_LIMIT`] in base64, and something to go with it.
pub(super) const LIMIT: usize = 3 * 512 * 1024;

/// Several blocks.
const BLOCKS: &str = "application/vnd.mcp.content+json";
/// The most blocks in one answer.
const MOST_BLOCKS: usize = 32;
/// The most bytes of an image or a sound.
const MEDIA_LIMIT: usize = 1024 * 1024;
/// The most characters of a failed tool's own words that are passed on.
const EXCERPT: usize = 2000;

/// What a tool answered over HTTP.
pub(super) fn from_http_response(tool: &Tool, answer: &OutboundResponse) -> Result<ToolResult, ToolError> {
    let media = answer.media_type();
    let body = answer.body.as_slice();
    let json = media == "application/json" || media.ends_with("+json");
    let text = std::str::from_utf8(body).ok().filter(|_| json || media.starts_with("text/"));
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        let message = format!("The tool answered with HTTP status {status}.\n{}", excerpt(text.unwrap_or_default()));
        return Err(ToolError::failed("status", message.trim_end()));
    }
    let parsed = || serde_json::from_slice(body).map_err(|_| unreadable("The tool's answer is not JSON."));
    if media == BLOCKS {
        return blocks(tool, parsed()?);
    }
    let plays = media.starts_with("audio/");
    if media.starts_with("image/") || plays {
        require_no_output_schema(tool)?;
        if body.len() > MEDIA_LIMIT {
            return Err(too_large());
        }
        let data = STANDARD.encode(body);
        let block = if plays { ContentBlock::audio(data, media) } else { ContentBlock::image(data, media) };
        return Ok(ToolResult::Content(vec![block]));
    }
    if json {
        return structured(tool, parsed()?);
    }
    require_no_output_schema(tool)?;
    match text {
        _ if body.is_empty() => Ok(empty_result()),
        Some(text) => Ok(ToolResult::Text(shortened(text))),
        None => Err(unreadable("The tool's answer is neither JSON nor text, nor an image or a sound.")),
    }
}

/// What a function returned.
pub(super) fn from_function_result(tool: &Tool, returned: &[u8]) -> Result<ToolResult, ToolError> {
    let value = if returned.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(returned) };
    match value.map_err(|_| unreadable("The tool's answer is not JSON."))? {
        Value::Object(mut object) if object.len() == 1 && object.contains_key(BLOCKS) => {
            blocks(tool, object.remove(BLOCKS).unwrap_or_default())
        }
        Value::Null if tool.output_schema.is_none() => Ok(empty_result()),
        Value::String(text) if tool.output_schema.is_none() => Ok(ToolResult::Text(shortened(&text))),
        value => structured(tool, value),
    }
}

/// What a function said when it failed (Lambda developer guide, "Error handling": `errorMessage`, `errorType`).
pub(super) fn from_function_error(said: &[u8]) -> ToolError {
    let said: Value = serde_json::from_slice(said).unwrap_or_default();
    let message = said.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
    ToolError::failed("failed", format!("The tool failed.\n{}", excerpt(message)).trim_end())
}

fn structured(tool: &Tool, value: Value) -> Result<ToolResult, ToolError> {
    if let Some(schema) = &tool.output_schema {
        validate(schema, &value, Formats::Annotated).map_err(|why| match why {
            SchemaValidationError::UnusableSchema => unusable_schema(),
            SchemaValidationError::TooLarge => unreadable("The tool's answer is too large to be checked."),
            SchemaValidationError::Invalid(mistakes) => {
                unreadable(&format!("The tool's answer does not fit its own schema:\n{mistakes}"))
            }
        })?;
    }
    let text = value.to_string();
    if text.len() > MAX_JSON && tool.output_schema.is_some() {
        // The structure that it promises cannot be cut, and without it the result must be an error.
        return Err(ToolError::failed("too_large", format!("The tool has done its work. {}", shortened(&text))));
    }
    // Before 2026-07-28 only an object can be structured content. Structured content stands in the result twice.
    if value.is_object() && text.len() <= MAX_JSON {
        Ok(ToolResult::Structured(value))
    } else {
        Ok(ToolResult::Text(shortened(&text)))
    }
}

/// The text, or as much of its beginning as hosts take, with a sentence that says so.
fn shortened(text: &str) -> String {
    let part = beginning(text, MAX_TEXT);
    if part.len() == text.len() {
        return part.to_owned();
    }
    format!(
        "[The answer is cut: hosts take no more than this beginning of its {} bytes. Ask the tool for less at once.]\n{part}",
        text.len()
    )
}

fn blocks(tool: &Tool, value: Value) -> Result<ToolResult, ToolError> {
    require_no_output_schema(tool)?;
    let blocks: Vec<ContentBlock> = serde_json::from_value(value)
        .map_err(|error| unreadable(&format!("The tool's answer is no array of content blocks: {error}.")))?;
    if blocks.len() > MOST_BLOCKS {
        return Err(unreadable(&format!("The tool's answer has more than {MOST_BLOCKS} content blocks.")));
    }
    if blocks.is_empty() {
        return Ok(empty_result());
    }
    let sound = |data: &str, media: &str, kind: &str| media.starts_with(kind) && STANDARD.decode(data).is_ok();
    let fits = blocks.iter().all(|block| match block {
        ContentBlock::Text(_) => true,
        ContentBlock::Image(image) => sound(&image.data, &image.mime_type, "image/"),
        ContentBlock::Audio(audio) => sound(&audio.data, &audio.mime_type, "audio/"),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { uri, .. } => is_uri(uri),
            ResourceContents::BlobResourceContents { uri, blob, .. } => is_uri(uri) && STANDARD.decode(blob).is_ok(),
            _ => false,
        },
        ContentBlock::ResourceLink(link) => is_uri(&link.uri),
        _ => false,
    });
    if fits {
        Ok(ToolResult::Content(shortened_blocks(blocks)))
    } else {
        Err(unreadable("The tool's answer has a content block with data that is not base64, or the wrong type or uri."))
    }
}

/// The blocks, their texts cut to what hosts take of all of them.
fn shortened_blocks(mut blocks: Vec<ContentBlock>) -> Vec<ContentBlock> {
    let mut room = MAX_TEXT;
    for block in &mut blocks {
        let text = match block {
            ContentBlock::Text(text) => &mut text.text,
            ContentBlock::Resource(embedded) => match &mut embedded.resource {
                ResourceContents::TextResourceContents { text, .. } => text,
                _ => continue,
            },
            _ => continue,
        };
        let part = beginning(text, room).len();
        if part < text.len() {
            text.truncate(part);
            text.push_str("\n[The answer is cut here: hosts take no more. Ask the tool for less at once.]");
        }
        room -= part.min(room);
    }
    blocks
}

/// RFC 3986 §3: a scheme, and something after it.
fn is_uri(text: &str) -> bool {
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(word)
        && !rest.is_empty()
        && rest.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

/// MCP: whoever promises a structure keeps it.
fn require_no_output_schema(tool: &Tool) -> Result<(), ToolError> {
    match tool.output_schema {
        Some(_) => Err(unreadable("The tool's answer is not JSON, which its schema promises.")),
        None => Ok(()),
    }
}

fn empty_result() -> ToolResult {
    ToolResult::Text("The tool has done it, and says nothing.".to_owned())
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}

/// The schemas that a tool is registered with are the tenant's to mend.
pub(super) fn unusable_schema() -> ToolError {
    ToolError::failed("unusable_schema", "The tool is registered with a schema that cannot be used.")
}

fn too_large() -> ToolError {
    ToolError::failed("too_large", "The tool did not answer: its answer is too large.")
}

fn unreadable(message: &str) -> ToolError {
    ToolError::failed("unreadable", message)
}

#[cfg(test)]
mod tests {

    use http::{HeaderMap, HeaderValue, StatusCode};
    use rmcp::model::CallToolResult;
    use serde_json::json;
    use shared::store::workspace::Name;
    use shared::store::workspace::tool::ToolEndpoint;
    use shared::store::workspace::tool_timeout::ToolTimeout;

    use super::*;

    fn tool(promises: bool) -> Tool {
        let schema = json!({ "type": "object", "required": ["paid"] }).as_object().cloned();
        Tool {
            name: Name::parse("find_invoice").unwrap(),
            title: "Find an invoice".to_owned(),
            description: "By its number".to_owned(),
            input_schema: serde_json::Map::new(),
            output_schema: schema.filter(|_| promises),
            kind: ToolEndpoint::Http { url: "https://tools.acme.example/".to_owned() },
            timeout: ToolTimeout::DEFAULT,
            read_only: true,
            destructive: false,
            idempotent: true,
            open_world: true,
        }
    }

    fn answer(status: u16, media: &'static str, body: &[u8]) -> OutboundResponse {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(media));
        OutboundResponse { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_vec() }
    }

    /// The result as JSON, or the message of the error.
    fn got(outcome: Result<ToolResult, ToolError>) -> Value {
        match outcome {
            Ok(outcome) => {
                let result = serde_json::to_value(CallToolResult::from(outcome)).unwrap();
                result.get("structuredContent").unwrap_or(&result["content"]).clone()
            }
            Err(ToolError::Failed { message, .. }) => message.into(),
            Err(ToolError::Upstream(fault)) => panic!("{fault}"),
        }
    }

    fn text(text: &str) -> Value {
        json!([{ "type": "text", "text": text }])
    }

    #[test]
    fn http_responses_become_tool_results() {
        let long = "x".repeat(MAX_TEXT + 1);
        let cut = format!(
            "[The answer is cut: hosts take no more than this beginning of its 65537 bytes. Ask the tool for less at once.]\n{}",
            &long[1..]
        );
        let (object, larger) = (json!({ "paid": long[..20_000] }), json!({ "paid": long[..40_000] }));
        let (object_text, larger_text) = (object.to_string(), larger.to_string());
        let large = vec![0; MEDIA_LIMIT + 1];
        for (status, media, body, promises, expected) in [
            (200, "application/json", &br#"{"paid":true}"#[..], true, json!({ "paid": true })),
            (200, "application/json", b"[1,2]", false, text("[1,2]")),
            (200, "text/plain; charset=utf-8", b"paid", false, text("paid")),
            (204, "text/plain", b"", false, text("The tool has done it, and says nothing.")),
            (200, "application/json", b"{", false, json!("The tool's answer is not JSON.")),
            (200, "image/png", b"x", false, json!([{ "type": "image", "data": "eA==", "mimeType": "image/png" }])),
            (200, "Audio/wav", b"x", false, json!([{ "type": "audio", "data": "eA==", "mimeType": "audio/wav" }])),
            (200, "image/png", &large, false, json!("The tool did not answer: its answer is too large.")),
            (
                200,
                "application/pdf",
                b"x",
                false,
                json!("The tool's answer is neither JSON nor text, nor an image or a sound."),
            ),
            (200, "text/plain", b"paid", true, json!("The tool's answer is not JSON, which its schema promises.")),
            (200, "image/png", b"x", true, json!("The tool's answer is not JSON, which its schema promises.")),
            (200, BLOCKS, b"[]", true, json!("The tool's answer is not JSON, which its schema promises.")),
            (
                200,
                "application/json",
                b"{}",
                true,
                json!("The tool's answer does not fit its own schema:\n- /: \"paid\" is a required property"),
            ),
            (404, "text/plain", b"no 17", false, json!("The tool answered with HTTP status 404.\nno 17")),
            (
                500,
                "application/json",
                br#"{"error":"x"}"#,
                false,
                json!("The tool answered with HTTP status 500.\n{\"error\":\"x\"}"),
            ),
            (302, "text/html", b"", false, json!("The tool answered with HTTP status 302.")),
            (200, "text/plain", long.as_bytes(), false, text(&cut)),
            (200, "application/json", object_text.as_bytes(), false, object.clone()),
            (200, "application/json", object_text.as_bytes(), true, object.clone()),
            (200, "application/json", larger_text.as_bytes(), false, text(&larger_text)),
            (
                200,
                "application/json",
                larger_text.as_bytes(),
                true,
                json!(format!("The tool has done its work. {larger_text}")),
            ),
        ] {
            let got = got(from_http_response(&tool(promises), &answer(status, media, body)));
            assert_eq!(got, expected, "{status} {media}");
        }
    }

    /// What stands in several blocks is cut once it is too much together; what is no text stays.
    #[test]
    fn long_content_blocks_are_cut() {
        const CUT: &str = "\n[The answer is cut here: hosts take no more. Ask the tool for less at once.]";
        let (half, image) = ("x".repeat(40_000), json!({ "type": "image", "data": "eA==", "mimeType": "image/png" }));
        let block = |text: &str| json!({ "type": "text", "text": text });
        let resource = |text: &str| json!({ "type": "resource", "resource": { "uri": "test://x", "text": text } });
        let blocks = json!([block(&half), image, resource(&half), block("y")]);
        let expected =
            json!([block(&half), image, resource(&format!("{}{CUT}", &half[..MAX_TEXT - 40_000])), block(CUT)]);
        assert_eq!(
            got(from_http_response(&tool(false), &answer(200, BLOCKS, blocks.to_string().as_bytes()))),
            expected
        );
    }

    /// The fixtures of MCP's conformance suite are among them.
    #[test]
    fn content_blocks_are_validated() {
        let blocks = json!([
            { "type": "text", "text": "Multiple content types test:" },
            { "type": "image", "data": "eA==", "mimeType": "image/png" },
            { "type": "audio", "data": "eA==", "mimeType": "audio/wav" },
            { "type": "resource", "resource": { "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "x" } },
            { "type": "resource", "resource": { "uri": "test://binary", "blob": "eA==" } },
            { "type": "resource_link", "uri": "file:///x", "name": "x" },
        ]);
        assert_eq!(got(from_http_response(&tool(false), &answer(200, BLOCKS, blocks.to_string().as_bytes()))), blocks);
        let returned = json!({ BLOCKS: blocks }).to_string();
        assert_eq!(got(from_function_result(&tool(false), returned.as_bytes())), blocks);

        for wrong in [
            json!({}),
            json!(["x"]),
            json!([{ "type": "made_up" }]),
            json!([{ "type": "text" }]),
            json!([{ "type": "image", "data": "!", "mimeType": "image/png" }]),
            json!([{ "type": "image", "data": "eA==", "mimeType": "text/html" }]),
            json!([{ "type": "audio", "data": "eA==", "mimeType": "image/png" }]),
            json!([{ "type": "resource", "resource": { "uri": "not a uri", "text": "x" } }]),
            json!([{ "type": "resource", "resource": { "uri": "test://x", "blob": "!" } }]),
            json!([{ "type": "resource_link", "uri": "x", "name": "x" }]),
            json!(vec![json!({ "type": "text", "text": "x" }); MOST_BLOCKS + 1]),
        ] {
            let told = got(from_http_response(&tool(false), &answer(200, BLOCKS, wrong.to_string().as_bytes())));
            assert!(told.as_str().is_some_and(|told| told.starts_with("The tool's answer ")), "{wrong} {told}");
        }
    }

    #[test]
    fn function_results_become_tool_results() {
        for (returned, promises, expected) in [
            (r#"{"paid":true}"#, true, json!({ "paid": true })),
            ("[1,2]", false, text("[1,2]")),
            (r#""paid""#, false, text("paid")),
            ("null", false, text("The tool has done it, and says nothing.")),
            ("", false, text("The tool has done it, and says nothing.")),
            ("{", false, json!("The tool's answer is not JSON.")),
            ("{}", true, json!("The tool's answer does not fit its own schema:\n- /: \"paid\" is a required property")),
        ] {
            assert_eq!(got(from_function_result(&tool(promises), returned.as_bytes())), expected, "{returned}");
        }
        for (said, told) in [
            (
                r#"{"errorMessage":"no such invoice","errorType":"Missing","stackTrace":["x"]}"#,
                "The tool failed.\nno such invoice",
            ),
            ("", "The tool failed."),
        ] {
            assert_eq!(got(Err(from_function_error(said.as_bytes()))), json!(told));
        }
    }
}
