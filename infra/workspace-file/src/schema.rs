//! JSON Schemas (2020-12) in a file, and values that have to fit them.

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value};
use shared::store::workspace;

use crate::reading::{Fields, Reading};
use crate::yaml::Node;

/// A schema of an object, and what checks by it.
pub(crate) struct Schema {
    pub(crate) object: Map<String, Value>,
    validator: Validator,
}

impl Fields<'_> {
    /// The schema under a key.
    pub(crate) fn schema(&self, reading: &mut Reading<'_>, key: &str) -> Option<Schema> {
        let (object, node) = self.object(reading, key)?;
        if let Err(unfit) = workspace::schema(&object) {
            reading.note(node.place, self.subject(), format!("`{key}`: {unfit}"));
            return None;
        }
        let schema = Value::Object(object.clone());
        if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
            let place = node.place_of(error.instance_path().as_str());
            reading.note(place, self.subject(), format!("`{key}` is no JSON Schema: {error}"));
            return None;
        }
        match jsonschema::options().with_draft(Draft::Draft202012).build(&schema) {
            Ok(validator) => Some(Schema { object, validator }),
            Err(error) => {
                reading.note(node.place, self.subject(), format!("`{key}` is no JSON Schema: {error}"));
                None
            }
        }
    }
}

impl Schema {
    /// Notes whatever of a value does not fit.
    pub(crate) fn check(&self, reading: &mut Reading<'_>, subject: &str, node: &Node) {
        for error in self.validator.iter_errors(&node.json()) {
            reading.note(node.place_of(error.instance_path().as_str()), subject, error);
        }
    }

    /// The properties that it names.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &str> {
        let properties = self.object.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys).map(String::as_str)
    }
}
