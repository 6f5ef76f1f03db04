//! What went wrong on our side: AWS or Supabase did not do what was asked.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::trail::Trail;

/// A call to a service failed, for a reason that is not the client's.
///
/// Answered as 503 with `Retry-After`: every step before a commit may be repeated, so trying again is right.
#[derive(Debug, Error)]
#[error("{call}: {reason}")]
pub struct Fault {
    /// The call, as `Service.Operation`.
    pub call: &'static str,
    /// What the service said; for our log only.
    pub reason: String,
}

impl Fault {
    /// A fault of `call` with a reason for the log. Counted, if it hinders a request.
    pub fn new(call: &'static str, reason: impl Into<String>) -> Self {
        if let Some(trail) = Trail::current() {
            trail.measure(|measured| measured.fault(call));
        }
        Self { call, reason: reason.into() }
    }

    /// A fault from what the AWS SDK returned: the error's name and message, never the answer's body.
    pub fn of_aws<E, R>(call: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let reason = match error {
            SdkError::ServiceError(error) => {
                let error = error.err();
                format!("{}: {}", error.code().unwrap_or("unnamed"), error.message().unwrap_or_default())
            }
            SdkError::TimeoutError(_) => "no answer in time".to_owned(),
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(error) => format!("no connection: {error}"),
                None => "no connection".to_owned(),
            },
            SdkError::ResponseError(_) => "an answer that is none".to_owned(),
            _ => "the call could not be made".to_owned(),
        };
        Self::new(call, reason)
    }
}
