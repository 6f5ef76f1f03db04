//! The tools that a tenant has registered: they are sent what the model sent, who lets it be done, and nothing else of us.

mod claims;
pub(crate) mod tool_invoker;
mod tool_response;
mod tool_token;

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;
use shared::oauth::scope::Scope;
use shared::store::workspace::rate_limit::InFlightCall;
use shared::store::workspace::{Name, tool};
use shared::telemetry::request_counts;
use shared::upstream_error::UpstreamError;

use self::tool_response::unusable_schema;
use super::catalog;
use super::schema::{Formats, SchemaValidationError, validate};
use super::security_schemes;
use super::spending::spend_call;
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;
use super::tools_page::ToolsPage;
use crate::call_audit;

/// The most bytes of arguments, as JSON.
const ARGUMENTS_LIMIT: usize = 64 * 1024;

/// Adds the tenant's tools after `after` to `page`, as many as it has room for. The last that it has, if there are more; none without
/// the scope to call them.
pub(super) async fn list(
    context: &ToolContext<'_>,
    mut after: Option<Name>,
    page: &mut ToolsPage,
) -> Result<Option<Name>, UpstreamError> {
    if !context.access.scopes().contains(Scope::ToolsExecute) {
        return Ok(None);
    }
    let mut unlisted = 0;
    let end = loop {
        let batch = context.workspace.tools(after.as_ref()).await?;
        let mut full = false;
        for tool in batch.items {
            let name = tool.name.clone();
            // A name that has become ours since it was registered calls ours.
            if catalog::find(name.as_str()).is_none() {
                // Stored before this was refused. One such tool would cost the person all of them.
                if tool.check_definition().is_err() {
                    unlisted += 1;
                } else if !page.push_if_fits(describe(tool)) {
                    full = true;
                    break;
                }
            }
            after = Some(name);
        }
        match batch.next {
            _ if full => break after,
            None => break None,
            next => after = next,
        }
    };
    request_counts::tools_unlisted(unlisted);
    Ok(end)
}

fn describe(tool: tool::Tool) -> Tool {
    let annotations = ToolAnnotations::new()
        .read_only(tool.read_only)
        .destructive(tool.destructive && !tool.read_only)
        .idempotent(tool.idempotent || tool.read_only)
        .open_world(tool.open_world);
    let described =
        Tool::new(tool.name.to_string(), tool.description, Arc::new(tool.input_schema)).with_title(tool.title);
    let described = described.with_annotations(annotations).with_meta(security_schemes::metadata(Scope::ToolsExecute));
    match tool.output_schema {
        Some(schema) => described.with_raw_output_schema(Arc::new(schema)),
        None => described,
    }
}

/// Calls the tenant's tool of that name, if there is one: what is wrong with the arguments costs nothing, and what is sent has
/// been counted before.
pub(crate) async fn call(
    name: &Name,
    arguments: JsonObject,
    context: &ToolContext<'_>,
) -> Result<Option<ToolResult>, ToolError> {
    let Some(tool) = context.workspace.tool(name).await? else { return Ok(None) };
    let arguments = Value::Object(arguments);
    if arguments.to_string().len() > ARGUMENTS_LIMIT {
        return Err(ToolError::failed("too_large", format!("The arguments must not exceed {ARGUMENTS_LIMIT} bytes.")));
    }
    validate(&tool.input_schema, &arguments, Formats::Annotated).map_err(|why| match why {
        SchemaValidationError::UnusableSchema => unusable_schema(),
        SchemaValidationError::TooLarge => {
            ToolError::failed("too_large", "The arguments are too large to be checked. Send less at once.")
        }
        SchemaValidationError::Invalid(mistakes) => {
            ToolError::failed("invalid_arguments", format!("The arguments do not fit the tool's schema:\n{mistakes}"))
        }
    })?;
    let under_way = reserve_call(context).await?;
    // Before it begins: whatever ends this function meanwhile, the call has left a trace.
    call_audit::announce_tool(context.access, name.as_str(), None);
    let ToolContext { access, tool_invoker, deadline, now, .. } = context;
    let outcome = tool_invoker.call(&tool, &arguments, access, deadline, *now).await;
    if let Err(fault) = context.workspace.end_call(under_way).await {
        // The tool has done its work, and that is what the caller must hear.
        tracing::warn!(%fault, "DynamoDB could not record the end of a tool call: the call still counts against the concurrency limit");
    }
    outcome.map(Some)
}

/// Counts the call, if it may be made. One that finds too many under way counts as well, so that it is not tried over and over.
async fn reserve_call(context: &ToolContext<'_>) -> Result<InFlightCall, ToolError> {
    spend_call(context).await?;
    let concurrency = context.tool_invoker.limits.concurrency;
    context.workspace.begin_call(concurrency, context.now).await?.ok_or_else(|| {
        ToolError::failed(
            "too_many_at_once",
            format!(
                "The workspace's own tools have as many calls under way as they may at one time: {concurrency}. Wait for calls that \
                 you have made to end, then try again, one at a time."
            ),
        )
    })
}
