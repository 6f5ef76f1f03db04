//! Limits or revokes the grants and API keys of a person whose membership changed, before the next refresh.

use std::time::{Duration, Instant};

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::grant::RevocationReason;
use shared::oauth::scope::Scopes;
use shared::store::connections::{ConnectionFilter, Cursor, OpenGrant};
use shared::store::directory::ChangeProgress;
use shared::upstream_error::UpstreamError;

use crate::ProductFeed;
use crate::change::Change;
use crate::error::FeedError;

/// How long one delivery may be processed. The sender waits 10 seconds, and a batch that has begun is finished.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(4);

/// Connections between two looks at the clock.
const BATCH: usize = 25;

/// A change, and how far its propagation has come.
pub(crate) struct Propagation<'a> {
    pub(crate) change: &'a Change,
    pub(crate) sequence: u64,
    /// How far an earlier delivery of it came.
    pub(crate) reached: Option<ChangeProgress>,
    pub(crate) deadline: Instant,
    pub(crate) now: Timestamp,
}

/// One time through what somebody has connected, the newest first.
struct Pass {
    began: Timestamp,
    after: Option<Cursor>,
    down_to: Option<Timestamp>,
}

impl ProductFeed {
    /// Ends what a former member has connected in a tenant; limits what a member has to what their role allows. There may be thousands:
    /// what does not fit into the time limit is done by the next delivery of the change, which continues here.
    pub(crate) async fn propagate(&self, propagation: &Propagation<'_>) -> Result<(), FeedError> {
        /// What was being approved by the membership as it was is kept by then, and says when that began.
        const UNDER_WAY: Duration = Duration::from_secs(30);

        let new = |down_to| Pass { began: propagation.now, after: None, down_to };
        let Some(ChangeProgress { began, cursor, down_to }) = propagation.reached.clone() else {
            return self.run_pass(propagation, new(None)).await;
        };
        self.run_pass(propagation, Pass { began, after: Some(cursor), down_to }).await?;
        // What has come since that began is before where it went on.
        self.run_pass(propagation, new(Some(began.minus(UNDER_WAY)))).await?;
        // Another delivery of the change begins anew.
        self.keep_reached(propagation, None).await
    }

    async fn run_pass(&self, propagation: &Propagation<'_>, pass: Pass) -> Result<(), FeedError> {
        let Propagation { change: Change { person, tenant, .. }, deadline, now, .. } = *propagation;
        let Pass { began, mut after, down_to } = pass;
        let whose = ConnectionFilter::Tenant { tenant, person: Some(person), client: None };
        loop {
            let (open, next) = self.grants.open_grants(whose, None, after.as_ref(), BATCH, now).await?;
            if !open.is_empty() {
                // After the list, not before: whatever is in it was approved by this membership, or by an earlier one.
                let (membership, change) = self.directory.membership_and_change(person, tenant).await?;
                for open in &open {
                    match &membership {
                        Some(membership) => self.restrict(open, membership.role.permissions, change).await?,
                        None => self.revoke(open, now).await?,
                    }
                }
            }
            let is_old = |open: &OpenGrant| down_to.is_some_and(|time| open.created < time);
            let Some(cursor) = next.filter(|_| !open.last().is_some_and(is_old)) else { return Ok(()) };
            if Instant::now() >= deadline {
                self.keep_reached(propagation, Some(&ChangeProgress { began, cursor, down_to })).await?;
                return Err(FeedError::TimeLimitReached);
            }
            after = Some(cursor);
        }
    }

    /// Of a role: what a former member has lost is in no list any more, so it is not met again.
    async fn keep_reached(
        &self,
        propagation: &Propagation<'_>,
        reached: Option<&ChangeProgress>,
    ) -> Result<(), FeedError> {
        let Change { person, tenant, role } = propagation.change;
        if let Some(role) = role {
            self.directory
                .put_change_progress((person, tenant), role, propagation.sequence, reached, propagation.now)
                .await?;
        }
        Ok(())
    }

    /// Revokes the keys that a former member made in `tenant`. They open nothing meanwhile, but would again if the person came back.
    pub(crate) async fn revoke_keys(&self, propagation: &Propagation<'_>) -> Result<(), FeedError> {
        let Propagation { change: Change { person, tenant, .. }, deadline, now, .. } = *propagation;
        if self.directory.membership(person, tenant).await?.is_some() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let (keys, next) = self.keys.of_tenant(tenant, after.as_ref(), now).await?;
            for key in keys.iter().filter(|key| key.maker == *person) {
                self.keys.revoke(tenant, &key.id, None).await?;
            }
            if next.is_none() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(FeedError::TimeLimitReached);
            }
            after = next;
        }
    }

    async fn restrict(&self, open: &OpenGrant, allowed: Scopes, change: u64) -> Result<(), UpstreamError> {
        if self.grants.restrict(&open.id, allowed, change).await? {
            let (grant, client) = (&open.id.to_text(), open.client.as_str());
            let (tenant, person, scope) = (open.tenant.as_str(), open.person.as_str(), &allowed.to_string());
            audit::record(&Event::GrantLimited { grant, client, tenant, person, scope });
        }
        Ok(())
    }

    /// Says so before, as no crash may hide it, and after.
    async fn revoke(&self, open: &OpenGrant, now: Timestamp) -> Result<(), UpstreamError> {
        let (grant, client) = (&open.id.to_text(), open.client.as_str());
        let (tenant, person) = (open.tenant.as_str(), open.person.as_str());
        let reason = RevocationReason::MembershipGone.as_str();
        audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by: None });
        if self.grants.revoke(&open.id, RevocationReason::MembershipGone, now).await? {
            audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by: None });
        }
        Ok(())
    }
}
