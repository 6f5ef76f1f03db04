//! Attempts to connect, told on the terminal as they come about or stop.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flow_log::FlowLog;
use flow_log::table;
use shared::audit;
use shared::clock::Clock;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Hears the audit: a layer of the log.
#[derive(Clone, Default)]
pub struct Flows(Arc<Mutex<FlowLog>>);

impl Flows {
    /// Tells each attempt on `out` once it is decided, and again if that changes, for as long as it is polled.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub async fn tell(&self, clock: &Clock, mut out: impl Write) -> io::Result<()> {
        const PAUSE: Duration = Duration::from_secs(1);

        loop {
            let now = clock.now();
            let news = match self.log().news(now) {
                none if none.is_empty() => String::new(),
                some => format!("\n{}\n", table::render(some, now)),
            };
            out.write_all(news.as_bytes())?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tells every attempt that is remembered on `out`, decided or not.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn tell_all(&self, clock: &Clock, mut out: impl Write) -> io::Result<()> {
        let log = self.log();
        if log.attempts().next().is_none() {
            return Ok(());
        }
        out.write_all(format!("\n{}", table::render(log.attempts(), clock.now())).as_bytes())
    }

    fn log(&self) -> MutexGuard<'_, FlowLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Flows {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(event) = audit::json(event).and_then(|told| serde_json::from_str(&told).ok()) {
            self.log().read(&event);
        }
    }
}
