//! `list_documents`, `search_documents`, `read_document`, `list_document_versions`, `create_document`, `update_document` and
//! `delete_document`.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::oauth::scope::Scope;
use shared::oauth::tenant::PersonId;
use shared::store::workspace::document::{Document, DocumentLookup, DocumentUpdate, Edition, Hit};
use shared::store::workspace::{Name, ValidationError, WriteError};

use super::{
    BuiltIn, Effect, Outcome, Undone, Work, after, cursor_schema, list_input, object, page_output, paged, place, typed,
};
use crate::cursor;

pub(super) const TOOLS: [BuiltIn; 7] = [
    BuiltIn {
        name: "list_documents",
        scope: Scope::DocumentsRead,
        title: "List documents",
        description: "Lists the workspace's documents, without their content, in the order of their ids. To find one on a subject, \
                      use search_documents.",
        effect: Effect::Reads,
        input: list_input,
        output: || page_output("documents", &edition_schema(json!({}))),
        run: |arguments, work| Box::pin(list(arguments, work)),
    },
    BuiltIn {
        name: "search_documents",
        scope: Scope::DocumentsRead,
        title: "Search documents",
        description: "Finds the documents whose title or content has every word of the query, in any case, with an excerpt of \
                      each. One call looks through some of the documents: as long as there is a nextCursor, there are more to \
                      look through, even if a page is empty.",
        effect: Effect::Reads,
        input: search_input,
        output: || {
            let excerpt =
                json!({ "type": "string", "description": "The content around the first word that was found" });
            page_output("documents", &edition_schema(json!({ "excerpt": excerpt })))
        },
        run: |arguments, work| Box::pin(search(arguments, work)),
    },
    BuiltIn {
        name: "read_document",
        scope: Scope::DocumentsRead,
        title: "Read a document",
        description: "Returns a document's content, in Markdown: the current version, or an earlier one that \
                      list_document_versions shows.",
        effect: Effect::Reads,
        input: || {
            let version = json!({ "type": "integer", "minimum": 1, "description": "An earlier version; the current one if left out" });
            input(&json!({ "id": id_schema(), "version": version }), &["id"])
        },
        output: || {
            let content = json!({ "type": "string", "description": "Markdown" });
            let current = json!({ "type": "integer", "description": "Which version is current" });
            edition_schema(json!({ "content": content, "currentVersion": current }))
        },
        run: |arguments, work| Box::pin(read(arguments, work)),
    },
    BuiltIn {
        name: "list_document_versions",
        scope: Scope::DocumentsRead,
        title: "List a document's versions",
        description: "Lists every version of a document, the latest first: when and by whom it was written. read_document reads \
                      any of them.",
        effect: Effect::Reads,
        input: || input(&json!({ "id": id_schema(), "cursor": cursor_schema() }), &["id"]),
        output: || page_output("versions", &edition_schema(json!({}))),
        run: |arguments, work| Box::pin(versions(arguments, work)),
    },
    BuiltIn {
        name: "create_document",
        scope: Scope::DocumentsWrite,
        title: "Create a document",
        description: "Creates a document in the workspace, where everyone who may read documents sees it. Returns its id.",
        effect: Effect::Adds,
        input: || input(&json!({ "title": title_schema(), "content": content_schema() }), &["title", "content"]),
        output: || edition_schema(json!({})),
        run: |arguments, work| Box::pin(create(arguments, work)),
    },
    BuiltIn {
        name: "update_document",
        scope: Scope::DocumentsWrite,
        title: "Update a document",
        description: "Writes a document's next version: a new title, a new content, or both; what is left out stays as it is. Give \
                      the whole content, not only what changes, and the version that you read. If somebody has written a newer \
                      one since, nothing is changed: read the document again and work your change into that.",
        effect: Effect::Replaces,
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
        run: |arguments, work| Box::pin(update(arguments, work)),
    },
    BuiltIn {
        name: "delete_document",
        scope: Scope::DocumentsWrite,
        title: "Delete a document",
        description: "Deletes a document with all its versions. Give the version that you read: if somebody has written a newer one \
                      since, nothing is deleted. Only whoever operates this service can bring it back.",
        effect: Effect::Replaces,
        input: || input(&json!({ "id": id_schema(), "version": version_schema() }), &["id", "version"]),
        output: || {
            let id = json!({ "type": "string" });
            let version = json!({ "type": "integer", "description": "Its last version" });
            json!({ "type": "object", "properties": { "id": id, "version": version }, "required": ["id", "version"] })
        },
        run: |arguments, work| Box::pin(delete(arguments, work)),
    },
];

/// Most bytes of a query.
const QUERY_LIMIT: usize = 256;

async fn list(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let page = work.workspace.documents(after(arguments)?.as_ref()).await?;
    let next = page.next.as_ref().map(cursor::after);
    Ok(paged("documents", page.items.iter().map(|document| shown(document).into()).collect(), next))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    cursor: Option<String>,
}

async fn search(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let Search { query, cursor } = typed(arguments)?;
    if query.trim().is_empty() || query.len() > QUERY_LIMIT {
        return Err(Undone::failed("invalid_arguments", "The query must have a word, and at most 256 bytes."));
    }
    let after = place(cursor.as_deref(), cursor::read)?;
    let page = work.workspace.search_documents(&query, after.as_ref()).await?;
    let hits = page.items.iter().map(|Hit { edition, excerpt }| {
        let mut hit = shown(edition);
        hit.insert("excerpt".to_owned(), excerpt.as_str().into());
        hit.into()
    });
    Ok(paged("documents", hits.collect(), page.next.as_ref().map(cursor::after)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    id: String,
    version: Option<u32>,
}

async fn read(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let Read { id, version } = typed(arguments)?;
    match work.workspace.document(&known(&id)?, version).await? {
        DocumentLookup::Found(Document { edition, content }, current) => {
            let mut document = shown(&edition);
            document.insert("content".to_owned(), content.into());
            document.insert("currentVersion".to_owned(), current.into());
            Ok(Outcome::Structured(document.into()))
        }
        DocumentLookup::VersionNotFound(current) => Err(Undone::failed(
            "not_found",
            format!(
                "The document has no such version. Version {current} is current; list_document_versions shows all."
            ),
        )),
        DocumentLookup::NotFound => Err(unknown()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Versions {
    id: String,
    cursor: Option<String>,
}

async fn versions(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let Versions { id, cursor } = typed(arguments)?;
    let before = place(cursor.as_deref(), cursor::read_version)?;
    let versions = work.workspace.document_versions(&known(&id)?, before).await?;
    let (versions, next) = versions.ok_or_else(unknown)?;
    let next = next.map(cursor::before_version);
    Ok(paged("versions", versions.iter().map(|version| shown(version).into()).collect(), next))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    title: String,
    content: String,
}

async fn create(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let Create { title, content } = typed(arguments)?;
    let made = work.workspace.create_document(&title, &content, work.access.person(), work.now).await;
    Ok(Outcome::Structured(shown(&made.map_err(unkept)?).into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    id: String,
    version: u32,
    title: Option<String>,
    content: Option<String>,
}

async fn update(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let Update { id, version, title, content } = typed(arguments)?;
    if title.is_none() && content.is_none() {
        return Err(Undone::failed("invalid_arguments", "Give a title, a content, or both."));
    }
    let (title, content, by) = (title.as_deref(), content.as_deref(), work.access.person());
    let change = work.workspace.update_document(&known(&id)?, version, title, content, by, work.now).await;
    Ok(Outcome::Structured(shown(&made(change.map_err(unkept)?)?).into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    id: String,
    version: u32,
}

async fn delete(arguments: JsonObject, work: &Work<'_>) -> Result<Outcome, Undone> {
    let Delete { id, version } = typed(arguments)?;
    let change = work.workspace.delete_document(&known(&id)?, version, work.access.person(), work.now).await?;
    let Edition { id, version, .. } = made(change)?;
    Ok(Outcome::Structured(json!({ "id": id.as_str(), "version": version })))
}

fn made(change: DocumentUpdate) -> Result<Edition, Undone> {
    match change {
        DocumentUpdate::Applied(edition) => Ok(edition),
        DocumentUpdate::Conflict(current) => Err(Undone::failed(
            "conflict",
            format!(
                "Nothing was changed: the document is at version {current} now. Read it again, work your change into that version, \
                 and name it."
            ),
        )),
        DocumentUpdate::NotFound => Err(unknown()),
    }
}

fn known(id: &str) -> Result<Name, Undone> {
    Name::parse(id).ok_or_else(unknown)
}

fn unknown() -> Undone {
    Undone::failed(
        "not_found",
        "There is no document of that id. list_documents and search_documents show which there are.",
    )
}

/// What keeps a thing from being kept, as the model is told.
fn unkept(why: WriteError) -> Undone {
    match why {
        WriteError::Validation(unfit) => {
            let why = if matches!(unfit, ValidationError::Content) { "too_large" } else { "invalid_arguments" };
            Undone::failed(why, format!("Nothing was written: {unfit}."))
        }
        WriteError::Upstream(fault) => Undone::Upstream(fault),
    }
}

/// As [`edition_schema`] promises it.
fn shown(edition: &Edition) -> JsonObject {
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
