//! Revokes the grants of connections.

use shared::clock::Timestamp;
use shared::joint_revocation::{JointRevocation, MarkedGrants};
use shared::oauth::client::ClientId;
use shared::oauth::grant::Grant;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::TenantId;
use shared::revocation::Revocation;
use shared::store::connections::ConnectionFilter;
use shared::store::directory::{Directory, Membership};
use shared::store::grants::Grants;
use shared::store::joint_revocations::TenantNumbers;
use shared::upstream_error::UpstreamError;

/// How many listed connections one request marks. That takes a second or two. All have ended by then: what is not marked is when it is
/// met.
pub(crate) const MARKED: usize = 100;

/// Who revokes, and for which reason.
pub(crate) struct Revoker<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) grants: &'a Grants,
    pub(crate) reason: RevocationReason,
    /// For the audit.
    pub(crate) by: String,
    pub(crate) now: Timestamp,
}

/// The result of ending all connections of a person or of a client.
pub(crate) struct JointlyRevoked {
    pub(crate) marked: MarkedGrants,
    /// Whether this call ended them. Otherwise they had been ended since they were shown, and what was connected since stays.
    pub(crate) raised: bool,
}

impl Revoker<'_> {
    /// Revokes a grant that the revoker may revoke. False if it had ended before.
    pub(crate) async fn revoke_one(&self, grant: &Grant) -> Result<bool, UpstreamError> {
        Revocation::new(self.grants).revoke(grant.into(), self.reason, Some(&self.by), self.now).await
    }

    /// Ends every connection of a person that rests on one of `memberships`, and marks those that `filter` lists.
    pub(crate) async fn revoke_all_of_person(
        &self,
        memberships: &[Membership],
        filter: ConnectionFilter<'_>,
    ) -> Result<JointlyRevoked, UpstreamError> {
        let mut raised = !memberships.is_empty();
        for membership in memberships {
            raised &= self.joint().of_member(membership).await?;
        }
        Ok(JointlyRevoked { marked: self.joint().mark_listed(filter, MARKED).await?, raised })
    }

    /// Ends every connection of a client in a tenant, whose numbers are `numbers`.
    pub(crate) async fn revoke_all_of_client(
        &self,
        client: &ClientId,
        tenant: &TenantId,
        numbers: &TenantNumbers,
    ) -> Result<JointlyRevoked, UpstreamError> {
        let raised = self.joint().in_tenant(tenant, numbers, Some(client)).await?;
        let filter = ConnectionFilter::Tenant { tenant, person: None, client: Some(client) };
        Ok(JointlyRevoked { marked: self.joint().mark_listed(filter, MARKED).await?, raised })
    }

    fn joint(&self) -> JointRevocation<'_> {
        JointRevocation::new((self.directory, self.grants), self.reason, Some(&self.by), self.now)
    }
}
