//! `list_skills` and `read_skill`.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use shared::oauth::scope::Scope;
use shared::store::workspace::skill::{Argument, Skill};

use super::{BuiltIn, Effect, Outcome, Undone, Work, after, list_input, list_output, listed, name, read_input};

pub(super) const TOOLS: [BuiltIn; 2] = [
    BuiltIn {
        name: "list_skills",
        scope: Scope::SkillsRead,
        title: "List skills",
        description: "Lists the workspace's skills: written instructions for recurring work, with a sentence on when to use each. \
                      Look here before starting a task that the workspace may have a way of doing.",
        effect: Effect::Reads,
        input: list_input,
        output: || list_output("skills"),
        run: |arguments, work| Box::pin(list(arguments, work)),
    },
    BuiltIn {
        name: "read_skill",
        scope: Scope::SkillsRead,
        title: "Read a skill",
        description: "Returns one skill's instructions, in Markdown. Follow them for the task at hand; where they say {{name}}, put \
                      what the person gave for the argument of that name.",
        effect: Effect::Reads,
        input: || read_input("The skill's name, as list_skills shows it"),
        output: read_output,
        run: |arguments, work| Box::pin(read(arguments, work)),
    },
];

async fn list(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    Ok(listed("skills", &work.workspace.skills(after(arguments)?.as_ref()).await?))
}

async fn read(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let skill = work.workspace.skill(&name(arguments, unknown)?).await?;
    let Skill { name, title, description, content, arguments } = skill.ok_or_else(unknown)?;
    let arguments = arguments.iter().map(|Argument { name, description, required }| {
        json!({ "name": name.as_str(), "description": description, "required": required })
    });
    Ok(Outcome::Structured(json!({
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

fn unknown() -> Undone {
    Undone::failed("not_found", "There is no skill of that name. list_skills shows which there are.")
}
