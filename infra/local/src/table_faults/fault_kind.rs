//! What AWS may do to one call to the tables.

/// Something that AWS may do to one call, by chance or once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// `ProvisionedThroughputExceededException`: a partition, or an index that does not keep up.
    Throttle,
    /// `ThrottlingException`.
    Throttling,
    /// `RequestLimitExceeded`: the account's own limit.
    RequestLimit,
    /// 500 `InternalServerError`, and nothing was done.
    Internal,
    /// 503 `ServiceUnavailable`.
    Unavailable,
    /// It is heard after 0.7 s.
    Slow,
    /// What has expired is deleted right before it.
    Sweep,
    /// A transaction is cancelled: `TransactionConflict` for one of its items.
    TxConflict,
    /// A transaction is cancelled: `ThrottlingError` for its first item.
    TxThrottled,
    /// `TransactionInProgressException`: an earlier try of the same transaction is being carried out, and then is.
    TxInProgress,
    /// `TransactionConflictException` on a write that is no transaction.
    WriteConflict,
    /// A write is not heard before [`FaultSettings::zombie_after`](super::fault_settings::FaultSettings), and carried out then,
    /// when its caller has given up.
    Zombie,
    /// A key of `BatchGetItem` is left over. Each has this chance; once means all of them.
    UnprocessedGet,
    /// A write of `BatchWriteItem` is left over, likewise.
    UnprocessedWrite,
    /// A page is shorter than its limit.
    Cut,
    /// It is carried out, and its answer never comes.
    Lost,
    /// It is carried out, and answered by 500 `InternalServerError`.
    Lost500,
}

impl FaultKind {
    /// Whether AWS does it to a call of that kind.
    pub(super) fn concerns(self, operation: &str) -> bool {
        match self {
            Self::TxConflict | Self::TxThrottled | Self::TxInProgress => operation == "TransactWriteItems",
            Self::WriteConflict => ["PutItem", "UpdateItem", "DeleteItem"].contains(&operation),
            Self::Zombie => is_write(operation),
            Self::UnprocessedGet => operation == "BatchGetItem",
            Self::UnprocessedWrite => operation == "BatchWriteItem",
            Self::Cut => is_paged(operation),
            Self::Throttle
            | Self::Throttling
            | Self::RequestLimit
            | Self::Internal
            | Self::Unavailable
            | Self::Slow
            | Self::Sweep
            | Self::Lost
            | Self::Lost500 => true,
        }
    }
}

pub(super) fn is_write(operation: &str) -> bool {
    ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"].contains(&operation)
}

pub(super) fn is_paged(operation: &str) -> bool {
    ["Query", "Scan"].contains(&operation)
}
