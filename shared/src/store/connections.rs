//! Connections as people and administrators look at them: grants in use, their clients, and what the people behind them may do now.
//!
//! The indexes by tenant and by person follow the table within moments and hold no more than a list needs to be drawn up; what is
//! shown is read from the table itself, so that a connection that was revoked a second ago is not shown.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::clients::Clients;
use super::directory::{Directory, Membership};
use super::grants::Grants;
use super::item::{Item, Value, unparsable_item};
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::oauth::client::{Client, ClientId};
use crate::oauth::grant::{CODE_LIFETIME, Grant, GrantId};
use crate::oauth::scope::Scopes;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_error::UpstreamError;

/// The most connections of one page: with client, membership and tenant of each, one call reads them all.
pub const PAGE: usize = 30;

/// A grant in use.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The grant.
    pub grant: Grant,
    /// Its client, unless that is no longer known.
    pub client: Option<Client>,
    /// The membership of its person in its tenant now; nothing if they are no longer a member, which ends it at its next refresh.
    pub membership: Option<Membership>,
}

/// A page of them, the newest first. It may hold fewer than a page can, even none, and yet not be the last.
#[derive(Debug)]
pub struct Connections {
    /// In order.
    pub found: Vec<Connection>,
    /// Where to go on.
    pub next: Option<Cursor>,
}

/// Which connections.
#[derive(Clone, Copy, Debug)]
pub enum ConnectionFilter<'a> {
    /// A person's, wherever they are.
    Person(&'a PersonId),
    /// A tenant's; all, or those of one person, one client, or both.
    Tenant {
        /// Which tenant.
        tenant: &'a TenantId,
        /// Only those of this person.
        person: Option<&'a PersonId>,
        /// Only those of this client.
        client: Option<&'a ClientId>,
    },
}

/// A grant that can still be used, or become usable: what an index knows of it.
#[derive(Clone, Debug)]
pub struct OpenGrant {
    /// Its id.
    pub id: GrantId,
    /// Its client.
    pub client: ClientId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its person.
    pub person: PersonId,
    /// When it was approved.
    pub created: Timestamp,
    issued: bool,
}

/// Where the next page begins. It names no person or tenant: whose list it is stands elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    created: Timestamp,
    id: GrantId,
}

impl Grants {
    /// What `person` has connected, and their memberships by name of the tenant: in three calls.
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
        let (open, next) = self.page(ConnectionFilter::Person(person), false, (None, after), PAGE, now).await?;
        let tenants: Vec<_> =
            membership_items.iter().filter_map(|item| TenantId::parse(item.text("tenant")?)).collect();
        let items = self.read_items(clients, &open, tenants.iter().map(|tenant| directory.tenant_key(tenant))).await?;
        let mut memberships = Vec::new();
        // One that cannot be parsed is told from one that is not there.
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

    /// What is connected in a tenant, with each person's role: in two calls, unless much has to be passed over.
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
            self.page(ConnectionFilter::Tenant { tenant, person, client }, false, (None, after), PAGE, now).await?;
        if open.is_empty() {
            return Ok(Connections { found: Vec::new(), next });
        }
        let membership_keys = open.iter().map(|open| directory.membership_key(&open.person, tenant));
        let besides = membership_keys.chain(std::iter::once(directory.tenant_key(tenant)));
        let items = self.read_items(clients, &open, besides).await?;
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

    /// Up to `most` grants that could still be used, the newest first, and where to go on: those in use, and those whose code may yet
    /// be exchanged. Some may have expired since. With `until`, only those that were approved by then.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn open_grants(
        &self,
        whose: ConnectionFilter<'_>,
        until: Option<Timestamp>,
        after: Option<&Cursor>,
        most: usize,
        now: Timestamp,
    ) -> Result<(Vec<OpenGrant>, Option<Cursor>), UpstreamError> {
        self.page(whose, true, (until, after), most, now).await
    }

    async fn page(
        &self,
        whose: ConnectionFilter<'_>,
        issued_too: bool,
        (until, after): (Option<Timestamp>, Option<&Cursor>),
        most: usize,
        now: Timestamp,
    ) -> Result<(Vec<OpenGrant>, Option<Cursor>), UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        // Ended grants are kept for a month, and passed over here: some 100 KB a call, which costs little, and no more calls than this.
        const PASSED_OVER: i32 = 300;
        const CALLS: usize = 3;

        let mut found: Vec<OpenGrant> = Vec::new();
        let mut start = after.cloned();
        for _ in 0..CALLS {
            let query = whose.query(self.dynamo.query(), issued_too, until).table_name(&self.table);
            let from = start.as_ref().map(|place| whose.start(place));
            let query = query.scan_index_forward(false).limit(PASSED_OVER).set_exclusive_start_key(from);
            let page = query.send().await.map_err(|error| UpstreamError::of_aws(CALL, &error))?;
            let place =
                |item: &Item| Some(Cursor { created: item.time("created")?, id: GrantId::parse(item.text("id")?)? });
            start = match page.last_evaluated_key.map(Item::new) {
                Some(last) => Some(place(&last).ok_or_else(|| unparsable_item(&self.table))?),
                None => None,
            };
            for item in page.items.unwrap_or_default() {
                let open = read(&Item::new(item)).ok_or_else(|| unparsable_item(&self.table))?;
                if open.issued && now.since(open.created) > CODE_LIFETIME {
                    continue;
                }
                if let Some(last) = found.last().filter(|_| found.len() == most) {
                    let next = Cursor { created: last.created, id: last.id.clone() };
                    return Ok((found, Some(next)));
                }
                found.push(open);
            }
            if start.is_none() || found.len() == most {
                break;
            }
        }
        Ok((found, start))
    }

    /// The grants of `open`, their clients, and what stands at `besides`: each once, as DynamoDB wants it.
    async fn read_items<'a>(
        &'a self,
        clients: &'a Clients,
        open: &[OpenGrant],
        besides: impl Iterator<Item = Key<'a>>,
    ) -> Result<ItemsByKey, UpstreamError> {
        let grants = open.iter().map(|open| self.key(&open.id));
        let mut keys: Vec<Key<'a>> = Vec::new();
        for key in grants.chain(open.iter().map(|open| clients.key(&open.client))).chain(besides) {
            if !keys.iter().any(|known| name(known) == name(&key)) {
                keys.push(key);
            }
        }
        let items = batch_get_items(&self.dynamo, &keys).await?;
        Ok(ItemsByKey(keys.iter().map(name).zip(items).filter_map(|(key, item)| Some((key, item?))).collect()))
    }

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
            let client = clients.read(items.get(&clients.key(&open.client)).cloned(), now)?;
            found.push(Connection { client, membership: membership(&grant)?, grant });
        }
        Ok(found)
    }
}

impl Connection {
    /// Approved ∩ what the role allows now: what its next access token will carry.
    #[must_use]
    pub fn effective(&self) -> Scopes {
        let allowed = self.membership.as_ref().map_or(Scopes::NONE, |membership| membership.role.permissions);
        self.grant.approval.scopes.intersection(allowed).permissions()
    }
}

impl ConnectionFilter<'_> {
    /// By the person where there is one, so that ending all of theirs is as much work as they have connections.
    fn query(self, query: QueryFluentBuilder, issued_too: bool, until: Option<Timestamp>) -> QueryFluentBuilder {
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
        let mut condition = format!("{key} = :of");
        if let Some(until) = until {
            condition.push_str(" AND created <= :until");
            query = query.expression_attribute_values(":until", AttributeValue::N(until.seconds().to_string()));
        }
        query
            .index_name(index)
            .key_condition_expression(condition)
            .expression_attribute_values(":of", text(of))
            .filter_expression(filter)
    }

    fn start(self, place: &Cursor) -> HashMap<String, AttributeValue> {
        let item = match self {
            Self::Person(person) | Self::Tenant { person: Some(person), .. } => {
                Item::default().with("person", person.as_str())
            }
            Self::Tenant { tenant, .. } => Item::default().with("tenant", tenant.as_str()),
        };
        item.with("created", Value::from(place.created)).with("id", place.id.to_text()).into_inner()
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
