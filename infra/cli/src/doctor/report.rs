//! The report: every check with its findings, as lines for people and as JSON for scripts (`--json`).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::telemetry::terminal::in_line;

use super::finding::{Check, Finding, Verdict};
use crate::output::Output;

/// Everything that was looked at.
pub(crate) struct Report {
    url: String,
    checks: Vec<Check>,
}

impl Report {
    pub(crate) const fn of(url: String, checks: Vec<Check>) -> Self {
        Self { url, checks }
    }

    /// One more thing that was looked at.
    pub(crate) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Whether nothing is broken.
    pub(crate) fn is_well(&self) -> bool {
        self.count(Verdict::Broken) == 0
    }

    pub(crate) fn output(&self) -> Output {
        let (broken, weak) = (self.count(Verdict::Broken), self.count(Verdict::Weak));
        let end = match (broken, weak) {
            (0, 0) => "All well.".to_owned(),
            _ => format!("{broken} broken, {weak} weak."),
        };
        let mut lines = vec![self.url.clone(), String::new()];
        lines.extend(self.checks.iter().flat_map(Check::lines));
        lines.extend([String::new(), end, String::new()]);
        let text = lines.join("\n");
        let checks: Vec<_> = self.checks.iter().map(Check::json).collect();
        Output { text, json: json!({ "url": self.url, "well": self.is_well(), "checks": checks }) }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().flat_map(|check| &check.findings).filter(|finding| finding.verdict == verdict).count()
    }
}

impl Check {
    fn lines(&self) -> Vec<String> {
        // What was seen is of whoever answers there.
        let line = format!("{:<8} {:<13} {}", self.word(), self.name, in_line(&self.seen.join("; ")));
        let mut lines = vec![line.trim_end().to_owned()];
        // What several places have in common is explained once.
        let codes: BTreeSet<_> = self.findings.iter().map(|finding| finding.code).collect();
        for code in codes {
            let same: Vec<_> = self.findings.iter().filter(|finding| finding.code == code).collect();
            let places = same.iter().map(|Finding { verdict, seen, .. }| (verdict.word(), seen));
            lines.extend(places.map(|(verdict, seen)| format!("         {verdict}: {} [{code}]", in_line(seen))));
            if let Some(Finding { breaks, remedy, .. }) = same.first() {
                lines.extend([format!("           {breaks}"), format!("           To do: {remedy}")]);
            }
        }
        lines
    }

    fn json(&self) -> Value {
        let finding = |Finding { code, verdict, seen, breaks, remedy }: &Finding| json!({ "code": code, "verdict": verdict.word(), "seen": seen, "breaks": breaks, "remedy": remedy });
        let findings: Vec<_> = self.findings.iter().map(finding).collect();
        json!({ "check": self.name, "verdict": self.word(), "seen": self.seen, "findings": findings })
    }
}
