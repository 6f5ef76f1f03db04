//! A call to a service that failed: counted for the request that made it, and told as an error.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::telemetry::request_counts;
use crate::upstream_error::UpstreamError;

/// Counts the failure of `call`, named as `Service.Operation`; `reason` is for the log.
pub fn failed(call: &'static str, reason: impl Into<String>) -> UpstreamError {
    request_counts::count_failed_call(call);
    UpstreamError::new(call, reason)
}

/// Counts that `call` took longer than it may.
pub(crate) fn timed_out(call: &'static str) -> UpstreamError {
    request_counts::count_failed_call(call);
    UpstreamError::timed_out(call)
}

/// Counts that `call` was not made, as strangers had it made too often.
pub(crate) fn rate_limited(call: &'static str, reason: impl Into<String>) -> UpstreamError {
    request_counts::count_unasked();
    UpstreamError::rate_limited(call, reason)
}

/// Counts the failure of `call` to a service of AWS.
pub(crate) fn failed_at_aws<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> UpstreamError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    request_counts::count_failed_call(call);
    UpstreamError::of_aws(call, error)
}
