//! Answers of DynamoDB, as AWS writes them.

use serde_json::{Value, json};

use super::fault_kind::FaultKind;

/// Status and JSON of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// A code of `CancellationReasons`, and its message.
pub(super) type Reason = (&'static str, &'static str);

pub(super) const TRANSACTION_CONFLICT: Reason = ("TransactionConflict", "Transaction is ongoing for the item");
pub(super) const THROTTLING_ERROR: Reason =
    ("ThrottlingError", "Throughput exceeds the current capacity of your table or index.");

impl Answer {
    pub(super) const fn of(body: Value) -> Self {
        Self { status: 200, body }
    }

    pub(super) const fn is_success(&self) -> bool {
        self.status == 200
    }

    /// What is answered instead, if a fault means that a call is not carried out at all.
    pub(super) fn refusal(fault: FaultKind) -> Option<Self> {
        let (status, kind, message) = match fault {
            FaultKind::Throttle => (
                400,
                "ProvisionedThroughputExceededException",
                "The level of configured provisioned throughput for one or more global secondary indexes of the table was exceeded.",
            ),
            FaultKind::Throttling => (400, "ThrottlingException", THROTTLING_ERROR.1),
            FaultKind::RequestLimit => {
                (400, "RequestLimitExceeded", "Throughput exceeds the current throughput limit for your account.")
            }
            FaultKind::Internal => return Some(Self::internal()),
            FaultKind::Unavailable => (503, "ServiceUnavailable", "The service is currently unavailable or busy."),
            _ => return None,
        };
        Some(Self::error(status, kind, message))
    }

    pub(super) fn internal() -> Self {
        Self::error(500, "InternalServerError", "Internal server error")
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::error(400, "ValidationException", message)
    }

    pub(super) fn write_conflict() -> Self {
        Self::error(400, "TransactionConflictException", TRANSACTION_CONFLICT.1)
    }

    pub(super) fn transaction_in_progress() -> Self {
        let message = "The transaction with the given request token is already in progress.";
        Self::error(400, "TransactionInProgressException", message)
    }

    /// A cancelled transaction, with what became of each of its items.
    pub(super) fn transaction_cancelled(reasons: &[Option<Reason>]) -> Self {
        let codes: Vec<_> = reasons.iter().map(|reason| reason.map_or("None", |(code, _)| code)).collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        let reasons = reasons.iter().map(|reason| match reason {
            Some((code, message)) => json!({ "Code": code, "Message": message }),
            None => json!({ "Code": "None" }),
        });
        let reasons: Vec<_> = reasons.collect();
        let kind = kind("TransactionCanceledException");
        let body = json!({ "__type": kind, "Message": message, "CancellationReasons": reasons });
        Self { status: 400, body }
    }

    fn error(status: u16, name: &str, message: &str) -> Self {
        Self { status, body: json!({ "__type": kind(name), "message": message }) }
    }
}

fn kind(name: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810#{name}")
}
