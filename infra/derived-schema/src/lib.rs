//! JSON Schemas of our structs, as schemars derives them and as we publish them.
//!
//! What is published is a file. The test of each file derives it again and compares, and writes it anew where
//! `UPDATE_EXPECT=1` is set. So no struct drifts from its schema, and yet no function holds schemars, and no cold start
//! spends time on it: this package is a dependency of tests alone.
//!
//! A doc comment of a field is its description, and whoever calls the tool or the API reads it.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// JSON Schema 2020-12 of what is parsed into a struct; `for_serialize` turns it into that of what is written from one.
#[must_use]
pub fn settings() -> SchemaSettings {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.meta_schema = None);
    settings.with_transform(RecursiveTransform(leave_null_out)).with_transform(RecursiveTransform(simplify))
}

/// The schema of a tool's arguments, in one piece.
#[must_use]
pub fn arguments<T: JsonSchema>() -> Value {
    in_one_piece::<T>(settings())
}

/// The schema of a tool's result, in one piece.
#[must_use]
pub fn result<T: JsonSchema>() -> Value {
    in_one_piece::<T>(settings().for_serialize())
}

/// A document as its file holds it.
#[must_use]
pub fn file_text(document: &Value) -> String {
    format!("{document:#}\n")
}

fn in_one_piece<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let generator = settings.with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    // The struct's own name and comment are for readers of the code: the tool has a title and a description.
    schema.remove("title");
    schema.remove("description");
    schema.to_value()
}

/// An `Option` is a member that may be left out, and not null.
fn leave_null_out(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            members.insert("type".to_owned(), one);
        }
    }
}

/// Leaves out what says nothing to whoever reads the schema, or what only Rust knows.
pub fn simplify(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    // The width of an integer, and that an unsigned one is not negative.
    if members.get("type").is_some_and(|name| name == "integer") {
        members.remove("format");
        if members.get("minimum").is_some_and(|least| least == 0) && !members.contains_key("maximum") {
            members.remove("minimum");
        }
    }
    for anything in ["additionalProperties", "items"] {
        if members.get(anything) == Some(&Value::Bool(true)) {
            members.remove(anything);
        }
    }
    // A comment of several lines is one sentence.
    if let Some(Value::String(description)) = members.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}
