//! Attempts to connect, told on the terminal as they come about or stop.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attempt_log::AttemptLog;
use attempt_log::table;
use shared::clock::Clock;
use shared::telemetry::audit;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Reads the audit: a layer of the log.
#[derive(Clone, Default)]
pub struct AttemptReporter(Arc<Mutex<AttemptLog>>);

impl AttemptReporter {
    /// Tells each attempt on `out` once it is decided, and again if that changes, for as long as it is polled.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub async fn report_decided(&self, clock: &Clock, mut out: impl Write) -> io::Result<()> {
        const PAUSE: Duration = Duration::from_secs(1);

        loop {
            let now = clock.now();
            let news = match self.log().newly_decided(now) {
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
    pub fn report_all(&self, clock: &Clock, mut out: impl Write) -> io::Result<()> {
        let log = self.log();
        if log.attempts().next().is_none() {
            return Ok(());
        }
        out.write_all(format!("\n{}", table::render(log.attempts(), clock.now())).as_bytes())
    }

    fn log(&self) -> MutexGuard<'_, AttemptLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for AttemptReporter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(event) = audit::json(event).and_then(|json| serde_json::from_str(&json).ok()) {
            self.log().read(&event);
        }
    }
}
