//! Roles: sets of permissions, per tenant.

use crate::oauth::scope::{Scope, Scopes};

/// A role's name and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// As the tenant calls it.
    pub name: String,
    /// What it allows.
    pub permissions: Scopes,
}

impl Role {
    /// One of the roles that every tenant has.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let permissions = match name {
            "owner" | "admin" => Scopes::ALL_PERMISSIONS,
            "member" => Scopes::ALL_PERMISSIONS.without(Scope::ConnectionsManage),
            "viewer" => Scopes::READ_ONLY,
            _ => return None,
        };
        Some(Self { name: name.to_owned(), permissions })
    }
}
