//! The result of a tool call.

use rmcp::model::{CallToolResult, ContentBlock};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use shared::clock::Timestamp;

/// The result of a tool call.
#[derive(Debug)]
pub(crate) enum ToolResult {
    /// A result that programs can read too.
    Structured(Value),
    /// Text.
    Text(String),
    /// Blocks of several kinds.
    Content(Vec<ContentBlock>),
}

// A moment, as results write it (RFC 3339): no doc comment, as its schema has no description.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(extend("format" = "date-time")))]
pub(super) struct DateTime(String);

impl ToolResult {
    /// A result that programs can read too. Serialising our own types cannot fail: their keys are text.
    pub(super) fn structured(result: &impl Serialize) -> Self {
        Self::Structured(serde_json::to_value(result).unwrap_or_default())
    }
}

impl From<ToolResult> for CallToolResult {
    fn from(outcome: ToolResult) -> Self {
        match outcome {
            ToolResult::Structured(value) => Self::structured(value),
            ToolResult::Text(text) => Self::success(vec![ContentBlock::text(text)]),
            ToolResult::Content(blocks) => Self::success(blocks),
        }
    }
}

impl From<Timestamp> for DateTime {
    fn from(moment: Timestamp) -> Self {
        Self(moment.to_rfc3339())
    }
}
