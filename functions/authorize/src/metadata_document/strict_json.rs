//! Parses JSON without repeated members at any depth: RFC 8259 §4 leaves open which of them counts.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::document_error::DocumentError;

/// The deepest nesting. A set of keys with certificates has five levels.
const MAX_DEPTH: u8 = 8;

/// Parses the object in `bytes`.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::NotUtf8)?;
    let error = Cell::new(DocumentError::NotJson);
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Strict { depth_left: MAX_DEPTH, error: &error }.deserialize(&mut reader);
    match (read, reader.end()) {
        (Ok(Value::Object(object)), Ok(())) => Ok(object),
        _ => Err(error.get()),
    }
}

/// Reads a value. An error beyond the grammar of JSON is stored in `error`.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: u8,
    error: &'a Cell<DocumentError>,
}

impl Strict<'_> {
    fn inside<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.refuse(DocumentError::TooDeep)),
        }
    }

    fn refuse<E: Error>(self, error: DocumentError) -> E {
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
                return Err(self.refuse(DocumentError::DuplicateMember));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_strict_json_object_is_parsed() {
        let deep = |levels: usize| format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        for (text, why) in [
            ("{}", None),
            (r#" { "a": [1, -2, 3.5, true, null, "x"], "b": { "a": {} } } "#, None),
            (&deep(8), None),
            (&deep(9), Some(DocumentError::TooDeep)),
            (&deep(2000), Some(DocumentError::TooDeep)),
            (&format!("{{\"a\":{}", "[".repeat(4000)), Some(DocumentError::TooDeep)),
            (r#"{"a":1,"a":1}"#, Some(DocumentError::DuplicateMember)),
            (r#"{"a":1,"\u0061":1}"#, Some(DocumentError::DuplicateMember)),
            (r#"{"b":[{"a":1,"a":2}]}"#, Some(DocumentError::DuplicateMember)),
            ("", Some(DocumentError::NotJson)),
            ("null", Some(DocumentError::NotJson)),
            ("[{}]", Some(DocumentError::NotJson)),
            ("{} {}", Some(DocumentError::NotJson)),
            ("{\"a\":1,}", Some(DocumentError::NotJson)),
            ("{'a':1}", Some(DocumentError::NotJson)),
            ("{\"a\":NaN}", Some(DocumentError::NotJson)),
            ("{\"a\":\"\\ud800\"}", Some(DocumentError::NotJson)),
            ("\u{feff}{}", Some(DocumentError::NotJson)),
        ] {
            assert_eq!(object(text.as_bytes()).err(), why, "{text:.60}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}").err(), Some(DocumentError::NotUtf8));
    }
}
