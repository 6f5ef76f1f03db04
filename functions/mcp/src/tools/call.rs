//! `tools/call`.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde_json::Value;
use shared::store::workspace::Name;

use super::built_in::{BuiltIn, Effect};
use super::registered;
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;
use crate::call_audit;
use crate::error::CallError;

/// Calls a tool of ours.
pub(crate) async fn built_in(
    tool: &BuiltIn,
    arguments: JsonObject,
    context: &ToolContext<'_>,
) -> Result<CallToolResult, CallError> {
    let named = call_audit::object(&arguments);
    if tool.effect != Effect::ReadOnly && context.access.workspace_layout().is_moving() {
        let refused = Err(ToolError::workspace_moving());
        call_audit::record_tool(context.access, tool.name, named.as_deref(), Some(&refused));
        return into_result(refused);
    }
    // What only reads has no effect but its answer, and if that is lost nothing has happened.
    if tool.effect != Effect::ReadOnly {
        call_audit::announce_tool(context.access, tool.name, named.as_deref());
    }
    let called = (tool.handler.run)(arguments, context).await;
    // What has just been made is named by its result alone.
    let object = named.or_else(|| match &called {
        Ok(ToolResult::Structured(Value::Object(made))) => call_audit::object(made),
        _ => None,
    });
    call_audit::record_tool(context.access, tool.name, object.as_deref(), Some(&called));
    into_result(called)
}

/// Calls the tenant's tool of that name. What it takes is the tenant's own, and may be anything, so the audit names no object.
pub(crate) async fn registered(
    name: &Name,
    arguments: JsonObject,
    context: &ToolContext<'_>,
) -> Result<CallToolResult, CallError> {
    let called = registered::call(name, arguments, context).await.transpose();
    call_audit::record_tool(context.access, name.as_str(), None, called.as_ref());
    into_result(called.ok_or(CallError::ToolNotFound)?)
}

/// MCP, tools: what the model can do something about is a result, too.
fn into_result(called: Result<ToolResult, ToolError>) -> Result<CallToolResult, CallError> {
    match called {
        Ok(result) => Ok(result.into()),
        Err(ToolError::Failed { message, .. }) => Ok(CallToolResult::error(vec![ContentBlock::text(message)])),
        Err(ToolError::Upstream(fault)) => Err(CallError::Upstream(fault)),
    }
}
