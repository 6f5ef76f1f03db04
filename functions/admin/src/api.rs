//! `/admin/api/…`: the console for scripts. `openapi.json` beside this file describes each operation; `openapi.rs` makes it
//! of the structs in here, whose doc comments are its descriptions.

#[cfg(test)]
use std::collections::BTreeMap;

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::api_key_issuer::ApiKeyIssuer;
use shared::clock::Timestamp;
use shared::http::parameters::{ParameterError, Parameters};
use shared::http::{body, response};
use shared::lambda::{Request, Response};
use shared::oauth::api_key::{ApiKey, ApiKeyError, ApiKeyId, ApiKeyName, ApiKeyRecord};
use shared::oauth::client::ClientId;
use shared::oauth::grant_id::GrantId;
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::revocation::Revocation;
use shared::store::activity::{Activity, Section};
use shared::store::api_keys::{self, NewApiKey};
#[cfg(test)]
use shared::store::connections::PAGE;
use shared::store::connections::{ConnectionFilter, Connections, Cursor};
use shared::telemetry::audit::{self, Event};

use crate::activity::{self, ActivityFilter};
#[cfg(test)]
use crate::connection_row::ScopeName;
use crate::connection_row::{ConnectionJson, names};
use crate::error::AdminError;
#[cfg(test)]
use crate::revoke::MARKED;
use crate::route::{Operation, Route};
use crate::tenant_admin::TenantAdmin;
use crate::{Admin, cursor, event_text};

const DESCRIPTION: &str = include_str!("openapi.json");

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Connections", deny_unknown_fields))]
pub(crate) struct ConnectionsPage<'a> {
    #[cfg_attr(test, schemars(length(max = PAGE)))]
    connections: Vec<ConnectionJson<'a>>,
    /// Give it as `after` for what follows; absent on the last page. A page may be short, even empty, without being the
    /// last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Keys", deny_unknown_fields))]
pub(crate) struct KeysPage {
    #[cfg_attr(test, schemars(length(max = 50)))]
    keys: Vec<ListedKeyJson>,
    /// Give it as `after` for what follows; absent on the last page. A page may be short, even empty, without being the
    /// last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct ApiKeyJson {
    id: String,
    name: String,
    /// A user's id in Supabase Auth.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    maker: String,
    /// The key that made it: it ends with that one. Absent if no key made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[cfg_attr(test, schemars(with = "Vec<ScopeName>"))]
    scopes: Vec<&'static str>,
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    created: String,
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Key", extend("additionalProperties" = false)))]
struct ListedKeyJson {
    #[serde(flatten)]
    key: ApiKeyJson,
    /// The last use lies within the hour after; absent if there was none.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
}

// The secret is in `key`. No other response contains it.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "MadeKey", extend("additionalProperties" = false)))]
pub(crate) struct CreatedKeyJson {
    #[serde(flatten)]
    created: ApiKeyJson,
    #[cfg_attr(test, schemars(regex(pattern = "^sk_")))]
    key: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Activity", deny_unknown_fields))]
pub(crate) struct ActivityPage {
    #[cfg_attr(test, schemars(length(max = 50)))]
    events: Vec<EventJson>,
    /// Give it as `after` for what follows; absent on the last page. A page may be short, even empty, without being the
    /// last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Event", deny_unknown_fields))]
struct EventJson {
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    at: String,
    event: String,
    /// In plain words, which may change.
    text: String,
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    details: Map<String, Value>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Ended", deny_unknown_fields))]
pub(crate) struct RevokedConnectionsJson {
    /// How many were listed. All have ended.
    #[cfg_attr(test, schemars(range(max = MARKED)))]
    ended: usize,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "Revoked", deny_unknown_fields))]
pub(crate) struct RevokedKeyJson {
    #[cfg_attr(test, schemars(with = "Value", extend("const" = true)))]
    revoked: bool,
}

/// Exactly one of connection, person and client; after with one of the latter two.
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[cfg_attr(test, schemars(rename = "ToEnd"))]
#[cfg_attr(
    test,
    schemars(extend(
        "oneOf" = [
            { "required": ["connection"], "not": { "required": ["after"] } },
            { "required": ["person"] },
            { "required": ["client"] },
        ]
    ))
)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeConnectionsRequest {
    connection: Option<String>,
    /// A user's id in Supabase Auth.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    person: Option<String>,
    client: Option<String>,
    /// From versions that ended connections in batches. It changes nothing.
    after: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "ToMake"))]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKeyRequest {
    #[cfg_attr(test, schemars(length(min = 1, max = 64)))]
    name: String,
    #[cfg_attr(test, schemars(with = "Vec<ScopeName>", length(min = 1)))]
    scopes: Vec<String>,
    /// Without it, the key works until it is revoked.
    #[cfg_attr(test, schemars(range(min = 1, max = KeyLifetime::MAX_DAYS)))]
    expires_in_days: Option<u64>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(rename = "ToRevoke"))]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeKeyRequest {
    /// The key's id, not the key.
    key: String,
}

impl Admin {
    pub(crate) async fn api(&self, request: &Request, route: &Route, now: Timestamp) -> Result<Response, AdminError> {
        let (tenant, operation) = match route {
            Route::Description => return self.description(),
            Route::Api(tenant, operation) => (tenant, operation),
            _ => return self.api_my_connections(request, now).await,
        };
        let tenant_admin = self.authenticate(request, tenant, now).await?;
        let is_post = request.method() == Method::POST;
        let parameters = Parameters::of_query(request)?;
        match operation {
            Operation::Connections => self.api_connections(&tenant_admin, &parameters, now).await,
            Operation::RevokeConnections => self.api_revoke_connections(&tenant_admin, &read(request)?, now).await,
            Operation::Keys if is_post => self.api_create_key(&tenant_admin, read(request)?, now).await,
            Operation::Keys => self.api_keys(&tenant_admin, &parameters, now).await,
            Operation::RevokeKey => self.api_revoke_key(&tenant_admin, &read(request)?, now).await,
            Operation::Activity => self.api_activity(&tenant_admin, &parameters, now).await,
        }
    }

    /// Authenticates by a key of the tenant or, for an operation that only reads, by the session of an administrator.
    /// A session may not change anything here: a browser sends it with every request, also from another site. A key
    /// of another tenant gets the response for a tenant that does not exist.
    async fn authenticate(
        &self,
        request: &Request,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<TenantAdmin, AdminError> {
        let Some(presented) = bearer(request)? else {
            if request.method() != Method::GET {
                return Err(AdminError::Unauthenticated);
            }
            let person = self.identity.signed_in(request, now).await?.ok_or(AdminError::Unauthenticated)?;
            return self.tenant_admin(&person, tenant).await;
        };
        let refuse = |reason: &'static str, error: AdminError| {
            let key = &presented.id.to_text();
            audit::record(&Event::KeyRefused { key, reason, tenant: None, person: None, scope: None });
            error
        };
        let invalid_key = |error: ApiKeyError| refuse(error.as_str(), AdminError::ApiKey(error));
        let known = self.keys.verify(&presented, now).await?.map_err(invalid_key)?;
        if known.tenant != *tenant {
            return Err(refuse("another_tenant", AdminError::NotFound));
        }
        let maker = self.keys.maker_membership(&known, &self.directory, now).await?;
        let maker = maker.ok_or_else(|| refuse("maker_gone", AdminError::MakerNotMember))?;
        let tenant_admin = TenantAdmin::for_api_key(&presented, &known, maker).map_err(invalid_key)?;
        tenant_admin.map_err(|error| {
            audit::record(&Event::KeyRefused {
                key: &presented.id.to_text(),
                reason: "scope",
                tenant: Some(known.tenant.as_str()),
                person: Some(known.maker.as_str()),
                scope: Some(Scope::ConnectionsManage.as_str()),
            });
            AdminError::InsufficientRole(error)
        })
    }

    async fn api_my_connections(&self, request: &Request, now: Timestamp) -> Result<Response, AdminError> {
        // A key belongs to a tenant, and must not show the connections of its maker in other tenants.
        if request.headers().contains_key(AUTHORIZATION) {
            return Err(AdminError::Unauthenticated);
        }
        let person = self.identity.signed_in(request, now).await?.ok_or(AdminError::Unauthenticated)?;
        let after = cursor::read(Parameters::of_query(request)?.value("after"), Cursor::parse)?;
        let tables = (&self.directory, &self.clients);
        let (_, connections) = self.grants.connections_of_person(&person.person, after.as_ref(), tables, now).await?;
        Ok(page(&connections))
    }

    async fn api_connections(
        &self,
        tenant_admin: &TenantAdmin,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<Response, AdminError> {
        let after = cursor::read(parameters.value("after"), Cursor::parse)?;
        let person =
            parameters.value("person").map(|id| PersonId::parse(id).ok_or(AdminError::InvalidBody)).transpose()?;
        let client =
            parameters.value("client").map(|id| ClientId::parse(id).ok_or(AdminError::InvalidBody)).transpose()?;
        let (filter, tables) = ((person.as_ref(), client.as_ref()), (&self.directory, &self.clients));
        Ok(page(&self.grants.connections_in_tenant(tenant_admin.tenant(), filter, after.as_ref(), tables, now).await?))
    }

    async fn api_revoke_connections(
        &self,
        tenant_admin: &TenantAdmin,
        body: &RevokeConnectionsRequest,
        now: Timestamp,
    ) -> Result<Response, AdminError> {
        let (tenant, revoker) = (tenant_admin.tenant(), self.revoker(tenant_admin, now));
        // Versions that ended connections in batches told where the next one begins.
        cursor::read(body.after.as_deref(), Cursor::parse)?;
        let ended = match (body.connection.as_deref(), body.person.as_deref(), body.client.as_deref()) {
            (Some(id), None, None) if body.after.is_none() => {
                let found = self.grants.find(&GrantId::parse(id).ok_or(AdminError::NotFound)?).await?;
                let grant = found.filter(|grant| grant.approval.tenant == *tenant).ok_or(AdminError::NotFound)?;
                usize::from(revoker.revoke_one(&grant).await?)
            }
            (None, Some(id), None) => {
                let person = PersonId::parse(id).ok_or(AdminError::InvalidBody)?;
                let membership = self.directory.membership(&person, tenant).await?;
                let filter = ConnectionFilter::Tenant { tenant, person: Some(&person), client: None };
                revoker.revoke_all_of_person(membership.as_slice(), filter).await?.marked.count
            }
            (None, None, Some(id)) => {
                let client = ClientId::parse(id).ok_or(AdminError::InvalidBody)?;
                let numbers = self.directory.tenant_numbers(tenant).await?.ok_or(AdminError::NotFound)?;
                revoker.revoke_all_of_client(&client, tenant, &numbers).await?.marked.count
            }
            _ => return Err(AdminError::InvalidBody),
        };
        Ok(json(StatusCode::OK, &RevokedConnectionsJson { ended }))
    }

    async fn api_keys(
        &self,
        tenant_admin: &TenantAdmin,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<Response, AdminError> {
        let after = cursor::read(parameters.value("after"), api_keys::Cursor::parse)?;
        let (keys, next) = self.keys.of_tenant(tenant_admin.tenant(), after.as_ref(), now).await?;
        let next = next.map(|place| cursor::write(&place.to_text()));
        Ok(json(StatusCode::OK, &KeysPage { keys: keys.iter().map(ListedKeyJson::of).collect(), next }))
    }

    /// The new key has at most the scopes of the key that makes it, and ends with it.
    async fn api_create_key(
        &self,
        tenant_admin: &TenantAdmin,
        body: CreateKeyRequest,
        now: Timestamp,
    ) -> Result<Response, AdminError> {
        let name = ApiKeyName::parse(&body.name).ok_or(AdminError::InvalidBody)?;
        let scopes = Scopes::from_names(body.scopes.iter().map(String::as_str)).permissions();
        // An unknown scope is an error, and not left out in silence.
        let known = body.scopes.iter().all(|name| scopes.iter().any(|scope| scope.as_str() == name));
        let lifetime = match body.expires_in_days {
            Some(days) => KeyLifetime::of_days(days),
            None => Some(KeyLifetime::UNTIL_REVOKED),
        };
        let lifetime = lifetime.filter(|_| known).ok_or(AdminError::InvalidBody)?;
        let (membership, latest) = tenant_admin.new_key_limits();
        let expiry = lifetime.expiry(now).at_most(latest);
        let issuer = ApiKeyIssuer::new(&self.keys);
        let new = NewApiKey { maker: &membership, name, scopes, expiry };
        self.count_key(tenant_admin.person(), now).await?;
        let (key, known) = issuer.create(tenant_admin.through(None), new, now).await?;
        Ok(json(StatusCode::CREATED, &CreatedKeyJson { created: ApiKeyJson::of(&known), key: key.to_text() }))
    }

    async fn api_revoke_key(
        &self,
        tenant_admin: &TenantAdmin,
        body: &RevokeKeyRequest,
        now: Timestamp,
    ) -> Result<Response, AdminError> {
        let id = ApiKeyId::parse(&body.key).ok_or(AdminError::NotFound)?;
        let (revocation, tenant, person) =
            (Revocation::new(&self.keys), tenant_admin.tenant(), Some(tenant_admin.person()));
        if revocation.revoke(tenant_admin.through(None), tenant, &id, person, now).await? {
            Ok(json(StatusCode::OK, &RevokedKeyJson { revoked: true }))
        } else {
            Err(AdminError::NotFound)
        }
    }

    async fn api_activity(
        &self,
        tenant_admin: &TenantAdmin,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<Response, AdminError> {
        let before = cursor::read(parameters.value("after"), shared::store::activity::Cursor::parse)?;
        let shown = match parameters.value("section") {
            Some(name) => vec![activity::section(name).ok_or(AdminError::InvalidBody)?],
            None => Section::SHOWN.to_vec(),
        };
        let event = parameters.value("event");
        if event.is_some_and(|event| !ActivityFilter::is_event(event)) {
            return Err(AdminError::InvalidBody);
        }
        let person =
            parameters.value("person").map(|id| PersonId::parse(id).ok_or(AdminError::InvalidBody)).transpose()?;
        let filter = ActivityFilter { sections: &shown, event, person: person.as_ref() };
        let (activities, next) = self.recent_activity(tenant_admin, filter, before, now).await?;
        let events = activities.iter().map(EventJson::of).collect();
        let next = next.map(|place| cursor::write(place.as_str()));
        Ok(json(StatusCode::OK, &ActivityPage { events, next }))
    }

    fn description(&self) -> Result<Response, AdminError> {
        // The text is a constant, and a test makes it.
        let mut description: Value = serde_json::from_str(DESCRIPTION).map_err(|_| AdminError::NotFound)?;
        if let Some(document) = description.as_object_mut() {
            let server = serde_json::json!([{ "url": self.issuer.as_str() }]);
            document.insert("servers".to_owned(), server);
            if let Some(operations) = document.get_mut("paths").and_then(Value::as_object_mut) {
                let as_in_the_api = std::mem::take(operations).into_iter();
                operations.extend(as_in_the_api.map(|(path, it)| (self.layout.paths().of(&path).into_owned(), it)));
            }
        }
        Ok(response::cacheable(response::json(StatusCode::OK, &description), 3600))
    }
}

impl ApiKeyJson {
    fn of(key: &ApiKeyRecord) -> Self {
        Self {
            id: key.id.to_text(),
            name: key.name.as_str().to_owned(),
            maker: key.maker.to_string(),
            parent: key.parent.as_ref().map(ApiKeyId::to_text),
            scopes: names(key.scopes),
            created: key.created.to_rfc3339(),
            expires: key.expires.map(Timestamp::to_rfc3339),
        }
    }
}

impl ListedKeyJson {
    fn of(key: &ApiKeyRecord) -> Self {
        Self { key: ApiKeyJson::of(key), last_used: key.used.map(Timestamp::to_rfc3339) }
    }
}

impl EventJson {
    /// An event with the members that concern a tenant, without those for operators.
    fn of(activity: &Activity) -> Self {
        const MEMBERS: [&str; 16] = [
            "by",
            "client",
            "credential",
            "grant",
            "host",
            "key",
            "object",
            "outcome",
            "person",
            "prompt",
            "reason",
            "resource",
            "role",
            "scope",
            "tool",
            "verdict",
        ];
        let words = event_text::describe(activity, activity.text("client"));
        let text = if words.detail.is_empty() { words.what } else { format!("{}: {}", words.what, words.detail) };
        let details =
            MEMBERS.iter().filter_map(|name| activity.line.get(*name).map(|value| ((*name).to_owned(), value.clone())));
        Self {
            at: Timestamp::from_seconds(activity.at.div_euclid(1000)).to_rfc3339(),
            event: activity.event.clone(),
            text,
            details: details.collect(),
        }
    }
}

fn page(connections: &Connections) -> Response {
    let next = connections.next.as_ref().map(|place| cursor::write(&place.to_text()));
    json(
        StatusCode::OK,
        &ConnectionsPage { connections: connections.found.iter().map(ConnectionJson::of).collect(), next },
    )
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    response::no_store(response::json(status, value))
}

/// The API key in the `Authorization` header (RFC 6750 §2.1); `None` without the header. A second header or anything
/// but a well-formed key is an error.
fn bearer(request: &Request) -> Result<Option<ApiKey>, AdminError> {
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = || {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| ApiKey::parse(key.trim()))?
    };
    let alone = values.next().is_none();
    key().filter(|_| alone).map(Some).ok_or(AdminError::MalformedApiKey)
}

/// Parses a JSON body.
fn read<T: for<'de> Deserialize<'de>>(request: &Request) -> Result<T, AdminError> {
    if body::bytes(request).len() > Parameters::LIMIT {
        return Err(ParameterError::TooLarge.into());
    }
    if !body::is_of_type(request, "application/json") {
        return Err(AdminError::InvalidBody);
    }
    serde_json::from_slice(body::bytes(request)).map_err(|_| AdminError::InvalidBody)
}
