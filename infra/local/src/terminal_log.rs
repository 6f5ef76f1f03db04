//! The log as people read it on a terminal: a line for each request, and for each event of the audit.
//!
//! ```text
//! 11:29:00  mcp        POST /api/mcp/server  401  0.1 ms  the request is not authenticated: MissingCredentials
//! 11:29:00  authorize  authorization_stranded  client=nobody  reason=unknown_client
//! 11:29:00  INFO       the gateway refused  error=NoRoute  method=GET  path=/nowhere
//! ```
//!
//! It says what CloudWatch is told, and is made of that, without the ids that tie lines together there.

use std::fmt;

use serde_json::{Map, Value};
use shared::telemetry::log::JsonLines;
use shared::telemetry::terminal::in_line;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// The form of a line.
#[derive(Default)]
pub(crate) struct TerminalLines(JsonLines);

impl<S> FormatEvent<S, JsonFields> for TerminalLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut json = String::new();
        self.0.format_event(context, Writer::new(&mut json), event)?;
        match serde_json::from_str(&json) {
            Ok(line) => writeln!(writer, "{}", readable(&line)),
            Err(_) => writer.write_str(&json),
        }
    }
}

/// When and who, and then what that was.
fn readable(line: &Map<String, Value>) -> String {
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = text("timestamp").get(11..19).unwrap_or_default();
    let (who, what) = match text("target") {
        "request" => (text("function"), request(line)),
        "audit" => (text("function"), pairs(text("event"), line, &OF_EVERY_EVENT)),
        _ => (text("level"), pairs(text("message"), line, &["timestamp", "level", "target", "message"])),
    };
    format!("{time}  {:<9}  {what}", if who.is_empty() { "-" } else { who })
}

/// Members of an event of the audit that are not about what happened.
const OF_EVERY_EVENT: [&str; 11] =
    ["timestamp", "level", "target", "at", "v", "id", "event", "function", "request", "invocation", "ip"];

/// What was asked, and what became of it.
fn request(line: &Map<String, Value>) -> String {
    let text = |name: &str| in_line(line.get(name).and_then(Value::as_str).unwrap_or_default());
    let number = |name: &str| line.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (status, tenths) = (number("status"), number("microseconds") / 100);
    let answer = format!(
        "{} {}  {status}  {}.{} ms  {}",
        text("method"),
        text("path"),
        tenths / 10,
        tenths % 10,
        text("reason")
    );
    answer.trim_end().to_owned()
}

/// `headline`, and every other member as `name=value`.
fn pairs(headline: &str, line: &Map<String, Value>, left_out: &[&str]) -> String {
    let members = line.iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
    let members = members.map(|(name, value)| match value {
        // One word stands as it is.
        Value::String(text) if text.is_empty() || text.contains(|it: char| it.is_whitespace() || it == '"') => {
            format!("{name}='{}'", in_line(text))
        }
        Value::String(text) => format!("{name}={}", in_line(text)),
        other => format!("{name}={other}"),
    });
    std::iter::once(in_line(headline)).chain(members).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(line: &Value) -> String {
        readable(line.as_object().unwrap())
    }

    #[test]
    fn a_request_is_one_line() {
        let line = json!({
            "timestamp": "2026-11-29T11:29:00.133231Z", "level": "INFO", "target": "request", "message": "answered",
            "function": "mcp", "method": "POST", "path": "/api/mcp/server", "status": 401, "microseconds": 1234,
            "reason": "no \"token\"", "request": "x", "invocation": "y", "_aws": {}, "Latency": 1.2,
        });
        assert_eq!(told(&line), "11:29:00  mcp        POST /api/mcp/server  401  1.2 ms  no \"token\"");
        let line = json!({
            "timestamp": "2026-11-29T11:29:00Z", "target": "request", "function": "wellknown", "method": "GET",
            "path": "/a\u{1b}[2J\n\u{202e}", "status": 200, "microseconds": 99, "reason": "",
        });
        assert_eq!(told(&line), "11:29:00  wellknown  GET /a\\u001b[2J\\u000a\\u202e  200  0.0 ms");
    }

    #[test]
    fn an_audit_event_is_its_name_and_its_members() {
        let line = json!({
            "timestamp": "2026-11-29T11:29:00.1Z", "level": "INFO", "target": "audit", "v": 1, "at": 0, "event": "grant_used",
            "client": "c_x", "scope": "skills:read views:read", "change": 2, "function": "mcp", "request": "r",
            "invocation": "i", "ip": "127.0.0.1",
        });
        let told = told(&line);
        assert!(told.starts_with("11:29:00  mcp        grant_used  "), "{told}");
        for member in ["client=c_x", "scope='skills:read views:read'", "change=2"] {
            assert!(told.contains(member), "{told}");
        }
        for left_out in ["request=", "invocation=", "ip=", "v=1", "event=", "{", "\\"] {
            assert!(!told.contains(left_out), "{left_out} in {told}");
        }
    }

    #[test]
    fn other_lines_are_their_message_and_fields() {
        let line = json!({
            "timestamp": "2026-11-29T11:29:00.1Z", "level": "ERROR", "target": "local::gateway",
            "message": "the function failed", "reason": "no answer",
        });
        assert_eq!(told(&line), "11:29:00  ERROR      the function failed  reason='no answer'");
    }
}
