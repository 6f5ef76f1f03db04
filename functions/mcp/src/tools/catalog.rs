//! The catalog of our tools.

use std::sync::LazyLock;

use rmcp::model::Tool;

use super::built_in::BuiltIn;
use super::{chat, documents, entities, skills, views};

/// Every kind of tool of ours, in the order in which they are listed.
const TOOLS: [&[BuiltIn]; 5] = [&skills::TOOLS, &views::TOOLS, &entities::TOOLS, &documents::TOOLS, &chat::TOOLS];

/// The one of that name.
pub(crate) fn find(name: &str) -> Option<&'static BuiltIn> {
    all().find(|tool| tool.name == name)
}

/// Every one as a list shows it, in that order: made once, for schemas are hundreds of small pieces each.
pub(super) fn descriptions() -> &'static [(&'static BuiltIn, Tool)] {
    static DESCRIBED: LazyLock<Vec<(&BuiltIn, Tool)>> =
        LazyLock::new(|| all().map(|tool| (tool, tool.describe())).collect());
    &DESCRIBED
}

/// Every one, in the order in which they are listed.
fn all() -> impl Iterator<Item = &'static BuiltIn> {
    TOOLS.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::store::workspace::tool::BUILT_IN;

    use super::*;

    #[test]
    fn names_of_built_in_tools_are_reserved() {
        for tool in all() {
            assert!(BUILT_IN.contains(&tool.name), "{tool:?}");
            assert_eq!(find(tool.name), Some(tool));
        }
    }

    #[test]
    fn every_schema_is_an_object_schema_of_2020_12() {
        for tool in all() {
            let described = tool.describe();
            for schema in [described.input_schema, described.output_schema.unwrap()] {
                assert_eq!(schema["type"], "object", "{tool:?}");
                jsonschema::draft202012::meta::validate(&Value::Object((*schema).clone())).unwrap();
            }
        }
    }
}
