//! A test system of its own for each test: the whole system in memory, a clock that can be turned, and actors.
//!
//! When a test system is dropped, everything stored and everything logged is searched for every secret that its actors ever saw.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "an actor that cannot go on ends its test")]

mod captured_log;
pub mod certificate_authority;
pub mod client_key;
pub mod connector;
pub mod http_response;
pub mod metadata_document_host;
pub mod person;
pub mod placement;
pub mod product_feed;
mod programs;
pub mod recorded_calls;
pub mod saved_query;
pub mod scheduler;
pub mod supabase_project;
mod table_faults;
pub mod tunnel;

use std::fmt::Write;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fakes::supabase::project::Supabase;
use local::table_faults::TableFaults;
use local::{Options, System};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::api_key_issuer::ApiKeyIssuer;
use shared::clock::{Clock, Timestamp};
use shared::oauth::api_key::{ApiKeyName, ApiKeyRecord};
use shared::oauth::client::{Client, ClientId, ClientKind, ClientSecretDigest, DocumentAuthentication, DocumentFetch};
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::scope::Scopes;
use shared::oauth::secret::{Digest as Hidden, Secret, to_text};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::revocation::Revocation;
use shared::store::api_keys::{Actor, NewApiKey};
use shared::store::clients::PutOutcome;
use shared::store::directory::Membership;

use connector::{Connector, Tokens};
use http_response::HttpResponse;
use person::Person;
use placement::{Front, HttpClient};
use programs::FakeClock;
use scheduler::PausedClock;

/// Where hosted clients are answered.
pub const CALLBACK: &str = "https://claude.ai/api/mcp/auth_callback";

/// A system and what its actors have seen.
pub struct TestSystem {
    system: System,
    http: HttpClient,
    /// What is in front of it, for as long as it is there.
    _front: Front,
    clock: Arc<AtomicI64>,
    /// The clock of functions that are processes.
    fake_clock: Option<FakeClock>,
    secrets: Mutex<Vec<String>>,
    /// How much was logged before it began, and knew any secret.
    logged: usize,
}

impl TestSystem {
    /// A new one, with the demo's people and tenants in it.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A new one whose options `change` may set.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::at_time(1_795_339_800, change).await
    }

    /// The same, beginning at a time in seconds since the epoch.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn at_time(now: i64, change: impl FnOnce(&mut Options)) -> Self {
        captured_log::listen();
        let logged = captured_log::length();
        let clock = Arc::new(AtomicI64::new(now));
        let told = Arc::clone(&clock);
        let mut options = Options {
            clock: Clock::new(move || Timestamp::from_seconds(told.load(Ordering::SeqCst))),
            demo: true,
            dynamo: tables_elsewhere(),
            // Where the tables are, others may have theirs.
            stack: format!("test-{}", to_text(Secret::<9>::random().expose())),
            ..Options::default()
        };
        change(&mut options);
        // Whoever watches each call, or decides what becomes of it, wants no others than their own.
        if options.interceptor.is_none() && options.table_faults.is_none() && !PausedClock::is_held() {
            options.table_faults = table_faults::from_env();
        }
        let mut front = Front::of(&mut options);
        let (programs, fake_clock) = programs::from_env().unzip();
        options.programs = programs.or(options.programs);
        if let Some(fake_clock) = &fake_clock {
            fake_clock.set(clock.load(Ordering::SeqCst));
        }
        let system = Box::pin(System::start(options)).await.expect("the system starts");
        // Fails only when it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        front.lead_to(system.local_origin()).await;
        let http = HttpClient::new(&front, system.issuer(), system.local_origin());
        let secrets = Mutex::default();
        let test_system = Self { http, _front: front, system, clock, fake_clock, secrets, logged };
        if let Some(demo) = test_system.system.demo() {
            test_system.track_secret(&demo.api_key);
        }
        test_system
    }

    /// The system.
    #[must_use]
    pub const fn system(&self) -> &System {
        &self.system
    }

    /// The sign-in service.
    ///
    /// # Panics
    /// When it is a project apart.
    #[must_use]
    pub fn supabase(&self) -> &Arc<Supabase> {
        self.system.supabase().expect("the fake Supabase is in here")
    }

    /// What happens to calls to the tables.
    ///
    /// # Panics
    /// When nothing was to happen to them.
    #[must_use]
    pub fn table_faults(&self) -> &TableFaults {
        self.system.table_faults().expect("options.table_faults")
    }

    /// Waits until the indexes show everything that was written, if they are late here.
    pub async fn settled(&self) {
        if let Some(faults) = self.system.table_faults() {
            faults.settled().await;
        }
    }

    /// Has no page cut from now on: for answers that show one page, and say that there is more.
    pub fn stop_cutting_pages(&self) {
        if let Some(faults) = self.system.table_faults() {
            faults.change(|settings| {
                settings.cut_to = None;
            });
        }
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.system.issuer().to_owned()
    }

    /// The URL that people paste.
    #[must_use]
    pub fn mcp_url(&self) -> String {
        self.system.mcp_url()
    }

    /// The URL of one tenant.
    #[must_use]
    pub fn mcp_url_of(&self, tenant: &str) -> String {
        format!("{}/{tenant}", self.mcp_url())
    }

    /// The address of a path.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.system.issuer())
    }

    /// The address of a path as the system's host has it, for what reaches it without [`Self::http`].
    #[must_use]
    pub fn placed_at(&self, path: &str) -> String {
        self.http.placed(&self.at(path))
    }

    /// An address from an address or a path.
    #[must_use]
    pub fn absolute(&self, url: &str) -> String {
        if url.starts_with('/') { self.at(url) } else { url.to_owned() }
    }

    /// Whether an address is on our origin.
    #[must_use]
    pub fn is_ours(&self, url: &str) -> bool {
        url.starts_with('/') || url.starts_with(&self.at("/"))
    }

    /// For requests of one's own.
    #[must_use]
    pub const fn http(&self) -> &HttpClient {
        &self.http
    }

    /// The time, in seconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: i64) {
        let before = self.clock.fetch_add(seconds, Ordering::SeqCst);
        if let Some(fake_clock) = &self.fake_clock {
            fake_clock.set(before + seconds);
        }
    }

    /// 43 random characters.
    #[must_use]
    pub fn random(&self) -> String {
        let text = to_text(Secret::<32>::random().expose());
        self.track_secret(&text);
        text
    }

    /// Notes a secret that must never be stored or logged.
    ///
    /// # Panics
    /// Never in practice.
    pub fn track_secret(&self, secret: &str) {
        self.secrets.lock().expect("unpoisoned").push(secret.to_owned());
    }

    /// Searches for none of them at the end: where there are thousands, and nothing is being tested.
    ///
    /// # Panics
    /// Never in practice.
    pub fn forget_secrets(&self) {
        self.secrets.lock().expect("unpoisoned").clear();
    }

    /// A client that registers itself, answered where Claude is.
    pub async fn connector(&self, name: &str) -> Connector<'_> {
        self.connector_at(name, &[CALLBACK]).await
    }

    /// A client that registers itself with these addresses.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connector_at(&self, name: &str, redirect_uris: &[&str]) -> Connector<'_> {
        let metadata = json!({
            "client_name": name,
            "redirect_uris": redirect_uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let answer = self.post_json("/oauth/register", &metadata).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let client_id = answer.json()["client_id"].as_str().expect("an id").to_owned();
        Connector { test_system: self, client_id, redirect_uri: redirect_uris[0].to_owned(), secret: None }
    }

    /// A client that an operator registered, with a secret.
    ///
    /// # Panics
    /// When it cannot be kept.
    pub async fn confidential_client(&self, id: &str, secret: &str) -> Connector<'_> {
        self.track_secret(secret);
        let made = Timestamp::from_seconds(self.now());
        let client = Client {
            id: ClientId::parse(id).expect("an id"),
            name: Some("Acme for Cowork".to_owned()),
            redirect_uris: vec![RedirectUri::parse(CALLBACK).expect("an address")],
            refreshes: true,
            kind: ClientKind::Confidential {
                secrets: vec![ClientSecretDigest { digest: Hidden::of(secret.as_bytes()), made }],
            },
        };
        assert_eq!(self.system.clients().put(&client).await.expect("kept"), PutOutcome::Written, "{id}");
        Connector {
            test_system: self,
            client_id: id.to_owned(),
            redirect_uri: CALLBACK.to_owned(),
            secret: Some(secret.to_owned()),
        }
    }

    /// Has the document of a client in its table, fresh for a month: nobody is asked for it.
    ///
    /// # Panics
    /// When it cannot be kept.
    pub async fn store_metadata_document(&self, id: &str, name: &str, redirect_uris: &[&str]) {
        let (now, month) = (self.system.clock().now(), std::time::Duration::from_hours(30 * 24));
        let known = DocumentFetch {
            fetched: now,
            fresh: now.plus(month),
            digest: shared::oauth::secret::Digest::of(id.as_bytes()),
            expires: now.plus(month),
        };
        let client = Client {
            id: ClientId::parse(id).expect("an id"),
            name: Some(name.to_owned()),
            redirect_uris: redirect_uris.iter().map(|uri| RedirectUri::parse(uri).expect("an address")).collect(),
            refreshes: true,
            kind: ClientKind::Document(known, DocumentAuthentication::Public),
        };
        self.system.clients().put(&client).await.expect("kept");
    }

    /// A connection of one of the demo's people: the client, and its first tokens.
    pub async fn connect(&self, email: &str, tenant: &str, scope: &str) -> (Connector<'_>, Tokens) {
        let connector = self.connector("Claude").await;
        let ask = connector.authorization_request(scope);
        let code = self.person(email).code(&ask, tenant).await;
        let tokens = connector.exchange(&ask, &code).await.tokens(self);
        (connector, tokens)
    }

    /// One of the demo's people.
    ///
    /// # Panics
    /// When there is no such person.
    #[must_use]
    pub fn person(&self, email: &str) -> Person<'_> {
        let demo = self.system.demo().expect("the demo");
        let known = demo.people.iter().find(|person| person.email == email).expect("a person of the demo");
        self.track_secret(&known.password);
        Person::new(self, email, &known.password)
    }

    /// The demo's API key.
    ///
    /// # Panics
    /// Without the demo.
    #[must_use]
    pub fn api_key(&self) -> String {
        self.system.demo().expect("the demo").api_key.clone()
    }

    /// Gives a person a role in a tenant.
    ///
    /// # Panics
    /// When it cannot be kept.
    pub async fn set_role(&self, tenant: &str, email: &str, role: &str) {
        let (tenant, person) = (TenantId::parse(tenant).expect("a tenant"), self.person_id(email));
        self.system.directory().put_member(&tenant, &person, role).await.expect("kept");
    }

    /// Takes a person out of a tenant.
    ///
    /// # Panics
    /// When it cannot be done.
    pub async fn remove_member(&self, tenant: &str, email: &str) {
        let (tenant, person) = (TenantId::parse(tenant).expect("a tenant"), self.person_id(email));
        self.system.directory().remove_member(&tenant, &person, self.system.clock().now()).await.expect("removed");
    }

    /// Writes `item` into `table` as it is, in DynamoDB's own JSON: as another version would, or a restore of the table.
    ///
    /// # Panics
    /// When the table refuses it.
    pub async fn put_item(&self, table: &str, item: &Value) {
        const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/dynamodb/aws4_request, \
                                     SignedHeaders=host, Signature=0";
        let put = self
            .http
            .post(self.system.dynamo_url())
            .header("x-amz-target", "DynamoDB_20120810.PutItem")
            .header("x-amz-date", "20260101T000000Z")
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", AUTHORIZATION)
            .body(json!({ "TableName": table, "Item": item }).to_string());
        let put = self.send(put).await;
        assert_eq!(put.status, 200, "{table} {item}: {put:?}");
    }

    /// Makes an API key of a member.
    ///
    /// # Panics
    /// When they are no member, or may not do what it is for.
    pub async fn create_api_key(
        &self,
        email: &str,
        tenant: &str,
        scopes: &str,
        expires: Option<i64>,
    ) -> (String, ApiKeyRecord) {
        let membership = self.membership(email, tenant).await;
        let (name, now) = (ApiKeyName::parse("a script").expect("a name"), self.system.clock().now());
        let lifetime = expires.map_or(KeyLifetime::UNTIL_REVOKED, |expires| {
            KeyLifetime::of_span(Timestamp::from_seconds(expires).since(now)).expect("a lifetime")
        });
        let issuer = ApiKeyIssuer::new(self.system.keys());
        let new = NewApiKey { maker: &membership, name, scopes: Scopes::parse(scopes), expiry: lifetime.expiry(now) };
        let made = issuer.create(Actor::Person, new, now).await;
        let (key, known) = made.expect("made");
        self.track_secret(&key.to_text());
        (key.to_text(), known)
    }

    /// Where a person stands in a tenant.
    ///
    /// # Panics
    /// When they are no member.
    pub async fn membership(&self, email: &str, tenant: &str) -> Membership {
        let (tenant, person) = (TenantId::parse(tenant).expect("a tenant"), self.person_id(email));
        self.system.directory().membership(&person, &tenant).await.expect("the table answers").expect("a member")
    }

    /// Revokes an API key.
    ///
    /// # Panics
    /// When it cannot be done.
    pub async fn revoke_api_key(&self, key: &str) {
        let key = shared::oauth::api_key::ApiKey::parse(key).expect("a key");
        let now = self.system.clock().now();
        let known = self.system.keys().find(&key.id, now).await.expect("the table answers").expect("it is known");
        let revocation = Revocation::new(self.system.keys());
        assert!(revocation.revoke(Actor::Person, &known.tenant, &key.id, None, now).await.expect("revoked"));
    }

    /// Whom the directory knows by that address.
    ///
    /// # Panics
    /// When there is no such person.
    #[must_use]
    pub fn person_id(&self, email: &str) -> PersonId {
        let demo = self.system.demo().expect("the demo");
        demo.people.iter().find(|person| person.email == email).expect("a person of the demo").id.clone()
    }

    /// How many items a table holds, without what lies there beside what the table is for.
    ///
    /// # Panics
    /// When the database fails.
    #[expect(clippy::unused_async, reason = "a test reads alike, whatever it asks the test system")]
    pub async fn count(&self, table: &str) -> usize {
        const BESIDE: [&str; 8] =
            ["fetches", "unavailable", "blocked_hosts", "shared_secret", "sign_ins", "approvals", "made", "budget"];
        let items = self.system.items().expect("the items");
        let beside = |item: &Value| BESIDE.iter().any(|kind| item["kind"]["S"] == **kind);
        items.iter().filter(|(name, item)| name.to_lowercase().contains(table) && !beside(item)).count()
    }

    /// Puts an item into a table past all checks, as another version of ours would have.
    ///
    /// # Panics
    /// When the table does not take it.
    pub async fn put_unchecked(&self, table: &str, item: &Value) {
        let signed = "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/dynamodb/aws4_request, SignedHeaders=host, \
                      Signature=0000000000000000000000000000000000000000000000000000000000000000";
        let body = json!({ "TableName": table, "Item": item }).to_string();
        // The table may be short of capacity for a moment.
        for _ in 0..20 {
            let request = self.http().post(self.system.dynamo_url()).header("authorization", signed);
            let request = request.header("x-amz-date", "20261122T000000Z");
            let request = request.header("x-amz-target", "DynamoDB_20120810.PutItem");
            let request = request.header("content-type", "application/x-amz-json-1.0").body(body.clone());
            if self.send(request).await.status == 200 {
                return;
            }
        }
        panic!("the table takes no item");
    }

    /// The [`Self::audit_lines`] of that event, without what every line has.
    #[must_use]
    pub fn audit(&self, event: &str) -> Vec<Value> {
        let mut events: Vec<_> = self.audit_lines().into_iter().filter(|line| line["event"] == event).collect();
        for line in events.iter_mut().filter_map(Value::as_object_mut) {
            let of_every_line = ["timestamp", "level", "target", "v", "function", "request", "invocation", "ip"];
            line.retain(|name, _| !of_every_line.contains(&name.as_str()));
        }
        events
    }

    /// Every line of the audit since this test system began, but what the functions of others wrote.
    #[must_use]
    pub fn audit_lines(&self) -> Vec<Value> {
        let is_of_others = |line: &Value| line.get("invocation").is_some() && !self.system.wrote(line);
        captured_log::audit(self.logged).into_iter().filter(|line| !is_of_others(line)).collect()
    }

    /// Every line that this test system's functions wrote about requests: of the audit, and one for each answer.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        captured_log::all(self.logged).into_iter().filter(|line| self.system.wrote(line)).collect()
    }

    /// How much has been logged, by all test systems: for [`Self::lines_since`].
    #[must_use]
    pub fn log_length(&self) -> usize {
        captured_log::length()
    }

    /// The lines that this test system's functions wrote about requests after that, as they wrote them.
    #[must_use]
    pub fn lines_since(&self, length: usize) -> Vec<String> {
        let lines = captured_log::since(length);
        let wrote = |line: &&str| serde_json::from_str(line).is_ok_and(|line| self.system.wrote(&line));
        lines.lines().filter(wrote).map(str::to_owned).collect()
    }

    /// GET.
    pub async fn get(&self, url: &str) -> HttpResponse {
        self.send(self.http.get(self.absolute(url))).await
    }

    /// GET at a program that may still be about to listen: a client opens the browser first, and a person takes longer than it.
    ///
    /// # Panics
    /// When nothing answers within ten seconds.
    pub async fn get_once_listening(&self, url: &str) -> HttpResponse {
        for _ in 0..200 {
            match self.http.get(url).send().await {
                Err(error) if error.is_connect() => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                answer => return HttpResponse::read(answer.expect("an answer")).await,
            }
        }
        panic!("nothing listens at {url}")
    }

    /// A bare request.
    ///
    /// # Panics
    /// When the method is none.
    pub async fn request(&self, method: &str, path: &str) -> HttpResponse {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        self.send(self.http.request(method, self.at(path))).await
    }

    /// POST of JSON.
    pub async fn post_json(&self, url: &str, value: &Value) -> HttpResponse {
        self.post_bytes(url, "application/json", value.to_string().as_bytes()).await
    }

    /// POST of a form.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> HttpResponse {
        self.post_form_with(url, fields, &[]).await
    }

    /// POST of a form, with headers.
    pub async fn post_form_with(&self, url: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> HttpResponse {
        let request = self.http.post(self.absolute(url)).body(self.http.placed_form(person::encoded(fields)));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// POST of anything; no content type if `kind` is empty.
    pub async fn post_bytes(&self, url: &str, kind: &str, body: &[u8]) -> HttpResponse {
        let request = self.http.post(self.absolute(url)).body(body.to_vec());
        self.send(if kind.is_empty() { request } else { request.header("content-type", kind) }).await
    }

    /// Calls a method of the MCP server in the legacy era, with or without a token.
    pub async fn call(&self, token: Option<&str>, method: &str, params: Value) -> HttpResponse {
        self.call_at(&self.mcp_url(), token, method, params).await
    }

    /// The same at another of its addresses.
    pub async fn call_at(&self, url: &str, token: Option<&str>, method: &str, params: Value) -> HttpResponse {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(body.to_string());
        self.send(match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        })
        .await
    }

    /// Calls a method of the MCP server in the modern era.
    ///
    /// # Panics
    /// When the params are no object.
    pub async fn call_modern(&self, token: &str, method: &str, mut params: Value) -> HttpResponse {
        const VERSION: &str = "2026-07-28";
        let name = params["name"].as_str().or_else(|| params["uri"].as_str()).map(str::to_owned);
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self
            .http
            .post(self.mcp_url())
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", VERSION)
            .header("mcp-method", method)
            .body(body.to_string());
        self.send(match name {
            Some(name) => request.header("mcp-name", name),
            None => request,
        })
        .await
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When nothing answers.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> HttpResponse {
        HttpResponse::read(request.send().await.expect("an answer")).await
    }
}

impl Drop for TestSystem {
    fn drop(&mut self) {
        if std::thread::panicking() {
            table_faults::show(self.system.table_faults());
            return captured_log::show_last();
        }
        let stored = self.system.items().expect("the items");
        let stored: Vec<_> = stored.into_iter().map(|(table, item)| (table, item.to_string())).collect();
        let logged = captured_log::since(self.logged);
        let secrets = std::mem::take(&mut *self.secrets.lock().expect("unpoisoned"));
        for secret in &secrets {
            // Binary attributes are shown in base64: a secret kept as its bytes would show as this.
            let raw = ["rt_", "ac_", "sk_"].iter().find_map(|prefix| secret.strip_prefix(prefix)).unwrap_or(secret);
            for (table, item) in &stored {
                assert!(!item.contains(secret.as_str()) && !item.contains(raw), "{table} holds a secret: {item}");
            }
            assert!(!logged.contains(secret.as_str()), "a secret was logged: {secret}");
        }
    }
}

/// Where whoever runs the tests wants the tables: `TABLES_URL`, of moto or DynamoDB Local.
fn tables_elsewhere() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "it is of whoever runs the tests")]
    std::env::var("TABLES_URL").ok()
}

/// A secret of the edge, as `EdgeSecretDigests` has it.
///
/// # Panics
/// Never in practice.
#[must_use]
pub fn edge_digest(secret: &str) -> String {
    Sha256::digest(secret).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text takes text");
        text
    })
}

/// Header and claims of a JWT, unverified.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn claims(token: &str) -> (Value, Value) {
    let mut parts = token
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).unwrap_or(Value::Null));
    (parts.next().expect("a header"), parts.next().expect("claims"))
}

/// SHA-256 in base64url.
#[must_use]
pub fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// All at once; in the order of the futures.
pub async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(futures).await
}
