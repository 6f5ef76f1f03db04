//! A function, as Lambda holds it: an event's JSON in, an answer's JSON out, within its time.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use shared::lambda::{self, ExecutionEnvironment, Function};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::refusal::Refusal;
use crate::delivery::Lines;
use crate::process::Fleet;
use crate::template::FunctionDefinition;

/// HTTP APIs wait no longer for an integration, and no setting changes that.
const PATIENCE: Duration = Duration::from_secs(30);

type Answering = Pin<Box<dyn Future<Output = Result<String, lambda::Error>> + Send>>;

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
    invoke: Box<dyn Fn(String) -> Answering + Send + Sync>,
    fleet: Option<Arc<Fleet>>,
}

impl Endpoint {
    /// `function`, ended after `timeout` as Lambda would; its log lines go to whoever listens now.
    pub(crate) fn of<F: Function>(function: F, definition: &FunctionDefinition, lines: &Arc<Lines>) -> Arc<Self> {
        let (served, lines) = (Arc::new(ExecutionEnvironment::new(function)), Arc::clone(lines));
        let name = definition.name.clone();
        Self::new(&definition.binary, definition.timeout, move |event| {
            let (served, name, invocation) = (Arc::clone(&served), name.clone(), lines.invocation());
            Box::pin(async move { lambda::invoke(&served, &event, &name, invocation).await })
        })
    }

    /// A program, each event to a process of it that has no other.
    pub(crate) fn of_fleet(fleet: Fleet, definition: &FunctionDefinition, lines: &Arc<Lines>) -> Arc<Self> {
        let (fleet, lines) = (Arc::new(fleet), Arc::clone(lines));
        let asked = Arc::clone(&fleet);
        let invoke = move |event| -> Answering {
            let (fleet, invocation) = (Arc::clone(&asked), lines.invocation());
            Box::pin(async move { Ok(fleet.invoke(event, invocation).await?) })
        };
        Self::made(&definition.binary, definition.timeout, invoke, Some(fleet))
    }

    fn new(name: &str, timeout: Duration, invoke: impl Fn(String) -> Answering + Send + Sync + 'static) -> Arc<Self> {
        Self::made(name, timeout, invoke, None)
    }

    fn made(
        name: &str,
        timeout: Duration,
        invoke: impl Fn(String) -> Answering + Send + Sync + 'static,
        fleet: Option<Arc<Fleet>>,
    ) -> Arc<Self> {
        let log = tracing::dispatcher::get_default(Clone::clone);
        let running = RwLock::new(Arc::new(Running { invoke: Box::new(invoke), fleet }));
        Arc::new(Self { name: name.to_owned(), timeout, running, log })
    }

    /// Becomes what `next` is, from the next invocation on: what has begun is worked out as it was.
    pub(crate) fn becomes(&self, next: &Self) {
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = next.running();
    }

    /// Its processes, if it has any of its own.
    pub(crate) fn fleet(&self) -> Option<Arc<Fleet>> {
        self.running().fleet.clone()
    }

    fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer to `event`. It is worked out to the end even if the caller has gone, as on Lambda.
    pub(crate) async fn invoke(&self, event: String) -> Result<String, Refusal> {
        let limit = self.timeout.min(PATIENCE);
        let running = self.running();
        let work = tokio::time::timeout(limit, (running.invoke)(event)).with_subscriber(self.log.clone());
        match tokio::spawn(work).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(Refusal::Failed(error.to_string())),
            // Lambda's own limit is an error of the function; the gateway's is the gateway's.
            Ok(Err(_)) if self.timeout <= PATIENCE => Err(Refusal::Failed(format!("no answer within {limit:?}"))),
            Ok(Err(_)) => Err(Refusal::TookTooLong),
            Err(ended) => Err(Refusal::Failed(ended.to_string())),
        }
    }
}

#[cfg(test)]
impl Endpoint {
    /// One that is never asked.
    pub(crate) fn silent() -> Arc<Self> {
        Self::new("silent", PATIENCE, |_| Box::pin(async { Err("silent".into()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn how_an_invocation_ends() {
        let answer = |seconds| {
            move |_| -> Answering {
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok("{}".to_owned())
                })
            }
        };
        let within = |timeout, seconds| Endpoint::new("slow", Duration::from_secs(timeout), answer(seconds));
        assert_eq!(within(10, 9).invoke(String::new()).await.unwrap(), "{}");
        assert!(matches!(within(10, 11).invoke(String::new()).await, Err(Refusal::Failed(_))));
        assert!(matches!(within(60, 31).invoke(String::new()).await, Err(Refusal::TookTooLong)));

        let panicking = Endpoint::new("panicking", PATIENCE, |_| Box::pin(async { panic!("on purpose") }));
        assert!(matches!(panicking.invoke(String::new()).await, Err(Refusal::Failed(_))));
    }
}
