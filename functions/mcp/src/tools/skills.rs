//! `list_skills` and `read_skill`.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use shared::oauth::scope::Scope;
use shared::store::workspace::skill::{Argument, Skill};

use super::arguments::{cursor_argument, list_input, name_argument, name_input};
use super::built_in::{BuiltIn, Effect};
use super::page::{list_output, summaries_result};
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;

pub(super) const TOOLS: [BuiltIn; 2] = [
    BuiltIn {
        name: "list_skills",
        scope: Scope::SkillsRead,
        title: "List skills",
        description: "Lists the workspace's skills: written instructions for recurring work, with a sentence on when to use each. \
                      Look here before starting a task that the workspace may have a way of doing.",
        effect: Effect::ReadOnly,
        input: list_input,
        output: || list_output("skills"),
        run: |arguments, context| Box::pin(list(arguments, context)),
    },
    BuiltIn {
        name: "read_skill",
        scope: Scope::SkillsRead,
        title: "Read a skill",
        description: "Returns one skill's instructions, in Markdown. Follow them for the task at hand; where they say {{name}}, put \
                      what the person gave for the argument of that name.",
        effect: Effect::ReadOnly,
        input: || name_input("The skill's name, as list_skills shows it"),
        output: read_output,
        run: |arguments, context| Box::pin(read(arguments, context)),
    },
];

async fn list(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    Ok(summaries_result("skills", &context.workspace.skills(cursor_argument(arguments)?.as_ref()).await?))
}

async fn read(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let skill = context.workspace.skill(&name_argument(arguments, not_found)?).await?;
    let Skill { name, title, description, content, arguments } = skill.ok_or_else(not_found)?;
    let arguments = arguments.iter().map(|Argument { name, description, required }| {
        json!({ "name": name.as_str(), "description": description, "required": required })
    });
    Ok(ToolResult::Structured(json!({
        "name": name.as_str(),
        "title": title,
        "description": description,
        "content": content,
        "arguments": arguments.collect::<Value>(),
    })))
}

fn read_output() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            "name": text,
            "title": text,
            "description": text,
            "content": { "type": "string", "description": "The instructions, in Markdown" },
            "arguments": {
                "type": "array",
                "description": "What {{name}} in the instructions stands for",
                "items": {
                    "type": "object",
                    "properties": { "name": text, "description": text, "required": { "type": "boolean" } },
                    "required": ["name", "description", "required"],
                },
            },
        },
        "required": ["name", "title", "description", "content", "arguments"],
    })
}

fn not_found() -> ToolError {
    ToolError::failed("not_found", "There is no skill of that name. list_skills shows which there are.")
}
