//! Raises the numbers that end connections together: see [`crate::oauth::approval_basis`].
//!
//! A number is raised from the value that was read, under the condition that it still is that. If it has grown meanwhile, what was to
//! end has ended. So a write that arrives late or twice never ends what was approved since. The console's role may write these
//! attributes of the table and no others.

use super::batch_get_items;
use super::directory::{
    ALL_REVOKED, ATTEMPTS, CLIENTS_REVOKED, Directory, INSTANCE, Membership, REVOCATIONS, is_tenant, read_tenant_basis,
};
use super::item::{Item, Value, unparsable_item};
use super::item_update::{ItemUpdate, UpdateOutcome};
use crate::oauth::approval_basis::{ApprovalBasis, ClientRevocations, CurrentBasis};
use crate::oauth::client::ClientId;
use crate::oauth::instance_id::InstanceId;
use crate::oauth::tenant::TenantId;
use crate::upstream_error::UpstreamError;
use aws_sdk_dynamodb::types::AttributeValue;

/// The numbers of a tenant's connections.
#[derive(Clone, Debug)]
pub struct TenantNumbers {
    /// The tenant's instance; none if it is from before instances.
    pub instance: Option<InstanceId>,
    /// How often connections were revoked together.
    pub revocations: u64,
    all_revoked: u64,
    clients: ClientRevocations,
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
    /// Ends all connections of a membership that have been approved so far: from the answer on none is let in. The number that they
    /// are older than.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn revoke_connections_of_member(&self, membership: &Membership) -> Result<u64, UpstreamError> {
        let ApprovalBasis { membership: instance, membership_revocations: number, .. } = membership.basis.approval;
        let key = self.membership_key(&membership.person, &membership.tenant);
        let raised = number.saturating_add(1);
        // Refused: the number has grown, or it is another membership. Either has ended them.
        raise(number, instance)
            .when_present(key.partition())
            .set(REVOCATIONS, raised)
            .write_unmarked(&self.dynamo, &key)
            .await?;
        Ok(raised)
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
    /// `numbers` are those of the tenant as it was read, and `forgotten` a client whose number need not be kept any longer. The number
    /// that they are older than; nothing if the tenant is gone, and they with it.
    ///
    /// # Errors
    /// When others wrote the tenant at each attempt, or DynamoDB fails.
    pub async fn revoke_connections_in_tenant(
        &self,
        tenant: &TenantId,
        numbers: &TenantNumbers,
        which: TenantRevocation<'_>,
        forgotten: Option<&str>,
    ) -> Result<Option<u64>, UpstreamError> {
        let key = self.tenant_key(tenant);
        let mut current = numbers.clone();
        for _ in 0..ATTEMPTS {
            let raised = current.revocations.saturating_add(1);
            let update =
                raise(current.revocations, current.instance).when_present(key.partition()).set(REVOCATIONS, raised);
            let update = match which {
                // All of its clients are among them.
                TenantRevocation::All => update.set(ALL_REVOKED, raised).remove([CLIENTS_REVOKED]),
                TenantRevocation::Client(client) => {
                    let kept = current.clients.iter().filter(|(key, _)| Some(*key) != forgotten);
                    let own = (ClientRevocations::key(client), raised);
                    let numbers = kept.map(|(key, number)| (key.to_owned(), number)).chain([own]);
                    let map = numbers.map(|(key, number)| (key, Value::from(number).0)).collect();
                    update.set(CLIENTS_REVOKED, Value(AttributeValue::M(map)))
                }
            };
            if let UpdateOutcome::Applied = update.write_unmarked(&self.dynamo, &key).await? {
                return Ok(Some(raised));
            }
            // The tenant's number grows at the ending of any client: only what was to end tells whether it has ended.
            let Some(latest) = self.tenant_numbers(tenant).await? else { return Ok(None) };
            if latest.instance != numbers.instance {
                return Ok(None);
            }
            let ended_at = match which {
                TenantRevocation::All => latest.all_revoked,
                TenantRevocation::Client(client) => {
                    latest.all_revoked.max(latest.clients.of(client).unwrap_or_default())
                }
            };
            if ended_at > numbers.revocations {
                return Ok(Some(ended_at));
            }
            current = latest;
        }
        Err(self.contended())
    }

    fn read_numbers(&self, item: &Item) -> Result<TenantNumbers, UpstreamError> {
        let CurrentBasis { approval, all_revoked, clients_revoked: clients } =
            read_tenant_basis(item).ok_or_else(|| unparsable_item(&self.table))?;
        Ok(TenantNumbers { instance: approval.tenant, revocations: approval.tenant_revocations, all_revoked, clients })
    }
}

impl TenantNumbers {
    /// The same, as they were when `revocations` was their number.
    #[must_use]
    pub fn as_of(self, revocations: u64) -> Self {
        Self { revocations, ..self }
    }

    /// The client that was revoked longest ago, by its key and number, if there are so many that its number should go.
    #[must_use]
    pub fn oldest_client(&self) -> Option<(&str, u64)> {
        /// They take 810 bytes of the tenant's item.
        const MAX: usize = 30;
        let is_full = self.clients.iter().count() >= MAX;
        self.clients.iter().min_by_key(|(_, number)| *number).filter(|_| is_full)
    }
}

/// A number from before these attributes is 0, and is not there.
fn raise(number: u64, instance: Option<InstanceId>) -> ItemUpdate {
    let instance = instance.as_ref().map(|instance| instance.as_bytes().as_slice());
    ItemUpdate::default()
        .when_equal_or_absent(REVOCATIONS, (number > 0).then_some(number))
        .when_equal_or_absent(INSTANCE, instance)
}
