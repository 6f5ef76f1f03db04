//! What is known of the request being answered, wherever it is answered: the ids that its lines are found by, and what is counted
//! of it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Measured;

tokio::task_local! {
    static TRAIL: Trail;
}

/// The trail of one request. It follows a future, not the tasks that the future spawns.
#[derive(Clone, Debug)]
pub struct Trail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    asked: Asked,
    measured: Mutex<Measured>,
}

/// Who asked what.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The function that answers.
    pub(crate) function: &'static str,
    /// The stack that it belongs to; nothing where Lambda does not say what the function is called.
    pub(crate) stack: Option<String>,
    /// What API Gateway calls the request: the access log and the answer's `apigw-requestid` say the same.
    pub(crate) request: Option<String>,
    /// What Lambda calls it.
    pub(crate) invocation: String,
    /// Where it came from, as API Gateway saw it.
    pub(crate) ip: Option<String>,
}

impl Trail {
    pub(crate) fn new(asked: Asked) -> Self {
        Self(Arc::new(Inner { asked, measured: Mutex::default() }))
    }

    /// That of the request being answered; nothing outside of one.
    #[must_use]
    pub fn current() -> Option<Self> {
        TRAIL.try_with(Self::clone).ok()
    }

    /// `future`, followed by this trail.
    pub async fn follow<F: Future>(self, future: F) -> F::Output {
        TRAIL.scope(self, future).await
    }

    /// Where the request came from, as API Gateway saw it.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.0.asked.ip.as_deref()
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.0.asked
    }

    /// What `with` makes of what is counted, which it may add to.
    pub(crate) fn measure<T>(&self, with: impl FnOnce(&mut Measured) -> T) -> T {
        with(&mut self.0.measured.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
