//! What clients called for beyond their scopes, in the table of grants: by person and client, a set for each tenant.
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
use super::item::{Item, Value, unreadable};
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::oauth::client::ClientId;
use crate::oauth::grant::Approval;
use crate::oauth::scope::Scopes;
use crate::oauth::tenant::{PersonId, TenantId};

/// How long a want is remembered after the last.
pub const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// What a client called for beyond the scopes that a person gave it, tenant by tenant.
#[derive(Clone, Debug, Default)]
pub struct Wanted(HashMap<TenantId, Scopes>);

impl Wanted {
    /// What it wanted in that tenant.
    #[must_use]
    pub fn in_tenant(&self, tenant: &TenantId) -> Scopes {
        self.0.get(tenant).copied().unwrap_or_default()
    }
}

impl Grants {
    /// Remembers what `client` wanted of `person` in `tenant`, as far as it is ever offered.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn want(
        &self,
        person: &PersonId,
        client: &ClientId,
        tenant: &TenantId,
        scopes: Scopes,
        now: Timestamp,
    ) -> Result<(), Fault> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let scopes = offered(scopes);
        if scopes.is_empty() {
            return Ok(());
        }
        let update = self.dynamo.update_item().table_name(&self.table).set_key(Some(key_of(person, client)));
        let update = update
            .update_expression("ADD #tenant :scopes SET expires = :expires")
            .expression_attribute_names("#tenant", attribute(tenant))
            .expression_attribute_values(":scopes", words(scopes))
            .expression_attribute_values(":expires", Value::from(now.plus(REMEMBERED)).0);
        update.send().await.map(|_| ()).map_err(|error| Fault::of_aws(CALL, &error))
    }

    /// The write that strikes off all that was wanted in the tenant of `approval`: the person has decided about it, granted or not, and is
    /// not asked again until it is wanted again. None if nothing was.
    pub(super) fn settlement(&self, approval: &Approval, wanted: &Wanted, now: Timestamp) -> Option<Update> {
        let settled = wanted.in_tenant(&approval.tenant);
        if settled.is_empty() {
            return None;
        }
        // An item that is gone meanwhile comes back empty, so that this cannot fail, and is swept like any other.
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(&approval.person, &approval.client)))
            .update_expression("DELETE #tenant :settled SET expires = :expires")
            .expression_attribute_names("#tenant", attribute(&approval.tenant))
            .expression_attribute_values(":settled", words(settled))
            .expression_attribute_values(":expires", Value::from(now.plus(REMEMBERED)).0)
            .build()
            .ok()
    }

    pub(super) fn key_of_wanted<'a>(&'a self, person: &PersonId, client: &ClientId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", id(person, client))] }
    }

    pub(super) fn read_wanted(&self, item: Option<Item>, now: Timestamp) -> Result<Wanted, Fault> {
        let Some(item) = item else { return Ok(Wanted::default()) };
        let expires = item.time("expires").ok_or_else(|| unreadable(&self.table))?;
        if expires <= now {
            return Ok(Wanted::default());
        }
        let mut wanted = HashMap::new();
        for (name, value) in item.into_inner() {
            let Some(tenant) = name.strip_prefix(IN) else { continue };
            let read = || Some((TenantId::parse(tenant)?, value.as_ss().ok()?));
            let (tenant, scopes) = read().ok_or_else(|| unreadable(&self.table))?;
            wanted.insert(tenant, offered(Scopes::of_names(scopes.iter().map(String::as_str))));
        }
        Ok(Wanted(wanted))
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
const fn offered(scopes: Scopes) -> Scopes {
    scopes.intersection(Scopes::OFFERED).permissions()
}

fn words(scopes: Scopes) -> AttributeValue {
    AttributeValue::Ss(scopes.iter().map(|scope| scope.as_str().to_owned()).collect())
}
