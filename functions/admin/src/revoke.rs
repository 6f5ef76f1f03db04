//! Revokes the grants of connections. The audit has an event before, so that no crash can hide it, and one after.

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::client::ClientId;
use shared::oauth::grant::{Grant, GrantId, RevocationReason};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::connections::{ConnectionFilter, Cursor};
use shared::store::grants::Grants;
use shared::upstream_error::UpstreamError;

/// How many connections one request revokes. That takes about a second.
const BATCH: usize = 25;

/// Who revokes, and for which reason.
pub(crate) struct Revoker<'a> {
    pub(crate) grants: &'a Grants,
    pub(crate) reason: RevocationReason,
    /// For the audit.
    pub(crate) by: String,
    pub(crate) now: Timestamp,
}

/// The result of revoking a batch.
pub(crate) struct RevokedBatch {
    pub(crate) ended: usize,
    /// Where the next batch begins, if some connections may be left.
    pub(crate) next: Option<Cursor>,
}

impl Revoker<'_> {
    /// Revokes a grant that the revoker may revoke. False if it had ended before.
    pub(crate) async fn revoke_one(&self, grant: &Grant) -> Result<bool, UpstreamError> {
        let approval = &grant.approval;
        self.revoke(&grant.id, &approval.client, &approval.tenant, &approval.person).await
    }

    /// Revokes the next batch of the connections that were approved until `until`, the newest first.
    pub(crate) async fn revoke_batch(
        &self,
        filter: ConnectionFilter<'_>,
        until: Option<Timestamp>,
        after: Option<&Cursor>,
    ) -> Result<RevokedBatch, UpstreamError> {
        let (open, next) = self.grants.open_grants(filter, until, after, BATCH, self.now).await?;
        let mut ended = 0;
        for open in &open {
            ended += usize::from(self.revoke(&open.id, &open.client, &open.tenant, &open.person).await?);
        }
        Ok(RevokedBatch { ended, next })
    }

    async fn revoke(
        &self,
        id: &GrantId,
        client: &ClientId,
        tenant: &TenantId,
        person: &PersonId,
    ) -> Result<bool, UpstreamError> {
        let (grant, client, tenant, person) = (&id.to_text(), client.as_str(), tenant.as_str(), person.as_str());
        let (reason, by) = (self.reason.as_str(), Some(self.by.as_str()));
        audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by });
        let ended = self.grants.revoke(id, self.reason, self.now).await?;
        if ended {
            audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by });
        }
        Ok(ended)
    }
}
