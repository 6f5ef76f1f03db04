//! `list_views` and `read_view`.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::oauth::scope::Scope;
use shared::store::workspace::Name;
use shared::store::workspace::entity::Entity;
use shared::store::workspace::query::Field;
use shared::store::workspace::view::View;

use super::arguments::{cursor_argument, list_input, parse_arguments};
use super::built_in::{BuiltIn, Effect};
use super::entity_search::{EntitySearch, PageLimit, page_input_members, page_output_members};
use super::page::{list_output, summaries_result};
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;

pub(super) const TOOLS: [BuiltIn; 2] = [
    BuiltIn {
        name: "list_views",
        scope: Scope::ViewsRead,
        title: "List views",
        description: "Lists the workspace's views: saved queries over its records, with a sentence on what each shows.",
        effect: Effect::ReadOnly,
        input: list_input,
        output: || list_output("views"),
        run: |arguments, context| Box::pin(list(arguments, context)),
    },
    BuiltIn {
        name: "read_view",
        scope: Scope::ViewsRead,
        title: "Read a view",
        description: "Returns one view's definition (which records it shows, in which order and columns) and a page of the records \
                      themselves, if you may read entities.",
        effect: Effect::ReadOnly,
        input: read_input,
        output: read_output,
        run: |arguments, context| Box::pin(read(arguments, context)),
    },
];

const NO_ROWS: &str =
    "The rows are left out: reading them needs the permission entities:read, which this connection does not have.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    name: String,
    cursor: Option<String>,
    limit: Option<u64>,
}

async fn list(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    Ok(summaries_result("views", &context.workspace.views(cursor_argument(arguments)?.as_ref()).await?))
}

async fn read(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let ReadArguments { name, cursor, limit } = parse_arguments(arguments)?;
    let (name, limit) = (Name::parse(&name).ok_or_else(not_found)?, PageLimit::parse(limit)?);
    let View { name, title, description, definition } = context.workspace.view(&name).await?.ok_or_else(not_found)?;
    let mut result = if context.access.scopes().contains(Scope::EntitiesRead) {
        let (kind, filter, sort) = (&definition.kind, &definition.filter, &definition.sort);
        let search = EntitySearch { kind, words: None, filter, sort, cursor: cursor.as_deref(), limit };
        search.page(&context.workspace, |entity| row(entity, &definition.columns)).await?.into_members("rows")
    } else {
        std::iter::once(("withheld".to_owned(), NO_ROWS.into())).collect()
    };
    let about = [
        ("name", name.as_str().into()),
        ("title", title.into()),
        ("description", description.into()),
        ("definition", definition.to_json().into()),
    ];
    result.extend(about.map(|(name, value): (_, Value)| (name.to_owned(), value)));
    Ok(ToolResult::Structured(result.into()))
}

/// An entity as far as the view shows it.
fn row(entity: &Entity, columns: &[Field]) -> Value {
    let fields: Map<_, _> = if columns.is_empty() {
        entity.fields.clone()
    } else {
        let cells = columns.iter().map(|column| (column.to_string(), column.of(entity).into_owned()));
        cells.filter(|(_, value)| !value.is_null()).collect()
    };
    json!({ "id": entity.id.as_str(), "version": entity.version, "fields": fields })
}

fn read_input() -> Value {
    let mut properties = page_input_members();
    let name = json!({ "type": "string", "description": "The view's name, as list_views shows it" });
    properties.insert("name".to_owned(), name);
    json!({ "type": "object", "properties": properties, "required": ["name"], "additionalProperties": false })
}

fn read_output() -> Value {
    let text = json!({ "type": "string" });
    let own = json!({
        "name": text,
        "title": text,
        "description": text,
        "definition": {
            "type": "object",
            "properties": {
                "type": { "type": "string", "description": "The entity type" },
                "filter": { "type": "array", "description": "What holds for each record, as in search_entities" },
                "sort": { "type": "array", "description": "Their order, as in search_entities" },
                "columns": { "type": "array", "description": "The fields that are shown; all if empty" },
            },
            "required": ["type", "filter", "sort", "columns"],
        },
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": text,
                    "version": { "type": "integer" },
                    "fields": { "type": "object", "description": "The view's columns, those that the record has" },
                },
                "required": ["id", "version", "fields"],
            },
        },
        "withheld": { "type": "string", "description": "In place of rows: why there are none" },
    });
    let mut properties = page_output_members();
    properties.extend(own.as_object().into_iter().flatten().map(|(name, schema)| (name.clone(), schema.clone())));
    json!({ "type": "object", "properties": properties, "required": ["name", "title", "description", "definition"] })
}

fn not_found() -> ToolError {
    ToolError::failed("not_found", "There is no view of that name. list_views shows which there are.")
}
