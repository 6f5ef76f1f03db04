//! The changes of memberships that the product sends, in the table of [`super::directory`].

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::connections::Cursor;
use super::directory::{CHANGE, Directory, LEFT, RETENTION, TOLD};
use super::item::{Item, Value, unparsable_item};
use crate::clock::Timestamp;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How late a change that was overtaken on its way can be: twice the time after which the product repeats it.
pub const MAX_DELAY: Duration = Duration::from_hours(2);

/// The outcome of a change that the product sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// It counts from now on.
    Applied,
    /// It was applied before and is still the last one. With how far it has been applied to grants, if not to
    /// all.
    Repeated(Option<ChangeProgress>),
    /// A later change was applied before.
    Superseded,
    /// A change with a higher number was applied longer than [`MAX_DELAY`] ago: the product numbers its
    /// changes anew, or somebody replays one.
    Stale,
}

/// How far a change has been applied to the person's grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeProgress {
    /// When this pass over the grants began.
    pub began: Timestamp,
    /// The last grant that it was applied to, in the order of
    /// [`Grants::open_grants`](super::grants::Grants::open_grants).
    pub cursor: Cursor,
    /// An earlier pass applied it to the grants that were approved before this time.
    pub down_to: Option<Timestamp>,
}

impl Directory {
    /// Applies a change that the product sent: the role of a membership, or that the membership has ended.
    /// `change` is its number.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn apply_change(
        &self,
        (person, tenant): (&PersonId, &TenantId),
        role: Option<&str>,
        change: u64,
        now: Timestamp,
    ) -> Result<ChangeOutcome, UpstreamError> {
        const CALL: &str = "DynamoDB.PutItem";
        let item =
            Item::new(self.membership_key(person, tenant).attribute_values()).with(CHANGE, change).with(TOLD, now);
        let item = match role {
            Some(role) => item.with("tenant", tenant.as_str()).with("person", person.as_str()).with("role", role),
            None => item.with(LEFT, now).with("expires", now.plus(RETENTION)),
        };
        let put = self
            .dynamo
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.into_inner()))
            .condition_expression("attribute_not_exists(#change) OR #change < :change")
            .expression_attribute_names("#change", CHANGE)
            .expression_attribute_values(":change", Value::from(change).0)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(ChangeOutcome::Applied) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                let current = refusal.item().cloned().map(Item::new).ok_or_else(|| unparsable_item(&self.table))?;
                if self.change(&current)? != change {
                    let stale = current.time(TOLD).is_some_and(|received| received.plus(MAX_DELAY) < now);
                    return Ok(if stale { ChangeOutcome::Stale } else { ChangeOutcome::Superseded });
                }
                let progress =
                    current.has("reached").then(|| read_progress(&current).ok_or_else(|| unparsable_item(&self.table)));
                Ok(ChangeOutcome::Repeated(progress.transpose()?))
            }
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    /// Records how far `change`, to `role`, has been applied to grants; `None` if to all. Does nothing if
    /// another change was applied since.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_change_progress(
        &self,
        (person, tenant): (&PersonId, &TenantId),
        role: &str,
        change: u64,
        progress: Option<&ChangeProgress>,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.PutItem";
        let progress = progress.map(|ChangeProgress { began, cursor, down_to }| {
            let members = Item::default().with("began", *began).with("place", cursor.to_text());
            Value(AttributeValue::M(members.with_some("down_to", *down_to).into_inner()))
        });
        let item = Item::new(self.membership_key(person, tenant).attribute_values())
            .with(CHANGE, change)
            .with("tenant", tenant.as_str())
            .with("person", person.as_str())
            .with("role", role)
            .with(TOLD, now)
            .with_some("reached", progress);
        let put = self
            .dynamo
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.into_inner()))
            .condition_expression("#change = :change AND #role = :role")
            .expression_attribute_names("#change", CHANGE)
            .expression_attribute_names("#role", "role")
            .expression_attribute_values(":change", Value::from(change).0)
            .expression_attribute_values(":role", Value::from(role).0);
        let Err(error) = put.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }
}

fn read_progress(membership: &Item) -> Option<ChangeProgress> {
    let progress = Item::new(membership.map("reached")?.clone());
    Some(ChangeProgress {
        began: progress.time("began")?,
        cursor: Cursor::parse(progress.text("place")?)?,
        down_to: if progress.has("down_to") { Some(progress.time("down_to")?) } else { None },
    })
}
