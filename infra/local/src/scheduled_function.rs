//! A function that `EventBridge` invokes when a schedule says so. Here nothing does: a test invokes it, as AWS would.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use shared::lambda::{self, Listener};

type Invocation = std::pin::Pin<Box<dyn Future<Output = Result<(), lambda::Error>> + Send>>;

/// The function, started.
pub(crate) struct ScheduledFunction {
    handler: Box<dyn Fn(Value) -> Invocation + Send + Sync>,
    timeout: Duration,
}

impl ScheduledFunction {
    pub(crate) fn of(listener: impl Listener, timeout: Duration) -> Arc<Self> {
        let listener = Arc::new(listener);
        let handler = Box::new(move |event| -> Invocation {
            let listener = Arc::clone(&listener);
            Box::pin(async move { listener.handle(event).await })
        });
        Arc::new(Self { handler, timeout })
    }

    /// One invocation; the error's text when it fails or takes too long.
    pub(crate) async fn invoke(&self, event: Value) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, (self.handler)(event)).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }
}
