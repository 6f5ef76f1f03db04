//! Hears every line that a function writes for the audit, by way of CloudWatch Logs, so that no request pays for it.
//!
//! It writes each line again: its own log group, which is kept for longer and holds nothing else, is the audit log. What names a
//! tenant is kept in a table as well, for those who look after the tenant. A line may come twice, and then stands in the log twice,
//! with the same `id`, and in the table once.

mod delivery;
mod line;

use serde_json::Value;
use shared::audit;
use shared::environment::{ConfigError, Environment};
use shared::lambda::{Error, Listener};
use shared::store::activity::Activities;

use delivery::Delivery;
use line::Line;

/// Keeps what is to be known later.
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
        let Delivery::Lines(events) = Delivery::read(&event)? else { return Ok(()) };
        let mut lines = Vec::with_capacity(events.len());
        for event in events {
            if let Some(line) = Line::read(&event) {
                lines.push(line);
            } else {
                // Not the line itself: whatever it is, it is not what we write. By default the target would be this crate, `audit`.
                tracing::error!(target: "deliveries", id = event.id, "a line that is none of the audit");
            }
        }
        for line in &lines {
            audit::repeat(&line.to_text());
        }
        let activities: Vec<_> = lines.iter().filter_map(Line::activity).collect();
        Ok(self.activities.put(&activities).await?)
    }
}
