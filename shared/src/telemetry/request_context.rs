//! The context of the current request: its ids for the log, and its metrics.

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::telemetry::metrics::RequestMetrics;
use crate::telemetry::request_attributes::RequestAttributes;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Runs `future` as an invocation of `function` that answers no request, so that its audit lines say which function wrote them.
pub async fn without_request<F: Future>(function: &'static str, future: F) -> F::Output {
    RequestContext::new(RequestAttributes { function, ..RequestAttributes::default() }).scope(future).await
}

/// The context of one request. It reaches a future, not the tasks that the future spawns.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    attributes: RequestAttributes,
    form_request_id: OnceLock<String>,
    metrics: Mutex<RequestMetrics>,
}

impl RequestContext {
    pub(crate) fn new(attributes: RequestAttributes) -> Self {
        Self(Arc::new(Inner { attributes, form_request_id: OnceLock::new(), metrics: Mutex::default() }))
    }

    /// The context of the current request. Nothing outside of a request.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `future` with this as the current context.
    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// Where the request came from: an IPv4 address, or the IPv6 network of one subscriber. Nothing where that is not known.
    #[must_use]
    pub fn subscriber(&self) -> Option<IpAddr> {
        self.0.attributes.subscriber
    }

    /// What API Gateway calls the request. Nothing where it came another way.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.attributes.request.as_deref()
    }

    /// The id of the request of the form after which the current request shows a page, as the browser repeats it: no proof of anything.
    /// Nothing where there was none.
    #[must_use]
    pub fn form_request_id(&self) -> Option<&str> {
        self.0.form_request_id.get().map(String::as_str)
    }

    /// Only the first counts.
    pub(crate) fn set_form_request_id(&self, id: String) {
        self.0.form_request_id.get_or_init(|| id);
    }

    pub(crate) fn attributes(&self) -> &RequestAttributes {
        &self.0.attributes
    }

    /// Hands the metrics of the request to `with`, which may add to them.
    pub(crate) fn with_metrics<T>(&self, with: impl FnOnce(&mut RequestMetrics) -> T) -> T {
        with(&mut self.0.metrics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
