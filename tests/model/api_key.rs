//! API keys of the person: what must come of a call by one, and what must hold of it.

use shared::oauth::api_key::ApiKey;

use crate::history::Action;
use crate::history_run::Violation;
use crate::membership_model::{ApprovedUnder, MembershipModel};

/// A key, as far as its history has been played.
pub(crate) struct IssuedKey {
    pub(crate) key: ApiKey,
    under: ApprovedUnder,
    pub(crate) revoked: bool,
    /// Why it is never let in again, by what was answered and nothing else.
    over: Option<&'static str>,
}

impl IssuedKey {
    pub(crate) const fn new(key: ApiKey, under: ApprovedUnder) -> Self {
        Self { key, under, revoked: false, over: None }
    }

    /// Its revocation was answered.
    pub(crate) fn revoke(&mut self) {
        self.revoked = true;
        self.over = self.over.or(Some("it was revoked"));
    }

    /// An administrator's doing was answered. Who ends connections ends no keys.
    pub(crate) fn administered(&mut self, action: Action) {
        self.over = self.over.or(match action {
            Action::Role(None) | Action::Change(None) => Some("its person left"),
            Action::RemoveTenant => Some("the tenant was removed"),
            _ => None,
        });
    }

    /// Whether a call by it can be answered so. `fails`: AWS does in a way that is noticed.
    pub(crate) fn check(&self, status: u16, membership: &MembershipModel, fails: bool) -> Result<(), Violation> {
        let let_in = status == 200 || status == 403;
        if let Some(why) = self.over.filter(|_| let_in) {
            return Err(format!("a key is let in although {why}: {status}"));
        }
        let expected = if !self.revoked && membership.carries_key(self.under) { 200 } else { 401 };
        if status == expected || fails && status == 503 {
            return Ok(());
        }
        Err(format!("a call by a key is answered by {status}, not by {expected}"))
    }
}
