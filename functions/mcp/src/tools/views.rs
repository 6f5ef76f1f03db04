//! `list_views` and `read_view`.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use shared::fault::Fault;
use shared::store::workspace::{View, Workspace};

use super::{Outcome, after, listed, name};
use crate::guard::Access;

pub(super) async fn list(arguments: JsonObject, access: &Access, workspace: &Workspace) -> Result<Outcome, Fault> {
    match after(arguments) {
        Ok(after) => Ok(listed("views", &workspace.views(access.tenant(), after.as_ref()).await?)),
        Err(failed) => Ok(failed),
    }
}

pub(super) async fn read(arguments: JsonObject, access: &Access, workspace: &Workspace) -> Result<Outcome, Fault> {
    let name = match name(arguments, unknown) {
        Ok(name) => name,
        Err(failed) => return Ok(failed),
    };
    let view = workspace.view(access.tenant(), &name).await?;
    Ok(view.map_or_else(unknown, |View { name, title, description, definition }| {
        Outcome::Structured(
            json!({ "name": name.as_str(), "title": title, "description": description, "definition": definition }),
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
            "definition": { "type": "object", "description": "Filter, order and columns" },
        },
        "required": ["name", "title", "description", "definition"],
    })
}

fn unknown() -> Outcome {
    Outcome::failed("not_found", "There is no view of that name. list_views shows which there are.")
}
