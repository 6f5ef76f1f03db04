//! AWS's limits of sizes ("Service, account, and table quotas in Amazon DynamoDB").

use std::collections::HashSet;

use serde_json::Value;

use super::write::{ItemKey, Schema, Schemas, Write, batched, elements};

/// Of a transaction, and of `BatchGetItem`.
const MOST_ITEMS: usize = 100;
/// Of `BatchWriteItem`.
const MOST_WRITES: usize = 25;
/// Bytes of an item, names of attributes included.
const LARGEST_ITEM: usize = 400 << 10;
/// Bytes of all items of a transaction.
const LARGEST_TRANSACTION: usize = 4 << 20;
/// Bytes of a partition key, and of a sort key.
const LONGEST_KEYS: [usize; 2] = [2048, 1024];
/// Characters of a `ClientRequestToken`.
const LONGEST_TOKEN: usize = 36;
/// Significant digits of a number.
const MOST_DIGITS: usize = 38;

/// Which limit a call exceeds, in AWS's words.
pub(super) fn exceeded(operation: &str, body: &Value, schemas: &Schemas) -> Option<String> {
    let writes = Write::all(operation, body);
    let keys: Vec<_> = writes.iter().filter_map(|write| schemas.key(write.table, write.attributes)).collect();
    let puts = || writes.iter().filter(|write| write.is_put);
    let of_operation = match operation {
        "TransactWriteItems" => {
            let token = body.get("ClientRequestToken").and_then(Value::as_str).unwrap_or_default();
            let bytes: usize = puts().map(|write| item_size(write.attributes)).sum();
            transaction(&keys, bytes, token.chars().count())
        }
        "BatchWriteItem" if writes.len() > MOST_WRITES => Some("Too many items requested for the BatchWriteItem call"),
        "BatchWriteItem" if has_duplicates(&keys) => Some("Provided list of item keys contains duplicates"),
        "BatchGetItem" => batch_get(body),
        _ => None,
    };
    let of_item = || {
        puts().find_map(|write| {
            let item = write.attributes;
            if item_size(item) > LARGEST_ITEM {
                return Some("Item size has exceeded the maximum allowed size".to_owned());
            }
            schemas.0.get(write.table).and_then(|schema| keys_of_item(item, schema))
        })
    };
    let of_numbers = || longest_number(body) > MOST_DIGITS;
    of_operation
        .map(str::to_owned)
        .or_else(of_item)
        .or_else(|| of_numbers().then(|| "Attempting to store more than 38 significant digits in a Number".to_owned()))
}

fn transaction(keys: &[ItemKey], bytes: usize, token: usize) -> Option<&'static str> {
    if keys.len() > MOST_ITEMS {
        Some("Member must have length less than or equal to 100")
    } else if has_duplicates(keys) {
        Some("Transaction request cannot include multiple operations on one item")
    } else if bytes > LARGEST_TRANSACTION {
        Some("Collection size exceeded 4 MB")
    } else if token > LONGEST_TOKEN {
        Some("clientRequestToken: Member must have length less than or equal to 36")
    } else {
        None
    }
}

fn batch_get(body: &Value) -> Option<&'static str> {
    let keys: Vec<_> = batched(body).map(|(_, asked)| elements(asked.get("Keys"))).collect();
    if keys.iter().map(|keys| keys.len()).sum::<usize>() > MOST_ITEMS {
        return Some("Too many items requested for the BatchGetItem call");
    }
    keys.into_iter().any(has_duplicates).then_some("Provided list of item keys contains duplicates")
}

/// Of its table, and of the table's indexes.
fn keys_of_item(item: &Value, schema: &Schema) -> Option<String> {
    let length = |name: &String| item.get(name)?.get("S")?.as_str().map(str::len);
    let own = schema.keys.iter().zip(LONGEST_KEYS);
    let mut refused = own.filter(|(name, most)| length(name).is_some_and(|bytes| bytes == 0 || bytes > *most));
    if let Some((name, _)) = refused.next() {
        return Some(format!("One or more parameter values are not valid: key {name}"));
    }
    let empty = schema.index_keys.iter().find(|name| length(name) == Some(0))?;
    Some(format!("One or more parameter values are not valid: empty string for index key {empty}"))
}

fn has_duplicates<T: std::hash::Hash + Eq>(keys: &[T]) -> bool {
    keys.iter().collect::<HashSet<_>>().len() != keys.len()
}

/// "DynamoDB item sizes and formats".
fn item_size(item: &Value) -> usize {
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    let text = || value.as_str().map_or(0, str::len);
    match kind.as_str() {
        "S" => text(),
        "N" => text() / 2 + 2,
        "B" => text() * 3 / 4,
        "BOOL" | "NULL" => 1,
        "SS" | "NS" | "BS" => elements(Some(value)).iter().filter_map(Value::as_str).map(str::len).sum(),
        "L" => 3 + elements(Some(value)).iter().map(|element| 1 + value_size(element)).sum::<usize>(),
        "M" => 3 + item_size(value) + value.as_object().map_or(0, serde_json::Map::len),
        _ => 0,
    }
}

/// How many significant digits the longest number has, anywhere in a request.
fn longest_number(json: &Value) -> usize {
    match json {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value.as_str().filter(|_| name == "N") {
                Some(number) => significant_digits(number),
                None => longest_number(value),
            })
            .max()
            .unwrap_or_default(),
        Value::Array(elements) => elements.iter().map(longest_number).max().unwrap_or_default(),
        _ => 0,
    }
}

fn significant_digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}
