//! What hosts refuse of the definition of a tool.
//!
//! A host gives the definitions of all tools to its model at once, and the model's provider refuses the whole request for one of
//! them. Then no tool of any server works for the person. So such a tool is not stored, and one that is stored already is not
//! listed.

use serde_json::{Map, Value, json};

use super::ValidationError;
use super::tool::Tool;

/// The most bytes of a definition, as JSON: hosts take some 5,000 tokens.
pub const DEFINITION_LIMIT: usize = 16 * 1024;

/// Keywords that providers refuse at the top of an input schema.
const NOT_AT_THE_TOP: [&str; 5] = ["anyOf", "oneOf", "allOf", "enum", "not"];

/// A part of an input schema that hosts refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPart {
    /// Where it is in the schema (RFC 6901).
    pub pointer: String,
    /// Why.
    pub error: ValidationError,
}

/// The parts of an input schema that hosts refuse.
#[must_use]
pub fn refused_parts(schema: &Map<String, Value>) -> Vec<RefusedPart> {
    let keywords = NOT_AT_THE_TOP.into_iter().filter(|keyword| schema.contains_key(*keyword));
    let error = ValidationError::TopLevelKeyword;
    let mut refused: Vec<_> = keywords.map(|keyword| RefusedPart { pointer: format!("/{keyword}"), error }).collect();
    add_properties(schema, "", &mut refused);
    refused
}

/// Checks the size of a definition.
///
/// # Errors
/// When hosts refuse one as large.
pub fn check_size(description: &str, input_schema: &Map<String, Value>) -> Result<(), ValidationError> {
    let bytes = json!({ "description": description, "inputSchema": input_schema }).to_string().len();
    if bytes > DEFINITION_LIMIT { Err(ValidationError::DefinitionSize) } else { Ok(()) }
}

impl Tool {
    /// Checks what hosts take of its definition.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_definition(&self) -> Result<(), ValidationError> {
        if let Some(refused) = refused_parts(&self.input_schema).first() {
            return Err(refused.error);
        }
        check_size(&self.description, &self.input_schema)
    }
}

/// Adds the properties whose names hosts refuse, in a schema that is at `at`.
fn add_properties(schema: &Map<String, Value>, at: &str, refused: &mut Vec<RefusedPart>) {
    for (keyword, value) in schema {
        let at = format!("{at}/{}", escaped(keyword));
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for name in properties.keys().filter(|name| !is_property_name(name)) {
                    let pointer = format!("{at}/{}", escaped(name));
                    refused.push(RefusedPart { pointer, error: ValidationError::PropertyName });
                }
                add_each(properties, &at, refused);
            }
            ("$defs" | "definitions" | "patternProperties" | "dependentSchemas", Value::Object(schemas)) => {
                add_each(schemas, &at, refused);
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                for (place, schema) in schemas.iter().enumerate() {
                    add(schema, &format!("{at}/{place}"), refused);
                }
            }
            (
                "items"
                | "contains"
                | "additionalProperties"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "if"
                | "then"
                | "else"
                | "not",
                schema,
            ) => add(schema, &at, refused),
            _ => {}
        }
    }
}

fn add_each(schemas: &Map<String, Value>, at: &str, refused: &mut Vec<RefusedPart>) {
    for (name, schema) in schemas {
        add(schema, &format!("{at}/{}", escaped(name)), refused);
    }
}

fn add(schema: &Value, at: &str, refused: &mut Vec<RefusedPart>) {
    if let Value::Object(schema) = schema {
        add_properties(schema, at, refused);
    }
}

/// 1 to 64 of `A-Z a-z 0-9 _ . -`.
fn is_property_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A token of a JSON Pointer (RFC 6901 §4).
fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hosts_refuse_of_an_input_schema_is_found() {
        use ValidationError::{PropertyName, TopLevelKeyword};
        let long = "a".repeat(65);
        let (most, text) = ("a".repeat(64), json!({ "type": "string" }));
        for (schema, refused) in [
            (json!({ "type": "object" }), None),
            (json!({ "type": "object", "properties": { "a.b-C_9": text, most: text } }), None),
            (json!({ "properties": { "a": { "anyOf": [text, { "type": "null" }] } } }), None),
            (json!({ "properties": { "properties": { "type": "object", "properties": { "a": text } } } }), None),
            (json!({ "properties": { "a": { "enum": ["$filter"], "default": { "properties": { "$b": 1 } } } } }), None),
            (json!({ "patternProperties": { "^\\$": text } }), None),
            (json!({ "anyOf": [{ "required": ["a"] }] }), Some(("/anyOf", TopLevelKeyword))),
            (json!({ "oneOf": [] }), Some(("/oneOf", TopLevelKeyword))),
            (json!({ "allOf": [{ "$ref": "#/$defs/a" }] }), Some(("/allOf", TopLevelKeyword))),
            (json!({ "not": { "required": ["a"] } }), Some(("/not", TopLevelKeyword))),
            (json!({ "enum": [{}] }), Some(("/enum", TopLevelKeyword))),
            (json!({ "properties": { "$filter": text } }), Some(("/properties/$filter", PropertyName))),
            (json!({ "properties": { "filter[name]": text } }), Some(("/properties/filter[name]", PropertyName))),
            (json!({ "properties": { "gr\u{f6}\u{df}e": text } }), Some(("/properties/gr\u{f6}\u{df}e", PropertyName))),
            (json!({ "properties": { "a b": text } }), Some(("/properties/a b", PropertyName))),
            (json!({ "properties": { "a/b~c": text } }), Some(("/properties/a~1b~0c", PropertyName))),
            (json!({ "properties": { "": text } }), Some(("/properties/", PropertyName))),
            (
                json!({ "properties": { long.as_str(): text } }),
                Some((format!("/properties/{long}").as_str(), PropertyName)),
            ),
            (
                json!({ "properties": { "a": { "items": [{}, 1], "type": "array", "prefixItems": [{ "properties": { "@b": text } }] } } }),
                Some(("/properties/a/prefixItems/0/properties/@b", PropertyName)),
            ),
            (
                json!({ "properties": { "a": { "items": { "properties": { "b c": text } } } } }),
                Some(("/properties/a/items/properties/b c", PropertyName)),
            ),
            (
                json!({ "$defs": { "a": { "properties": { ":b": text } } } }),
                Some(("/$defs/a/properties/:b", PropertyName)),
            ),
            (
                json!({ "if": {}, "then": { "properties": { "b!": text } } }),
                Some(("/then/properties/b!", PropertyName)),
            ),
        ] {
            let refused = refused.map(|(pointer, error)| RefusedPart { pointer: pointer.to_owned(), error });
            let refused: Vec<_> = refused.into_iter().collect();
            assert_eq!(refused_parts(schema.as_object().unwrap()), refused, "{schema}");
        }
        let several = json!({ "anyOf": [{ "properties": { "a b": {} } }], "properties": { "$a": {}, "b": {} } });
        assert_eq!(refused_parts(several.as_object().unwrap()).len(), 3);
    }

    #[test]
    fn large_definitions_are_refused() {
        let empty = json!({}).as_object().unwrap().clone();
        let around = json!({ "description": "", "inputSchema": {} }).to_string().len();
        let most = "a".repeat(DEFINITION_LIMIT - around);
        assert_eq!(check_size(&most, &empty), Ok(()));
        assert_eq!(check_size(&format!("{most}a"), &empty), Err(ValidationError::DefinitionSize));
    }
}
