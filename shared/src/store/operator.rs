//! What only operators read and write, with the command line. No function calls any of this.
//!
//! Lists use an index where there is one. Those that read a whole table say so.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};

use super::directory::{Directory, Membership, Tenant, is_tenant, read_layout};
use super::grants::Grants;
use super::item::{Item, Value, unparsable_item};
use super::workspace::Workspaces;
use super::workspace_layout::{KINDS, PARENTS, WorkspaceLayout, partition_of};
use super::{Key, batch_get_items, batch_write_items};
use crate::oauth::client::ClientId;
use crate::oauth::grant::Grant;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const QUERY: &str = "DynamoDB.Query";
const SCAN: &str = "DynamoDB.Scan";

/// Which grants.
#[derive(Clone, Debug)]
pub enum GrantFilter {
    /// All in a tenant.
    Tenant(TenantId),
    /// All of a person, wherever.
    Person(PersonId),
    /// All of a client. No index leads to them: the whole table is read.
    Client(ClientId),
    /// All there are. The whole table is read.
    Every,
}

impl Grants {
    /// Every stored grant that fits, revoked ones included, the newest first. The ids come from an index that
    /// lags behind the table, the grants from the table itself.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn list(&self, filter: &GrantFilter) -> Result<Vec<Grant>, UpstreamError> {
        let mut grants = match filter {
            GrantFilter::Tenant(tenant) => self.query_index("by_tenant", "tenant", tenant.as_str()).await?,
            GrantFilter::Person(person) => self.query_index("by_person", "person", person.as_str()).await?,
            GrantFilter::Client(_) | GrantFilter::Every => {
                let scan = self.dynamo.scan().table_name(&self.table).consistent_read(true);
                let scan = if let GrantFilter::Client(client) = filter {
                    scan.filter_expression("client = :client")
                        .expression_attribute_values(":client", Value::from(client.as_str()).0)
                } else {
                    // What a client lacked lies in the same table.
                    scan.filter_expression("attribute_exists(redirect_uri)")
                };
                let found = scan_all(scan).await?;
                found.into_iter().filter_map(|item| self.read(Some(item)).transpose()).collect::<Result<_, _>>()?
            }
        };
        grants.sort_by_key(|grant| (std::cmp::Reverse(grant.approval.at), *grant.id.as_bytes()));
        Ok(grants)
    }

    async fn query_index(&self, index: &str, attribute: &str, value: &str) -> Result<Vec<Grant>, UpstreamError> {
        let query = self.dynamo.query().table_name(&self.table).index_name(index).projection_expression("id");
        let found = query_all(with_partition(query, attribute, value)).await?;
        let ids: Option<Vec<_>> = found.iter().map(|item| item.text("id").map(str::to_owned)).collect();
        let ids = ids.ok_or_else(|| unparsable_item(&self.table))?;
        let keys: Vec<_> = ids.into_iter().map(|id| Key { table: &self.table, attributes: vec![("id", id)] }).collect();
        let items = batch_get_items(&self.dynamo, &keys).await?;
        items.into_iter().filter_map(|item| self.read(item).transpose()).collect()
    }
}

impl Directory {
    /// Every tenant, by id. No index leads to them: the whole table is read.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn list_tenants(&self) -> Result<Vec<Tenant>, UpstreamError> {
        let read = |(id, item)| self.read_tenant(id, &item);
        self.scan_tenants().await?.into_iter().map(read).collect()
    }

    /// Every tenant, by id, with the layout of its workspace. The whole table is read.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn list_layouts(&self) -> Result<Vec<(TenantId, WorkspaceLayout)>, UpstreamError> {
        let read = |(id, item)| Ok((id, read_layout(&item).ok_or_else(|| unparsable_item(&self.table))?));
        self.scan_tenants().await?.into_iter().map(read).collect()
    }

    async fn scan_tenants(&self) -> Result<Vec<(TenantId, Item)>, UpstreamError> {
        let scan = self.dynamo.scan().table_name(&self.table).consistent_read(true);
        let scan = scan
            .filter_expression("sk = :tenant")
            .expression_attribute_values(":tenant", AttributeValue::S("tenant".to_owned()));
        let mut found = Vec::new();
        for item in scan_all(scan).await?.into_iter().filter(is_tenant) {
            let id = item.text("pk").and_then(|key| TenantId::parse(key.strip_prefix("tenant#")?));
            found.push((id.ok_or_else(|| unparsable_item(&self.table))?, item));
        }
        found.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        Ok(found)
    }

    /// Everyone in a tenant, by person. The people come from an index that lags behind the table, their memberships from the table
    /// itself: who was added a second ago may be missing, and nobody who was removed is listed.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn list_members(&self, tenant: &TenantId) -> Result<Vec<Membership>, UpstreamError> {
        let query = self.dynamo.query().table_name(&self.table).index_name("by_tenant");
        let found = query_all(with_partition(query, "tenant", tenant.as_str())).await?;
        let people: Option<Vec<_>> = found.iter().map(|item| PersonId::parse(item.text("person")?)).collect();
        let people = people.ok_or_else(|| unparsable_item(&self.table))?;
        let keys = people.iter().map(|person| self.membership_key(person, tenant));
        let keys: Vec<_> = std::iter::once(self.tenant_key(tenant)).chain(keys).collect();
        let mut items = batch_get_items(&self.dynamo, &keys).await?.into_iter();
        let tenant = items.next().flatten();
        let memberships = items.flatten().filter_map(|item| self.read_membership(&item, tenant.clone()).transpose());
        memberships.collect()
    }
}

impl Directory {
    /// Every member of every tenant, by tenant and person. The whole table is read, so that no index hides anybody.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn list_all_members(&self) -> Result<Vec<Membership>, UpstreamError> {
        let items = scan_all(self.dynamo.scan().table_name(&self.table).consistent_read(true)).await?;
        let (tenants, others): (Vec<_>, Vec<_>) = items.into_iter().partition(is_tenant);
        let tenants: HashMap<_, _> = tenants.iter().filter_map(|tenant| Some((tenant.text("pk")?, tenant))).collect();
        let mut members = Vec::new();
        // What has ended names no tenant.
        for (item, tenant) in others.iter().filter_map(|item| Some((item, item.text("tenant")?))) {
            let tenant = tenants.get(format!("tenant#{tenant}").as_str()).map(|tenant| (*tenant).clone());
            members.extend(self.read_membership(item, tenant)?);
        }
        members.sort_by(|one, other| {
            (one.tenant.as_str(), one.person.as_str()).cmp(&(other.tenant.as_str(), other.person.as_str()))
        });
        Ok(members)
    }
}

/// The partitions in which a tenant has items.
#[derive(Debug, Default)]
pub struct WorkspacePartitions {
    /// Of one thing each, such as the versions of a document.
    of_things: BTreeSet<String>,
    /// Of a kind, and the one that holds all kinds.
    of_kinds: BTreeSet<String>,
}

impl WorkspacePartitions {
    /// Adds those of `others`.
    pub fn extend(&mut self, others: Self) {
        self.of_things.extend(others.of_things);
        self.of_kinds.extend(others.of_kinds);
    }

    /// What belongs to a thing comes before the thing, so that it is still found after an interruption.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &str> {
        self.of_things.iter().chain(&self.of_kinds).map(String::as_str)
    }

    /// Things come before what belongs to them.
    pub(super) fn parents_first(&self) -> impl Iterator<Item = &str> {
        self.of_kinds.iter().chain(&self.of_things).map(String::as_str)
    }
}

impl Workspaces {
    /// The partitions in which a tenant has items, in any layout. While they are moved, a thing may lie whole and what belongs to it by
    /// kind, or the other way round.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn partitions(&self, tenant: &TenantId) -> Result<WorkspacePartitions, UpstreamError> {
        let with_parents = PARENTS.into_iter().map(|(kind, _)| partition_of(tenant, kind, None));
        let mut of_things = BTreeSet::new();
        for partition in with_parents.chain([tenant.to_string()]) {
            for key in self.keys_in(&partition).await? {
                let sort_key = key.text("item").ok_or_else(|| unparsable_item(&self.table))?;
                let (kind, thing) = sort_key.split_once('#').ok_or_else(|| unparsable_item(&self.table))?;
                let of_each = PARENTS.iter().filter(|(parent, _)| *parent == kind).flat_map(|(_, of_each)| *of_each);
                of_things.extend(of_each.map(|kind| partition_of(tenant, kind, Some(thing))));
            }
        }
        let kinds = KINDS.into_iter().chain(PARENTS.into_iter().map(|(kind, _)| kind));
        let of_kinds = kinds.map(|kind| partition_of(tenant, kind, None)).chain([tenant.to_string()]).collect();
        Ok(WorkspacePartitions { of_things, of_kinds })
    }

    /// How many items a tenant has.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn size(&self, tenant: &TenantId) -> Result<usize, UpstreamError> {
        let mut size = 0;
        for partition in self.partitions(tenant).await?.in_order() {
            size += self.keys_in(partition).await?.len();
        }
        Ok(size)
    }

    /// Removes all items in `partitions`, and returns how many there were. After an interruption, call it again.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remove_all(&self, partitions: &WorkspacePartitions) -> Result<usize, UpstreamError> {
        const CALL: &str = "DynamoDB.BatchWriteItem";

        let mut removed = 0;
        for partition in partitions.in_order() {
            let keys = self.keys_in(partition).await?.into_iter().map(Item::into_inner);
            let deletes = keys.map(|key| DeleteRequest::builder().set_key(Some(key)).build());
            let writes =
                deletes.map(|delete| delete.map(|delete| WriteRequest::builder().delete_request(delete).build()));
            let writes = writes
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| upstream_call::failed(CALL, error.to_string()))?;
            batch_write_items(&self.dynamo, &self.table, &writes).await?;
            removed += writes.len();
        }
        Ok(removed)
    }

    /// The keys of the items in one partition.
    pub(super) async fn keys_in(&self, partition: &str) -> Result<Vec<Item>, UpstreamError> {
        let query = self.dynamo.query().table_name(&self.table).consistent_read(true);
        let query = query.projection_expression("#tenant, #item").expression_attribute_names("#tenant", "tenant");
        let query = query.expression_attribute_names("#item", "item");
        query_all(with_partition(query, "tenant", partition)).await
    }
}

pub(super) fn with_partition(query: QueryFluentBuilder, attribute: &str, value: &str) -> QueryFluentBuilder {
    query
        .key_condition_expression(format!("{attribute} = :value"))
        .expression_attribute_values(":value", AttributeValue::S(value.to_owned()))
}

/// All items that a query finds, from all its pages.
async fn query_all(query: QueryFluentBuilder) -> Result<Vec<Item>, UpstreamError> {
    paginate(async |from| {
        let page = query.clone().set_exclusive_start_key(from).send().await;
        page.map(|page| (page.items, page.last_evaluated_key))
            .map_err(|error| upstream_call::failed_at_aws(QUERY, &error))
    })
    .await
}

/// All items that a scan finds, from all its pages.
async fn scan_all(scan: ScanFluentBuilder) -> Result<Vec<Item>, UpstreamError> {
    paginate(async |from| {
        let page = scan.clone().set_exclusive_start_key(from).send().await;
        page.map(|page| (page.items, page.last_evaluated_key))
            .map_err(|error| upstream_call::failed_at_aws(SCAN, &error))
    })
    .await
}

type Attributes = HashMap<String, AttributeValue>;

/// All items of all pages. `read_page` reads the page after a key, and returns its items and its last key.
async fn paginate(
    read_page: impl AsyncFn(Option<Attributes>) -> Result<(Option<Vec<Attributes>>, Option<Attributes>), UpstreamError>,
) -> Result<Vec<Item>, UpstreamError> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let (items, last) = read_page(from).await?;
        found.extend(items.unwrap_or_default().into_iter().map(Item::new));
        if last.is_none() {
            return Ok(found);
        }
        from = last;
    }
}
