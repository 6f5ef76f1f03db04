//! Checks values against schemas that a tenant wrote, in bounded time.

use jsonschema::{Draft, PatternOptions, ValidationError};
use rmcp::model::JsonObject;
use serde_json::Value;
use shared::store::workspace::schema::BoundedSchema;

/// Why a value does not pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SchemaValidationError {
    /// The schema is none, or could take too long: the tenant's to mend.
    UnusableSchema,
    /// The value is too large for what the schema asks of it.
    TooLarge,
    /// It does not fit: a line for each mistake, as `- /place: what is wrong`.
    Invalid(String),
}

/// What a schema's formats are (2020-12, validation §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formats {
    /// Told to the reader, as the specification has it unless a vocabulary says otherwise.
    Annotated,
    /// Checked: a record's date is one.
    Asserted,
}

/// The most mistakes that are named at once.
const MAX_ERRORS: usize = 5;
/// The most characters of each.
const MAX_ERROR_CHARS: usize = 200;
/// The most comparisons of a value's parts with a schema's parts.
const MAX_COMPARISONS: usize = 1_000_000;
/// Up to so many, all mistakes are looked for; beyond, the first is enough.
const MAX_COMPARISONS_FOR_ALL_ERRORS: usize = 10_000;
/// The most characters that regular expressions may read: the tenant wrote those, and the model wrote these.
const MAX_PATTERN_INPUT: usize = 1024 * 1024;
/// What beginning to read a string counts for.
const STRING_COST: usize = 64;
/// Steps back that a regular expression may take on a string, at most.
const MAX_BACKTRACKS: usize = 100_000;
/// … and times what all of them read, since a step may look ahead to the end.
const MAX_BACKTRACKS_TIMES_INPUT: usize = 1024 * 1024;
/// The most bytes that a schema's regular expressions may take together.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// Validates `value` against `schema` (2020-12). References lead nowhere outside it.
///
/// # Errors
/// When the value does not fit, or the answer would take too long to find.
pub(super) fn validate(schema: &JsonObject, value: &Value, formats: Formats) -> Result<(), SchemaValidationError> {
    // Kept before there was a bound, or by other hands.
    let schema = BoundedSchema::new(schema).map_err(|_| SchemaValidationError::UnusableSchema)?;
    let (parts, text) = value_size(value);
    let (comparisons, pattern_input) = (schema.values().saturating_mul(parts), schema.patterns().saturating_mul(text));
    if comparisons > MAX_COMPARISONS || pattern_input > MAX_PATTERN_INPUT {
        return Err(SchemaValidationError::TooLarge);
    }
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit((MAX_BACKTRACKS_TIMES_INPUT / pattern_input.max(1)).clamp(1, MAX_BACKTRACKS))
        .size_limit(MAX_PATTERN_BYTES / schema.patterns().max(1));
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .should_validate_formats(formats == Formats::Asserted)
        .build(&Value::Object(schema.schema().clone()))
        .map_err(|_| SchemaValidationError::UnusableSchema)?;
    if validator.is_valid(value) {
        return Ok(());
    }
    let mistakes: Vec<_> = if comparisons <= MAX_COMPARISONS_FOR_ALL_ERRORS {
        validator.iter_errors(value).take(MAX_ERRORS).map(|error| describe_error(&error)).collect()
    } else {
        validator.validate(value).err().iter().map(describe_error).collect()
    };
    Err(SchemaValidationError::Invalid(mistakes.join("\n")))
}

fn describe_error(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let said: String = error.to_string().chars().take(MAX_ERROR_CHARS).collect();
    format!("- {}: {said}", if place.is_empty() { "/" } else { &place })
}

/// How many parts a value has, and how much text there is to read in it, names of members included.
fn value_size(value: &Value) -> (usize, usize) {
    let read = |text: &str| STRING_COST + text.len();
    let sum = |(parts, text): (usize, usize), (more, longer): (usize, usize)| (parts + more, text + longer);
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| sum((0, read(name)), value_size(value))).fold((1, 0), sum)
        }
        Value::Array(values) => values.iter().map(value_size).fold((1, 0), sum),
        Value::String(text) => (1, read(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::{Map, json};

    use super::*;

    fn checked(schema: &Value, value: &Value) -> Result<(), SchemaValidationError> {
        validate(schema.as_object().unwrap(), value, Formats::Annotated)
    }

    #[test]
    fn errors_name_the_path_of_the_value() {
        let schema = json!({
            "type": "object",
            "properties": { "number": { "type": "string", "pattern": "^[0-9]+$" } },
            "required": ["number"],
            "additionalProperties": false,
        });
        assert_eq!(checked(&schema, &json!({ "number": "17" })), Ok(()));
        for (value, told) in [
            (json!({}), "- /: \"number\" is a required property"),
            (json!({ "number": 17 }), "- /number: 17 is not of type \"string\""),
            (json!({ "number": "x" }), "- /number: \"x\" does not match \"^[0-9]+$\""),
            (json!({ "number": "1", "b": 1 }), "- /: Additional properties are not allowed ('b' was unexpected)"),
        ] {
            assert_eq!(checked(&schema, &value), Err(SchemaValidationError::Invalid(told.to_owned())), "{value}");
        }
        let numbers = json!({ "additionalProperties": { "type": "number" } });
        let Err(SchemaValidationError::Invalid(told)) = checked(&numbers, &many(7, "x")) else { panic!("it fits") };
        assert_eq!(told.lines().count(), MAX_ERRORS, "{told}");
    }

    /// MCP 2026-07-28, base protocol: a reference to the network is not followed.
    #[test]
    fn unsafe_schemas_are_not_used() {
        for part in [
            json!({ "$ref": "https://example.com/a.json" }),
            json!({ "$ref": "#" }),
            json!({ "type": "made up" }),
            json!({ "pattern": "(" }),
            json!({ "pattern": "^(a{1,1000}){1,1000}$" }),
        ] {
            let schema = json!({ "type": "object", "properties": { "a": part } });
            assert_eq!(checked(&schema, &json!({ "a": "1" })), Err(SchemaValidationError::UnusableSchema), "{part}");
        }
    }

    /// The machine may have something else to do, so there are three tries.
    fn within(limit: Duration, schema: &Value, value: &Value) -> Result<(), SchemaValidationError> {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let begun = Instant::now();
            let outcome = checked(schema, value);
            best = best.min(begun.elapsed());
            if best < limit {
                return outcome;
            }
        }
        panic!("{best:?}: {}", schema.to_string().chars().take(200).collect::<String>())
    }

    fn many(members: usize, each: &str) -> Value {
        Value::Object((0..members).map(|member| (member.to_string(), json!(each))).collect())
    }

    /// Each of `depth` levels refers to the next one twice.
    fn doubling(depth: usize, keyword: &str) -> Value {
        let mut parts = Map::new();
        for level in 0..depth {
            let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
            parts.insert(level.to_string(), json!({ keyword: [next, next] }));
        }
        parts.insert(depth.to_string(), json!({ "not": { "const": 1 } }));
        json!({ "type": "object", "$defs": parts, "additionalProperties": { "$ref": "#/$defs/0" } })
    }

    #[test]
    fn validation_time_is_bounded_for_nested_schemas() {
        const LIMIT: Duration = Duration::from_millis(50);
        for keyword in ["anyOf", "oneOf", "allOf"] {
            assert_eq!(
                within(LIMIT, &doubling(18, keyword), &json!({ "a": 1 })),
                Err(SchemaValidationError::UnusableSchema),
                "{keyword}"
            );
            let largest = within(LIMIT, &doubling(8, keyword), &json!({ "a": 1 }));
            assert!(matches!(largest, Err(SchemaValidationError::Invalid(_))), "{keyword} {largest:?}");
            assert_eq!(
                within(LIMIT, &doubling(8, keyword), &many(1000, "x")),
                Err(SchemaValidationError::TooLarge),
                "{keyword}"
            );
        }
        let mut unevaluated = json!({ "unevaluatedProperties": false });
        for _ in 0..6 {
            unevaluated = json!({ "anyOf": [unevaluated], "unevaluatedProperties": false });
        }
        assert!(matches!(within(LIMIT, &unevaluated, &json!({ "a": 1 })), Err(SchemaValidationError::Invalid(_))));
        // As deep as JSON goes: neither the time nor the stack runs out.
        let deep = (0..60).fold(json!({ "type": "string" }), |inner, _| json!({ "properties": { "a": inner } }));
        let value = (0..60).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(matches!(within(LIMIT, &deep, &value), Err(SchemaValidationError::Invalid(_))));
    }

    #[test]
    fn validation_time_is_bounded_for_patterns() {
        // Regular expressions are some thirty times slower without optimisation.
        const LIMIT: Duration = Duration::from_secs(3);
        let long = json!({ "a": "a".repeat(60_000) });
        for pattern in ["^(?=a*)(a*)*\\1b$", "^(?:a|aa)+b$", "(a*)\\1(?!a)b", "^(?:[a-z]{0,100}[a-z]){100}$"] {
            for (patterns, value) in
                [(1, &long), (16, &long), (16, &many(490, "x")), (100, &many(10, "aaaaaaaaaaaaaaaa"))]
            {
                let patterns: Vec<_> =
                    (0..patterns).map(|number| json!({ "pattern": format!("{pattern}{number}") })).collect();
                let schema = json!({ "type": "object", "additionalProperties": { "anyOf": patterns } });
                let outcome = within(LIMIT, &schema, value);
                assert!(
                    matches!(outcome, Err(SchemaValidationError::Invalid(_) | SchemaValidationError::UnusableSchema)),
                    "{pattern} {outcome:?}"
                );
            }
        }
        // Nothing in it fails before all of it has been looked at.
        let schema = doubling(8, "allOf");
        assert_eq!(within(LIMIT, &schema, &many(500, "x")), Ok(()));
    }

    #[test]
    fn realistic_arguments_are_validated() {
        let row = json!({
            "type": "object",
            "properties": {
                "id": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,6}$" },
                "amount": { "type": "number", "minimum": 0 },
                "paid": { "type": "boolean" },
                "tags": { "type": "array", "items": { "enum": ["a", "b", "c"] } },
            },
            "required": ["id", "amount"],
            "additionalProperties": false,
        });
        let schema = json!({ "type": "object", "$defs": { "row": row }, "properties": { "rows": { "type": "array", "items": { "$ref": "#/$defs/row" } } } });
        let row = json!({ "id": "DE-170", "amount": 12.5, "paid": false, "tags": ["a", "c"] });
        assert_eq!(checked(&schema, &json!({ "rows": vec![row; 500] })), Ok(()));
        let password = json!({ "properties": { "a": { "pattern": "^(?=.*[0-9])(?=.*[a-z])(?!.*(.)\\1{3}).{8,}$" } } });
        assert_eq!(checked(&password, &json!({ "a": "a passphrase with 1 digit" })), Ok(()));
    }
}
