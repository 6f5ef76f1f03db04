//! Failures of the service, on demand.

/// A failure of the service that a test asks for, where it wants to see what the caller makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// 400 `ThrottlingException`, which the SDK retries.
    Throttled,
    /// 500 `KMSInternalException`, which the SDK retries.
    Internal,
    /// 400 `KMSInvalidStateException`, which the SDK does not retry.
    InvalidState,
}
