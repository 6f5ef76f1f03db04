//! `list_documents`, `search_documents`, `read_document`, `list_document_versions`, `create_document`, `update_document` and
//! `delete_document`.

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::oauth::scope::Scope;
#[cfg(test)]
use shared::store::workspace::TITLE_LIMIT;
use shared::store::workspace::document::{
    BaseLookup, Document, DocumentLookup, DocumentUpdate, Edition, Hit, KEPT, content_size,
};
use shared::store::workspace::{Name, Page, ValidationError, WriteError};

use super::arguments::{ListArguments, parse_cursor, unknown_cursor};
use super::built_in::{BuiltIn, Effect, handler};
use super::page::{PageEnd, page};
use super::page_size::content_part;
use super::spending::spend_write;
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::DateTime;
use crate::cursor;

pub(super) const TOOLS: [BuiltIn; 7] = [
    BuiltIn {
        name: "list_documents",
        scope: Scope::DocumentsRead,
        title: "List documents",
        description: "Lists the documents by id, without their content. To find one, use search_documents.",
        effect: Effect::ReadOnly,
        handler: handler!(ListArguments => DocumentsPage, list),
    },
    BuiltIn {
        name: "search_documents",
        scope: Scope::DocumentsRead,
        title: "Search documents",
        description: "Finds documents whose title or content has every word, with an excerpt of each. While there is a nextCursor, there is more to \
                      search, even after an empty page.",
        effect: Effect::ReadOnly,
        handler: handler!(SearchArguments => HitsPage, search),
    },
    BuiltIn {
        name: "read_document",
        scope: Scope::DocumentsRead,
        title: "Read a document",
        description: "Returns a document's content, in Markdown. A long one comes in parts: call again with nextCursor.",
        effect: Effect::ReadOnly,
        handler: handler!(ReadArguments => DocumentResult, read),
    },
    BuiltIn {
        name: "list_document_versions",
        scope: Scope::DocumentsRead,
        title: "List a document's versions",
        description: "Lists the last versions of a document, the latest first: when and by whom each was written.",
        effect: Effect::ReadOnly,
        handler: handler!(ListVersionsArguments => VersionsPage, versions),
    },
    BuiltIn {
        name: "create_document",
        scope: Scope::DocumentsWrite,
        title: "Create a document",
        description: "Creates a document, which everyone who may read documents sees. Returns its id.",
        effect: Effect::Additive,
        handler: handler!(CreateArguments => EditionResult, create),
    },
    BuiltIn {
        name: "update_document",
        scope: Scope::DocumentsWrite,
        title: "Update a document",
        description: "Writes a document's next version: a new title, a new content (all of it), or both. If it is no longer at the version that you \
                      read, nothing happens: read it again and work your change into that.",
        effect: Effect::Destructive,
        handler: handler!(UpdateArguments => EditionResult, update),
    },
    BuiltIn {
        name: "delete_document",
        scope: Scope::DocumentsWrite,
        title: "Delete a document",
        description: "Deletes a document with all its versions. If it is no longer at the version that you read, nothing happens.",
        effect: Effect::Destructive,
        handler: handler!(DeleteArguments => DeletionResult, delete),
    },
];

/// Most bytes of a query.
const QUERY_LIMIT: usize = 256;

/// The document's id
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct IdArgument(String);

/// The version that you read
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct VersionArgument(#[cfg_attr(test, schemars(range(min = 1)))] u32);

/// For people
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct TitleArgument(#[cfg_attr(test, schemars(length(min = 1, max = TITLE_LIMIT)))] String);

/// All of it, in Markdown; at most 256 KiB
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct ContentArgument(String);

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    /// Words, separated by spaces
    #[cfg_attr(test, schemars(length(min = 1, max = QUERY_LIMIT)))]
    query: String,
    /// nextCursor of the page before
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    id: IdArgument,
    /// If not the current one
    #[cfg_attr(test, schemars(range(min = 1)))]
    version: Option<u32>,
    /// nextCursor of the part before
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct ListVersionsArguments {
    id: IdArgument,
    /// nextCursor of the page before
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct CreateArguments {
    title: TitleArgument,
    content: ContentArgument,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct UpdateArguments {
    id: IdArgument,
    version: VersionArgument,
    title: Option<TitleArgument>,
    content: Option<ContentArgument>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct DeleteArguments {
    id: IdArgument,
    version: VersionArgument,
}

// A version of a document without its content: no doc comment, as its schema has no description.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
struct EditionResult {
    id: String,
    /// Bytes of the content
    size: u32,
    title: String,
    updated: DateTime,
    version: u32,
    /// The person who wrote it; absent if an operator did
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct HitResult {
    /// The content around the first word that was found
    excerpt: String,
    #[serde(flatten)]
    edition: EditionResult,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
struct DocumentResult {
    /// Markdown
    content: String,
    /// Which version is current
    current_version: u32,
    #[serde(flatten)]
    edition: EditionResult,
    #[serde(flatten)]
    end: PageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct DeletionResult {
    id: String,
    /// Its last version
    version: u32,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct DocumentsPage {
    documents: Vec<EditionResult>,
    #[serde(flatten)]
    end: PageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct HitsPage {
    documents: Vec<HitResult>,
    #[serde(flatten)]
    end: PageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct VersionsPage {
    versions: Vec<EditionResult>,
    #[serde(flatten)]
    end: PageEnd,
}

async fn list(arguments: ListArguments, context: &ToolContext<'_>) -> Result<DocumentsPage, ToolError> {
    let Page { items, next } = context.workspace.documents(arguments.after()?.as_ref()).await?;
    let (id, encode) = (|edition: &Edition| edition.id.clone(), |id: Name| cursor::encode_name(&id));
    let (documents, end) = page(items, next, id, encode, EditionResult::from);
    Ok(DocumentsPage { documents, end })
}

async fn search(arguments: SearchArguments, context: &ToolContext<'_>) -> Result<HitsPage, ToolError> {
    let SearchArguments { query, cursor } = arguments;
    if query.trim().is_empty() || query.len() > QUERY_LIMIT {
        return Err(ToolError::failed("invalid_arguments", "The query must have a word, and at most 256 bytes."));
    }
    let after = parse_cursor(cursor.as_deref(), cursor::decode_name)?;
    let Page { items, next } = context.workspace.search_documents(&query, after.as_ref()).await?;
    let hit = |Hit { edition, excerpt }| HitResult { excerpt, edition: edition.into() };
    let (id, encode) = (|hit: &Hit| hit.edition.id.clone(), |id: Name| cursor::encode_name(&id));
    let (documents, end) = page(items, next, id, encode, hit);
    Ok(HitsPage { documents, end })
}

async fn read(arguments: ReadArguments, context: &ToolContext<'_>) -> Result<DocumentResult, ToolError> {
    let ReadArguments { id, version, cursor } = arguments;
    // A cursor names the version whose part it continues: what was written since does not mix with it.
    let of_version = |(read, from)| version.is_none_or(|version| version == read).then_some((Some(read), from));
    let parsed = parse_cursor(cursor.as_deref(), |cursor| of_version(cursor::decode_part(cursor)?))?;
    let (version, from) = parsed.unwrap_or((version, 0));
    match context.workspace.document(&id.parse()?, version).await? {
        DocumentLookup::Found(Document { edition, content }, current_version) => {
            let (part, next) = content_part(&content, from).ok_or_else(unknown_cursor)?;
            let end = PageEnd::of_content(next.map(|next| cursor::encode_part(edition.version, next)));
            Ok(DocumentResult { content: part.to_owned(), current_version, edition: edition.into(), end })
        }
        DocumentLookup::VersionNotFound(current) => Err(ToolError::failed(
            "not_found",
            format!(
                "The document has no such version, or no longer: the last {KEPT} are kept. Version {current} is current; \
                 list_document_versions shows all."
            ),
        )),
        DocumentLookup::NotFound => Err(not_found()),
    }
}

async fn versions(arguments: ListVersionsArguments, context: &ToolContext<'_>) -> Result<VersionsPage, ToolError> {
    let ListVersionsArguments { id, cursor } = arguments;
    let before = parse_cursor(cursor.as_deref(), cursor::decode_version)?;
    let versions = context.workspace.document_versions(&id.parse()?, before).await?;
    let (versions, next) = versions.ok_or_else(not_found)?;
    let (versions, end) =
        page(versions, next, |edition: &Edition| edition.version, cursor::encode_version, EditionResult::from);
    Ok(VersionsPage { versions, end })
}

async fn create(arguments: CreateArguments, context: &ToolContext<'_>) -> Result<EditionResult, ToolError> {
    let CreateArguments { title: TitleArgument(title), content: ContentArgument(text) } = arguments;
    content_size(&title, &text).map_err(|unfit| write_error(unfit.into()))?;
    spend_write(title.len() + text.len(), true, context).await?;
    let made = context.workspace.create_document(&title, &text, context.access.person(), context.now).await;
    Ok(made.map_err(write_error)?.into())
}

async fn update(arguments: UpdateArguments, context: &ToolContext<'_>) -> Result<EditionResult, ToolError> {
    let UpdateArguments { id, version: VersionArgument(version), title, content } = arguments;
    if title.is_none() && content.is_none() {
        return Err(ToolError::failed("invalid_arguments", "Give a title, a content, or both."));
    }
    let id = id.parse()?;
    let base = match context.workspace.document_base(&id, version, content.is_none()).await? {
        BaseLookup::Found(base) => base,
        BaseLookup::Conflict(current) => return Err(conflict(current)),
        BaseLookup::NotFound => return Err(not_found()),
    };
    let title = title.map_or_else(|| base.title().to_owned(), |TitleArgument(title)| title);
    let before = || base.content().unwrap_or_default().to_owned();
    let text = content.map_or_else(before, |ContentArgument(text)| text);
    content_size(&title, &text).map_err(|unfit| write_error(unfit.into()))?;
    spend_write(title.len() + text.len(), false, context).await?;
    let change = context.workspace.update_document(base, &title, &text, context.access.person(), context.now).await;
    Ok(written(change.map_err(write_error)?)?.into())
}

async fn delete(arguments: DeleteArguments, context: &ToolContext<'_>) -> Result<DeletionResult, ToolError> {
    let DeleteArguments { id, version: VersionArgument(version) } = arguments;
    let id = id.parse()?;
    spend_write(0, false, context).await?;
    let change = context.workspace.delete_document(&id, version, context.access.person(), context.now).await;
    let Edition { id, version, .. } = written(change.map_err(write_error)?)?;
    Ok(DeletionResult { id: id.to_string(), version })
}

impl IdArgument {
    fn parse(&self) -> Result<Name, ToolError> {
        Name::parse(&self.0).ok_or_else(not_found)
    }
}

impl From<Edition> for EditionResult {
    fn from(Edition { id, title, version, size, written, writer }: Edition) -> Self {
        let updated_by = writer.map(|person| person.to_string());
        Self { id: id.to_string(), size, title, updated: written.into(), version, updated_by }
    }
}

fn written(change: DocumentUpdate) -> Result<Edition, ToolError> {
    match change {
        DocumentUpdate::Applied(edition) => Ok(edition),
        DocumentUpdate::Conflict(current) => Err(conflict(current)),
        DocumentUpdate::NotFound => Err(not_found()),
    }
}

fn conflict(current: u32) -> ToolError {
    ToolError::failed(
        "conflict",
        format!(
            "Nothing was changed: the document is at version {current} now. Read it again, work your change into that version, \
             and name it."
        ),
    )
}

fn not_found() -> ToolError {
    ToolError::failed(
        "not_found",
        "There is no document of that id. list_documents and search_documents show which there are.",
    )
}

/// The error of a write, for the model.
fn write_error(error: WriteError) -> ToolError {
    ToolError::of_write(error, |unfit| {
        let why = if matches!(unfit, ValidationError::Content) { "too_large" } else { "invalid_arguments" };
        ToolError::failed(why, format!("Nothing was written: {unfit}."))
    })
}
