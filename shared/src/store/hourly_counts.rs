//! Counts of an hour, each with its most. An item has the counts of one hour, so that one write checks and adds to several.
//!
//! What is counted was decided by whoever counts, and is written elsewhere: never in one transaction with a count, as those who count
//! at the same time would be in each other's way. A write that is carried out twice, or late, counts once more.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::Key;
use super::item::{Item, Value};
use crate::clock::Timestamp;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const HOUR: i64 = 3600;

/// An hour, counted since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hour(i64);

/// What is added to a count.
#[derive(Clone, Copy)]
pub(super) struct Addition<'a> {
    /// The attribute.
    pub(super) name: &'a str,
    /// How much more.
    pub(super) amount: u64,
    /// The most that the count may be then.
    pub(super) max: u64,
}

impl Hour {
    pub(super) const fn of(now: Timestamp) -> Self {
        Self(now.seconds().div_euclid(HOUR))
    }

    pub(super) const fn number(self) -> i64 {
        self.0
    }

    /// When it ends.
    pub(super) const fn end(self) -> Timestamp {
        Timestamp::from_seconds((self.0 + 1).saturating_mul(HOUR))
    }
}

/// Adds to the counts in the item at `key`, all or none. The place of the first addition that would exceed its most, if there is one.
///
/// # Errors
/// When DynamoDB fails.
pub(super) async fn add(
    dynamo: &aws_sdk_dynamodb::Client,
    key: &Key<'_>,
    kind: &str,
    additions: &[Addition<'_>],
    hour: Hour,
) -> Result<Option<usize>, UpstreamError> {
    const CALL: &str = "DynamoDB.UpdateItem";
    // No clock of ours is wrong by as much.
    const MARGIN: Duration = Duration::from_hours(1);

    if let Some(place) = additions.iter().position(|addition| addition.amount > addition.max) {
        return Ok(Some(place));
    }
    let mut update = dynamo
        .update_item()
        .table_name(key.table)
        .set_key(Some(key.attribute_values()))
        .expression_attribute_names("#expires", "expires")
        .expression_attribute_names("#kind", "kind")
        .expression_attribute_values(":expires", Value::from(hour.end().plus(MARGIN)).0)
        .expression_attribute_values(":kind", Value::from(kind).0)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let (mut conditions, mut sums) = (Vec::new(), Vec::new());
    for (place, Addition { name, amount, max }) in additions.iter().enumerate() {
        let room = max.saturating_sub(*amount);
        conditions.push(format!("(attribute_not_exists(#c{place}) OR #c{place} <= :room{place})"));
        sums.push(format!("#c{place} :more{place}"));
        update = update
            .expression_attribute_names(format!("#c{place}"), *name)
            .expression_attribute_values(format!(":room{place}"), AttributeValue::N(room.to_string()))
            .expression_attribute_values(format!(":more{place}"), AttributeValue::N(amount.to_string()));
    }
    let update = update
        .condition_expression(conditions.join(" AND "))
        .update_expression(format!("SET #expires = :expires, #kind = :kind ADD {}", sums.join(", ")));
    let Err(error) = update.send().await else { return Ok(None) };
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
            let before = Item::new(refusal.item().cloned().unwrap_or_default());
            let exceeds = |addition: &Addition<'_>| {
                let counted: u64 = before.number(addition.name).unwrap_or_default();
                counted.saturating_add(addition.amount) > addition.max
            };
            // Somebody may have spent it between the condition and now, never given it back.
            Ok(Some(additions.iter().position(exceeds).unwrap_or_default()))
        }
        _ => Err(upstream_call::failed_at_aws(CALL, &error)),
    }
}
