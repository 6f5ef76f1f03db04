//! Receives every audit event that a function logs, through a subscription filter of CloudWatch Logs: no request waits for it.
//!
//! It writes each line again, into its own log group. That group is the audit log: it is kept for longer and
//! has nothing else. A line that names a tenant is also stored in a table, for the tenant's administrators. A
//! line may be delivered twice. Then it is in the log twice, with the same `id`, and in the table once.

mod audit_line;
mod delivery;

use serde_json::Value;
use shared::environment::{ConfigError, Environment};
use shared::lambda::{Error, Listener};
use shared::store::activity::Activities;
use shared::telemetry::audit;

use audit_line::AuditLine;
use delivery::Delivery;

/// Writes the audit log, and each tenant's activity.
pub struct Audit {
    activities: Activities,
}

impl Audit {
    /// With the table of events.
    ///
    /// # Errors
    /// When a setting is missing.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { activities: environment.activities()? })
    }
}

impl Listener for Audit {
    /// The log comes first, so that a failure of the table loses no line. If the table fails, Lambda delivers
    /// the same again.
    async fn handle(&self, event: Value) -> Result<(), Error> {
        let Delivery::LogEvents(events) = Delivery::read(&event)? else { return Ok(()) };
        let mut lines = Vec::with_capacity(events.len());
        for event in events {
            if let Some(line) = AuditLine::read(&event) {
                lines.push(line);
            } else {
                // Without the line itself, whose content is unknown. The default target would be the name of
                // this crate, `audit`, which marks lines of the audit.
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
