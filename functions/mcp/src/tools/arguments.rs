//! The arguments that several tools of ours take, with their schemas.

use rmcp::model::JsonObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::store::workspace::Name;

use super::tool_error::ToolError;
use crate::cursor;

/// Where a list is to go on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArguments {
    cursor: Option<String>,
}

/// Which thing is to be read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameArguments {
    name: String,
}

/// Where a list is to go on: nothing for its beginning.
pub(super) fn cursor_argument(arguments: JsonObject) -> Result<Option<Name>, ToolError> {
    let ListArguments { cursor } = parse_arguments(arguments)?;
    parse_cursor(cursor.as_deref(), cursor::decode_name)
}

/// Where `cursor` points, as `read` has it: nothing for the beginning.
pub(super) fn parse_cursor<T>(cursor: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ToolError> {
    let unknown = || ToolError::failed("invalid_arguments", "The cursor is not one that an earlier page ended with.");
    cursor.map(|cursor| read(cursor).ok_or_else(unknown)).transpose()
}

/// The name of the thing to be read; `unknown` says that there is none.
pub(super) fn name_argument(arguments: JsonObject, unknown: fn() -> ToolError) -> Result<Name, ToolError> {
    let NameArguments { name } = parse_arguments(arguments)?;
    Name::parse(&name).ok_or_else(unknown)
}

/// The arguments as the tool takes them.
pub(super) fn parse_arguments<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, ToolError> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| ToolError::failed("invalid_arguments", format!("The arguments do not fit: {error}.")))
}

pub(super) fn list_input() -> Value {
    json!({ "type": "object", "properties": { "cursor": cursor_schema() }, "additionalProperties": false })
}

pub(super) fn cursor_schema() -> Value {
    json!({ "type": "string", "description": "The nextCursor of the page before; leave it out for the first page" })
}

pub(super) fn name_input(description: &str) -> Value {
    json!({
        "type": "object",
        "properties": { "name": { "type": "string", "description": description } },
        "required": ["name"],
        "additionalProperties": false,
    })
}
