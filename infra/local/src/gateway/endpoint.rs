//! A function, as Lambda holds it: an event's JSON in, an answer's JSON out, within its time.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use shared::clock::Deadline;
use shared::http::edge::Edge;
use shared::lambda::{self, ExecutionEnvironment, Function};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::error::GatewayError;
use crate::log_subscription::LogSubscription;
use crate::process::ProcessPool;
use crate::template::FunctionDefinition;

/// HTTP APIs wait no longer for an integration, and no setting changes that.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

type InvocationFuture = Pin<Box<dyn Future<Output = Result<String, lambda::Error>> + Send>>;

/// A function of any type.
pub(crate) struct Endpoint {
    /// Its program.
    pub(crate) name: String,
    timeout: Duration,
    running: RwLock<Arc<Running>>,
    log: Dispatch,
}

/// What it runs, until it is deployed anew.
struct Running {
    invoke: Box<dyn Fn(String) -> InvocationFuture + Send + Sync>,
    pool: Option<Arc<ProcessPool>>,
}

impl Endpoint {
    /// `function` behind `edge`, ended after `timeout` as Lambda would; its log lines go to whoever listens now.
    pub(crate) fn of<F: Function>(
        function: F,
        edge: Edge,
        definition: &FunctionDefinition,
        timeout: Duration,
        lines: &Arc<LogSubscription>,
    ) -> Arc<Self> {
        let (served, lines) = (Arc::new(ExecutionEnvironment::new(function, edge)), Arc::clone(lines));
        let name = definition.name.clone();
        Self::new(&definition.binary, timeout, move |event| {
            let (served, name, invocation) = (Arc::clone(&served), name.clone(), lines.next_request_id());
            let deadline = Deadline::after(timeout);
            Box::pin(async move { lambda::invoke(&served, &event, &name, invocation, deadline).await })
        })
    }

    /// A program, each event to a process of it that has no other.
    pub(crate) fn of_pool(
        pool: ProcessPool,
        definition: &FunctionDefinition,
        lines: &Arc<LogSubscription>,
    ) -> Arc<Self> {
        let (pool, lines) = (Arc::new(pool), Arc::clone(lines));
        let invoked = Arc::clone(&pool);
        let invoke = move |event| -> InvocationFuture {
            let (pool, invocation) = (Arc::clone(&invoked), lines.next_request_id());
            Box::pin(async move { Ok(pool.invoke(event, invocation).await?) })
        };
        Self::with_pool(&definition.binary, definition.timeout, invoke, Some(pool))
    }

    fn new(
        name: &str,
        timeout: Duration,
        invoke: impl Fn(String) -> InvocationFuture + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::with_pool(name, timeout, invoke, None)
    }

    fn with_pool(
        name: &str,
        timeout: Duration,
        invoke: impl Fn(String) -> InvocationFuture + Send + Sync + 'static,
        pool: Option<Arc<ProcessPool>>,
    ) -> Arc<Self> {
        let log = tracing::dispatcher::get_default(Clone::clone);
        let running = RwLock::new(Arc::new(Running { invoke: Box::new(invoke), pool }));
        Arc::new(Self { name: name.to_owned(), timeout, running, log })
    }

    /// Becomes what `next` is, from the next invocation on: what has begun is worked out as it was.
    pub(crate) fn replace_with(&self, next: &Self) {
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = next.running();
    }

    /// Its processes, if it has any of its own.
    pub(crate) fn process_pool(&self) -> Option<Arc<ProcessPool>> {
        self.running().pool.clone()
    }

    fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer to `event`. It is worked out to the end even if the caller has gone, as on Lambda.
    pub(crate) async fn invoke(&self, event: String) -> Result<String, GatewayError> {
        let limit = self.timeout.min(INTEGRATION_TIMEOUT);
        let running = self.running();
        let work = tokio::time::timeout(limit, (running.invoke)(event)).with_subscriber(self.log.clone());
        match tokio::spawn(work).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(GatewayError::Failed(error.to_string())),
            // Lambda's own limit is an error of the function; the gateway's is the gateway's.
            Ok(Err(_)) if self.timeout <= INTEGRATION_TIMEOUT => {
                Err(GatewayError::Failed(format!("no answer within {limit:?}")))
            }
            Ok(Err(_)) => Err(GatewayError::IntegrationTimeout),
            Err(ended) => Err(GatewayError::Failed(ended.to_string())),
        }
    }
}

#[cfg(test)]
impl Endpoint {
    /// One that is never asked.
    pub(crate) fn failing() -> Arc<Self> {
        Self::new("silent", INTEGRATION_TIMEOUT, |_| Box::pin(async { Err("silent".into()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn invocations_are_limited_in_time() {
        let answer = |seconds| {
            move |_| -> InvocationFuture {
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok("{}".to_owned())
                })
            }
        };
        let within = |timeout, seconds| Endpoint::new("slow", Duration::from_secs(timeout), answer(seconds));
        assert_eq!(within(10, 9).invoke(String::new()).await.unwrap(), "{}");
        assert!(matches!(within(10, 11).invoke(String::new()).await, Err(GatewayError::Failed(_))));
        assert!(matches!(within(60, 31).invoke(String::new()).await, Err(GatewayError::IntegrationTimeout)));

        let panicking = Endpoint::new("panicking", INTEGRATION_TIMEOUT, |_| Box::pin(async { panic!("on purpose") }));
        assert!(matches!(panicking.invoke(String::new()).await, Err(GatewayError::Failed(_))));
    }
}
