//! A plain write that met a transaction.

use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;

/// Has the SDK repeat a write that DynamoDB refused because a transaction held the item
/// (`TransactionConflictException`): nothing was written, and the transaction ends within milliseconds.
///
/// The SDK itself knows the other errors that pass: throttling under each of its names,
/// `TransactionInProgressException`, 500 and 503. It gives this one to its caller.
#[derive(Debug)]
pub(super) struct TransactionConflict;

impl ClassifyRetry for TransactionConflict {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let conflict = error.is_some_and(|error| {
            matches!(error.downcast_ref(), Some(PutItemError::TransactionConflictException(_)))
                || matches!(error.downcast_ref(), Some(UpdateItemError::TransactionConflictException(_)))
                || matches!(error.downcast_ref(), Some(DeleteItemError::TransactionConflictException(_)))
        });
        // As a server error it costs nothing of the quota: `retry_quota`.
        if conflict { RetryAction::server_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "TransactionConflict"
    }
}
