//! Clients, by id. Beside them lie the blocked hosts (`blocked_hosts.rs`), what limits the fetching of
//! documents (`document_fetches.rs`) and the attempts to sign in (`sign_in_attempts.rs`), and when Supabase vouched for
//! its shared secret (`shared_secret.rs`).
//!
//! ```text
//! registered    { id: "c_…", kind: "registered", name?: "Claude", redirect_uris: ["https://…"], refreshes: true, expires: 1795… }
//! confidential  { id: "acme-cowork", kind: "confidential", name: "Acme", redirect_uris: […], refreshes: true, secrets: { "<digest>": 1795… } }
//! private_key   { id: "acme-agent", kind: "private_key", name: "Acme", redirect_uris: […], refreshes: true } + keys
//! document      { id: "https://claude.ai/oauth/…", kind: "document", name: "Claude", redirect_uris: ["https://…"], refreshes: true,
//!                 fetched: 1795…, fresh: 1795…, digest: <32 bytes>, expires: 1795… }, and if it proves itself by a key
//!                 + { authentication: "private_key_jwt" or "either" } + keys
//! keys          { signing_alg?: "RS256", jwks: "{\"keys\":[…]}" } or
//!               { signing_alg?: "RS256", jwks_uri: "https://…", jwks?: "{…}", jwks_fetched?: 1795…,
//!                 jwks_tried?: 1795…, jwks_claim?: <16 bytes> }
//! blocked       { id: "c_…", kind: "blocked", name?: "Claude", since: 1795… }
//! removed       { id: "c_…", kind: "removed", since: 1795…, expires: 1796… }
//! every one     + { made_by?: <16 bytes> }
//! ```
//!
//! `secrets` maps the digest of each secret, in base64url, to the time when it was created. `jwks` holds the keys that
//! can be used. Of a set at an address, `jwks_fetched` says since when. While one request fetches it, and for
//! as long as nobody shall do so again, there are `jwks_tried`, when it began, and `jwks_claim`, which request.
//!
//! `expires` is set when a client is first seen. After that only approvals extend it: a client of a metadata
//! document is kept as long as its grants.
//!
//! A blocked client is a tombstone that only an operator writes and removes. Every write of anybody else has
//! the condition that there is none.
//!
//! A client that was removed or unblocked leaves an item for a week. It counts as no client. Whoever registers
//! or describes itself may do so over it: that is what they may do at any time, so it does no harm if it
//! happens late. Nothing else may: a client with a secret comes back only when an operator adds it again.
//!
//! `made_by` identifies the write of an operator, and every put of a client. An operator's write changes the
//! item with the `made_by` that was read, and no other. So one that arrives late finds another and changes
//! nothing, and a retry after a lost response recognises its own write.

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure, Update};

use super::item::{Item, Value, unparsable_item};
use super::item_update::{ItemUpdate, MADE_BY, UpdateOutcome, write_as_read};
use super::transaction::build_error;
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::jwk::{JwkSet, SigningAlgorithm};
use crate::oauth::blocked_hosts::BlockedHosts;
use crate::oauth::client::{Client, ClientId, ClientKind, ClientSecretDigest, DocumentAuthentication, DocumentFetch};
use crate::oauth::client_keys::{CachedJwks, ClientKeys, KeySource, RemoteJwks};
use crate::oauth::grant::ABSOLUTE_LIFETIME;
use crate::oauth::redirect_uri::{RedirectUri, RedirectUriError};
use crate::oauth::secret::{Digest, Secret, from_text, to_text};
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

/// The kind of a client that an operator blocked.
const BLOCKED: &str = "blocked";
/// The kind of what is left of a client that was removed or unblocked.
const REMOVED: &str = "removed";
/// The kind of the blocked hosts.
pub(super) const BLOCKED_HOSTS: &str = "blocked_hosts";
/// The kind of a count of fetched documents.
pub(super) const FETCHES: &str = "fetches";
/// The kind of a document's address that failed and is no known client.
pub(super) const UNAVAILABLE: &str = "unavailable";
/// The kind of the time when Supabase vouched for its shared secret.
pub(super) const SHARED_SECRET: &str = "shared_secret";
/// The kind of the attempts to sign in from an address.
pub(super) const SIGN_INS: &str = "sign_ins";
/// The kind of a client that an operator registered.
const CONFIDENTIAL: &str = "confidential";
/// The kind of a client that an operator registered with its keys.
const PRIVATE_KEY: &str = "private_key";

/// How long a removed client leaves an item: far longer than a write can be late.
const REMOVED_RETENTION: Duration = Duration::from_hours(7 * 24);

/// The attributes that describe a client. After its removal nothing is left of them.
const ATTRIBUTES: [&str; 14] = [
    "name",
    "redirect_uris",
    "refreshes",
    "secrets",
    "fetched",
    "fresh",
    "digest",
    "authentication",
    "signing_alg",
    "jwks",
    "jwks_uri",
    "jwks_fetched",
    "jwks_tried",
    "jwks_claim",
];

/// The table of clients.
#[derive(Clone)]
pub struct Clients {
    pub(super) dynamo: aws_sdk_dynamodb::Client,
    pub(super) table: String,
}

impl Clients {
    pub(crate) const fn new(dynamo: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { dynamo, table }
    }

    /// The client of that id, unless it has expired. It is blocked if a host of it is.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &ClientId, now: Timestamp) -> Result<Option<Client>, UpstreamError> {
        let mut items = batch_get_items(&self.dynamo, &[self.key(id), self.blocked_hosts_key()]).await?;
        let hosts = self.read_blocked_hosts(items.pop().flatten().as_ref())?;
        Ok(self.read(items.pop().flatten(), now)?.map(|client| hosts.apply(client)))
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
        let (item, put) = match &client.kind {
            // Registering again must not shorten the life of a client in use.
            ClientKind::Registered { expires } => (
                item.with("kind", "registered").with("expires", *expires),
                put.condition_expression("attribute_not_exists(id) OR kind = :removed OR expires < :expires")
                    .expression_attribute_values(":expires", Value::from(*expires).0),
            ),
            // Two requests may store the same document at once. Both write the same.
            ClientKind::Document(DocumentFetch { fetched, fresh, digest, expires }, authentication) => (
                key_attributes(authentication.keys())
                    .into_iter()
                    .fold(item, |item, (name, value)| item.with_some(name, value))
                    .with_some("authentication", authentication_text(authentication))
                    .with("kind", "document")
                    .with("fetched", *fetched)
                    .with("fresh", *fresh)
                    .with("digest", digest.as_bytes().as_slice())
                    .with("expires", *expires),
                put.condition_expression(
                    "attribute_not_exists(id) OR kind IN (:removed, :unavailable) OR expires <= :fetched",
                )
                .expression_attribute_values(":fetched", Value::from(*fetched).0)
                .expression_attribute_values(":unavailable", Value::from(UNAVAILABLE).0),
            ),
            ClientKind::Confidential { .. } | ClientKind::PrivateKeyJwt(_) => return self.put_by_hand(client).await,
            ClientKind::Blocked { .. } => return Ok(PutOutcome::Blocked),
        };
        let item = item.with(MADE_BY, Secret::<16>::random().expose().as_slice());
        let put = put
            .set_item(Some(item.into_inner()))
            .expression_attribute_values(":removed", Value::from(REMOVED).0)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(PutOutcome::Written) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                Ok(put_refused(refusal.item().cloned().map(Item::new).as_ref()))
            }
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    /// Stores a client that an operator registers, unless its id is taken.
    async fn put_by_hand(&self, client: &Client) -> Result<PutOutcome, UpstreamError> {
        let outcome = self.change(&client.id, |update, there| {
            let is_free = there.is_none_or(|there| there.text("kind") == Some(REMOVED));
            let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
            let update = match &client.kind {
                ClientKind::Confidential { secrets } => {
                    update.set("kind", CONFIDENTIAL).set("secrets", secrets_map(secrets))
                }
                _ => key_attributes(client.keys())
                    .into_iter()
                    .fold(update.set("kind", PRIVATE_KEY), |update, (name, value)| update.set_or_remove(name, value)),
            };
            is_free.then(|| {
                update
                    .set_or_remove("name", client.name.as_deref())
                    .set("redirect_uris", uris)
                    .set("refreshes", client.refreshes)
                    .remove(["since", "expires"])
            })
        });
        Ok(match outcome.await? {
            UpdateOutcome::Applied => PutOutcome::Written,
            UpdateOutcome::Refused(there) => put_refused(there.as_ref()),
        })
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
        self.change_secrets(id, |mut secrets| {
            secrets.push(*secret);
            (secrets.len() <= MAX_SECRETS).then_some(secrets)
        })
        .await
    }

    /// Removes a secret. False if the client does not have it, or has no other one.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remove_secret(&self, id: &ClientId, digest: &Digest) -> Result<bool, UpstreamError> {
        self.change_secrets(id, |mut secrets| {
            let before = secrets.len();
            secrets.retain(|secret| !secret.digest.matches(digest));
            (!secrets.is_empty() && secrets.len() < before).then_some(secrets)
        })
        .await
    }

    /// Replaces the secrets of a confidential client by those that `change` makes of them. False if it makes
    /// none, or there is no such client.
    async fn change_secrets(
        &self,
        id: &ClientId,
        change: impl Fn(Vec<ClientSecretDigest>) -> Option<Vec<ClientSecretDigest>>,
    ) -> Result<bool, UpstreamError> {
        let outcome = self.change(id, |update, there| {
            let there = there.filter(|there| there.text("kind") == Some(CONFIDENTIAL))?;
            Some(update.set("secrets", secrets_map(&change(read_secrets(there)?)?)))
        });
        Ok(outcome.await?.is_applied())
    }

    /// Removes a client. Whether there was one. A client that registers itself may do so again: see
    /// [`Self::block`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remove(&self, id: &ClientId, now: Timestamp) -> Result<bool, UpstreamError> {
        let outcome = self.change(id, |update, there| {
            let kind = there?.text("kind");
            (!matches!(kind, Some(BLOCKED | REMOVED))).then(|| removal(update, now))
        });
        Ok(outcome.await?.is_applied())
    }

    /// Whether the client was removed or unblocked within the last week, and is unknown since.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn was_removed(&self, id: &ClientId) -> Result<bool, UpstreamError> {
        let item = batch_get_items(&self.dynamo, &[self.key(id)]).await?.pop().flatten();
        Ok(item.is_some_and(|item| item.text("kind") == Some(REMOVED)))
    }

    /// Writes the tombstone of a client, known or not. Until it is removed, no client of that id can
    /// register, connect or get tokens. `name` is the name that people know it by. The caller revokes its
    /// grants.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn block(&self, id: &ClientId, name: Option<&str>, now: Timestamp) -> Result<(), UpstreamError> {
        let [_name, others @ ..] = ATTRIBUTES;
        let outcome = self.change(id, |update, _| {
            let update = update.set("kind", BLOCKED).set("since", now).set_or_remove("name", name);
            Some(update.remove(others).remove(["expires"]))
        });
        outcome.await.map(drop)
    }

    /// Removes the tombstone of a blocked client. Whether there was one. The client is unknown afterwards.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn unblock(&self, id: &ClientId, now: Timestamp) -> Result<bool, UpstreamError> {
        let outcome = self.change(id, |update, there| {
            let kind = there?.text("kind");
            (kind == Some(BLOCKED)).then(|| removal(update, now))
        });
        Ok(outcome.await?.is_applied())
    }

    /// Reads the item of a client, and writes what `change` makes of it if nobody has written it meanwhile. `Refused`,
    /// with the item, if it makes nothing.
    async fn change(
        &self,
        id: &ClientId,
        change: impl Fn(ItemUpdate, Option<&Item>) -> Option<ItemUpdate>,
    ) -> Result<UpdateOutcome, UpstreamError> {
        write_as_read(&self.dynamo, &self.key(id), |update, there| Ok(change(update, there))).await
    }

    /// Stores the newly fetched metadata of a known client, unless a later fetch is stored already, or it was
    /// removed or blocked since. The expiry does not change. One that arrives late replaces nothing but a fetch
    /// of the same second. What is known of a key set at the same address as before stays.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_refetched(
        &self,
        client: &Client,
        found: &DocumentFetch,
        authentication: &DocumentAuthentication,
    ) -> Result<(), UpstreamError> {
        let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let update = ItemUpdate::default()
            .set("redirect_uris", uris)
            .set("refreshes", client.refreshes)
            .set("fetched", found.fetched)
            .set("fresh", found.fresh)
            .set("digest", found.digest.as_bytes().as_slice())
            .set_or_remove("name", client.name.as_deref())
            .set_or_remove("authentication", authentication_text(authentication))
            .when_at_most("fetched", found.fetched);
        let is_known_set = client.remote_keys().is_some_and(RemoteJwks::is_known);
        let update = key_attributes(authentication.keys())
            .into_iter()
            .filter(|(name, _)| !(is_known_set && CACHED_KEYS.contains(name)))
            .fold(update, |update, (name, value)| update.set_or_remove(name, value));
        // If it is refused, what is stored is as good.
        update.write_unmarked(&self.dynamo, &self.key(&client.id)).await.map(drop)
    }

    /// Claims the fetch of a client's key set at `now`, as it was read as `remote`: one of several requests does.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn claim_jwks_fetch(
        &self,
        id: &ClientId,
        remote: &RemoteJwks,
        now: Timestamp,
    ) -> Result<bool, UpstreamError> {
        let (claim, key) = (*Secret::<16>::random().expose(), self.key(id));
        let update = ItemUpdate::default()
            .set("jwks_tried", now)
            .set("jwks_claim", claim.as_slice())
            .when_equal("jwks_uri", remote.uri.as_str())
            .when_equal_or_absent("jwks_tried", remote.tried);
        if update.write_unmarked(&self.dynamo, &key).await?.is_applied() {
            return Ok(true);
        }
        // It may have been our own first try that is in the way.
        let there = batch_get_items(&self.dynamo, &[key]).await?.pop().flatten();
        Ok(there.is_some_and(|there| there.bytes("jwks_claim") == Some(&claim)))
    }

    /// Stores the key set that was fetched by the claim of `claimed`, unless there was another claim since, or the
    /// client has another key set by now. The claim ends unless it `pauses` others.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_fetched_jwks(
        &self,
        id: &ClientId,
        uri: &str,
        set: &JwkSet,
        claimed: Timestamp,
        pauses: bool,
    ) -> Result<(), UpstreamError> {
        let update = ItemUpdate::default()
            .set("jwks", jwks_text(set))
            .set("jwks_fetched", claimed)
            .when_equal("jwks_uri", uri)
            .when_equal("jwks_tried", claimed);
        let update = if pauses { update } else { update.remove(["jwks_tried", "jwks_claim"]) };
        update.write_unmarked(&self.dynamo, &self.key(id)).await.map(drop)
    }

    /// The write that extends the expiry of a client beyond that of any grant approved now. None if it is
    /// long enough already.
    pub(super) fn expiry_extension(&self, client: &Client, now: Timestamp) -> Option<ExpiryExtension> {
        // Ten days more than needed, so that most approvals need no write.
        const MARGIN: Duration = Duration::from_hours(10 * 24);

        let (ClientKind::Registered { expires } | ClientKind::Document(DocumentFetch { expires, .. }, _)) =
            &client.kind
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

    /// The key of the blocked hosts. No client has that id.
    pub(super) fn blocked_hosts_key(&self) -> Key<'_> {
        Key { table: &self.table, attributes: vec![("id", "blocked hosts".to_owned())] }
    }

    pub(super) fn read_blocked_hosts(&self, item: Option<&Item>) -> Result<BlockedHosts, UpstreamError> {
        let Some(item) = item else { return Ok(BlockedHosts::default()) };
        let host = |(host, since): (&String, &AttributeValue)| {
            Some((host.clone(), Timestamp::from_seconds(since.as_n().ok()?.parse().ok()?)))
        };
        let hosts = item.map("hosts").and_then(|hosts| hosts.iter().map(host).collect());
        hosts.map(BlockedHosts::new).ok_or_else(|| unparsable_item(&self.table))
    }

    pub(super) fn key<'a>(&'a self, id: &ClientId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", id.as_str().to_owned())] }
    }

    pub(super) fn read(&self, item: Option<Item>, now: Timestamp) -> Result<Option<Client>, UpstreamError> {
        const OTHERS: [&str; 6] = [REMOVED, BLOCKED_HOSTS, FETCHES, UNAVAILABLE, SHARED_SECRET, SIGN_INS];
        let is_client = |item: &Item| item.text("kind").is_none_or(|kind| !OTHERS.contains(&kind));
        let Some(item) = item.filter(is_client) else { return Ok(None) };
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
    /// The write. It never shortens a life. A tombstone must not expire: that would let the client back in. And what is left of a
    /// removed client is no client.
    pub(super) fn update(&self) -> Result<Update, UpstreamError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key("id", AttributeValue::S(self.client.as_str().to_owned()))
            .update_expression("SET expires = :expires")
            .condition_expression("attribute_exists(id) AND NOT kind IN (:blocked, :removed) AND expires < :expires")
            .expression_attribute_values(":blocked", Value::from(BLOCKED).0)
            .expression_attribute_values(":removed", Value::from(REMOVED).0)
            .expression_attribute_values(":expires", Value::from(self.until).0)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        update.map_err(|error| build_error(&error))
    }

    /// Whether the client, as it is now, lives long enough without it.
    pub(super) fn is_needless(&self, client: &Item) -> bool {
        !matches!(client.text("kind"), Some(BLOCKED | REMOVED))
            && client.time("expires").is_some_and(|expires| expires >= self.needed)
    }
}

/// Completes `update` to what is left of a client that was removed or unblocked.
fn removal(update: ItemUpdate, now: Timestamp) -> ItemUpdate {
    let update = update.set("kind", REMOVED).set("since", now).set("expires", now.plus(REMOVED_RETENTION));
    update.remove(ATTRIBUTES)
}

/// Why a client was not put: what is `there`.
fn put_refused(there: Option<&Item>) -> PutOutcome {
    let is_blocked = there.is_some_and(|there| there.text("kind") == Some(BLOCKED));
    if is_blocked { PutOutcome::Blocked } else { PutOutcome::Unchanged }
}

fn secrets_map(secrets: &[ClientSecretDigest]) -> Value {
    let of = |secret: &ClientSecretDigest| (to_text(secret.digest.as_bytes()), Value::from(secret.made).0);
    Value(AttributeValue::M(secrets.iter().map(of).collect()))
}

/// What is known of a key set at an address.
const CACHED_KEYS: [&str; 4] = ["jwks", "jwks_fetched", "jwks_tried", "jwks_claim"];

/// Every attribute of a client's keys, with its value if it has one.
fn key_attributes(keys: Option<&ClientKeys>) -> [(&'static str, Option<Value>); 6] {
    let (inline, remote) = match keys.map(|keys| &keys.source) {
        None => (None, None),
        Some(KeySource::Inline(set)) => (Some(set), None),
        Some(KeySource::Remote(remote)) => (None, Some(remote)),
    };
    let cached = remote.and_then(|remote| remote.cached.as_ref());
    let algorithm = keys.and_then(|keys| keys.algorithm);
    [
        ("signing_alg", algorithm.map(|algorithm| Value::from(algorithm.as_str()))),
        ("jwks_uri", remote.map(|remote| Value::from(remote.uri.as_str()))),
        ("jwks", inline.or(cached.map(|cached| &cached.set)).map(|set| Value::from(jwks_text(set)))),
        ("jwks_fetched", cached.map(|cached| Value::from(cached.fetched))),
        ("jwks_tried", remote.and_then(|remote| remote.tried).map(Value::from)),
        ("jwks_claim", None),
    ]
}

fn jwks_text(set: &JwkSet) -> String {
    serde_json::to_string(set).unwrap_or_default()
}

fn read_jwks(text: &str) -> Option<JwkSet> {
    JwkSet::parse(&serde_json::from_str(text).ok()?).ok()
}

fn read_keys(item: &Item) -> Option<ClientKeys> {
    let set = match item.text("jwks") {
        Some(text) => Some(read_jwks(text)?),
        None => None,
    };
    let source = match item.text("jwks_uri") {
        Some(uri) => KeySource::Remote(RemoteJwks {
            uri: uri.to_owned(),
            cached: match set {
                Some(set) => Some(CachedJwks { set, fetched: item.time("jwks_fetched")? }),
                None => None,
            },
            tried: if item.has("jwks_tried") { Some(item.time("jwks_tried")?) } else { None },
        }),
        None => KeySource::Inline(set?),
    };
    let algorithm = match item.text("signing_alg") {
        Some(name) => Some(SigningAlgorithm::parse(name)?),
        None => None,
    };
    Some(ClientKeys { source, algorithm })
}

/// The attribute `authentication`: none for a client that proves itself by nothing.
const fn authentication_text(authentication: &DocumentAuthentication) -> Option<&'static str> {
    match authentication {
        DocumentAuthentication::Public => None,
        DocumentAuthentication::PrivateKeyJwt(_) => Some("private_key_jwt"),
        DocumentAuthentication::Either(_) => Some("either"),
    }
}

fn read_authentication(item: &Item) -> Option<DocumentAuthentication> {
    match item.text("authentication") {
        None => Some(DocumentAuthentication::Public),
        Some("private_key_jwt") => read_keys(item).map(DocumentAuthentication::PrivateKeyJwt),
        Some("either") => read_keys(item).map(DocumentAuthentication::Either),
        Some(_) => None,
    }
}

/// The oldest first.
fn read_secrets(item: &Item) -> Option<Vec<ClientSecretDigest>> {
    let secret = |(digest, made): (&String, &AttributeValue)| {
        let made = made.as_n().ok()?.parse().ok().map(Timestamp::from_seconds)?;
        Some(ClientSecretDigest { digest: Digest::from_bytes(&from_text::<32>(digest)?)?, made })
    };
    let mut secrets = item.map("secrets")?.iter().map(secret).collect::<Option<Vec<_>>>()?;
    secrets.sort_by_key(|secret| (secret.made, *secret.digest.as_bytes()));
    Some(secrets)
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
    let stored = item.texts("redirect_uris")?.into_iter().map(RedirectUri::from_stored).collect::<Option<Vec<_>>>()?;
    // What an earlier version took, and is refused now, was not registered. But a host is blocked by its other name too.
    let counts = |stored: &RedirectUri| {
        matches!(RedirectUri::parse(stored.as_str()), Ok(_) | Err(RedirectUriError::TrailingDot))
    };
    let redirect_uris = stored.into_iter().filter(counts).collect();
    let kind = match item.text("kind")? {
        "registered" => ClientKind::Registered { expires: item.time("expires")? },
        CONFIDENTIAL => ClientKind::Confidential { secrets: read_secrets(item)? },
        PRIVATE_KEY => ClientKind::PrivateKeyJwt(read_keys(item)?),
        "document" => {
            let fetch = DocumentFetch {
                fetched: item.time("fetched")?,
                fresh: item.time("fresh")?,
                digest: Digest::from_bytes(item.bytes("digest")?)?,
                expires: item.time("expires")?,
            };
            ClientKind::Document(fetch, read_authentication(item)?)
        }
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
