//! Grants, by id; indexes by tenant and by person.
//!
//! ```text
//! every state  { id, state, client, person, tenant, resource, scope: "skills:read offline_access", created: 1795…,
//!                email?: "ana@example.com", code: <digest>, challenge: <digest>, redirect_uri, expires: 1795…, made_by?: <16 bytes> }
//! issued       + { effective: "skills:read" }
//! active       + { since: 1795…, seen: 0, used?: 1795… }, and if it can be refreshed
//!              + { family_digest: <digest>, generation: 1, salt: <16 bytes>, previous?: <16 bytes>, turned: 1795…,
//!                  answered?: 1795… }
//! ended        + { why: "revoked", ended: 1795… }
//!
//! Issued and active, once the person's role has changed, + { limited_to: "skills:read", limited_through: 2, limited_by: 17 }:
//! what tokens up to that generation may still do, and the number of the membership's change that says so.
//! ```
//!
//! The same table has the pending scopes: [`super::pending_scopes`].
//!
//! Every transition is one conditional write, and a refused one returns the item as it is. So the table
//! decides races. `made_by` identifies the write that made the state: a retry after a lost response
//! recognises its own write by it.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::clients::Clients;
use super::item::{Item, Value, unparsable_item};
use super::pending_scopes::{self, PendingScopes};
use super::{Key, batch_get_items};
use crate::clock::Timestamp;
use crate::oauth::client::{Client, ClientId};
use crate::oauth::grant::{Active, Approval, CodeBinding, Grant, GrantState, Limit, RevocationReason, VerifiedCode};
use crate::oauth::grant_id::GrantId;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::refresh_token_rotation::{RotationNonce, TokenFamily};
use crate::oauth::resource::Resource;
use crate::oauth::scope::Scopes;
use crate::oauth::secret::{Digest, Secret};
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const UPDATE: &str = "DynamoDB.UpdateItem";

/// The value that identifies the write of a transition.
const MADE_BY: &str = ":made_by";

/// How long a revoked grant is kept, for investigations.
const RETENTION: Duration = Duration::from_hours(30 * 24);

/// The table of grants.
#[derive(Clone)]
pub struct Grants {
    pub(super) dynamo: aws_sdk_dynamodb::Client,
    pub(super) table: String,
}

/// The outcome of a compare-and-swap.
pub enum Update {
    /// This call made the change.
    Applied,
    /// Another call was first: the grant as it is now.
    Conflict(Box<Grant>),
    /// The grant is no longer there.
    NotFound,
}

impl Grants {
    pub(crate) const fn new(dynamo: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { dynamo, table }
    }

    /// The grant of that id.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &GrantId) -> Result<Option<Grant>, UpstreamError> {
        const CALL: &str = "DynamoDB.GetItem";
        let get = self.dynamo.get_item().table_name(&self.table).key("id", AttributeValue::S(id.to_text()));
        let answer =
            get.consistent_read(true).send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        self.read(answer.item.map(Item::new))
    }

    /// A client and the grant that its request names, in one call.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find_with_client(
        &self,
        id: &GrantId,
        clients: &Clients,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<(Option<Client>, Option<Grant>), UpstreamError> {
        let mut items = batch_get_items(&self.dynamo, &[clients.key(client), self.key(id)]).await?;
        let grant = self.read(items.pop().flatten())?;
        Ok((clients.read(items.pop().flatten(), now)?, grant))
    }

    /// Stores a new grant, extends the expiry of its client to that of the grant, and removes the `pending`
    /// scopes of its tenant.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put(
        &self,
        grant: &Grant,
        clients: &Clients,
        client: &Client,
        pending: &PendingScopes,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.TransactWriteItems";

        // The id is random, so a second write can only be a retry. It has no condition, which would refuse a
        // retry after a lost response.
        let item = write(grant).into_inner();
        let updates = [
            clients.expiry_extension(client, now),
            pending_scopes::removal(&self.table, &grant.approval, pending, now),
        ];
        let updates: Vec<_> =
            updates.into_iter().flatten().map(|update| TransactWriteItem::builder().update(update).build()).collect();
        if !updates.is_empty() {
            let put = Put::builder().table_name(&self.table).set_item(Some(item.clone())).build();
            let put = put.map_err(|error| upstream_call::failed(CALL, error.to_string()))?;
            let mut transaction = self.dynamo.transact_write_items().client_request_token(grant.id.to_text());
            for write in std::iter::once(TransactWriteItem::builder().put(put).build()).chain(updates) {
                transaction = transaction.transact_items(write);
            }
            let kept = transaction.send().await;
            match kept {
                Ok(_) => return Ok(()),
                // Another request extends the same client at this moment: many people share one that
                // registers itself. Or a call records a pending scope: then the scope is offered once more.
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(upstream_call::failed_at_aws(CALL, &error)),
            }
        }
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| upstream_call::failed_at_aws("DynamoDB.PutItem", &error))
    }

    /// Issued → active: the code is used. Only the first of several requests succeeds.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn activate(&self, verified: VerifiedCode, active: Active) -> Result<Update, UpstreamError> {
        let grant = verified.into_grant();
        let id = grant.id.clone();
        let after = Grant { state: GrantState::Active(active), ..grant };
        let expires = after.expires();
        let GrantState::Active(active) = after.state else { return Ok(Update::NotFound) };
        let mut update = self
            .transition(&id, "#state = :issued", expires)
            .expression_attribute_values(":issued", AttributeValue::S("issued".to_owned()))
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":since", Value::from(active.since).0)
            .expression_attribute_values(":seen", Value::from(active.seen).0);
        let mut set =
            "SET #state = :active, since = :since, seen = :seen, expires = :expires, made_by = :made_by".to_owned();
        if let Some(family) = &active.family {
            set.push_str(", family_digest = :family, generation = :generation, salt = :salt, turned = :turned");
            update = with_family(update, family)
                .expression_attribute_values(":family", Value::from(family.digest.as_bytes().as_slice()).0);
        }
        self.compare_and_swap(update.update_expression(format!("{set} REMOVE effective"))).await
    }

    /// Rotates the family of `grant` from `current` to `next`, if no other request was faster.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn rotate(
        &self,
        grant: &Grant,
        current: &TokenFamily,
        next: &TokenFamily,
    ) -> Result<Update, UpstreamError> {
        let GrantState::Active(active) = &grant.state else { return Ok(Update::NotFound) };
        let state = GrantState::Active(Active { family: Some(next.clone()), ..active.clone() });
        let expires = Grant { state, ..grant.clone() }.expires();
        let update = self
            .transition(&grant.id, "#state = :active AND salt = :current", expires)
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":current", Value::from(current.current.as_bytes().as_slice()).0)
            .update_expression(
                "SET salt = :salt, previous = :current, generation = :generation, turned = :turned, expires = :expires, \
                 made_by = :made_by REMOVE answered",
            );
        self.compare_and_swap(with_family(update, next)).await
    }

    /// Records that a lost response was issued again, with the family as `next`, unless the family was
    /// rotated since.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn reissue(&self, grant: &Grant, next: &TokenFamily) -> Result<Update, UpstreamError> {
        let GrantState::Active(active) = &grant.state else { return Ok(Update::NotFound) };
        let state = GrantState::Active(Active { family: Some(next.clone()), ..active.clone() });
        let expires = Grant { state, ..grant.clone() }.expires();
        let update = self
            .transition(&grant.id, "#state = :active AND salt = :salt", expires)
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":salt", Value::from(next.current.as_bytes().as_slice()).0)
            .expression_attribute_values(":answered", Value::from(next.last_issued).0)
            .update_expression("SET answered = :answered, expires = :expires, made_by = :made_by");
        self.compare_and_swap(update).await
    }

    /// Records that mcp has seen an access token of `generation`, and when. `Conflict` if a token of this or
    /// a later generation was seen before, or the grant was revoked.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn record_use(&self, id: &GrantId, generation: u32, now: Timestamp) -> Result<Update, UpstreamError> {
        let update = self
            .update(id)
            .condition_expression("#state = :active AND seen < :seen")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":seen", Value::from(generation).0)
            .expression_attribute_values(":now", Value::from(now).0)
            .update_expression("SET seen = :seen, used = :now");
        self.compare_and_swap(update).await
    }

    /// Revokes a grant. Whether this call did: a grant that is revoked already stays as it is. Functions use
    /// [`Revocation`](crate::revocation::Revocation), which records it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn revoke(&self, id: &GrantId, reason: RevocationReason, now: Timestamp) -> Result<bool, UpstreamError> {
        let update = self
            .transition(id, "attribute_exists(id) AND #state <> :ended", now.plus(RETENTION))
            .expression_attribute_values(":ended", AttributeValue::S("ended".to_owned()))
            .expression_attribute_values(":why", Value::from(reason.as_str()).0)
            .expression_attribute_values(":at", Value::from(now).0)
            .update_expression(
                "SET #state = :ended, why = :why, ended = :at, expires = :expires, made_by = :made_by \
                 REMOVE effective, family_digest, generation, salt, previous, turned, answered, since, seen, used, \
                 limited_to, limited_through, limited_by",
            );
        Ok(matches!(self.compare_and_swap(update).await?, Update::Applied))
    }

    /// Limits the issued tokens of a grant to `allowed`, after the membership's change of number `change`.
    /// Whether this call did: a later change and a revocation stay. The limit does not apply to tokens of
    /// later refreshes, which read the role themselves, except to one that runs now.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn restrict(&self, id: &GrantId, allowed: Scopes, change: u64) -> Result<bool, UpstreamError> {
        let number = |number: u32| Value::from(number).0;
        let update = self
            .update(id)
            .condition_expression(
                "#state IN (:issued, :active) AND (attribute_not_exists(limited_by) OR limited_by <= :change)",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":issued", AttributeValue::S("issued".to_owned()))
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":change", Value::from(change).0)
            .expression_attribute_values(":allowed", Value::from(allowed.to_string()).0)
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":one", number(1))
            .update_expression(
                "SET limited_to = :allowed, limited_by = :change, limited_through = if_not_exists(generation, :none) + :one",
            );
        Ok(matches!(self.compare_and_swap(update).await?, Update::Applied))
    }

    /// Records that `client` needs `scopes` of `person` in `tenant`. Scopes that are never offered are left
    /// out.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn record_pending_scopes(
        &self,
        person: &PersonId,
        client: &ClientId,
        tenant: &TenantId,
        scopes: Scopes,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        let update = self.dynamo.update_item().table_name(&self.table);
        let Some(update) = pending_scopes::addition(update, (person, client, tenant), scopes, now) else {
            return Ok(());
        };
        update.send().await.map(|_| ()).map_err(|error| upstream_call::failed_at_aws(UPDATE, &error))
    }

    pub(super) fn pending_scopes_key<'a>(&'a self, person: &PersonId, client: &ClientId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", pending_scopes::id(person, client))] }
    }

    pub(super) fn read_pending_scopes(
        &self,
        item: Option<Item>,
        now: Timestamp,
    ) -> Result<PendingScopes, UpstreamError> {
        let Some(item) = item else { return Ok(PendingScopes::default()) };
        pending_scopes::read(item, now).ok_or_else(|| unparsable_item(&self.table))
    }

    pub(super) fn key<'a>(&'a self, id: &GrantId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", id.to_text())] }
    }

    fn update(&self, id: &GrantId) -> UpdateItemFluentBuilder {
        self.dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(id.to_text()))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    fn transition(&self, id: &GrantId, condition: &str, expires: Timestamp) -> UpdateItemFluentBuilder {
        self.update(id)
            .condition_expression(condition)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":expires", Value::from(expires).0)
            .expression_attribute_values(MADE_BY, Value::from(Secret::<16>::random().expose().as_slice()).0)
    }

    async fn compare_and_swap(&self, update: UpdateItemFluentBuilder) -> Result<Update, UpstreamError> {
        let maker = update.get_expression_attribute_values().as_ref().and_then(|values| values.get(MADE_BY).cloned());
        let Err(error) = update.send().await else { return Ok(Update::Applied) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                let made_by = refusal.item().and_then(|item| item.get("made_by"));
                if maker.is_some() && maker.as_ref() == made_by {
                    return Ok(Update::Applied);
                }
                let item = refusal.item().cloned().map(Item::new);
                Ok(self.read(item)?.map_or(Update::NotFound, |grant| Update::Conflict(Box::new(grant))))
            }
            _ => Err(upstream_call::failed_at_aws(UPDATE, &error)),
        }
    }

    pub(super) fn read(&self, item: Option<Item>) -> Result<Option<Grant>, UpstreamError> {
        item.map(|item| read(&item).ok_or_else(|| unparsable_item(&self.table))).transpose()
    }
}

fn is_conflict(error: &SdkError<TransactWriteItemsError>) -> bool {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("TransactionConflict"))
        }
        _ => false,
    }
}

fn with_family(update: UpdateItemFluentBuilder, family: &TokenFamily) -> UpdateItemFluentBuilder {
    update
        .expression_attribute_values(":generation", Value::from(family.generation).0)
        .expression_attribute_values(":salt", Value::from(family.current.as_bytes().as_slice()).0)
        .expression_attribute_values(":turned", Value::from(family.rotated).0)
}

/// The item of a new grant. Later writes are updates.
fn write(grant: &Grant) -> Item {
    let Grant { id, approval, binding, state } = grant;
    let effective = match state {
        GrantState::Issued { effective } => Some(effective.to_string()),
        _ => None,
    };
    Item::default()
        .with("id", id.to_text())
        .with("state", "issued")
        .with("client", approval.client.as_str())
        .with("person", approval.person.as_str())
        .with("tenant", approval.tenant.as_str())
        .with("resource", approval.resource.to_string())
        .with("scope", approval.scopes.to_string())
        .with("created", approval.at)
        .with_some("email", approval.email.as_deref())
        .with("code", binding.code.as_bytes().as_slice())
        .with("challenge", binding.challenge.as_digest().as_bytes().as_slice())
        .with("redirect_uri", binding.redirect_uri.as_str())
        .with_some("effective", effective)
        .with("expires", grant.expires())
}

fn read(item: &Item) -> Option<Grant> {
    let limit = if item.has("limited_to") {
        Some(Limit { allowed: Scopes::parse(item.text("limited_to")?), through: item.number("limited_through")? })
    } else {
        None
    };
    let state = match item.text("state")? {
        "issued" => {
            let effective = Scopes::parse(item.text("effective")?);
            GrantState::Issued { effective: limit.map_or(effective, |limit| effective.intersection(limit.allowed)) }
        }
        "active" => GrantState::Active(Active {
            since: item.time("since")?,
            family: match item.bytes("family_digest") {
                Some(digest) => Some(read_family(item, digest)?),
                None => None,
            },
            seen: item.number("seen")?,
            used: if item.has("used") { Some(item.time("used")?) } else { None },
            limit,
        }),
        "ended" => GrantState::Revoked {
            reason: RevocationReason::ALL.into_iter().find(|reason| Some(reason.as_str()) == item.text("why"))?,
            at: item.time("ended")?,
        },
        _ => return None,
    };
    Some(Grant {
        id: GrantId::parse(item.text("id")?)?,
        approval: Approval {
            client: ClientId::parse(item.text("client")?)?,
            person: PersonId::parse(item.text("person")?)?,
            tenant: TenantId::parse(item.text("tenant")?)?,
            resource: Resource::from_stored(item.text("resource")?)?,
            scopes: Scopes::parse(item.text("scope")?),
            at: item.time("created")?,
            email: item.text("email").map(str::to_owned),
        },
        binding: CodeBinding {
            code: Digest::from_bytes(item.bytes("code")?)?,
            challenge: CodeChallenge::from_digest(Digest::from_bytes(item.bytes("challenge")?)?),
            redirect_uri: RedirectUri::parse(item.text("redirect_uri")?)?,
        },
        state,
    })
}

fn read_family(item: &Item, digest: &[u8]) -> Option<TokenFamily> {
    let rotated = item.time("turned")?;
    Some(TokenFamily {
        digest: Digest::from_bytes(digest)?,
        generation: item.number("generation")?,
        current: RotationNonce::from_bytes(item.bytes("salt")?)?,
        previous: match item.bytes("previous") {
            Some(nonce) => Some(RotationNonce::from_bytes(nonce)?),
            None => None,
        },
        rotated,
        last_issued: if item.has("answered") { item.time("answered")? } else { rotated },
    })
}
