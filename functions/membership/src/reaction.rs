//! What people have connected follows what they may do now, without waiting for the next refresh.

use std::time::{Duration, Instant};

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::grant::RevocationReason;
use shared::oauth::scope::Scopes;
use shared::store::connections::{ConnectionFilter, Cursor, OpenGrant};
use shared::store::directory::ChangeProgress;
use shared::upstream_error::UpstreamError;

use crate::Membership;
use crate::change::Change;
use crate::refusal::Refusal;

/// For how long one delivery is worked on: the sender waits 10 seconds, and what has been begun is to be finished.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// How much is done before the time is looked at again.
const AT_ONCE: usize = 25;

/// Whose connections follow which change.
pub(crate) struct Reaction<'a> {
    pub(crate) change: &'a Change,
    pub(crate) number: u64,
    /// How far an earlier delivery of it came.
    pub(crate) reached: Option<ChangeProgress>,
    pub(crate) until: Instant,
    pub(crate) now: Timestamp,
}

/// One time through what somebody has connected, the newest first.
struct Pass {
    began: Timestamp,
    after: Option<Cursor>,
    down_to: Option<Timestamp>,
}

impl Membership {
    /// Ends what a former member has connected in a tenant; limits what a member has to what their role allows. There may be thousands:
    /// what the time is not enough for is done when the change is told again, which goes on where this ended.
    pub(crate) async fn react(&self, reaction: &Reaction<'_>) -> Result<(), Refusal> {
        /// What was being approved by the membership as it was is kept by then, and says when that began.
        const UNDER_WAY: Duration = Duration::from_secs(30);

        let new = |down_to| Pass { began: reaction.now, after: None, down_to };
        let Some(ChangeProgress { began, cursor, down_to }) = reaction.reached.clone() else {
            return self.go_through(reaction, new(None)).await;
        };
        self.go_through(reaction, Pass { began, after: Some(cursor), down_to }).await?;
        // What has come since that began is before where it went on.
        self.go_through(reaction, new(Some(began.minus(UNDER_WAY)))).await?;
        // Told once more, it begins anew.
        self.keep_reached(reaction, None).await
    }

    async fn go_through(&self, reaction: &Reaction<'_>, pass: Pass) -> Result<(), Refusal> {
        let Reaction { change: Change { person, tenant, .. }, until, now, .. } = *reaction;
        let Pass { began, mut after, down_to } = pass;
        let whose = ConnectionFilter::Tenant { tenant, person: Some(person), client: None };
        loop {
            let (open, next) = self.grants.open_grants(whose, None, after.as_ref(), AT_ONCE, now).await?;
            if !open.is_empty() {
                // After the list, not before: whatever is in it was approved by this membership, or by an earlier one.
                let (membership, change) = self.directory.membership_and_change(person, tenant).await?;
                for open in &open {
                    match &membership {
                        Some(membership) => self.limit(open, membership.role.permissions, change).await?,
                        None => self.end(open, now).await?,
                    }
                }
            }
            let is_old = |open: &OpenGrant| down_to.is_some_and(|time| open.created < time);
            let Some(cursor) = next.filter(|_| !open.last().is_some_and(is_old)) else { return Ok(()) };
            if Instant::now() >= until {
                self.keep_reached(reaction, Some(&ChangeProgress { began, cursor, down_to })).await?;
                return Err(Refusal::Unfinished);
            }
            after = Some(cursor);
        }
    }

    /// Of a role: what a former member has lost is in no list any more, so it is not met again.
    async fn keep_reached(&self, reaction: &Reaction<'_>, reached: Option<&ChangeProgress>) -> Result<(), Refusal> {
        let Change { person, tenant, role } = reaction.change;
        if let Some(role) = role {
            self.directory.put_change_progress((person, tenant), role, reaction.number, reached, reaction.now).await?;
        }
        Ok(())
    }

    /// Revokes the keys that a former member made in `tenant`. They open nothing meanwhile, but would again if the person came back.
    pub(crate) async fn revoke_keys(&self, reaction: &Reaction<'_>) -> Result<(), Refusal> {
        let Reaction { change: Change { person, tenant, .. }, until, now, .. } = *reaction;
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
            if Instant::now() >= until {
                return Err(Refusal::Unfinished);
            }
            after = next;
        }
    }

    async fn limit(&self, open: &OpenGrant, allowed: Scopes, change: u64) -> Result<(), UpstreamError> {
        if self.grants.restrict(&open.id, allowed, change).await? {
            let (grant, client) = (&open.id.to_text(), open.client.as_str());
            let (tenant, person, scope) = (open.tenant.as_str(), open.person.as_str(), &allowed.to_string());
            audit::record(&Event::GrantLimited { grant, client, tenant, person, scope });
        }
        Ok(())
    }

    /// Says so before, as no crash may hide it, and after.
    async fn end(&self, open: &OpenGrant, now: Timestamp) -> Result<(), UpstreamError> {
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
