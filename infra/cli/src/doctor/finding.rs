//! What was found, and what it means.

/// One thing that was looked at, and what is wrong with it.
pub(crate) struct Check {
    pub(super) name: &'static str,
    pub(super) seen: Vec<String>,
    pub(super) findings: Vec<Finding>,
    skipped: bool,
}

/// Something that is not as it must be.
pub(super) struct Finding {
    /// By which a script knows it.
    pub(super) code: &'static str,
    pub(super) verdict: Verdict,
    pub(super) seen: String,
    pub(super) breaks: &'static str,
    pub(super) remedy: &'static str,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Works, but not as well as it could.
    Weak,
    /// Keeps somebody from connecting or staying connected, or opens what must be closed.
    Broken,
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

    /// In one word, the worst that was found.
    pub(super) fn word(&self) -> &'static str {
        match self.findings.iter().map(|finding| finding.verdict).max() {
            Some(verdict) => verdict.word(),
            None if self.skipped => "skipped",
            None => "well",
        }
    }
}

impl Verdict {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Broken => "broken",
        }
    }
}
