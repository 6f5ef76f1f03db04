//! `create_chat`.

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::oauth::scope::Scope;
#[cfg(test)]
use shared::store::workspace::TITLE_LIMIT;
use shared::store::workspace::chat::{Chat, MESSAGE_LIMIT};

use super::built_in::{BuiltIn, Effect, handler};
use super::spending::spend_write;
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::DateTime;

pub(super) const TOOLS: [BuiltIn; 1] = [BuiltIn {
    name: "create_chat",
    scope: Scope::ChatCreate,
    title: "Start a chat",
    description: "Starts a conversation in the workspace, as the person you work for. Returns its id.",
    effect: Effect::Additive,
    handler: handler!(CreateArguments => ChatResult, create),
}];

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct CreateArguments {
    /// The beginning of the message if left out
    #[cfg_attr(test, schemars(length(min = 1, max = TITLE_LIMIT)))]
    title: Option<String>,
    /// In Markdown; at most 64 KiB
    #[cfg_attr(test, schemars(length(min = 1)))]
    message: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct ChatResult {
    id: String,
    title: String,
    created: DateTime,
}

async fn create(
    CreateArguments { title, message }: CreateArguments,
    context: &ToolContext<'_>,
) -> Result<ChatResult, ToolError> {
    let by = context.access.person();
    // What is too large is refused without a write.
    if message.len() <= MESSAGE_LIMIT {
        spend_write(message.len() + title.as_ref().map_or(0, String::len), true, context).await?;
    }
    let chat = context.workspace.create_chat(title.as_deref(), &message, by, context.now).await;
    let invalid = |unfit| {
        let why = if message.len() > MESSAGE_LIMIT { "too_large" } else { "invalid_arguments" };
        ToolError::failed(why, format!("No chat was started: {unfit}."))
    };
    let Chat { id, title, created } = chat.map_err(|error| ToolError::of_write(error, invalid))?;
    Ok(ChatResult { id: id.to_string(), title, created: created.into() })
}
