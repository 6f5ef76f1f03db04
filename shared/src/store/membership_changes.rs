//! The changes of memberships that the product sends, in the table of [`super::directory`].

use std::time::Duration;

use super::backoff::Backoff;
use super::batch_get_items;
use super::directory::{CHANGE, Directory, LEFT, TOLD, former_membership, membership_update};
use super::item_update::{ItemUpdate, UpdateOutcome, contended};
use crate::clock::Timestamp;
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
