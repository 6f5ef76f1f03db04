//! The limits of a tenant's JSON Schema (2020-12). Tenants write it, and it is compiled and run here at every
//! call.
//!
//! Compiling a schema replaces each reference by what it refers to, and checking a value visits every branch.
//! So a few lines of references can grow exponentially. Therefore the size of the schema with all references
//! replaced is calculated here, without replacing them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{ValidationError, json};

/// A schema that refers only to its own parts, without circles, and within the limits when every reference is
/// replaced. Only [`BoundedSchema::new`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct BoundedSchema<'a> {
    schema: &'a Map<String, Value>,
    size: SchemaSize,
}

/// Most JSON values in a schema whose references have been followed.
pub const VALUES: usize = 4096;
/// Most levels of nesting: as many as JSON itself may have here.
pub const LEVELS: usize = 128;
/// Most regular expressions in it.
pub const PATTERNS: usize = 128;

impl<'a> BoundedSchema<'a> {
    /// Follows the references of a schema.
    ///
    /// # Errors
    /// When it is not bounded.
    pub fn new(schema: &'a Map<String, Value>) -> Result<Self, ValidationError> {
        let mut walk = Walk { root: schema, following: Vec::new(), sizes: HashMap::new() };
        let size = walk.object(schema, 1)?;
        Ok(Self { schema, size })
    }

    /// The schema.
    #[must_use]
    pub const fn schema(&self) -> &'a Map<String, Value> {
        self.schema
    }

    /// JSON values in it when every reference is replaced.
    #[must_use]
    pub const fn values(&self) -> usize {
        self.size.values
    }

    /// Regular expressions in it when every reference is replaced.
    #[must_use]
    pub const fn patterns(&self) -> usize {
        self.size.patterns
    }
}

/// The stored text of a schema of a tool's arguments or results, or of an entity's fields.
///
/// # Errors
/// When it is not an object's schema, or not within the limits.
pub fn to_stored_text(object: &Map<String, Value>) -> Result<String, ValidationError> {
    let text = json(object)?;
    if object.get("type").and_then(Value::as_str) != Some("object") {
        return Err(ValidationError::NotAnObject);
    }
    // MCP 2026-07-28, transports: whoever declares one must check a header for it.
    if text.contains("\"x-mcp-header\":") {
        return Err(ValidationError::HeaderArguments);
    }
    BoundedSchema::new(object).map(|_| text)
}

/// How large a part is.
#[derive(Clone, Copy, Debug)]
struct SchemaSize {
    values: usize,
    levels: usize,
    patterns: usize,
}

/// The state of walking through a schema.
struct Walk<'a> {
    root: &'a Map<String, Value>,
    /// The references being followed.
    following: Vec<&'a str>,
    /// Those that have been followed.
    sizes: HashMap<&'a str, SchemaSize>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &'a Value, level: usize) -> Result<SchemaSize, ValidationError> {
        let leaf = SchemaSize { values: 1, levels: 1, patterns: 0 };
        match value {
            Value::Object(object) => self.object(object, level),
            Value::Array(values) => {
                values.iter().try_fold(leaf, |so_far, value| so_far.and(self.value(value, level + 1)?, level))
            }
            _ => leaf.at(level),
        }
    }

    fn object(&mut self, object: &'a Map<String, Value>, level: usize) -> Result<SchemaSize, ValidationError> {
        let mut size = SchemaSize { values: 1, levels: 1, patterns: 0 }.at(level)?;
        let mut doublings = 0;
        for (name, value) in object {
            let part = match (name.as_str(), value) {
                ("$ref", Value::String(reference)) => self.follow(reference, level + 1)?,
                // What these refer to depends on the path by which they were reached.
                ("$dynamicRef" | "$recursiveRef", Value::String(_)) => return Err(ValidationError::Reference),
                // Both change what the references below them refer to.
                ("$id" | "$schema", Value::String(_)) if level > 1 => return Err(ValidationError::Reference),
                // Counted where they are referred to.
                ("$defs" | "definitions", Value::Object(_)) if level == 1 => continue,
                _ => self.value(value, level + 1)?,
            };
            size = size.and(part, level)?;
            size.patterns += match (name.as_str(), value) {
                ("pattern", Value::String(_)) => 1,
                ("patternProperties", Value::Object(patterns)) => patterns.len(),
                _ => 0,
            };
            // These two evaluate everything beside them once more.
            doublings += usize::from(name == "unevaluatedProperties" || name == "unevaluatedItems");
        }
        for _ in 0..doublings {
            size.values *= 2;
            size.patterns *= 2;
        }
        size.at(level)
    }

    /// The part that a reference leads to: a JSON Pointer in a fragment (RFC 6901 §6), and nothing else.
    fn follow(&mut self, reference: &'a str, level: usize) -> Result<SchemaSize, ValidationError> {
        if self.following.contains(&reference) {
            return Err(ValidationError::CircularReference);
        }
        if let Some(size) = self.sizes.get(reference) {
            return size.at(level);
        }
        let fragment = reference.strip_prefix('#').ok_or(ValidationError::Reference)?;
        let pointer =
            percent_encoding::percent_decode_str(fragment).decode_utf8().map_err(|_| ValidationError::Reference)?;
        self.following.push(reference);
        let size = if pointer.is_empty() {
            self.object(self.root, level)?
        } else {
            let mut steps = pointer.strip_prefix('/').ok_or(ValidationError::Reference)?.split('/').map(unescaped);
            let first = steps.next().and_then(|step| self.root.get(&step));
            let part = steps.try_fold(first, |part, step| {
                Some(match part? {
                    Value::Object(object) => object.get(&step),
                    Value::Array(values) => values.get(step.parse::<usize>().ok()?),
                    _ => None,
                })
            });
            self.value(part.flatten().ok_or(ValidationError::Reference)?, level)?
        };
        self.following.pop();
        self.sizes.insert(reference, size);
        Ok(size)
    }
}

impl SchemaSize {
    /// This size, if it is within the limits at that level.
    fn at(self, level: usize) -> Result<Self, ValidationError> {
        let fits = self.values <= VALUES && self.patterns <= PATTERNS && level + self.levels <= LEVELS + 1;
        if fits { Ok(self) } else { Err(ValidationError::TooComplex) }
    }

    /// This size and that of a part one level below.
    fn and(self, part: Self, level: usize) -> Result<Self, ValidationError> {
        let levels = self.levels.max(part.levels + 1);
        Self { values: self.values + part.values, levels, patterns: self.patterns + part.patterns }.at(level)
    }
}

/// RFC 6901 §4.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::workspace::JSON_LIMIT;

    fn of(schema: &Value) -> Result<(usize, usize), ValidationError> {
        BoundedSchema::new(schema.as_object().unwrap()).map(|bounded| (bounded.values(), bounded.patterns()))
    }

    #[test]
    fn values_and_patterns_of_a_schema_are_counted() {
        for (schema, counted) in [
            (json!({}), (1, 0)),
            (json!({ "type": "object" }), (2, 0)),
            (json!({ "$defs": { "unused": { "pattern": "a" } } }), (1, 0)),
            (json!({ "$defs": { "a": { "pattern": "a" } }, "properties": { "a": { "$ref": "#/$defs/a" } } }), (5, 1)),
            (json!({ "items": [{ "pattern": "a" }, { "patternProperties": { "a": true, "b": true } }] }), (8, 3)),
            (json!({ "properties": { "$ref": { "type": "string" }, "$id": true, "pattern": true } }), (6, 0)),
            (json!({ "a": true, "unevaluatedProperties": false }), (6, 0)),
        ] {
            assert_eq!(of(&schema), Ok(counted), "{schema}");
        }
    }

    #[test]
    fn references_to_other_documents_are_refused() {
        for reference in ["#/$defs/a~1b", "#/$defs/a%7E1b", "#/$defs/list/0", "#/properties/b"] {
            let schema = json!({
                "$id": "https://acme.example/schema",
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$defs": { "a/b": { "type": "string" }, "list": [true] },
                "properties": { "a": { "$ref": reference }, "b": true },
            });
            assert!(of(&schema).is_ok(), "{reference}");
        }
        for part in [
            json!({ "$ref": "https://example.com/a.json" }),
            json!({ "$ref": "other.json#/a" }),
            json!({ "$ref": "#anchor" }),
            json!({ "$ref": "#/$defs/none" }),
            json!({ "$ref": "#/%ff" }),
            json!({ "$ref": "" }),
            json!({ "$dynamicRef": "#/$defs/a" }),
            json!({ "$recursiveRef": "#" }),
            json!({ "$id": "https://example.com/" }),
            json!({ "$schema": "http://json-schema.org/draft-04/schema#" }),
        ] {
            let schema = json!({ "$defs": { "a": true }, "properties": { "a": part } });
            assert_eq!(of(&schema), Err(ValidationError::Reference), "{part}");
        }
    }

    #[test]
    fn circular_references_are_refused() {
        for schema in [
            json!({ "properties": { "child": { "$ref": "#" } } }),
            json!({ "properties": { "a": { "items": { "$ref": "#/properties/a" } } } }),
            json!({
                "$defs": { "a": { "items": { "$ref": "#/$defs/b" } }, "b": { "items": { "$ref": "#/$defs/a" } } },
                "properties": { "a": { "$ref": "#/$defs/a" } },
            }),
        ] {
            assert_eq!(of(&schema), Err(ValidationError::CircularReference), "{schema}");
        }
        // Spelled otherwise, it is a circle still, and ends all the same.
        let schema = json!({ "properties": { "a": { "$ref": "#/properties/%61" } } });
        assert!(of(&schema).is_err());
    }

    /// `width` references at each of `depth` levels.
    fn doubling(depth: usize, width: usize, keyword: &str) -> Value {
        let mut parts = Map::new();
        for level in 0..depth {
            let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
            parts.insert(level.to_string(), json!({ keyword: vec![next; width] }));
        }
        parts.insert(depth.to_string(), json!({ "const": 1 }));
        json!({ "type": "object", "$defs": parts, "properties": { "a": { "$ref": "#/$defs/0" } } })
    }

    #[test]
    fn exponential_references_are_refused_without_expansion() {
        assert!(of(&doubling(9, 2, "anyOf")).is_ok());
        for (depth, width) in [(12, 2), (18, 2), (200, 2), (3, 100), (1, 4096), (200, 1)] {
            for keyword in ["anyOf", "oneOf", "allOf"] {
                assert_eq!(of(&doubling(depth, width, keyword)), Err(ValidationError::TooComplex), "{depth} {width}");
            }
        }
        let mut nested = json!({ "unevaluatedProperties": false });
        for _ in 0..20 {
            nested = json!({ "allOf": [nested], "unevaluatedProperties": false });
        }
        assert_eq!(of(&nested), Err(ValidationError::TooComplex));
        let patterns: Vec<_> = (0..=PATTERNS).map(|number| json!({ "pattern": number.to_string() })).collect();
        assert_eq!(of(&json!({ "anyOf": patterns })), Err(ValidationError::TooComplex));
    }

    #[test]
    fn tool_schemas_are_validated() {
        let of = |value: Value| to_stored_text(value.as_object().unwrap()).map(drop);

        assert_eq!(of(json!({ "type": "object" })), Ok(()));
        assert_eq!(of(json!({})), Err(ValidationError::NotAnObject));
        assert_eq!(of(json!({ "type": "string" })), Err(ValidationError::NotAnObject));
        assert_eq!(of(json!({ "type": "object", "description": "a".repeat(JSON_LIMIT) })), Err(ValidationError::Json));
        let header =
            json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } });
        assert_eq!(of(header), Err(ValidationError::HeaderArguments));
    }
}
