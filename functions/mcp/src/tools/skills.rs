//! `list_skills` and `read_skill`.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of fields are the descriptions in a schema, which are plain text"
)]

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::oauth::scope::Scope;
use shared::store::workspace::Name;
use shared::store::workspace::skill::{Argument, Skill};

use super::arguments::{ListArguments, parse_cursor, unknown_cursor};
use super::built_in::{BuiltIn, Effect, handler};
use super::page::{PageEnd, SummaryResult, summaries};
use super::page_size::content_part;
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use crate::cursor;

pub(super) const TOOLS: [BuiltIn; 2] = [
    BuiltIn {
        name: "list_skills",
        scope: Scope::SkillsRead,
        title: "List skills",
        description: "Lists the workspace's skills: instructions for recurring work, and when to use each. Look here before a task.",
        effect: Effect::ReadOnly,
        handler: handler!(ListArguments => SkillsPage, list),
    },
    BuiltIn {
        name: "read_skill",
        scope: Scope::SkillsRead,
        title: "Read a skill",
        description: "Returns a skill's instructions, in Markdown. Follow them. For {{name}} in them, put what the person gave for that argument. A \
                      long one comes in parts: call again with nextCursor.",
        effect: Effect::ReadOnly,
        handler: handler!(ReadArguments => SkillResult, read),
    },
];

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    /// From list_skills
    name: String,
    /// nextCursor of the part before
    cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct SkillsPage {
    skills: Vec<SummaryResult>,
    #[serde(flatten)]
    end: PageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct SkillResult {
    name: String,
    title: String,
    description: String,
    /// The instructions, in Markdown
    content: String,
    /// What {{name}} in the instructions stands for
    arguments: Vec<ArgumentResult>,
    #[serde(flatten)]
    end: PageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct ArgumentResult {
    name: String,
    description: String,
    required: bool,
}

async fn list(arguments: ListArguments, context: &ToolContext<'_>) -> Result<SkillsPage, ToolError> {
    let (skills, end) = summaries(context.workspace.skills(arguments.after()?.as_ref()).await?);
    Ok(SkillsPage { skills, end })
}

async fn read(arguments: ReadArguments, context: &ToolContext<'_>) -> Result<SkillResult, ToolError> {
    let ReadArguments { name, cursor } = arguments;
    // Skills have no versions.
    let from = parse_cursor(cursor.as_deref(), |cursor| Some(cursor::decode_part(cursor)?.1))?.unwrap_or_default();
    let skill = context.workspace.skill(&Name::parse(&name).ok_or_else(not_found)?).await?;
    let Skill { name, title, description, content, arguments } = skill.ok_or_else(not_found)?;
    let argument =
        |Argument { name, description, required }| ArgumentResult { name: name.to_string(), description, required };
    let arguments = arguments.into_iter().map(argument).collect();
    let (part, next) = content_part(&content, from).ok_or_else(unknown_cursor)?;
    let end = PageEnd::of_content(next.map(|next| cursor::encode_part(0, next)));
    Ok(SkillResult { name: name.to_string(), title, description, content: part.to_owned(), arguments, end })
}

fn not_found() -> ToolError {
    ToolError::failed("not_found", "There is no skill of that name. list_skills shows which there are.")
}
