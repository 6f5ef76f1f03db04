//! Grants, by id; indexes by tenant and by person.
//!
//! ```text
//! every state  { id, state, client, person, tenant, resource, scope: "skills:read offline_access", requested?: "skills:read",
//!                denied?: "views:read", scope_meaning?: 2, scope_changes?: 2, created: 1795…,
//!                email?: "ana@example.com", membership?: <16 bytes>, membership_revocations?: 3, tenant_instance?: <16 bytes>,
//!                tenant_revocations?: 7, code: <digest>, challenge: <digest>, redirect_uri, expires: 1795…, made_by?: <16 bytes> }
//! issued       + { effective: "skills:read" }
//! active       + { since: 1795…, seen: 0, used?: 1795…, authentication?: "private_key_jwt" }, and if it can be refreshed
//!              + { family_digest: <digest>, generation: 1, salt: <16 bytes>, previous?: <16 bytes>, previous_turned?: 1795…,
//!                  turned: 1795…, turned_by?: <16 bytes>, retries?: 3, retried?: 1795…, signed?: 4, signed_hour?: 498705 },
//!                  and once a late retry has superseded a pair
//!              + { previous_generation?: 4, superseded_salt?: <16 bytes>,
//!                  superseded?: <12 bytes each: generation, when its access tokens have expired>, late_retry: 1795…,
//!                  late_retry_by?: <8 bytes> }
//! ended        + { why: "revoked", ended: 1795… }
//! ```
//!
//! The four attributes from `membership` on are what the approval rests on ([`crate::oauth::approval_basis`]). Whoever reads a grant to
//! let somebody in compares them with the membership: a grant may be over although its own item does not say so yet.
//! Without `scope_meaning` the scopes mean what they did before there was one ([`crate::oauth::scope_meaning`]).
//! `turned_by` and `late_retry_by` are digests of networks and products, by a key that is not in the table.
//! `signed` counts the access tokens of the hour `signed_hour`, which is counted since 1970: [`crate::oauth::signatures`].
//! `previous_generation` is there when it is not the one before `generation`. `previous` is not there when the token that the current
//! one replaced was newer than the table, which had been restored: then its generation and `previous_turned` identify it. Families
//! of earlier versions may have `answered`, when the current token was last issued.
//! `effective` is written for versions that exchanged a code without reading the membership, and read by none.
//!
//! `authentication` is how the client proved itself; a client that proves itself by nothing has none.
//!
//! The same table has the pending scopes, [`super::pending_scopes`], how often each person approved within an hour,
//! [`super::approvals`], and the assertions that clients have used, `super::used_assertions`. Whoever proves itself by an assertion writes both in one transaction: what the
//! assertion is used for, and that it is used.
//!
//! Every transition is one conditional write, and a refused one returns the item as it is. So the table
//! decides races. `made_by` identifies the write that made the state: a retry after a lost response
//! recognises its own write by it. What ended stays for a month, so that a late first try never finds that it is not there.
//!
//! The id and the code of a grant follow from the confirmation that approved it, which is in no table. So the same form makes one
//! grant. One whose code nobody exchanged stays for two hours, longer than a form is good for.

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    self, AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::clients::{Clients, ExpiryExtension};
use super::item::{Item, Value, unparsable_item};
use super::pending_scopes::{self, PendingScopes};
use super::transaction::{self, FailedCondition, TransactionOutcome};
use super::used_assertions;
use super::{Key, batch_get_items};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::oauth::approval_basis::ApprovalBasis;
use crate::oauth::client::{AuthenticatedClient, Client, ClientAuthenticationMethod, ClientId};
use crate::oauth::client_assertion::VerifiedAssertion;
use crate::oauth::grant::{
    Active, Approval, CONFIRMATION_LIFETIME, CodeBinding, Grant, GrantState, REPLACEABLE_AFTER, VerifiedCode,
};
use crate::oauth::grant_id::GrantId;
use crate::oauth::instance_id::InstanceId;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::refresh_token::RotationNonce;
use crate::oauth::refresh_token_rotation::{LateRetry, PreviousToken, RETRIES, Superseded, TokenFamily};
use crate::oauth::requested_scopes::RequestedScopes;
use crate::oauth::requester::{NetworkDigest, Requester};
use crate::oauth::resource::Resource;
use crate::oauth::revocation_reason::RevocationReason;
use crate::oauth::scope::Scopes;
use crate::oauth::scope_meaning::ScopeMeaning;
use crate::oauth::secret::{Digest, Secret, to_text};
use crate::oauth::signatures::Signatures;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const UPDATE: &str = "DynamoDB.UpdateItem";
const TRANSACT: &str = "DynamoDB.TransactWriteItems";

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

/// A grant that is to be stored, and what is written with it.
#[derive(Clone, Copy)]
pub struct NewGrant<'a> {
    /// The grant.
    pub grant: &'a Grant,
    /// What the role allows of it now.
    pub effective: Scopes,
    /// Its client, which must not expire before it.
    pub client: (&'a Clients, &'a Client),
    /// The scopes about which the person has decided.
    pub pending: &'a PendingScopes,
}

/// What came of a grant that was to be stored.
pub enum PutGrant {
    /// It is stored, and the grant that it replaces has ended.
    Made,
    /// Nothing was written: the same confirmation has made this one before.
    MadeBefore(Box<Grant>),
    /// Nothing was written: the grant that was to end has been used meanwhile, or has ended.
    NotReplaceable,
}

/// Why a write on behalf of an authenticated client was not made.
#[derive(Debug, Error)]
pub enum ClientWriteError {
    /// The assertion that proves the client was used before. Nothing was written.
    #[error("the client assertion was used before")]
    AssertionReplayed,
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
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

    /// A client and the grant that its request names, in one call. The client is blocked if a host of it is.
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
        let keys = [clients.key(client), clients.blocked_hosts_key(), self.key(id)];
        let mut items = batch_get_items(&self.dynamo, &keys).await?;
        let grant = self.read(items.pop().flatten())?;
        let hosts = clients.read_blocked_hosts(items.pop().flatten().as_ref())?;
        let client = clients.read(items.pop().flatten(), now)?;
        Ok((client.map(|client| hosts.apply(client)), grant))
    }

    /// Stores a new grant, extends the expiry of its client to that of the grant, and removes the pending scopes of its tenant. Nothing
    /// is stored if there is a grant of that id, which the same confirmation has made before. With `replaced`, that grant of the same
    /// person and client ends in the same transaction, if nobody has used it for [`REPLACEABLE_AFTER`]: never one without the other.
    /// Functions end it by [`AnnouncedRevocation::replace`](crate::revocation::AnnouncedRevocation::replace), which records it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put(
        &self,
        NewGrant { grant, effective, client: (clients, client), pending }: NewGrant<'_>,
        replaced: Option<(&GrantId, RevocationReason)>,
        now: Timestamp,
    ) -> Result<PutGrant, UpstreamError> {
        let made_by = *Secret::<16>::random().expose();
        let new = write(grant, effective).with("made_by", made_by.as_slice());
        let mut extension = clients.expiry_extension(client, now);
        let removal = pending_scopes::removal(&self.table, &grant.approval, pending, now);
        let end = replaced.map(|(id, reason)| to_transaction(&self.replacement(id, reason, &grant.approval, now)));
        let end = end.transpose()?;
        for _ in 0..2 {
            let extended = extension.as_ref().map(ExpiryExtension::update).transpose()?;
            // The end comes last, so that its refusal is told apart by its place.
            let updates = extended.into_iter().chain(removal.clone()).chain(end.clone());
            let updates: Vec<_> = updates.map(|update| TransactWriteItem::builder().update(update).build()).collect();
            if updates.is_empty() {
                break;
            }
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(new.clone().into_inner()))
                .condition_expression("attribute_not_exists(id)")
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let put = put.build().map_err(|error| transaction::build_error(&error))?;
            let writes: Vec<_> =
                std::iter::once(TransactWriteItem::builder().put(put).build()).chain(updates).collect();
            let last = writes.len().saturating_sub(1);
            // Not of the grant's id: whoever confirms again makes another transaction.
            let token = to_text(Secret::<16>::random().expose());
            match transaction::write(&self.dynamo, &writes, &token).await? {
                TransactionOutcome::Committed => return Ok(PutGrant::Made),
                TransactionOutcome::ConditionFailed(failed) => {
                    for FailedCondition { write, item } in failed {
                        match (write, item, &extension) {
                            (0, stored, _) => return self.made_before(&made_by, stored),
                            (place, ..) if place == last && end.is_some() => return Ok(PutGrant::NotReplaceable),
                            // Another approval has extended the client's expiry meanwhile.
                            (_, Some(client), Some(extension)) if extension.is_needless(&client) => {}
                            _ => return Err(upstream_call::failed(TRANSACT, "the client is gone or blocked")),
                        }
                    }
                    extension = None;
                }
            }
        }
        let put = self
            .dynamo
            .put_item()
            .table_name(&self.table)
            .set_item(Some(new.into_inner()))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(PutGrant::Made) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                self.made_before(&made_by, refusal.item().cloned().map(Item::new))
            }
            _ => Err(upstream_call::failed_at_aws("DynamoDB.PutItem", &error)),
        }
    }

    /// What comes of a new grant that another one of its id was in the way of. It can be the new one itself, from a first try whose
    /// answer was lost.
    fn made_before(&self, made_by: &[u8], stored: Option<Item>) -> Result<PutGrant, UpstreamError> {
        let stored = stored.ok_or_else(|| upstream_call::failed("DynamoDB.PutItem", "refused without an item"))?;
        if stored.bytes("made_by") == Some(made_by) {
            return Ok(PutGrant::Made);
        }
        Ok(self.read(Some(stored))?.map_or(PutGrant::Made, |grant| PutGrant::MadeBefore(Box::new(grant))))
    }

    /// The end of a grant that its person gives up for a new one, as [`Grant::is_replaceable`] says: it is in use, of the same client,
    /// and unused for long.
    fn replacement(
        &self,
        id: &GrantId,
        reason: RevocationReason,
        new: &Approval,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        const CONDITION: &str = "#state = :active AND person = :person AND client = :client AND expires > :at AND since <= :before \
                                 AND (attribute_not_exists(used) OR used <= :before) \
                                 AND (attribute_not_exists(turned) OR turned <= :before)";
        self.end(id, CONDITION, reason, now)
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":person", AttributeValue::S(new.person.as_str().to_owned()))
            .expression_attribute_values(":client", AttributeValue::S(new.client.as_str().to_owned()))
            .expression_attribute_values(":before", Value::from(now.minus(REPLACEABLE_AFTER)).0)
    }

    /// Issued → active: the code is used. Only the first of several requests succeeds.
    ///
    /// # Errors
    /// When the client's assertion was used before, or DynamoDB fails.
    pub async fn activate(&self, verified: VerifiedCode, active: Active) -> Result<Update, ClientWriteError> {
        let (grant, proof) = verified.into_parts();
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
        if active.authentication != ClientAuthenticationMethod::None {
            set.push_str(", authentication = :authentication");
            update =
                update.expression_attribute_values(":authentication", Value::from(active.authentication.as_str()).0);
        }
        if let Some(family) = &active.family {
            set.push_str(", family_digest = :family, generation = :generation, salt = :salt, turned = :turned");
            if let Some(requester) = family.requester {
                set.push_str(", turned_by = :turned_by");
                update =
                    update.expression_attribute_values(":turned_by", Value::from(requester.to_bytes().as_slice()).0);
            }
            update = with_family(update, family)
                .expression_attribute_values(":family", Value::from(family.digest.as_bytes().as_slice()).0);
        }
        self.compare_and_swap_for(proof.assertion(), update.update_expression(format!("{set} REMOVE effective"))).await
    }

    /// Rotates the family of `grant` from `current` to `next`, by its current token or a newer one, if no other request was faster.
    ///
    /// # Errors
    /// When the assertion of `client` was used before, or DynamoDB fails.
    pub async fn rotate(
        &self,
        client: &AuthenticatedClient,
        grant: &Grant,
        current: &TokenFamily,
        next: &TokenFamily,
    ) -> Result<Update, ClientWriteError> {
        let update = self.rotation(grant, current, next, "#state = :active AND salt = :current");
        self.compare_and_swap_for(client.proof().assertion(), update).await
    }

    /// Rotates the family of `grant` anew, from `current` to `next`, by the token that its current one had replaced: if no other
    /// request was faster, and nothing of the current pair was ever used.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub async fn rotate_anew(
        &self,
        client: &AuthenticatedClient,
        grant: &Grant,
        current: &TokenFamily,
        next: &TokenFamily,
    ) -> Result<Update, ClientWriteError> {
        let update = self
            .rotation(grant, current, next, "#state = :active AND salt = :current AND seen < :unused")
            .expression_attribute_values(":unused", Value::from(current.generation).0);
        self.compare_and_swap_for(client.proof().assertion(), update).await
    }

    /// What both rotations have in common: `next` in place of `current`.
    fn rotation(
        &self,
        grant: &Grant,
        current: &TokenFamily,
        next: &TokenFamily,
        condition: &str,
    ) -> UpdateItemFluentBuilder {
        const SET: &str = "SET salt = :salt, generation = :generation, turned = :turned, expires = :expires, \
                           made_by = :made_by, signed = :signed, signed_hour = :signed_hour";
        let previous = next.previous;
        let made_before = |previous: &PreviousToken| previous.generation.saturating_add(1) == next.generation;
        let superseded = write_superseded(&next.superseded);
        let optional = [
            ("previous", previous.and_then(|token| token.nonce).map(|nonce| Value::from(nonce.as_bytes().as_slice()))),
            (
                "previous_generation",
                previous.filter(|token| !made_before(token)).map(|token| Value::from(token.generation)),
            ),
            ("previous_turned", previous.and_then(|token| token.made).map(Value::from)),
            ("superseded_salt", next.superseded.nonce.map(|nonce| Value::from(nonce.as_bytes().as_slice()))),
            ("superseded", (!superseded.is_empty()).then(|| Value::from(superseded.as_slice()))),
            ("late_retry", next.late_retry.map(|retry| Value::from(retry.at))),
            (
                "late_retry_by",
                next.late_retry
                    .and_then(|retry| retry.network)
                    .map(|network| Value::from(network.as_bytes().as_slice())),
            ),
            ("turned_by", next.requester.map(|requester| Value::from(requester.to_bytes().as_slice()))),
        ];
        let Signatures { hour, count } = grant.signatures.and_one(next.rotated);
        let mut update = self
            .transition(&grant.id, condition, grant.expires_with(next))
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":signed", Value::from(count).0)
            .expression_attribute_values(":signed_hour", AttributeValue::N(hour.to_string()))
            .expression_attribute_values(":current", Value::from(current.current.as_bytes().as_slice()).0);
        let (mut set, mut remove) = (SET.to_owned(), "REMOVE answered, retries, retried".to_owned());
        for (name, value) in optional {
            match value {
                Some(value) => {
                    set.extend([", ", name, " = :", name]);
                    update = update.expression_attribute_values(format!(":{name}"), value.0);
                }
                None => remove.extend([", ", name]),
            }
        }
        with_family(update, next).update_expression(format!("{set} {remove}"))
    }

    /// Counts a retry that is to get the current pair of `family` again: [`RETRIES`] in a generation, then one a second. `Conflict`
    /// if it may not get it now, or if the family was rotated since it was read. A count that is repeated, or comes late, counts one
    /// retry more of the same generation; the first of an hour begins the count of signatures anew.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub async fn count_retry(
        &self,
        client: &AuthenticatedClient,
        grant: &Grant,
        family: &TokenFamily,
        now: Timestamp,
    ) -> Result<Update, ClientWriteError> {
        let update = self
            .update(&grant.id)
            .condition_expression(
                "#state = :active AND salt = :salt AND \
                 (attribute_not_exists(retries) OR retries < :most OR retried < :now)",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":salt", Value::from(family.current.as_bytes().as_slice()).0)
            .expression_attribute_values(":most", Value::from(RETRIES).0)
            .expression_attribute_values(":now", Value::from(now).0)
            .expression_attribute_values(":one", Value::from(1_u32).0);
        let Signatures { hour, count } = grant.signatures.and_one(now);
        let update = if count > 1 {
            update.update_expression("SET retried = :now ADD retries :one, signed :one")
        } else {
            update
                .expression_attribute_values(":hour", AttributeValue::N(hour.to_string()))
                .update_expression("SET retried = :now, signed = :one, signed_hour = :hour ADD retries :one")
        };
        self.compare_and_swap_for(client.proof().assertion(), update).await
    }

    /// Records that the assertion of `client` is used, if it proved itself by one, where no other write does.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub async fn record_assertion(&self, client: &AuthenticatedClient) -> Result<(), ClientWriteError> {
        let Some(assertion) = client.proof().assertion() else { return Ok(()) };
        let write =
            used_assertions::addition(&self.table, assertion).map_err(|error| transaction::build_error(&error))?;
        let writes = [TransactWriteItem::builder().update(write).build()];
        let token = to_text(Secret::<16>::random().expose());
        match transaction::write(&self.dynamo, &writes, &token).await.map_err(UpstreamError::from)? {
            TransactionOutcome::Committed => Ok(()),
            TransactionOutcome::ConditionFailed(_) => Err(ClientWriteError::AssertionReplayed),
        }
    }

    /// Records that mcp has seen an access token of `generation`, and when. `Conflict` if a token of this or
    /// a later generation was seen before, or the grant was rotated or revoked since it was read as `grant`: then the generation may
    /// be superseded.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn record_use(&self, grant: &Grant, generation: u32, now: Timestamp) -> Result<Update, UpstreamError> {
        const CONDITION: &str = "#state = :active AND seen < :seen";
        let update = self
            .update(&grant.id)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":seen", Value::from(generation).0)
            .expression_attribute_values(":now", Value::from(now).0)
            .update_expression("SET seen = :seen, used = :now");
        let update = match &grant.state {
            GrantState::Active(Active { family: Some(family), .. }) => update
                .condition_expression(format!("{CONDITION} AND salt = :salt"))
                .expression_attribute_values(":salt", Value::from(family.current.as_bytes().as_slice()).0),
            _ => update.condition_expression(CONDITION),
        };
        self.compare_and_swap(update).await
    }

    /// Revokes a grant. Whether this call did: a grant that is revoked already stays as it is. Functions use
    /// [`Revocation`](crate::revocation::Revocation), which records it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn revoke(&self, id: &GrantId, reason: RevocationReason, now: Timestamp) -> Result<bool, UpstreamError> {
        let update = self.end(id, "attribute_exists(id) AND #state <> :ended", reason, now);
        Ok(matches!(self.compare_and_swap(update).await?, Update::Applied))
    }

    /// The update that ends a grant, if `condition` holds.
    fn end(&self, id: &GrantId, condition: &str, reason: RevocationReason, now: Timestamp) -> UpdateItemFluentBuilder {
        self.transition(id, condition, now.plus(RETENTION))
            .expression_attribute_values(":ended", AttributeValue::S("ended".to_owned()))
            .expression_attribute_values(":why", Value::from(reason.as_str()).0)
            .expression_attribute_values(":at", Value::from(now).0)
            .update_expression(
                "SET #state = :ended, why = :why, ended = :at, expires = :expires, made_by = :made_by \
                 REMOVE effective, authentication, family_digest, generation, salt, previous, previous_turned, turned, answered, \
                 since, seen, used, retries, retried, previous_generation, superseded_salt, superseded, late_retry, \
                 late_retry_by, turned_by, limited_to, limited_through, limited_by",
            )
    }

    /// Changes what the person approved to `scopes`, if nothing was changed since `grant` was read, and the grant has not ended. A
    /// call compares it with the grant, so less counts at the next call; more counts when the next access token is made.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn change_scopes(&self, grant: &Grant, scopes: Scopes) -> Result<Update, UpstreamError> {
        const SET: &str = "SET #scope = :scope, scope_changes = :next, made_by = :made_by";
        // A number, and not the scopes themselves: a late first try must not find them as they were once more.
        let update = self
            .update(&grant.id)
            .condition_expression(match grant.scope_changes {
                0 => "attribute_exists(id) AND #state <> :ended AND attribute_not_exists(scope_changes)",
                _ => "#state <> :ended AND scope_changes = :changes",
            })
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":ended", AttributeValue::S("ended".to_owned()))
            .expression_attribute_values(":next", Value::from(grant.scope_changes.saturating_add(1)).0)
            .expression_attribute_values(":scope", Value::from(scopes.to_string().as_str()).0)
            .expression_attribute_values(MADE_BY, Value::from(Secret::<16>::random().expose().as_slice()).0)
            .expression_attribute_names("#scope", "scope");
        let denied = grant.denied_after(scopes);
        let update = if denied.is_empty() {
            update.update_expression(format!("{SET} REMOVE denied"))
        } else {
            update
                .expression_attribute_values(":denied", Value::from(denied.to_string().as_str()).0)
                .update_expression(format!("{SET}, denied = :denied"))
        };
        let update = match grant.scope_changes {
            0 => update,
            changes => update.expression_attribute_values(":changes", Value::from(changes).0),
        };
        self.compare_and_swap(update).await
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

    /// As [`Self::compare_and_swap`], for a client that proved itself by `assertion`, if it did: the assertion is used by the same
    /// write.
    async fn compare_and_swap_for(
        &self,
        assertion: Option<&VerifiedAssertion>,
        update: UpdateItemFluentBuilder,
    ) -> Result<Update, ClientWriteError> {
        match assertion {
            // Boxed: most requests make no transaction, and all would carry what one needs.
            Some(assertion) => Box::pin(self.compare_and_swap_with(assertion, update)).await,
            None => Ok(self.compare_and_swap(update).await?),
        }
    }

    /// As [`Self::compare_and_swap`], in a transaction that records that `assertion` is used. If the write itself is refused, that
    /// comes first.
    async fn compare_and_swap_with(
        &self,
        assertion: &VerifiedAssertion,
        update: UpdateItemFluentBuilder,
    ) -> Result<Update, ClientWriteError> {
        let addition =
            used_assertions::addition(&self.table, assertion).map_err(|error| transaction::build_error(&error))?;
        let writes = [to_transaction(&update)?, addition];
        let writes = writes.map(|update| TransactWriteItem::builder().update(update).build());
        let token = to_text(Secret::<16>::random().expose());
        match transaction::write(&self.dynamo, &writes, &token).await.map_err(UpstreamError::from)? {
            TransactionOutcome::Committed => Ok(Update::Applied),
            TransactionOutcome::ConditionFailed(failed) => {
                let Some(refused) = failed.into_iter().find(|failed| failed.write == 0) else {
                    return Err(ClientWriteError::AssertionReplayed);
                };
                Ok(self.read(refused.item)?.map_or(Update::NotFound, |grant| Update::Conflict(Box::new(grant))))
            }
        }
    }

    pub(super) fn read(&self, item: Option<Item>) -> Result<Option<Grant>, UpstreamError> {
        item.map(|item| read(&item).ok_or_else(|| unparsable_item(&self.table))).transpose()
    }
}

/// The same update, for a transaction.
fn to_transaction(update: &UpdateItemFluentBuilder) -> Result<types::Update, UpstreamError> {
    let update = types::Update::builder()
        .set_table_name(update.get_table_name().clone())
        .set_key(update.get_key().clone())
        .set_condition_expression(update.get_condition_expression().clone())
        .set_update_expression(update.get_update_expression().clone())
        .set_expression_attribute_names(update.get_expression_attribute_names().clone())
        .set_expression_attribute_values(update.get_expression_attribute_values().clone())
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    update.build().map_err(|error| transaction::build_error(&error))
}

fn with_family(update: UpdateItemFluentBuilder, family: &TokenFamily) -> UpdateItemFluentBuilder {
    update
        .expression_attribute_values(":generation", Value::from(family.generation).0)
        .expression_attribute_values(":salt", Value::from(family.current.as_bytes().as_slice()).0)
        .expression_attribute_values(":turned", Value::from(family.rotated).0)
}

/// The item of a new grant. Later writes are updates.
fn write(grant: &Grant, effective: Scopes) -> Item {
    let Grant { id, approval, requested, denied, scope_meaning, binding, .. } = grant;
    let ApprovalBasis { membership, membership_revocations, tenant, tenant_revocations } = &approval.basis;
    Item::default()
        .with("id", id.to_text())
        .with("state", "issued")
        .with("client", approval.client.as_str())
        .with("person", approval.person.as_str())
        .with("tenant", approval.tenant.as_str())
        .with("resource", approval.resource.to_string())
        .with("scope", approval.scopes.to_string())
        .with_some("requested", requested.map(RequestedScopes::to_stored))
        .with_some("denied", (!denied.is_empty()).then(|| denied.to_string()))
        .with("scope_meaning", scope_meaning.number())
        .with("created", approval.at)
        .with_some("email", approval.email.as_deref())
        .with_some("membership", membership.as_ref().map(|instance| instance.as_bytes().as_slice()))
        .with("membership_revocations", *membership_revocations)
        .with_some("tenant_instance", tenant.as_ref().map(|instance| instance.as_bytes().as_slice()))
        .with("tenant_revocations", *tenant_revocations)
        .with("code", binding.code.as_bytes().as_slice())
        .with("challenge", binding.challenge.as_digest().as_bytes().as_slice())
        .with("redirect_uri", binding.redirect_uri.as_str())
        .with("effective", effective.to_string())
        // Not when its code ends: until nobody can confirm it once more.
        .with("expires", grant.approval.at.plus(CONFIRMATION_LIFETIME * 2))
}

fn read(item: &Item) -> Option<Grant> {
    let state = match item.text("state")? {
        "issued" => GrantState::Issued,
        "active" => GrantState::Active(Active {
            since: item.time("since")?,
            authentication: match item.text("authentication") {
                Some(text) => ClientAuthenticationMethod::from_stored(text)?,
                None => ClientAuthenticationMethod::None,
            },
            family: match item.bytes("family_digest") {
                Some(digest) => Some(read_family(item, digest)?),
                None => None,
            },
            seen: item.number("seen")?,
            used: if item.has("used") { Some(item.time("used")?) } else { None },
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
            basis: read_basis(item)?,
        },
        requested: item.text("requested").map(RequestedScopes::from_stored),
        scope_changes: if item.has("scope_changes") { item.number("scope_changes")? } else { 0 },
        denied: item.text("denied").map(Scopes::parse_only).unwrap_or_default(),
        scope_meaning: if item.has("scope_meaning") {
            ScopeMeaning::from_number(item.number("scope_meaning")?)
        } else {
            ScopeMeaning::FIRST
        },
        binding: CodeBinding {
            code: Digest::from_bytes(item.bytes("code")?)?,
            challenge: CodeChallenge::from_digest(Digest::from_bytes(item.bytes("challenge")?)?),
            redirect_uri: RedirectUri::from_stored(item.text("redirect_uri")?)?,
        },
        signatures: if item.has("signed_hour") {
            Signatures { hour: item.number("signed_hour")?, count: item.number("signed")? }
        } else {
            Signatures::default()
        },
        state,
    })
}

/// Grants from before these attributes have none of them.
fn read_basis(item: &Item) -> Option<ApprovalBasis> {
    let instance = |name| if item.has(name) { InstanceId::from_bytes(item.bytes(name)?).map(Some) } else { Some(None) };
    let number = |name| if item.has(name) { item.number(name) } else { Some(0) };
    Some(ApprovalBasis {
        membership: instance("membership")?,
        membership_revocations: number("membership_revocations")?,
        tenant: instance("tenant_instance")?,
        tenant_revocations: number("tenant_revocations")?,
    })
}

fn read_family(item: &Item, digest: &[u8]) -> Option<TokenFamily> {
    let (rotated, generation) = (item.time("turned")?, item.number::<u32>("generation")?);
    let made = if item.has("previous_turned") { Some(item.time("previous_turned")?) } else { None };
    let nonce = match item.bytes("previous") {
        Some(nonce) => Some(RotationNonce::from_bytes(nonce)?),
        None => None,
    };
    let of = if item.has("previous_generation") {
        item.number("previous_generation")?
    } else {
        generation.saturating_sub(1)
    };
    let previous = (nonce.is_some() || made.is_some()).then_some(PreviousToken { generation: of, nonce, made });
    Some(TokenFamily {
        digest: Digest::from_bytes(digest)?,
        generation,
        current: RotationNonce::from_bytes(item.bytes("salt")?)?,
        previous,
        rotated,
        last_issued: if item.has("answered") { item.time("answered")? } else { rotated },
        superseded: Superseded {
            nonce: match item.bytes("superseded_salt") {
                Some(nonce) => Some(RotationNonce::from_bytes(nonce)?),
                None => None,
            },
            generations: read_superseded(item.bytes("superseded").unwrap_or_default())?,
        },
        late_retry: if item.has("late_retry") {
            let network = match item.bytes("late_retry_by") {
                Some(network) => Some(NetworkDigest::from_bytes(network)?),
                None => None,
            };
            Some(LateRetry { at: item.time("late_retry")?, network })
        } else {
            None
        },
        requester: match item.bytes("turned_by") {
            Some(requester) => Some(Requester::from_bytes(requester)?),
            None => None,
        },
    })
}

/// Of each generation, four bytes for its number and eight for the seconds of its time, big-endian.
fn write_superseded(superseded: &Superseded) -> Vec<u8> {
    let each = |(generation, expires): &(u32, Timestamp)| {
        generation.to_be_bytes().into_iter().chain(expires.seconds().to_be_bytes()).collect::<Vec<_>>()
    };
    superseded.generations.iter().flat_map(each).collect()
}

fn read_superseded(bytes: &[u8]) -> Option<Vec<(u32, Timestamp)>> {
    let (entries, rest) = bytes.as_chunks::<12>();
    let each = |entry: &[u8; 12]| {
        let (generation, expires) = entry.split_first_chunk::<4>()?;
        let expires = Timestamp::from_seconds(i64::from_be_bytes(expires.try_into().ok()?));
        Some((u32::from_be_bytes(*generation), expires))
    };
    if rest.is_empty() { entries.iter().map(each).collect() } else { None }
}
