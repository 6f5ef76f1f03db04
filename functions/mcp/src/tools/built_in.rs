//! A tool of ours, as it is declared and as a list shows it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use shared::oauth::scope::Scope;

use super::security_schemes;
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
    /// What does it: a [`handler!`].
    pub(super) handler: Handler,
}

/// What does the work of a tool, from its arguments to its result.
pub(super) struct Handler {
    /// Does it. The tenant is that of the context, whatever the arguments say.
    pub(super) run: for<'a> fn(JsonObject, &'a ToolContext<'a>) -> ToolFuture<'a>,
    /// JSON Schema of the arguments.
    #[cfg(test)]
    pub(super) input: fn() -> serde_json::Value,
    /// JSON Schema of the result.
    #[cfg(test)]
    pub(super) output: fn() -> serde_json::Value,
}

/// A tool at work.
pub(super) type ToolFuture<'a> = Pin<Box<dyn Future<Output = Result<ToolResult, ToolError>> + Send + 'a>>;

/// The handler of a tool, from the struct of its arguments to that of its result: `handler!(Arguments => Result, run)`. What
/// is parsed and what is written is thereby what the schemas are derived from.
macro_rules! handler {
    ($Arguments:ty => $Result:ty, $run:path) => {
        $crate::tools::built_in::Handler {
            run: |arguments, context| {
                Box::pin(async move {
                    let arguments: $Arguments = $crate::tools::arguments::parse_arguments(arguments)?;
                    let result: $Result = $run(arguments, context).await?;
                    Ok($crate::tools::tool_result::ToolResult::structured(&result))
                })
            },
            #[cfg(test)]
            input: derived_schema::arguments::<$Arguments>,
            #[cfg(test)]
            output: derived_schema::result::<$Result>,
        }
    };
}
pub(super) use handler;

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

/// The schemas of a tool, as `schemas.json` has them.
#[derive(Deserialize)]
pub(super) struct ToolSchemas {
    input: JsonObject,
    output: JsonObject,
}

impl BuiltIn {
    /// As a list shows it.
    pub(super) fn describe(&self, ToolSchemas { input, output }: ToolSchemas) -> Tool {
        let annotations = ToolAnnotations::new()
            .read_only(self.effect == Effect::ReadOnly)
            .destructive(self.effect == Effect::Destructive)
            .idempotent(self.effect == Effect::ReadOnly)
            .open_world(false);
        Tool::new(self.name, self.description, Arc::new(input))
            .with_title(self.title)
            .with_raw_output_schema(Arc::new(output))
            .with_annotations(annotations)
            .with_meta(security_schemes::metadata(self.scope))
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
