//! What happened to calls, for counting.

use super::fault_kind::FaultKind;

/// Something that happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incident {
    /// It arrived.
    Call,
    /// A fault, by chance or once.
    Fault(FaultKind),
    /// A transaction held an item of it.
    HeldItem,
    /// The same transaction was being carried out.
    InProgress,
    /// It was larger than AWS allows.
    OverLimit,
    /// An index answered it, as of some time ago.
    IndexQuery,
    /// A table answered it as of some time ago.
    LateRead,
    /// An expired item was deleted.
    Swept,
}
