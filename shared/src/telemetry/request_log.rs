//! The one log line of a request, with its metrics among the members.

use std::fmt::{self, Write as _};
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Serialize;
use tracing::field::{Field, Visit};

use crate::telemetry::request_context::RequestContext;

/// The target of the one line of a request among all others.
const TARGET: &str = "request";
/// Most bytes of a path that a line has: anybody chooses it. Those that mean something here are shorter.
const MAX_PATH: usize = 160;

/// Writes the line of a request that was answered with `status` after `took`; `reason` says why it was refused, if it was.
pub(crate) fn write(
    context: &RequestContext,
    method: &Method,
    path: &str,
    status: StatusCode,
    reason: &str,
    took: Duration,
) {
    let status = status.as_u16();
    let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let attributes = context.attributes();
    let (function, request) = (attributes.function, attributes.request.as_deref().unwrap_or_default());
    let invocation = attributes.invocation.as_str();
    let metrics = metrics(context, status, took);
    let path = shortened(path);
    if status >= 500 {
        tracing::error!(target: TARGET, function, %method, path, status, reason, microseconds, request, invocation, metrics, "answered");
    } else {
        tracing::info!(target: TARGET, function, %method, path, status, reason, microseconds, request, invocation, metrics, "answered");
    }
}

fn shortened(path: &str) -> &str {
    let end = (0..=MAX_PATH).rev().find(|end| path.is_char_boundary(*end)).unwrap_or_default();
    path.get(..end).unwrap_or_default()
}

/// The metrics as a JSON object, whose members join the line. Empty where no stack is named.
#[expect(clippy::disallowed_methods, reason = "CloudWatch wants the time in milliseconds")]
fn metrics(context: &RequestContext, status: u16, took: Duration) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let members = context.with_metrics(|metrics| metrics.members(context.attributes(), status, took, now));
    members.map(|members| json(&members)).unwrap_or_default()
}

/// The JSON object of a request's log line, with the metrics among its members. Nothing if `event` is not
/// such a line.
pub(crate) fn request_line(event: &tracing::Event<'_>) -> Option<String> {
    struct LineFields {
        members: String,
        metrics: String,
    }
    impl LineFields {
        fn put(&mut self, field: &Field, value: &impl Serialize) {
            let _ = write!(self.members, r#""{}":{},"#, field.name(), json(value));
        }
    }
    impl Visit for LineFields {
        fn record_u64(&mut self, field: &Field, value: u64) {
            self.put(field, &value);
        }
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "metrics" {
                value.clone_into(&mut self.metrics);
            } else {
                self.put(field, &value);
            }
        }
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.put(field, &format!("{value:?}"));
        }
    }
    if event.metadata().target() != TARGET {
        return None;
    }
    let mut fields = LineFields { members: "{".to_owned(), metrics: String::new() };
    event.record(&mut fields);
    // Both are objects with members.
    if let Some(metrics) = fields.metrics.strip_prefix('{') {
        fields.members.push_str(metrics);
    } else {
        fields.members.pop();
        fields.members.push('}');
    }
    Some(fields.members)
}

/// Text, numbers and our own types: it would take a mistake in them to fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::{Event, Subscriber, subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;

    struct LineCapture(Arc<Mutex<Option<String>>>);

    impl<S: Subscriber> Layer<S> for LineCapture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() = request_line(event);
        }
    }

    fn line(log: impl FnOnce()) -> Option<Value> {
        let captured = Arc::default();
        subscriber::with_default(tracing_subscriber::registry().with(LineCapture(Arc::clone(&captured))), log);
        let line = captured.lock().unwrap().take();
        line.map(|line| serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn long_paths_are_cut_between_characters() {
        let whole = "/a".repeat(MAX_PATH / 2);
        let cases = [("", ""), ("/admin", "/admin"), (&whole, &whole), (&format!("{whole}/"), &whole)];
        for (path, shown) in cases {
            assert_eq!(shortened(path), shown);
        }
        let (wide, shown) = (format!("/{}", "ü".repeat(MAX_PATH)), format!("/{}", "ü".repeat(MAX_PATH / 2 - 1)));
        assert_eq!(shortened(&wide), shown);
    }

    #[test]
    fn request_line_is_one_json_object() {
        let (path, metrics) = ("/\"\n", r#"{"Stack":"amble","_aws":{}}"#);
        assert_eq!(
            line(|| tracing::info!(target: TARGET, method = %"GET", path, status = 200_u16, metrics = "", "answered")),
            Some(json!({ "method": "GET", "path": "/\"\n", "status": 200, "message": "answered" }))
        );
        assert_eq!(
            line(|| tracing::error!(target: TARGET, path, metrics, "answered")),
            Some(json!({ "path": "/\"\n", "message": "answered", "Stack": "amble", "_aws": {} }))
        );
        assert_eq!(line(|| tracing::info!(path, "answered")), None);
    }
}
