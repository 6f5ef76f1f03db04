//! What an approval rests on: a membership and a tenant, and how often their connections had been revoked by then.
//!
//! Numbers decide whether a grant is over, and not a search: an index lags behind the table, and may not have a grant that must end.
//! To revoke all connections of a person in a tenant, of a tenant, or of a client in a tenant is one write that raises a number.
//! Whoever reads a grant reads these numbers too, and compares.

use std::collections::BTreeMap;

use crate::oauth::client::ClientId;
use crate::oauth::instance_id::InstanceId;
use crate::oauth::secret::{Digest, to_text};

/// What an approval rests on. A grant keeps it, and it never changes.
///
/// Memberships, tenants and grants from before these numbers have no instance, and count from 0. They fit each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApprovalBasis {
    /// The membership.
    pub membership: Option<InstanceId>,
    /// How often its connections had been revoked.
    pub membership_revocations: u64,
    /// The tenant.
    pub tenant: Option<InstanceId>,
    /// How often connections in it had been revoked: all, or those of one client.
    pub tenant_revocations: u64,
}

/// The numbers of a membership and its tenant as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentBasis {
    /// What an approval made now rests on.
    pub approval: ApprovalBasis,
    /// The number at which all connections in the tenant were last revoked.
    pub all_revoked: u64,
    /// The numbers at which those of single clients were last revoked there.
    pub clients_revoked: ClientRevocations,
}

/// The numbers of the clients whose connections in a tenant were revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientRevocations(BTreeMap<String, u64>);

/// Why a grant is over, although its own item does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasisError {
    /// The membership or the tenant that it was approved under is gone, even if another one has taken its place.
    OtherInstance,
    /// All connections of its person, of its tenant, or of its client there were revoked after it was approved.
    Revoked,
}

impl CurrentBasis {
    /// Whether a grant for `client` that was approved on `basis` still holds.
    ///
    /// # Errors
    /// When it is over.
    pub fn check(&self, basis: &ApprovalBasis, client: &ClientId) -> Result<(), BasisError> {
        if self.approval.membership != basis.membership || self.approval.tenant != basis.tenant {
            return Err(BasisError::OtherInstance);
        }
        let is_older = basis.membership_revocations < self.approval.membership_revocations
            || basis.tenant_revocations < self.all_revoked
            || self.clients_revoked.of(client).is_some_and(|number| basis.tenant_revocations < number);
        if is_older { Err(BasisError::Revoked) } else { Ok(()) }
    }
}

impl ClientRevocations {
    /// From the table: a number by [`Self::key`].
    #[must_use]
    pub const fn from_map(numbers: BTreeMap<String, u64>) -> Self {
        Self(numbers)
    }

    /// The number at which the connections of `client` were last revoked, if it is kept.
    #[must_use]
    pub fn of(&self, client: &ClientId) -> Option<u64> {
        self.0.get(&Self::key(client)).copied()
    }

    /// By key, for the table.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, u64> {
        self.0.clone()
    }

    /// By key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(key, number)| (key.as_str(), *number))
    }

    /// What stands for a client: half of its digest. An id may be an address of any length, and the item must stay small.
    #[must_use]
    pub fn key(client: &ClientId) -> String {
        let digest = Digest::of(client.as_str().as_bytes());
        digest.as_bytes().first_chunk::<16>().map(|half| to_text(half)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_numbers_and_other_instances_are_over() {
        let (client, other) = (ClientId::parse("c_one").unwrap(), ClientId::parse("c_other").unwrap());
        let (membership, tenant) = (Some(InstanceId::random()), Some(InstanceId::random()));
        let approval = ApprovalBasis { membership, membership_revocations: 3, tenant, tenant_revocations: 7 };
        let clients_revoked = ClientRevocations::from_map(BTreeMap::from([(ClientRevocations::key(&client), 6)]));
        let now = CurrentBasis { approval, all_revoked: 5, clients_revoked };
        let (over, foreign) = (Err(BasisError::Revoked), Err(BasisError::OtherInstance));

        for (basis, expected) in [
            (approval, [Ok(()), Ok(())]),
            (ApprovalBasis { tenant_revocations: 6, ..approval }, [Ok(()), Ok(())]),
            (ApprovalBasis { tenant_revocations: 5, ..approval }, [over, Ok(())]),
            (ApprovalBasis { tenant_revocations: 4, ..approval }, [over, over]),
            (ApprovalBasis { membership_revocations: 2, ..approval }, [over, over]),
            (ApprovalBasis { membership_revocations: 4, ..approval }, [Ok(()), Ok(())]),
            (ApprovalBasis { membership: Some(InstanceId::random()), ..approval }, [foreign, foreign]),
            (ApprovalBasis { membership: None, ..approval }, [foreign, foreign]),
            (ApprovalBasis { tenant: Some(InstanceId::random()), ..approval }, [foreign, foreign]),
            (ApprovalBasis { tenant: None, ..approval }, [foreign, foreign]),
            (ApprovalBasis::default(), [foreign, foreign]),
        ] {
            assert_eq!([now.check(&basis, &client), now.check(&basis, &other)], expected, "{basis:?}");
        }
        assert_eq!(CurrentBasis::default().check(&ApprovalBasis::default(), &client), Ok(()));
    }
}
