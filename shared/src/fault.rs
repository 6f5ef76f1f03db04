//! What went wrong on our side: AWS or Supabase did not do what was asked.

use std::error::Error;
use std::fmt::Debug;

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

    /// A fault from what a service of AWS returned: the error's name and message, never the answer's body. If none was returned, the
    /// innermost of the reasons, which says most.
    pub fn of_aws<E, R>(call: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
        R: Debug,
    {
        let reason = match error {
            SdkError::ServiceError(error) => {
                let error = error.err();
                format!("{}: {}", error.code().unwrap_or("unnamed"), error.message().unwrap_or_default())
            }
            SdkError::TimeoutError(_) => "no answer in time".to_owned(),
            SdkError::DispatchFailure(_) => format!("no connection: {}", innermost(error)),
            SdkError::ResponseError(_) => "an answer that is none".to_owned(),
            _ => format!("the call could not be made: {}", innermost(error)),
        };
        Self::new(call, reason)
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut reason = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}
