//! What is counted and timed of each request, in CloudWatch's embedded metric format: members of the request's one log line, from
//! which CloudWatch draws metrics. No call, and no effect on the answer.
//!
//! | metric | unit | by | of |
//! | --- | --- | --- | --- |
//! | `Latency` | ms | function | every request; its number of samples is the number of requests |
//! | `ColdStarts` | | function | the first request of an execution environment |
//! | `DynamoDB`, `KMS`, `Lambda`, `Supabase` | ms | function | all its calls there, retries included |
//! | `Approvals` | | | a person approved a client |
//! | `Connections` | | | the first call of a grant: a connection has come about |
//! | `Replays` | | | a code or refresh token that was used before |
//! | `StaleChanges` | | | a change of membership that did not count, as one with a higher number had for hours |
//! | `Refreshes` | | verdict, all | a refresh token was judged |
//! | `Refusals` | | reason, all | the audit's word for why something was refused |
//! | `Calls` | | outcome, all | a request of the MCP server, as the audit says it ended, or as its status does |
//! | `Faults` | | service, all | a service that we depend on did not do what was asked |
//!
//! Format: "Specification: Embedded metric format" of the CloudWatch user guide. Each value of a dimension is a metric of its own,
//! and is paid for: every one of them is a word of ours, never a client's.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::audit::Event;
use crate::trail::{Asked, Trail};

/// Where CloudWatch keeps them.
pub const NAMESPACE: &str = "AmbleConnect";

/// What is counted of one request.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    counts: BTreeMap<&'static str, u32>,
    verdict: Option<&'static str>,
    reason: Option<&'static str>,
    outcome: Option<&'static str>,
    fault: Option<&'static str>,
    calls: BTreeMap<&'static str, Duration>,
    cold: bool,
}

impl Measured {
    /// Counts what the audit is told.
    pub(crate) fn told(&mut self, event: &Event<'_>) {
        match event {
            Event::GrantApproved { .. } => self.count("Approvals"),
            Event::GrantUsed { .. } => self.count("Connections"),
            Event::RefreshJudged { verdict, .. } => {
                self.verdict = Some(verdict);
                self.count("Refreshes");
                if *verdict == "replayed" {
                    self.count("Replays");
                }
            }
            Event::CodeJudged { verdict: "replayed", .. } => self.count("Replays"),
            Event::MembershipFollowed { outcome: "stale", .. } => self.count("StaleChanges"),
            Event::AuthorizationRefused { reason, .. }
            | Event::AuthorizationStranded { reason, .. }
            | Event::TokenRefused { reason, .. }
            | Event::CallRefused { reason, .. }
            | Event::KeyRefused { reason, .. } => {
                self.reason = Some(reason);
                self.count("Refusals");
            }
            Event::ToolCalled { outcome, .. }
            | Event::ResourceRead { outcome, .. }
            | Event::PromptTaken { outcome, .. } => {
                self.outcome = Some(outcome);
            }
            _ => {}
        }
    }

    /// Counts a fault of `call`, named as `Service.Operation`.
    pub(crate) fn fault(&mut self, call: &'static str) {
        self.fault = Some(call.split('.').next().unwrap_or(call));
        self.count("Faults");
    }

    /// Notes that the request is the first of its environment.
    pub(crate) fn cold(&mut self) {
        self.cold = true;
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    fn call(&mut self, service: &'static str, took: Duration) {
        *self.calls.entry(service).or_default() += took;
    }

    /// The members that make a request's line one of metrics: `now` in milliseconds since 1970-01-01 UTC.
    pub(crate) fn members(&self, asked: &Asked, status: u16, took: Duration, now: u64) -> Map<String, Value> {
        let mut line = Line { members: Map::new(), directives: Vec::new() };
        let Some(stack) = &asked.stack else { return line.members };
        line.put("Stack", stack.as_str());
        line.put("Function", asked.function);

        let mut timed = vec![("Latency", "Milliseconds", json!(milliseconds(took)))];
        timed.extend(self.calls.iter().map(|(service, took)| (*service, "Milliseconds", json!(milliseconds(*took)))));
        if self.cold {
            timed.push(("ColdStarts", "Count", json!(1)));
        }
        line.directive(&[&["Stack", "Function"]], timed);

        let plain = ["Approvals", "Connections", "Replays", "StaleChanges"];
        let plain = plain.into_iter().filter_map(|name| Some((name, "Count", json!(self.counts.get(name)?)))).collect();
        line.directive(&[&["Stack"]], plain);

        let outcome = (asked.function == "mcp").then(|| self.outcome.unwrap_or_else(|| of_status(status)));
        let calls = u32::from(outcome.is_some());
        let count = |name: &str| self.counts.get(name).copied().unwrap_or_default();
        for (metric, dimension, value, count) in [
            ("Refreshes", "Verdict", self.verdict, count("Refreshes")),
            ("Refusals", "Reason", self.reason, count("Refusals")),
            ("Calls", "Outcome", outcome, calls),
            ("Faults", "Service", self.fault, count("Faults")),
        ] {
            if let Some(value) = value {
                line.put(dimension, value);
                line.directive(&[&["Stack"], &["Stack", dimension]], vec![(metric, "Count", json!(count))]);
            }
        }
        line.members.insert("_aws".to_owned(), json!({ "Timestamp": now, "CloudWatchMetrics": line.directives }));
        line.members
    }
}

struct Line {
    members: Map<String, Value>,
    directives: Vec<Value>,
}

impl Line {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// Metrics by dimensions whose values are put; none is no directive.
    fn directive(&mut self, dimensions: &[&[&str]], metrics: Vec<(&'static str, &'static str, Value)>) {
        if metrics.is_empty() {
            return;
        }
        let described: Vec<_> = metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        self.directives.push(json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": described }));
        for (name, _, value) in metrics {
            self.put(name, value);
        }
    }
}

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// How a request ended that the audit is not told of.
const fn of_status(status: u16) -> &'static str {
    match status {
        0..400 => "answered",
        400..500 => "refused",
        _ => "fault",
    }
}

/// `future`, timed as a call to `service`.
pub(crate) async fn timed<F: Future>(service: &'static str, future: F) -> F::Output {
    let began = Instant::now();
    let output = future.await;
    if let Some(trail) = Trail::current() {
        trail.measure(|measured| measured.call(service, began.elapsed()));
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(function: &'static str) -> Asked {
        Asked { function, stack: Some("amble".to_owned()), ..Asked::default() }
    }

    const TOOK: Duration = Duration::from_micros(12_345);

    #[test]
    fn a_request_of_which_nothing_is_told() {
        let line = Measured::default().members(&asked("wellknown"), 200, TOOK, 1_795_339_800_007);
        assert_eq!(
            Value::Object(line),
            json!({
                "Stack": "amble",
                "Function": "wellknown",
                "Latency": 12.345,
                "_aws": {
                    "Timestamp": 1_795_339_800_007_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "AmbleConnect",
                        "Dimensions": [["Stack", "Function"]],
                        "Metrics": [{ "Name": "Latency", "Unit": "Milliseconds" }],
                    }],
                },
            })
        );
    }

    #[test]
    fn a_replay_on_a_cold_start() {
        let mut measured = Measured::default();
        let (grant, client, tenant, person) = ("g", "c", "acme", "p");
        measured.told(&Event::RefreshJudged {
            grant,
            client,
            tenant: Some(tenant),
            person: Some(person),
            verdict: "replayed",
        });
        measured.call("DynamoDB", Duration::from_millis(2));
        measured.call("DynamoDB", Duration::from_millis(3));
        measured.fault("KMS.Sign");
        measured.cold();

        let line = Value::Object(measured.members(&asked("token"), 400, TOOK, 0));

        for (name, value) in [
            ("Refreshes", json!(1)),
            ("Replays", json!(1)),
            ("Verdict", json!("replayed")),
            ("DynamoDB", json!(5.0)),
            ("ColdStarts", json!(1)),
            ("Service", json!("KMS")),
            ("Faults", json!(1)),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let dimensions: Vec<_> = directives.iter().map(|directive| directive["Dimensions"].to_string()).collect();
        assert_eq!(
            dimensions,
            [
                r#"[["Stack","Function"]]"#,
                r#"[["Stack"]]"#,
                r#"[["Stack"],["Stack","Verdict"]]"#,
                r#"[["Stack"],["Stack","Service"]]"#
            ]
        );
    }

    #[test]
    fn how_a_call_of_the_mcp_server_ended() {
        let outcome = |measured: &Measured, status| {
            let line = measured.members(&asked("mcp"), status, TOOK, 0);
            (line["Outcome"].clone(), line["Calls"].clone())
        };
        let mut told = Measured::default();
        told.told(&Event::PromptTaken {
            tenant: "a",
            person: "p",
            credential: "",
            prompt: "x",
            outcome: "invalid_params",
        });
        for (measured, status, expected) in [
            (&told, 200, "invalid_params"),
            (&Measured::default(), 200, "answered"),
            (&Measured::default(), 401, "refused"),
            (&Measured::default(), 503, "fault"),
        ] {
            assert_eq!(outcome(measured, status), (json!(expected), json!(1)));
        }
    }

    /// On a machine where no stack is named there is nothing to draw metrics into.
    #[test]
    fn no_stack_no_metrics() {
        assert!(Measured::default().members(&Asked::default(), 200, TOOK, 0).is_empty());
    }
}
