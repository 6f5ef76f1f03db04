//! A tool of ours, as it is declared and as a list shows it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;
use shared::oauth::scope::Scope;

use super::tool_context::ToolContext;
use super::tool_error::ToolError;
use super::tool_result::ToolResult;

/// A tool of ours. Each one works on the tenant's things alone.
pub(crate) struct BuiltIn {
    /// Its name; also in [`shared::store::workspace::tool::BUILT_IN`], so that no tenant takes it.
    pub(crate) name: &'static str,
    /// What it needs.
    pub(crate) scope: Scope,
    /// For people.
    pub(super) title: &'static str,
    /// For models: what it does, and when to use it.
    pub(super) description: &'static str,
    /// What it does to the tenant's things.
    pub(super) effect: Effect,
    /// JSON Schema of its arguments.
    pub(super) input: fn() -> Value,
    /// JSON Schema of its result.
    pub(super) output: fn() -> Value,
    /// Does it. The tenant is that of the context, whatever the arguments say.
    pub(crate) run: for<'a> fn(JsonObject, &'a ToolContext<'a>) -> ToolFuture<'a>,
}

/// A tool at work.
type ToolFuture<'a> = Pin<Box<dyn Future<Output = Result<ToolResult, ToolError>> + Send + 'a>>;

/// What a tool does to things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    ReadOnly,
    /// One more each time.
    Additive,
    /// What was before is gone, or only in the history.
    Destructive,
}

impl BuiltIn {
    /// As a list shows it.
    pub(super) fn describe(&self) -> Tool {
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

/// The members of a schema that is written as an object.
pub(super) fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(members) => members,
        _ => JsonObject::new(),
    }
}
