//! Parses JSON without repeated members at any depth: RFC 8259 §4 leaves open which of them counts.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use thiserror::Error;

/// Why a text is not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StrictJsonError {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It is not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// It is nested more deeply than was asked for.
    #[error("it is nested too deeply")]
    TooDeep,
    /// An object has a member twice.
    #[error("it has a member twice")]
    DuplicateMember,
}

/// The most levels of nesting that are parsed, whatever is asked for: those of `serde_json`.
pub const MAX_DEPTH: u8 = 127;

/// Parses `bytes`, which may be nested `depth` levels deep, and [`MAX_DEPTH`] at most.
///
/// # Errors
/// When it is not JSON, too deep, or has a member twice.
pub fn value(bytes: &[u8], depth: u8) -> Result<Value, StrictJsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StrictJsonError::NotUtf8)?;
    let error = Cell::new(StrictJsonError::NotJson);
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Strict { depth_left: depth, error: &error }.deserialize(&mut reader);
    match (read, reader.end()) {
        (Ok(value), Ok(())) => Ok(value),
        _ => Err(error.get()),
    }
}

/// Reads a value. An error beyond the grammar of JSON is stored in `error`.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: u8,
    error: &'a Cell<StrictJsonError>,
}

impl Strict<'_> {
    fn inside<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.refuse(StrictJsonError::TooDeep)),
        }
    }

    fn refuse<E: Error>(self, error: StrictJsonError) -> E {
        self.error.set(error);
        E::custom(error)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut all = Vec::new();
        while let Some(element) = elements.next_element_seed(inside)? {
            all.push(element);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inside)?;
            if all.insert(name, value).is_some() {
                return Err(self.refuse(StrictJsonError::DuplicateMember));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strict_json_is_parsed() {
        let deep = |levels: usize| format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        for (text, why) in [
            ("{}", None),
            ("null", None),
            ("[{}]", None),
            (r#" { "a": [1, -2, 3.5, true, null, "x"], "b": { "a": {} } } "#, None),
            (&deep(8), None),
            (&deep(9), Some(StrictJsonError::TooDeep)),
            (&deep(2000), Some(StrictJsonError::TooDeep)),
            (&format!("{{\"a\":{}", "[".repeat(4000)), Some(StrictJsonError::TooDeep)),
            (r#"{"a":1,"a":1}"#, Some(StrictJsonError::DuplicateMember)),
            (r#"{"a":1,"\u0061":1}"#, Some(StrictJsonError::DuplicateMember)),
            (r#"{"b":[{"a":1,"a":2}]}"#, Some(StrictJsonError::DuplicateMember)),
            ("", Some(StrictJsonError::NotJson)),
            ("{} {}", Some(StrictJsonError::NotJson)),
            ("{\"a\":1,}", Some(StrictJsonError::NotJson)),
            ("{'a':1}", Some(StrictJsonError::NotJson)),
            ("{\"a\":NaN}", Some(StrictJsonError::NotJson)),
            ("{\"a\":\"\\ud800\"}", Some(StrictJsonError::NotJson)),
            ("\u{feff}{}", Some(StrictJsonError::NotJson)),
        ] {
            assert_eq!(value(text.as_bytes(), 8).err(), why, "{text:.60}");
        }
        assert_eq!(value(b"{\"a\":\"\xff\"}", 8).err(), Some(StrictJsonError::NotUtf8));
        assert!(value(deep(usize::from(MAX_DEPTH)).as_bytes(), MAX_DEPTH).is_ok());
        assert!(value(deep(2000).as_bytes(), u8::MAX).is_err());
        let all = r#" {"a": [1, -2, 3.5, 18446744073709551615, true, null, "x\n"], "b": {"$serde_json::private::RawValue": "1"}}"#;
        assert_eq!(
            value(all.as_bytes(), 8).unwrap(),
            serde_json::json!({
                "a": [1, -2, 3.5, u64::MAX, true, null, "x\n"], "b": { "$serde_json::private::RawValue": "1" }
            })
        );
    }
}
