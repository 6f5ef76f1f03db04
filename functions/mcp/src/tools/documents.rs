//! `list_documents`, `search_documents`, `read_document`, `list_document_versions`, `create_document`, `update_document` and
//! `delete_document`.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::oauth::scope::Scope;
use shared::oauth::tenant::PersonId;
use shared::store::workspace::document::{Document, DocumentLookup, DocumentUpdate, Edition, Hit};
use shared::store::workspace::{Name, ValidationError, WriteError};

use super::arguments::{cursor_argument, cursor_schema, list_input, parse_arguments, parse_cursor};
use super::built_in::{BuiltIn, Effect, object};
use super::page::{page_output, page_result};
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;
use crate::cursor;

pub(super) const TOOLS: [BuiltIn; 7] = [
    BuiltIn {
        name: "list_documents",
        scope: Scope::DocumentsRead,
        title: "List documents",
        description: "Lists the workspace's documents, without their content, in the order of their ids. To find one on a subject, \
                      use search_documents.",
        effect: Effect::ReadOnly,
        input: list_input,
        output: || page_output("documents", &edition_schema(json!({}))),
        run: |arguments, context| Box::pin(list(arguments, context)),
    },
    BuiltIn {
        name: "search_documents",
        scope: Scope::DocumentsRead,
        title: "Search documents",
        description: "Finds the documents whose title or content has every word of the query, in any case, with an excerpt of \
                      each. One call looks through some of the documents: as long as there is a nextCursor, there are more to \
                      look through, even if a page is empty.",
        effect: Effect::ReadOnly,
        input: search_input,
        output: || {
            let excerpt =
                json!({ "type": "string", "description": "The content around the first word that was found" });
            page_output("documents", &edition_schema(json!({ "excerpt": excerpt })))
        },
        run: |arguments, context| Box::pin(search(arguments, context)),
    },
    BuiltIn {
        name: "read_document",
        scope: Scope::DocumentsRead,
        title: "Read a document",
        description: "Returns a document's content, in Markdown: the current version, or an earlier one that \
                      list_document_versions shows.",
        effect: Effect::ReadOnly,
        input: || {
            let version = json!({ "type": "integer", "minimum": 1, "description": "An earlier version; the current one if left out" });
            input(&json!({ "id": id_schema(), "version": version }), &["id"])
        },
        output: || {
            let content = json!({ "type": "string", "description": "Markdown" });
            let current = json!({ "type": "integer", "description": "Which version is current" });
            edition_schema(json!({ "content": content, "currentVersion": current }))
        },
        run: |arguments, context| Box::pin(read(arguments, context)),
    },
    BuiltIn {
        name: "list_document_versions",
        scope: Scope::DocumentsRead,
        title: "List a document's versions",
        description: "Lists every version of a document, the latest first: when and by whom it was written. read_document reads \
                      any of them.",
        effect: Effect::ReadOnly,
        input: || input(&json!({ "id": id_schema(), "cursor": cursor_schema() }), &["id"]),
        output: || page_output("versions", &edition_schema(json!({}))),
        run: |arguments, context| Box::pin(versions(arguments, context)),
    },
    BuiltIn {
        name: "create_document",
        scope: Scope::DocumentsWrite,
        title: "Create a document",
        description: "Creates a document in the workspace, where everyone who may read documents sees it. Returns its id.",
        effect: Effect::Additive,
        input: || input(&json!({ "title": title_schema(), "content": content_schema() }), &["title", "content"]),
        output: || edition_schema(json!({})),
        run: |arguments, context| Box::pin(create(arguments, context)),
    },
    BuiltIn {
        name: "update_document",
        scope: Scope::DocumentsWrite,
        title: "Update a document",
        description: "Writes a document's next version: a new title, a new content, or both; what is left out stays as it is. Give \
                      the whole content, not only what changes, and the version that you read. If somebody has written a newer \
                      one since, nothing is changed: read the document again and work your change into that.",
        effect: Effect::Destructive,
        input: || {
            let properties = json!({
                "id": id_schema(),
                "version": version_schema(),
                "title": title_schema(),
                "content": content_schema(),
            });
            input(&properties, &["id", "version"])
        },
        output: || edition_schema(json!({})),
        run: |arguments, context| Box::pin(update(arguments, context)),
    },
    BuiltIn {
        name: "delete_document",
        scope: Scope::DocumentsWrite,
        title: "Delete a document",
        description: "Deletes a document with all its versions. Give the version that you read: if somebody has written a newer one \
                      since, nothing is deleted. Only whoever operates this service can bring it back.",
        effect: Effect::Destructive,
        input: || input(&json!({ "id": id_schema(), "version": version_schema() }), &["id", "version"]),
        output: || {
            let id = json!({ "type": "string" });
            let version = json!({ "type": "integer", "description": "Its last version" });
            json!({ "type": "object", "properties": { "id": id, "version": version }, "required": ["id", "version"] })
        },
        run: |arguments, context| Box::pin(delete(arguments, context)),
    },
];

/// Most bytes of a query.
const QUERY_LIMIT: usize = 256;

async fn list(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let page = context.workspace.documents(cursor_argument(arguments)?.as_ref()).await?;
    let next = page.next.as_ref().map(cursor::encode_name);
    Ok(page_result("documents", page.items.iter().map(|document| to_json(document).into()).collect(), next))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    query: String,
    cursor: Option<String>,
}

async fn search(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let SearchArguments { query, cursor } = parse_arguments(arguments)?;
    if query.trim().is_empty() || query.len() > QUERY_LIMIT {
        return Err(ToolError::failed("invalid_arguments", "The query must have a word, and at most 256 bytes."));
    }
    let after = parse_cursor(cursor.as_deref(), cursor::decode_name)?;
    let page = context.workspace.search_documents(&query, after.as_ref()).await?;
    let hits = page.items.iter().map(|Hit { edition, excerpt }| {
        let mut hit = to_json(edition);
        hit.insert("excerpt".to_owned(), excerpt.as_str().into());
        hit.into()
    });
    Ok(page_result("documents", hits.collect(), page.next.as_ref().map(cursor::encode_name)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    id: String,
    version: Option<u32>,
}

async fn read(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let ReadArguments { id, version } = parse_arguments(arguments)?;
    match context.workspace.document(&parse_id(&id)?, version).await? {
        DocumentLookup::Found(Document { edition, content }, current) => {
            let mut document = to_json(&edition);
            document.insert("content".to_owned(), content.into());
            document.insert("currentVersion".to_owned(), current.into());
            Ok(ToolResult::Structured(document.into()))
        }
        DocumentLookup::VersionNotFound(current) => Err(ToolError::failed(
            "not_found",
            format!(
                "The document has no such version. Version {current} is current; list_document_versions shows all."
            ),
        )),
        DocumentLookup::NotFound => Err(not_found()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListVersionsArguments {
    id: String,
    cursor: Option<String>,
}

async fn versions(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let ListVersionsArguments { id, cursor } = parse_arguments(arguments)?;
    let before = parse_cursor(cursor.as_deref(), cursor::decode_version)?;
    let versions = context.workspace.document_versions(&parse_id(&id)?, before).await?;
    let (versions, next) = versions.ok_or_else(not_found)?;
    let next = next.map(cursor::encode_version);
    Ok(page_result("versions", versions.iter().map(|version| to_json(version).into()).collect(), next))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateArguments {
    title: String,
    content: String,
}

async fn create(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let CreateArguments { title, content } = parse_arguments(arguments)?;
    let made = context.workspace.create_document(&title, &content, context.access.person(), context.now).await;
    Ok(ToolResult::Structured(to_json(&made.map_err(write_error)?).into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateArguments {
    id: String,
    version: u32,
    title: Option<String>,
    content: Option<String>,
}

async fn update(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let UpdateArguments { id, version, title, content } = parse_arguments(arguments)?;
    if title.is_none() && content.is_none() {
        return Err(ToolError::failed("invalid_arguments", "Give a title, a content, or both."));
    }
    let (title, text, by) = (title.as_deref(), content.as_deref(), context.access.person());
    let change = context.workspace.update_document(&parse_id(&id)?, version, title, text, by, context.now).await;
    Ok(ToolResult::Structured(to_json(&written(change.map_err(write_error)?)?).into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteArguments {
    id: String,
    version: u32,
}

async fn delete(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let DeleteArguments { id, version } = parse_arguments(arguments)?;
    let change =
        context.workspace.delete_document(&parse_id(&id)?, version, context.access.person(), context.now).await?;
    let Edition { id, version, .. } = written(change)?;
    Ok(ToolResult::Structured(json!({ "id": id.as_str(), "version": version })))
}

fn written(change: DocumentUpdate) -> Result<Edition, ToolError> {
    match change {
        DocumentUpdate::Applied(edition) => Ok(edition),
        DocumentUpdate::Conflict(current) => Err(ToolError::failed(
            "conflict",
            format!(
                "Nothing was changed: the document is at version {current} now. Read it again, work your change into that version, \
                 and name it."
            ),
        )),
        DocumentUpdate::NotFound => Err(not_found()),
    }
}

fn parse_id(id: &str) -> Result<Name, ToolError> {
    Name::parse(id).ok_or_else(not_found)
}

fn not_found() -> ToolError {
    ToolError::failed(
        "not_found",
        "There is no document of that id. list_documents and search_documents show which there are.",
    )
}

/// The error of a write, for the model.
fn write_error(why: WriteError) -> ToolError {
    match why {
        WriteError::Validation(unfit) => {
            let why = if matches!(unfit, ValidationError::Content) { "too_large" } else { "invalid_arguments" };
            ToolError::failed(why, format!("Nothing was written: {unfit}."))
        }
        WriteError::Upstream(fault) => ToolError::Upstream(fault),
    }
}

/// As [`edition_schema`] promises it.
fn to_json(edition: &Edition) -> JsonObject {
    let Edition { id, title, version, size, written, writer } = edition;
    let mut shown = JsonObject::new();
    shown.insert("id".to_owned(), id.as_str().into());
    shown.insert("title".to_owned(), title.as_str().into());
    shown.insert("version".to_owned(), (*version).into());
    shown.insert("size".to_owned(), (*size).into());
    shown.insert("updated".to_owned(), written.to_rfc3339().into());
    shown.extend(writer.as_ref().map(PersonId::as_str).map(|person| ("updatedBy".to_owned(), person.into())));
    shown
}

fn search_input() -> Value {
    let query = json!({
        "type": "string",
        "minLength": 1,
        "maxLength": QUERY_LIMIT,
        "description": "Words, separated by spaces",
    });
    input(&json!({ "query": query, "cursor": cursor_schema() }), &["query"])
}

fn input(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A version of a document without its content, and whatever `more` says, all of it required.
fn edition_schema(more: Value) -> Value {
    let mut properties = object(json!({
        "id": { "type": "string" },
        "title": { "type": "string" },
        "version": { "type": "integer" },
        "size": { "type": "integer", "description": "Bytes of the content" },
        "updated": { "type": "string", "format": "date-time" },
    }));
    properties.extend(object(more));
    let required: Vec<_> = properties.keys().cloned().collect();
    let writer = json!({ "type": "string", "description": "The person who wrote it; absent if an operator did" });
    properties.insert("updatedBy".to_owned(), writer);
    json!({ "type": "object", "properties": properties, "required": required })
}

fn id_schema() -> Value {
    json!({ "type": "string", "description": "The document's id, as list_documents and search_documents show it" })
}

fn version_schema() -> Value {
    json!({ "type": "integer", "minimum": 1, "description": "The version that you read" })
}

fn title_schema() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 120, "description": "For people" })
}

fn content_schema() -> Value {
    json!({ "type": "string", "description": "The whole content, in Markdown; at most 256 KiB" })
}
