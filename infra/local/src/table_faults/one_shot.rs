//! A fault that happens to calls that are chosen, so many times.

use super::fault_kind::FaultKind;

/// A fault that happens to the next call that fits, or to so many of them. Nothing else happens to a call that it happens to.
#[derive(Clone, Debug)]
pub struct OneShot {
    fault: FaultKind,
    operation: Option<&'static str>,
    table: Option<&'static str>,
    not_table: Option<&'static str>,
    text: Option<String>,
    skip: usize,
    times: usize,
    item: Option<usize>,
}

impl OneShot {
    /// To the next call that `fault` concerns.
    #[must_use]
    pub const fn new(fault: FaultKind) -> Self {
        Self { fault, operation: None, table: None, not_table: None, text: None, skip: 0, times: 1, item: None }
    }

    /// To calls of that operation only.
    #[must_use]
    pub const fn operation(mut self, operation: &'static str) -> Self {
        self.operation = Some(operation);
        self
    }

    /// To calls to that table only, by the end of its name in lower case.
    #[must_use]
    pub const fn table(mut self, table: &'static str) -> Self {
        self.table = Some(table);
        self
    }

    /// To no call to that table, likewise.
    #[must_use]
    pub const fn not_table(mut self, table: &'static str) -> Self {
        self.not_table = Some(table);
        self
    }

    /// To calls only whose JSON contains this.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Not to the first so many that fit.
    #[must_use]
    pub const fn skip(mut self, calls: usize) -> Self {
        self.skip = calls;
        self
    }

    /// So many times instead of once.
    #[must_use]
    pub const fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Of a [`FaultKind::TxConflict`], which item of the transaction is in conflict, counted from 0.
    #[must_use]
    pub const fn item(mut self, item: usize) -> Self {
        self.item = Some(item);
        self
    }

    pub(super) const fn fault(&self) -> FaultKind {
        self.fault
    }

    pub(super) const fn conflicting_item(&self) -> Option<usize> {
        self.item
    }

    pub(super) const fn is_used_up(&self) -> bool {
        self.times == 0
    }

    /// Whether it happens to this call, which then is one of its times.
    pub(super) fn take(&mut self, operation: &str, tables: &[String], body: &str) -> bool {
        let named = |end: &'static str| tables.iter().any(|table| table.ends_with(end));
        let fits = self.fault.concerns(operation)
            && self.operation.is_none_or(|wanted| wanted == operation)
            && self.table.is_none_or(named)
            && !self.not_table.is_some_and(named)
            && self.text.as_ref().is_none_or(|text| body.contains(text));
        if !fits || self.is_used_up() {
            return false;
        }
        if let Some(skip) = self.skip.checked_sub(1) {
            self.skip = skip;
            return false;
        }
        self.times -= 1;
        true
    }
}
