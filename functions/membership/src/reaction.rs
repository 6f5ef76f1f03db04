//! What people have connected follows what they may do now, without waiting for the next refresh.

use std::time::{Duration, Instant};

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::fault::Fault;
use shared::oauth::grant::Ending;
use shared::store::connections::{Open, Place, Whose};
use shared::store::directory::{Reached, Standing};

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
    pub(crate) reached: Option<Reached>,
    pub(crate) until: Instant,
    pub(crate) now: Timestamp,
}

/// One time through what somebody has connected, the newest first.
struct Pass {
    began: Timestamp,
    after: Option<Place>,
    down_to: Option<Timestamp>,
}

impl Membership {
    /// Ends what a former member has connected in a tenant; limits what a member has to what their role allows. There may be thousands:
    /// what the time is not enough for is done when the change is told again, which goes on where this ended.
    pub(crate) async fn react(&self, reaction: &Reaction<'_>) -> Result<(), Refusal> {
        /// What was being approved by the membership as it was is kept by then, and says when that began.
        const UNDER_WAY: Duration = Duration::from_secs(30);

        let new = |down_to| Pass { began: reaction.now, after: None, down_to };
        let Some(Reached { began, place, down_to }) = reaction.reached.clone() else {
            return self.go_through(reaction, new(None)).await;
        };
        self.go_through(reaction, Pass { began, after: Some(place), down_to }).await?;
        // What has come since that began is before where it went on.
        self.go_through(reaction, new(Some(began.minus(UNDER_WAY)))).await?;
        // Told once more, it begins anew.
        self.keep_reached(reaction, None).await
    }

    async fn go_through(&self, reaction: &Reaction<'_>, pass: Pass) -> Result<(), Refusal> {
        let Reaction { change: Change { person, tenant, .. }, until, now, .. } = *reaction;
        let Pass { began, mut after, down_to } = pass;
        let whose = Whose::Tenant { tenant, person: Some(person), client: None };
        loop {
            let (open, next) = self.grants.open(whose, None, after.as_ref(), AT_ONCE, now).await?;
            if !open.is_empty() {
                // After the list, not before: whatever is in it was approved by this membership, or by an earlier one.
                let (standing, change) = self.directory.standing_and_change(person, tenant).await?;
                for open in &open {
                    match &standing {
                        Some(standing) => self.limit(open, standing, change).await?,
                        None => self.end(open, now).await?,
                    }
                }
            }
            let is_old = |open: &Open| down_to.is_some_and(|time| open.created < time);
            let Some(place) = next.filter(|_| !open.last().is_some_and(is_old)) else { return Ok(()) };
            if Instant::now() >= until {
                self.keep_reached(reaction, Some(&Reached { began, place, down_to })).await?;
                return Err(Refusal::Unfinished);
            }
            after = Some(place);
        }
    }

    /// Of a role: what a former member has lost is in no list any more, so it is not met again.
    async fn keep_reached(&self, reaction: &Reaction<'_>, reached: Option<&Reached>) -> Result<(), Refusal> {
        let Change { person, tenant, role } = reaction.change;
        if let Some(role) = role {
            self.directory.keep_reached((person, tenant), role, reaction.number, reached, reaction.now).await?;
        }
        Ok(())
    }

    /// Revokes the keys that a former member made in `tenant`. They open nothing meanwhile, but would again if the person came back.
    pub(crate) async fn revoke_keys(&self, reaction: &Reaction<'_>) -> Result<(), Refusal> {
        let Reaction { change: Change { person, tenant, .. }, until, now, .. } = *reaction;
        if self.directory.standing(person, tenant).await?.is_some() {
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

    async fn limit(&self, open: &Open, standing: &Standing, change: u64) -> Result<(), Fault> {
        let allowed = standing.role.permissions;
        if self.grants.limit(&open.id, allowed, change).await? {
            let (grant, client) = (&open.id.to_text(), open.client.as_str());
            let (tenant, person, scope) = (open.tenant.as_str(), open.person.as_str(), &allowed.to_string());
            audit::record(&Event::GrantLimited { grant, client, tenant, person, scope });
        }
        Ok(())
    }

    /// Says so before, as no crash may hide it, and after.
    async fn end(&self, open: &Open, now: Timestamp) -> Result<(), Fault> {
        let (grant, client) = (&open.id.to_text(), open.client.as_str());
        let (tenant, person) = (open.tenant.as_str(), open.person.as_str());
        let reason = Ending::MembershipGone.as_str();
        audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by: None });
        if self.grants.end(&open.id, Ending::MembershipGone, now).await? {
            audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by: None });
        }
        Ok(())
    }
}
