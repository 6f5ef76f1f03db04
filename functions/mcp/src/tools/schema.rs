//! Checks values against schemas that a tenant wrote, in bounded time.

use jsonschema::{Draft, PatternOptions, ValidationError};
use rmcp::model::JsonObject;
use serde_json::Value;
use shared::store::workspace::schema::BoundedSchema;

/// Why a value does not pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unchecked {
    /// The schema is none, or could take too long: the tenant's to mend.
    Unusable,
    /// The value is too large for what the schema asks of it.
    TooLarge,
    /// It does not fit: a line for each mistake, as `- /place: what is wrong`.
    Wrong(String),
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
const MISTAKES: usize = 5;
/// The most characters of each.
const MISTAKE: usize = 200;
/// The most meetings of a value's parts with a schema's parts.
const MEETINGS: usize = 1_000_000;
/// Up to so many, all mistakes are looked for; beyond, the first is enough.
const MEETINGS_TO_EXPLAIN: usize = 10_000;
/// The most characters that regular expressions may read: the tenant wrote those, and the model wrote these.
const READING: usize = 1024 * 1024;
/// What beginning to read a string counts for.
const BEGINNING: usize = 64;
/// Steps back that a regular expression may take on a string, at most.
const BACKTRACKING: usize = 100_000;
/// … and times what all of them read, since a step may look ahead to the end.
const BACKTRACKING_AND_READING: usize = 1024 * 1024;
/// The most bytes that a schema's regular expressions may take together.
const PATTERN_BYTES: usize = 1024 * 1024;

/// Checks `value` against `schema` (2020-12). References lead nowhere outside it.
///
/// # Errors
/// When the value does not fit, or the answer would take too long to find.
pub(super) fn check(schema: &JsonObject, value: &Value, formats: Formats) -> Result<(), Unchecked> {
    // Kept before there was a bound, or by other hands.
    let schema = BoundedSchema::new(schema).map_err(|_| Unchecked::Unusable)?;
    let (parts, text) = extent(value);
    let (meetings, reading) = (schema.values().saturating_mul(parts), schema.patterns().saturating_mul(text));
    if meetings > MEETINGS || reading > READING {
        return Err(Unchecked::TooLarge);
    }
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit((BACKTRACKING_AND_READING / reading.max(1)).clamp(1, BACKTRACKING))
        .size_limit(PATTERN_BYTES / schema.patterns().max(1));
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .should_validate_formats(formats == Formats::Asserted)
        .build(&Value::Object(schema.schema().clone()))
        .map_err(|_| Unchecked::Unusable)?;
    if validator.is_valid(value) {
        return Ok(());
    }
    let mistakes: Vec<_> = if meetings <= MEETINGS_TO_EXPLAIN {
        validator.iter_errors(value).take(MISTAKES).map(|error| told(&error)).collect()
    } else {
        validator.validate(value).err().iter().map(told).collect()
    };
    Err(Unchecked::Wrong(mistakes.join("\n")))
}

fn told(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let said: String = error.to_string().chars().take(MISTAKE).collect();
    format!("- {}: {said}", if place.is_empty() { "/" } else { &place })
}

/// How many parts a value has, and how much text there is to read in it, names of members included.
fn extent(value: &Value) -> (usize, usize) {
    let read = |text: &str| BEGINNING + text.len();
    let sum = |(parts, text): (usize, usize), (more, longer): (usize, usize)| (parts + more, text + longer);
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| sum((0, read(name)), extent(value))).fold((1, 0), sum)
        }
        Value::Array(values) => values.iter().map(extent).fold((1, 0), sum),
        Value::String(text) => (1, read(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::{Map, json};

    use super::*;

    fn checked(schema: &Value, value: &Value) -> Result<(), Unchecked> {
        check(schema.as_object().unwrap(), value, Formats::Annotated)
    }

    #[test]
    fn mistakes_are_named_with_their_places() {
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
            assert_eq!(checked(&schema, &value), Err(Unchecked::Wrong(told.to_owned())), "{value}");
        }
        let numbers = json!({ "additionalProperties": { "type": "number" } });
        let Err(Unchecked::Wrong(told)) = checked(&numbers, &many(7, "x")) else { panic!("it fits") };
        assert_eq!(told.lines().count(), MISTAKES, "{told}");
    }

    /// MCP 2026-07-28, base protocol: a reference to the network is not followed.
    #[test]
    fn which_schemas_are_not_used() {
        for part in [
            json!({ "$ref": "https://example.com/a.json" }),
            json!({ "$ref": "#" }),
            json!({ "type": "made up" }),
            json!({ "pattern": "(" }),
            json!({ "pattern": "^(a{1,1000}){1,1000}$" }),
        ] {
            let schema = json!({ "type": "object", "properties": { "a": part } });
            assert_eq!(checked(&schema, &json!({ "a": "1" })), Err(Unchecked::Unusable), "{part}");
        }
    }

    /// The machine may have something else to do, so there are three tries.
    fn within(limit: Duration, schema: &Value, value: &Value) -> Result<(), Unchecked> {
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
    fn the_worst_schemas_take_no_longer_than_others() {
        const LIMIT: Duration = Duration::from_millis(50);
        for keyword in ["anyOf", "oneOf", "allOf"] {
            assert_eq!(
                within(LIMIT, &doubling(18, keyword), &json!({ "a": 1 })),
                Err(Unchecked::Unusable),
                "{keyword}"
            );
            let largest = within(LIMIT, &doubling(8, keyword), &json!({ "a": 1 }));
            assert!(matches!(largest, Err(Unchecked::Wrong(_))), "{keyword} {largest:?}");
            assert_eq!(within(LIMIT, &doubling(8, keyword), &many(1000, "x")), Err(Unchecked::TooLarge), "{keyword}");
        }
        let mut unevaluated = json!({ "unevaluatedProperties": false });
        for _ in 0..6 {
            unevaluated = json!({ "anyOf": [unevaluated], "unevaluatedProperties": false });
        }
        assert!(matches!(within(LIMIT, &unevaluated, &json!({ "a": 1 })), Err(Unchecked::Wrong(_))));
        // As deep as JSON goes: neither the time nor the stack runs out.
        let deep = (0..60).fold(json!({ "type": "string" }), |inner, _| json!({ "properties": { "a": inner } }));
        let value = (0..60).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(matches!(within(LIMIT, &deep, &value), Err(Unchecked::Wrong(_))));
    }

    #[test]
    fn the_worst_patterns_and_values_end_soon() {
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
                assert!(matches!(outcome, Err(Unchecked::Wrong(_) | Unchecked::Unusable)), "{pattern} {outcome:?}");
            }
        }
        // Nothing in it fails before all of it has been looked at.
        let schema = doubling(8, "allOf");
        assert_eq!(within(LIMIT, &schema, &many(500, "x")), Ok(()));
    }

    #[test]
    fn what_tools_really_take_is_checked() {
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
