//! Items written together, or none of them, by `TransactWriteItems`.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use thiserror::Error;

use super::backoff::Backoff;
use super::item::Item;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const CALL: &str = "DynamoDB.TransactWriteItems";

/// The reason that a write's condition failed.
const CONDITION: &str = "ConditionalCheckFailed";
/// The reason that another transaction held the item of a write.
const CONFLICT: &str = "TransactionConflict";
/// The reasons that pass: the conflict, and a table or an account that has too much to do.
const TRANSIENT: [&str; 4] = [CONFLICT, "ProvisionedThroughputExceeded", "RequestLimitExceeded", "ThrottlingError"];

/// The outcome of a transaction.
#[derive(Debug)]
pub(super) enum TransactionOutcome {
    /// All of it was written, now or by an earlier call with the same token.
    Committed,
    /// Nothing was written: the conditions of these writes failed, in the order of the writes. There is at least
    /// one. Whether the condition of another write holds is not known.
    ConditionFailed(Vec<FailedCondition>),
}

/// A write whose condition failed.
#[derive(Debug)]
pub(super) struct FailedCondition {
    /// Its place among the writes, from 0.
    pub(super) write: usize,
    /// The item as it is, if there is one, and the write asks for it (`ReturnValuesOnConditionCheckFailure`).
    pub(super) item: Option<Item>,
}

/// Why a transaction has no outcome.
#[derive(Debug, Error)]
pub(super) enum TransactionError {
    /// Nothing was written: at each attempt, another transaction held one of the items.
    #[error("DynamoDB cancelled the transaction for a conflict at each attempt")]
    Conflict,
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl From<TransactionError> for UpstreamError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Conflict => upstream_call::failed(CALL, error.to_string()),
            TransactionError::Upstream(error) => error,
        }
    }
}

/// Writes all of `writes`, or nothing. What passes is tried again.
///
/// `token` names this very transaction, in at most 36 characters. For ten minutes, DynamoDB answers a repeated call
/// that was carried out as it answered the first (`ClientRequestToken`), so the condition of a write never fails
/// because its own first attempt had succeeded.
///
/// # Errors
/// When DynamoDB fails, or other transactions were in the way at each attempt.
pub(super) async fn write(
    dynamo: &aws_sdk_dynamodb::Client,
    writes: &[TransactWriteItem],
    token: &str,
) -> Result<TransactionOutcome, TransactionError> {
    let mut backoff = Backoff::new();
    loop {
        let call = dynamo.transact_write_items().set_transact_items(Some(writes.to_vec()));
        let Err(error) = call.client_request_token(token).send().await else {
            return Ok(TransactionOutcome::Committed);
        };
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled.cancellation_reasons(),
            _ => &[],
        };
        let failed = failed_conditions(reasons);
        if !failed.is_empty() {
            return Ok(TransactionOutcome::ConditionFailed(failed));
        }
        if is_transient(reasons) && backoff.wait().await {
            continue;
        }
        return Err(if is_transient(reasons) && codes(reasons).any(|code| code == CONFLICT) {
            TransactionError::Conflict
        } else {
            upstream_call::failed_at_aws(CALL, &error).into()
        });
    }
}

/// The error of a write that lacks what every write has: it would take a mistake of ours.
pub(super) fn build_error(error: &BuildError) -> UpstreamError {
    upstream_call::failed(CALL, error.to_string())
}

fn failed_conditions(reasons: &[CancellationReason]) -> Vec<FailedCondition> {
    let failed = reasons.iter().enumerate().filter(|(_, reason)| reason.code() == Some(CONDITION));
    let item = |reason: &CancellationReason| reason.item().filter(|item| !item.is_empty()).cloned().map(Item::new);
    failed.map(|(write, reason)| FailedCondition { write, item: item(reason) }).collect()
}

/// Whether nothing but what passes was in the way.
fn is_transient(reasons: &[CancellationReason]) -> bool {
    let mut codes = codes(reasons).peekable();
    codes.peek().is_some() && codes.all(|code| TRANSIENT.contains(&code))
}

/// The reasons of the writes that were in the way: for the others, the code is `None`.
fn codes(reasons: &[CancellationReason]) -> impl Iterator<Item = &str> {
    reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None")
}
