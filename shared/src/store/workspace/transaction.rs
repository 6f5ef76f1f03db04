//! Several items written together, or none.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use super::{Name, Workspace};
use crate::oauth::secret::{Secret, to_text};
use crate::store::item::{Item, Value};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const CALL: &str = "DynamoDB.TransactWriteItems";

/// How long a transaction waits before each retry after a conflict with another one.
const RETRY_DELAYS: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(40), Duration::from_millis(80), Duration::from_millis(160)];

/// What is to be written together.
pub(super) struct Transaction<'a> {
    workspace: &'a Workspace,
    writes: Vec<TransactWriteItem>,
}

/// The outcome.
pub(super) enum TransactionOutcome {
    /// All of it was written.
    Committed,
    /// Nothing was written: the condition failed for this item, or there is no item.
    ConditionFailed(Option<Item>),
}

/// What must hold of the item that a write replaces.
#[derive(Clone, Copy)]
pub(super) enum Condition {
    /// There is no item.
    Absent,
    /// It has this version.
    Version(u32),
    /// Whatever there is.
    Any,
}

impl Workspace {
    /// An empty transaction.
    pub(super) const fn transaction(&self) -> Transaction<'_> {
        Transaction { workspace: self, writes: Vec::new() }
    }
}

impl Transaction<'_> {
    /// Adds a write of `item`, if `condition` holds for the item that it replaces.
    pub(super) fn put(mut self, item: Item, condition: Condition) -> Result<Self, UpstreamError> {
        let mut put = Put::builder()
            .table_name(&self.workspace.table)
            .set_item(Some(item.into_inner()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        put = match condition {
            Condition::Any => put,
            Condition::Absent => {
                put.condition_expression("attribute_not_exists(#item)").expression_attribute_names("#item", "item")
            }
            Condition::Version(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", Value::from(version).0),
        };
        self.writes.push(TransactWriteItem::builder().put(put.build().map_err(|error| build_error(&error))?).build());
        Ok(self)
    }

    /// Adds the deletion of the item of that kind and name, which must have `version`.
    pub(super) fn delete(mut self, kind: &str, name: &Name, version: u32) -> Result<Self, UpstreamError> {
        let delete = Delete::builder()
            .table_name(&self.workspace.table)
            .set_key(Some(self.workspace.key(kind, name)))
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", Value::from(version).0)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.writes
            .push(TransactWriteItem::builder().delete(delete.build().map_err(|error| build_error(&error))?).build());
        Ok(self)
    }

    /// Writes all of it or nothing. Each call has a request token, by which DynamoDB recognises a retry and
    /// returns the same result. So a lost response never looks like a failed condition.
    ///
    /// # Errors
    /// When DynamoDB fails, or others were in the way each time.
    pub(super) async fn write(self) -> Result<TransactionOutcome, UpstreamError> {
        for pause in RETRY_DELAYS.map(Some).into_iter().chain([None]) {
            let call = self.workspace.dynamo.transact_write_items().set_transact_items(Some(self.writes.clone()));
            let call = call.client_request_token(to_text(Secret::<16>::random().expose()));
            let Err(error) = call.send().await else { return Ok(TransactionOutcome::Committed) };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
            else {
                return Err(upstream_call::failed_at_aws(CALL, &error));
            };
            let with = |code| cancelled.cancellation_reasons().iter().find(move |why| why.code() == Some(code));
            if let Some(why) = with("ConditionalCheckFailed") {
                return Ok(TransactionOutcome::ConditionFailed(
                    why.item().cloned().map(Item::new).filter(|item| item.has("item")),
                ));
            }
            if with("TransactionConflict").is_none() {
                return Err(upstream_call::failed_at_aws(CALL, &error));
            }
            // Another transaction held one of the items, and nothing was written.
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
        Err(upstream_call::failed(CALL, "DynamoDB canceled the transaction for a conflict at each attempt"))
    }
}

fn build_error(error: &BuildError) -> UpstreamError {
    upstream_call::failed(CALL, error.to_string())
}
