//! Tenants, their roles, and who is in them.
//!
//! ```text
//! tenant      { pk: "tenant#acme", sk: "tenant", name: "Acme", roles?: { "editor": ["documents:write"] } }
//! membership  { pk: "person#<uuid>", sk: "tenant#acme", tenant: "acme", person: "<uuid>", role: "editor" }
//! ```
//!
//! A role is defined once, in its tenant, so that changing it changes what all its members may do at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::types::AttributeValue;

use super::clients::Clients;
use super::grants::Grants;
use super::item::{Item, Value, unreadable};
use super::wanted::Wanted;
use super::{Key, read_together};
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::oauth::client::{Client, ClientId};
use crate::oauth::role::Role;
use crate::oauth::scope::Scopes;
use crate::oauth::tenant::{PersonId, TenantId};

/// The table of tenants and memberships.
#[derive(Clone)]
pub struct Directory {
    pub(super) dynamo: Dynamo,
    pub(super) table: String,
}

/// A tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// As people call it.
    pub name: String,
    /// The roles of its own, besides the built-in ones.
    pub roles: Vec<Role>,
}

/// Where a person stands in a tenant: what their role allows now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The person.
    pub person: PersonId,
    /// The tenant's id.
    pub tenant: TenantId,
    /// The tenant's name.
    pub name: String,
    /// The person's role.
    pub role: Role,
}

impl Directory {
    pub(crate) const fn new(dynamo: Dynamo, table: String) -> Self {
        Self { dynamo, table }
    }

    /// Where `person` stands in `tenant`; nothing if not a member.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn standing(&self, person: &PersonId, tenant: &TenantId) -> Result<Option<Standing>, Fault> {
        let keys = [self.membership(person, tenant), self.tenant(tenant)];
        let mut items = read_together(&self.dynamo, &keys).await?;
        let tenant = items.pop().flatten();
        let Some(membership) = items.pop().flatten() else { return Ok(None) };
        self.stand(&membership, tenant)
    }

    /// A client, where `person` stands everywhere, by name of the tenant, and what the client has wanted of them there: what a consent
    /// page needs, in two calls.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn standings_with_client(
        &self,
        person: &PersonId,
        clients: &Clients,
        client: &ClientId,
        grants: &Grants,
        now: Timestamp,
    ) -> Result<(Option<Client>, Vec<Standing>, Wanted), Fault> {
        let memberships = self.memberships(person).await?;
        // One each, or a role of one tenant would be read in another.
        let tenants: Option<Vec<_>> =
            memberships.iter().map(|item| item.text("tenant").and_then(TenantId::parse)).collect();
        let tenants = tenants.ok_or_else(|| unreadable(&self.table))?;
        let mut keys = vec![clients.key(client), grants.key_of_wanted(person, client)];
        keys.extend(tenants.iter().map(|tenant| self.tenant(tenant)));
        let mut items = read_together(&self.dynamo, &keys).await?.into_iter();
        let client = clients.read(items.next().flatten(), now)?;
        let wanted = grants.read_wanted(items.next().flatten(), now)?;
        let mut standings = Vec::new();
        for (membership, tenant) in memberships.iter().zip(items) {
            standings.extend(self.stand(membership, tenant)?);
        }
        standings.sort_by(|one, other| (&one.name, one.tenant.as_str()).cmp(&(&other.name, other.tenant.as_str())));
        Ok((client, standings, wanted))
    }

    /// The tenant of that id, its roles by name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, Fault> {
        let found = read_together(&self.dynamo, &[self.tenant(id)]).await?.pop().flatten();
        found.map(|item| self.read_tenant(id.clone(), &item)).transpose()
    }

    /// Keeps a tenant and the roles it defines.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn keep_tenant(&self, tenant: &Tenant) -> Result<(), Fault> {
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
    pub async fn keep_member(&self, tenant: &TenantId, person: &PersonId, role: &str) -> Result<(), Fault> {
        let item = Item::default()
            .with("pk", format!("person#{person}"))
            .with("sk", format!("tenant#{tenant}"))
            .with("tenant", tenant.as_str())
            .with("person", person.as_str())
            .with("role", role);
        self.put(item).await
    }

    /// Takes a person out of a tenant.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remove_member(&self, tenant: &TenantId, person: &PersonId) -> Result<(), Fault> {
        const CALL: &str = "DynamoDB.DeleteItem";
        let key = self.membership(person, tenant).attribute_values();
        let delete = self.dynamo.delete_item().table_name(&self.table).set_key(Some(key)).send().await;
        delete.map(|_| ()).map_err(|error| Fault::of_aws(CALL, &error))
    }

    async fn memberships(&self, person: &PersonId) -> Result<Vec<Item>, Fault> {
        const CALL: &str = "DynamoDB.Query";
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .dynamo
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :person")
                .expression_attribute_values(":person", AttributeValue::S(format!("person#{person}")))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Fault::of_aws(CALL, &error))?;
            found.extend(page.items.unwrap_or_default().into_iter().map(Item::new));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn put(&self, item: Item) -> Result<(), Fault> {
        const CALL: &str = "DynamoDB.PutItem";
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.into_inner())).send().await;
        put.map(|_| ()).map_err(|error| Fault::of_aws(CALL, &error))
    }

    pub(super) fn read_tenant(&self, id: TenantId, item: &Item) -> Result<Tenant, Fault> {
        let read = |item: &Item| {
            let mut names: Vec<_> = if item.has("roles") { item.map("roles")?.keys().collect() } else { Vec::new() };
            names.sort();
            let roles = names.into_iter().map(|name| role_in(item, name)).collect::<Option<_>>()?;
            Some((item.text("name")?.to_owned(), roles))
        };
        let (name, roles) = read(item).ok_or_else(|| unreadable(&self.table))?;
        Ok(Tenant { id, name, roles })
    }

    pub(super) fn tenant<'a>(&'a self, tenant: &TenantId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("pk", format!("tenant#{tenant}")), ("sk", "tenant".to_owned())] }
    }

    fn membership<'a>(&'a self, person: &PersonId, tenant: &TenantId) -> Key<'a> {
        let attributes = vec![("pk", format!("person#{person}")), ("sk", format!("tenant#{tenant}"))];
        Key { table: &self.table, attributes }
    }

    /// A membership of a tenant that is gone gives nothing.
    fn stand(&self, membership: &Item, tenant: Option<Item>) -> Result<Option<Standing>, Fault> {
        let Some(tenant) = tenant else { return Ok(None) };
        let read = || {
            Some(Standing {
                person: PersonId::parse(membership.text("person")?)?,
                tenant: TenantId::parse(membership.text("tenant")?)?,
                name: tenant.text("name")?.to_owned(),
                role: role_in(&tenant, membership.text("role")?)?,
            })
        };
        read().map(Some).ok_or_else(|| unreadable(&self.table))
    }
}

/// The role that the tenant defines, else the built-in one, else one that allows nothing: a role that is renamed in two writes
/// must not end what its members have connected. `None` when it is not readable, which must not mean the built-in one.
fn role_in(tenant: &Item, name: &str) -> Option<Role> {
    let own = if tenant.has("roles") { tenant.map("roles")?.get(name) } else { None };
    let Some(own) = own else {
        let nothing = || Role { name: name.to_owned(), permissions: Scopes::NONE };
        return Some(Role::built_in(name).unwrap_or_else(nothing));
    };
    let names = own.as_l().ok()?.iter().map(|name| name.as_s().ok().map(String::as_str)).collect::<Option<Vec<_>>>()?;
    Some(Role { name: name.to_owned(), permissions: Scopes::of_names(names).permissions() })
}
