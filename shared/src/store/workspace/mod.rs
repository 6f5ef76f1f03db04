//! The data of a tenant. Nobody reaches it without an [`Access`] to the tenant.
//!
//! Every item has `item` (sort key), which begins with its kind, and `tenant` (partition key), which follows from the tenant, the item
//! and the tenant's [`WorkspaceLayout`]. Each kind's file shows an example, as items lie by kind.
//! JSON is stored as text, as the table does not query it. Each kind is listed by key, in the order of its
//! bytes.

pub mod chat;
pub mod document;
pub mod entity;
pub mod entity_type;
pub mod query;
pub mod rate_limit;
pub mod schema;
pub mod skill;
pub mod tool;
pub mod tool_definition;
pub mod tool_timeout;
mod transaction;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::directory::Directory;
use super::item::{self, Item, unparsable_item};
use super::item_update::{MADE_BY, contended};
use super::workspace_layout::{Places, WorkspaceLayout, counterpart, document_of_version, partition_by_kind};
use super::{Key, batch_get_items};
use crate::access::Access;
use crate::oauth::secret::{Secret, to_text};
use crate::oauth::tenant::TenantId;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// The table with the data of all tenants.
#[derive(Clone)]
pub struct Workspaces {
    pub(super) dynamo: aws_sdk_dynamodb::Client,
    pub(super) table: String,
    pub(super) directory: Directory,
}

/// The data of one tenant: every operation is within that tenant.
#[derive(Clone)]
pub struct Workspace {
    dynamo: aws_sdk_dynamodb::Client,
    table: String,
    tenant: TenantId,
    layout: LayoutSource,
}

/// From where it is known in which partitions the items lie.
#[derive(Clone)]
enum LayoutSource {
    /// From the tenant, as it was read to let a call in.
    Access(WorkspaceLayout),
    /// From the tenant, as it was read within [`LAYOUT_LIFETIME`]: operators work for longer than a call lasts.
    Directory { directory: Directory, read: Arc<Mutex<Option<(Instant, WorkspaceLayout)>>> },
}

/// How long a layout counts that was read. Whoever moves items waits for longer than this and an operation.
const LAYOUT_LIFETIME: Duration = Duration::from_secs(15);

impl Workspaces {
    pub(crate) const fn new(dynamo: aws_sdk_dynamodb::Client, table: String, directory: Directory) -> Self {
        Self { dynamo, table, directory }
    }

    /// The data of the tenant of `access`.
    #[must_use]
    pub fn of(&self, access: &Access) -> Workspace {
        self.workspace(access.tenant(), LayoutSource::Access(access.workspace_layout()))
    }

    /// The data of a tenant, for operators: the command line and the local system. No function calls it.
    #[must_use]
    pub fn as_operator(&self, tenant: &TenantId) -> Workspace {
        self.workspace(tenant, LayoutSource::Directory { directory: self.directory.clone(), read: Arc::default() })
    }

    fn workspace(&self, tenant: &TenantId, layout: LayoutSource) -> Workspace {
        Workspace { dynamo: self.dynamo.clone(), table: self.table.clone(), tenant: tenant.clone(), layout }
    }
}

/// The name of an item: 1 to 64 of `A-Z a-z 0-9 _ -`, which every model provider takes as the name of a tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// From text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        fits.then(|| Self(text.to_owned()))
    }

    /// A new one: 128 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(to_text(Secret::<16>::random().expose()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An item as a list shows it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// For models.
    pub description: String,
}

/// A page of a list, and where the next one begins.
#[derive(Debug)]
pub struct Page<T> {
    /// In the order of their names.
    pub items: Vec<T>,
    /// The last name seen, if there may be more after it.
    pub next: Option<Name>,
}

/// Why an item was not written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// It is not a valid item of that kind.
    #[error(transparent)]
    Validation(#[from] ValidationError),
    /// The items of this tenant are being moved: what was written where they are leaving might be left there.
    #[error("the workspace of {0} is being moved, and can only be read")]
    Moving(TenantId),
    /// The table failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// What is wrong with an item.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ValidationError {
    /// The name belongs to a tool of ours.
    #[error("the name is one of the built-in tools'")]
    ReservedName,
    /// No title, or a longer one than [`TITLE_LIMIT`].
    #[error("the title must have 1 to 120 bytes")]
    Title,
    /// No description, or a longer one than [`DESCRIPTION_LIMIT`].
    #[error("the description must have 1 to 2,048 bytes")]
    Description,
    /// Longer than [`CONTENT_LIMIT`].
    #[error("the content must not exceed 262,144 bytes")]
    Content,
    /// No message, or a longer one than [`chat::MESSAGE_LIMIT`].
    #[error("the message must have 1 to 65,536 bytes")]
    Message,
    /// More arguments than [`skill::ARGUMENTS`], two of one name, or one whose description is none or too long.
    #[error("there must be at most 16 arguments, each of another name and described in 1 to 512 bytes")]
    Arguments,
    /// A definition or a schema longer than [`JSON_LIMIT`].
    #[error("the definition or schema must not exceed 32,768 bytes as JSON")]
    Json,
    /// Fields of an entity longer than [`JSON_LIMIT`].
    #[error("the fields must not exceed 32,768 bytes as JSON")]
    Fields,
    /// Fields of an entity with a member that could not be read again.
    #[error("the fields have a member whose name begins with $serde_json::, which cannot be kept")]
    ReservedMember,
    /// A schema of arguments or results that is not one of an object (MCP: `inputSchema`, `outputSchema`).
    #[error("the schema must have the type object")]
    NotAnObject,
    /// It asks for arguments in headers, which we do not serve.
    #[error("the schema must not use x-mcp-header")]
    HeaderArguments,
    /// A reference in a schema that is not to a part of it (`#/…`), or a keyword that changes what references
    /// mean.
    #[error("the schema must refer only to its own parts, as #/$defs/name, and set $id and $schema at its top alone")]
    Reference,
    /// A schema that contains itself.
    #[error("the schema must not refer to itself")]
    CircularReference,
    /// A schema beyond the limits of [`schema`](mod@schema) when its references have been followed.
    #[error("the schema must have at most 4,096 values, 128 levels and 128 patterns when its references are followed")]
    TooComplex,
    /// A keyword at the top of a tool's input schema, for which hosts refuse all tools of a person.
    #[error(
        "the input schema must not have anyOf, oneOf, allOf, enum or not at its top: hosts refuse every tool for it"
    )]
    TopLevelKeyword,
    /// The name of a property in a tool's input schema, for which hosts refuse all tools of a person.
    #[error("a property must have a name of 1 to 64 of A-Z, a-z, 0-9, _, . and -: hosts refuse every tool for another")]
    PropertyName,
    /// A tool's definition larger than [`tool_definition::DEFINITION_LIMIT`].
    #[error("the description and the input schema must not exceed 16,384 bytes together as JSON: hosts refuse more")]
    DefinitionSize,
    /// Not an http or https URL, or longer than 1,024 bytes (it has to fit into what KMS signs), or with credentials or a fragment.
    #[error("the url must be http or https, without credentials or fragment, of at most 1,024 bytes")]
    Url,
    /// Not the ARN of a function of AWS Lambda.
    #[error("the function must be the ARN of a Lambda function, with or without an alias or version")]
    Function,
}

/// Most bytes of a title.
pub const TITLE_LIMIT: usize = 120;
/// Most bytes of a description.
pub const DESCRIPTION_LIMIT: usize = 2048;
/// Most bytes of a skill's or document's content: an item of DynamoDB holds 400 KB in all.
pub const CONTENT_LIMIT: usize = 256 * 1024;
/// Most bytes of a schema, a definition or an entity's fields, as JSON.
pub const JSON_LIMIT: usize = 32 * 1024;

/// Items per page.
const PAGE: i32 = 100;

/// The attributes of a [`Summary`]: what is long stays in the table.
const SUMMARY: &str = "#item, #title, #description";

/// Which items to read, one after another.
struct ItemQuery<'a> {
    /// How their sort keys begin.
    begins: String,
    /// The sort key after which to go on.
    after: Option<String>,
    /// The attributes to read, if not all, and the names that they stand for.
    only: Option<(&'a str, &'a [(&'static str, &'static str)])>,
    /// How many at most.
    most: i32,
    /// The last first.
    backwards: bool,
}

impl ItemQuery<'_> {
    fn of(begins: &str) -> Self {
        Self { begins: begins.to_owned(), after: None, only: None, most: PAGE, backwards: false }
    }
}

impl Workspace {
    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    async fn find<T>(
        &self,
        kind: &str,
        name: &Name,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<Option<T>, UpstreamError> {
        let (layout, sort_key) = (self.layout().await?, format!("{kind}{name}"));
        let item = if layout.is_moving() {
            self.moving_items(layout, &[sort_key]).await?.pop().flatten()
        } else {
            self.get(self.key_in(layout, &sort_key)).await?
        };
        item.map(|item| read(&item).ok_or_else(|| unparsable_item(&self.table))).transpose()
    }

    async fn get(&self, key: Key<'_>) -> Result<Option<Item>, UpstreamError> {
        const CALL: &str = "DynamoDB.GetItem";
        let get = self.dynamo.get_item().table_name(&self.table).set_key(Some(key.attribute_values()));
        let answer =
            get.consistent_read(true).send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        Ok(answer.item.map(Item::new))
    }

    /// The items with those sort keys, in their order.
    async fn items(&self, sort_keys: &[String]) -> Result<Vec<Option<Item>>, UpstreamError> {
        let layout = self.layout().await?;
        if layout.is_moving() {
            return self.moving_items(layout, sort_keys).await;
        }
        let keys: Vec<_> = sort_keys.iter().map(|item| self.key_in(layout, item)).collect();
        batch_get_items(&self.dynamo, &keys).await
    }

    /// The same while they are moved. What was moved after it was looked for where it was is found where it goes.
    async fn moving_items(
        &self,
        layout: WorkspaceLayout,
        sort_keys: &[String],
    ) -> Result<Vec<Option<Item>>, UpstreamError> {
        let sources: Vec<_> = sort_keys.iter().map(|item| self.key_in(layout, item)).collect();
        let targets: Vec<_> = sort_keys.iter().map(|item| self.target_key(layout, item)).collect();
        let unmoved = batch_get_items(&self.dynamo, &sources).await?;
        let moved = batch_get_items(&self.dynamo, &targets).await?;
        let only_there = unmoved.iter().zip(&moved).filter(|(_, moved)| moved.is_none());
        let only_there = only_there.filter_map(|(unmoved, _)| Some(sort_key(unmoved.as_ref()?))).collect();
        let left = self.left_in_the_way(layout, only_there).await?;
        let counts = |item: &Item| !left.contains(sort_key(item));
        Ok(unmoved.into_iter().zip(moved).map(|(unmoved, moved)| moved.or(unmoved.filter(counts))).collect())
    }

    /// Which of `unmoved`, that are not where they go, never get there: what contradicts them is there, or another document than the
    /// one whose versions they are. Nobody sees them before the move and after it, so nobody does meanwhile.
    async fn left_in_the_way(
        &self,
        layout: WorkspaceLayout,
        unmoved: Vec<&str>,
    ) -> Result<BTreeSet<String>, UpstreamError> {
        fn head<'f>(found: &'f BTreeMap<String, Item>, document: &[String; 2]) -> Option<&'f Item> {
            document.iter().find_map(|item| found.get(item))
        }
        let documents: BTreeSet<_> = unmoved.iter().filter_map(|item| document_of_version(item)).flatten().collect();
        let keys: Vec<_> = documents.iter().map(|item| self.key_in(layout, item)).collect();
        let at_sources = self.contents(&keys).await?;
        let others: BTreeSet<_> = unmoved.iter().filter_map(|item| counterpart(item)).chain(documents).collect();
        let keys: Vec<_> = others.iter().map(|item| self.target_key(layout, item)).collect();
        let at_targets = self.contents(&keys).await?;
        let is_left = |item: &&str| {
            let is_contradicted = counterpart(item).is_some_and(|other| at_targets.contains_key(&other));
            let document = document_of_version(item);
            let heads = document.and_then(|document| head(&at_sources, &document).zip(head(&at_targets, &document)));
            // One that was moved between the two calls is the same in both places.
            is_contradicted || heads.is_some_and(|(source, target)| source != target)
        };
        Ok(unmoved.into_iter().filter(is_left).map(str::to_owned).collect())
    }

    /// The items at `keys` that are there, by their sort keys, without their partitions.
    async fn contents(&self, keys: &[Key<'_>]) -> Result<BTreeMap<String, Item>, UpstreamError> {
        let found = batch_get_items(&self.dynamo, keys).await?.into_iter().flatten();
        Ok(found.map(|item| (sort_key(&item).to_owned(), item.with("tenant", ""))).collect())
    }

    async fn list<T>(
        &self,
        kind: &str,
        after: Option<&Name>,
        only: Option<&str>,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<Page<T>, UpstreamError> {
        self.list_most(kind, after, only, PAGE, read).await
    }

    async fn list_most<T>(
        &self,
        kind: &str,
        after: Option<&Name>,
        only: Option<&str>,
        most: i32,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<Page<T>, UpstreamError> {
        let after = after.map(|after| format!("{kind}{after}"));
        let names = only.map_or(&[][..], |_| &[("#title", "title"), ("#description", "description")]);
        let item_query = ItemQuery { after, only: only.map(|only| (only, names)), most, ..ItemQuery::of(kind) };
        let (items, last) = self.query(item_query).await?;
        let items = items.iter().map(read).collect::<Option<_>>().ok_or_else(|| unparsable_item(&self.table))?;
        let next = match last {
            Some(last) => Some(name_in(kind, &last).ok_or_else(|| unparsable_item(&self.table))?),
            None => None,
        };
        Ok(Page { items, next })
    }

    /// The first names of a kind that begin with `prefix`, at most a hundred, and whether there are more.
    async fn names(&self, kind: &str, prefix: &str) -> Result<(Vec<Name>, bool), UpstreamError> {
        // A page of the table may end early, without anything being left.
        const CALLS: usize = 10;
        // No name begins with such text.
        if !prefix.is_empty() && Name::parse(prefix).is_none() {
            return Ok((Vec::new(), false));
        }
        let page_size = usize::try_from(PAGE).unwrap_or_default();
        let (mut names, mut after, mut more) = (Vec::new(), None, true);
        for _ in 0..CALLS {
            let only = Some(("#item", &[][..]));
            // One more than is shown: at the limit DynamoDB returns a last key even if nothing follows.
            let item_query = ItemQuery { only, after, most: PAGE + 1, ..ItemQuery::of(&format!("{kind}{prefix}")) };
            let (items, last) = self.query(item_query).await?;
            let found = items.iter().map(|item| named(kind, item)).collect::<Option<Vec<_>>>();
            names.extend(found.ok_or_else(|| unparsable_item(&self.table))?);
            more = names.len() > page_size || last.is_some();
            if names.len() > page_size || last.is_none() {
                break;
            }
            after = last;
        }
        names.truncate(page_size);
        Ok((names, more))
    }

    /// Items of this tenant by the beginning of their sort key, read consistently, and the sort key of the last one if there may be more.
    async fn query(&self, item_query: ItemQuery<'_>) -> Result<(Vec<Item>, Option<String>), UpstreamError> {
        let layout = self.layout().await?;
        let Places { first, second } = layout.places(&self.tenant, &item_query.begins);
        let (mut items, end) = self.query_partition(first, &item_query).await?;
        let Some(second) = second else { return Ok((items, end)) };
        // What was moved after it was read here is read there once more.
        let moved = self.query_partition(second, &item_query).await?;
        let unmoved = items.iter().filter(|item| !is_among(&moved.0, item)).map(sort_key).collect();
        let left = self.left_in_the_way(layout, unmoved).await?;
        items.retain(|item| !left.contains(sort_key(item)));
        Ok(merge((items, end), moved, &item_query))
    }

    async fn query_partition(
        &self,
        partition: String,
        item_query: &ItemQuery<'_>,
    ) -> Result<(Vec<Item>, Option<String>), UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        let after = item_query.after.as_ref().map(|after| self.key(partition.clone(), after).attribute_values());
        let mut query = self
            .dynamo
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#tenant = :tenant AND begins_with(#item, :kind)")
            .expression_attribute_names("#tenant", "tenant")
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":tenant", AttributeValue::S(partition))
            .expression_attribute_values(":kind", AttributeValue::S(item_query.begins.clone()))
            .set_exclusive_start_key(after)
            .scan_index_forward(!item_query.backwards)
            .limit(item_query.most);
        if let Some((only, names)) = item_query.only {
            query = query.projection_expression(only);
            for (short, name) in names {
                query = query.expression_attribute_names(*short, *name);
            }
        }
        let answer = query.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let items = answer.items.unwrap_or_default().into_iter().map(Item::new).collect();
        let last = answer.last_evaluated_key.map(Item::new);
        let last = last.map(|last| last.text("item").map(str::to_owned).ok_or_else(|| unparsable_item(&self.table)));
        Ok((items, last.transpose()?))
    }

    /// Stores an item of a kind that only operators write, whatever there was. It is written over what was read just before, so that a
    /// first try that arrives late does not undo what followed.
    async fn put(&self, item: Item) -> Result<(), WriteError> {
        const CALL: &str = "DynamoDB.PutItem";
        let made_by = *Secret::<16>::random().expose();
        let layout = self.layout_to_write().await?;
        let item = self.placed(item.with(MADE_BY, made_by.as_slice()), layout);
        let key = self.key_in(layout, sort_key(&item));
        let item = item.into_inner();
        let mut backoff = Backoff::new();
        loop {
            let stored = batch_get_items(&self.dynamo, std::slice::from_ref(&key)).await?.pop().flatten();
            let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.clone()));
            let put = match (&stored, stored.as_ref().and_then(|stored| stored.bytes(MADE_BY))) {
                (_, Some(known)) if known == made_by => return Ok(()),
                (_, Some(known)) => put
                    .condition_expression("made_by = :known")
                    .expression_attribute_values(":known", item::Value::from(known).0),
                (Some(_), None) => {
                    put.condition_expression("attribute_exists(tenant) AND attribute_not_exists(made_by)")
                }
                (None, None) => put.condition_expression("attribute_not_exists(tenant)"),
            };
            let Err(error) = put.send().await else { return Ok(()) };
            if !matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_))) {
                return Err(upstream_call::failed_at_aws(CALL, &error).into());
            }
            if !backoff.wait().await {
                return Err(contended(&self.table).into());
            }
        }
    }

    /// In which partitions the items lie.
    async fn layout(&self) -> Result<WorkspaceLayout, UpstreamError> {
        match &self.layout {
            LayoutSource::Access(layout) => Ok(*layout),
            LayoutSource::Directory { directory, read } => {
                let mut read = read.lock().await;
                match *read {
                    Some((at, layout)) if at.elapsed() < LAYOUT_LIFETIME => Ok(layout),
                    _ => {
                        let at = Instant::now();
                        let layout = directory.workspace_layout(&self.tenant).await?;
                        *read = Some((at, layout));
                        Ok(layout)
                    }
                }
            }
        }
    }

    /// The same, for a write.
    ///
    /// # Errors
    /// While the items are being moved, or when DynamoDB fails.
    async fn layout_to_write(&self) -> Result<WorkspaceLayout, WriteError> {
        let layout = self.layout().await?;
        if layout.is_moving() { Err(WriteError::Moving(self.tenant.clone())) } else { Ok(layout) }
    }

    /// The key of the item to write.
    async fn key_to_write(&self, sort_key: &str) -> Result<Key<'_>, WriteError> {
        Ok(self.key_in(self.layout_to_write().await?, sort_key))
    }

    /// An item, in its partition.
    fn placed(&self, item: Item, layout: WorkspaceLayout) -> Item {
        let partition = layout.places(&self.tenant, sort_key(&item)).source();
        item.with("tenant", partition)
    }

    /// The key of an item where it is, unless it has been moved.
    fn key_in(&self, layout: WorkspaceLayout, sort_key: &str) -> Key<'_> {
        self.key(layout.places(&self.tenant, sort_key).source(), sort_key)
    }

    /// The key of an item where it goes.
    fn target_key(&self, layout: WorkspaceLayout, sort_key: &str) -> Key<'_> {
        self.key(layout.places(&self.tenant, sort_key).target(), sort_key)
    }

    fn key(&self, partition: String, sort_key: &str) -> Key<'_> {
        Key { table: &self.table, attributes: vec![("tenant", partition), ("item", sort_key.to_owned())] }
    }

    /// Where what counts for minutes lies: by kind in any layout.
    fn key_of_count(&self, sort_key: &str) -> Key<'_> {
        self.key(partition_by_kind(&self.tenant, sort_key), sort_key)
    }
}

/// An item of that kind and name. Where it is written, it gets its partition.
fn item_of(kind: &str, name: &Name) -> Item {
    Item::default().with("item", format!("{kind}{name}"))
}

/// The attributes that named kinds have in common.
fn head(kind: &str, name: &Name, title: &str, description: &str) -> Result<Item, ValidationError> {
    if !(1..=TITLE_LIMIT).contains(&title.len()) {
        return Err(ValidationError::Title);
    }
    if !(1..=DESCRIPTION_LIMIT).contains(&description.len()) {
        return Err(ValidationError::Description);
    }
    Ok(item_of(kind, name).with("title", title).with("description", description))
}

fn sort_key(item: &Item) -> &str {
    item.text("item").unwrap_or_default()
}

fn is_among(items: &[Item], item: &Item) -> bool {
    items.iter().any(|other| sort_key(other) == sort_key(item))
}

/// One page of what two partitions have, as far as both were read. Of two items with one sort key it has the one among `moved`.
fn merge(
    (mut items, one_end): (Vec<Item>, Option<String>),
    (moved, other_end): (Vec<Item>, Option<String>),
    item_query: &ItemQuery<'_>,
) -> (Vec<Item>, Option<String>) {
    let is_before = |one: &str, other: &str| if item_query.backwards { one > other } else { one < other };
    let ends = [one_end, other_end].into_iter().flatten();
    let mut end = ends.reduce(|one, other| if is_before(&one, &other) { one } else { other });
    items.retain(|item| !is_among(&moved, item));
    items.extend(moved);
    items.retain(|item| end.as_ref().is_none_or(|end| !is_before(end, sort_key(item))));
    items.sort_by(|one, other| sort_key(one).cmp(sort_key(other)));
    if item_query.backwards {
        items.reverse();
    }
    let most = usize::try_from(item_query.most).unwrap_or_default();
    if items.len() > most {
        items.truncate(most);
        end = items.last().map(|last| sort_key(last).to_owned());
    }
    (items, end)
}

fn json(object: &Map<String, Value>) -> Result<String, ValidationError> {
    let text = serde_json::to_string(object).map_err(|_| ValidationError::Json)?;
    if text.len() <= JSON_LIMIT { Ok(text) } else { Err(ValidationError::Json) }
}

fn named(kind: &str, item: &Item) -> Option<Name> {
    name_in(kind, item.text("item")?)
}

fn name_in(kind: &str, sort_key: &str) -> Option<Name> {
    Name::parse(sort_key.strip_prefix(kind)?)
}

fn object(item: &Item, name: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(item.text(name)?).ok()
}

fn summary(kind: &str, item: &Item) -> Option<Summary> {
    Some(Summary {
        name: named(kind, item)?,
        title: item.text("title")?.to_owned(),
        description: item.text("description")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated() {
        for (text, fits) in [
            ("create_invoice", true),
            ("Weekly-Report-2", true),
            ("", false),
            ("a b", false),
            ("a#b", false),
            ("a.b", false),
            ("ä", false),
        ] {
            assert_eq!(Name::parse(text).is_some(), fits, "{text}");
        }
        assert!(Name::parse(&"a".repeat(64)).is_some());
        assert!(Name::parse(&"a".repeat(65)).is_none());
    }

    /// An item that is moved between the two queries is found by both, and counts where it goes. None is passed over where one page
    /// ends early.
    #[test]
    fn page_of_two_partitions_has_each_item_once_and_in_order() {
        let page = |keys: &str, moved: bool| {
            keys.chars().map(|key| Item::default().with("item", key.to_string()).with("moved", moved)).collect()
        };
        for (backwards, most, one, other, items, end) in [
            (false, 10, ("ac", None), ("bd", None), "abcd", None),
            (false, 10, ("abc", None), ("abd", None), "abcd", None),
            (false, 10, ("ac", Some("c")), ("bd", None), "abc", Some("c")),
            (false, 10, ("a", Some("a")), ("bd", Some("d")), "a", Some("a")),
            (false, 10, ("", Some("b")), ("bd", None), "b", Some("b")),
            (false, 2, ("ac", None), ("bd", None), "ab", Some("b")),
            (false, 2, ("ac", Some("c")), ("", None), "ac", Some("c")),
            (true, 10, ("ca", None), ("db", None), "dcba", None),
            (true, 10, ("ca", None), ("db", Some("b")), "dcb", Some("b")),
            (true, 2, ("ca", None), ("db", None), "dc", Some("c")),
        ] {
            let item_query = ItemQuery { most, backwards, ..ItemQuery::of("") };
            let with_end = |(keys, end): (&str, Option<&str>), moved| (page(keys, moved), end.map(str::to_owned));
            let (merged, merged_end) = merge(with_end(one, false), with_end(other, true), &item_query);
            let keys: String = merged.iter().filter_map(|item| item.text("item")).collect();
            for item in &merged {
                assert_eq!(item.flag("moved"), Some(other.0.contains(sort_key(item))), "{one:?} {other:?}");
            }
            assert_eq!((keys.as_str(), merged_end.as_deref()), (items, end), "{one:?} {other:?}");
        }
    }
}
