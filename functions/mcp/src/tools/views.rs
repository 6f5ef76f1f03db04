//! `list_views` and `read_view`.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of fields are the descriptions in a schema, which are plain text"
)]

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::access::Access;
use shared::oauth::scope::Scope;
use shared::oauth::scope_meaning::ScopeMeaning;
use shared::store::workspace::Name;
use shared::store::workspace::entity::Entity;
use shared::store::workspace::query::{Condition, Field};
use shared::store::workspace::view::{Definition, View};

use super::arguments::ListArguments;
use super::built_in::{BuiltIn, Effect, handler};
use super::entity_search::{CursorForm, EntityPageEnd, EntitySearch, LimitArgument, PageLimit};
use super::page::{PageEnd, SummaryResult, summaries};
use super::tool_context::ToolContext;
use super::tool_error::ToolError;

pub(super) const TOOLS: [BuiltIn; 2] = [
    BuiltIn {
        name: "list_views",
        scope: Scope::ViewsRead,
        title: "List views",
        description: "Lists the workspace's views: saved queries over its records, and what each shows.",
        effect: Effect::ReadOnly,
        handler: handler!(ListArguments => ViewsPage, list),
    },
    BuiltIn {
        name: "read_view",
        scope: Scope::ViewsRead,
        title: "Read a view",
        description: "Returns a page of the records that a view shows, in its columns, and how it is defined.",
        effect: Effect::ReadOnly,
        handler: handler!(ReadArguments => ViewResult, read),
    },
];

const ROLE: &str = "The rows are left out: the role in this workspace does not allow reading records (entities:read).";
const EARLIER_MEANING: &str = "The rows are left out: when this connection was approved, or this API key made, a permission to read views \
    did not include their rows. Tell the person: connect again, or make a new key.";

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    /// From list_views
    name: String,
    /// nextCursor of the page before, with all else as it was
    cursor: Option<String>,
    limit: Option<LimitArgument>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct ViewsPage {
    views: Vec<SummaryResult>,
    #[serde(flatten)]
    end: PageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct ViewResult {
    name: String,
    title: String,
    description: String,
    definition: DefinitionResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<RowResult>>,
    #[serde(flatten)]
    end: EntityPageEnd,
    /// In place of rows: why there are none
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct DefinitionResult {
    /// The entity type
    #[serde(rename = "type")]
    kind: String,
    /// What holds for each record, as in search_entities
    filter: Vec<Value>,
    /// Their order, as in search_entities
    #[cfg_attr(test, schemars(with = "Vec<Value>"))]
    sort: Value,
    /// The fields that are shown; all if empty
    columns: Vec<Value>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct RowResult {
    id: String,
    version: u32,
    /// The view's columns, those that the record has
    fields: Map<String, Value>,
}

async fn list(arguments: ListArguments, context: &ToolContext<'_>) -> Result<ViewsPage, ToolError> {
    let (views, end) = summaries(context.workspace.views(arguments.after()?.as_ref()).await?);
    Ok(ViewsPage { views, end })
}

async fn read(arguments: ReadArguments, context: &ToolContext<'_>) -> Result<ViewResult, ToolError> {
    let ReadArguments { name, cursor, limit } = arguments;
    let (name, limit) = (Name::parse(&name).ok_or_else(not_found)?, PageLimit::parse(limit)?);
    let View { name, title, description, definition } = context.workspace.view(&name).await?.ok_or_else(not_found)?;
    let (rows, end, withheld) = match authorize_rows(context.access) {
        Ok(()) => {
            let (kind, filter, sort) = (&definition.kind, &definition.filter, &definition.sort);
            let (words, cursor, cursor_form) = (None, cursor.as_deref(), CursorForm::Id);
            let search = EntitySearch { kind, words, filter, sort, cursor, cursor_form, limit };
            let found = search.page(&context.workspace, |entity| row(entity, &definition.columns)).await?;
            let (rows, end) = found.into_parts();
            (Some(rows), end, None)
        }
        Err(withheld) => (None, EntityPageEnd::default(), Some(withheld)),
    };
    let (name, definition) = (name.to_string(), (&definition).into());
    Ok(ViewResult { name, title, description, definition, rows, end, withheld })
}

/// Whether the rows of views may be read, by whoever may read views: what a view shows is what its author saved, but no role shows
/// records that it does not allow. The sentence if not.
fn authorize_rows(access: &Access) -> Result<(), &'static str> {
    if !access.allowed_by_role().contains(Scope::EntitiesRead) {
        return Err(ROLE);
    }
    let is_approved = access.scope_meaning() >= ScopeMeaning::VIEWS_WITH_ROWS;
    if is_approved || access.scopes().contains(Scope::EntitiesRead) { Ok(()) } else { Err(EARLIER_MEANING) }
}

impl From<&Definition> for DefinitionResult {
    fn from(Definition { kind, filter, sort, columns }: &Definition) -> Self {
        Self {
            kind: kind.to_string(),
            filter: filter.iter().map(Condition::to_json).collect(),
            sort: sort.to_json(),
            columns: columns.iter().map(|column| column.as_str().into()).collect(),
        }
    }
}

/// An entity as far as the view shows it.
fn row(entity: &Entity, columns: &[Field]) -> RowResult {
    let fields: Map<_, _> = if columns.is_empty() {
        entity.fields.clone()
    } else {
        let cells = columns.iter().map(|column| (column.to_string(), column.of(entity).into_owned()));
        cells.filter(|(_, value)| !value.is_null()).collect()
    };
    RowResult { id: entity.id.to_string(), version: entity.version, fields }
}

fn not_found() -> ToolError {
    ToolError::failed("not_found", "There is no view of that name. list_views shows which there are.")
}
