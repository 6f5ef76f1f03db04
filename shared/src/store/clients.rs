//! Clients, by id.
//!
//! ```text
//! registered    { id: "c_…", kind: "registered", name?: "Claude", redirect_uris: ["https://…"], refreshes: true, expires: 1795… }
//! confidential  { id: "acme-cowork", kind: "confidential", name: "Acme", redirect_uris: […], refreshes: true, secrets: { "<digest>": 1795… } }
//! document      { id: "https://claude.ai/oauth/…", kind: "document", name: "Claude", redirect_uris: ["https://…"], refreshes: true,
//!                 fetched: 1795…, fresh: 1795…, digest: <32 bytes>, expires: 1795… }
//! blocked       { id: "c_…", kind: "blocked", name?: "Claude", since: 1795… }
//! ```
//!
//! `secrets` maps the digest of each secret, in base64url, to the time when it was created. So one secret can
//! be added or removed without reading the others.
//!
//! `expires` is set when a client is first seen. After that only approvals extend it: a client of a metadata
//! document is kept as long as its grants.
//!
//! A blocked client is a tombstone that only an operator writes and removes. Every other write here has the
//! condition that there is none.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, Update};

use super::item::{Item, Value, unparsable_item};
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::oauth::client::{Client, ClientId, ClientKind, ClientSecretDigest, DocumentFetch};
use crate::oauth::grant::ABSOLUTE_LIFETIME;
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::secret::{Digest, from_text, to_text};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How long an unused registration is kept.
pub const UNUSED_RETENTION: Duration = Duration::from_hours(30 * 24);

/// How many secrets a client may have at once. A rotation needs two; the others leave room for mistakes.
pub const MAX_SECRETS: usize = 5;

/// The outcome of putting a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It was written.
    Written,
    /// It was there already, and is kept for long enough.
    Unchanged,
    /// It is blocked, and stays so.
    Blocked,
}

/// The kind of a tombstone.
const BLOCKED: &str = "blocked";

/// The table of clients.
#[derive(Clone)]
pub struct Clients {
    pub(super) dynamo: aws_sdk_dynamodb::Client,
    table: String,
}

impl Clients {
    pub(crate) const fn new(dynamo: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { dynamo, table }
    }

    /// The client of that id, unless it has expired.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &ClientId, now: Timestamp) -> Result<Option<Client>, UpstreamError> {
        let mut items = batch_get_items(&self.dynamo, &[self.key(id)]).await?;
        self.read(items.pop().flatten(), now)
    }

    /// The clients of `ids` that have not expired, each once, in one call per hundred.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find_all(&self, ids: &[ClientId], now: Timestamp) -> Result<Vec<Client>, UpstreamError> {
        let mut distinct: Vec<_> = ids.iter().collect();
        distinct.sort_by_key(|id| id.as_str());
        distinct.dedup();
        if distinct.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = distinct.into_iter().map(|id| self.key(id)).collect();
        let mut found = Vec::new();
        for item in batch_get_items(&self.dynamo, &keys).await? {
            found.extend(self.read(item, now)?);
        }
        Ok(found)
    }

    /// Stores a client, unless it is blocked. The id of a registered client is derived from its content, so
    /// writing it again changes nothing but perhaps its expiry. The id of a confidential client was chosen,
    /// and is never overwritten.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put(&self, client: &Client) -> Result<PutOutcome, UpstreamError> {
        const CALL: &str = "DynamoDB.PutItem";
        let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let item = Item::default()
            .with("id", client.id.as_str())
            .with_some("name", client.name.as_deref())
            .with("redirect_uris", uris)
            .with("refreshes", client.refreshes);
        let put = self.dynamo.put_item().table_name(&self.table);
        let put = match &client.kind {
            // Registering again must not shorten the life of a client in use.
            ClientKind::Registered { expires } => put
                .set_item(Some(item.with("kind", "registered").with("expires", *expires).into_inner()))
                .condition_expression("attribute_not_exists(id) OR expires < :expires")
                .expression_attribute_values(":expires", AttributeValue::N(expires.seconds().to_string())),
            // Two requests may store the same document at once. Both write the same.
            ClientKind::Document(DocumentFetch { fetched, fresh, digest, expires }) => put
                .set_item(Some(
                    item.with("kind", "document")
                        .with("fetched", *fetched)
                        .with("fresh", *fresh)
                        .with("digest", digest.as_bytes().as_slice())
                        .with("expires", *expires)
                        .into_inner(),
                ))
                .condition_expression("attribute_not_exists(id) OR expires <= :fetched")
                .expression_attribute_values(":fetched", Value::from(*fetched).0),
            ClientKind::Confidential { secrets } => {
                let of = |secret: &ClientSecretDigest| (to_text(secret.digest.as_bytes()), Value::from(secret.made).0);
                let secrets = Value(AttributeValue::M(secrets.iter().map(of).collect()));
                put.set_item(Some(item.with("kind", "confidential").with("secrets", secrets).into_inner()))
                    .condition_expression("attribute_not_exists(id)")
            }
            ClientKind::Blocked { .. } => return Ok(PutOutcome::Blocked),
        };
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(PutOutcome::Written) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                let there = refusal.item().cloned().map(Item::new).unwrap_or_default();
                Ok(if there.text("kind") == Some(BLOCKED) { PutOutcome::Blocked } else { PutOutcome::Unchanged })
            }
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    /// Every client that has not expired at `now`, by id. Reads the whole table: only for operators.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn list(&self, now: Timestamp) -> Result<Vec<Client>, UpstreamError> {
        const CALL: &str = "DynamoDB.Scan";
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let page = self.dynamo.scan().table_name(&self.table).consistent_read(true).set_exclusive_start_key(from);
            let page = page.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
            for item in page.items.unwrap_or_default() {
                found.extend(self.read(Some(Item::new(item)), now)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        found.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        Ok(found)
    }

    /// Adds a secret to a confidential client. False if there is no such client, or it has [`MAX_SECRETS`]
    /// already.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn add_secret(&self, id: &ClientId, secret: &ClientSecretDigest) -> Result<bool, UpstreamError> {
        let update = self
            .change_secrets(id, &secret.digest)
            .update_expression("SET secrets.#digest = :made")
            .condition_expression("kind = :confidential AND size(secrets) < :most")
            .expression_attribute_values(":confidential", AttributeValue::S("confidential".to_owned()))
            .expression_attribute_values(":most", AttributeValue::N(MAX_SECRETS.to_string()))
            .expression_attribute_values(":made", Value::from(secret.made).0);
        condition_held(update.send().await)
    }

    /// Removes a secret. False if the client does not have it, or has no other one.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remove_secret(&self, id: &ClientId, digest: &Digest) -> Result<bool, UpstreamError> {
        let update = self
            .change_secrets(id, digest)
            .update_expression("REMOVE secrets.#digest")
            .condition_expression("attribute_exists(secrets.#digest) AND size(secrets) > :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        condition_held(update.send().await)
    }

    fn change_secrets(&self, id: &ClientId, digest: &Digest) -> UpdateItemFluentBuilder {
        let update = self.dynamo.update_item().table_name(&self.table).set_key(Some(self.key(id).attribute_values()));
        update.expression_attribute_names("#digest", to_text(digest.as_bytes()))
    }

    /// Deletes a client. Whether there was one. A client that registers itself may do so again: see
    /// [`Self::block`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remove(&self, id: &ClientId) -> Result<bool, UpstreamError> {
        const CALL: &str = "DynamoDB.DeleteItem";
        let delete = self.dynamo.delete_item().table_name(&self.table).set_key(Some(self.key(id).attribute_values()));
        let deleted = delete.return_values(ReturnValue::AllOld).send().await;
        Ok(deleted.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?.attributes.is_some())
    }

    /// Writes the tombstone of a client, known or not. Until it is removed, no client of that id can
    /// register, connect or get tokens. `name` is the name that people know it by. The caller revokes its
    /// grants.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn block(&self, id: &ClientId, name: Option<&str>, now: Timestamp) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.PutItem";
        let item = Item::default().with("id", id.as_str()).with("kind", BLOCKED).with_some("name", name);
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.with("since", now).into_inner()));
        put.send().await.map(|_| ()).map_err(|error| upstream_call::failed_at_aws(CALL, &error))
    }

    /// Removes a tombstone. Whether there was one. The client is unknown afterwards.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn unblock(&self, id: &ClientId) -> Result<bool, UpstreamError> {
        const CALL: &str = "DynamoDB.DeleteItem";
        let delete = self.dynamo.delete_item().table_name(&self.table).set_key(Some(self.key(id).attribute_values()));
        let delete = delete.condition_expression("kind = :blocked");
        let delete = delete.expression_attribute_values(":blocked", Value::from(BLOCKED).0);
        let Err(error) = delete.send().await else {
            return Ok(true);
        };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    /// Stores the newly fetched metadata of a known client, unless a later fetch is stored already. The
    /// expiry does not change.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_refetched(&self, client: &Client, found: &DocumentFetch) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(client.id.as_str().to_owned()))
            .condition_expression("fetched <= :fetched")
            .update_expression(
                "SET #name = :name, redirect_uris = :uris, refreshes = :refreshes, fetched = :fetched, fresh = :fresh, \
                 digest = :digest",
            )
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", Value::from(client.name.as_deref().unwrap_or_default()).0)
            .expression_attribute_values(":uris", Value::from(uris).0)
            .expression_attribute_values(":refreshes", Value::from(client.refreshes).0)
            .expression_attribute_values(":fetched", Value::from(found.fetched).0)
            .expression_attribute_values(":fresh", Value::from(found.fresh).0)
            .expression_attribute_values(":digest", Value::from(found.digest.as_bytes().as_slice()).0);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(())
            }
            Err(error) => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    /// The write that extends the expiry of a client beyond that of any grant approved now. None if it is
    /// long enough already.
    pub(super) fn expiry_extension(&self, client: &Client, now: Timestamp) -> Option<ExpiryExtension> {
        // Ten days more than needed, so that most approvals need no write.
        const MARGIN: Duration = Duration::from_hours(10 * 24);

        let (ClientKind::Registered { expires } | ClientKind::Document(DocumentFetch { expires, .. })) = &client.kind
        else {
            return None;
        };
        let needed = now.plus(ABSOLUTE_LIFETIME).plus(UNUSED_RETENTION);
        (*expires < needed).then(|| ExpiryExtension {
            table: self.table.clone(),
            client: client.id.clone(),
            needed,
            until: needed.plus(MARGIN),
        })
    }

    pub(super) fn key<'a>(&'a self, id: &ClientId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", id.as_str().to_owned())] }
    }

    pub(super) fn read(&self, item: Option<Item>, now: Timestamp) -> Result<Option<Client>, UpstreamError> {
        let Some(item) = item else { return Ok(None) };
        let client = read(&item).ok_or_else(|| unparsable_item(&self.table))?;
        Ok(client.is_alive(now).then_some(client))
    }
}

/// The extension of a client's expiry, as a part of a transaction.
#[derive(Clone)]
pub(super) struct ExpiryExtension {
    table: String,
    client: ClientId,
    /// What a grant approved now needs.
    needed: Timestamp,
    until: Timestamp,
}

impl ExpiryExtension {
    /// The write. It never shortens a life. A tombstone must not expire: that would let the client back in.
    pub(super) fn update(&self) -> Result<Update, UpstreamError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key("id", AttributeValue::S(self.client.as_str().to_owned()))
            .update_expression("SET expires = :expires")
            .condition_expression("attribute_exists(id) AND kind <> :blocked AND expires < :expires")
            .expression_attribute_values(":blocked", Value::from(BLOCKED).0)
            .expression_attribute_values(":expires", Value::from(self.until).0)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        update.map_err(|error| upstream_call::failed("DynamoDB.TransactWriteItems", error.to_string()))
    }

    /// Whether the client, as it is now, lives long enough without it.
    pub(super) fn is_needless(&self, client: &Item) -> bool {
        client.text("kind") != Some(BLOCKED) && client.time("expires").is_some_and(|expires| expires >= self.needed)
    }
}

/// Whether a conditional write was done.
fn condition_held(result: Result<UpdateItemOutput, SdkError<UpdateItemError>>) -> Result<bool, UpstreamError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) => {
            Ok(false)
        }
        Err(error) => Err(upstream_call::failed_at_aws("DynamoDB.UpdateItem", &error)),
    }
}

fn read(item: &Item) -> Option<Client> {
    if item.text("kind")? == BLOCKED {
        return Some(Client {
            id: ClientId::parse(item.text("id")?)?,
            name: item.text("name").map(str::to_owned),
            redirect_uris: Vec::new(),
            refreshes: false,
            kind: ClientKind::Blocked { since: item.time("since")? },
        });
    }
    let redirect_uris = item.texts("redirect_uris")?.into_iter().map(RedirectUri::parse).collect::<Option<_>>()?;
    let kind = match item.text("kind")? {
        "registered" => ClientKind::Registered { expires: item.time("expires")? },
        "confidential" => {
            let secret = |(digest, made): (&String, &AttributeValue)| {
                let made = made.as_n().ok()?.parse().ok().map(Timestamp::from_seconds)?;
                Some(ClientSecretDigest { digest: Digest::from_bytes(&from_text::<32>(digest)?)?, made })
            };
            let mut secrets = item.map("secrets")?.iter().map(secret).collect::<Option<Vec<_>>>()?;
            secrets.sort_by_key(|secret| (secret.made, *secret.digest.as_bytes()));
            ClientKind::Confidential { secrets }
        }
        "document" => ClientKind::Document(DocumentFetch {
            fetched: item.time("fetched")?,
            fresh: item.time("fresh")?,
            digest: Digest::from_bytes(item.bytes("digest")?)?,
            expires: item.time("expires")?,
        }),
        _ => return None,
    };
    Some(Client {
        id: ClientId::parse(item.text("id")?)?,
        name: item.text("name").map(str::to_owned),
        redirect_uris,
        refreshes: item.flag("refreshes")?,
        kind,
    })
}
