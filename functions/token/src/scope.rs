//! The scope of an access token: which scopes it carries, which its answer names, and which a refresh may name (RFC 6749 §3.3, §6).

use shared::entitlement::Entitlement;
use shared::oauth::grant::Grant;
use shared::oauth::requested_scopes::RequestedScopes;
use shared::oauth::scope::Scopes;

use crate::error::TokenError;

/// What decides which scopes an access token carries.
pub(crate) struct TokenScope {
    /// The most that it may carry.
    pub(crate) entitlement: Entitlement,
    /// What the authorization request named, if it is known.
    pub(crate) requested: Option<RequestedScopes>,
    /// What this request names, if it names scopes.
    pub(crate) requested_again: Option<RequestedScopes>,
    /// Whether it carries no more than was requested, although the person approved more: the next one carries it.
    pub(crate) as_requested: bool,
}

impl TokenScope {
    /// What the token carries. A client that names fewer scopes than were approved gets fewer (RFC 6749 §6). Many repeat what they
    /// first requested, of which the person may have approved less, or more: they get all that was approved. Nothing if all that it
    /// names are scopes that it does not have: it never gets others in their place.
    pub(crate) fn permissions(&self) -> Option<Scopes> {
        let entitled = self.entitlement.scopes().permissions();
        if let Some(again) = self.requested_again.filter(|again| Some(*again) != self.requested) {
            return Some(again.scopes().intersection(entitled)).filter(|narrowed| !narrowed.is_empty());
        }
        let requested = self.requested.filter(|_| self.as_requested);
        let narrowed = requested.map(|requested| requested.scopes().intersection(entitled));
        Some(narrowed.filter(|narrowed| !narrowed.is_empty()).unwrap_or(entitled))
    }

    /// `granted` as the answer names it: by the names that the client used.
    pub(crate) fn named(&self, granted: Scopes) -> Scopes {
        self.requested_again.or(self.requested).map_or(granted, |requested| requested.named(granted))
    }
}

/// RFC 6749 §6: a refresh names no scope that was neither approved nor requested before. What was requested and not approved is no
/// error: many clients repeat what they first requested.
pub(crate) fn require_within_grant(requested_again: Option<RequestedScopes>, grant: &Grant) -> Result<(), TokenError> {
    let Some(again) = requested_again.map(|again| again.scopes().permissions()) else { return Ok(()) };
    let approved = grant.approval.scopes;
    let is_within = match grant.requested {
        Some(first) => approved.union(first.scopes()).covers(again),
        // Of a grant from before it was kept, nobody knows what was requested.
        None => !again.intersection(approved).is_empty(),
    };
    if is_within { Ok(()) } else { Err(TokenError::InvalidScope) }
}
