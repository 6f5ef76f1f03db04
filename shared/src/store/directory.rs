//! Tenants, their roles, and who is in them.
//!
//! ```text
//! tenant      { pk: "tenant#acme", sk: "tenant", name: "Acme", roles?: { "editor": ["documents:write"] } }
//! membership  { pk: "person#<uuid>", sk: "tenant#acme", tenant: "acme", person: "<uuid>", role: "editor", change?: 17, told?: 1795…,
//!               reached?: { began: 1795…, place: "1795….<grant>", down_to?: 1795… } }
//! former one  { pk: "person#<uuid>", sk: "tenant#acme", left: 1795…, change?: 17, told?: 1795…, expires: 1797… }
//! ```
//!
//! `change` is the number of the last change that the product sent (`functions/feed`). A change that arrives
//! late does not undo a later one. So a membership that ends leaves an item with this number for a month.
//! That item names no tenant, and is in no index.
//!
//! `told` is the time since when that change counts. It decides nothing, but a change that is late by more
//! than [`MAX_DELAY`](super::membership_changes::MAX_DELAY) is reported.
//!
//! `reached` says how far the change has been applied to the person's grants, as long as some are left.
//!
//! A change by an operator has no number and leaves `change` as it is. It overrides all changes that have
//! arrived, and the product's next change overrides it.
//!
//! A role is defined once, in its tenant, so that changing it changes what all its members may do at once.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::clients::Clients;
use super::grants::Grants;
use super::item::{Item, Value, unparsable_item};
use super::pending_scopes::PendingScopes;
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::oauth::approval_basis::{ApprovalBasis, ClientRevocations, CurrentBasis};
use crate::oauth::client::{Client, ClientId};
use crate::oauth::instance_id::InstanceId;
use crate::oauth::role::Role;
use crate::oauth::scope::Scopes;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// The attribute with the number of the last change that the product sent.
pub(super) const CHANGE: &str = "change";
/// The attribute with the time when that change was received.
pub(super) const TOLD: &str = "told";
/// The attribute that only a former membership has.
pub(super) const LEFT: &str = "left";

/// The attribute with the [`InstanceId`] of a membership or a tenant.
pub(super) const INSTANCE: &str = "instance";
/// The attribute that counts how often connections were revoked together.
pub(super) const REVOCATIONS: &str = "revocations";
/// The attribute of a tenant with the number at which all its connections were last revoked.
pub(super) const ALL_REVOKED: &str = "all_revoked";
/// The attribute of a tenant with such numbers of single clients.
pub(super) const CLIENTS_REVOKED: &str = "clients_revoked";

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
}

/// How long a membership that ended is kept: longer than the product repeats a change.
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

    /// The same, with the number of the last change that the product sent. 0 if it sent none.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn membership_and_change(
        &self,
        person: &PersonId,
        tenant: &TenantId,
    ) -> Result<(Option<Membership>, u64), UpstreamError> {
        let keys = [self.membership_key(person, tenant), self.tenant_key(tenant)];
        let mut items = batch_get_items(&self.dynamo, &keys).await?;
        let tenant = items.pop().flatten();
        let Some(membership) = items.pop().flatten() else { return Ok((None, 0)) };
        Ok((self.read_membership(&membership, tenant)?, self.change(&membership)?))
    }

    /// What a consent page needs, in two calls: a client, the memberships of `person` by name of the tenant,
    /// and the pending scopes.
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
    ) -> Result<(Option<Client>, Vec<Membership>, PendingScopes), UpstreamError> {
        let membership_items = self.membership_items(person).await?;
        // Exactly one tenant per membership, or a role of one tenant would be read in another.
        let tenants: Option<Vec<_>> =
            membership_items.iter().map(|item| item.text("tenant").and_then(TenantId::parse)).collect();
        let tenants = tenants.ok_or_else(|| unparsable_item(&self.table))?;
        let mut keys = vec![clients.key(client), grants.pending_scopes_key(person, client)];
        keys.extend(tenants.iter().map(|tenant| self.tenant_key(tenant)));
        let mut items = batch_get_items(&self.dynamo, &keys).await?.into_iter();
        let client = clients.read(items.next().flatten(), now)?;
        let pending = grants.read_pending_scopes(items.next().flatten(), now)?;
        let mut memberships = Vec::new();
        for (membership, tenant) in membership_items.iter().zip(items) {
            memberships.extend(self.read_membership(membership, tenant)?);
        }
        memberships.sort_by(|one, other| (&one.name, one.tenant.as_str()).cmp(&(&other.name, other.tenant.as_str())));
        Ok((client, memberships, pending))
    }

    /// The tenant of that id, its roles by name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, UpstreamError> {
        let found = batch_get_items(&self.dynamo, &[self.tenant_key(id)]).await?.pop().flatten();
        found.map(|item| self.read_tenant(id.clone(), &item)).transpose()
    }

    /// Stores a tenant and the roles it defines.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_tenant(&self, tenant: &Tenant) -> Result<(), UpstreamError> {
        let roles: HashMap<_, _> = tenant
            .roles
            .iter()
            .map(|role| {
                let names: Vec<_> = role.permissions.iter().map(crate::oauth::scope::Scope::as_str).collect();
                (role.name.clone(), Value::from(names).0)
            })
            .collect();
        let item = Item::default()
            .with("pk", format!("tenant#{}", tenant.id))
            .with("sk", "tenant")
            .with("name", tenant.name.as_str())
            .with("roles", Value(AttributeValue::M(roles)));
        self.put(item).await
    }

    /// Puts a person in a tenant with a role, or changes the role.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_member(&self, tenant: &TenantId, person: &PersonId, role: &str) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let key = self.membership_key(person, tenant).attribute_values();
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .update_expression("SET tenant = :tenant, person = :person, #role = :role REMOVE #left, expires, reached")
            .expression_attribute_names("#role", "role")
            .expression_attribute_names("#left", LEFT)
            .expression_attribute_values(":tenant", Value::from(tenant.as_str()).0)
            .expression_attribute_values(":person", Value::from(person.as_str()).0)
            .expression_attribute_values(":role", Value::from(role).0);
        update.send().await.map(|_| ()).map_err(|error| upstream_call::failed_at_aws(CALL, &error))
    }

    /// Takes a person out of a tenant.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remove_member(
        &self,
        tenant: &TenantId,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let key = self.membership_key(person, tenant).attribute_values();
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression("attribute_exists(#role)")
            .update_expression("SET #left = :now, expires = :expires REMOVE tenant, person, #role, reached")
            .expression_attribute_names("#role", "role")
            .expression_attribute_names("#left", LEFT)
            .expression_attribute_values(":now", Value::from(now).0)
            .expression_attribute_values(":expires", Value::from(now.plus(RETENTION)).0);
        let Err(error) = update.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    pub(super) async fn membership_items(&self, person: &PersonId) -> Result<Vec<Item>, UpstreamError> {
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
            let items = page.items.unwrap_or_default().into_iter().map(Item::new);
            found.extend(items.filter(|membership| !membership.has(LEFT)));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn put(&self, item: Item) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.PutItem";
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.into_inner()));
        put.send().await.map(|_| ()).map_err(|error| upstream_call::failed_at_aws(CALL, &error))
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

    /// The membership in an item. Nothing if it has ended, or its tenant is gone.
    pub(super) fn read_membership(
        &self,
        membership: &Item,
        tenant: Option<Item>,
    ) -> Result<Option<Membership>, UpstreamError> {
        let Some(tenant) = tenant.filter(|_| !membership.has(LEFT)) else { return Ok(None) };
        let read = || {
            Some(Membership {
                person: PersonId::parse(membership.text("person")?)?,
                tenant: TenantId::parse(membership.text("tenant")?)?,
                name: tenant.text("name")?.to_owned(),
                role: read_role(&tenant, membership.text("role")?)?,
                basis: read_basis(membership, &tenant)?,
            })
        };
        read().map(Some).ok_or_else(|| unparsable_item(&self.table))
    }
}

/// Items from before these attributes have none of them.
fn read_basis(membership: &Item, tenant: &Item) -> Option<CurrentBasis> {
    let instance = |item: &Item| match item.bytes(INSTANCE) {
        Some(bytes) => InstanceId::from_bytes(bytes).map(Some),
        None => Some(None),
    };
    let number = |item: &Item, name| if item.has(name) { item.number::<u64>(name) } else { Some(0) };
    let clients = if tenant.has(CLIENTS_REVOKED) { Some(tenant.map(CLIENTS_REVOKED)?) } else { None };
    let clients = clients.into_iter().flatten();
    let clients = clients.map(|(client, number)| Some((client.clone(), number.as_n().ok()?.parse().ok()?)));
    Some(CurrentBasis {
        approval: ApprovalBasis {
            membership: instance(membership)?,
            membership_revocations: number(membership, REVOCATIONS)?,
            tenant: instance(tenant)?,
            tenant_revocations: number(tenant, REVOCATIONS)?,
        },
        all_revoked: number(tenant, ALL_REVOKED)?,
        clients_revoked: ClientRevocations::from_map(clients.collect::<Option<_>>()?),
    })
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
