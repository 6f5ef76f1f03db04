//! A connection as a row of a page, and as JSON for scripts.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;
use shared::clock::Timestamp;
use shared::http::sanitized_text::{IsolatedText, SanitizedText};
use shared::oauth::client::{Client, ClientId};
use shared::oauth::grant::{Grant, GrantState};
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::connections::Connection;

use crate::date_time::DateTime;
use crate::permission;

/// A row of a page.
pub(crate) struct ConnectionRow {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) from: String,
    pub(crate) client_id: String,
    pub(crate) tenant: String,
    pub(crate) person: String,
    pub(crate) email: Option<String>,
    pub(crate) role: String,
    /// The tenant has no such role any more, or one without permissions.
    pub(crate) role_allows_nothing: bool,
    pub(crate) may: Vec<&'static str>,
    /// The approved permissions that the role does not allow now.
    pub(crate) withheld: Vec<&'static str>,
    pub(crate) since: DateTime,
    pub(crate) used: Option<DateTime>,
    pub(crate) ends: DateTime,
}

impl ConnectionRow {
    pub(crate) fn of(connection: &Connection) -> Self {
        let Connection { grant, client, membership, entitlement } = connection;
        let (approval, may) = (&grant.approval, entitlement.scopes().permissions());
        Self {
            id: grant.id.to_text(),
            client: name(client.as_ref(), &approval.client),
            from: origin(&approval.client, &grant.binding.redirect_uri),
            client_id: approval.client.to_string(),
            tenant: SanitizedText(&membership.name).to_string(),
            person: approval.person.to_string(),
            email: approval.email.as_deref().map(|email| SanitizedText(email).to_string()),
            role: SanitizedText(&membership.role.name).to_string(),
            role_allows_nothing: membership.role.permissions.is_empty(),
            may: permission::titles(may),
            withheld: permission::titles(approval.scopes.permissions().difference(may)),
            since: DateTime(approval.at),
            used: used(connection).map(DateTime),
            ends: DateTime(grant.expires()),
        }
    }
}

/// What the client calls itself.
fn name(client: Option<&Client>, id: &ClientId) -> String {
    match client {
        Some(Client { name: Some(name), .. }) => SanitizedText(name).to_string(),
        Some(_) => "An application without a name".to_owned(),
        None => SanitizedText(id.as_str()).to_string(),
    }
}

/// The client within a sentence: what it calls itself, and the hosts where it may be answered. Anybody can choose any name.
pub(crate) fn name_and_hosts(client: Option<&Client>, id: &ClientId) -> String {
    let mut hosts: Vec<_> = client.iter().flat_map(|client| &client.redirect_uris).map(RedirectUri::host).collect();
    hosts.sort();
    hosts.dedup();
    join(&name(client, id), &hosts.join(", "))
}

/// The client of one connection within a sentence.
pub(crate) fn name_and_host(client: Option<&Client>, grant: &Grant) -> String {
    join(&name(client, &grant.approval.client), &grant.binding.redirect_uri.host())
}

fn join(name: &str, hosts: &str) -> String {
    let name = IsolatedText(name);
    if hosts.is_empty() { name.to_string() } else { format!("{name} ({})", IsolatedText(hosts)) }
}

/// Where the client is answered, which is what is known of it, and by whom it is described if that is another host.
fn origin(id: &ClientId, redirect_uri: &RedirectUri) -> String {
    let host = redirect_uri.host();
    let answered = if redirect_uri.is_loopback() { format!("{host}, a program on a computer") } else { host.clone() };
    match id.metadata_document_host().filter(|publisher| *publisher != host) {
        Some(publisher) => format!("{answered}, described by {publisher}"),
        None => answered,
    }
}

fn used(connection: &Connection) -> Option<Timestamp> {
    match &connection.grant.state {
        GrantState::Active(active) => active.used,
        GrantState::Issued | GrantState::Revoked { .. } => None,
    }
}

// `components/schemas/Connection` of `openapi.json`, which `openapi.rs` makes of it: the doc comments are its descriptions.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Connection", deny_unknown_fields))]
pub(crate) struct ConnectionJson<'a> {
    id: String,
    tenant: &'a str,
    /// A user's id in Supabase Auth.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    person: &'a str,
    /// The address that the person's session named when they approved, which nobody may have verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    client: ClientJson<'a>,
    /// The person's role now.
    role: &'a str,
    /// What the person approved.
    #[cfg_attr(test, schemars(with = "Vec<ScopeName>"))]
    granted: Vec<&'static str>,
    /// What of it their role allows now.
    #[cfg_attr(test, schemars(with = "Vec<ScopeName>"))]
    effective: Vec<&'static str>,
    stays_connected: bool,
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    created: String,
    /// The last use lies within the hour after; absent if there was none.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
    /// When it ends by itself, if it is not used.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    expires: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Client", deny_unknown_fields))]
struct ClientJson<'a> {
    id: &'a str,
    /// What it calls itself: anybody can choose any name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// The host where it is answered: what is known of it.
    host: String,
    /// The host that its description is from, if its id is the address of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    described_by: Option<String>,
}

// The name of a permission, as [`names`] writes it.
#[cfg(test)]
#[derive(JsonSchema)]
#[schemars(rename = "Scope", transform = name_permissions)]
#[expect(dead_code, reason = "it is the shape of a schema")]
pub(crate) struct ScopeName(String);

#[cfg(test)]
fn name_permissions(schema: &mut schemars::Schema) {
    schema.insert("enum".to_owned(), names(Scopes::ALL_PERMISSIONS).into());
}

impl<'a> ConnectionJson<'a> {
    pub(crate) fn of(connection: &'a Connection) -> Self {
        let Connection { grant, client, membership, entitlement } = connection;
        let approval = &grant.approval;
        Self {
            id: grant.id.to_text(),
            tenant: approval.tenant.as_str(),
            person: approval.person.as_str(),
            email: approval.email.as_deref(),
            client: ClientJson {
                id: approval.client.as_str(),
                name: client.as_ref().and_then(|client| client.name.as_deref()),
                host: grant.binding.redirect_uri.host(),
                described_by: approval.client.metadata_document_host(),
            },
            role: membership.role.name.as_str(),
            granted: names(approval.scopes.permissions()),
            effective: names(entitlement.scopes().permissions()),
            stays_connected: approval.scopes.contains(Scope::OfflineAccess),
            created: approval.at.to_rfc3339(),
            last_used: used(connection).map(Timestamp::to_rfc3339),
            expires: grant.expires().to_rfc3339(),
        }
    }
}

/// The names of scopes.
pub(crate) fn names(scopes: Scopes) -> Vec<&'static str> {
    scopes.iter().map(Scope::as_str).collect()
}
