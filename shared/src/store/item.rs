//! Reading and writing attributes by name.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::clock::Timestamp;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// An item of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Item(HashMap<String, AttributeValue>);

impl Item {
    pub(super) const fn new(attributes: HashMap<String, AttributeValue>) -> Self {
        Self(attributes)
    }

    pub(super) fn into_inner(self) -> HashMap<String, AttributeValue> {
        self.0
    }

    pub(super) fn has_key(&self, key: &[(&'static str, String)]) -> bool {
        key.iter().all(|(name, value)| self.text(name) == Some(value))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.0.get(name)?.as_n().ok()?.parse().ok()
    }

    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.number(name).map(Timestamp::from_seconds)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool().ok().copied()
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name)?.as_b().ok().map(AsRef::as_ref)
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<&str>> {
        self.0.get(name)?.as_l().ok()?.iter().map(|value| value.as_s().ok().map(String::as_str)).collect()
    }

    pub(super) fn map(&self, name: &str) -> Option<&HashMap<String, AttributeValue>> {
        self.0.get(name)?.as_m().ok()
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into().0);
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// A value of an attribute, from the types that our items hold.
pub(super) struct Value(pub(super) AttributeValue);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(AttributeValue::S(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(AttributeValue::S(text))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self(AttributeValue::N(number.to_string()))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(AttributeValue::N(number.to_string()))
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self(AttributeValue::N(time.seconds().to_string()))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(AttributeValue::Bool(flag))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self(AttributeValue::B(Blob::new(bytes)))
    }
}

impl<V: Into<Self>> From<Vec<V>> for Value {
    fn from(values: Vec<V>) -> Self {
        Self(AttributeValue::L(values.into_iter().map(|value| value.into().0).collect()))
    }
}

/// The error of an item that this version cannot have written: somebody else wrote it, or the schema has
/// changed.
pub(super) fn unparsable_item(table: &str) -> UpstreamError {
    upstream_call::failed("DynamoDB", format!("an item of {table} could not be parsed"))
}
