//! What grants must rest on: the person's membership and its tenant. Written down a second time, in other words than the code's.

use crate::history::{Action, Administration, Role, Together};

/// A membership and its tenant as they must be.
#[derive(Clone, Debug)]
pub(crate) struct MembershipModel {
    /// The person's role, if they are a member of the tenant that there was when they came.
    role: Option<Role>,
    /// Which of the person's memberships this is.
    membership: u32,
    /// Which of the tenants of this id they came into.
    joined: u32,
    /// Which of those tenants there is, or will be next.
    tenant: u32,
    has_tenant: bool,
    /// How often the person's connections were ended together with others, or could have been.
    endings: u32,
}

/// What a grant was approved under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApprovedUnder {
    membership: u32,
    endings: u32,
}

impl MembershipModel {
    /// The first membership, in the first tenant.
    pub(crate) const fn new(role: Role) -> Self {
        Self { role: Some(role), membership: 0, joined: 0, tenant: 0, has_tenant: true, endings: 0 }
    }

    pub(crate) const fn has_tenant(&self) -> bool {
        self.has_tenant
    }

    /// The person's role in the tenant, if they are a member.
    pub(crate) fn role(&self) -> Option<Role> {
        self.role.filter(|_| self.has_tenant && self.joined == self.tenant)
    }

    /// What a grant that is approved now rests on.
    pub(crate) const fn approves(&self) -> ApprovedUnder {
        ApprovedUnder { membership: self.membership, endings: self.endings }
    }

    /// The role by which a grant is judged, or why it is over.
    pub(crate) fn carries(&self, under: ApprovedUnder) -> Result<Role, &'static str> {
        let role = self.role().filter(|_| self.membership == under.membership).ok_or("membership_gone")?;
        if self.endings == under.endings { Ok(role) } else { Err("revoked_together") }
    }

    /// Whether a key works that was made then: as long as the membership lasts, however often connections are ended.
    pub(crate) fn carries_key(&self, under: ApprovedUnder) -> bool {
        self.role().is_some() && self.membership == under.membership
    }

    /// After that was done.
    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Role(role) | Action::Change(role) => {
                if role.is_some() && (self.role.is_none() || self.joined != self.tenant) {
                    self.membership += 1;
                    self.joined = self.tenant;
                }
                self.role = role;
            }
            Action::RevokeTogether(Together::Person | Together::Client | Together::Tenant) => self.endings += 1,
            Action::RemoveTenant => {
                self.tenant += u32::from(self.has_tenant);
                self.has_tenant = false;
            }
            Action::PutTenant => self.has_tenant = true,
            Action::Revoke | Action::RevokeTogether(_) => {}
        }
    }
}

impl Administration {
    /// The reason with which the person's grants are marked that are over and listed, if any are marked.
    pub(crate) const fn marks(&self) -> Option<&'static str> {
        match self.action {
            Action::Role(None) | Action::Change(None) | Action::RemoveTenant if self.listed => Some("membership_gone"),
            Action::RevokeTogether(Together::Person) if self.listed => Some("person"),
            Action::RevokeTogether(Together::Client | Together::Tenant) if self.listed => Some("administrator"),
            _ => None,
        }
    }
}
