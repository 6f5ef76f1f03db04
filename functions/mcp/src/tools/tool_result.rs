//! The result of a tool call.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

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

impl From<ToolResult> for CallToolResult {
    fn from(outcome: ToolResult) -> Self {
        match outcome {
            ToolResult::Structured(value) => Self::structured(value),
            ToolResult::Text(text) => Self::success(vec![ContentBlock::text(text)]),
            ToolResult::Content(blocks) => Self::success(blocks),
        }
    }
}
