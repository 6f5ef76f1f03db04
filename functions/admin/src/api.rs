//! `/admin/api/…`: the console for scripts. What each operation takes and gives is told by `openapi.json` beside this.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::http::parameters::{ParameterError, Parameters};
use shared::http::{body, response};
use shared::lambda::{Request, Response};
use shared::oauth::api_key::{ApiKey, ApiKeyId, ApiKeyName};
use shared::oauth::client::ClientId;
use shared::oauth::grant::GrantId;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::activity::Activity;
use shared::store::api_keys::{self, ApiKeyError, ApiKeyRecord};
use shared::store::connections::{ConnectionFilter, Connections, Cursor};

use crate::listed::{Listed, names};
use crate::manager::Manager;
use crate::refusal::Refusal;
use crate::route::{Operation, Route};
use crate::{Admin, cursor, told};

const DESCRIPTION: &str = include_str!("openapi.json");

#[derive(Serialize)]
struct ConnectionsPage<'a> {
    connections: Vec<Listed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct KeysPage {
    keys: Vec<ListedKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct ListedKey {
    id: String,
    name: String,
    maker: String,
    scopes: Vec<&'static str>,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
}

#[derive(Serialize)]
struct MadeKey {
    #[serde(flatten)]
    listed: ListedKey,
    /// Here and never again.
    key: String,
}

#[derive(Serialize)]
struct ActivityPage {
    events: Vec<Happened>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Happened {
    at: String,
    event: String,
    text: String,
    details: Map<String, Value>,
}

#[derive(Serialize)]
struct Ended {
    ended: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Revoked {
    revoked: bool,
}

/// Exactly one of the first three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToEnd {
    connection: Option<String>,
    person: Option<String>,
    client: Option<String>,
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToMake {
    name: String,
    scopes: Vec<String>,
    expires_in_days: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToRevoke {
    key: String,
}

impl Admin {
    pub(crate) async fn api(&self, request: &Request, route: &Route, now: Timestamp) -> Result<Response, Refusal> {
        let (tenant, operation) = match route {
            Route::Description => return self.description(),
            Route::Api(tenant, operation) => (tenant, operation),
            _ => return self.api_own(request, now).await,
        };
        let manager = self.admit(request, tenant, now).await?;
        let changes = request.method() == Method::POST;
        let parameters = Parameters::of_query(request)?;
        match operation {
            Operation::Connections => self.api_connections(&manager, &parameters, now).await,
            Operation::EndConnections => self.api_end(&manager, &read(request)?, now).await,
            Operation::Keys if changes => self.api_make_key(&manager, read(request)?, now).await,
            Operation::Keys => self.api_keys(&manager, &parameters, now).await,
            Operation::RevokeKey => self.api_revoke_key(&manager, &read(request)?).await,
            Operation::Activity => self.api_activity(&manager, &parameters, now).await,
        }
    }

    /// A key of the tenant; or, for what only reads, the session of someone who looks after it. A session changes nothing here: a
    /// browser sends it unasked, and our pages are for that. A key for another tenant finds nothing, as if there were no such tenant.
    async fn admit(&self, request: &Request, tenant: &TenantId, now: Timestamp) -> Result<Manager, Refusal> {
        let Some(shown) = bearer(request)? else {
            if request.method() != Method::GET {
                return Err(Refusal::Nobody);
            }
            let person = self.identity.signed_in(request, now).await?.ok_or(Refusal::Nobody)?;
            return self.manager(&person, tenant).await;
        };
        let refused = |reason: &'static str, why: Refusal| {
            let key = &shown.id.to_text();
            audit::record(&Event::KeyRefused { key, reason, tenant: None, person: None, scope: None });
            why
        };
        let unproven = |why: ApiKeyError| refused(why.as_str(), Refusal::Key(why));
        let known = self.keys.verify(&shown, now).await?.map_err(unproven)?;
        if known.tenant != *tenant {
            return Err(refused("another_tenant", Refusal::NotThere));
        }
        let membership = self.directory.membership(&known.maker, &known.tenant).await?;
        let membership = membership.ok_or_else(|| refused("maker_gone", Refusal::MakerGone))?;
        let manager =
            Manager::of_key(&shown, &known, membership).ok_or_else(|| unproven(ApiKeyError::SecretMismatch))?;
        manager.map_err(|beyond| {
            audit::record(&Event::KeyRefused {
                key: &shown.id.to_text(),
                reason: "scope",
                tenant: Some(known.tenant.as_str()),
                person: Some(known.maker.as_str()),
                scope: Some(Scope::ConnectionsManage.as_str()),
            });
            Refusal::NotTheirs(beyond)
        })
    }

    async fn api_own(&self, request: &Request, now: Timestamp) -> Result<Response, Refusal> {
        // A key is a tenant's, and must not show what its maker has elsewhere.
        if request.headers().contains_key(AUTHORIZATION) {
            return Err(Refusal::Nobody);
        }
        let person = self.identity.signed_in(request, now).await?.ok_or(Refusal::Nobody)?;
        let after = cursor::read(Parameters::of_query(request)?.value("after"), Cursor::parse)?;
        let tables = (&self.directory, &self.clients);
        let (_, connections) = self.grants.connections_of_person(&person.person, after.as_ref(), tables, now).await?;
        Ok(page(&connections))
    }

    async fn api_connections(
        &self,
        manager: &Manager,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        let after = cursor::read(parameters.value("after"), Cursor::parse)?;
        let person = parameters.value("person").map(|id| PersonId::parse(id).ok_or(Refusal::Body)).transpose()?;
        let client = parameters.value("client").map(|id| ClientId::parse(id).ok_or(Refusal::Body)).transpose()?;
        let (filter, tables) = ((person.as_ref(), client.as_ref()), (&self.directory, &self.clients));
        Ok(page(&self.grants.connections_in_tenant(manager.tenant(), filter, after.as_ref(), tables, now).await?))
    }

    async fn api_end(&self, manager: &Manager, asked: &ToEnd, now: Timestamp) -> Result<Response, Refusal> {
        let (tenant, ender) = (manager.tenant(), self.ender(manager, now));
        let after = cursor::read(asked.after.as_deref(), Cursor::parse)?;
        let whose = |person, client| ConnectionFilter::Tenant { tenant, person, client };
        let swept = match (asked.connection.as_deref(), asked.person.as_deref(), asked.client.as_deref()) {
            (Some(id), None, None) if after.is_none() => {
                let found = self.grants.find(&GrantId::parse(id).ok_or(Refusal::NotThere)?).await?;
                let grant = found.filter(|grant| grant.approval.tenant == *tenant).ok_or(Refusal::NotThere)?;
                return Ok(json(StatusCode::OK, &Ended { ended: usize::from(ender.one(&grant).await?), next: None }));
            }
            (None, Some(id), None) => {
                let person = PersonId::parse(id).ok_or(Refusal::Body)?;
                ender.some(whose(Some(&person), None), None, after.as_ref()).await?
            }
            (None, None, Some(id)) => {
                let client = ClientId::parse(id).ok_or(Refusal::Body)?;
                ender.some(whose(None, Some(&client)), None, after.as_ref()).await?
            }
            _ => return Err(Refusal::Body),
        };
        let next = swept.next.map(|place| cursor::write(&place.to_text()));
        Ok(json(StatusCode::OK, &Ended { ended: swept.ended, next }))
    }

    async fn api_keys(&self, manager: &Manager, parameters: &Parameters, now: Timestamp) -> Result<Response, Refusal> {
        let after = cursor::read(parameters.value("after"), api_keys::Cursor::parse)?;
        let (keys, next) = self.keys.of_tenant(manager.tenant(), after.as_ref(), now).await?;
        let next = next.map(|place| cursor::write(&place.to_text()));
        Ok(json(StatusCode::OK, &KeysPage { keys: keys.iter().map(ListedKey::of).collect(), next }))
    }

    /// Within what the key may do with which it is asked for, and its time.
    async fn api_make_key(&self, manager: &Manager, asked: ToMake, now: Timestamp) -> Result<Response, Refusal> {
        const MOST_DAYS: u64 = 3650;
        let name = ApiKeyName::parse(&asked.name).ok_or(Refusal::Body)?;
        let scopes = Scopes::from_names(asked.scopes.iter().map(String::as_str)).permissions();
        // One that is not known here must not be left out in silence.
        let known = asked.scopes.iter().all(|name| scopes.iter().any(|scope| scope.as_str() == name));
        let days = asked.expires_in_days;
        if !known || days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
            return Err(Refusal::Body);
        }
        let (membership, latest) = manager.heir();
        let asked = days.map(|days| now.plus(Duration::from_hours(24 * days)));
        let expires = asked.into_iter().chain(latest).min();
        let (key, known) = self.keys.create_as(manager.through(None), &membership, name, scopes, expires, now).await?;
        Ok(json(StatusCode::CREATED, &MadeKey { listed: ListedKey::of(&known), key: key.to_text() }))
    }

    async fn api_revoke_key(&self, manager: &Manager, asked: &ToRevoke) -> Result<Response, Refusal> {
        let id = ApiKeyId::parse(&asked.key).ok_or(Refusal::NotThere)?;
        let person = Some(manager.person());
        if self.keys.revoke_as(manager.through(None), manager.tenant(), &id, person).await? {
            Ok(json(StatusCode::OK, &Revoked { revoked: true }))
        } else {
            Err(Refusal::NotThere)
        }
    }

    async fn api_activity(
        &self,
        manager: &Manager,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        let before = cursor::read(parameters.value("after"), shared::store::activity::Cursor::parse)?;
        let (activities, next) = self.lately(manager, before, now).await?;
        let events = activities.iter().map(Happened::of).collect();
        let next = next.map(|place| cursor::write(place.as_str()));
        Ok(json(StatusCode::OK, &ActivityPage { events, next }))
    }

    fn description(&self) -> Result<Response, Refusal> {
        // Its own text, which a test reads.
        let mut description: Value = serde_json::from_str(DESCRIPTION).map_err(|_| Refusal::NotThere)?;
        if let Some(document) = description.as_object_mut() {
            let server = serde_json::json!([{ "url": self.issuer.as_str() }]);
            document.insert("servers".to_owned(), server);
        }
        Ok(response::cacheable(response::json(StatusCode::OK, &description), 3600))
    }
}

impl ListedKey {
    fn of(key: &ApiKeyRecord) -> Self {
        Self {
            id: key.id.to_text(),
            name: key.name.as_str().to_owned(),
            maker: key.maker.to_string(),
            scopes: names(key.scopes),
            created: key.created.to_rfc3339(),
            expires: key.expires.map(Timestamp::to_rfc3339),
            last_used: key.used.map(Timestamp::to_rfc3339),
        }
    }
}

impl Happened {
    /// With what concerns a tenant, and not what only an operator needs.
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
        let words = told::words(activity, told::text(activity, "client"));
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
    json(StatusCode::OK, &ConnectionsPage { connections: connections.found.iter().map(Listed::of).collect(), next })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    response::no_store(response::json(status, value))
}

/// The key that a request shows, if it shows anything (RFC 6750 §2.1): once, whole, and a key.
fn bearer(request: &Request) -> Result<Option<ApiKey>, Refusal> {
    let mut shown = request.headers().get_all(AUTHORIZATION).iter();
    let Some(value) = shown.next() else { return Ok(None) };
    let key = || {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| ApiKey::parse(key.trim()))?
    };
    let alone = shown.next().is_none();
    key().filter(|_| alone).map(Some).ok_or(Refusal::NotAKey)
}

/// A JSON body.
fn read<T: for<'de> Deserialize<'de>>(request: &Request) -> Result<T, Refusal> {
    if body::bytes(request).len() > Parameters::LIMIT {
        return Err(ParameterError::TooLarge.into());
    }
    if !body::is_of_type(request, "application/json") {
        return Err(Refusal::Body);
    }
    serde_json::from_slice(body::bytes(request)).map_err(|_| Refusal::Body)
}
