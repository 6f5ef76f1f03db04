//! A line of the audit, as a function wrote it.

use serde_json::{Map, Value, json};
use shared::oauth::tenant::TenantId;
use shared::store::activity::Activity;

use crate::delivery::LogEvent;

/// The line, with CloudWatch's name for it.
#[derive(Debug)]
pub(crate) struct AuditLine {
    id: String,
    at: i64,
    members: Map<String, Value>,
}

impl AuditLine {
    /// `None` if it is not a line of the audit.
    pub(crate) fn read(log_event: &LogEvent) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_str(&log_event.message).ok()?;
        let of_the_audit = members.get("target")? == "audit" && members.get("event")?.is_string();
        let named =
            (1..=128).contains(&log_event.id.len()) && log_event.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (of_the_audit && named).then(|| Self { id: log_event.id.clone(), at: log_event.timestamp, members })
    }

    /// The line as it was written, with `id`, by which a reader recognises a line that was delivered twice.
    pub(crate) fn to_text(&self) -> String {
        let mut members = self.members.clone();
        members.insert("id".to_owned(), json!(self.id));
        Value::Object(members).to_string()
    }

    /// The part that a tenant's administrators may see, if it names a tenant. The IP address is left out, and
    /// so are the members that only the log needs.
    pub(crate) fn activity(&self) -> Option<Activity> {
        let member = |name| self.members.get(name).and_then(Value::as_str);
        let (tenant, event) = (TenantId::parse(member("tenant")?)?, member("event")?.to_owned());
        let mut line = self.members.clone();
        line.retain(|name, _| !["ip", "invocation", "timestamp", "level", "target"].contains(&name.as_str()));
        Some(Activity { tenant, at: self.at, id: self.id.clone(), event, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_event(id: &str, message: &Value) -> LogEvent {
        LogEvent { id: id.to_owned(), timestamp: 1_795_339_800_007, message: message.to_string() }
    }

    #[test]
    fn audit_lines_are_recognized() {
        let line =
            json!({ "target": "audit", "event": "grant_ended", "tenant": "acme", "ip": "192.0.2.7", "level": "INFO" });
        let read = AuditLine::read(&log_event("37", &line)).unwrap();
        let activity = read.activity().unwrap();
        assert_eq!(
            (activity.tenant.as_str(), activity.event.as_str(), activity.id.as_str()),
            ("acme", "grant_ended", "37")
        );
        assert_eq!(Value::Object(activity.line), json!({ "event": "grant_ended", "tenant": "acme" }));
        let mut expected = line.clone();
        expected["id"] = json!("37");
        assert_eq!(serde_json::from_str::<Value>(&read.to_text()).unwrap(), expected);

        for (id, none) in [
            ("37", json!({ "target": "request", "event": "x" })),
            ("37", json!({ "target": "audit" })),
            ("37", json!("audit")),
            ("3#7", line),
        ] {
            assert!(AuditLine::read(&log_event(id, &none)).is_none(), "{none}");
        }
        assert!(AuditLine::read(&LogEvent { id: "1".to_owned(), timestamp: 0, message: "{".to_owned() }).is_none());
    }

    #[test]
    fn events_without_a_tenant_are_not_activity() {
        for line in [
            json!({ "target": "audit", "event": "client_registered", "client": "c_1" }),
            json!({ "target": "audit", "event": "x", "tenant": "Not A Tenant" }),
        ] {
            assert!(AuditLine::read(&log_event("1", &line)).unwrap().activity().is_none(), "{line}");
        }
    }
}
