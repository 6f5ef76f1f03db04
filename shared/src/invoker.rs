//! Invokes functions of AWS Lambda that others wrote, and waits for what they return.

use std::time::Duration;

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use thiserror::Error;

use crate::upstream_call;

/// Invokes functions by their ARN. Which ones it may is IAM's to say.
#[derive(Clone)]
pub struct Invoker(aws_sdk_lambda::Client);

/// Why a function returned nothing. The sentences may be shown to whoever chose it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvocationError {
    /// It failed, or ended before it returned (`X-Amz-Function-Error`); with what it said, as JSON.
    #[error("it failed")]
    Failed(Vec<u8>),
    /// It did not return in time. It may go on.
    #[error("it did not answer in time")]
    TimedOut,
    /// It returned more than was asked for.
    #[error("its answer is too large")]
    TooLarge,
    /// Its concurrency limit is reached.
    #[error("it has too much to do")]
    Busy,
    /// There is no such function, or we may not invoke it, or Lambda failed.
    #[error("it cannot be reached")]
    Unreachable,
}

impl Invoker {
    /// By a client without time limits of its own and without retries.
    pub(crate) const fn new(lambda: aws_sdk_lambda::Client) -> Self {
        Self(lambda)
    }

    /// Invokes `function` with `payload`, which is JSON, and waits at most `timeout` for what it returns, of at most `limit` bytes.
    ///
    /// # Errors
    /// When it returns nothing within the limits.
    pub async fn invoke(
        &self,
        function: &str,
        payload: Vec<u8>,
        timeout: Duration,
        limit: usize,
    ) -> Result<Vec<u8>, InvocationError> {
        let invoke = self.0.invoke().function_name(function).payload(Blob::new(payload));
        let returned = invoke.invocation_type(InvocationType::RequestResponse).send();
        let returned = tokio::time::timeout(timeout, returned).await.map_err(|_| InvocationError::TimedOut)?;
        let returned = returned.map_err(|error| invocation_error(&error))?;
        let payload = returned.payload.map(Blob::into_inner).unwrap_or_default();
        match returned.function_error {
            _ if payload.len() > limit => Err(InvocationError::TooLarge),
            Some(_) => Err(InvocationError::Failed(payload)),
            None => Ok(payload),
        }
    }
}

/// The whole reason goes to the log. It may be a missing permission or a deleted function.
fn invocation_error(error: &SdkError<InvokeError, HttpResponse>) -> InvocationError {
    let reason = upstream_call::failed_at_aws("Lambda.Invoke", error);
    tracing::warn!(%reason, "a tool's function was not invoked");
    match error.as_service_error() {
        Some(InvokeError::TooManyRequestsException(_)) => InvocationError::Busy,
        _ => InvocationError::Unreachable,
    }
}
