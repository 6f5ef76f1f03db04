//! Incremental authorization: the scopes that a call needed and its grant lacked, in the table of grants until the person
//! decides. One item for each person and client, a set for each tenant.
//!
//! ```text
//! { id: "wanted#<uuid>#c_…", "in:acme": { "entities:write" }, "in:globex": { "chat:create" }, expires: 1795… }
//! ```
//!
//! Only who holds a token of that person, client and tenant can add to it, and only scopes that are offered: at most eight short
//! words for each tenant that the person is in.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Update};

use super::Key;
use super::grants::Grants;
use super::item::{Item, Value, unparsable_item};
use crate::clock::Timestamp;
use crate::oauth::client::ClientId;
use crate::oauth::grant::Approval;
use crate::oauth::scope::Scopes;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_error::UpstreamError;

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

impl Grants {
    /// Records that `client` needs `scopes` of `person` in `tenant`, as far as they are ever offered.
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
        const CALL: &str = "DynamoDB.UpdateItem";
        let scopes = supported(scopes);
        if scopes.is_empty() {
            return Ok(());
        }
        let update = self.dynamo.update_item().table_name(&self.table).set_key(Some(key_of(person, client)));
        let update = update
            .update_expression("ADD #tenant :scopes SET expires = :expires")
            .expression_attribute_names("#tenant", attribute(tenant))
            .expression_attribute_values(":scopes", string_set(scopes))
            .expression_attribute_values(":expires", Value::from(now.plus(RETENTION)).0);
        update.send().await.map(|_| ()).map_err(|error| UpstreamError::of_aws(CALL, &error))
    }

    /// The write that removes the pending scopes of the tenant of `approval`: the person has decided about them, granted or not, and
    /// is not asked again until a call needs them again. None if there are none.
    pub(super) fn pending_scopes_removal(
        &self,
        approval: &Approval,
        pending: &PendingScopes,
        now: Timestamp,
    ) -> Option<Update> {
        let decided = pending.in_tenant(&approval.tenant);
        if decided.is_empty() {
            return None;
        }
        // An item that is gone meanwhile comes back empty, so that this cannot fail, and is swept like any other.
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(&approval.person, &approval.client)))
            .update_expression("DELETE #tenant :settled SET expires = :expires")
            .expression_attribute_names("#tenant", attribute(&approval.tenant))
            .expression_attribute_values(":settled", string_set(decided))
            .expression_attribute_values(":expires", Value::from(now.plus(RETENTION)).0)
            .build()
            .ok()
    }

    pub(super) fn pending_scopes_key<'a>(&'a self, person: &PersonId, client: &ClientId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", id(person, client))] }
    }

    pub(super) fn read_pending_scopes(
        &self,
        item: Option<Item>,
        now: Timestamp,
    ) -> Result<PendingScopes, UpstreamError> {
        let Some(item) = item else { return Ok(PendingScopes::default()) };
        let expires = item.time("expires").ok_or_else(|| unparsable_item(&self.table))?;
        if expires <= now {
            return Ok(PendingScopes::default());
        }
        let mut pending = HashMap::new();
        for (name, value) in item.into_inner() {
            let Some(tenant) = name.strip_prefix(IN) else { continue };
            let read = || Some((TenantId::parse(tenant)?, value.as_ss().ok()?));
            let (tenant, scopes) = read().ok_or_else(|| unparsable_item(&self.table))?;
            pending.insert(tenant, supported(Scopes::from_names(scopes.iter().map(String::as_str))));
        }
        Ok(PendingScopes(pending))
    }
}

/// What an attribute's name begins with, before the tenant's.
const IN: &str = "in:";

fn attribute(tenant: &TenantId) -> String {
    format!("{IN}{tenant}")
}

/// No grant's id holds a `#`, and a person's is always of one length.
fn id(person: &PersonId, client: &ClientId) -> String {
    format!("wanted#{person}#{client}")
}

fn key_of(person: &PersonId, client: &ClientId) -> HashMap<String, AttributeValue> {
    Item::default().with("id", id(person, client)).into_inner()
}

/// Those of `scopes` that a consent page can offer one by one.
const fn supported(scopes: Scopes) -> Scopes {
    scopes.intersection(Scopes::SUPPORTED).permissions()
}

fn string_set(scopes: Scopes) -> AttributeValue {
    AttributeValue::Ss(scopes.iter().map(|scope| scope.as_str().to_owned()).collect())
}
