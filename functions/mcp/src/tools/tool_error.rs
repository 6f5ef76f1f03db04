//! Why a tool call has no result.

use shared::upstream_error::UpstreamError;

/// Why a tool call has no result.
#[derive(Debug)]
pub(crate) enum ToolError {
    /// The model can do something about it (MCP: an error of the tool, not of the protocol).
    Failed {
        /// In one word, for the audit.
        why: &'static str,
        /// For the model: what it can do.
        message: String,
    },
    /// AWS failed.
    Upstream(UpstreamError),
}

impl ToolError {
    pub(crate) fn failed(why: &'static str, message: impl Into<String>) -> Self {
        Self::Failed { why, message: message.into() }
    }
}

impl From<UpstreamError> for ToolError {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}
