//! Several items written together, or none.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use super::{Name, Workspace, WorkspaceLayout, WriteError};
use crate::oauth::secret::{Secret, to_text};
use crate::store::item::{Item, Value};
use crate::store::transaction::{self, build_error};
pub(super) use crate::store::transaction::{FailedCondition, TransactionError, TransactionOutcome};
use crate::upstream_error::UpstreamError;

/// What is to be written together.
pub(super) struct Transaction<'a> {
    workspace: &'a Workspace,
    layout: WorkspaceLayout,
    writes: Vec<TransactWriteItem>,
}

/// What must hold of the item that a write replaces or deletes.
#[derive(Clone, Copy)]
pub(super) enum Condition {
    /// There is no item.
    Absent,
    /// It has this version.
    Version(u32),
    /// Whatever there is.
    Any,
}

impl From<TransactionError> for WriteError {
    fn from(error: TransactionError) -> Self {
        Self::Upstream(error.into())
    }
}

impl Workspace {
    /// An empty transaction.
    ///
    /// # Errors
    /// While the items are being moved, or when DynamoDB fails.
    pub(super) async fn transaction(&self) -> Result<Transaction<'_>, WriteError> {
        Ok(Transaction { workspace: self, layout: self.layout_to_write().await?, writes: Vec::new() })
    }
}

impl Transaction<'_> {
    /// Adds a write of `item`, if `condition` holds for the item that it replaces.
    pub(super) fn put(mut self, item: Item, condition: Condition) -> Result<Self, UpstreamError> {
        let mut put = Put::builder()
            .table_name(&self.workspace.table)
            .set_item(Some(self.workspace.placed(item, self.layout).into_inner()))
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

    /// Adds the deletion of the item of that kind and name, if `condition` holds for it.
    pub(super) fn delete(mut self, kind: &str, name: &Name, condition: Condition) -> Result<Self, UpstreamError> {
        let mut delete = Delete::builder()
            .table_name(&self.workspace.table)
            .set_key(Some(self.key(&format!("{kind}{name}"))))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        delete = match condition {
            Condition::Any => delete,
            Condition::Absent => {
                delete.condition_expression("attribute_not_exists(#item)").expression_attribute_names("#item", "item")
            }
            Condition::Version(version) => delete
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", Value::from(version).0),
        };
        self.writes
            .push(TransactWriteItem::builder().delete(delete.build().map_err(|error| build_error(&error))?).build());
        Ok(self)
    }

    /// Adds the removal of the item with that sort key, whether it is there or not.
    pub(super) fn remove(mut self, sort_key: &str) -> Result<Self, UpstreamError> {
        let delete = Delete::builder().table_name(&self.workspace.table).set_key(Some(self.key(sort_key))).build();
        self.writes.push(TransactWriteItem::builder().delete(delete.map_err(|error| build_error(&error))?).build());
        Ok(self)
    }

    /// Writes all of it or nothing, as a transaction of its own: by a random token. The items of failed conditions are
    /// returned.
    ///
    /// # Errors
    /// When DynamoDB fails, or other transactions were in the way at each attempt.
    pub(super) async fn write(self) -> Result<TransactionOutcome, TransactionError> {
        let token = to_text(Secret::<16>::random().expose());
        transaction::write(&self.workspace.dynamo, &self.writes, &token).await
    }

    fn key(&self, sort_key: &str) -> HashMap<String, AttributeValue> {
        self.workspace.key_in(self.layout, sort_key).attribute_values()
    }
}
