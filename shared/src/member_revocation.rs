//! Marks what a person has connected in a tenant, and revokes the API keys that they have made there, once the membership that it rests
//! on is gone or has begun anew. All of it is over already. So this is for lists and the audit, and for keys that an index shows.

use std::time::Instant;

use thiserror::Error;

use crate::clock::Timestamp;
use crate::joint_revocation::JointRevocation;
use crate::oauth::api_key::ApiKeyRecord;
use crate::oauth::revocation_reason::RevocationReason;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::revocation::Revocation;
use crate::store::api_keys::{Actor, ApiKeys};
use crate::store::connections::ConnectionFilter;
use crate::store::directory::Directory;
use crate::store::grants::Grants;
use crate::telemetry::audit::{LogRecorder, Recorder};
use crate::upstream_error::UpstreamError;

/// How many connections are marked between two checks of the deadline.
const BATCH: usize = 25;

/// What is left of a membership that is over.
pub struct MemberRevocation<'a, R = LogRecorder> {
    directory: &'a Directory,
    grants: &'a Grants,
    keys: &'a ApiKeys,
    reason: RevocationReason,
    now: Timestamp,
    recorder: R,
}

/// How many were marked and revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkedMember {
    /// Connections.
    pub grants: usize,
    /// API keys.
    pub keys: usize,
}

/// Why not all is marked. It can be done again, and goes on where it was.
#[derive(Debug, Error)]
pub enum MarkError {
    /// The deadline has come.
    #[error("the time limit ended before all connections were processed")]
    TimeLimitReached,
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl<'a> MemberRevocation<'a> {
    /// Records in the log, as functions do.
    #[must_use]
    pub const fn new(
        (directory, grants, keys): (&'a Directory, &'a Grants, &'a ApiKeys),
        reason: RevocationReason,
        now: Timestamp,
    ) -> Self {
        Self { directory, grants, keys, reason, now, recorder: LogRecorder }
    }
}

impl<'a, R: Recorder + Clone> MemberRevocation<'a, R> {
    /// Records by `recorder`.
    #[must_use]
    pub fn with_recorder<Other>(self, recorder: Other) -> MemberRevocation<'a, Other> {
        let Self { directory, grants, keys, reason, now, .. } = self;
        MemberRevocation { directory, grants, keys, reason, now, recorder }
    }

    /// Marks and revokes all that is listed.
    ///
    /// # Errors
    /// When `deadline` comes, or DynamoDB fails.
    pub async fn mark(
        &self,
        person: &PersonId,
        tenant: &TenantId,
        deadline: Option<Instant>,
    ) -> Result<MarkedMember, MarkError> {
        let grants = self.mark_grants(person, tenant, deadline).await?;
        let keys = self.revoke_keys(person, tenant, deadline).await?;
        Ok(MarkedMember { grants, keys })
    }

    /// The newest first. There may be thousands. What is marked is no longer in the list.
    async fn mark_grants(
        &self,
        person: &PersonId,
        tenant: &TenantId,
        deadline: Option<Instant>,
    ) -> Result<usize, MarkError> {
        let filter = ConnectionFilter::Tenant { tenant, person: Some(person), client: None };
        let joint = JointRevocation::new((self.directory, self.grants), self.reason, None, self.now);
        let joint = joint.with_recorder(self.recorder.clone());
        let mut all = 0;
        loop {
            let marked = joint.mark_listed(filter, BATCH).await?;
            all += marked.count;
            // The index may still list those that were marked just now, and shows none of the next.
            if !marked.more || marked.count == 0 {
                return Ok(all);
            }
            if is_over(deadline) {
                return Err(MarkError::TimeLimitReached);
            }
        }
    }

    async fn revoke_keys(
        &self,
        person: &PersonId,
        tenant: &TenantId,
        deadline: Option<Instant>,
    ) -> Result<usize, MarkError> {
        let (mut revoked, mut after) = (0, None);
        loop {
            let (keys, next) = self.keys.of_tenant(tenant, after.as_ref(), self.now).await?;
            // Read after the keys: those of a membership that has begun meanwhile stay.
            let current = self.directory.membership(person, tenant).await?;
            let current = current.map(|membership| membership.basis.approval.membership);
            let is_old = |key: &&ApiKeyRecord| key.maker == *person && current != Some(key.membership);
            for key in keys.iter().filter(is_old) {
                let revocation = Revocation::with_recorder(self.keys, self.recorder.clone());
                let announced = revocation.announce(Actor::Person, tenant, &key.id, None);
                revoked += usize::from(announced.complete(self.now).await?);
            }
            if next.is_none() {
                return Ok(revoked);
            }
            if is_over(deadline) {
                return Err(MarkError::TimeLimitReached);
            }
            after = next;
        }
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
