//! Who may manage the connections and API keys of a tenant. Nothing of a tenant is listed or changed without one.

use shared::clock::Timestamp;
use shared::oauth::api_key::{ApiKey, ApiKeyId};
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::api_keys::{Actor, ApiKeyRecord, FormId};
use shared::store::directory::Membership;

/// Someone who may manage the connections and keys of one tenant, and what else they may there.
pub(crate) struct TenantAdmin {
    /// With no more permissions than what they showed gives them.
    membership: Membership,
    key: Option<PresentedKey>,
}

/// The key that was shown.
struct PresentedKey {
    id: ApiKeyId,
    expires: Option<Timestamp>,
}

/// A member whose role, or whose key, lacks `connections:manage`.
#[derive(Debug)]
pub(crate) struct InsufficientRole {
    /// What the tenant is called.
    pub(crate) tenant: String,
    pub(crate) role: String,
}

impl TenantAdmin {
    /// A person who is signed in and stands there.
    pub(crate) fn for_person(membership: Membership) -> Result<Self, InsufficientRole> {
        Self::of(membership, None)
    }

    /// A key, as far as its maker's role allows now. Nobody when the secret is not the key's or `membership` is not its maker's.
    pub(crate) fn for_api_key(
        shown: &ApiKey,
        known: &ApiKeyRecord,
        mut membership: Membership,
    ) -> Option<Result<Self, InsufficientRole>> {
        let theirs = shown.id == known.id
            && known.digest.matches(&shown.secret.digest())
            && membership.person == known.maker
            && membership.tenant == known.tenant;
        membership.role.permissions = membership.role.permissions.intersection(known.scopes).permissions();
        theirs.then(|| Self::of(membership, Some(PresentedKey { id: shown.id.clone(), expires: known.expires })))
    }

    fn of(membership: Membership, key: Option<PresentedKey>) -> Result<Self, InsufficientRole> {
        if membership.role.permissions.contains(Scope::ConnectionsManage) {
            Ok(Self { membership, key })
        } else {
            Err(InsufficientRole { tenant: membership.name, role: membership.role.name })
        }
    }

    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.membership.tenant
    }

    /// What the tenant is called.
    pub(crate) fn name(&self) -> &str {
        &self.membership.name
    }

    /// Who they are, or who made their key.
    pub(crate) const fn person(&self) -> &PersonId {
        &self.membership.person
    }

    pub(crate) const fn membership(&self) -> &Membership {
        &self.membership
    }

    /// In whose name a key is made with a key, and until when at most: it cannot make or end anything itself, and does not outlive the
    /// one it was made with. Else whoever found a key could keep what it opens for ever.
    pub(crate) fn new_key_limits(&self) -> (Membership, Option<Timestamp>) {
        let mut membership = self.membership.clone();
        let expires = self.key.as_ref().and_then(|key| key.expires);
        if self.key.is_some() {
            membership.role.permissions = membership.role.permissions.without(Scope::ConnectionsManage);
        }
        (membership, expires)
    }

    /// What a key of theirs may do at most.
    pub(crate) const fn permissions(&self) -> Scopes {
        self.membership.role.permissions.permissions()
    }

    /// For the audit: the person, or the key.
    pub(crate) fn by(&self) -> String {
        self.key.as_ref().map_or_else(|| self.person().to_string(), |key| format!("key {}", key.id.to_text()))
    }

    /// How keys are made and revoked by them; with a form of ours, if they have one.
    pub(crate) fn through<'a>(&'a self, form: Option<&'a FormId>) -> Actor<'a> {
        match (&self.key, form) {
            (Some(key), _) => Actor::ApiKey(&key.id),
            (None, Some(form)) => Actor::Form(form),
            (None, None) => Actor::Person,
        }
    }
}
