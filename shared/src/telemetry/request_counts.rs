//! Counts and times what happens in the current request, for its metrics: see `RequestMetrics`.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::telemetry::metrics::RequestMetrics;
use crate::telemetry::request_context::RequestContext;

/// Counts a mail that a person asked for to sign in with and that Supabase could not send.
pub fn sign_in_mail_failed() {
    if let Some(context) = RequestContext::current() {
        context.with_metrics(RequestMetrics::count_failed_sign_in_mail);
    }
}

/// Counts tools that were left out of a list, as hosts would refuse every tool for the definition of one of them.
pub fn tools_unlisted(tools: u32) {
    if let Some(context) = RequestContext::current().filter(|_| tools > 0) {
        context.with_metrics(|metrics| metrics.count_unlisted_tools(tools));
    }
}

/// `future`, timed as a call to `service`.
pub(crate) async fn timed<F: Future>(service: &'static str, future: F) -> F::Output {
    let began = Instant::now();
    let output = future.await;
    time_of_call(service, began.elapsed());
    output
}

/// Adds what a call to `service` took to the request that made it.
pub(crate) fn time_of_call(service: &'static str, took: Duration) {
    if let Some(context) = RequestContext::current() {
        context.with_metrics(|metrics| metrics.add_call(service, took));
    }
}

/// Counts a failure of `call`, named as `Service.Operation`, for the request that made it.
pub(crate) fn count_failed_call(call: &'static str) {
    if let Some(context) = RequestContext::current() {
        context.with_metrics(|metrics| metrics.count_failed_call(call));
    }
}

/// Counts that a service was not asked, for the request that would have asked it.
pub(crate) fn count_unasked() {
    if let Some(context) = RequestContext::current() {
        context.with_metrics(RequestMetrics::count_unasked);
    }
}
