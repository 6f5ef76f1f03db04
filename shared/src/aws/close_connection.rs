//! Requests whose connection is not kept.

use aws_sdk_lambda::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_lambda::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_lambda::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// Says that the connection ends with the answer (RFC 9112 §9.6), after the request was signed.
#[derive(Debug)]
pub(super) struct CloseConnection;

#[dyn_dispatch_hint]
impl Intercept for CloseConnection {
    fn name(&self) -> &'static str {
        "CloseConnection"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().try_insert("connection", "close")?;
        Ok(())
    }
}
