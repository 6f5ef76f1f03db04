//! The arguments that several tools of ours take.

use rmcp::model::JsonObject;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::store::workspace::Name;

use super::tool_error::ToolError;
use crate::cursor;

/// Where a list is to go on.
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ListArguments {
    /// nextCursor of the page before
    cursor: Option<String>,
}

impl ListArguments {
    /// Where the list is to go on: nothing for its beginning.
    pub(super) fn after(&self) -> Result<Option<Name>, ToolError> {
        parse_cursor(self.cursor.as_deref(), cursor::decode_name)
    }
}

/// Where `cursor` points, as `read` has it: nothing for the beginning.
pub(super) fn parse_cursor<T>(cursor: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ToolError> {
    cursor.map(|cursor| read(cursor).ok_or_else(unknown_cursor)).transpose()
}

/// The error of a cursor that is none of ours.
pub(super) fn unknown_cursor() -> ToolError {
    ToolError::failed("invalid_arguments", "The cursor is not one that an earlier page ended with.")
}

/// The arguments as the tool takes them.
pub(super) fn parse_arguments<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, ToolError> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| ToolError::failed("invalid_arguments", format!("The arguments do not fit: {error}.")))
}
