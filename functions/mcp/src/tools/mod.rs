//! The tools: ours, and those that the tenant has registered.

pub(crate) mod registered;
mod skills;
mod views;

use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::audit::{self, Event};
use shared::fault::Fault;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::workspace::{Name, Page, Summary, Workspace};

use crate::cursor;
use crate::guard::{Access, By};
use crate::operation::{Operation, Permitted};

/// A tool of ours. Each one works on the tenant's things alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    /// What skills there are.
    ListSkills,
    /// What a skill says.
    ReadSkill,
    /// What views there are.
    ListViews,
    /// How a view is defined.
    ReadView,
}

/// How a call ended, as far as the model is concerned.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With a result that programs can read too.
    Structured(Value),
    /// With text.
    Text(String),
    /// Not as the model wished: it is told what it can do about it (MCP: an error of the tool, not of the protocol).
    Failed {
        /// In one word, for the audit.
        why: &'static str,
        /// For the model.
        message: String,
    },
}

impl BuiltIn {
    /// Every one, in the order in which they are listed.
    pub(crate) const ALL: [Self; 4] = [Self::ListSkills, Self::ReadSkill, Self::ListViews, Self::ReadView];

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name; also in [`shared::store::workspace::BUILT_IN`], so that no tenant takes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ListSkills => "list_skills",
            Self::ReadSkill => "read_skill",
            Self::ListViews => "list_views",
            Self::ReadView => "read_view",
        }
    }

    /// What it needs.
    pub(crate) fn scopes(self) -> Scopes {
        match self {
            Self::ListSkills | Self::ReadSkill => Scope::SkillsRead.into(),
            Self::ListViews | Self::ReadView => Scope::ViewsRead.into(),
        }
    }

    /// As a list shows it.
    pub(crate) fn describe(self) -> Tool {
        let (title, description) = match self {
            Self::ListSkills => (
                "List skills",
                "Lists the workspace's skills: written instructions for recurring work, with a sentence on when to use each. \
                 Look here before starting a task that the workspace may have a way of doing.",
            ),
            Self::ReadSkill => {
                ("Read a skill", "Returns one skill's instructions, in Markdown. Follow them for the task at hand.")
            }
            Self::ListViews => (
                "List views",
                "Lists the workspace's views: saved queries over its records, with a sentence on what each shows.",
            ),
            Self::ReadView => {
                ("Read a view", "Returns one view's definition: which records it shows, in which order and columns.")
            }
        };
        let (input, output) = match self {
            Self::ListSkills => (list_input(), list_output("skills")),
            Self::ReadSkill => (read_input("The skill's name, as list_skills shows it"), skills::read_output()),
            Self::ListViews => (list_input(), list_output("views")),
            Self::ReadView => (read_input("The view's name, as list_views shows it"), views::read_output()),
        };
        Tool::new(self.name(), description, object(input))
            .with_title(title)
            .with_raw_output_schema(object(output))
            .with_annotations(
                ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false),
            )
    }

    /// Runs it. The tenant is that of `access`, whatever the arguments say.
    pub(crate) async fn run(
        self,
        arguments: JsonObject,
        access: &Access,
        workspace: &Workspace,
    ) -> Result<Outcome, Fault> {
        match self {
            Self::ListSkills => skills::list(arguments, access, workspace).await,
            Self::ReadSkill => skills::read(arguments, access, workspace).await,
            Self::ListViews => views::list(arguments, access, workspace).await,
            Self::ReadView => views::read(arguments, access, workspace).await,
        }
    }
}

impl Outcome {
    fn failed(why: &'static str, message: impl Into<String>) -> Self {
        Self::Failed { why, message: message.into() }
    }
}

impl From<Outcome> for CallToolResult {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Structured(value) => Self::structured(value),
            Outcome::Text(text) => Self::success(vec![ContentBlock::text(text)]),
            Outcome::Failed { message, .. } => Self::error(vec![ContentBlock::text(message)]),
        }
    }
}

/// Tells the audit that a tool was called, and how that ended.
pub(crate) fn record(permitted: &Permitted, called: &Result<Option<Outcome>, Fault>) {
    let tool = match &permitted.call.operation {
        Operation::BuiltIn(tool) => tool.name(),
        Operation::Registered(name) => name.as_str(),
        _ => return,
    };
    let outcome = match called {
        Ok(Some(Outcome::Structured(_) | Outcome::Text(_))) => "answered",
        Ok(Some(Outcome::Failed { why, .. })) => why,
        Ok(None) => "unknown_tool",
        Err(_) => "fault",
    };
    let access = &permitted.access;
    let (tenant, person) = (access.tenant().as_str(), access.person().as_str());
    let credential = match access.by() {
        By::Token { grant, client } => format!("grant {} of {client}", grant.to_text()),
        By::Key(key) => format!("key {}", key.to_text()),
    };
    audit::record(&Event::ToolCalled { tenant, person, credential: &credential, tool, outcome });
}

/// Where a list is to go on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Onward {
    cursor: Option<String>,
}

/// Which thing is to be read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// Where a list is to go on: nothing for its beginning.
fn after(arguments: JsonObject) -> Result<Option<Name>, Outcome> {
    let Onward { cursor } = typed(arguments)?;
    let Some(cursor) = cursor else { return Ok(None) };
    let unknown = || Outcome::failed("invalid_arguments", "The cursor is not one that an earlier page ended with.");
    cursor::read(&cursor).map(Some).ok_or_else(unknown)
}

/// The name of the thing to be read; `unknown` says that there is none.
fn name(arguments: JsonObject, unknown: fn() -> Outcome) -> Result<Name, Outcome> {
    let Named { name } = typed(arguments)?;
    Name::parse(&name).ok_or_else(unknown)
}

fn typed<T: serde::de::DeserializeOwned>(arguments: JsonObject) -> Result<T, Outcome> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Outcome::failed("invalid_arguments", format!("The arguments do not fit: {error}.")))
}

/// A page as [`list_output`] promises it.
fn listed(things: &str, page: &Page<Summary>) -> Outcome {
    let summaries: Vec<_> = page
        .things
        .iter()
        .map(|Summary { name, title, description }| {
            json!({ "name": name.as_str(), "title": title, "description": description })
        })
        .collect();
    let mut result = JsonObject::new();
    result.insert(things.to_owned(), summaries.into());
    result.extend(page.next.as_ref().map(|next| ("nextCursor".to_owned(), cursor::after(next).into())));
    Outcome::Structured(Value::Object(result))
}

fn list_input() -> Value {
    json!({
        "type": "object",
        "properties": {
            "cursor": { "type": "string", "description": "The nextCursor of the page before; leave it out for the first page" },
        },
        "additionalProperties": false,
    })
}

fn list_output(things: &str) -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            things: {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": { "name": text, "title": text, "description": text },
                    "required": ["name", "title", "description"],
                },
            },
            "nextCursor": { "type": "string", "description": "There may be more: call again with this cursor" },
        },
        "required": [things],
    })
}

fn read_input(description: &str) -> Value {
    json!({
        "type": "object",
        "properties": { "name": { "type": "string", "description": description } },
        "required": ["name"],
        "additionalProperties": false,
    })
}

fn object(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use shared::store::workspace::BUILT_IN;

    use super::*;

    #[test]
    fn no_tenant_can_take_the_name_of_a_tool_of_ours() {
        assert_eq!(BuiltIn::ALL.map(BuiltIn::name), BUILT_IN);
        for tool in BuiltIn::ALL {
            assert_eq!(BuiltIn::named(tool.name()), Some(tool));
        }
    }

    #[test]
    fn every_schema_is_one_of_an_object_in_2020_12() {
        for tool in BuiltIn::ALL {
            let described = tool.describe();
            for schema in [described.input_schema, described.output_schema.unwrap()] {
                assert_eq!(schema["type"], "object", "{tool:?}");
                jsonschema::draft202012::meta::validate(&Value::Object((*schema).clone())).unwrap();
            }
        }
    }
}
