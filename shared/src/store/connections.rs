//! Connections as people and administrators see them: grants in use, with their clients and memberships.
//!
//! The indexes by tenant and by person lag behind the table, and hold only what a list needs. What is shown
//! is read from the table itself, so a connection that was revoked a second ago is not shown, whether its own item says so or the
//! numbers of its membership. One that was made a second ago may not be listed yet.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};

use super::clients::Clients;
use super::directory::{Directory, Membership};
use super::grants::Grants;
use super::item::{Item, Value, unparsable_item};
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::entitlement::Entitlement;
use crate::oauth::client::{Client, ClientId};
use crate::oauth::grant::{CODE_LIFETIME, EXCHANGE_TIME, Grant};
use crate::oauth::grant_id::GrantId;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// The most connections of one page: one call reads them all, with client, membership and tenant of each.
pub const PAGE: usize = 30;

/// A grant in use.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The grant.
    pub grant: Grant,
    /// Its client, unless that is no longer known.
    pub client: Option<Client>,
    /// The membership that carries it, as it is now.
    pub membership: Membership,
    /// What it allows now, `offline_access` included: what its next access token will carry.
    pub entitlement: Entitlement,
}

/// A grant as an index led to it, and the membership of its person as it is now.
#[derive(Debug)]
pub struct ListedGrant {
    /// The grant, as the table has it.
    pub grant: Grant,
    /// The membership.
    pub membership: Option<Membership>,
}

/// A page of connections, the newest first. A page may have fewer than [`PAGE`], even none, although more
/// follow.
#[derive(Debug)]
pub struct Connections {
    /// In order.
    pub found: Vec<Connection>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// Which connections.
#[derive(Clone, Copy, Debug)]
pub enum ConnectionFilter<'a> {
    /// Those of a person, in all tenants.
    Person(&'a PersonId),
    /// Those in a tenant: all, or those of one person, one client, or both.
    Tenant {
        /// Which tenant.
        tenant: &'a TenantId,
        /// Only those of this person.
        person: Option<&'a PersonId>,
        /// Only those of this client.
        client: Option<&'a ClientId>,
    },
}

/// A grant that is in use or whose code can still be exchanged, as an index has it.
struct OpenGrant {
    id: GrantId,
    client: ClientId,
    tenant: TenantId,
    person: PersonId,
    created: Timestamp,
    issued: bool,
}

/// Where the next page begins. It names no person or tenant: the caller knows whose list it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    created: Timestamp,
    id: GrantId,
}

impl Grants {
    /// The grant of that id, and the membership of `person` in `tenant` as it is now, in one consistent call. An access token names
    /// all three.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find_with_membership(
        &self,
        id: &GrantId,
        directory: &Directory,
        (person, tenant): (&PersonId, &TenantId),
    ) -> Result<(Option<Grant>, Option<Membership>), UpstreamError> {
        let keys = [self.key(id), directory.membership_key(person, tenant), directory.tenant_key(tenant)];
        let mut items = batch_get_items(&self.dynamo, &keys).await?;
        let tenant = items.pop().flatten();
        let membership = match items.pop().flatten() {
            Some(membership) => directory.read_membership(&membership, tenant)?,
            None => None,
        };
        Ok((self.read(items.pop().flatten())?, membership))
    }

    /// The connections of `person`, and their memberships by name of the tenant. Takes three calls.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn connections_of_person(
        &self,
        person: &PersonId,
        after: Option<&Cursor>,
        (directory, clients): (&Directory, &Clients),
        now: Timestamp,
    ) -> Result<(Vec<Membership>, Connections), UpstreamError> {
        let membership_items = directory.membership_items(person).await?;
        let (open, next) = self.page(ConnectionFilter::Person(person), false, after, PAGE, now).await?;
        let tenants: Vec<_> =
            membership_items.iter().filter_map(|item| TenantId::parse(item.text("tenant")?)).collect();
        let tenant_keys = tenants.iter().map(|tenant| directory.tenant_key(tenant));
        let items = self.read_items(self.keys_of(&open, clients).chain(tenant_keys)).await?;
        let mut memberships = Vec::new();
        // A membership that cannot be parsed is an error, and not a missing one.
        for membership in &membership_items {
            let tenant = membership.text("tenant").and_then(TenantId::parse);
            let tenant = tenant.and_then(|tenant| items.get(&directory.tenant_key(&tenant)).cloned());
            memberships.extend(directory.read_membership(membership, tenant)?);
        }
        memberships.sort_by(|one, other| (&one.name, one.tenant.as_str()).cmp(&(&other.name, other.tenant.as_str())));
        let found = self.assemble(&open, &items, clients, now, |grant| {
            Ok(memberships.iter().find(|membership| membership.tenant == grant.approval.tenant).cloned())
        })?;
        Ok((memberships, Connections { found, next }))
    }

    /// The connections in a tenant, with each person's role. Takes two calls, or more where many ended grants
    /// are skipped.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn connections_in_tenant(
        &self,
        tenant: &TenantId,
        (person, client): (Option<&PersonId>, Option<&ClientId>),
        after: Option<&Cursor>,
        (directory, clients): (&Directory, &Clients),
        now: Timestamp,
    ) -> Result<Connections, UpstreamError> {
        let (open, next) =
            self.page(ConnectionFilter::Tenant { tenant, person, client }, false, after, PAGE, now).await?;
        if open.is_empty() {
            return Ok(Connections { found: Vec::new(), next });
        }
        let membership_keys = open.iter().map(|open| directory.membership_key(&open.person, tenant));
        let other_keys = membership_keys.chain(std::iter::once(directory.tenant_key(tenant)));
        let items = self.read_items(self.keys_of(&open, clients).chain(other_keys)).await?;
        let found = self.assemble(&open, &items, clients, now, |grant| {
            match items.get(&directory.membership_key(&grant.approval.person, tenant)) {
                Some(membership) => {
                    directory.read_membership(membership, items.get(&directory.tenant_key(tenant)).cloned())
                }
                None => Ok(None),
            }
        })?;
        Ok(Connections { found, next })
    }

    /// Up to `limit` grants that are in use or whose code can still be exchanged, the newest first, and where
    /// the next page begins. Some may have expired.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn list_grants(
        &self,
        filter: ConnectionFilter<'_>,
        after: Option<&Cursor>,
        limit: usize,
        directory: &Directory,
        now: Timestamp,
    ) -> Result<(Vec<ListedGrant>, Option<Cursor>), UpstreamError> {
        let (open, next) = self.page(filter, true, after, limit.min(PAGE), now).await?;
        let others = open.iter().flat_map(|open| {
            [directory.membership_key(&open.person, &open.tenant), directory.tenant_key(&open.tenant)]
        });
        let items = self.read_items(open.iter().map(|open| self.key(&open.id)).chain(others)).await?;
        let mut listed = Vec::new();
        for open in &open {
            let Some(grant) = self.read(items.get(&self.key(&open.id)).cloned())? else { continue };
            let membership = match items.get(&directory.membership_key(&open.person, &open.tenant)) {
                Some(membership) => {
                    directory.read_membership(membership, items.get(&directory.tenant_key(&open.tenant)).cloned())?
                }
                None => None,
            };
            listed.push(ListedGrant { grant, membership });
        }
        Ok((listed, next))
    }

    /// Whether `person` has approved `client` before, as far as an index shows: grants are kept for a month after their end.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn has_approved(&self, person: &PersonId, client: &ClientId) -> Result<bool, UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        let mut from = None;
        loop {
            let query = self.dynamo.query().table_name(&self.table).index_name("by_person").select(Select::Count);
            let query = query
                .key_condition_expression("person = :person")
                .filter_expression("client = :client")
                .expression_attribute_values(":person", AttributeValue::S(person.as_str().to_owned()))
                .expression_attribute_values(":client", AttributeValue::S(client.as_str().to_owned()));
            let page = query.set_exclusive_start_key(from).send().await;
            let page = page.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
            if page.count > 0 {
                return Ok(true);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(false);
            }
        }
    }

    /// The grants of `person` for `client` that are in use or whose code can still be exchanged, and the tenant of each, the newest
    /// first, as far as an index shows: some may have expired or been revoked. One call, unless a page of the index ends early: that is
    /// after some 4,000 grants, those that have ended within a month among them. It looks at no more than ten pages.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn open_grants_of_client(
        &self,
        person: &PersonId,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<Vec<(GrantId, TenantId)>, UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        const PAGES: usize = 10;

        let (mut found, mut from) = (Vec::new(), None);
        for _ in 0..PAGES {
            let query = ConnectionFilter::Person(person).query(self.dynamo.query(), true).table_name(&self.table);
            let filter = query.get_filter_expression().clone().unwrap_or_default();
            let query = query
                .filter_expression(format!("{filter} AND client = :client"))
                .expression_attribute_values(":client", AttributeValue::S(client.as_str().to_owned()))
                .scan_index_forward(false)
                .set_exclusive_start_key(from);
            let page = query.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
            for item in page.items.unwrap_or_default() {
                let open = read(&Item::new(item)).ok_or_else(|| unparsable_item(&self.table))?;
                if open.is_open(now) {
                    found.push((open.id, open.tenant));
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// The grants of these ids, as the table has them: those of the first `most`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find_all(
        &self,
        ids: impl Iterator<Item = &GrantId>,
        most: usize,
    ) -> Result<Vec<Grant>, UpstreamError> {
        let keys: Vec<_> = ids.take(most).map(|id| self.key(id)).collect();
        let items = batch_get_items(&self.dynamo, &keys).await?;
        items.into_iter().filter_map(|item| self.read(item).transpose()).collect()
    }

    async fn page(
        &self,
        filter: ConnectionFilter<'_>,
        issued_too: bool,
        after: Option<&Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<OpenGrant>, Option<Cursor>), UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        // Ended grants are kept for a month, and skipped here: about 100 KB per call, and at most this many
        // calls.
        const PASSED_OVER: i32 = 300;
        const CALLS: usize = 3;

        let mut found: Vec<OpenGrant> = Vec::new();
        let mut start = after.cloned();
        for _ in 0..CALLS {
            let query = filter.query(self.dynamo.query(), issued_too).table_name(&self.table);
            let from = start.as_ref().map(|cursor| filter.start(cursor));
            let query = query.scan_index_forward(false).limit(PASSED_OVER).set_exclusive_start_key(from);
            let page = query.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
            let cursor =
                |item: &Item| Some(Cursor { created: item.time("created")?, id: GrantId::parse(item.text("id")?)? });
            start = match page.last_evaluated_key.map(Item::new) {
                Some(last) => Some(cursor(&last).ok_or_else(|| unparsable_item(&self.table))?),
                None => None,
            };
            for item in page.items.unwrap_or_default() {
                let open = read(&Item::new(item)).ok_or_else(|| unparsable_item(&self.table))?;
                if !open.is_open(now) {
                    continue;
                }
                if let Some(last) = found.last().filter(|_| found.len() == limit) {
                    let next = Cursor { created: last.created, id: last.id.clone() };
                    return Ok((found, Some(next)));
                }
                found.push(open);
            }
            if start.is_none() || found.len() == limit {
                break;
            }
        }
        Ok((found, start))
    }

    /// Reads the items at `keys`. DynamoDB wants each key once.
    async fn read_items<'a>(&'a self, keys: impl Iterator<Item = Key<'a>>) -> Result<ItemsByKey, UpstreamError> {
        let mut distinct: Vec<Key<'a>> = Vec::new();
        for key in keys {
            if !distinct.iter().any(|known| name(known) == name(&key)) {
                distinct.push(key);
            }
        }
        let items = batch_get_items(&self.dynamo, &distinct).await?;
        Ok(ItemsByKey(distinct.iter().map(name).zip(items).filter_map(|(key, item)| Some((key, item?))).collect()))
    }

    fn keys_of<'a>(&'a self, open: &'a [OpenGrant], clients: &'a Clients) -> impl Iterator<Item = Key<'a>> {
        open.iter().flat_map(|open| [self.key(&open.id), clients.key(&open.client)])
    }

    /// Those of `open` that are in use, and whose membership carries them.
    fn assemble(
        &self,
        open: &[OpenGrant],
        items: &ItemsByKey,
        clients: &Clients,
        now: Timestamp,
        membership: impl Fn(&Grant) -> Result<Option<Membership>, UpstreamError>,
    ) -> Result<Vec<Connection>, UpstreamError> {
        let mut found = Vec::new();
        for open in open {
            let grant = self.read(items.get(&self.key(&open.id)).cloned())?;
            let Some(grant) = grant.filter(|grant| grant.in_use(now).is_some()) else { continue };
            let membership = membership(&grant)?;
            let Ok(entitlement) = Entitlement::of(&grant.approval, membership.as_ref()) else { continue };
            let Some(membership) = membership else { continue };
            let client = clients.read(items.get(&clients.key(&open.client)).cloned(), now)?;
            found.push(Connection { grant, client, membership, entitlement });
        }
        Ok(found)
    }
}

impl OpenGrant {
    /// Whether its code can still be exchanged, if that was not done.
    fn is_open(&self, now: Timestamp) -> bool {
        !self.issued || now.since(self.created) <= CODE_LIFETIME + EXCHANGE_TIME
    }
}

impl ConnectionFilter<'_> {
    /// Uses the index by person where there is one, so that revoking all of a person's connections reads only
    /// theirs.
    fn query(self, query: QueryFluentBuilder, issued_too: bool) -> QueryFluentBuilder {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut filter = "#state = :active".to_owned();
        let mut query =
            query.expression_attribute_names("#state", "state").expression_attribute_values(":active", text("active"));
        if issued_too {
            filter = format!("({filter} OR #state = :issued)");
            query = query.expression_attribute_values(":issued", text("issued"));
        }
        let (index, key, of) = match self {
            Self::Person(person) | Self::Tenant { person: Some(person), .. } => {
                ("by_person", "person", person.as_str())
            }
            Self::Tenant { tenant, .. } => ("by_tenant", "tenant", tenant.as_str()),
        };
        if let Self::Tenant { tenant, person: Some(_), .. } = self {
            filter.push_str(" AND tenant = :tenant");
            query = query.expression_attribute_values(":tenant", text(tenant.as_str()));
        }
        if let Self::Tenant { client: Some(client), .. } = self {
            filter.push_str(" AND client = :client");
            query = query.expression_attribute_values(":client", text(client.as_str()));
        }
        query
            .index_name(index)
            .key_condition_expression(format!("{key} = :of"))
            .expression_attribute_values(":of", text(of))
            .filter_expression(filter)
    }

    fn start(self, cursor: &Cursor) -> HashMap<String, AttributeValue> {
        let item = match self {
            Self::Person(person) | Self::Tenant { person: Some(person), .. } => {
                Item::default().with("person", person.as_str())
            }
            Self::Tenant { tenant, .. } => Item::default().with("tenant", tenant.as_str()),
        };
        item.with("created", Value::from(cursor.created)).with("id", cursor.id.to_text()).into_inner()
    }
}

impl Cursor {
    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}.{}", self.created.seconds(), self.id.to_text())
    }

    /// From text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (created, id) = text.split_once('.')?;
        Some(Self { created: Timestamp::from_seconds(created.parse().ok()?), id: GrantId::parse(id)? })
    }
}

/// Items by table and key.
struct ItemsByKey(HashMap<String, Item>);

impl ItemsByKey {
    fn get(&self, key: &Key<'_>) -> Option<&Item> {
        self.0.get(&name(key))
    }
}

fn name(key: &Key<'_>) -> String {
    let values = key.attributes.iter().map(|(_, value)| value.as_str());
    std::iter::once(key.table).chain(values).collect::<Vec<_>>().join("\n")
}

fn read(item: &Item) -> Option<OpenGrant> {
    Some(OpenGrant {
        id: GrantId::parse(item.text("id")?)?,
        client: ClientId::parse(item.text("client")?)?,
        tenant: TenantId::parse(item.text("tenant")?)?,
        person: PersonId::parse(item.text("person")?)?,
        created: item.time("created")?,
        issued: item.text("state")? == "issued",
    })
}
