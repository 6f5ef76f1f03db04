//! Receives every audit event that a function logs, through a subscription filter of CloudWatch Logs: no request waits for it.
//!
//! It writes each line again: its own log group, which is kept for longer and holds nothing else, is the audit log. What names a
//! tenant is kept in a table as well, for those who look after the tenant. A line may come twice, and then stands in the log twice,
//! with the same `id`, and in the table once.

mod audit_line;
mod delivery;

use serde_json::Value;
use shared::audit;
use shared::environment::{ConfigError, Environment};
use shared::lambda::{Error, Listener};
use shared::store::activity::Activities;

use audit_line::AuditLine;
use delivery::Delivery;

/// Writes the audit log, and each tenant's activity.
pub struct Audit {
    activities: Activities,
}

impl Audit {
    /// With the table of what happened.
    ///
    /// # Errors
    /// When a setting is missing.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { activities: environment.activities()? })
    }
}

impl Listener for Audit {
    /// The log first: whatever holds one tenant's table up, nobody's lines are missing there. If the table fails, Lambda tells the same
    /// again.
    async fn handle(&self, event: Value) -> Result<(), Error> {
        let Delivery::LogEvents(events) = Delivery::read(&event)? else { return Ok(()) };
        let mut lines = Vec::with_capacity(events.len());
        for event in events {
            if let Some(line) = AuditLine::read(&event) {
                lines.push(line);
            } else {
                // Not the line itself: whatever it is, it is not what we write. By default the target would be this crate, `audit`.
                tracing::error!(target: "deliveries", id = event.id, "CloudWatch Logs delivered a line that is not an audit event");
            }
        }
        for line in &lines {
            audit::repeat(&line.to_text());
        }
        let activities: Vec<_> = lines.iter().filter_map(AuditLine::activity).collect();
        Ok(self.activities.put(&activities).await?)
    }
}
