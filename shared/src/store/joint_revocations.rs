//! Raises the numbers that end connections together: see [`crate::oauth::approval_basis`].
//!
//! A number is raised from the value that was read, under the condition that it still is that. If it has grown meanwhile, what was to
//! end has ended. So a write that arrives late or twice never ends what was approved since. The console's role may write these
//! attributes of the table and no others.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::backoff::Backoff;
use super::batch_get_items;
use super::directory::{
    ALL_REVOKED, CLIENTS_REVOKED, CLIENTS_REVOKED_AT, Directory, INSTANCE, Membership, REVOCATIONS, is_tenant,
    read_tenant_basis,
};
use super::item::{Item, Value, unparsable_item};
use super::item_update::{ItemUpdate, UpdateOutcome, contended};
use crate::clock::Timestamp;
use crate::oauth::approval_basis::{ApprovalBasis, ClientRevocations, CurrentBasis};
use crate::oauth::client::ClientId;
use crate::oauth::instance_id::InstanceId;
use crate::oauth::tenant::TenantId;
use crate::upstream_error::UpstreamError;

/// The numbers of a tenant's connections.
#[derive(Clone, Debug)]
pub struct TenantNumbers {
    /// The tenant's instance; none if it is from before instances.
    pub instance: Option<InstanceId>,
    /// How often connections were revoked together.
    pub revocations: u64,
    all_revoked: u64,
    clients: ClientRevocations,
    /// When those of each client were last revoked, in seconds since 1970, by the same keys.
    clients_revoked_at: BTreeMap<String, u64>,
}

/// Whose connections in a tenant end together.
#[derive(Clone, Copy, Debug)]
pub enum TenantRevocation<'a> {
    /// Everybody's.
    All,
    /// Those of one client.
    Client(&'a ClientId),
}

impl Directory {
    /// Ends all connections of a membership that had been approved when it was read: from the answer on none is let in. The number that
    /// they are older than, and whether this call raised it: if it had grown meanwhile, what was approved since stays.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn revoke_connections_of_member(&self, membership: &Membership) -> Result<(u64, bool), UpstreamError> {
        let ApprovalBasis { membership: instance, membership_revocations: number, .. } = membership.basis.approval;
        let key = self.membership_key(&membership.person, &membership.tenant);
        let raised = number.saturating_add(1);
        // Refused: the number has grown, or it is another membership. Either has ended them.
        let update = raise(number, instance).when_present(key.partition()).set(REVOCATIONS, raised);
        let outcome = update.write_unmarked(&self.dynamo, &key).await?;
        Ok((raised, outcome.is_applied()))
    }

    /// The numbers of a tenant; nothing if there is no such tenant.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tenant_numbers(&self, tenant: &TenantId) -> Result<Option<TenantNumbers>, UpstreamError> {
        let item = batch_get_items(&self.dynamo, &[self.tenant_key(tenant)]).await?.pop().flatten();
        item.filter(is_tenant).map(|item| self.read_numbers(&item)).transpose()
    }

    /// Ends all connections in a tenant that have been approved so far, or those of one client: from the answer on none is let in.
    /// `numbers` are those of the tenant as it was read. The number that they are older than, and whether this call raised it: if others
    /// had ended them since, what was approved after that stays. Nothing if the tenant is gone, and they with it.
    ///
    /// # Errors
    /// When others wrote the tenant at each attempt, or DynamoDB fails.
    pub async fn revoke_connections_in_tenant(
        &self,
        tenant: &TenantId,
        numbers: &TenantNumbers,
        which: TenantRevocation<'_>,
        now: Timestamp,
    ) -> Result<Option<(u64, bool)>, UpstreamError> {
        let key = self.tenant_key(tenant);
        let mut current = numbers.clone();
        let mut backoff = Backoff::new();
        loop {
            let raised = current.revocations.saturating_add(1);
            let update =
                raise(current.revocations, current.instance).when_present(key.partition()).set(REVOCATIONS, raised);
            let update = match which {
                // All of its clients are among them.
                TenantRevocation::All => update.set(ALL_REVOKED, raised).remove([CLIENTS_REVOKED, CLIENTS_REVOKED_AT]),
                TenantRevocation::Client(client) => {
                    let (mut numbers, mut times) = (current.clients.to_map(), current.clients_revoked_at.clone());
                    numbers.insert(ClientRevocations::key(client), raised);
                    times.insert(ClientRevocations::key(client), now.seconds().unsigned_abs());
                    with_clients(update, numbers, times)
                }
            };
            if let UpdateOutcome::Applied = update.write_unmarked(&self.dynamo, &key).await? {
                return Ok(Some((raised, true)));
            }
            let again = backoff.wait().await;
            // The tenant's number grows at the ending of any client: only what was to end tells whether it has ended.
            let Some(latest) = self.tenant_numbers(tenant).await? else { return Ok(None) };
            if latest.instance != numbers.instance {
                return Ok(None);
            }
            let ended_at = match which {
                TenantRevocation::All => latest.all_revoked,
                TenantRevocation::Client(client) => {
                    latest.all_revoked.max(latest.number_of(client).unwrap_or_default())
                }
            };
            if ended_at > numbers.revocations {
                return Ok(Some((ended_at, false)));
            }
            if !again {
                return Err(contended(&self.table));
            }
            current = latest;
        }
    }

    /// Forgets the number of a client, by its key, if it is still `number`. The caller has marked all that it ended. Whether others were
    /// in the way does not matter: it is forgotten another time.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn forget_client(&self, tenant: &TenantId, client: &str, number: u64) -> Result<(), UpstreamError> {
        let Some(current) = self.tenant_numbers(tenant).await? else { return Ok(()) };
        let (mut numbers, mut times) = (current.clients.to_map(), current.clients_revoked_at.clone());
        if numbers.remove(client) != Some(number) {
            return Ok(());
        }
        times.remove(client);
        let key = self.tenant_key(tenant);
        let update = raise(current.revocations, current.instance).when_present(key.partition());
        with_clients(update, numbers, times).write_unmarked(&self.dynamo, &key).await.map(drop)
    }

    fn read_numbers(&self, item: &Item) -> Result<TenantNumbers, UpstreamError> {
        let CurrentBasis { approval, all_revoked, clients_revoked: clients } =
            read_tenant_basis(item).ok_or_else(|| unparsable_item(&self.table))?;
        let times = item.map(CLIENTS_REVOKED_AT).into_iter().flatten();
        let time = |(key, time): (&String, &AttributeValue)| Some((key.clone(), time.as_n().ok()?.parse().ok()?));
        let clients_revoked_at = times.map(time).collect::<Option<_>>().ok_or_else(|| unparsable_item(&self.table))?;
        let (instance, revocations) = (approval.tenant, approval.tenant_revocations);
        Ok(TenantNumbers { instance, revocations, all_revoked, clients, clients_revoked_at })
    }
}

impl TenantNumbers {
    /// The same, as they were when `revocations` was their number.
    #[must_use]
    pub fn as_of(self, revocations: u64) -> Self {
        Self { revocations, ..self }
    }

    /// The number at which the connections of a client were last revoked, if it is kept.
    #[must_use]
    pub fn number_of(&self, client: &ClientId) -> Option<u64> {
        self.clients.of(client)
    }

    /// The client that was revoked longest ago, by its key and number, if there are so many that its number should go. Not if it was
    /// revoked a moment ago: an index may still hide what a search must find first.
    #[must_use]
    pub fn oldest_client(&self, now: Timestamp) -> Option<(&str, u64)> {
        /// They take 1,500 bytes of the tenant's item.
        const MAX: usize = 30;
        const SETTLED: Duration = Duration::from_mins(10);
        let is_full = self.clients.iter().count() >= MAX;
        let before = now.minus(SETTLED).seconds().unsigned_abs();
        let oldest = self.clients.iter().min_by_key(|(_, number)| *number).filter(|_| is_full);
        oldest.filter(|(key, _)| self.clients_revoked_at.get(*key).is_some_and(|at| *at < before))
    }
}

/// Completes `update` to the numbers and the times of single clients.
fn with_clients(update: ItemUpdate, numbers: BTreeMap<String, u64>, times: BTreeMap<String, u64>) -> ItemUpdate {
    let map = |values: BTreeMap<String, u64>| {
        Value(AttributeValue::M(values.into_iter().map(|(key, value)| (key, Value::from(value).0)).collect()))
    };
    update.set(CLIENTS_REVOKED, map(numbers)).set(CLIENTS_REVOKED_AT, map(times))
}

/// A number from before these attributes is 0, and is not there.
fn raise(number: u64, instance: Option<InstanceId>) -> ItemUpdate {
    let instance = instance.as_ref().map(|instance| instance.as_bytes().as_slice());
    ItemUpdate::default()
        .when_equal_or_absent(REVOCATIONS, (number > 0).then_some(number))
        .when_equal_or_absent(INSTANCE, instance)
}
