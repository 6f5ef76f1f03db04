//! A page of a list, with its schema.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use shared::store::workspace::{Page, Summary};

use super::tool_result::ToolResult;
use crate::cursor;

/// A page as [`list_output`] promises it.
pub(super) fn summaries_result(things: &str, page: &Page<Summary>) -> ToolResult {
    let summary = |Summary { name, title, description }: &Summary| json!({ "name": name.as_str(), "title": title, "description": description });
    page_result(things, page.items.iter().map(summary).collect(), page.next.as_ref().map(cursor::encode_name))
}

/// A page as [`page_output`] promises it.
pub(super) fn page_result(things: &str, page: Vec<Value>, next: Option<String>) -> ToolResult {
    let mut result = JsonObject::new();
    result.insert(things.to_owned(), page.into());
    result.extend(next.map(|next| ("nextCursor".to_owned(), next.into())));
    ToolResult::Structured(result.into())
}

/// Pages of summaries.
pub(super) fn list_output(things: &str) -> Value {
    let text = json!({ "type": "string" });
    let summary = json!({
        "type": "object",
        "properties": { "name": text, "title": text, "description": text },
        "required": ["name", "title", "description"],
    });
    page_output(things, &summary)
}

/// Pages of whatever each item is.
pub(super) fn page_output(things: &str, of: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            things: { "type": "array", "items": of },
            "nextCursor": { "type": "string", "description": "There may be more: call again with this cursor" },
        },
        "required": [things],
    })
}
