//! The items that a call writes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::template::TableDefinition;

/// One item that a call writes, or whose condition a transaction checks.
pub(super) struct Write<'a> {
    pub(super) table: &'a str,
    /// Its attributes, or those of its key alone.
    pub(super) attributes: &'a Value,
    /// Whether these are all of its attributes.
    pub(super) is_put: bool,
}

/// An item's table and key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ItemKey {
    pub(super) table: String,
    pub(super) key: Value,
}

/// What must be known of each table, by its name.
pub(super) struct Schemas(pub(super) BTreeMap<String, Schema>);

/// What must be known of one table.
pub(super) struct Schema {
    /// Partition key, then sort key.
    pub(super) keys: Vec<String>,
    /// The keys of its indexes.
    pub(super) index_keys: Vec<String>,
    /// The attribute that says when an item ends.
    pub(super) time_to_live: Option<String>,
}

impl<'a> Write<'a> {
    /// Each of a call, in its order.
    pub(super) fn all(operation: &str, body: &'a Value) -> Vec<Self> {
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => Self::of_table(body).into_iter().collect(),
            "TransactWriteItems" => elements(body.get("TransactItems"))
                .iter()
                .filter_map(|item| Self::of_table(item.as_object()?.values().next()?))
                .collect(),
            "BatchWriteItem" => batched(body)
                .flat_map(|(table, writes)| elements(Some(writes)).iter().map(move |write| (table, write)))
                .filter_map(|(table, write)| Self::new(table, write.as_object()?.values().next()?))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn of_table(write: &'a Value) -> Option<Self> {
        Self::new(write.get("TableName")?.as_str()?, write)
    }

    fn new(table: &'a str, write: &'a Value) -> Option<Self> {
        match (write.get("Item"), write.get("Key")) {
            (Some(attributes), _) => Some(Self { table, attributes, is_put: true }),
            (None, Some(attributes)) => Some(Self { table, attributes, is_put: false }),
            (None, None) => None,
        }
    }
}

impl Schemas {
    pub(super) fn new(definitions: &[TableDefinition]) -> Self {
        let schema = |TableDefinition { name, create, time_to_live }: &TableDefinition| {
            let indexes = elements(create.get("GlobalSecondaryIndexes")).iter();
            let schema = Schema {
                keys: attribute_names(create.get("KeySchema")),
                index_keys: indexes.flat_map(|index| attribute_names(index.get("KeySchema"))).collect(),
                time_to_live: time_to_live.clone(),
            };
            (name.clone(), schema)
        };
        Self(definitions.iter().map(schema).collect())
    }

    /// The key of an item; none in a table that there is not.
    pub(super) fn key(&self, table: &str, attributes: &Value) -> Option<ItemKey> {
        let names = &self.0.get(table)?.keys;
        let key: Option<Map<_, _>> =
            names.iter().map(|name| Some((name.clone(), attributes.get(name)?.clone()))).collect();
        Some(ItemKey { table: table.to_owned(), key: Value::Object(key?) })
    }

    /// The key of each item that a call writes, in its order.
    pub(super) fn written(&self, operation: &str, body: &Value) -> Vec<ItemKey> {
        let writes = Write::all(operation, body);
        writes.into_iter().filter_map(|write| self.key(write.table, write.attributes)).collect()
    }
}

/// The tables that a call is about, their names in lower case.
pub(super) fn tables(body: &Value) -> Vec<String> {
    let own = body.get("TableName").and_then(Value::as_str);
    let of_transaction = elements(body.get("TransactItems")).iter().filter_map(|item| {
        let write = item.as_object()?.values().next()?;
        write.get("TableName")?.as_str()
    });
    let names = own.into_iter().chain(of_transaction).chain(batched(body).map(|(table, _)| table));
    names.map(str::to_ascii_lowercase).collect()
}

/// Each table of a batch, and what is asked of it.
pub(super) fn batched(body: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
    tables.map(|(table, asked)| (table.as_str(), asked))
}

pub(super) fn elements(list: Option<&Value>) -> &[Value] {
    list.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// DynamoDB lists the partition key first.
fn attribute_names(key_schema: Option<&Value>) -> Vec<String> {
    let names = elements(key_schema).iter().filter_map(|key| key.get("AttributeName")?.as_str());
    names.map(str::to_owned).collect()
}
