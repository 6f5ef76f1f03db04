//! Marks what a former member has connected, and revokes their API keys. All of it is over already: the membership that it rests on is
//! gone. So this is for lists and the audit, and for keys that would be there if the person came back.

use std::time::{Duration, Instant};

use shared::clock::Timestamp;
use shared::joint_revocation::JointRevocation;
use shared::oauth::grant::RevocationReason;
use shared::revocation::Revocation;
use shared::store::api_keys::{Actor, ApiKeyRecord, ApiKeys};
use shared::store::connections::ConnectionFilter;
use shared::store::directory::Directory;
use shared::store::grants::Grants;

use crate::change::Change;
use crate::error::FeedError;

/// How long one delivery may be processed. The sender waits 10 seconds, and a batch that has begun is finished.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(4);

/// How many connections are marked between two checks of the deadline.
const BATCH: usize = 25;

/// The propagation of the end of a membership, and what it needs.
pub(crate) struct Propagation<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) grants: &'a Grants,
    pub(crate) keys: &'a ApiKeys,
    pub(crate) change: &'a Change,
    pub(crate) deadline: Instant,
    pub(crate) now: Timestamp,
}

impl Propagation<'_> {
    /// Marks the connections of a former member in the tenant, the newest first. There may be thousands. When the time limit ends, the
    /// next delivery of the change continues: what is marked is no longer in the list.
    pub(crate) async fn mark_grants(&self) -> Result<(), FeedError> {
        let Change { person, tenant, .. } = self.change;
        let filter = ConnectionFilter::Tenant { tenant, person: Some(person), client: None };
        let tables = (self.directory, self.grants);
        let joint = JointRevocation::new(tables, RevocationReason::MembershipGone, None, self.now);
        loop {
            let marked = joint.mark_listed(filter, BATCH).await?;
            // The index may still list those that were marked just now, and shows none of the next.
            if !marked.more || marked.count == 0 {
                return Ok(());
            }
            if Instant::now() >= self.deadline {
                return Err(FeedError::TimeLimitReached);
            }
        }
    }

    /// Revokes the API keys that a former member made in the tenant.
    pub(crate) async fn revoke_keys(&self) -> Result<(), FeedError> {
        let Change { person, tenant, .. } = self.change;
        let mut after = None;
        loop {
            let (keys, next) = self.keys.of_tenant(tenant, after.as_ref(), self.now).await?;
            // Read after the keys: those of a membership that has begun meanwhile stay.
            let current = self.directory.membership(person, tenant).await?;
            let current = current.map(|membership| membership.basis.approval.membership);
            let is_old = |key: &&ApiKeyRecord| key.maker == *person && current != Some(key.membership);
            for key in keys.iter().filter(is_old) {
                let revocation = Revocation::new(self.keys);
                revocation.announce(Actor::Person, tenant, &key.id, None).complete(self.now).await?;
            }
            if next.is_none() {
                return Ok(());
            }
            if Instant::now() >= self.deadline {
                return Err(FeedError::TimeLimitReached);
            }
            after = next;
        }
    }
}
