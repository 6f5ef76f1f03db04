//! API keys, by id; an index by tenant.
//!
//! ```text
//! key      { id, tenant: "acme", name: "nightly export", digest: <digest>, scope: "entities:read", maker: "<uuid>",
//!            scope_meaning?: 2, membership?: <16 bytes>, parent?: <id>, created: 1795…, expires?: 1795…, used?: 1795… }
//! revoked  { id, revoked: 1795…, made_by: <16 bytes>, expires: 1797… }
//! ```
//!
//! `membership` is the instance of its maker's membership. A key works under no other one, so a key that no
//! search finds when its maker leaves does not work again when they come back.
//!
//! `parent` is the key that created it, if a key did. It works no longer than that one: each way in reads both
//! consistently. A key that has a parent cannot manage, so it creates none in its turn.
//!
//! Each write has a condition that holds once. A revoked key leaves an item for a month, in no index, with
//! nothing that verifies it: a creation that arrives late finds it and changes nothing. `made_by` identifies
//! the write that revoked: a retry after a lost response recognises its own write by it. A creation
//! recognises its own by the digest.
//!
//! The id of a key that a form creates is derived from the form. Sent again, the form finds that item, and
//! creates no other key.
//!
//! The same table has how many keys each person made within an hour: [`super::key_creations`].
//!
//! `used` is the last use, to the hour: the call that reads a key to verify it also marks the use, once an
//! hour. So verifying a key always takes one call to this table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use thiserror::Error;

use super::directory::{Directory, Membership};
use super::item::{Item, Value, unparsable_item};
use super::item_update::ItemUpdate;
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::oauth::api_key::{ApiKey, ApiKeyError, ApiKeyId, ApiKeyName, ApiKeyRecord, KeyBasis};
use crate::oauth::instance_id::InstanceId;
use crate::oauth::key_lifetime::KeyExpiry;
use crate::oauth::scope::Scopes;
use crate::oauth::scope_meaning::ScopeMeaning;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How exactly the last use is known.
const LAST_USED_PRECISION: Duration = Duration::from_hours(1);

/// How long a revoked key leaves an item: far longer than a write can be late.
const REVOKED_RETENTION: Duration = Duration::from_hours(30 * 24);

/// The attribute that only a revoked key has.
const REVOKED: &str = "revoked";

/// The table of API keys.
#[derive(Clone)]
pub struct ApiKeys {
    pub(super) dynamo: aws_sdk_dynamodb::Client,
    pub(super) table: String,
    recent_uses: RecentUses,
}

/// The membership of a key's maker, and what else the key rests on.
#[derive(Clone, Debug)]
pub struct MakerMembership {
    /// As it is now.
    pub membership: Membership,
    /// Whether the key that made the key has ended. Never if no key made it.
    pub has_ended_parent: bool,
}

/// Why a key was not created.
#[derive(Debug, Error)]
pub enum CreateApiKeyError {
    /// There is no permission among the scopes.
    #[error("the scopes have no permission")]
    NoPermission,
    /// It could do what its maker may not: these.
    #[error("the scopes exceed the role of the maker: {0}")]
    ExceedsRole(Scopes),
    /// There is a key of its id, or was: the form has made it, and was sent again.
    #[error("the key was made before")]
    AlreadyCreated(ApiKeyId),
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Who creates or revokes a key in the name of a person.
#[derive(Clone, Copy)]
pub enum Actor<'a> {
    /// The person.
    Person,
    /// The person, with a form that can be sent once.
    Form(&'a FormId),
    /// A script with an API key of the person.
    ApiKey(&'a ApiKeyId),
}

/// A form that makes a key: 16 random bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormId([u8; 16]);

/// How long a form that creates a key is valid.
pub const FORM_LIFETIME: Duration = Duration::from_hours(1);

/// What a key is to be.
pub struct NewApiKey<'a> {
    /// Whose it is, and where: it may do no more than they may.
    pub maker: &'a Membership,
    /// What people call it.
    pub name: ApiKeyName,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends by itself.
    pub expiry: KeyExpiry,
}

/// Where the next page of the keys of a tenant begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    created: Timestamp,
    id: ApiKeyId,
}

impl ApiKeys {
    pub(crate) fn new(dynamo: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { dynamo, table, recent_uses: RecentUses::default() }
    }

    /// Creates a key. [`ApiKeyIssuer`](crate::api_key_issuer::ApiKeyIssuer) records it.
    ///
    /// # Errors
    /// When it could do nothing, or too much; it was created before; or DynamoDB fails.
    pub(crate) async fn create(
        &self,
        actor: Actor<'_>,
        NewApiKey { maker, name, scopes, expiry }: NewApiKey<'_>,
        now: Timestamp,
    ) -> Result<(ApiKey, ApiKeyRecord), CreateApiKeyError> {
        let scopes = scopes.permissions();
        let excess = scopes.difference(maker.role.permissions);
        if scopes.is_empty() {
            return Err(CreateApiKeyError::NoPermission);
        } else if !excess.is_empty() {
            return Err(CreateApiKeyError::ExceedsRole(excess));
        }
        let key = match actor {
            Actor::Form(FormId(form)) => ApiKey { id: ApiKeyId::derived_from(form), secret: Secret::random() },
            Actor::Person | Actor::ApiKey(_) => ApiKey::random(),
        };
        let record = ApiKeyRecord {
            id: key.id.clone(),
            tenant: maker.tenant.clone(),
            name,
            digest: key.secret.digest(),
            scopes,
            scope_meaning: ScopeMeaning::CURRENT,
            maker: maker.person.clone(),
            membership: maker.basis.approval.membership,
            parent: actor.api_key().cloned(),
            created: now,
            expires: expiry.time(),
            used: None,
        };
        if self.put(&record).await? { Ok((key, record)) } else { Err(CreateApiKeyError::AlreadyCreated(record.id)) }
    }

    /// Whether this call put the key. A try that arrives late finds what an earlier one put, or what a revocation
    /// left of it.
    async fn put(&self, key: &ApiKeyRecord) -> Result<bool, UpstreamError> {
        const CALL: &str = "DynamoDB.PutItem";
        let item = Item::default()
            .with("id", key.id.to_text())
            .with("tenant", key.tenant.as_str())
            .with("name", key.name.as_str())
            .with("digest", key.digest.as_bytes().as_slice())
            .with("scope", key.scopes.to_string())
            .with("scope_meaning", key.scope_meaning.number())
            .with("maker", key.maker.as_str())
            .with_some("membership", key.membership.as_ref().map(|instance| instance.as_bytes().as_slice()))
            .with_some("parent", key.parent.as_ref().map(ApiKeyId::to_text))
            .with("created", key.created)
            .with_some("expires", key.expires);
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.into_inner()));
        let put = put
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                let there = refusal.item().cloned().map(Item::new).unwrap_or_default();
                let digest = there.bytes("digest").and_then(Digest::from_bytes);
                Ok(digest.is_some_and(|digest| digest.matches(&key.digest)))
            }
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    /// The key of that id, unless it has expired or was revoked. This verifies no secret: see
    /// [`Self::verify`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &ApiKeyId, now: Timestamp) -> Result<Option<ApiKeyRecord>, UpstreamError> {
        let Some(item) = self.item(id).await? else { return Ok(None) };
        Ok(self.read(&item)?.filter(|key| key.is_alive(now)))
    }

    /// Verifies a presented key: its secret must match, and it must be neither expired nor revoked. Records
    /// its use, to the hour. What it may do is for [`ApiKeyRecord::authorize`].
    ///
    /// The write that marks the use also reads the item: a refused condition returns it. But a refused write
    /// costs five times what a read costs. So the process remembers when it marked a key, and only reads
    /// until the hour is over. It remembers the digest and not the id: a wrong secret is handled like an
    /// unknown id, and takes the same time.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn verify(
        &self,
        presented: &ApiKey,
        now: Timestamp,
    ) -> Result<Result<ApiKeyRecord, ApiKeyError>, UpstreamError> {
        let digest = presented.secret.digest();
        let item = if self.recent_uses.contains_recent(&digest, now) {
            self.item(&presented.id).await?
        } else {
            self.mark(&presented.id, &digest, now).await?
        };
        let Some(item) = item else { return Ok(Err(ApiKeyError::Unknown)) };
        let Some(key) = self.read(&item)? else { return Ok(Err(ApiKeyError::Revoked)) };
        if !key.digest.matches(&digest) {
            return Ok(Err(ApiKeyError::SecretMismatch));
        }
        if !key.is_alive(now) {
            return Ok(Err(ApiKeyError::Expired));
        }
        if let Some(used) = key.used {
            self.recent_uses.note(&digest, used, now);
        }
        Ok(Ok(key))
    }

    /// The membership of the maker of `key`, in one consistent call. Nothing if its maker is no member.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn maker_membership(
        &self,
        key: &ApiKeyRecord,
        directory: &Directory,
        now: Timestamp,
    ) -> Result<Option<MakerMembership>, UpstreamError> {
        let (maker, tenant) = (directory.membership_key(&key.maker, &key.tenant), directory.tenant_key(&key.tenant));
        let keys: Vec<_> = [maker, tenant].into_iter().chain(key.parent.as_ref().map(|id| self.key(id))).collect();
        let mut items = batch_get_items(&self.dynamo, &keys).await?.into_iter();
        let (membership, tenant) = (items.next().flatten(), items.next().flatten());
        let parent = self.read_some(items.next().flatten())?;
        let has_ended_parent = key.parent.is_some() && !parent.is_some_and(|parent| parent.is_alive(now));
        let Some(membership) = membership else { return Ok(None) };
        let membership = directory.read_membership(&membership, tenant)?;
        Ok(membership.map(|membership| MakerMembership { membership, has_ended_parent }))
    }

    /// The keys of a tenant that work, the newest first, and where the next page begins if there may be more. The
    /// ids come from an index that lags behind the table, the keys from the table itself: a key that was revoked is
    /// never among them, nor is one whose parent was, and one that was created a moment ago may be missing.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn of_tenant(
        &self,
        tenant: &TenantId,
        after: Option<&Cursor>,
        now: Timestamp,
    ) -> Result<(Vec<ApiKeyRecord>, Option<Cursor>), UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        const MAX: i32 = 50;
        let start = after.map(|Cursor { created, id }| {
            Item::default()
                .with("tenant", tenant.as_str())
                .with("created", *created)
                .with("id", id.to_text())
                .into_inner()
        });
        let query = self
            .dynamo
            .query()
            .table_name(&self.table)
            .index_name("by_tenant")
            .key_condition_expression("tenant = :tenant")
            .expression_attribute_values(":tenant", Value::from(tenant.as_str()).0)
            .projection_expression("id, created")
            .scan_index_forward(false)
            .limit(MAX)
            .set_exclusive_start_key(start);
        let page = query.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let place =
            |item: Item| Some(Cursor { created: item.time("created")?, id: ApiKeyId::parse(item.text("id")?)? });
        let places = page.items.unwrap_or_default().into_iter().map(|item| place(Item::new(item)));
        let mut places = places.collect::<Option<Vec<_>>>().ok_or_else(|| unparsable_item(&self.table))?;
        let table_keys: Vec<_> = places.iter().map(|Cursor { id, .. }| self.key(id)).collect();
        let mut keys = Vec::new();
        for item in batch_get_items(&self.dynamo, &table_keys).await?.iter().flatten() {
            keys.extend(self.read(item)?.filter(|key| key.is_alive(now)));
        }
        self.drop_orphans(&mut keys, now).await?;
        let next = places.pop().filter(|_| page.last_evaluated_key.is_some());
        Ok((keys, next))
    }

    /// Takes out of `keys` those whose parent has ended. Reads the parents, if there are any.
    async fn drop_orphans(&self, keys: &mut Vec<ApiKeyRecord>, now: Timestamp) -> Result<(), UpstreamError> {
        let mut parents: Vec<ApiKeyId> = Vec::new();
        for parent in keys.iter().filter_map(|key| key.parent.as_ref()) {
            if !parents.contains(parent) {
                parents.push(parent.clone());
            }
        }
        let table_keys: Vec<_> = parents.iter().map(|id| self.key(id)).collect();
        let mut alive = Vec::new();
        for item in batch_get_items(&self.dynamo, &table_keys).await? {
            alive.extend(self.read_some(item)?.filter(|key| key.is_alive(now)).map(|key| key.id));
        }
        keys.retain(|key| key.parent.as_ref().is_none_or(|parent| alive.contains(parent)));
        Ok(())
    }

    /// Revokes a key of `tenant`, and with it those that it made. Whether this call did: a key of another tenant, and one that is revoked
    /// already, stay as they are. [`Revocation`](crate::revocation::Revocation) records it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub(crate) async fn revoke(&self, tenant: &TenantId, id: &ApiKeyId, now: Timestamp) -> Result<bool, UpstreamError> {
        let key = self.key(id);
        let update = ItemUpdate::default()
            .when_equal("tenant", tenant.as_str())
            .set(REVOKED, now)
            .set("expires", now.plus(REVOKED_RETENTION))
            .remove(["tenant", "name", "digest", "scope", "maker", "membership", "parent", "created", "used"]);
        Ok(update.write(&self.dynamo, &key).await?.is_applied())
    }

    fn key<'a>(&'a self, id: &ApiKeyId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", id.to_text())] }
    }

    async fn item(&self, id: &ApiKeyId) -> Result<Option<Item>, UpstreamError> {
        const CALL: &str = "DynamoDB.GetItem";
        let get = self.dynamo.get_item().table_name(&self.table).key("id", AttributeValue::S(id.to_text()));
        let answer =
            get.consistent_read(true).send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        Ok(answer.item.map(Item::new))
    }

    /// Marks the key as used now, if its secret matches, it has not expired, and it was not marked within the
    /// hour. Returns the item, marked or not.
    async fn mark(&self, id: &ApiKeyId, digest: &Digest, now: Timestamp) -> Result<Option<Item>, UpstreamError> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let mark = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(id.to_text()))
            .condition_expression(
                "digest = :digest AND (attribute_not_exists(expires) OR expires > :now) AND \
                 (attribute_not_exists(used) OR used <= :before)",
            )
            .update_expression("SET used = :now")
            .expression_attribute_values(":digest", Value::from(digest.as_bytes().as_slice()).0)
            .expression_attribute_values(":now", Value::from(now).0)
            .expression_attribute_values(":before", Value::from(now.minus(LAST_USED_PRECISION)).0)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let item = match mark.send().await {
            Ok(answer) => answer.attributes,
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => refusal.item().cloned(),
                _ => return Err(upstream_call::failed_at_aws(CALL, &error)),
            },
        };
        Ok(item.map(Item::new))
    }

    fn read_some(&self, item: Option<Item>) -> Result<Option<ApiKeyRecord>, UpstreamError> {
        item.map_or(Ok(None), |item| self.read(&item))
    }

    /// The key in an item. Nothing if it was revoked.
    fn read(&self, item: &Item) -> Result<Option<ApiKeyRecord>, UpstreamError> {
        if item.has(REVOKED) {
            return Ok(None);
        }
        read(item).map(Some).ok_or_else(|| unparsable_item(&self.table))
    }
}

impl MakerMembership {
    /// What the key rests on.
    #[must_use]
    pub const fn basis(&self) -> KeyBasis<'_> {
        let Membership { person, tenant, role, basis, .. } = &self.membership;
        KeyBasis {
            maker: person,
            tenant,
            membership: basis.approval.membership,
            permissions: role.permissions,
            has_ended_parent: self.has_ended_parent,
        }
    }
}

impl<'a> Actor<'a> {
    /// As the audit names a script that acts in the person's name.
    pub(crate) fn audit_name(self) -> Option<String> {
        self.api_key().map(|id| format!("key {}", id.to_text()))
    }

    const fn api_key(self) -> Option<&'a ApiKeyId> {
        match self {
            Self::ApiKey(id) => Some(id),
            Self::Person | Self::Form(_) => None,
        }
    }
}

impl FormId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(*Secret::random().expose())
    }

    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(&self.0)
    }

    /// From text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_text(text).map(Self)
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
        Some(Self { created: Timestamp::from_seconds(created.parse().ok()?), id: ApiKeyId::parse(id)? })
    }
}

/// When the keys that this process verified were marked, by the digest of their secret.
#[derive(Clone, Default)]
struct RecentUses(Arc<Mutex<HashMap<[u8; 32], Timestamp>>>);

impl RecentUses {
    fn contains_recent(&self, digest: &Digest, now: Timestamp) -> bool {
        let recent_uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent_uses.get(digest.as_bytes()).is_some_and(|at| now.since(*at) < LAST_USED_PRECISION)
    }

    fn note(&self, digest: &Digest, at: Timestamp, now: Timestamp) {
        // A function serves far fewer keys. A key that is not remembered costs a refused write.
        const MAX: usize = 1000;
        let mut recent_uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent_uses.len() >= MAX {
            recent_uses.retain(|_, at| now.since(*at) < LAST_USED_PRECISION);
        }
        if recent_uses.len() < MAX {
            recent_uses.insert(*digest.as_bytes(), at);
        }
    }
}

fn read(item: &Item) -> Option<ApiKeyRecord> {
    // A time that cannot be parsed is an error, and not a missing time.
    let time = |name| if item.has(name) { item.time(name).map(Some) } else { Some(None) };
    // Nor is an instance that cannot be parsed.
    let membership = match item.bytes("membership") {
        Some(bytes) => Some(InstanceId::from_bytes(bytes)?),
        None if item.has("membership") => return None,
        None => None,
    };
    // Nor is a parent: such a key would outlive it.
    let parent = if item.has("parent") { Some(ApiKeyId::parse(item.text("parent")?)?) } else { None };
    Some(ApiKeyRecord {
        id: ApiKeyId::parse(item.text("id")?)?,
        tenant: TenantId::parse(item.text("tenant")?)?,
        name: ApiKeyName::parse(item.text("name")?)?,
        digest: Digest::from_bytes(item.bytes("digest")?)?,
        scopes: Scopes::parse(item.text("scope")?),
        scope_meaning: if item.has("scope_meaning") {
            ScopeMeaning::from_number(item.number("scope_meaning")?)
        } else {
            ScopeMeaning::FIRST
        },
        maker: PersonId::parse(item.text("maker")?)?,
        membership,
        parent,
        created: item.time("created")?,
        expires: time("expires")?,
        used: time("used")?,
    })
}
