//! Tenants, their roles, and who is in them.
//!
//! ```text
//! tenant       { pk: "tenant#acme", sk: "tenant", name: "Acme", roles?: { "editor": ["documents:write"] }, instance: <16 bytes>,
//!                revocations?: 7, all_revoked?: 5, clients_revoked?: { "<22 characters>": 7 },
//!                clients_revoked_at?: { "<22 characters>": 1795… }, layout?: "by_kind", made_by: <16 bytes> }
//! removed one  { pk: "tenant#acme", sk: "tenant", removed: 1795…, expires: 1797…, made_by: <16 bytes> }
//! to come      { pk: "tenant#acme", sk: "tenant", instance: <16 bytes>, made_by: <16 bytes> }
//! membership   { pk: "person#<uuid>", sk: "tenant#acme", tenant: "acme", person: "<uuid>", role: "editor", instance: <16 bytes>,
//!                tenant_instance: <16 bytes>, revocations?: 3, change?: 17, told?: 1795…, person_change?: 18, made_by: <16 bytes> }
//! former one   { pk: "person#<uuid>", sk: "tenant#acme", left: 1795…, change?: 17, told?: 1795…, person_change?: 18, expires: 1797…,
//!                made_by: <16 bytes> }
//! ```
//!
//! `instance` is the identity of a membership or a tenant. It never comes back: whoever is removed and added again has another one. A
//! membership counts only in the tenant whose `instance` is its `tenant_instance`. So a membership that an index hid when its tenant
//! was removed counts nowhere, even if a tenant of the same id is made later. Items from before these attributes have none until they
//! are removed, and fit each other.
//!
//! `revocations` counts how often connections were revoked together: see [`crate::oauth::approval_basis`]. `all_revoked` and
//! `clients_revoked` are the numbers at which all of a tenant, or all of one client there, were.
//!
//! `layout` says in which partitions the workspace of a tenant lies: see [`super::workspace_layout`]. It is here because every call reads
//! this item anyway.
//!
//! `made_by` identifies the last write. Writers read an item first, and write it only if it is still that. So a first try that arrives
//! late changes nothing. What has ended leaves an item for a month, so that "does not exist" is never true again meanwhile. Such an
//! item names no tenant, and is in no index.
//!
//! `change` is the number of the last change that the product sent (`functions/feed`). A change that arrives late does not undo a
//! later one. `told` is the time since when that change counts. It decides nothing, but a change that is late by more than
//! [`MAX_DELAY`](super::membership_changes::MAX_DELAY) is reported. The product may send the members of a tenant before the tenant is
//! added: the tenant "to come" has the instance that it will have.
//!
//! `person_change` is the number of the last change of the person that the product sent: that they are banned. The membership stays, and
//! begins anew with another `instance`, so that nothing that rests on it as it was works any more.
//!
//! A change by an operator has no number and leaves `change` as it is. It overrides all changes that have arrived, and the product's
//! next change overrides it.
//!
//! A role is defined once, in its tenant, so that changing it changes what all its members may do at once. Every call reads the item of
//! its tenant, so the item stays under 4 KB, which is one read unit.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use thiserror::Error;

use super::backoff::Backoff;
use super::clients::Clients;
use super::grants::Grants;
use super::item::{Item, Value, unparsable_item};
use super::item_update::{ItemUpdate, MADE_BY, UpdateOutcome, contended, write_as_read};
use super::pending_scopes::PendingScopes;
use super::workspace_layout::WorkspaceLayout;
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::oauth::approval_basis::{ApprovalBasis, ClientRevocations, CurrentBasis};
use crate::oauth::blocked_hosts::BlockedHosts;
use crate::oauth::client::{Client, ClientId};
use crate::oauth::instance_id::InstanceId;
use crate::oauth::role::Role;
use crate::oauth::scope::Scopes;
use crate::oauth::secret::Secret;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// The attribute with the number of the last change that the product sent.
pub(super) const CHANGE: &str = "change";
/// The attribute with the time when that change was received.
pub(super) const TOLD: &str = "told";
/// The attribute with the number of the last change of the person that the product sent.
pub(super) const PERSON_CHANGE: &str = "person_change";
/// The attribute that only a former membership has.
pub(super) const LEFT: &str = "left";

/// The attribute that only a removed tenant has.
const REMOVED: &str = "removed";
/// The attribute with the [`InstanceId`] of a membership or a tenant.
pub(super) const INSTANCE: &str = "instance";
/// The attribute of a membership with the [`InstanceId`] of its tenant.
pub(super) const TENANT_INSTANCE: &str = "tenant_instance";
/// The attribute that counts how often connections were revoked together.
pub(super) const REVOCATIONS: &str = "revocations";
/// The attribute of a tenant with the number at which all its connections were last revoked.
pub(super) const ALL_REVOKED: &str = "all_revoked";
/// The attribute of a tenant with such numbers of single clients.
pub(super) const CLIENTS_REVOKED: &str = "clients_revoked";
/// The attribute with the times of these.
pub(super) const CLIENTS_REVOKED_AT: &str = "clients_revoked_at";
/// The attribute of a tenant with its [`WorkspaceLayout`].
pub(super) const LAYOUT: &str = "layout";

/// The table of tenants and memberships.
#[derive(Clone)]
pub struct Directory {
    pub(super) dynamo: aws_sdk_dynamodb::Client,
    pub(super) table: String,
}

/// A tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// As people call it.
    pub name: String,
    /// Its own roles, besides the built-in ones.
    pub roles: Vec<Role>,
}

/// A person in a tenant, and what their role allows now.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The person.
    pub person: PersonId,
    /// The tenant's id.
    pub tenant: TenantId,
    /// The tenant's name.
    pub name: String,
    /// The person's role.
    pub role: Role,
    /// What an approval of theirs rests on, and which approvals have been revoked together.
    pub basis: CurrentBasis,
    /// In which partitions the tenant's workspace lies.
    pub workspace_layout: WorkspaceLayout,
}

/// Why a tenant was not stored.
#[derive(Debug, Error)]
pub enum PutTenantError {
    /// Name and roles have more than [`TENANT_LIMIT`] bytes together.
    #[error("the name and the roles of a tenant must not exceed 3,072 bytes together")]
    TooLarge,
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// What a consent page needs of the tables.
#[derive(Debug)]
pub struct ConsentItems {
    /// The client, which is blocked if a host of it is.
    pub client: Option<Client>,
    /// Before when the address of its document is not to be asked again.
    pub retry_at: Option<Timestamp>,
    /// For a client whose document is fetched.
    pub blocked_hosts: BlockedHosts,
    /// The memberships of the person, by name of the tenant.
    pub memberships: Vec<Membership>,
    /// What calls of the client lacked.
    pub pending_scopes: PendingScopes,
}

/// Most bytes of a tenant's name and roles. The rest of the item, below 4 KB in all, is for its numbers.
pub const TENANT_LIMIT: usize = 3 * 1024;

/// How long a membership or a tenant that ended is kept: longer than the product repeats a change.
pub(super) const RETENTION: Duration = Duration::from_hours(30 * 24);

impl Directory {
    pub(crate) const fn new(dynamo: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { dynamo, table }
    }

    /// The membership of `person` in `tenant`; nothing if not a member.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn membership(&self, person: &PersonId, tenant: &TenantId) -> Result<Option<Membership>, UpstreamError> {
        let keys = [self.membership_key(person, tenant), self.tenant_key(tenant)];
        let mut items = batch_get_items(&self.dynamo, &keys).await?;
        let tenant = items.pop().flatten();
        let Some(membership) = items.pop().flatten() else { return Ok(None) };
        self.read_membership(&membership, tenant)
    }

    /// The memberships of `person`, by name of the tenant. From the table itself, consistently: none is missing.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn memberships(&self, person: &PersonId) -> Result<Vec<Membership>, UpstreamError> {
        let items = self.membership_items(person).await?;
        let tenants = self.tenants_of(&items)?;
        let keys: Vec<_> = tenants.iter().map(|tenant| self.tenant_key(tenant)).collect();
        self.read_memberships(&items, batch_get_items(&self.dynamo, &keys).await?)
    }

    /// What a consent page needs, in two calls.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn memberships_with_client(
        &self,
        person: &PersonId,
        clients: &Clients,
        client: &ClientId,
        grants: &Grants,
        now: Timestamp,
    ) -> Result<ConsentItems, UpstreamError> {
        let membership_items = self.membership_items(person).await?;
        let tenants = self.tenants_of(&membership_items)?;
        let mut keys =
            vec![clients.key(client), clients.blocked_hosts_key(), grants.pending_scopes_key(person, client)];
        keys.extend(tenants.iter().map(|tenant| self.tenant_key(tenant)));
        let mut items = batch_get_items(&self.dynamo, &keys).await?.into_iter();
        let client = items.next().flatten();
        let retry_at = client.as_ref().and_then(|client| client.time("retry_at"));
        let client = clients.read(client, now)?;
        let blocked_hosts = clients.read_blocked_hosts(items.next().flatten().as_ref())?;
        let pending_scopes = grants.read_pending_scopes(items.next().flatten(), now)?;
        let memberships = self.read_memberships(&membership_items, items)?;
        let client = client.map(|client| blocked_hosts.apply(client));
        Ok(ConsentItems { client, retry_at, blocked_hosts, memberships, pending_scopes })
    }

    /// The tenant of that id, its roles by name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, UpstreamError> {
        let found = batch_get_items(&self.dynamo, &[self.tenant_key(id)]).await?.pop().flatten();
        found.filter(is_tenant).map(|item| self.read_tenant(id.clone(), &item)).transpose()
    }

    /// Stores a tenant and the roles it defines, whatever there was. Its instance and its numbers stay.
    ///
    /// # Errors
    /// When name and roles are too long together, others changed the tenant at the same time, or DynamoDB fails.
    pub async fn put_tenant(&self, tenant: &Tenant) -> Result<(), PutTenantError> {
        self.change_tenant(&tenant.id, |_| Some(tenant.clone())).await.map(drop)
    }

    /// Stores what `change` makes of a tenant as it is now; of nothing if there is none. The tenant as it is then; nothing if `change`
    /// makes nothing of it.
    ///
    /// # Errors
    /// When name and roles are too long together, others changed the tenant at the same time, or DynamoDB fails.
    pub async fn change_tenant(
        &self,
        id: &TenantId,
        change: impl Fn(Option<Tenant>) -> Option<Tenant>,
    ) -> Result<Option<Tenant>, PutTenantError> {
        let mut changed = None;
        let key = self.tenant_key(id);
        let outcome = write_as_read(&self.dynamo, &key, |update, item| {
            let stored = item.filter(|item| is_tenant(item));
            let stored = stored.map(|item| self.read_tenant(id.clone(), item)).transpose()?;
            let Some(tenant) = change(stored) else { return Ok(None) };
            if tenant.size() > TENANT_LIMIT {
                return Err(PutTenantError::TooLarge);
            }
            let update = tenant_update(update, item, &tenant);
            changed = Some(tenant);
            Ok(Some(update))
        });
        Ok(if outcome.await?.is_applied() { changed } else { None })
    }

    /// Removes a tenant. From the answer on nobody is a member of it, whatever an index shows. The caller revokes and removes what is
    /// listed.
    ///
    /// # Errors
    /// When others changed the tenant at the same time, or DynamoDB fails.
    pub async fn remove_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<(), UpstreamError> {
        let key = self.tenant_key(tenant);
        let outcome = write_as_read(&self.dynamo, &key, |update, item| {
            let is_there = item.is_some_and(|item| !item.has(REMOVED));
            Ok::<_, UpstreamError>(is_there.then(|| {
                update.set(REMOVED, now).set("expires", now.plus(RETENTION)).remove([
                    "name",
                    "roles",
                    INSTANCE,
                    REVOCATIONS,
                    ALL_REVOKED,
                    CLIENTS_REVOKED,
                    CLIENTS_REVOKED_AT,
                    LAYOUT,
                ])
            }))
        });
        outcome.await.map(drop)
    }

    /// In which partitions the workspace of a tenant lies; of a tenant that is not there, as if it were made now.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn workspace_layout(&self, tenant: &TenantId) -> Result<WorkspaceLayout, UpstreamError> {
        let found = batch_get_items(&self.dynamo, &[self.tenant_key(tenant)]).await?.pop().flatten();
        match found.filter(is_tenant) {
            Some(item) => read_layout(&item).ok_or_else(|| unparsable_item(&self.table)),
            None => Ok(WorkspaceLayout::ByKind),
        }
    }

    /// Stores what `change` makes of the layout of a tenant as it is now. The layout as it is then; nothing if there is no such tenant,
    /// or `change` makes nothing of it.
    ///
    /// # Errors
    /// When others changed the tenant at the same time, or DynamoDB fails.
    pub async fn change_layout(
        &self,
        tenant: &TenantId,
        change: impl Fn(WorkspaceLayout) -> Option<WorkspaceLayout>,
    ) -> Result<Option<WorkspaceLayout>, UpstreamError> {
        let mut changed = None;
        let key = self.tenant_key(tenant);
        let outcome = write_as_read(&self.dynamo, &key, |update, item| {
            let Some(item) = item.filter(|item| is_tenant(item)) else { return Ok(None) };
            changed = change(read_layout(item).ok_or_else(|| unparsable_item(&self.table))?);
            Ok::<_, UpstreamError>(changed.map(|layout| update.set_or_remove(LAYOUT, layout.as_str())))
        });
        Ok(if outcome.await?.is_applied() { changed } else { None })
    }

    /// Puts a person in a tenant with a role, or changes the role, whatever there was. A membership that begins has a new instance.
    ///
    /// # Errors
    /// When others changed the membership at the same time, or DynamoDB fails.
    pub async fn put_member(&self, tenant: &TenantId, person: &PersonId, role: &str) -> Result<(), UpstreamError> {
        self.put_member_if(tenant, person, role, |_| true).await.map(drop)
    }

    /// The same, if `condition` agrees: to whether the person is a member at the moment of the write. Whether it did.
    ///
    /// # Errors
    /// When others changed the membership at the same time, the tenant was removed, or DynamoDB fails.
    pub async fn put_member_if(
        &self,
        tenant: &TenantId,
        person: &PersonId,
        role: &str,
        condition: impl Fn(bool) -> bool,
    ) -> Result<bool, UpstreamError> {
        let instance = self.instance_to_join(tenant).await?;
        let key = self.membership_key(person, tenant);
        let outcome = write_as_read(&self.dynamo, &key, |update, item| {
            let may = condition(goes_on(item, instance));
            Ok::<_, UpstreamError>(may.then(|| membership_update(update, item, (person, tenant, instance), role)))
        });
        Ok(outcome.await?.is_applied())
    }

    /// Takes a person out of a tenant. From the answer on all that they have connected there is over, and their keys are refused.
    ///
    /// # Errors
    /// When others changed the membership at the same time, or DynamoDB fails.
    pub async fn remove_member(
        &self,
        tenant: &TenantId,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        let key = self.membership_key(person, tenant);
        let outcome = write_as_read(&self.dynamo, &key, |update, item| {
            let is_there = item.is_some_and(|item| !item.has(LEFT));
            Ok::<_, UpstreamError>(is_there.then(|| former_membership(update, now)))
        });
        outcome.await.map(drop)
    }

    /// The instance that a membership of `tenant` must name. A tenant that was never there gets one, which it will have when it is added.
    ///
    /// # Errors
    /// When the tenant was removed: what was sent before that must make nobody a member of a later one. Or when DynamoDB fails.
    pub(super) async fn instance_to_join(&self, tenant: &TenantId) -> Result<Option<InstanceId>, UpstreamError> {
        let key = self.tenant_key(tenant);
        let mut backoff = Backoff::new();
        loop {
            let item = batch_get_items(&self.dynamo, &[self.tenant_key(tenant)]).await?.pop().flatten();
            match &item {
                Some(item) if item.has("name") || item.has(INSTANCE) => {
                    return read_instance(item, INSTANCE).ok_or_else(|| unparsable_item(&self.table));
                }
                Some(_) => {
                    return Err(upstream_call::failed("DynamoDB.BatchGetItem", format!("tenant {tenant} was removed")));
                }
                None => {
                    // The feed's role may write no other attribute of a tenant, and need not be told of them. After a
                    // refusal the item is read again, whoever wrote it.
                    let (instance, made_by) = (InstanceId::random(), Secret::<16>::random());
                    let update = ItemUpdate::of(None, &key)
                        .set(INSTANCE, instance.as_bytes().as_slice())
                        .set(MADE_BY, made_by.expose().as_slice());
                    if let UpdateOutcome::Applied = update.write_unmarked(&self.dynamo, &key).await? {
                        return Ok(Some(instance));
                    }
                }
            }
            if !backoff.wait().await {
                return Err(contended(&self.table));
            }
        }
    }

    /// The tenants that a person is in, and those that they have left within a month. From the table itself: none is missing.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn known_tenants(&self, person: &PersonId) -> Result<Vec<TenantId>, UpstreamError> {
        let items = self.all_membership_items(person).await?;
        // A former membership says its tenant in its key alone.
        let tenant = |item: &Item| TenantId::parse(item.text("sk")?.strip_prefix("tenant#")?);
        items.iter().map(tenant).collect::<Option<_>>().ok_or_else(|| unparsable_item(&self.table))
    }

    pub(super) async fn membership_items(&self, person: &PersonId) -> Result<Vec<Item>, UpstreamError> {
        let mut items = self.all_membership_items(person).await?;
        items.retain(|membership| !membership.has(LEFT));
        Ok(items)
    }

    async fn all_membership_items(&self, person: &PersonId) -> Result<Vec<Item>, UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let query = self
                .dynamo
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :person")
                .expression_attribute_values(":person", AttributeValue::S(format!("person#{person}")))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
            found.extend(page.items.unwrap_or_default().into_iter().map(Item::new));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// The tenant of each membership: exactly one, or a role of one tenant would be read in another.
    fn tenants_of(&self, memberships: &[Item]) -> Result<Vec<TenantId>, UpstreamError> {
        let tenants = memberships.iter().map(|item| item.text("tenant").and_then(TenantId::parse));
        tenants.collect::<Option<_>>().ok_or_else(|| unparsable_item(&self.table))
    }

    /// The memberships in `items` that count in the tenants beside them, by name of the tenant.
    fn read_memberships(
        &self,
        items: &[Item],
        tenants: impl IntoIterator<Item = Option<Item>>,
    ) -> Result<Vec<Membership>, UpstreamError> {
        let mut memberships = Vec::new();
        for (membership, tenant) in items.iter().zip(tenants) {
            memberships.extend(self.read_membership(membership, tenant)?);
        }
        memberships.sort_by(|one, other| (&one.name, one.tenant.as_str()).cmp(&(&other.name, other.tenant.as_str())));
        Ok(memberships)
    }

    pub(super) fn read_tenant(&self, id: TenantId, item: &Item) -> Result<Tenant, UpstreamError> {
        let read = |item: &Item| {
            let mut names: Vec<_> = if item.has("roles") { item.map("roles")?.keys().collect() } else { Vec::new() };
            names.sort();
            let roles = names.into_iter().map(|name| read_role(item, name)).collect::<Option<_>>()?;
            Some((item.text("name")?.to_owned(), roles))
        };
        let (name, roles) = read(item).ok_or_else(|| unparsable_item(&self.table))?;
        Ok(Tenant { id, name, roles })
    }

    pub(super) fn tenant_key<'a>(&'a self, tenant: &TenantId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("pk", format!("tenant#{tenant}")), ("sk", "tenant".to_owned())] }
    }

    pub(super) fn membership_key<'a>(&'a self, person: &PersonId, tenant: &TenantId) -> Key<'a> {
        let attributes = vec![("pk", format!("person#{person}")), ("sk", format!("tenant#{tenant}"))];
        Key { table: &self.table, attributes }
    }

    pub(super) fn change(&self, membership: &Item) -> Result<u64, UpstreamError> {
        let change =
            membership.has(CHANGE).then(|| membership.number(CHANGE).ok_or_else(|| unparsable_item(&self.table)));
        Ok(change.transpose()?.unwrap_or(0))
    }

    /// The membership in an item. Nothing if it has ended, its tenant is gone, or it is of an earlier tenant of the same id.
    pub(super) fn read_membership(
        &self,
        membership: &Item,
        tenant: Option<Item>,
    ) -> Result<Option<Membership>, UpstreamError> {
        let Some(tenant) = tenant.filter(|tenant| !membership.has(LEFT) && is_tenant(tenant)) else { return Ok(None) };
        let read = || {
            if read_instance(membership, TENANT_INSTANCE)? != read_instance(&tenant, INSTANCE)? {
                return Some(None);
            }
            Some(Some(Membership {
                person: PersonId::parse(membership.text("person")?)?,
                tenant: TenantId::parse(membership.text("tenant")?)?,
                name: tenant.text("name")?.to_owned(),
                role: read_role(&tenant, membership.text("role")?)?,
                basis: read_basis(membership, &tenant)?,
                workspace_layout: read_layout(&tenant)?,
            }))
        };
        read().ok_or_else(|| unparsable_item(&self.table))
    }
}

impl Tenant {
    /// The bytes of what people define: its name, and its roles.
    fn size(&self) -> usize {
        let scopes = |role: &Role| role.permissions.iter().map(|scope| scope.as_str().len() + 1).sum::<usize>();
        self.name.len() + self.roles.iter().map(|role| role.name.len() + scopes(role) + 4).sum::<usize>()
    }
}

/// Whether an item is that of a tenant that is there: neither removed nor to come.
pub(super) fn is_tenant(item: &Item) -> bool {
    item.has("name")
}

/// Completes `update` of the item of a membership, read as `item`: to a role, and to a new instance if the membership begins.
pub(super) fn membership_update(
    update: ItemUpdate,
    item: Option<&Item>,
    (person, tenant, tenant_instance): (&PersonId, &TenantId, Option<InstanceId>),
    role: &str,
) -> ItemUpdate {
    let update = update
        .set("tenant", tenant.as_str())
        .set("person", person.as_str())
        .set("role", role)
        .remove([LEFT, "expires", "reached"]);
    if goes_on(item, tenant_instance) {
        return update;
    }
    update
        .set(INSTANCE, InstanceId::random().as_bytes().as_slice())
        .set_or_remove(TENANT_INSTANCE, tenant_instance.as_ref().map(|instance| instance.as_bytes().as_slice()))
        .remove([REVOCATIONS])
}

/// Whether the item is that of a membership in the tenant of that instance, which goes on.
fn goes_on(item: Option<&Item>, tenant_instance: Option<InstanceId>) -> bool {
    item.is_some_and(|item| {
        !item.has(LEFT) && item.has("role") && read_instance(item, TENANT_INSTANCE) == Some(tenant_instance)
    })
}

/// Completes `update` of the item of a tenant, read as `item`, to what `tenant` says. A tenant from before instances keeps none, one to
/// come has its own, and one that was removed gets a new one. The workspace of a tenant that begins lies by kind.
fn tenant_update(update: ItemUpdate, item: Option<&Item>, tenant: &Tenant) -> ItemUpdate {
    let role = |role: &Role| {
        let names: Vec<_> = role.permissions.iter().map(crate::oauth::scope::Scope::as_str).collect();
        (role.name.clone(), Value::from(names).0)
    };
    let update = update
        .set("name", tenant.name.as_str())
        .set("roles", Value(AttributeValue::M(tenant.roles.iter().map(role).collect())))
        .remove([REMOVED, "expires"]);
    if item.is_some_and(is_tenant) {
        return update;
    }
    let update = update.set_or_remove(LAYOUT, WorkspaceLayout::ByKind.as_str());
    let is_to_come = item.is_some_and(|item| item.has(INSTANCE) && !item.has(REMOVED));
    if is_to_come { update } else { update.set(INSTANCE, InstanceId::random().as_bytes().as_slice()) }
}

/// Completes `update` of the item of a membership to its end.
pub(super) fn former_membership(update: ItemUpdate, now: Timestamp) -> ItemUpdate {
    update.set(LEFT, now).set("expires", now.plus(RETENTION)).remove([
        "tenant",
        "person",
        "role",
        "reached",
        INSTANCE,
        TENANT_INSTANCE,
        REVOCATIONS,
    ])
}

/// An instance. `Some(None)` if the item is from before instances, `None` if it cannot be parsed.
#[expect(clippy::option_option, reason = "none, and unreadable, are two answers; `?` passes the second on")]
fn read_instance(item: &Item, name: &str) -> Option<Option<InstanceId>> {
    if item.has(name) { InstanceId::from_bytes(item.bytes(name)?).map(Some) } else { Some(None) }
}

pub(super) fn read_layout(tenant: &Item) -> Option<WorkspaceLayout> {
    WorkspaceLayout::parse(if tenant.has(LAYOUT) { Some(tenant.text(LAYOUT)?) } else { None })
}

/// The numbers of a membership in a tenant.
fn read_basis(membership: &Item, tenant: &Item) -> Option<CurrentBasis> {
    let of_tenant = read_tenant_basis(tenant)?;
    let approval = ApprovalBasis {
        membership: read_instance(membership, INSTANCE)?,
        membership_revocations: read_number(membership, REVOCATIONS)?,
        ..of_tenant.approval
    };
    Some(CurrentBasis { approval, ..of_tenant })
}

/// The numbers of a tenant, without those of a membership.
pub(super) fn read_tenant_basis(tenant: &Item) -> Option<CurrentBasis> {
    let clients = if tenant.has(CLIENTS_REVOKED) { Some(tenant.map(CLIENTS_REVOKED)?) } else { None };
    let clients = clients.into_iter().flatten();
    let clients = clients.map(|(client, number)| Some((client.clone(), number.as_n().ok()?.parse().ok()?)));
    Some(CurrentBasis {
        approval: ApprovalBasis {
            tenant: read_instance(tenant, INSTANCE)?,
            tenant_revocations: read_number(tenant, REVOCATIONS)?,
            ..ApprovalBasis::default()
        },
        all_revoked: read_number(tenant, ALL_REVOKED)?,
        clients_revoked: ClientRevocations::from_map(clients.collect::<Option<_>>()?),
    })
}

/// A number that items from before it do not have.
fn read_number(item: &Item, name: &str) -> Option<u64> {
    if item.has(name) { item.number(name) } else { Some(0) }
}

/// The role that the tenant defines, else the built-in one, else a role that allows nothing: while a role is
/// renamed in two writes, its members keep their connections. `None` when the role cannot be parsed, which
/// must not mean the built-in one.
fn read_role(tenant: &Item, name: &str) -> Option<Role> {
    let own = if tenant.has("roles") { tenant.map("roles")?.get(name) } else { None };
    let Some(own) = own else {
        let nothing = || Role { name: name.to_owned(), permissions: Scopes::NONE };
        return Some(Role::built_in(name).unwrap_or_else(nothing));
    };
    let names = own.as_l().ok()?.iter().map(|name| name.as_s().ok().map(String::as_str)).collect::<Option<Vec<_>>>()?;
    Some(Role { name: name.to_owned(), permissions: Scopes::from_names(names).permissions() })
}
