//! What was found, and what it means.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::output::Output;

/// One thing that was looked at, and what is wrong with it.
pub(crate) struct Check {
    name: &'static str,
    seen: Vec<String>,
    findings: Vec<Finding>,
    skipped: bool,
}

/// Something that is not as it must be.
struct Finding {
    /// By which a script knows it.
    code: &'static str,
    verdict: Verdict,
    seen: String,
    breaks: &'static str,
    remedy: &'static str,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// Works, but not as well as it could.
    Weak,
    /// Keeps somebody from connecting or staying connected, or opens what must be closed.
    Broken,
}

/// Everything that was looked at.
pub(crate) struct Report {
    url: String,
    checks: Vec<Check>,
}

impl Check {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, seen: Vec::new(), findings: Vec::new(), skipped: false }
    }

    /// Something good, for whoever reads what was looked at.
    pub(crate) fn observed(&mut self, what: impl Into<String>) {
        self.seen.push(what.into());
    }

    /// The same, however often it is seen.
    pub(crate) fn observed_once(&mut self, what: String) {
        if !self.seen.contains(&what) {
            self.seen.push(what);
        }
    }

    /// Whether nothing broken was found so far.
    pub(crate) fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict < Verdict::Broken)
    }

    /// Whether nothing at all was found so far.
    pub(crate) const fn is_free_of_findings(&self) -> bool {
        self.findings.is_empty()
    }

    /// Something that could not be looked at.
    pub(crate) fn skip(&mut self, why: impl Into<String>) {
        self.seen.push(why.into());
        self.skipped = true;
    }

    pub(crate) fn broken(
        &mut self,
        code: &'static str,
        seen: impl Into<String>,
        breaks: &'static str,
        remedy: &'static str,
    ) {
        self.find(Verdict::Broken, code, seen.into(), breaks, remedy);
    }

    pub(crate) fn weak(
        &mut self,
        code: &'static str,
        seen: impl Into<String>,
        breaks: &'static str,
        remedy: &'static str,
    ) {
        self.find(Verdict::Weak, code, seen.into(), breaks, remedy);
    }

    /// The same thing at several places is one finding for each code and place.
    fn find(&mut self, verdict: Verdict, code: &'static str, seen: String, breaks: &'static str, remedy: &'static str) {
        if self.findings.iter().all(|known| (known.code, &known.seen) != (code, &seen)) {
            self.findings.push(Finding { code, verdict, seen, breaks, remedy });
        }
    }

    fn word(&self) -> &'static str {
        match self.findings.iter().map(|finding| finding.verdict).max() {
            Some(verdict) => verdict.word(),
            None if self.skipped => "skipped",
            None => "well",
        }
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Broken => "broken",
        }
    }
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
        let line = format!("{:<8} {:<13} {}", self.word(), self.name, self.seen.join("; "));
        let mut lines = vec![line.trim_end().to_owned()];
        // What several places have in common is explained once.
        let codes: BTreeSet<_> = self.findings.iter().map(|finding| finding.code).collect();
        for code in codes {
            let same: Vec<_> = self.findings.iter().filter(|finding| finding.code == code).collect();
            let places = same.iter().map(|Finding { verdict, seen, .. }| (verdict.word(), seen));
            lines.extend(places.map(|(verdict, seen)| format!("         {verdict}: {seen} [{code}]")));
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
