//! API keys, by id; an index by tenant.
//!
//! ```text
//! { id, tenant: "acme", name: "nightly export", digest: <digest>, scope: "entities:read", maker: "<uuid>", created: 1795…, expires?: 1795… }
//! ```
//!
//! A revoked key is deleted.

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, unreadable};
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::oauth::api_key::KeyId;
use crate::oauth::scope::Scopes;
use crate::oauth::secret::Digest;
use crate::oauth::tenant::{PersonId, TenantId};

/// The table of API keys.
#[derive(Clone)]
pub struct Keys {
    dynamo: Dynamo,
    table: String,
}

/// What is kept of an API key.
#[derive(Clone, Debug)]
pub struct KnownKey {
    /// Its id.
    pub id: KeyId,
    /// Where it works.
    pub tenant: TenantId,
    /// What its maker called it.
    pub name: String,
    /// Digest of its secret.
    pub digest: Digest,
    /// What it may do, as far as its maker may.
    pub scopes: Scopes,
    /// Who made it.
    pub maker: PersonId,
    /// When.
    pub created: Timestamp,
    /// Until when it works, if not until it is revoked.
    pub expires: Option<Timestamp>,
}

impl Keys {
    pub(crate) const fn new(dynamo: Dynamo, table: String) -> Self {
        Self { dynamo, table }
    }

    /// The key of that id, if its time has not passed.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &KeyId, now: Timestamp) -> Result<Option<KnownKey>, Fault> {
        const CALL: &str = "DynamoDB.GetItem";
        let get = self.dynamo.get_item().table_name(&self.table).key("id", AttributeValue::S(id.to_text()));
        let answer = get.consistent_read(true).send().await.map_err(|error| Fault::of_aws(CALL, &error))?;
        let Some(item) = answer.item.map(Item::new) else { return Ok(None) };
        let key = read(&item).ok_or_else(|| unreadable(&self.table))?;
        Ok(key.expires.is_none_or(|expires| now < expires).then_some(key))
    }

    /// Keeps a key.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn keep(&self, key: &KnownKey) -> Result<(), Fault> {
        const CALL: &str = "DynamoDB.PutItem";
        let item = Item::default()
            .with("id", key.id.to_text())
            .with("tenant", key.tenant.as_str())
            .with("name", key.name.as_str())
            .with("digest", key.digest.as_bytes().as_slice())
            .with("scope", key.scopes.to_string())
            .with("maker", key.maker.as_str())
            .with("created", key.created)
            .with_some("expires", key.expires);
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.into_inner())).send().await;
        put.map(|_| ()).map_err(|error| Fault::of_aws(CALL, &error))
    }

    /// Revokes a key: the next call with it is refused.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn revoke(&self, id: &KeyId) -> Result<(), Fault> {
        const CALL: &str = "DynamoDB.DeleteItem";
        let delete = self.dynamo.delete_item().table_name(&self.table).key("id", AttributeValue::S(id.to_text()));
        delete.send().await.map(|_| ()).map_err(|error| Fault::of_aws(CALL, &error))
    }
}

fn read(item: &Item) -> Option<KnownKey> {
    Some(KnownKey {
        id: KeyId::parse(item.text("id")?)?,
        tenant: TenantId::parse(item.text("tenant")?)?,
        name: item.text("name")?.to_owned(),
        digest: Digest::from_bytes(item.bytes("digest")?)?,
        scopes: Scopes::parse(item.text("scope")?),
        maker: PersonId::parse(item.text("maker")?)?,
        created: item.time("created")?,
        // One that cannot be read must not mean none.
        expires: if item.has("expires") { Some(item.time("expires")?) } else { None },
    })
}
