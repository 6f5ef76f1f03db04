//! Queries of records: conditions that must all hold, and an order. Searches and views use the same. Pure.
//!
//! ```text
//! filter   [{ "field": "paid", "op": "eq", "value": false }, { "field": "due", "op": "lt", "value": "2026-12-01" }]
//! sort     [{ "field": "due", "direction": "asc" }]
//! ```
//!
//! A field is one at the top (`customer`), one inside an object (`customer.city`), or one of the record itself (`$id`, `$version`,
//! `$created`, `$updated`, `$updatedBy`). A missing field counts as null. Numbers compare by value, text by code point, so that
//! dates of ISO 8601 compare as dates; what is of different types is neither equal, nor less, nor greater.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value, json};
use thiserror::Error;

use super::Name;
use super::entity::Entity;

/// Most conditions of a filter.
pub const CONDITIONS: usize = 20;
/// Most values that a condition `in` may list.
pub const CHOICES: usize = 50;
/// Most fields to sort by.
pub const ORDERS: usize = 3;
/// Most columns of a view.
pub const COLUMNS: usize = 50;
/// Most bytes of a field's name, with the path to it.
pub const FIELD_LIMIT: usize = 128;
/// Most bytes of a text to compare with.
pub const TEXT_LIMIT: usize = 1024;
/// Most words to search for.
pub const WORDS: usize = 10;
/// Characters of a text that count for the order. Cursors contain them.
const SORTED_CHARACTERS: usize = 128;

/// A condition on one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    field: Field,
    op: Op,
    /// What `op` takes: a scalar, for `in` an array of them, for `exists` a boolean.
    value: Value,
}

/// The order of records: by these fields, then by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sort(Vec<Order>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    field: Field,
    descending: bool,
}

/// The sort key of a record: its place in an order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// Numbers, beginnings of texts, booleans, or null.
    keys: Vec<Value>,
    id: Name,
}

/// Words that a record must all contain somewhere, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

/// The name of a field, or the path to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(String);

/// What is wrong with a query.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{at}: {wrong}")]
pub struct QueryError {
    /// Where in the query.
    pub at: String,
    /// What.
    pub wrong: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Contains,
    Exists,
}

/// Every operator's name, for schemas.
pub const OPS: [&str; 9] = ["eq", "ne", "lt", "le", "gt", "ge", "in", "contains", "exists"];

impl Condition {
    /// A filter from JSON. No JSON means no conditions.
    ///
    /// # Errors
    /// When it is not a list of at most [`CONDITIONS`] conditions.
    pub fn parse_all(filter: Option<&Value>) -> Result<Vec<Self>, QueryError> {
        list("filter", filter, CONDITIONS, "at most 20 conditions")?
            .iter()
            .enumerate()
            .map(|(place, condition)| {
                Self::parse(condition).map_err(|wrong| query_error(format!("filter[{place}]"), wrong))
            })
            .collect()
    }

    fn parse(condition: &Value) -> Result<Self, &'static str> {
        let parts = condition.as_object().ok_or("a condition is an object with field, op and value")?;
        if !parts.keys().all(|part| ["field", "op", "value"].contains(&part.as_str())) {
            return Err("a condition has only field, op and value");
        }
        let field = Field::parse(parts.get("field"))?;
        let op = parts.get("op").and_then(Value::as_str).and_then(Op::parse);
        let op = op.ok_or("op is one of eq, ne, lt, le, gt, ge, in, contains, exists")?;
        let value = match (op, parts.get("value")) {
            (Op::Exists, None) => Value::Bool(true),
            (Op::Exists, Some(Value::Bool(_))) => parts.get("value").cloned().unwrap_or_default(),
            (Op::Exists, Some(_)) => return Err("exists takes true or false"),
            (_, None) => return Err("value is missing"),
            (Op::In, Some(Value::Array(choices))) if choices.len() > CHOICES => {
                return Err("in takes at most 50 values");
            }
            (Op::In, Some(Value::Array(choices))) if choices.iter().all(is_scalar) => Value::Array(choices.clone()),
            (Op::In, Some(_)) => {
                return Err("in takes a list of texts, numbers, booleans or nulls of at most 1,024 bytes each");
            }
            (Op::Lt | Op::Le | Op::Gt | Op::Ge, Some(Value::Bool(_) | Value::Null)) => {
                return Err("lt, le, gt and ge take a text or a number");
            }
            (Op::Contains, Some(Value::Null)) => return Err("contains takes a text, a number or a boolean"),
            (_, Some(value)) if is_scalar(value) => value.clone(),
            (_, Some(_)) => return Err("value is a text of at most 1,024 bytes, a number, a boolean or null"),
        };
        Ok(Self { field, op, value })
    }

    /// Whether it holds for a record.
    #[must_use]
    pub fn holds(&self, entity: &Entity) -> bool {
        let found = self.field.of(entity);
        let compared = || match (&*found, &self.value) {
            (Value::Number(found), Value::Number(value)) => Some(compare(found, value)),
            (Value::String(found), Value::String(value)) => Some(found.cmp(value)),
            _ => None,
        };
        match self.op {
            Op::Eq => equal(&found, &self.value),
            Op::Ne => !equal(&found, &self.value),
            Op::Lt => compared().is_some_and(Ordering::is_lt),
            Op::Le => compared().is_some_and(Ordering::is_le),
            Op::Gt => compared().is_some_and(Ordering::is_gt),
            Op::Ge => compared().is_some_and(Ordering::is_ge),
            Op::In => self.value.as_array().is_some_and(|choices| choices.iter().any(|value| equal(&found, value))),
            Op::Contains => match (&*found, &self.value) {
                (Value::String(found), Value::String(value)) => found.to_lowercase().contains(&value.to_lowercase()),
                (Value::Array(found), value) => found.iter().any(|found| equal(found, value)),
                _ => false,
            },
            Op::Exists => self.value == Value::Bool(!found.is_null()),
        }
    }

    /// The field that it is about.
    #[must_use]
    pub const fn field(&self) -> &Field {
        &self.field
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "field": self.field.0, "op": self.op.as_str(), "value": self.value })
    }
}

impl Op {
    const ALL: [Self; OPS.len()] =
        [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge, Self::In, Self::Contains, Self::Exists];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str() == text)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::In => "in",
            Self::Contains => "contains",
            Self::Exists => "exists",
        }
    }
}

impl Sort {
    /// From JSON. No JSON means the order of ids.
    ///
    /// # Errors
    /// When it is not a list of at most [`ORDERS`] fields with their directions.
    pub fn parse(sort: Option<&Value>) -> Result<Self, QueryError> {
        let orders = list("sort", sort, ORDERS, "at most 3 fields")?.iter().enumerate();
        let orders = orders
            .map(|(place, order)| Order::parse(order).map_err(|wrong| query_error(format!("sort[{place}]"), wrong)));
        orders.collect::<Result<_, _>>().map(Self)
    }

    /// Whether it is the order of ids.
    #[must_use]
    pub const fn is_by_id(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a record stands.
    #[must_use]
    pub fn sort_key(&self, entity: &Entity) -> SortKey {
        let key = |order: &Order| match &*order.field.of(entity) {
            Value::String(text) => text.chars().take(SORTED_CHARACTERS).collect::<String>().into(),
            key @ (Value::Number(_) | Value::Bool(_)) => key.clone(),
            _ => Value::Null,
        };
        SortKey { keys: self.0.iter().map(key).collect(), id: entity.id.clone() }
    }

    /// The order of two places: numbers, then texts, then booleans; or the other way round. What is missing, or neither of
    /// these, is last in either direction.
    #[must_use]
    pub fn compare(&self, one: &SortKey, other: &SortKey) -> Ordering {
        let keys = self.0.iter().zip(one.keys.iter().zip(&other.keys));
        let by_keys = keys.map(|(order, (one, other))| match (one.is_null(), other.is_null()) {
            (false, false) if order.descending => rank(other, one),
            (false, false) => rank(one, other),
            (one_is_null, other_is_null) => one_is_null.cmp(&other_is_null),
        });
        by_keys.fold(Ordering::Equal, Ordering::then).then_with(|| one.id.cmp(&other.id))
    }

    /// The sort key that [`SortKey::to_json`] wrote, if it can be one of this order.
    #[must_use]
    pub fn parse_sort_key(&self, place: &Value) -> Option<SortKey> {
        let (keys, id) = match place.as_array()?.as_slice() {
            [Value::Array(keys), Value::String(id)] => (keys.clone(), Name::parse(id)?),
            _ => return None,
        };
        (keys.len() == self.0.len() && keys.iter().all(is_scalar)).then_some(SortKey { keys, id })
    }

    /// The fields that it is by.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().map(|order| &order.field)
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let direction = |descending| if descending { "desc" } else { "asc" };
        let order = |order: &Order| json!({ "field": order.field.0, "direction": direction(order.descending) });
        self.0.iter().map(order).collect()
    }
}

impl Order {
    fn parse(order: &Value) -> Result<Self, &'static str> {
        let parts = order.as_object().ok_or("an order is an object with field and direction")?;
        if !parts.keys().all(|part| ["field", "direction"].contains(&part.as_str())) {
            return Err("an order has only field and direction");
        }
        let descending = match parts.get("direction").map(Value::as_str) {
            None | Some(Some("asc")) => false,
            Some(Some("desc")) => true,
            Some(_) => return Err("direction is asc or desc"),
        };
        Ok(Self { field: Field::parse(parts.get("field"))?, descending })
    }
}

impl SortKey {
    /// For a cursor.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!([self.keys, self.id.as_str()])
    }
}

impl Words {
    /// From text.
    ///
    /// # Errors
    /// When there is no word in it, or too much.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let wrong = |wrong| Err(query_error("text".to_owned(), wrong));
        if text.len() > TEXT_LIMIT {
            return wrong("at most 1,024 bytes");
        }
        match text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>() {
            words if words.is_empty() => wrong("at least one word"),
            words if words.len() > WORDS => wrong("at most 10 words"),
            words => Ok(Self(words)),
        }
    }

    /// Whether a record contains all of them, in its id or its fields.
    #[must_use]
    pub fn hold(&self, entity: &Entity) -> bool {
        let mut content = entity.id.as_str().to_owned();
        entity.fields.values().for_each(|value| append_text(value, &mut content));
        let content = content.to_lowercase();
        self.0.iter().all(|word| content.contains(word))
    }
}

/// Appends the texts and numbers in `value`, a line each.
fn append_text(value: &Value, content: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => content.extend(["\n", &number.to_string()]),
        Value::String(text) => content.extend(["\n", text]),
        Value::Array(values) => values.iter().for_each(|value| append_text(value, content)),
        Value::Object(fields) => fields.values().for_each(|value| append_text(value, content)),
    }
}

impl Field {
    fn parse(field: Option<&Value>) -> Result<Self, &'static str> {
        const RECORDS: [&str; 5] = ["$id", "$version", "$created", "$updated", "$updatedBy"];
        let field = field.and_then(Value::as_str).filter(|field| (1..=FIELD_LIMIT).contains(&field.len()));
        let field = field.ok_or("field is a name of 1 to 128 bytes")?;
        if field.starts_with('$') && !RECORDS.contains(&field) {
            return Err("of the record itself, there are $id, $version, $created, $updated and $updatedBy");
        }
        Ok(Self(field.to_owned()))
    }

    /// Columns from JSON. No JSON means all fields.
    ///
    /// # Errors
    /// When they are not a list of at most [`COLUMNS`] fields.
    pub fn parse_columns(columns: Option<&Value>) -> Result<Vec<Self>, QueryError> {
        let columns = list("columns", columns, COLUMNS, "at most 50 columns")?.iter().enumerate();
        let columns = columns.map(|(place, column)| {
            Self::parse(Some(column)).map_err(|wrong| query_error(format!("columns[{place}]"), wrong))
        });
        columns.collect()
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its value in a record; null if it has none.
    #[must_use]
    pub fn of<'a>(&self, entity: &'a Entity) -> Cow<'a, Value> {
        match self.0.as_str() {
            "$id" => Cow::Owned(entity.id.as_str().into()),
            "$version" => Cow::Owned(entity.version.into()),
            "$created" => Cow::Owned(entity.created.to_rfc3339().into()),
            "$updated" => Cow::Owned(entity.updated.to_rfc3339().into()),
            "$updatedBy" => Cow::Owned(entity.updated_by.as_ref().map(ToString::to_string).into()),
            path => Cow::Borrowed(lookup(&entity.fields, path)),
        }
    }

    /// Whether a schema of an object that takes no other properties than it declares has this one.
    #[must_use]
    pub fn fits(&self, schema: &Map<String, Value>) -> bool {
        let declared = schema.get("properties").and_then(Value::as_object);
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
            && !["patternProperties", "$ref", "allOf"].iter().any(|keyword| schema.contains_key(*keyword));
        let first = self.0.split('.').next().unwrap_or_default();
        let known = |declared: &Map<String, Value>| declared.contains_key(&self.0) || declared.contains_key(first);
        !closed || self.0.starts_with('$') || declared.is_none_or(known)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field's name may itself have dots: the longest name that exists counts.
fn lookup<'a>(fields: &'a Map<String, Value>, path: &str) -> &'a Value {
    if let Some(value) = fields.get(path) {
        return value;
    }
    let cut = path.split_once('.').and_then(|(first, rest)| Some((fields.get(first)?.as_object()?, rest)));
    cut.map_or(&Value::Null, |(fields, rest)| lookup(fields, rest))
}

fn list<'a>(at: &str, value: Option<&'a Value>, most: usize, limit: &'static str) -> Result<&'a [Value], QueryError> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) if values.len() <= most => Ok(values),
        Some(Value::Array(_)) => Err(query_error(at.to_owned(), limit)),
        Some(_) => Err(query_error(at.to_owned(), "must be a list")),
    }
}

const fn query_error(at: String, wrong: &'static str) -> QueryError {
    QueryError { at, wrong }
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= TEXT_LIMIT,
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare(one, other).is_eq(),
        _ => one == other,
    }
}

/// The order of two that are not null.
fn rank(one: &Value, other: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        _ => 2,
    };
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare(one, other),
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        _ => kind(one).cmp(&kind(other)),
    }
}

/// Compares whole numbers and fractions exactly: with rounding, the order would contradict itself.
fn compare(one: &Number, other: &Number) -> Ordering {
    #[expect(clippy::cast_possible_truncation, reason = "saturates beyond 2^127, where the float itself decides")]
    let parts = |number: &Number| match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), ..) => (i128::from(whole), 0.0),
        (_, Some(whole), _) => (i128::from(whole), 0.0),
        (.., float) => {
            let float = float.unwrap_or_default();
            let floor = float.floor();
            (floor as i128, if float.abs() < 1e38 { float - floor } else { float })
        }
    };
    let ((one, one_more), (other, other_more)) = (parts(one), parts(other));
    one.cmp(&other).then(one_more.total_cmp(&other_more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn entity(id: &str, fields: Value) -> Entity {
        let Value::Object(fields) = fields else { panic!("fields") };
        Entity {
            kind: Name::parse("invoice").unwrap(),
            id: Name::parse(id).unwrap(),
            version: 3,
            fields,
            created: Timestamp::from_seconds(0),
            updated: Timestamp::from_seconds(1_795_339_800),
            updated_by: None,
        }
    }

    #[test]
    fn conditions_are_evaluated() {
        let invoice = entity(
            "in-1",
            json!({
                "number": "2026-001", "amount": 120.5, "paid": false, "due": "2026-11-30", "note": null, "count": 3,
                "customer": { "name": "Bäcker Öhler", "city": "Bonn" }, "tags": ["late", 7], "a.b": 1, "big": 9_007_199_254_740_993_u64,
            }),
        );
        for (field, op, value, holds) in [
            ("number", "eq", json!("2026-001"), true),
            ("number", "eq", json!("2026-0010"), false),
            ("number", "eq", json!(2026), false),
            ("count", "eq", json!(3.0), true),
            ("count", "ne", json!(3), false),
            ("count", "ne", json!("3"), true),
            ("big", "eq", json!(9_007_199_254_740_992.0), false),
            ("big", "gt", json!(9_007_199_254_740_992.0), true),
            ("paid", "eq", json!(false), true),
            ("paid", "ne", json!(false), false),
            ("paid", "eq", json!(null), false),
            ("note", "eq", json!(null), true),
            ("missing", "eq", json!(null), true),
            ("missing", "ne", json!("x"), true),
            ("missing", "lt", json!("x"), false),
            ("missing", "gt", json!(0), false),
            ("amount", "lt", json!(120.6), true),
            ("amount", "lt", json!(120.5), false),
            ("amount", "le", json!(120.5), true),
            ("amount", "gt", json!(120), true),
            ("amount", "gt", json!(-1e300), true),
            ("amount", "lt", json!(1e300), true),
            ("amount", "ge", json!(121), false),
            ("amount", "gt", json!("1"), false),
            ("due", "lt", json!("2026-12-01"), true),
            ("due", "ge", json!("2026-11-30"), true),
            ("due", "gt", json!("2026-11-30"), false),
            ("count", "in", json!([1, 2, 3]), true),
            ("count", "in", json!(["3"]), false),
            ("missing", "in", json!([1, null]), true),
            ("count", "in", json!([]), false),
            ("tags", "contains", json!("late"), true),
            ("tags", "contains", json!(7.0), true),
            ("tags", "contains", json!("lat"), false),
            ("customer.name", "contains", json!("öhler"), true),
            ("customer.city", "eq", json!("Bonn"), true),
            ("customer.city.x", "exists", json!(true), false),
            ("customer", "exists", json!(true), true),
            ("a.b", "eq", json!(1), true),
            ("note", "exists", json!(true), false),
            ("note", "exists", json!(false), true),
            ("amount", "contains", json!("1"), false),
            ("$id", "eq", json!("in-1"), true),
            ("$version", "ge", json!(3), true),
            ("$updated", "gt", json!("2026-11-22"), true),
            ("$created", "lt", json!("1970-01-02"), true),
            ("$updatedBy", "exists", json!(false), true),
        ] {
            let filter = json!([{ "field": field, "op": op, "value": value }]);
            let parsed = Condition::parse_all(Some(&filter)).unwrap();
            assert_eq!(parsed[0].holds(&invoice), holds, "{filter}");
            assert_eq!(json!([parsed[0].to_json()]), filter);
        }
        assert!(Condition::parse_all(Some(&json!([{ "field": "paid", "op": "exists" }]))).unwrap()[0].holds(&invoice));
        assert_eq!(Condition::parse_all(None), Ok(vec![]));
    }

    #[test]
    fn malformed_filters_are_refused() {
        let of = |condition: Value| json!([{ "field": "a", "op": "exists" }, condition]);
        let (long, many) = ("a".repeat(TEXT_LIMIT + 1), vec![json!(1); CHOICES + 1]);
        for (filter, told) in [
            (json!({ "paid": false }), "filter: must be a list"),
            (json!(vec![json!({ "field": "a", "op": "exists" }); CONDITIONS + 1]), "filter: at most 20 conditions"),
            (of(json!("a")), "filter[1]: a condition is an object with field, op and value"),
            (
                of(json!({ "field": "a", "op": "eq", "value": 1, "or": 2 })),
                "filter[1]: a condition has only field, op and value",
            ),
            (of(json!({ "op": "eq", "value": 1 })), "filter[1]: field is a name of 1 to 128 bytes"),
            (of(json!({ "field": "", "op": "eq", "value": 1 })), "filter[1]: field is a name of 1 to 128 bytes"),
            (
                of(json!({ "field": "$tenant", "op": "eq", "value": 1 })),
                "filter[1]: of the record itself, there are $id, $version, $created, $updated and $updatedBy",
            ),
            (
                of(json!({ "field": "a", "op": "like", "value": 1 })),
                "filter[1]: op is one of eq, ne, lt, le, gt, ge, in, contains, exists",
            ),
            (of(json!({ "field": "a", "op": "eq" })), "filter[1]: value is missing"),
            (of(json!({ "field": "a", "op": "exists", "value": 1 })), "filter[1]: exists takes true or false"),
            (
                of(json!({ "field": "a", "op": "lt", "value": true })),
                "filter[1]: lt, le, gt and ge take a text or a number",
            ),
            (
                of(json!({ "field": "a", "op": "contains", "value": null })),
                "filter[1]: contains takes a text, a number or a boolean",
            ),
            (of(json!({ "field": "a", "op": "in", "value": many })), "filter[1]: in takes at most 50 values"),
            (
                of(json!({ "field": "a", "op": "in", "value": 1 })),
                "filter[1]: in takes a list of texts, numbers, booleans or nulls of at most 1,024 bytes each",
            ),
            (
                of(json!({ "field": "a", "op": "eq", "value": [1] })),
                "filter[1]: value is a text of at most 1,024 bytes, a number, a boolean or null",
            ),
            (
                of(json!({ "field": "a", "op": "eq", "value": long })),
                "filter[1]: value is a text of at most 1,024 bytes, a number, a boolean or null",
            ),
        ] {
            assert_eq!(Condition::parse_all(Some(&filter)).unwrap_err().to_string(), told, "{filter}");
        }
    }

    #[test]
    fn records_are_sorted() {
        let records: Vec<_> = [
            ("a", json!({ "x": 2, "y": "b" })),
            ("b", json!({ "x": 10, "y": "a" })),
            ("c", json!({ "x": "10", "y": "b" })),
            ("d", json!({ "x": null, "y": "Z" })),
            ("e", json!({ "y": "a" })),
            ("f", json!({ "x": true })),
            ("g", json!({ "x": false })),
            ("h", json!({ "x": -0.5 })),
            ("i", json!({ "x": [1] })),
            ("j", json!({ "x": 2.0, "y": "a" })),
        ]
        .map(|(id, fields)| entity(id, fields))
        .into();
        for (sort, order) in [
            (json!([]), "abcdefghij"),
            (json!([{ "field": "$id", "direction": "desc" }]), "jihgfedcba"),
            (json!([{ "field": "x" }]), "hajbcgfdei"),
            (json!([{ "field": "x", "direction": "desc" }]), "fgcbajhdei"),
            (json!([{ "field": "x", "direction": "asc" }, { "field": "y", "direction": "asc" }]), "hjabcgfdei"),
            (json!([{ "field": "y", "direction": "asc" }, { "field": "x", "direction": "desc" }]), "dbjecafghi"),
        ] {
            let parsed = Sort::parse(Some(&sort)).unwrap();
            let mut sorted: Vec<_> = records.iter().map(|record| parsed.sort_key(record)).collect();
            sorted.sort_by(|one, other| parsed.compare(one, other));
            let ids: String = sorted.iter().map(|place| place.id.as_str()).collect();
            assert_eq!(ids, order, "{sort}");
            for place in sorted {
                assert_eq!(parsed.parse_sort_key(&place.to_json()), Some(place));
            }
        }
    }

    #[test]
    fn malformed_sorts_and_sort_keys_are_refused() {
        for (sort, told) in [
            (json!("due"), "sort: must be a list"),
            (json!(["due"]), "sort[0]: an order is an object with field and direction"),
            (json!([{ "field": "due", "direction": "up" }]), "sort[0]: direction is asc or desc"),
            (json!([{ "field": "due", "by": "x" }]), "sort[0]: an order has only field and direction"),
            (json!([{ "direction": "asc" }]), "sort[0]: field is a name of 1 to 128 bytes"),
            (json!(vec![json!({ "field": "a" }); ORDERS + 1]), "sort: at most 3 fields"),
        ] {
            assert_eq!(Sort::parse(Some(&sort)).unwrap_err().to_string(), told, "{sort}");
        }
        let sort = Sort::parse(Some(&json!([{ "field": "due" }]))).unwrap();
        for place in
            [json!([[], "a"]), json!([[1, 2], "a"]), json!([[[1]], "a"]), json!([[1], "a#b"]), json!("a"), json!([[1]])]
        {
            assert_eq!(sort.parse_sort_key(&place), None, "{place}");
        }
    }

    /// Rust's sort may panic on an order that contradicts itself.
    #[test]
    fn the_order_of_numbers_is_total() {
        let texts = [
            "-1.7976931348623157e308",
            "-1e40",
            "-9223372036854775808",
            "-1.5",
            "-1",
            "-0.5",
            "0",
            "1e-300",
            "0.5",
            "1",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "18446744073709551615",
            "1e38",
            "1.7e38",
            "1.8e38",
            "1e300",
        ];
        let numbers = texts.map(|text| serde_json::from_str::<Number>(text).unwrap());
        for (place, one) in numbers.iter().enumerate() {
            for (other_place, other) in numbers.iter().enumerate() {
                assert_eq!(compare(one, other), place.cmp(&other_place), "{one} {other}");
            }
        }
        for (one, other) in [("0", "-0.0"), ("2", "2.0"), ("9007199254740992", "9007199254740992.0")] {
            let of = |text| serde_json::from_str::<Number>(text).unwrap();
            assert_eq!(compare(&of(one), &of(other)), Ordering::Equal, "{one} {other}");
        }
    }

    #[test]
    fn search_ignores_case_and_looks_in_every_field() {
        let invoice = entity(
            "in-1",
            json!({ "customer": { "name": "Acme Bäckerei" }, "lines": [{ "text": "Rye" }], "amount": 17.5 }),
        );
        for (text, found) in [
            ("acme", true),
            ("BÄCKEREI acme", true),
            ("rye 17.5", true),
            ("in-1", true),
            ("acme wheat", false),
            ("customer", false),
        ] {
            assert_eq!(Words::parse(text).unwrap().hold(&invoice), found, "{text}");
        }
        for (text, told) in [
            ("", "text: at least one word".to_owned()),
            ("  ", "text: at least one word".to_owned()),
            (&"a".repeat(TEXT_LIMIT + 1), "text: at most 1,024 bytes".to_owned()),
            (&"a ".repeat(WORDS + 1), "text: at most 10 words".to_owned()),
        ] {
            assert_eq!(Words::parse(text).unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn closed_schema_accepts_only_declared_fields() {
        let schema = |value: Value| value.as_object().unwrap().clone();
        let closed = json!({ "type": "object", "properties": { "a": {}, "b.c": {} }, "additionalProperties": false });
        let open = json!({ "type": "object", "properties": { "a": {} } });
        for (field, in_closed) in [("a", true), ("a.x", true), ("b.c", true), ("b", false), ("x", false), ("$id", true)]
        {
            let field = Field::parse(Some(&field.into())).unwrap();
            assert_eq!(field.fits(&schema(closed.clone())), in_closed, "{field}");
            assert!(field.fits(&schema(open.clone())), "{field}");
        }
    }
}
