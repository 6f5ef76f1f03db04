//! The catalog of our tools.

use std::collections::HashMap;
use std::sync::LazyLock;

use rmcp::model::Tool;

use super::built_in::{BuiltIn, ToolSchemas};
use super::{chat, documents, entities, skills, views};

/// Every kind of tool of ours, in the order in which they are listed.
const TOOLS: [&[BuiltIn]; 5] = [&skills::TOOLS, &views::TOOLS, &entities::TOOLS, &documents::TOOLS, &chat::TOOLS];

/// The schemas of their arguments and results, by name. A test derives them from the structs and holds the file to them: a
/// function only reads it, once, and holds nothing that derives.
const SCHEMAS: &str = include_str!("schemas.json");

/// The one of that name.
pub(crate) fn find(name: &str) -> Option<&'static BuiltIn> {
    all().find(|tool| tool.name == name)
}

/// Every one as a list shows it, in that order: made once, for schemas are hundreds of small pieces each.
pub(super) fn descriptions() -> &'static [(&'static BuiltIn, Tool)] {
    static DESCRIBED: LazyLock<Vec<(&BuiltIn, Tool)>> = LazyLock::new(|| {
        // The text is a constant, and a test finds every tool in it.
        let mut schemas: HashMap<String, ToolSchemas> = serde_json::from_str(SCHEMAS).unwrap_or_default();
        all().filter_map(|tool| Some((tool, tool.describe(schemas.remove(tool.name)?)))).collect()
    });
    &DESCRIBED
}

/// Every one, in the order in which they are listed.
fn all() -> impl Iterator<Item = &'static BuiltIn> {
    TOOLS.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use serde_json::{Value, json};
    use shared::store::workspace::tool::BUILT_IN;

    use super::super::built_in::Handler;
    use super::*;

    #[test]
    fn names_of_built_in_tools_are_reserved() {
        for tool in all() {
            assert!(BUILT_IN.contains(&tool.name), "{tool:?}");
            assert_eq!(find(tool.name), Some(tool));
        }
    }

    /// `UPDATE_EXPECT=1` writes them anew.
    #[test]
    fn schemas_are_derived_from_the_structs() {
        let derived = all().map(|BuiltIn { name, handler: Handler { input, output, .. }, .. }| {
            ((*name).to_owned(), json!({ "input": input(), "output": output() }))
        });
        let file = expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/src/tools/schemas.json")];
        file.assert_eq(&derived_schema::file_text(&Value::Object(derived.collect())));
    }

    /// What every conversation carries, whatever it is about: 3,500 tokens at most. A token of it is never counted with fewer than 2.6
    /// bytes; `docs/measuring.md` says what tokenizers counted.
    #[test]
    fn list_of_our_tools_fits_into_3500_tokens() {
        const MAX_BYTES: usize = 3_500 * 26 / 10;
        let of_model = |(_, tool): &(_, Tool)| json!({ "name": tool.name, "description": tool.description, "inputSchema": tool.input_schema });
        let list = Value::Array(descriptions().iter().map(of_model).collect()).to_string();
        assert!(list.len() <= MAX_BYTES, "{} bytes", list.len());
    }

    #[test]
    fn every_tool_is_listed_with_object_schemas_of_2020_12() {
        assert!(descriptions().iter().map(|(tool, _)| tool.name).eq(all().map(|tool| tool.name)));
        for (tool, described) in descriptions() {
            for schema in [&described.input_schema, described.output_schema.as_ref().unwrap()] {
                assert_eq!(schema["type"], "object", "{tool:?}");
                jsonschema::draft202012::meta::validate(&Value::Object((**schema).clone())).unwrap();
            }
        }
    }
}
