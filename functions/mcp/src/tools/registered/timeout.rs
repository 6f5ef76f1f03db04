//! How long a tool of a tenant may take, and what the model hears of one that took longer.

use std::time::Duration;

use shared::clock::Deadline;
use shared::store::workspace::tool::Tool;

use crate::tools::tool_error::ToolError;

/// What this function needs after a call, to record how it ended and to answer: the longest that a call to AWS takes.
const RESERVE: Duration = Duration::from_secs(2);

/// How long the tool may take: as long as it is registered with, if that leaves [`RESERVE`] of this function's own time.
pub(super) fn timeout(tool: &Tool, deadline: &Deadline) -> Result<Duration, ToolError> {
    let left = deadline.left().saturating_sub(RESERVE);
    if left.is_zero() {
        let message = "The tool was not called: too much time had passed before. Try again.";
        return Err(ToolError::failed("timed_out", message));
    }
    Ok(tool.timeout.min(left))
}

/// What the model hears of a tool that was not done within `timeout`.
pub(super) fn timed_out(timeout: Duration) -> ToolError {
    let seconds = (timeout.as_secs_f64() * 10.0).floor() / 10.0;
    ToolError::failed("timed_out", format!("The tool did not answer within {seconds} s."))
}
