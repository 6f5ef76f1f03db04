//! Why a tool call has no result.

use shared::store::workspace::{ValidationError, WriteError};
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

    /// An operator moves what the tenant has.
    pub(crate) fn workspace_moving() -> Self {
        let message = "Nothing was changed: the data of this workspace is being moved, and can only be read. \
                       Try again in a few minutes.";
        Self::failed("workspace_moving", message)
    }

    /// The error of a write; `invalid` says what the model can do about what is not valid.
    pub(crate) fn of_write(error: WriteError, invalid: impl FnOnce(ValidationError) -> Self) -> Self {
        match error {
            WriteError::Validation(unfit) => invalid(unfit),
            WriteError::Moving(_) => Self::workspace_moving(),
            WriteError::Upstream(fault) => Self::Upstream(fault),
        }
    }
}

impl From<UpstreamError> for ToolError {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}

#[cfg(test)]
mod tests {
    use shared::oauth::tenant::TenantId;

    use super::*;

    /// Where nothing may be written for a while, the tables have not failed.
    #[test]
    fn write_that_meets_a_move_is_an_error_of_the_tool() {
        let moving = WriteError::Moving(TenantId::parse("acme").unwrap());
        let refused = ToolError::of_write(moving, |unfit| panic!("{unfit}"));
        assert!(matches!(refused, ToolError::Failed { why: "workspace_moving", .. }), "{refused:?}");
    }
}
