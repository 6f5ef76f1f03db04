//! `list_skills` and `read_skill`.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use shared::fault::Fault;
use shared::store::workspace::{Skill, Workspace};

use super::{Outcome, after, listed, name};
use crate::guard::Access;

pub(super) async fn list(arguments: JsonObject, access: &Access, workspace: &Workspace) -> Result<Outcome, Fault> {
    match after(arguments) {
        Ok(after) => Ok(listed("skills", &workspace.skills(access.tenant(), after.as_ref()).await?)),
        Err(failed) => Ok(failed),
    }
}

pub(super) async fn read(arguments: JsonObject, access: &Access, workspace: &Workspace) -> Result<Outcome, Fault> {
    let name = match name(arguments, unknown) {
        Ok(name) => name,
        Err(failed) => return Ok(failed),
    };
    let skill = workspace.skill(access.tenant(), &name).await?;
    Ok(skill.map_or_else(unknown, |Skill { name, title, description, content }| {
        Outcome::Structured(
            json!({ "name": name.as_str(), "title": title, "description": description, "content": content }),
        )
    }))
}

pub(super) fn read_output() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            "name": text,
            "title": text,
            "description": text,
            "content": { "type": "string", "description": "The instructions, in Markdown" },
        },
        "required": ["name", "title", "description", "content"],
    })
}

fn unknown() -> Outcome {
    Outcome::failed("not_found", "There is no skill of that name. list_skills shows which there are.")
}
