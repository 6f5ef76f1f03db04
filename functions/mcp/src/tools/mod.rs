//! The tools: ours, one file per kind of thing, and those that the tenant has registered.

mod chat;
mod documents;
mod entities;
mod entity_search;
pub(crate) mod registered;
mod schema;
mod skills;
mod views;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::access::Access;
use shared::clock::Timestamp;
use shared::oauth::scope::Scope;
use shared::store::workspace::{Name, Page, Summary, Workspace};
use shared::upstream_error::UpstreamError;

use self::registered::ToolInvoker;
use crate::cursor;

/// Every kind of tool of ours, in the order in which they are listed.
const TOOLS: [&[BuiltIn]; 5] = [&skills::TOOLS, &views::TOOLS, &entities::TOOLS, &documents::TOOLS, &chat::TOOLS];

/// A tool of ours. Each one works on the tenant's things alone.
pub(crate) struct BuiltIn {
    /// Its name; also in [`shared::store::workspace::tool::BUILT_IN`], so that no tenant takes it.
    pub(crate) name: &'static str,
    /// What it needs.
    pub(crate) scope: Scope,
    /// For people.
    title: &'static str,
    /// For models: what it does, and when to use it.
    description: &'static str,
    /// What it does to the tenant's things.
    effect: Effect,
    /// JSON Schema of its arguments.
    input: fn() -> Value,
    /// JSON Schema of its result.
    output: fn() -> Value,
    /// Does it. The tenant is that of the context, whatever the arguments say.
    pub(crate) run: for<'a> fn(JsonObject, &'a ToolContext<'a>) -> ToolFuture<'a>,
}

/// A tool at work.
type ToolFuture<'a> = Pin<Box<dyn Future<Output = Result<ToolResult, ToolError>> + Send + 'a>>;

/// What a tool does to things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    ReadOnly,
    /// One more each time.
    Additive,
    /// What was before is gone, or only in the history.
    Destructive,
}

/// What every tool works with.
pub(crate) struct ToolContext<'a> {
    /// Who was let in.
    pub(crate) access: &'a Access,
    /// Their tenant's things.
    pub(crate) workspace: Workspace,
    /// The invoker of the tenant's own tools.
    pub(crate) tool_invoker: &'a ToolInvoker,
    /// When.
    pub(crate) now: Timestamp,
}

/// The result of a tool call.
#[derive(Debug)]
pub(crate) enum ToolResult {
    /// A result that programs can read too.
    Structured(Value),
    /// Text.
    Text(String),
    /// Blocks of several kinds.
    Content(Vec<ContentBlock>),
}

/// Why a tool call has no result.
#[derive(Debug)]
pub(crate) enum ToolError {
    /// The model can do something about it (MCP: an error of the tool, not of the protocol).
    Failed {
        /// In one word, for the audit.
        why: &'static str,
        /// For the model: what it can do.
        message: String,
    },
    /// AWS failed.
    Upstream(UpstreamError),
}

impl BuiltIn {
    /// Every one, in the order in which they are listed.
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        TOOLS.into_iter().flatten()
    }

    /// The one of that name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|tool| tool.name == name)
    }

    /// Every one as a list shows it, in that order: made once, for schemas are hundreds of small pieces each.
    pub(crate) fn descriptions() -> &'static [(&'static Self, Tool)] {
        static DESCRIBED: LazyLock<Vec<(&BuiltIn, Tool)>> =
            LazyLock::new(|| BuiltIn::all().map(|tool| (tool, tool.describe())).collect());
        &DESCRIBED
    }

    fn describe(&self) -> Tool {
        let annotations = ToolAnnotations::new()
            .read_only(self.effect == Effect::ReadOnly)
            .destructive(self.effect == Effect::Destructive)
            .idempotent(self.effect == Effect::ReadOnly)
            .open_world(false);
        Tool::new(self.name, self.description, Arc::new(object((self.input)())))
            .with_title(self.title)
            .with_raw_output_schema(Arc::new(object((self.output)())))
            .with_annotations(annotations)
    }
}

impl PartialEq for BuiltIn {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for BuiltIn {}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ToolError {
    pub(crate) fn failed(why: &'static str, message: impl Into<String>) -> Self {
        Self::Failed { why, message: message.into() }
    }
}

impl From<UpstreamError> for ToolError {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}

impl From<ToolResult> for CallToolResult {
    fn from(outcome: ToolResult) -> Self {
        match outcome {
            ToolResult::Structured(value) => Self::structured(value),
            ToolResult::Text(text) => Self::success(vec![ContentBlock::text(text)]),
            ToolResult::Content(blocks) => Self::success(blocks),
        }
    }
}

/// How a call ended, in one word for the audit.
pub(crate) const fn audit_outcome(called: &Result<Option<ToolResult>, ToolError>) -> &'static str {
    match called {
        Ok(Some(_)) => "answered",
        Ok(None) => "unknown_tool",
        Err(ToolError::Failed { why, .. }) => why,
        Err(ToolError::Upstream(_)) => "fault",
    }
}

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
fn cursor_argument(arguments: JsonObject) -> Result<Option<Name>, ToolError> {
    let ListArguments { cursor } = parse_arguments(arguments)?;
    parse_cursor(cursor.as_deref(), cursor::decode_name)
}

/// Where `cursor` points, as `read` has it: nothing for the beginning.
fn parse_cursor<T>(cursor: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ToolError> {
    let unknown = || ToolError::failed("invalid_arguments", "The cursor is not one that an earlier page ended with.");
    cursor.map(|cursor| read(cursor).ok_or_else(unknown)).transpose()
}

/// The name of the thing to be read; `unknown` says that there is none.
fn name_argument(arguments: JsonObject, unknown: fn() -> ToolError) -> Result<Name, ToolError> {
    let NameArguments { name } = parse_arguments(arguments)?;
    Name::parse(&name).ok_or_else(unknown)
}

/// The arguments as the tool takes them.
fn parse_arguments<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, ToolError> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| ToolError::failed("invalid_arguments", format!("The arguments do not fit: {error}.")))
}

/// A page as [`list_output`] promises it.
fn summaries_result(things: &str, page: &Page<Summary>) -> ToolResult {
    let summary = |Summary { name, title, description }: &Summary| json!({ "name": name.as_str(), "title": title, "description": description });
    page_result(things, page.items.iter().map(summary).collect(), page.next.as_ref().map(cursor::encode_name))
}

/// A page as [`page_output`] promises it.
fn page_result(things: &str, page: Vec<Value>, next: Option<String>) -> ToolResult {
    let mut result = JsonObject::new();
    result.insert(things.to_owned(), page.into());
    result.extend(next.map(|next| ("nextCursor".to_owned(), next.into())));
    ToolResult::Structured(result.into())
}

fn list_input() -> Value {
    json!({ "type": "object", "properties": { "cursor": cursor_schema() }, "additionalProperties": false })
}

fn cursor_schema() -> Value {
    json!({ "type": "string", "description": "The nextCursor of the page before; leave it out for the first page" })
}

/// Pages of summaries.
fn list_output(things: &str) -> Value {
    let text = json!({ "type": "string" });
    let summary = json!({
        "type": "object",
        "properties": { "name": text, "title": text, "description": text },
        "required": ["name", "title", "description"],
    });
    page_output(things, &summary)
}

/// Pages of whatever each item is.
fn page_output(things: &str, of: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            things: { "type": "array", "items": of },
            "nextCursor": { "type": "string", "description": "There may be more: call again with this cursor" },
        },
        "required": [things],
    })
}

fn name_input(description: &str) -> Value {
    json!({
        "type": "object",
        "properties": { "name": { "type": "string", "description": description } },
        "required": ["name"],
        "additionalProperties": false,
    })
}

/// The members of a schema that is written as an object.
fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(members) => members,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use shared::store::workspace::tool::BUILT_IN;

    use super::*;

    #[test]
    fn names_of_built_in_tools_are_reserved() {
        for tool in BuiltIn::all() {
            assert!(BUILT_IN.contains(&tool.name), "{tool:?}");
            assert_eq!(BuiltIn::find(tool.name), Some(tool));
        }
    }

    #[test]
    fn every_schema_is_an_object_schema_of_2020_12() {
        for tool in BuiltIn::all() {
            let described = tool.describe();
            for schema in [described.input_schema, described.output_schema.unwrap()] {
                assert_eq!(schema["type"], "object", "{tool:?}");
                jsonschema::draft202012::meta::validate(&Value::Object((*schema).clone())).unwrap();
            }
        }
    }
}
