//! Who may manage the connections and API keys of a tenant. Every function that lists or changes something of a tenant takes a
//! [`TenantAdmin`].

use shared::clock::Timestamp;
use shared::oauth::api_key::{ApiKey, ApiKeyError, ApiKeyId, ApiKeyRecord};
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::api_keys::{Actor, FormId, MakerMembership};
use shared::store::directory::Membership;

/// Someone who may manage the connections and keys of one tenant, with their permissions there.
pub(crate) struct TenantAdmin {
    /// Its permissions are limited to those of the presented key, if there is one.
    membership: Membership,
    key: Option<PresentedKey>,
}

/// The key in the request.
struct PresentedKey {
    id: ApiKeyId,
    expires: Option<Timestamp>,
}

/// A member whose role, or whose key, lacks `connections:manage`.
#[derive(Debug)]
pub(crate) struct InsufficientRole {
    /// The name of the tenant.
    pub(crate) tenant: String,
    pub(crate) role: String,
}

impl TenantAdmin {
    /// For a signed-in person with a membership.
    pub(crate) fn for_person(membership: Membership) -> Result<Self, InsufficientRole> {
        Self::of(membership, None)
    }

    /// For an API key, limited to what its maker's role allows now.
    ///
    /// # Errors
    /// When `presented` is not the key, or `maker` does not carry it; and inside, when what it may do is not enough.
    pub(crate) fn for_api_key(
        presented: &ApiKey,
        known: &ApiKeyRecord,
        maker: MakerMembership,
    ) -> Result<Result<Self, InsufficientRole>, ApiKeyError> {
        let permissions = known.authorize(presented, &maker.basis())?;
        let mut membership = maker.membership;
        membership.role.permissions = permissions;
        Ok(Self::of(membership, Some(PresentedKey { id: presented.id.clone(), expires: known.expires })))
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

    /// The name of the tenant.
    pub(crate) fn name(&self) -> &str {
        &self.membership.name
    }

    /// The person, or the maker of the key.
    pub(crate) const fn person(&self) -> &PersonId {
        &self.membership.person
    }

    pub(crate) const fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The membership and the latest expiry for a new key that is made by a key. The new key cannot manage
    /// connections, so it makes none itself, and expires with the key that makes it, as it also ends with it. Otherwise
    /// somebody who found a key could keep its access for ever.
    pub(crate) fn new_key_limits(&self) -> (Membership, Option<Timestamp>) {
        let mut membership = self.membership.clone();
        let expires = self.key.as_ref().and_then(|key| key.expires);
        if self.key.is_some() {
            membership.role.permissions = membership.role.permissions.without(Scope::ConnectionsManage);
        }
        (membership, expires)
    }

    /// The most permissions that a new key can have.
    pub(crate) const fn permissions(&self) -> Scopes {
        self.membership.role.permissions.permissions()
    }

    /// The person, or the key, for the audit.
    pub(crate) fn by(&self) -> String {
        self.key.as_ref().map_or_else(|| self.person().to_string(), |key| format!("key {}", key.id.to_text()))
    }

    /// The actor who makes or revokes a key: an API key, the form `form`, or the person.
    pub(crate) fn through<'a>(&'a self, form: Option<&'a FormId>) -> Actor<'a> {
        match (&self.key, form) {
            (Some(key), _) => Actor::ApiKey(&key.id),
            (None, Some(form)) => Actor::Form(form),
            (None, None) => Actor::Person,
        }
    }
}
