//! The metrics of a request, in CloudWatch's embedded metric format: members of the request's one log line,
//! from which CloudWatch makes metrics. This takes no call and does not change the response.
//!
//! | metric | unit | by | of |
//! | --- | --- | --- | --- |
//! | `Latency` | ms | function | every request; its number of samples is the number of requests |
//! | `ColdStarts` | | function | the first request of an execution environment |
//! | `DynamoDB`, `KMS`, `Lambda`, `Supabase` | ms | function | all its calls there, retries included |
//! | `Approvals` | | | a person approved a client |
//! | `Connections` | | | the first call of a grant: a connection has come about |
//! | `Replays` | | | a code or refresh token that was used before |
//! | `SiblingReplays` | | | of these, one that may have been a process with an old copy of the tokens |
//! | `SignInMailFailed` | | | Supabase could not send a mail to sign in with, for a setting of the project or its mail server |
//! | `LateRetriesRepeated` | | | a refresh token was retried late, for the second time of its grant in a day |
//! | `UnlistedTools` | | | a tool of a tenant was left out of a list, as hosts would refuse every tool for its definition |
//! | `Unasked` | | | a 5xx because Supabase was not asked: strangers had it asked too often about tokens of theirs |
//! | `StaleChanges` | | | a change of membership that did not count, as one with a higher number had for hours |
//! | `Refreshes` | | verdict, all | a refresh token was judged |
//! | `Refusals` | | reason, all | the audit's word for why something was refused |
//! | `Calls` | | outcome, all | a request of the MCP server, as the audit says it ended, or as its status does |
//! | `Faults` | | service, all | a call to a service that we depend on failed |
//!
//! Format: "Specification: Embedded metric format" of the CloudWatch user guide. Each value of a dimension is
//! a metric of its own and costs money. So every value is a constant of ours, never text of a client.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::telemetry::request_attributes::RequestAttributes;

/// The namespace in CloudWatch.
pub const NAMESPACE: &str = "AmbleConnect";

/// Sets of members, by whose values a metric is split.
type Dimensions = &'static [&'static [&'static str]];

/// What is counted of one request.
#[derive(Debug, Default)]
pub(crate) struct RequestMetrics {
    counts: BTreeMap<&'static str, u32>,
    verdict: Option<&'static str>,
    reason: Option<&'static str>,
    outcome: Option<&'static str>,
    failed_service: Option<&'static str>,
    calls: BTreeMap<&'static str, Duration>,
    cold_start: bool,
}

impl RequestMetrics {
    /// Counts a person's approval of a client.
    pub(crate) fn count_approval(&mut self) {
        self.count("Approvals");
    }

    /// Counts the first call of a grant.
    pub(crate) fn count_connection(&mut self) {
        self.count("Connections");
    }

    /// Counts a refresh token, by what it was judged to be.
    pub(crate) fn count_refresh(&mut self, verdict: &'static str) {
        self.verdict = Some(verdict);
        self.count("Refreshes");
    }

    /// Counts a code or refresh token that was used before.
    pub(crate) fn count_replay(&mut self) {
        self.count("Replays");
    }

    /// Counts a refresh token that was used before, perhaps by a process with an old copy of the tokens.
    pub(crate) fn count_sibling_replay(&mut self) {
        self.count("SiblingReplays");
    }

    /// Counts a refusal, by its reason.
    pub(crate) fn count_refusal(&mut self, reason: &'static str) {
        self.reason = Some(reason);
        self.count("Refusals");
    }

    /// Counts a change of membership that came hours too late.
    pub(crate) fn count_repeated_late_retry(&mut self) {
        self.count("LateRetriesRepeated");
    }

    pub(crate) fn count_stale_change(&mut self) {
        self.count("StaleChanges");
    }

    /// Counts tools that a list left out.
    pub(crate) fn count_unlisted_tools(&mut self, tools: u32) {
        *self.counts.entry("UnlistedTools").or_default() += tools;
    }

    /// Counts a mail that a person asked for to sign in with and that Supabase could not send.
    pub(crate) fn count_failed_sign_in_mail(&mut self) {
        self.count("SignInMailFailed");
    }

    /// Counts that Supabase was not asked about a token.
    pub(crate) fn count_unasked(&mut self) {
        self.count("Unasked");
    }

    /// Notes how a request of the MCP server ended.
    pub(crate) fn set_outcome(&mut self, outcome: &'static str) {
        self.outcome = Some(outcome);
    }

    /// Counts a failure of `call`, named as `Service.Operation`.
    pub(crate) fn count_failed_call(&mut self, call: &'static str) {
        self.failed_service = Some(call.split('.').next().unwrap_or(call));
        self.count("Faults");
    }

    /// Notes that the request is the first of its environment.
    pub(crate) fn count_cold_start(&mut self) {
        self.cold_start = true;
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Adds what a call to `service` took.
    pub(crate) fn add_call(&mut self, service: &'static str, took: Duration) {
        *self.calls.entry(service).or_default() += took;
    }

    /// The members that a request's line needs for its metrics. `now` is in milliseconds since 1970-01-01
    /// UTC. Nothing where no stack is named.
    pub(crate) fn members<'a>(
        &self,
        attributes: &'a RequestAttributes,
        status: u16,
        took: Duration,
        now: u64,
    ) -> Option<Members<'a>> {
        let mut members = Members { put: Vec::new(), directives: Vec::new(), now };
        members.put("Stack", Member::Word(attributes.stack.as_deref()?));
        members.put("Function", Member::Word(attributes.function));

        let mut timed = vec![("Latency", Member::Milliseconds(milliseconds(took)))];
        timed.extend(self.calls.iter().map(|(service, took)| (*service, Member::Milliseconds(milliseconds(*took)))));
        if self.cold_start {
            timed.push(("ColdStarts", Member::Count(1)));
        }
        members.directive(&[&["Stack", "Function"]], timed);

        let plain = [
            "Approvals",
            "Connections",
            "LateRetriesRepeated",
            "Replays",
            "SiblingReplays",
            "SignInMailFailed",
            "StaleChanges",
            "UnlistedTools",
        ];
        let mut plain: Vec<_> =
            plain.into_iter().filter_map(|name| Some((name, Member::Count(*self.counts.get(name)?)))).collect();
        // The alarm takes them from the answers of 5xx, one for one.
        if status >= 500 && self.counts.contains_key("Unasked") {
            plain.push(("Unasked", Member::Count(1)));
        }
        members.directive(&[&["Stack"]], plain);

        let outcome = (attributes.function == "mcp").then(|| self.outcome.unwrap_or_else(|| outcome_of_status(status)));
        let calls = u32::from(outcome.is_some());
        let count = |name: &str| self.counts.get(name).copied().unwrap_or_default();
        let by_word: [(_, _, Dimensions, _, _); 4] = [
            ("Refreshes", "Verdict", &[&["Stack"], &["Stack", "Verdict"]], self.verdict, count("Refreshes")),
            ("Refusals", "Reason", &[&["Stack"], &["Stack", "Reason"]], self.reason, count("Refusals")),
            ("Calls", "Outcome", &[&["Stack"], &["Stack", "Outcome"]], outcome, calls),
            ("Faults", "Service", &[&["Stack"], &["Stack", "Service"]], self.failed_service, count("Faults")),
        ];
        for (metric, dimension, dimensions, word, count) in by_word {
            if let Some(word) = word {
                members.put(dimension, Member::Word(word));
                members.directive(dimensions, vec![(metric, Member::Count(count))]);
            }
        }
        Some(members)
    }
}

/// Members of a line's object, and `_aws`, which says which of them are metrics.
pub(crate) struct Members<'a> {
    put: Vec<(&'static str, Member<'a>)>,
    directives: Vec<Directive>,
    now: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Member<'a> {
    Word(&'a str),
    Count(u32),
    Milliseconds(f64),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: Dimensions,
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl<'a> Members<'a> {
    fn put(&mut self, name: &'static str, member: Member<'a>) {
        self.put.push((name, member));
    }

    /// Adds metrics with their dimensions, unless there are none.
    fn directive(&mut self, dimensions: Dimensions, metrics: Vec<(&'static str, Member<'static>)>) {
        if metrics.is_empty() {
            return;
        }
        let unit = |member: &_| if matches!(member, Member::Milliseconds(_)) { "Milliseconds" } else { "Count" };
        let described = metrics.iter().map(|(name, member)| Metric { name, unit: unit(member) }).collect();
        self.directives.push(Directive { namespace: NAMESPACE, dimensions, metrics: described });
        self.put.extend(metrics);
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Embedded<'a> {
            timestamp: u64,
            cloud_watch_metrics: &'a [Directive],
        }
        let mut map = serializer.serialize_map(None)?;
        for (name, member) in &self.put {
            map.serialize_entry(name, member)?;
        }
        map.serialize_entry("_aws", &Embedded { timestamp: self.now, cloud_watch_metrics: &self.directives })?;
        map.end()
    }
}

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// The outcome of a request without an audit event.
const fn outcome_of_status(status: u16) -> &'static str {
    match status {
        0..400 => "answered",
        400..500 => "refused",
        _ => "fault",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(function: &'static str) -> RequestAttributes {
        RequestAttributes { function, stack: Some("amble".to_owned()), ..RequestAttributes::default() }
    }

    const TOOK: Duration = Duration::from_micros(12_345);

    #[test]
    fn latency_is_measured_without_audit_events() {
        let attributes = attributes("wellknown");
        let line = RequestMetrics::default().members(&attributes, 200, TOOK, 1_795_339_800_007);
        assert_eq!(
            json!(line),
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
    fn replay_and_cold_start_are_counted() {
        let mut metrics = RequestMetrics::default();
        metrics.count_refresh("replayed");
        metrics.count_replay();
        metrics.add_call("DynamoDB", Duration::from_millis(2));
        metrics.add_call("DynamoDB", Duration::from_millis(3));
        metrics.count_failed_call("KMS.Sign");
        metrics.count_cold_start();

        let line = json!(metrics.members(&attributes("token"), 400, TOOK, 0));

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
    fn outcome_of_mcp_calls_is_counted() {
        let outcome = |metrics: &RequestMetrics, status| {
            let line = json!(metrics.members(&attributes("mcp"), status, TOOK, 0));
            (line["Outcome"].clone(), line["Calls"].clone())
        };
        let mut metrics = RequestMetrics::default();
        metrics.set_outcome("invalid_params");
        for (metrics, status, expected) in [
            (&metrics, 200, "invalid_params"),
            (&RequestMetrics::default(), 200, "answered"),
            (&RequestMetrics::default(), 401, "refused"),
            (&RequestMetrics::default(), 503, "fault"),
        ] {
            assert_eq!(outcome(metrics, status), (json!(expected), json!(1)));
        }
    }

    #[test]
    fn no_metrics_without_a_stack_name() {
        assert!(RequestMetrics::default().members(&RequestAttributes::default(), 200, TOOK, 0).is_none());
    }
}
