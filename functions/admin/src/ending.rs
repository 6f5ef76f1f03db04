//! Ends connections, and says so: before, so that no crash can hide it, and after. The next call of each is refused.

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::client::ClientId;
use shared::oauth::grant::{Grant, GrantId, RevocationReason};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::connections::{ConnectionFilter, Cursor};
use shared::store::grants::Grants;
use shared::upstream_error::UpstreamError;

/// How many one request ends: a second's work.
const BATCH: usize = 25;

/// Who ends, and in what capacity.
pub(crate) struct Ender<'a> {
    pub(crate) grants: &'a Grants,
    pub(crate) why: RevocationReason,
    /// For the audit.
    pub(crate) by: String,
    pub(crate) now: Timestamp,
}

/// What came of ending many.
pub(crate) struct Swept {
    pub(crate) ended: usize,
    /// Where to go on, if some may be left.
    pub(crate) next: Option<Cursor>,
}

impl Ender<'_> {
    /// One that was found to be theirs to end; whether it had not ended before.
    pub(crate) async fn one(&self, grant: &Grant) -> Result<bool, UpstreamError> {
        let approval = &grant.approval;
        self.end(&grant.id, &approval.client, &approval.tenant, &approval.person).await
    }

    /// The next of many that were approved until `until`, the newest first.
    pub(crate) async fn some(
        &self,
        whose: ConnectionFilter<'_>,
        until: Option<Timestamp>,
        after: Option<&Cursor>,
    ) -> Result<Swept, UpstreamError> {
        let (open, next) = self.grants.open_grants(whose, until, after, BATCH, self.now).await?;
        let mut ended = 0;
        for open in &open {
            ended += usize::from(self.end(&open.id, &open.client, &open.tenant, &open.person).await?);
        }
        Ok(Swept { ended, next })
    }

    async fn end(
        &self,
        id: &GrantId,
        client: &ClientId,
        tenant: &TenantId,
        person: &PersonId,
    ) -> Result<bool, UpstreamError> {
        let (grant, client, tenant, person) = (&id.to_text(), client.as_str(), tenant.as_str(), person.as_str());
        let (reason, by) = (self.why.as_str(), Some(self.by.as_str()));
        audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by });
        let ended = self.grants.revoke(id, self.why, self.now).await?;
        if ended {
            audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by });
        }
        Ok(ended)
    }
}
