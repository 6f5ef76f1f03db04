//! API keys, by id; an index by tenant.
//!
//! ```text
//! key   { id, tenant: "acme", name: "nightly export", digest: <digest>, scope: "entities:read", maker: "<uuid>", created: 1795…,
//!         expires?: 1795…, used?: 1795… }
//! form  { id: "form#…", expires: 1795… }
//! ```
//!
//! The second item says that a form has created its key. Sent again, the form creates no other key, even if
//! the first was revoked.
//!
//! A revoked key is deleted. `used` is the last use, to the hour: the call that reads a key to verify it also
//! marks the use, once an hour. So verifying a key always takes one call to this table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use thiserror::Error;

use super::directory::Membership;
use super::item::{Item, Value, unparsable_item};
use crate::clock::Timestamp;
use crate::oauth::api_key::{ApiKey, ApiKeyId, ApiKeyName};
use crate::oauth::scope::Scopes;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How exactly the last use is known.
const LAST_USED_PRECISION: Duration = Duration::from_hours(1);

/// The table of API keys.
#[derive(Clone)]
pub struct ApiKeys {
    dynamo: aws_sdk_dynamodb::Client,
    table: String,
    recent_uses: RecentUses,
}

/// An API key as the table keeps it.
#[derive(Clone, Debug)]
pub struct ApiKeyRecord {
    /// Its id.
    pub id: ApiKeyId,
    /// Where it works.
    pub tenant: TenantId,
    /// What its maker called it.
    pub name: ApiKeyName,
    /// Digest of its secret.
    pub digest: Digest,
    /// What it may do, within the role of its maker.
    pub scopes: Scopes,
    /// Who made it.
    pub maker: PersonId,
    /// When.
    pub created: Timestamp,
    /// Until when it works, if not until it is revoked.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the hour; nothing if never.
    pub used: Option<Timestamp>,
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
    /// Its time would have passed already.
    #[error("the expiry has passed")]
    ExpiryInPast,
    /// The form has made its key.
    #[error("the form was sent before")]
    FormAlreadyUsed,
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Why a presented key is not accepted. The reason goes to the log and not to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyError {
    /// There is no key of that id, or no longer.
    Unknown,
    /// The key of that id has another secret.
    SecretMismatch,
    /// Its time has passed.
    Expired,
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
    pub expires: Option<Timestamp>,
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
    /// When it could do nothing, too much, or only in the past; the form has made its key; or DynamoDB fails.
    pub(crate) async fn create(
        &self,
        actor: Actor<'_>,
        NewApiKey { maker, name, scopes, expires }: NewApiKey<'_>,
        now: Timestamp,
    ) -> Result<(ApiKey, ApiKeyRecord), CreateApiKeyError> {
        let scopes = scopes.permissions();
        let excess = scopes.difference(maker.role.permissions);
        if scopes.is_empty() {
            return Err(CreateApiKeyError::NoPermission);
        } else if !excess.is_empty() {
            return Err(CreateApiKeyError::ExceedsRole(excess));
        } else if expires.is_some_and(|expires| expires <= now) {
            return Err(CreateApiKeyError::ExpiryInPast);
        }
        let key = ApiKey::random();
        let record = ApiKeyRecord {
            id: key.id.clone(),
            tenant: maker.tenant.clone(),
            name,
            digest: key.secret.digest(),
            scopes,
            maker: maker.person.clone(),
            created: now,
            expires,
            used: None,
        };
        let id = record.id.to_text();
        let item = Item::default()
            .with("id", id.as_str())
            .with("tenant", record.tenant.as_str())
            .with("name", record.name.as_str())
            .with("digest", record.digest.as_bytes().as_slice())
            .with("scope", record.scopes.to_string())
            .with("maker", record.maker.as_str())
            .with("created", record.created)
            .with_some("expires", record.expires);
        match actor {
            Actor::Form(form) => self.put_once(&id, item, form, now).await?,
            Actor::Person | Actor::ApiKey(_) => self.put(item).await?,
        }
        Ok((key, record))
    }

    /// The id is random, so a second write can only be a retry. It has no condition, which would refuse a
    /// retry after a lost response.
    async fn put(&self, item: Item) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.PutItem";
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.into_inner()));
        put.send().await.map(|_| ()).map_err(|error| upstream_call::failed_at_aws(CALL, &error))
    }

    /// Writes the key and the mark of its form, or neither. The request token tells a retry from a form that
    /// is sent again.
    async fn put_once(&self, id: &str, key: Item, form: &FormId, now: Timestamp) -> Result<(), CreateApiKeyError> {
        const CALL: &str = "DynamoDB.TransactWriteItems";
        let mark = Item::default().with("id", format!("form#{}", form.to_text()));
        let mark = mark.with("expires", now.plus(2 * FORM_LIFETIME));
        let mark = Put::builder().table_name(&self.table).set_item(Some(mark.into_inner()));
        let key = Put::builder().table_name(&self.table).set_item(Some(key.into_inner()));
        let mut transaction = self.dynamo.transact_write_items().client_request_token(id);
        for put in [mark.condition_expression("attribute_not_exists(id)"), key] {
            let put = put.build().map_err(|error| upstream_call::failed(CALL, error.to_string()))?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        let Err(error) = transaction.send().await else { return Ok(()) };
        let refused = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
            }
            _ => false,
        };
        Err(if refused {
            CreateApiKeyError::FormAlreadyUsed
        } else {
            upstream_call::failed_at_aws(CALL, &error).into()
        })
    }

    /// The key of that id, unless it has expired. This verifies no secret: see [`Self::verify`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &ApiKeyId, now: Timestamp) -> Result<Option<ApiKeyRecord>, UpstreamError> {
        let Some(item) = self.item(id).await? else { return Ok(None) };
        Ok(Some(self.read(&item)?).filter(|key| key.is_alive(now)))
    }

    /// Verifies a presented key: its secret must match and it must not have expired. Records its use, to the
    /// hour.
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
        let key = self.read(&item)?;
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

    /// The keys of a tenant, the newest first, and where the next page begins if there may be more. From an
    /// index that lags behind the table.
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
            .scan_index_forward(false)
            .limit(MAX)
            .set_exclusive_start_key(start);
        let page = query.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let keys = page.items.unwrap_or_default().into_iter().map(|item| self.read(&Item::new(item)));
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
        let last = keys.last().filter(|_| page.last_evaluated_key.is_some());
        let next = last.map(|last| Cursor { created: last.created, id: last.id.clone() });
        keys.retain(|key| key.is_alive(now));
        Ok((keys, next))
    }

    /// Removes a key of `tenant`. Whether there was one: a key of another tenant stays as it is.
    /// [`Revocation`](crate::revocation::Revocation) records it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub(crate) async fn revoke(&self, tenant: &TenantId, id: &ApiKeyId) -> Result<bool, UpstreamError> {
        const CALL: &str = "DynamoDB.DeleteItem";
        let delete = self
            .dynamo
            .delete_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(id.to_text()))
            .condition_expression("tenant = :tenant")
            .expression_attribute_values(":tenant", Value::from(tenant.as_str()).0);
        if let Err(error) = delete.send().await {
            return match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(upstream_call::failed_at_aws(CALL, &error)),
            };
        }
        Ok(true)
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

    fn read(&self, item: &Item) -> Result<ApiKeyRecord, UpstreamError> {
        read(item).ok_or_else(|| unparsable_item(&self.table))
    }
}

impl ApiKeyRecord {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Actor<'_> {
    /// As the audit names a script that acts in the person's name.
    pub(crate) fn audit_name(self) -> Option<String> {
        match self {
            Self::ApiKey(id) => Some(format!("key {}", id.to_text())),
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

impl ApiKeyError {
    /// As the audit writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SecretMismatch => "another_secret",
            Self::Expired => "expired",
        }
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
    Some(ApiKeyRecord {
        id: ApiKeyId::parse(item.text("id")?)?,
        tenant: TenantId::parse(item.text("tenant")?)?,
        name: ApiKeyName::parse(item.text("name")?)?,
        digest: Digest::from_bytes(item.bytes("digest")?)?,
        scopes: Scopes::parse(item.text("scope")?),
        maker: PersonId::parse(item.text("maker")?)?,
        created: item.time("created")?,
        expires: time("expires")?,
        used: time("used")?,
    })
}
