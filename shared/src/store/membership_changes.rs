//! The changes of memberships that the product sends, in the table of [`super::directory`].

use std::time::Duration;

use super::backoff::Backoff;
use super::batch_get_items;
use super::directory::{
    CHANGE, Directory, INSTANCE, LEFT, PERSON_CHANGE, REVOCATIONS, TOLD, former_membership, membership_update,
};
use super::item::unparsable_item;
use super::item_update::{ItemUpdate, UpdateOutcome, contended, write_as_read};
use crate::clock::Timestamp;
use crate::oauth::instance_id::InstanceId;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_error::UpstreamError;

/// How late a change that was overtaken on its way can be: twice the time after which the product repeats it.
pub const MAX_DELAY: Duration = Duration::from_hours(2);

/// The outcome of a change that the product sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// It counts from now on.
    Applied,
    /// It was applied before and is still the last one.
    Repeated,
    /// A later change was applied before.
    Superseded,
    /// A change with a higher number was applied longer than [`MAX_DELAY`] ago: the product numbers its
    /// changes anew, or somebody replays one.
    Stale,
}

impl Directory {
    /// Has a membership begin anew, with its role. From the answer on all that rests on it as it was is over: what was connected, whatever
    /// an index shows, and API keys. `change` is the number of the product's change of the person that wants it. It counts once,
    /// and not if a later one did. Who is no member has nothing that works.
    ///
    /// # Errors
    /// When others changed the membership at the same time, or DynamoDB fails.
    pub async fn renew_membership(
        &self,
        (person, tenant): (&PersonId, &TenantId),
        change: Option<u64>,
    ) -> Result<ChangeOutcome, UpstreamError> {
        let key = self.membership_key(person, tenant);
        let mut outcome = ChangeOutcome::Applied;
        let written = write_as_read(&self.dynamo, &key, |update, item| {
            let Some(item) = item.filter(|item| !item.has(LEFT)) else { return Ok(None) };
            if let Some(change) = change.filter(|_| item.has(PERSON_CHANGE)) {
                let last: u64 = item.number(PERSON_CHANGE).ok_or_else(|| unparsable_item(&self.table))?;
                if last >= change {
                    outcome = if last == change { ChangeOutcome::Repeated } else { ChangeOutcome::Superseded };
                    return Ok(None);
                }
            }
            let update = update.set(INSTANCE, InstanceId::random().as_bytes().as_slice()).remove([REVOCATIONS]);
            Ok::<_, UpstreamError>(Some(match change {
                Some(change) => update.set(PERSON_CHANGE, change),
                None => update,
            }))
        });
        written.await?;
        Ok(outcome)
    }

    /// Applies a change that the product sent: the role of a membership, or that the membership has ended.
    /// `change` is its number. From the answer on every call is judged by it.
    ///
    /// # Errors
    /// When others changed the membership at the same time, or DynamoDB fails.
    pub async fn apply_change(
        &self,
        (person, tenant): (&PersonId, &TenantId),
        role: Option<&str>,
        change: u64,
        now: Timestamp,
    ) -> Result<ChangeOutcome, UpstreamError> {
        let key = self.membership_key(person, tenant);
        let mut backoff = Backoff::new();
        loop {
            let item = batch_get_items(&self.dynamo, &[self.membership_key(person, tenant)]).await?.pop().flatten();
            if let Some(item) = item.as_ref().filter(|item| item.has(CHANGE)) {
                let current = self.change(item)?;
                if current == change {
                    return Ok(ChangeOutcome::Repeated);
                } else if current > change {
                    let stale = item.time(TOLD).is_some_and(|received| received.plus(MAX_DELAY) < now);
                    return Ok(if stale { ChangeOutcome::Stale } else { ChangeOutcome::Superseded });
                }
            }
            // A version before `made_by` may have written a later change in between.
            let update = ItemUpdate::of(item.as_ref(), &key).when_less_or_absent(CHANGE, change);
            let update = match role {
                Some(role) => {
                    let instance = self.instance_to_join(tenant).await?;
                    membership_update(update, item.as_ref(), (person, tenant, instance), role)
                }
                None if item.as_ref().is_some_and(|item| item.has(LEFT)) => update,
                None => former_membership(update, now),
            };
            if let UpdateOutcome::Applied = update.set(CHANGE, change).set(TOLD, now).write(&self.dynamo, &key).await? {
                return Ok(ChangeOutcome::Applied);
            }
            if !backoff.wait().await {
                return Err(contended(&self.table));
            }
        }
    }
}
