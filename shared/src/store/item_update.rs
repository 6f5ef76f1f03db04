//! An update of one item under a condition, so that a first try that arrives late and a try that comes twice do no harm.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::backoff::Backoff;
use super::item::{Item, Value};
use super::{Key, batch_get_items};
use crate::oauth::secret::Secret;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// The attribute with 16 random bytes that identify the write which made the item what it is.
pub(super) const MADE_BY: &str = "made_by";

/// What one write does to an item, attribute by attribute, and what must hold before.
#[derive(Default)]
pub(super) struct ItemUpdate {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    set: Vec<String>,
    removed: Vec<String>,
    conditions: Vec<String>,
}

/// The outcome of a conditional update.
#[derive(Debug)]
pub(super) enum UpdateOutcome {
    /// This write made the change: at this try, or at an earlier one whose answer was lost.
    Applied,
    /// A condition did not hold. With the item as it is.
    Refused(Option<Item>),
}

/// Writes what `change` makes of the item at `key`, unless somebody has written it since it was read: then it is made anew of what is
/// there by then. `change` is handed an update under that condition, and the item if there is one. `Refused`, with the item, if it makes
/// nothing of it.
///
/// # Errors
/// When `change` fails, others wrote the item at each attempt, or DynamoDB fails.
pub(super) async fn write_as_read<E: From<UpstreamError>>(
    dynamo: &aws_sdk_dynamodb::Client,
    key: &Key<'_>,
    mut change: impl FnMut(ItemUpdate, Option<&Item>) -> Result<Option<ItemUpdate>, E>,
) -> Result<UpdateOutcome, E> {
    let mut backoff = Backoff::new();
    loop {
        let stored = batch_get_items(dynamo, std::slice::from_ref(key)).await?.pop().flatten();
        let Some(update) = change(ItemUpdate::of(stored.as_ref(), key), stored.as_ref())? else {
            return Ok(UpdateOutcome::Refused(stored));
        };
        if let UpdateOutcome::Applied = update.write(dynamo, key).await? {
            return Ok(UpdateOutcome::Applied);
        }
        if !backoff.wait().await {
            return Err(contended(key.table).into());
        }
    }
}

/// The error of a write that others were in the way of at each attempt.
pub(super) fn contended(table: &str) -> UpstreamError {
    upstream_call::failed("DynamoDB.UpdateItem", format!("others wrote an item of {table} at each attempt"))
}

impl UpdateOutcome {
    /// Whether this write made the change.
    pub(super) const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied)
    }
}

impl ItemUpdate {
    /// An update of the item that was read as `item`, if nobody has written it since; `None` if there was no item. Whoever writes an
    /// item in this way always finds out: each write leaves other random bytes.
    pub(super) fn of(item: Option<&Item>, key: &Key<'_>) -> Self {
        let update = Self::default();
        match (item, item.and_then(|item| item.bytes(MADE_BY))) {
            (_, Some(made_by)) => update.when_equal(MADE_BY, made_by),
            (Some(_), None) => update.when_present(key.partition()).when_absent(MADE_BY),
            (None, None) => update.when_absent(key.partition()),
        }
    }

    /// Sets an attribute.
    pub(super) fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        let (alias, variable) = (self.alias(name), format!(":{name}"));
        self.set.push(format!("{alias} = {variable}"));
        self.values.insert(variable, value.into().0);
        self
    }

    /// Sets an attribute if there is a value; otherwise removes it.
    pub(super) fn set_or_remove(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove([name]),
        }
    }

    /// Removes attributes.
    pub(super) fn remove<const N: usize>(mut self, names: [&str; N]) -> Self {
        for name in names {
            let alias = self.alias(name);
            self.removed.push(alias);
        }
        self
    }

    /// Only if the item has this attribute.
    pub(super) fn when_present(mut self, name: &str) -> Self {
        let alias = self.alias(name);
        self.conditions.push(format!("attribute_exists({alias})"));
        self
    }

    /// Only if the item does not have this attribute.
    pub(super) fn when_absent(mut self, name: &str) -> Self {
        let alias = self.alias(name);
        self.conditions.push(format!("attribute_not_exists({alias})"));
        self
    }

    /// Only if the attribute has this value.
    pub(super) fn when_equal(mut self, name: &str, value: impl Into<Value>) -> Self {
        let (alias, variable) = (self.alias(name), format!(":when_{name}"));
        self.conditions.push(format!("{alias} = {variable}"));
        self.values.insert(variable, value.into().0);
        self
    }

    /// Only if the attribute has this value, or is not there while `value` is `None`.
    pub(super) fn when_equal_or_absent(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.when_equal(name, value),
            None => self.when_absent(name),
        }
    }

    /// Only if the attribute is less than this number, or not there.
    pub(super) fn when_less_or_absent(mut self, name: &str, value: impl Into<Value>) -> Self {
        let (alias, variable) = (self.alias(name), format!(":when_{name}"));
        self.conditions.push(format!("(attribute_not_exists({alias}) OR {alias} < {variable})"));
        self.values.insert(variable, value.into().0);
        self
    }

    /// Only if the attribute is this number or less.
    pub(super) fn when_at_most(mut self, name: &str, value: impl Into<Value>) -> Self {
        let (alias, variable) = (self.alias(name), format!(":when_{name}"));
        self.conditions.push(format!("{alias} <= {variable}"));
        self.values.insert(variable, value.into().0);
        self
    }

    /// Writes it, marked as this write. Whoever is refused because their own first try was carried out is told that it was applied.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub(super) async fn write(
        self,
        dynamo: &aws_sdk_dynamodb::Client,
        key: &Key<'_>,
    ) -> Result<UpdateOutcome, UpstreamError> {
        let made_by = *Secret::<16>::random().expose();
        let update = self.set(MADE_BY, made_by.as_slice());
        match update.send(dynamo, key, ReturnValuesOnConditionCheckFailure::AllOld).await? {
            UpdateOutcome::Refused(Some(item)) if item.bytes(MADE_BY) == Some(&made_by) => Ok(UpdateOutcome::Applied),
            outcome => Ok(outcome),
        }
    }

    /// Writes it as it is, without a mark of its own, and reads nothing of the item: for whoever may write only some attributes.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub(super) async fn write_unmarked(
        self,
        dynamo: &aws_sdk_dynamodb::Client,
        key: &Key<'_>,
    ) -> Result<UpdateOutcome, UpstreamError> {
        self.send(dynamo, key, ReturnValuesOnConditionCheckFailure::None).await
    }

    async fn send(
        self,
        dynamo: &aws_sdk_dynamodb::Client,
        key: &Key<'_>,
        returned: ReturnValuesOnConditionCheckFailure,
    ) -> Result<UpdateOutcome, UpstreamError> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let mut expression = format!("SET {}", self.set.join(", "));
        if !self.removed.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.removed.join(", "));
        }
        let update = dynamo
            .update_item()
            .table_name(key.table)
            .set_key(Some(key.attribute_values()))
            .update_expression(expression)
            .condition_expression(self.conditions.join(" AND "))
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(returned);
        let Err(error) = update.send().await else { return Ok(UpdateOutcome::Applied) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                Ok(UpdateOutcome::Refused(refusal.item().cloned().map(Item::new)))
            }
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    fn alias(&mut self, name: &str) -> String {
        let alias = format!("#{name}");
        self.names.insert(alias.clone(), name.to_owned());
        alias
    }
}
