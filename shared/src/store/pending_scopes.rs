//! Incremental authorization: the scopes that a call needed and its grant lacked. They are kept in the table
//! of grants until the person decides. There is one item per person and client, with a set per tenant.
//!
//! ```text
//! { id: "wanted#<uuid>#c_…", "in:acme": { "entities:write" }, "in:globex": { "chat:create" }, expires: 1795… }
//! ```
//!
//! Only the holder of a token of that person, client and tenant can add scopes, and only scopes that are
//! offered: at most eight per tenant of the person.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Update};

use super::item::{Item, Value};
use crate::clock::Timestamp;
use crate::oauth::client::ClientId;
use crate::oauth::grant::Approval;
use crate::oauth::scope::Scopes;
use crate::oauth::tenant::{PersonId, TenantId};

/// How long pending scopes are kept after the last was recorded.
pub const RETENTION: Duration = Duration::from_hours(30 * 24);

/// The scopes that a client needed beyond those that a person approved, tenant by tenant.
#[derive(Clone, Debug, Default)]
pub struct PendingScopes(HashMap<TenantId, Scopes>);

impl PendingScopes {
    /// Those of that tenant.
    #[must_use]
    pub fn in_tenant(&self, tenant: &TenantId) -> Scopes {
        self.0.get(tenant).copied().unwrap_or_default()
    }
}

/// Completes `update` of the table to a write that adds `scopes`. None if none of them is ever offered.
pub(super) fn addition(
    update: UpdateItemFluentBuilder,
    (person, client, tenant): (&PersonId, &ClientId, &TenantId),
    scopes: Scopes,
    now: Timestamp,
) -> Option<UpdateItemFluentBuilder> {
    let scopes = supported(scopes);
    if scopes.is_empty() {
        return None;
    }
    let update = update
        .set_key(Some(key_of(person, client)))
        .update_expression("ADD #tenant :scopes SET expires = :expires")
        .expression_attribute_names("#tenant", attribute(tenant))
        .expression_attribute_values(":scopes", string_set(scopes))
        .expression_attribute_values(":expires", Value::from(now.plus(RETENTION)).0);
    Some(update)
}

/// The write in `table` that removes the pending scopes of the tenant of `approval`: the person has decided
/// about them, and is not asked again until a call needs them again. None if there are none.
pub(super) fn removal(table: &str, approval: &Approval, pending: &PendingScopes, now: Timestamp) -> Option<Update> {
    let decided = pending.in_tenant(&approval.tenant);
    if decided.is_empty() {
        return None;
    }
    // The update creates an empty item if there is none any more. So it cannot fail, and the item expires
    // like any other.
    Update::builder()
        .table_name(table)
        .set_key(Some(key_of(&approval.person, &approval.client)))
        .update_expression("DELETE #tenant :settled SET expires = :expires")
        .expression_attribute_names("#tenant", attribute(&approval.tenant))
        .expression_attribute_values(":settled", string_set(decided))
        .expression_attribute_values(":expires", Value::from(now.plus(RETENTION)).0)
        .build()
        .ok()
}

/// The pending scopes in `item`, unless they have expired; nothing if it cannot be parsed.
pub(super) fn read(item: Item, now: Timestamp) -> Option<PendingScopes> {
    if item.time("expires")? <= now {
        return Some(PendingScopes::default());
    }
    let mut pending = HashMap::new();
    for (name, value) in item.into_inner() {
        let Some(tenant) = name.strip_prefix(IN) else { continue };
        let (tenant, scopes) = (TenantId::parse(tenant)?, value.as_ss().ok()?);
        pending.insert(tenant, supported(Scopes::from_names(scopes.iter().map(String::as_str))));
    }
    Some(PendingScopes(pending))
}

/// The id of their item. No grant's id holds a `#`, and a person's is always of one length.
pub(super) fn id(person: &PersonId, client: &ClientId) -> String {
    format!("wanted#{person}#{client}")
}

/// What an attribute's name begins with, before the tenant's.
const IN: &str = "in:";

fn attribute(tenant: &TenantId) -> String {
    format!("{IN}{tenant}")
}

fn key_of(person: &PersonId, client: &ClientId) -> HashMap<String, AttributeValue> {
    Item::default().with("id", id(person, client)).into_inner()
}

/// The part of `scopes` that a consent page can offer.
const fn supported(scopes: Scopes) -> Scopes {
    scopes.intersection(Scopes::SUPPORTED).permissions()
}

fn string_set(scopes: Scopes) -> AttributeValue {
    AttributeValue::Ss(scopes.iter().map(|scope| scope.as_str().to_owned()).collect())
}
