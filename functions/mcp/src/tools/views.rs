//! `list_views` and `read_view`.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use shared::oauth::scope::Scope;
use shared::store::workspace::view::View;

use super::{BuiltIn, Effect, Outcome, Undone, Work, after, list_input, list_output, listed, name, read_input};

pub(super) const TOOLS: [BuiltIn; 2] = [
    BuiltIn {
        name: "list_views",
        scope: Scope::ViewsRead,
        title: "List views",
        description: "Lists the workspace's views: saved queries over its records, with a sentence on what each shows.",
        effect: Effect::Reads,
        input: list_input,
        output: || list_output("views"),
        run: |arguments, work| Box::pin(list(arguments, work)),
    },
    BuiltIn {
        name: "read_view",
        scope: Scope::ViewsRead,
        title: "Read a view",
        description: "Returns one view's definition: which records it shows, in which order and columns.",
        effect: Effect::Reads,
        input: || read_input("The view's name, as list_views shows it"),
        output: read_output,
        run: |arguments, work| Box::pin(read(arguments, work)),
    },
];

async fn list(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    Ok(listed("views", &work.workspace.views(after(arguments)?.as_ref()).await?))
}

async fn read(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let view = work.workspace.view(&name(arguments, unknown)?).await?;
    let View { name, title, description, definition } = view.ok_or_else(unknown)?;
    Ok(Outcome::Structured(
        json!({ "name": name.as_str(), "title": title, "description": description, "definition": definition }),
    ))
}

fn read_output() -> Value {
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

fn unknown() -> Undone {
    Undone::failed("not_found", "There is no view of that name. list_views shows which there are.")
}
