//! The tools for entities: the tenant's records, each of a type that says which fields it has.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::oauth::scope::Scope;
use shared::store::workspace::entity::{Entity, EntityUpdate, Fields};
use shared::store::workspace::entity_type::EntityType;
use shared::store::workspace::query::{CONDITIONS, Condition, Field, OPS, ORDERS, Sort, TEXT_LIMIT, Words};
use shared::store::workspace::{Name, ValidationError};

use super::arguments::{cursor_argument, list_input, parse_arguments};
use super::built_in::{BuiltIn, Effect};
use super::entity_search::{EntitySearch, PageLimit, page_input_members, page_output_members};
use super::schema::{Formats, SchemaValidationError, validate};
use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;
use crate::cursor;

pub(super) const TOOLS: [BuiltIn; 7] = [
    BuiltIn {
        name: "list_entity_types",
        scope: Scope::EntitiesRead,
        title: "List entity types",
        description: "Lists what the workspace keeps records of (invoices, customers, …), with the JSON Schema of each type's fields. \
                      Look here first: every other entity tool needs a type's name, and its field names.",
        effect: Effect::ReadOnly,
        input: list_input,
        output: types_output,
        run: |arguments, context| Box::pin(list_types(arguments, context)),
    },
    BuiltIn {
        name: "list_entities",
        scope: Scope::EntitiesRead,
        title: "List entities",
        description: "Lists all records of a type, in the order of their ids. To find some of them, or to sort them, use \
                      search_entities.",
        effect: Effect::ReadOnly,
        input: list_entities_input,
        output: list_output,
        run: |arguments, context| Box::pin(list(arguments, context)),
    },
    BuiltIn {
        name: "search_entities",
        scope: Scope::EntitiesRead,
        title: "Search entities",
        description: "Finds records of a type by words, by conditions on their fields, or both; all must hold. By id unless sorted.",
        effect: Effect::ReadOnly,
        input: search_input,
        output: list_output,
        run: |arguments, context| Box::pin(search(arguments, context)),
    },
    BuiltIn {
        name: "read_entity",
        scope: Scope::EntitiesRead,
        title: "Read an entity",
        description: "Returns one record, as it is now, with the version that an update or delete must name.",
        effect: Effect::ReadOnly,
        input: read_input,
        output: entity_output,
        run: |arguments, context| Box::pin(read(arguments, context)),
    },
    BuiltIn {
        name: "create_entity",
        scope: Scope::EntitiesWrite,
        title: "Create an entity",
        description: "Makes a record. Its fields must fit the type's schema. Without an id it gets a new one. With an id that is \
                      taken, nothing happens: that is a conflict, unless the record is what you have just made with the same fields, \
                      which is then returned.",
        effect: Effect::Additive,
        input: create_input,
        output: entity_output,
        run: |arguments, context| Box::pin(create(arguments, context)),
    },
    BuiltIn {
        name: "update_entity",
        scope: Scope::EntitiesWrite,
        title: "Update an entity",
        description: "Changes some fields of a record, and leaves the others. Name the version that you read: if the record has \
                      changed since, nothing happens, and you are told the current version.",
        effect: Effect::Destructive,
        input: update_input,
        output: entity_output,
        run: |arguments, context| Box::pin(update(arguments, context)),
    },
    BuiltIn {
        name: "delete_entity",
        scope: Scope::EntitiesWrite,
        title: "Delete an entity",
        description: "Deletes a record for good. Name the version that you read: if the record has changed since, nothing happens, \
                      and you are told the current version.",
        effect: Effect::Destructive,
        input: delete_input,
        output: delete_output,
        run: |arguments, context| Box::pin(delete(arguments, context)),
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArguments {
    #[serde(rename = "type")]
    kind: String,
    cursor: Option<String>,
    limit: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    filter: Option<Value>,
    sort: Option<Value>,
    cursor: Option<String>,
    limit: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateArguments {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateArguments {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    version: u32,
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteArguments {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    version: u32,
}

async fn list_types(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let page = context.workspace.entity_types(cursor_argument(arguments)?.as_ref()).await?;
    let types = page.items.into_iter().map(|declared| {
        let EntityType { name, title, description, schema } = declared;
        json!({ "name": name.as_str(), "title": title, "description": description, "schema": schema })
    });
    let mut result = JsonObject::new();
    result.insert("types".to_owned(), types.collect());
    result.extend(page.next.as_ref().map(|next| ("nextCursor".to_owned(), cursor::encode_name(next).into())));
    Ok(ToolResult::Structured(result.into()))
}

async fn list(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let ListArguments { kind, cursor, limit } = parse_arguments(arguments)?;
    let (kind, sort, cursor) = (Name::parse(&kind).ok_or_else(unknown_type)?, Sort::default(), cursor.as_deref());
    let search =
        EntitySearch { kind: &kind, words: None, filter: &[], sort: &sort, cursor, limit: PageLimit::parse(limit)? };
    let found = search.page(&context.workspace, to_json).await?;
    // An empty list is distinguished from a list of an unknown type.
    if found.is_empty() && context.workspace.entity_type(&kind).await?.is_none() {
        return Err(unknown_type());
    }
    Ok(ToolResult::Structured(found.into_members("entities").into()))
}

async fn search(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let SearchArguments { kind, text, filter, sort, cursor, limit } = parse_arguments(arguments)?;
    let kind = Name::parse(&kind).ok_or_else(unknown_type)?;
    let (filter, sort) = (Condition::parse_all(filter.as_ref())?, Sort::parse(sort.as_ref())?);
    let words = text.as_deref().map(Words::parse).transpose()?;
    let (limit, cursor) = (PageLimit::parse(limit)?, cursor.as_deref());
    let declared = context.workspace.entity_type(&kind).await?.ok_or_else(unknown_type)?;
    // A field that cannot be there finds nothing, which would look like an answer.
    let named = filter.iter().map(Condition::field).chain(sort.fields());
    if let Some(field) = named.into_iter().find(|field| !field.fits(&declared.schema)) {
        return Err(unknown_field(field, &declared));
    }
    let search = EntitySearch { kind: &kind, words, filter: &filter, sort: &sort, cursor, limit };
    let found = search.page(&context.workspace, to_json).await?;
    Ok(ToolResult::Structured(found.into_members("entities").into()))
}

async fn read(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let ReadArguments { kind, id } = parse_arguments(arguments)?;
    let (kind, id) = parse_key(&kind, &id)?;
    let entity = context.workspace.entity(&kind, &id).await?.ok_or_else(not_found)?;
    Ok(ToolResult::Structured(to_json(&entity)))
}

async fn create(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let CreateArguments { kind, id, fields } = parse_arguments(arguments)?;
    let kind = Name::parse(&kind).ok_or_else(unknown_type)?;
    let id = id.map_or_else(|| Some(Name::random()), |id| Name::parse(&id)).ok_or_else(|| {
        let message = "The arguments do not fit: an id has 1 to 64 letters (A-Z a-z), digits, _ and -.";
        ToolError::failed("invalid_arguments", message)
    })?;
    let fields = parse_fields(fields)?;
    let declared = context.workspace.entity_type(&kind).await?.ok_or_else(unknown_type)?;
    validate_fields(&declared, fields.as_object())?;
    let (asked, person) = (fields.as_object().clone(), context.access.person());
    match context.workspace.create_entity(&kind, &id, fields, person, context.now).await? {
        EntityUpdate::Applied(entity) => Ok(ToolResult::Structured(to_json(&entity))),
        // The client asks again because it did not hear the answer.
        EntityUpdate::Conflict(there)
            if there.version == 1 && there.updated_by.as_ref() == Some(person) && there.fields == asked =>
        {
            Ok(ToolResult::Structured(to_json(&there)))
        }
        EntityUpdate::Conflict(_) | EntityUpdate::NotFound => Err(ToolError::failed(
            "conflict",
            format!(
                "There already is an entity {id} of the type {kind}. Read it with read_entity, or choose another id."
            ),
        )),
    }
}

async fn update(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let UpdateArguments { kind, id, version, fields } = parse_arguments(arguments)?;
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
        return Ok(ToolResult::Structured(to_json(&current)));
    }
    let merged = parse_fields(merged)?;
    validate_fields(&declared, merged.as_object())?;
    match context.workspace.update_entity(current, merged, context.access.person(), context.now).await? {
        EntityUpdate::Applied(entity) => Ok(ToolResult::Structured(to_json(&entity))),
        EntityUpdate::Conflict(current) => Err(conflict(&current, version)),
        EntityUpdate::NotFound => Err(not_found()),
    }
}

async fn delete(arguments: JsonObject, context: &ToolContext<'_>) -> Result<ToolResult, ToolError> {
    let DeleteArguments { kind, id, version } = parse_arguments(arguments)?;
    let (kind, id) = parse_key(&kind, &id)?;
    let current = context.workspace.entity(&kind, &id).await?.ok_or_else(not_found)?;
    if current.version != version {
        return Err(conflict(&current, version));
    }
    match context.workspace.delete_entity(current).await? {
        EntityUpdate::Applied(entity) => Ok(ToolResult::Structured(json!({ "deleted": to_json(&entity) }))),
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
    Fields::new(fields).map_err(|unfit| {
        let why = if unfit == ValidationError::Fields { "too_large" } else { "invalid_arguments" };
        ToolError::failed(why, format!("Nothing was written: {unfit}."))
    })
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

fn parse_key(kind: &str, id: &str) -> Result<(Name, Name), ToolError> {
    Ok((Name::parse(kind).ok_or_else(not_found)?, Name::parse(id).ok_or_else(not_found)?))
}

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

/// An entity as [`entity_output`] promises it.
fn to_json(entity: &Entity) -> Value {
    let Entity { kind, id, version, fields, created, updated, updated_by } = entity;
    let mut shown = json!({
        "type": kind.as_str(),
        "id": id.as_str(),
        "version": version,
        "fields": fields,
        "created": created.to_rfc3339(),
        "updated": updated.to_rfc3339(),
    });
    if let (Some(person), Some(shown)) = (updated_by, shown.as_object_mut()) {
        shown.insert("updatedBy".to_owned(), person.as_str().into());
    }
    shown
}

fn kind_input() -> Value {
    json!({ "type": "string", "description": "The name of the entity type, as list_entity_types shows it" })
}

fn id_input() -> Value {
    json!({ "type": "string", "description": "The entity's id" })
}

fn version_input() -> Value {
    json!({ "type": "integer", "minimum": 1, "description": "The version that you read" })
}

fn list_entities_input() -> Value {
    let mut properties = page_input_members();
    properties.insert("type".to_owned(), kind_input());
    json!({ "type": "object", "properties": properties, "required": ["type"], "additionalProperties": false })
}

fn search_input() -> Value {
    let field = json!({
        "type": "string",
        "description": "A field of the type, with dots into objects (customer.city); or $id, $version, $created, $updated, $updatedBy \
                        of the record itself",
    });
    let mut properties = page_input_members();
    let own = json!({
        "type": kind_input(),
        "text": {
            "type": "string", "maxLength": TEXT_LIMIT,
            "description": "Words that must all occur somewhere in the record's texts, numbers or id, in any case",
        },
        "filter": {
            "type": "array",
            "maxItems": CONDITIONS,
            "description": "Conditions that must all hold",
            "items": {
                "type": "object",
                "properties": {
                    "field": field,
                    "op": {
                        "enum": OPS,
                        "description": "eq, ne: a missing field equals null. lt, le, gt, ge: numbers by value, texts by code point, so \
                                        dates like 2026-11-30 compare as dates. in: one of a list. contains: part of a text in any \
                                        case, or an item of an array. exists: true or false",
                    },
                    "value": { "description": "A text, number, boolean or null; for in, an array of these; not needed for exists" },
                },
                "required": ["field", "op"],
                "additionalProperties": false,
            },
        },
        "sort": {
            "type": "array",
            "maxItems": ORDERS,
            "description": "By these fields in turn, then by id. Records without a field come last in either direction",
            "items": {
                "type": "object",
                "properties": { "field": field, "direction": { "enum": ["asc", "desc"], "default": "asc" } },
                "required": ["field"],
                "additionalProperties": false,
            },
        },
    });
    properties.extend(own.as_object().into_iter().flatten().map(|(name, schema)| (name.clone(), schema.clone())));
    json!({ "type": "object", "properties": properties, "required": ["type"], "additionalProperties": false })
}

fn read_input() -> Value {
    json!({
        "type": "object",
        "properties": { "type": kind_input(), "id": id_input() },
        "required": ["type", "id"],
        "additionalProperties": false,
    })
}

fn create_input() -> Value {
    json!({
        "type": "object",
        "properties": {
            "type": kind_input(),
            "id": {
                "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$",
                "description": "An id of your choice, such as the invoice's number; leave it out for a new one",
            },
            "fields": { "type": "object", "description": "What the type's schema describes; at most 32,768 bytes as JSON" },
        },
        "required": ["type", "fields"],
        "additionalProperties": false,
    })
}

fn update_input() -> Value {
    json!({
        "type": "object",
        "properties": {
            "type": kind_input(),
            "id": id_input(),
            "version": version_input(),
            "fields": {
                "type": "object",
                "description": "Only what changes, as a JSON Merge Patch (RFC 7396): a value replaces the field's, null removes the \
                                field, an object is merged into the one that is there, an array replaces the whole array",
            },
        },
        "required": ["type", "id", "version", "fields"],
        "additionalProperties": false,
    })
}

fn delete_input() -> Value {
    json!({
        "type": "object",
        "properties": { "type": kind_input(), "id": id_input(), "version": version_input() },
        "required": ["type", "id", "version"],
        "additionalProperties": false,
    })
}

fn types_output() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            "types": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": text,
                        "title": text,
                        "description": text,
                        "schema": { "type": "object", "description": "JSON Schema of the fields" },
                    },
                    "required": ["name", "title", "description", "schema"],
                },
            },
            "nextCursor": { "type": "string", "description": "There may be more: call again with this cursor" },
        },
        "required": ["types"],
    })
}

fn list_output() -> Value {
    let mut properties = page_output_members();
    properties.insert("entities".to_owned(), json!({ "type": "array", "items": entity_output() }));
    json!({ "type": "object", "properties": properties, "required": ["entities"] })
}

fn entity_output() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            "type": text,
            "id": text,
            "version": { "type": "integer", "description": "One more at each change; name it in update_entity and delete_entity" },
            "fields": { "type": "object" },
            "created": { "type": "string", "format": "date-time" },
            "updated": { "type": "string", "format": "date-time" },
            "updatedBy": { "type": "string", "description": "The id of the person who changed it last; absent where the operator did" },
        },
        "required": ["type", "id", "version", "fields", "created", "updated"],
    })
}

fn delete_output() -> Value {
    let mut deleted = entity_output();
    if let Some(schema) = deleted.as_object_mut() {
        schema.insert("description".to_owned(), "The record as it last was".into());
    }
    json!({ "type": "object", "properties": { "deleted": deleted }, "required": ["deleted"] })
}

#[cfg(test)]
mod tests {
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
