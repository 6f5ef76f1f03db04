//! The tools for entities: the tenant's records, each of a type that says which fields it has.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of fields are the descriptions in a schema, which are plain text"
)]

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::oauth::scope::Scope;
use shared::store::workspace::entity::{Entity, EntityUpdate, Fields};
use shared::store::workspace::entity_type::EntityType;
#[cfg(test)]
use shared::store::workspace::query::{CONDITIONS, OPS, ORDERS, TEXT_LIMIT};
use shared::store::workspace::query::{Condition, Field, Sort, Words};
use shared::store::workspace::{Name, Page, ValidationError, WriteError};

use super::arguments::ListArguments;
use super::built_in::{BuiltIn, Effect, handler};
use super::entity_search::{CursorForm, EntityPageEnd, EntitySearch, LimitArgument, PageLimit, SearchPage};
use super::page::{PageEnd, page};
use super::schema::{Formats, SchemaValidationError, validate};
use super::spending::spend_write;
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::DateTime;
use crate::cursor;

pub(super) const TOOLS: [BuiltIn; 7] = [
    BuiltIn {
        name: "list_entity_types",
        scope: Scope::EntitiesRead,
        title: "List entity types",
        description: "Lists the types of the workspace's records (such as invoices) with the JSON Schema of their fields. The other entity \
                      tools need these names.",
        effect: Effect::ReadOnly,
        handler: handler!(ListArguments => EntityTypesPage, list_types),
    },
    BuiltIn {
        name: "list_entities",
        scope: Scope::EntitiesRead,
        title: "List entities",
        description: "Lists all records of a type, by id. To find or sort some, use search_entities.",
        effect: Effect::ReadOnly,
        handler: handler!(ListEntitiesArguments => EntitiesPage, list),
    },
    BuiltIn {
        name: "search_entities",
        scope: Scope::EntitiesRead,
        title: "Search entities",
        description: "Finds records of a type by words, by conditions on fields, or both; all must hold.",
        effect: Effect::ReadOnly,
        handler: handler!(SearchArguments => EntitiesPage, search),
    },
    BuiltIn {
        name: "read_entity",
        scope: Scope::EntitiesRead,
        title: "Read an entity",
        description: "Returns a record with its version, which an update or deletion must name.",
        effect: Effect::ReadOnly,
        handler: handler!(ReadArguments => EntityResult, read),
    },
    BuiltIn {
        name: "create_entity",
        scope: Scope::EntitiesWrite,
        title: "Create an entity",
        description: "Makes a record. An id that is taken is a conflict, and nothing happens.",
        effect: Effect::Additive,
        handler: handler!(CreateArguments => EntityResult, create),
    },
    BuiltIn {
        name: "update_entity",
        scope: Scope::EntitiesWrite,
        title: "Update an entity",
        description: "Changes some fields of a record. If it is no longer at the version that you read, nothing happens.",
        effect: Effect::Destructive,
        handler: handler!(UpdateArguments => EntityResult, update),
    },
    BuiltIn {
        name: "delete_entity",
        scope: Scope::EntitiesWrite,
        title: "Delete an entity",
        description: "Deletes a record for good. If it is no longer at the version that you read, nothing happens.",
        effect: Effect::Destructive,
        handler: handler!(DeleteArguments => DeletionResult, delete),
    },
];

/// From list_entity_types
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct TypeArgument(String);

/// The record's id
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct IdArgument(String);

/// The version that you read
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct VersionArgument(#[cfg_attr(test, schemars(range(min = 1)))] u32);

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct ListEntitiesArguments {
    #[serde(rename = "type")]
    kind: TypeArgument,
    /// nextCursor of the page before, with all else as it was
    cursor: Option<String>,
    limit: Option<LimitArgument>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    #[serde(rename = "type")]
    kind: TypeArgument,
    /// Words that all occur in its texts, numbers or id
    #[cfg_attr(test, schemars(length(max = TEXT_LIMIT)))]
    text: Option<String>,
    /// Conditions that must all hold
    #[cfg_attr(test, schemars(with = "Option<Vec<ConditionArgument>>", length(max = CONDITIONS)))]
    filter: Option<Value>,
    /// By these fields, then by id
    #[cfg_attr(test, schemars(with = "Option<Vec<OrderArgument>>", length(max = ORDERS)))]
    sort: Option<Value>,
    /// nextCursor of the page before, with all else as it was
    cursor: Option<String>,
    limit: Option<LimitArgument>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    #[serde(rename = "type")]
    kind: TypeArgument,
    id: IdArgument,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct CreateArguments {
    #[serde(rename = "type")]
    kind: TypeArgument,
    /// Such as an invoice's number; a new one if left out
    #[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$")))]
    id: Option<String>,
    /// As in the type's schema; at most 32 KiB
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct UpdateArguments {
    #[serde(rename = "type")]
    kind: TypeArgument,
    id: IdArgument,
    version: VersionArgument,
    /// Only what changes, as a JSON Merge Patch (RFC 7396): null removes a field
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct DeleteArguments {
    #[serde(rename = "type")]
    kind: TypeArgument,
    id: IdArgument,
    version: VersionArgument,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct EntityTypesPage {
    types: Vec<EntityTypeResult>,
    #[serde(flatten)]
    end: PageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct EntityTypeResult {
    name: String,
    title: String,
    description: String,
    /// JSON Schema of the fields
    schema: Map<String, Value>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct EntitiesPage {
    entities: Vec<EntityResult>,
    #[serde(flatten)]
    end: EntityPageEnd,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
struct EntityResult {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    /// One more at each change, and never the same again; name it in update_entity and delete_entity
    version: u32,
    fields: Map<String, Value>,
    created: DateTime,
    updated: DateTime,
    /// The id of the person who changed it last; absent where the operator did
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct DeletionResult {
    /// The record as it last was
    deleted: EntityResult,
}

async fn list_types(arguments: ListArguments, context: &ToolContext<'_>) -> Result<EntityTypesPage, ToolError> {
    let Page { items, next } = context.workspace.entity_types(arguments.after()?.as_ref()).await?;
    let row = |EntityType { name, title, description, schema }| EntityTypeResult {
        name: Name::to_string(&name),
        title,
        description,
        schema,
    };
    let (name, encode) = (|declared: &EntityType| declared.name.clone(), |name: Name| cursor::encode_name(&name));
    let (types, end) = page(items, next, name, encode, row);
    Ok(EntityTypesPage { types, end })
}

async fn list(arguments: ListEntitiesArguments, context: &ToolContext<'_>) -> Result<EntitiesPage, ToolError> {
    let ListEntitiesArguments { kind, cursor, limit } = arguments;
    let (kind, sort, cursor) = (kind.parse()?, Sort::default(), cursor.as_deref());
    let (limit, cursor_form) = (PageLimit::parse(limit)?, CursorForm::SortKey);
    let search = EntitySearch { kind: &kind, words: None, filter: &[], sort: &sort, cursor, cursor_form, limit };
    let found = search.page(&context.workspace, EntityResult::of).await?;
    // An empty list is distinguished from a list of an unknown type.
    if found.is_empty() && context.workspace.entity_type(&kind).await?.is_none() {
        return Err(unknown_type());
    }
    Ok(found.into())
}

async fn search(arguments: SearchArguments, context: &ToolContext<'_>) -> Result<EntitiesPage, ToolError> {
    let SearchArguments { kind, text, filter, sort, cursor, limit } = arguments;
    let kind = kind.parse()?;
    let (filter, sort) = (Condition::parse_all(filter.as_ref())?, Sort::parse(sort.as_ref())?);
    let words = text.as_deref().map(Words::parse).transpose()?;
    let (limit, cursor) = (PageLimit::parse(limit)?, cursor.as_deref());
    let declared = context.workspace.entity_type(&kind).await?.ok_or_else(unknown_type)?;
    // A field that cannot be there finds nothing, which would look like an answer.
    let named = filter.iter().map(Condition::field).chain(sort.fields());
    if let Some(field) = named.into_iter().find(|field| !field.fits(&declared.schema)) {
        return Err(unknown_field(field, &declared));
    }
    let cursor_form = CursorForm::SortKey;
    let search = EntitySearch { kind: &kind, words, filter: &filter, sort: &sort, cursor, cursor_form, limit };
    let found = search.page(&context.workspace, EntityResult::of).await?;
    Ok(found.into())
}

async fn read(arguments: ReadArguments, context: &ToolContext<'_>) -> Result<EntityResult, ToolError> {
    let ReadArguments { kind, id } = arguments;
    let (kind, id) = parse_key(&kind, &id)?;
    let entity = context.workspace.entity(&kind, &id).await?.ok_or_else(not_found)?;
    Ok(EntityResult::of(&entity))
}

async fn create(arguments: CreateArguments, context: &ToolContext<'_>) -> Result<EntityResult, ToolError> {
    let CreateArguments { kind, id, fields } = arguments;
    let kind = kind.parse()?;
    let id = id.map_or_else(|| Some(Name::random()), |id| Name::parse(&id)).ok_or_else(|| {
        let message = "The arguments do not fit: an id has 1 to 64 letters (A-Z a-z), digits, _ and -.";
        ToolError::failed("invalid_arguments", message)
    })?;
    let fields = parse_fields(fields)?;
    let declared = context.workspace.entity_type(&kind).await?.ok_or_else(unknown_type)?;
    validate_fields(&declared, fields.as_object())?;
    let (asked, person) = (fields.as_object().clone(), context.access.person());
    spend_write(fields.bytes(), true, context).await?;
    let change = context.workspace.create_entity(&kind, &id, fields, person, context.now).await;
    match change.map_err(write_error)? {
        EntityUpdate::Applied(entity) => Ok(EntityResult::of(&entity)),
        // The client asks again because it did not hear the answer.
        EntityUpdate::Conflict(there)
            if there.created == there.updated && there.updated_by.as_ref() == Some(person) && there.fields == asked =>
        {
            Ok(EntityResult::of(&there))
        }
        EntityUpdate::Conflict(_) | EntityUpdate::NotFound => Err(ToolError::failed(
            "conflict",
            format!(
                "There already is an entity {id} of the type {kind}. Read it with read_entity, or choose another id."
            ),
        )),
    }
}

async fn update(arguments: UpdateArguments, context: &ToolContext<'_>) -> Result<EntityResult, ToolError> {
    let UpdateArguments { kind, id, version: VersionArgument(version), fields } = arguments;
    let (kind, id) = parse_key(&kind, &id)?;
    let (declared, current) =
        tokio::try_join!(context.workspace.entity_type(&kind), context.workspace.entity(&kind, &id))?;
    let (declared, current) = (declared.ok_or_else(unknown_type)?, current.ok_or_else(not_found)?);
    if current.version != version {
        return Err(conflict(&current, version));
    }
    let mut merged = current.fields.clone();
    merge(&mut merged, fields);
    if merged == current.fields {
        return Ok(EntityResult::of(&current));
    }
    let merged = parse_fields(merged)?;
    validate_fields(&declared, merged.as_object())?;
    spend_write(merged.bytes(), false, context).await?;
    let change = context.workspace.update_entity(current, merged, context.access.person(), context.now).await;
    match change.map_err(write_error)? {
        EntityUpdate::Applied(entity) => Ok(EntityResult::of(&entity)),
        EntityUpdate::Conflict(current) => Err(conflict(&current, version)),
        EntityUpdate::NotFound => Err(not_found()),
    }
}

async fn delete(arguments: DeleteArguments, context: &ToolContext<'_>) -> Result<DeletionResult, ToolError> {
    let DeleteArguments { kind, id, version: VersionArgument(version) } = arguments;
    let (kind, id) = parse_key(&kind, &id)?;
    let current = context.workspace.entity(&kind, &id).await?.ok_or_else(not_found)?;
    if current.version != version {
        return Err(conflict(&current, version));
    }
    spend_write(0, false, context).await?;
    match context.workspace.delete_entity(current).await.map_err(write_error)? {
        EntityUpdate::Applied(entity) => Ok(DeletionResult { deleted: EntityResult::of(&entity) }),
        EntityUpdate::Conflict(current) => Err(conflict(&current, version)),
        EntityUpdate::NotFound => Err(not_found()),
    }
}

/// RFC 7396 §2: members of `patch` replace those of `target`, null removes, objects are merged.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(&name)),
            Value::Object(patch) => {
                let mut inner = match target.remove(&name) {
                    Some(Value::Object(inner)) => inner,
                    _ => Map::new(),
                };
                merge(&mut inner, patch);
                target.insert(name, Value::Object(inner));
            }
            value => drop(target.insert(name, value)),
        }
    }
}

/// Bounded before anything looks at every part of it.
fn parse_fields(fields: Map<String, Value>) -> Result<Fields, ToolError> {
    Fields::new(fields).map_err(invalid)
}

fn invalid(unfit: ValidationError) -> ToolError {
    let why = if unfit == ValidationError::Fields { "too_large" } else { "invalid_arguments" };
    ToolError::failed(why, format!("Nothing was written: {unfit}."))
}

/// The error of a write, for the model.
fn write_error(error: WriteError) -> ToolError {
    ToolError::of_write(error, invalid)
}

/// Whether fields are what their type declares, formats such as dates included.
fn validate_fields(declared: &EntityType, fields: &Map<String, Value>) -> Result<(), ToolError> {
    validate(&declared.schema, &Value::Object(fields.clone()), Formats::Asserted).map_err(|why| match why {
        SchemaValidationError::UnusableSchema => {
            ToolError::failed("unusable_schema", "The entity type has a schema that cannot be used.")
        }
        SchemaValidationError::TooLarge => {
            ToolError::failed("too_large", "Nothing was written: the fields are too large for the type's schema.")
        }
        SchemaValidationError::Invalid(mistakes) => ToolError::failed(
            "invalid_arguments",
            format!("Nothing was written: the fields do not fit the type's schema.\n{mistakes}"),
        ),
    })
}

impl TypeArgument {
    fn parse(&self) -> Result<Name, ToolError> {
        Name::parse(&self.0).ok_or_else(unknown_type)
    }
}

/// The key of an entity. What has not the form of one names none.
fn parse_key(TypeArgument(kind): &TypeArgument, IdArgument(id): &IdArgument) -> Result<(Name, Name), ToolError> {
    Ok((Name::parse(kind).ok_or_else(not_found)?, Name::parse(id).ok_or_else(not_found)?))
}

impl EntityResult {
    fn of(entity: &Entity) -> Self {
        let Entity { kind, id, version, fields, created, updated, updated_by } = entity;
        Self {
            kind: kind.to_string(),
            id: id.to_string(),
            version: *version,
            fields: fields.clone(),
            created: (*created).into(),
            updated: (*updated).into(),
            updated_by: updated_by.as_ref().map(ToString::to_string),
        }
    }
}

impl From<SearchPage<EntityResult>> for EntitiesPage {
    fn from(found: SearchPage<EntityResult>) -> Self {
        let (entities, end) = found.into_parts();
        Self { entities, end }
    }
}

// What `filter` of a search holds. `Condition::parse_all` reads it, and says by itself what is wrong where.
#[cfg(test)]
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is the shape of a schema")]
struct ConditionArgument {
    field: FieldArgument,
    /// eq, ne: a missing field equals null. lt, le, gt, ge: numbers, or texts by code point (so dates
    /// too). contains: part of a text, or an item of an array. exists: true or false
    #[schemars(extend("enum" = OPS))]
    op: Value,
    /// For in, an array
    value: Option<Value>,
}

// What `sort` of a search holds. `Sort::parse` reads it.
#[cfg(test)]
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is the shape of a schema")]
struct OrderArgument {
    /// As in filter
    field: FieldArgument,
    #[schemars(extend("enum" = ["asc", "desc"], "default" = "asc"))]
    direction: Option<Value>,
}

/// A field of the type, with dots into objects (customer.city); or $id, $version, $created, $updated, $updatedBy
#[cfg(test)]
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is the shape of a schema")]
struct FieldArgument(String);

fn not_found() -> ToolError {
    ToolError::failed(
        "not_found",
        "There is no entity of that type and id. list_entities and search_entities show which there are.",
    )
}

fn unknown_type() -> ToolError {
    ToolError::failed("not_found", "There is no entity type of that name. list_entity_types shows which there are.")
}

fn unknown_field(field: &Field, declared: &EntityType) -> ToolError {
    let properties = declared.schema.get("properties").and_then(Value::as_object);
    let known: Vec<_> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let kind = &declared.name;
    let message =
        format!("The type {kind} has no field {field:?}. It has: {}.", known.join(", "), field = field.as_str());
    ToolError::failed("invalid_arguments", message)
}

fn conflict(current: &Entity, named: u32) -> ToolError {
    let now = current.version;
    ToolError::failed(
        "conflict",
        format!(
            "Nothing was written: the entity has version {now} now, not {named}. Read it again with read_entity, and make the change \
             from that."
        ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("{value}") };
        map
    }

    /// RFC 7396, appendix A: those whose target and patch are objects.
    #[test]
    fn merge_patch_follows_rfc_7396() {
        for (target, patch, result) in [
            (json!({ "a": "b" }), json!({ "a": "c" }), json!({ "a": "c" })),
            (json!({ "a": "b" }), json!({ "b": "c" }), json!({ "a": "b", "b": "c" })),
            (json!({ "a": "b" }), json!({ "a": null }), json!({})),
            (json!({ "a": "b", "b": "c" }), json!({ "a": null }), json!({ "b": "c" })),
            (json!({ "a": ["b"] }), json!({ "a": "c" }), json!({ "a": "c" })),
            (json!({ "a": "c" }), json!({ "a": ["b"] }), json!({ "a": ["b"] })),
            (json!({ "a": { "b": "c" } }), json!({ "a": { "b": "d", "c": null } }), json!({ "a": { "b": "d" } })),
            (json!({ "a": [{ "b": "c" }] }), json!({ "a": [1] }), json!({ "a": [1] })),
            (json!({ "e": null }), json!({ "a": 1 }), json!({ "e": null, "a": 1 })),
            (json!({}), json!({ "a": { "bb": { "ccc": null } } }), json!({ "a": { "bb": {} } })),
        ] {
            let mut merged = map(target.clone());
            merge(&mut merged, map(patch.clone()));
            assert_eq!(Value::Object(merged), result, "{target} {patch}");
        }
    }

    #[test]
    fn fields_are_validated_by_the_schema_of_their_type() {
        let declared = |schema: Value| EntityType {
            name: Name::parse("invoice").unwrap(),
            title: "Invoice".to_owned(),
            description: "One".to_owned(),
            schema: map(schema),
        };
        let invoice = declared(json!({
            "type": "object",
            "properties": { "number": { "type": "string", "pattern": "^(a+)+$" }, "due": { "type": "string", "format": "date" } },
            "required": ["number"],
            "additionalProperties": false,
        }));
        for (fields, told) in [
            (json!({ "number": "aaa", "due": "2026-11-30" }), None),
            (json!({}), Some("- /: \"number\" is a required property")),
            (json!({ "number": "a", "due": "soon" }), Some("- /due: \"soon\" is not a \"date\"")),
            (json!({ "number": "a", "x": 1 }), Some("- /: Additional properties are not allowed ('x' was unexpected)")),
            // Exponential for an engine that backtracks.
            (json!({ "number": format!("{}b", "a".repeat(100)) }), Some("- /number: ")),
        ] {
            match (validate_fields(&invoice, &map(fields.clone())), told) {
                (Ok(()), None) => {}
                (Err(ToolError::Failed { why: "invalid_arguments", message }), Some(told)) => {
                    assert!(message.contains(told), "{message}");
                }
                (other, _) => panic!("{fields} {other:?}"),
            }
        }
        for schema in [
            json!({ "type": "object", "properties": { "a": { "$ref": "https://example.com/a.json" } } }),
            json!({ "type": 7 }),
        ] {
            let told = validate_fields(&declared(schema), &map(json!({ "a": 1 })));
            assert!(matches!(told, Err(ToolError::Failed { why: "unusable_schema", .. })), "{told:?}");
        }
    }
}
