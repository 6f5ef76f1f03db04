//! `create_chat`.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::oauth::scope::Scope;
use shared::store::workspace::WriteError;
use shared::store::workspace::chat::{Chat, MESSAGE_LIMIT};

use super::arguments::parse_arguments;
use super::built_in::{BuiltIn, Effect};
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;

pub(super) const TOOLS: [BuiltIn; 1] = [BuiltIn {
    name: "create_chat",
    scope: Scope::ChatCreate,
    title: "Start a chat",
    description: "Starts a conversation in the workspace with its first message, as the person you work for. Returns its id.",
    effect: Effect::Additive,
    input,
    output,
    run: |arguments, context| Box::pin(create(arguments, context)),
}];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateArguments {
    title: Option<String>,
    message: String,
}

async fn create(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let CreateArguments { title, message } = parse_arguments(arguments)?;
    let by = context.access.person();
    let chat = context.workspace.create_chat(title.as_deref(), &message, by, context.now).await;
    let Chat { id, title, created } = chat.map_err(|why| match why {
        WriteError::Validation(unfit) => {
            let why = if message.len() > MESSAGE_LIMIT { "too_large" } else { "invalid_arguments" };
            ToolError::failed(why, format!("No chat was started: {unfit}."))
        }
        WriteError::Upstream(fault) => ToolError::Upstream(fault),
    })?;
    Ok(ToolResult::Structured(json!({ "id": id.as_str(), "title": title, "created": created.to_rfc3339() })))
}

fn input() -> Value {
    json!({
        "type": "object",
        "properties": {
            "title": {
                "type": "string",
                "minLength": 1,
                "maxLength": 120,
                "description": "What the conversation is called; the beginning of the message if left out",
            },
            "message": { "type": "string", "minLength": 1, "description": "The first message, in Markdown; at most 64 KiB" },
        },
        "required": ["message"],
        "additionalProperties": false,
    })
}

fn output() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": { "id": text, "title": text, "created": { "type": "string", "format": "date-time" } },
        "required": ["id", "title", "created"],
    })
}
