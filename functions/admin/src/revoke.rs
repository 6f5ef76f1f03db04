//! Revokes the grants of connections.

use shared::audit::ConnectionRef;
use shared::clock::Timestamp;
use shared::oauth::grant::{Grant, RevocationReason};
use shared::revocation::Revocation;
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
        self.revoke(grant.into()).await
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
            ended += usize::from(self.revoke(open.connection()).await?);
        }
        Ok(RevokedBatch { ended, next })
    }

    async fn revoke(&self, connection: ConnectionRef<'_>) -> Result<bool, UpstreamError> {
        Revocation::new(self.grants).revoke(connection, self.reason, Some(&self.by), self.now).await
    }
}
