//! Limits or revokes the grants and API keys of a person whose membership changed, before the next refresh.

use std::time::{Duration, Instant};

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::grant::RevocationReason;
use shared::oauth::scope::Scopes;
use shared::revocation::Revocation;
use shared::store::api_keys::{Actor, ApiKeys};
use shared::store::connections::{ConnectionFilter, Cursor, OpenGrant};
use shared::store::directory::Directory;
use shared::store::grants::Grants;
use shared::store::membership_changes::ChangeProgress;
use shared::upstream_error::UpstreamError;

use crate::change::Change;
use crate::error::FeedError;

/// How long one delivery may be processed. The sender waits 10 seconds, and a batch that has begun is finished.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(4);

/// How many connections are processed between two checks of the deadline.
const BATCH: usize = 25;

/// The propagation of one change, and what it needs.
pub(crate) struct Propagation<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) grants: &'a Grants,
    pub(crate) keys: &'a ApiKeys,
    pub(crate) change: &'a Change,
    pub(crate) sequence: u64,
    /// Where an earlier delivery of the same change stopped.
    pub(crate) progress: Option<ChangeProgress>,
    pub(crate) deadline: Instant,
    pub(crate) now: Timestamp,
}

/// One pass over the connections of the person in the tenant, the newest first.
struct Pass {
    began: Timestamp,
    after: Option<Cursor>,
    down_to: Option<Timestamp>,
}

impl Propagation<'_> {
    /// Revokes the connections of a former member in the tenant, or limits the connections of a member to what their role allows.
    /// There may be thousands. When the time limit ends, the next delivery of the change continues here.
    pub(crate) async fn propagate(&self) -> Result<(), FeedError> {
        /// An approval may have begun under the old membership, this long before its grant is stored.
        const APPROVAL_TIME: Duration = Duration::from_secs(30);

        let new_pass = |down_to| Pass { began: self.now, after: None, down_to };
        let Some(ChangeProgress { began, cursor, down_to }) = self.progress.clone() else {
            return self.run_pass(new_pass(None)).await;
        };
        self.run_pass(Pass { began, after: Some(cursor), down_to }).await?;
        // Connections that were made since the first pass began are newer than the cursor: a second pass covers them.
        self.run_pass(new_pass(Some(began.minus(APPROVAL_TIME)))).await?;
        // The change is propagated. Another delivery of it starts from the beginning.
        self.store_progress(None).await
    }

    async fn run_pass(&self, pass: Pass) -> Result<(), FeedError> {
        let Change { person, tenant, .. } = self.change;
        let Pass { began, mut after, down_to } = pass;
        let filter = ConnectionFilter::Tenant { tenant, person: Some(person), client: None };
        loop {
            let (open, next) = self.grants.open_grants(filter, None, after.as_ref(), BATCH, self.now).await?;
            if !open.is_empty() {
                // The membership is read after the list: each grant in the list was approved by this membership or an
                // earlier one.
                let (membership, change) = self.directory.membership_and_change(person, tenant).await?;
                for open in &open {
                    match &membership {
                        Some(membership) => self.restrict(open, membership.role.permissions, change).await?,
                        None => self.revoke(open).await?,
                    }
                }
            }
            let is_old = |open: &OpenGrant| down_to.is_some_and(|time| open.created < time);
            let Some(cursor) = next.filter(|_| !open.last().is_some_and(is_old)) else { return Ok(()) };
            if Instant::now() >= self.deadline {
                self.store_progress(Some(&ChangeProgress { began, cursor, down_to })).await?;
                return Err(FeedError::TimeLimitReached);
            }
            after = Some(cursor);
        }
    }

    /// Stores the progress of a change of role. The end of a membership needs none: a revoked grant is no longer in the list.
    async fn store_progress(&self, progress: Option<&ChangeProgress>) -> Result<(), FeedError> {
        let Change { person, tenant, role } = self.change;
        if let Some(role) = role {
            self.directory.put_change_progress((person, tenant), role, self.sequence, progress, self.now).await?;
        }
        Ok(())
    }

    /// Revokes the API keys that a former member made in the tenant. Without a membership a key opens nothing, but it would work
    /// again if the person came back.
    pub(crate) async fn revoke_keys(&self) -> Result<(), FeedError> {
        let Change { person, tenant, .. } = self.change;
        if self.directory.membership(person, tenant).await?.is_some() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let (keys, next) = self.keys.of_tenant(tenant, after.as_ref(), self.now).await?;
            for key in keys.iter().filter(|key| key.maker == *person) {
                Revocation::new(self.keys).revoke(Actor::Person, tenant, &key.id, None).await?;
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

    async fn restrict(&self, open: &OpenGrant, allowed: Scopes, change: u64) -> Result<(), UpstreamError> {
        if self.grants.restrict(&open.id, allowed, change).await? {
            audit::record(&Event::GrantLimited { connection: open.connection(), scope: &allowed.to_string() });
        }
        Ok(())
    }

    async fn revoke(&self, open: &OpenGrant) -> Result<(), UpstreamError> {
        let revocation = Revocation::new(self.grants);
        revocation.revoke(open.connection(), RevocationReason::MembershipGone, None, self.now).await.map(drop)
    }
}
