//! The tables in DynamoDB. Every access is by key, or a query within one tenant or one person. Only operators
//! scan.
//!
//! Each file documents its items, with an example of each state. Expired items linger for days, so readers check the time.

pub mod activity;
pub mod api_keys;
pub mod approvals;
mod backoff;
pub mod blocked_hosts;
pub mod budgets;
pub mod clients;
pub mod connections;
pub mod directory;
pub mod document_fetches;
pub mod grants;
mod hourly_counts;
mod item;
mod item_update;
pub mod joint_revocations;
pub mod key_creations;
pub mod membership_changes;
pub mod operator;
pub mod pending_scopes;
mod seen_people;
pub mod shared_secret;
pub mod sign_in_attempts;
mod transaction;
mod used_assertions;
pub mod workspace;
pub mod workspace_layout;
pub mod workspace_move;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, WriteRequest};
use std::collections::HashMap;

use crate::upstream_call;
use crate::upstream_error::UpstreamError;
use backoff::Backoff;
use item::Item;

/// One item to be read: a table and a whole key.
struct Key<'a> {
    table: &'a str,
    attributes: Vec<(&'static str, String)>,
}

impl Key<'_> {
    /// The name of the partition key, which every item of the table has.
    fn partition(&self) -> &'static str {
        self.attributes.first().map_or("id", |(name, _)| *name)
    }

    fn attribute_values(&self) -> HashMap<String, AttributeValue> {
        self.attributes.iter().map(|(name, value)| ((*name).to_owned(), AttributeValue::S(value.clone()))).collect()
    }
}

/// The items at `keys`, in their order, from any tables, consistently, in one call per hundred.
async fn batch_get_items(
    dynamo: &aws_sdk_dynamodb::Client,
    keys: &[Key<'_>],
) -> Result<Vec<Option<Item>>, UpstreamError> {
    const CALL: &str = "DynamoDB.BatchGetItem";
    const MAX: usize = 100;

    let mut found: Vec<Option<Item>> = keys.iter().map(|_| None).collect();
    for chunk in keys.chunks(MAX) {
        let mut remaining: HashMap<String, KeysAndAttributes> = HashMap::new();
        for key in chunk {
            let mut entry = remaining.remove(key.table).map_or_else(Vec::new, |entry| entry.keys);
            entry.push(key.attribute_values());
            let entry = KeysAndAttributes::builder().set_keys(Some(entry)).consistent_read(true).build();
            remaining
                .insert(key.table.to_owned(), entry.map_err(|error| upstream_call::failed(CALL, error.to_string()))?);
        }
        // DynamoDB may leave some keys for another call, when the answer grows too large or the table is short of
        // capacity.
        let mut backoff = Backoff::new();
        loop {
            let answer = dynamo.batch_get_item().set_request_items(Some(remaining)).send().await;
            let answer = answer.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
            for (table, items) in answer.responses.unwrap_or_default() {
                for item in items.into_iter().map(Item::new) {
                    let position = keys.iter().position(|key| key.table == table && item.has_key(&key.attributes));
                    if let Some(slot) = position.and_then(|position| found.get_mut(position)) {
                        *slot = Some(item);
                    }
                }
            }
            remaining = answer.unprocessed_keys.unwrap_or_default();
            if remaining.is_empty() {
                break;
            }
            if !backoff.wait().await {
                return Err(upstream_call::failed(CALL, "DynamoDB left keys unprocessed at each attempt"));
            }
        }
    }
    Ok(found)
}

/// Makes `writes` to `table`, in one call per 25. If it fails, some may be made.
async fn batch_write_items(
    dynamo: &aws_sdk_dynamodb::Client,
    table: &str,
    writes: &[WriteRequest],
) -> Result<(), UpstreamError> {
    const CALL: &str = "DynamoDB.BatchWriteItem";
    const MAX: usize = 25;

    for chunk in writes.chunks(MAX) {
        let mut remaining = HashMap::from([(table.to_owned(), chunk.to_vec())]);
        let mut backoff = Backoff::new();
        loop {
            let answer = dynamo.batch_write_item().set_request_items(Some(remaining)).send().await;
            let answer = answer.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
            remaining = answer.unprocessed_items.unwrap_or_default();
            if remaining.is_empty() {
                break;
            }
            if !backoff.wait().await {
                return Err(upstream_call::failed(CALL, "DynamoDB left items unprocessed at each attempt"));
            }
        }
    }
    Ok(())
}
