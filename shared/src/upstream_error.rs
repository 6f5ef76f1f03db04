//! The error of a call to AWS or Supabase that failed.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use http::StatusCode;
use thiserror::Error;

/// A call to a service failed, for a reason that is not the client's.
///
/// The response has `Retry-After`: every step before a commit may be repeated, so the client may try again.
#[derive(Debug, Error)]
#[error("{call}: {reason}")]
pub struct UpstreamError {
    /// The call, as `Service.Operation`.
    pub call: &'static str,
    /// What the service said; for our log only.
    pub reason: String,
    /// Why it came to nothing.
    pub kind: UpstreamErrorKind,
}

/// Why a call to a service came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamErrorKind {
    /// The service failed, or could not be reached. The response is 503.
    Failed,
    /// The service did not answer within our own limit. The response is 503.
    TimedOut,
    /// The service wants fewer calls (429). Neither it nor we have failed, so the response is 429 as well: a 5xx would be counted
    /// as a failure of ours.
    TooManyRequests,
    /// Our own limit: the service was not asked, as strangers had it asked too often. The response is 503, and strangers must not
    /// raise the alarm of failures by it: it is counted apart.
    RateLimited,
}

impl UpstreamError {
    /// The failure of `call`, with a reason for the log.
    pub(crate) fn new(call: &'static str, reason: impl Into<String>) -> Self {
        Self { call, reason: reason.into(), kind: UpstreamErrorKind::Failed }
    }

    /// `call` took longer than it may.
    pub(crate) fn timed_out(call: &'static str) -> Self {
        Self { call, reason: "no answer in time".to_owned(), kind: UpstreamErrorKind::TimedOut }
    }

    /// `call` was answered 429.
    pub(crate) fn too_many_requests(call: &'static str, reason: impl Into<String>) -> Self {
        Self { call, reason: reason.into(), kind: UpstreamErrorKind::TooManyRequests }
    }

    /// `call` was not made.
    pub(crate) fn rate_limited(call: &'static str, reason: impl Into<String>) -> Self {
        Self { call, reason: reason.into(), kind: UpstreamErrorKind::RateLimited }
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.kind {
            UpstreamErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            UpstreamErrorKind::Failed | UpstreamErrorKind::TimedOut | UpstreamErrorKind::RateLimited => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The failure that a service of AWS returned: the error's code and message and AWS's request id, never
    /// the response's body. If nothing was returned, the innermost cause, which says most.
    pub(crate) fn of_aws<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let reason = match error {
            SdkError::ServiceError(error) => {
                let (request, error) = (error.raw().request_id().unwrap_or("without an id"), error.err());
                let (code, message) = (error.code().unwrap_or("unnamed"), error.message().unwrap_or_default());
                format!("{code}: {message} (AWS request {request})")
            }
            SdkError::TimeoutError(_) => "no answer in time".to_owned(),
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                format!("no connection: {}", innermost(error))
            }
            SdkError::ResponseError(error) => {
                let request = error.raw().request_id().unwrap_or("without an id");
                format!("a response that could not be parsed (AWS request {request})")
            }
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
