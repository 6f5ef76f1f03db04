//! The audit of a deployment, as the command line meets it: it writes what an operator did, and reads what anybody did.
//!
//! On a stack it is a log group of CloudWatch's: functions get there by their own logs, the command line writes there itself. What
//! names a tenant is also in the table of activity, which is all that a local system has.

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client as Logs;
use aws_sdk_cloudwatchlogs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use serde_json::{Map, Value};
use shared::clock::Timestamp;
use shared::environment::Environment;
use shared::oauth::secret::{Secret, to_text};
use shared::oauth::tenant::TenantId;
use shared::store::activity::{Activities, Activity};
use shared::telemetry::audit;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

/// The way to the audit.
pub(crate) struct AuditLog {
    group: Option<(Logs, String)>,
    pub(crate) activities: Option<Activities>,
    aws: SdkConfig,
}

/// A line of the audit.
#[derive(Clone, Debug)]
pub(crate) struct AuditLine {
    /// In milliseconds since 1970-01-01 UTC.
    pub(crate) at: i64,
    /// Tells it from others of its millisecond.
    pub(crate) id: String,
    pub(crate) members: Map<String, Value>,
}

/// What was done is done, but the audit does not know.
#[derive(Debug, Error)]
#[error("this was done, but the audit could not be told: {reason}\n{lines}")]
pub(crate) struct AuditWriteError {
    reason: String,
    /// What it should have been told, for whoever keeps it by hand.
    lines: String,
}

impl AuditLog {
    pub(crate) fn of(environment: &Environment, aws: &SdkConfig, group: Option<String>) -> Self {
        let group = group.map(|group| (Logs::new(aws), group));
        // A deployment of before there was one has none.
        Self { group, activities: environment.activities().ok(), aws: aws.clone() }
    }

    pub(crate) const fn is_in_cloudwatch(&self) -> bool {
        self.group.is_some()
    }

    /// Writes what an operator did, with who they are.
    pub(crate) async fn write(
        &self,
        mut lines: Vec<Map<String, Value>>,
        now: Timestamp,
    ) -> Result<(), AuditWriteError> {
        let by = self.operator().await;
        for line in &mut lines {
            let common =
                [("timestamp", now.to_rfc3339()), ("level", "INFO".to_owned()), ("target", "audit".to_owned())];
            line.extend(common.map(|(name, value)| (name.to_owned(), Value::from(value))));
            line.insert("v".to_owned(), Value::from(audit::VERSION));
            line.insert("function".to_owned(), Value::from("amble"));
            line.insert("by".to_owned(), Value::from(by.as_str()));
        }
        let written = match self.write_to_log_group(&lines, now).await {
            Ok(()) => self.write_to_table(&lines, now).await.map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        written.map_err(|reason| {
            let lines: Vec<_> = lines.into_iter().map(|line| Value::Object(line).to_string()).collect();
            AuditWriteError { reason, lines: lines.join("\n") }
        })
    }

    /// At most one page of lines that fit CloudWatch's `pattern`, the oldest first, and where to go on.
    pub(crate) async fn read(
        &self,
        pattern: &str,
        since: i64,
        from: Option<String>,
    ) -> Result<(Vec<AuditLine>, Option<String>), String> {
        let Some((logs, group)) = &self.group else { return Ok((Vec::new(), None)) };
        let request = logs.filter_log_events().log_group_name(group).filter_pattern(pattern).start_time(since);
        let page = request.set_next_token(from).send().await.map_err(|error| error_message(&error))?;
        let lines = page.events.unwrap_or_default().into_iter().filter_map(|event| {
            let members = serde_json::from_str(event.message()?).ok()?;
            Some(AuditLine { at: event.timestamp()?, id: event.event_id()?.to_owned(), members })
        });
        Ok((lines.collect(), page.next_token))
    }

    async fn write_to_log_group(&self, lines: &[Map<String, Value>], now: Timestamp) -> Result<(), String> {
        const MAX_EVENTS: usize = 1000;
        let Some((logs, group)) = &self.group else { return Ok(()) };
        // One stream for each command: streams take no colons or asterisks.
        let stream = format!("amble/{}/{}", now.seconds(), to_text(Secret::<9>::random().expose()));
        let made = logs.create_log_stream().log_group_name(group).log_stream_name(&stream).send().await;
        made.map_err(|error| error_message(&error))?;
        for chunk in lines.chunks(MAX_EVENTS) {
            let events = chunk.iter().map(|line| {
                let message = Value::Object(line.clone()).to_string();
                InputLogEvent::builder().timestamp(now.seconds() * 1000).message(message).build()
            });
            let events: Vec<_> = events.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
            let put = logs.put_log_events().log_group_name(group).log_stream_name(&stream).set_log_events(Some(events));
            put.send().await.map_err(|error| error_message(&error))?;
        }
        Ok(())
    }

    async fn write_to_table(&self, lines: &[Map<String, Value>], now: Timestamp) -> Result<(), UpstreamError> {
        let Some(activities) = &self.activities else { return Ok(()) };
        let command = to_text(Secret::<9>::random().expose());
        let text = |line: &Map<String, Value>, name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        let kept = lines.iter().enumerate().filter_map(|(position, line)| {
            Some(Activity {
                tenant: TenantId::parse(&text(line, "tenant")?)?,
                at: now.seconds() * 1000,
                id: format!("amble-{command}-{position:06}"),
                event: text(line, "event")?,
                line: line.clone(),
            })
        });
        activities.put(&kept.collect::<Vec<_>>()).await
    }

    /// Who AWS says they are, where AWS is asked at all.
    async fn operator(&self) -> String {
        const UNNAMED_OPERATOR: &str = "operator";
        if self.group.is_none() {
            return UNNAMED_OPERATOR.to_owned();
        }
        let identity = aws_sdk_sts::Client::new(&self.aws).get_caller_identity().send().await;
        match identity.ok().and_then(|identity| identity.arn) {
            Some(arn) => format!("{UNNAMED_OPERATOR} {arn}"),
            None => UNNAMED_OPERATOR.to_owned(),
        }
    }
}

/// CloudWatch's own sentence says best what is wrong; without one, nothing was answered.
fn error_message<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let reason = error.as_service_error().and_then(ProvideErrorMetadata::message);
    reason.map_or_else(|| DisplayErrorContext(error).to_string(), str::to_owned)
}
