//! JSON Schemas (2020-12) in a file, and values that have to fit them.

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value};
use shared::store::workspace::schema::to_stored_text;

use crate::reader::{Fields, Reader};
use crate::yaml::Node;

/// A schema of an object, and what checks by it.
pub(crate) struct Schema {
    pub(crate) object: Map<String, Value>,
    validator: Validator,
}

impl Fields<'_> {
    /// The schema under a key.
    pub(crate) fn schema(&self, reader: &mut Reader<'_>, key: &str) -> Option<Schema> {
        let (object, node) = self.object(reader, key)?;
        if let Err(error) = to_stored_text(&object) {
            reader.report(node.location, self.subject(), format!("`{key}`: {error}"));
            return None;
        }
        let schema = Value::Object(object.clone());
        if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
            let location = node.location_of(error.instance_path().as_str());
            reader.report(location, self.subject(), format!("`{key}` is no JSON Schema: {error}"));
            return None;
        }
        match jsonschema::options().with_draft(Draft::Draft202012).build(&schema) {
            Ok(validator) => Some(Schema { object, validator }),
            Err(error) => {
                reader.report(node.location, self.subject(), format!("`{key}` is no JSON Schema: {error}"));
                None
            }
        }
    }
}

impl Schema {
    /// Reports whatever of a value does not fit.
    pub(crate) fn check(&self, reader: &mut Reader<'_>, subject: &str, node: &Node) {
        for error in self.validator.iter_errors(&node.json()) {
            reader.report(node.location_of(error.instance_path().as_str()), subject, error);
        }
    }

    /// The properties that it names.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &str> {
        let properties = self.object.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys).map(String::as_str)
    }
}
