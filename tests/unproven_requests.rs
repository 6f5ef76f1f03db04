//! What a request without any proof can make us do, at most. `docs/unproven-requests.md` has the table, and this test fills it.
//!
//! Without proof is a request whose every credential, code, token, session and signature is missing, malformed, or one that anybody can
//! make up. The function is warm, and what it keeps for a while is stale.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::oauth::api_key::ApiKey;
use test_system::TestSystem;
use test_system::client_key::{ASSERTION_TYPE, ClientKey};
use test_system::connector::{Connector, UNKNOWN_REFRESH_TOKEN};
use test_system::metadata_document_host::MetadataDocumentHost;
use test_system::person::{Form, Person, encoded};
use test_system::recorded_calls::RecordedCalls;

use crate::sign_in::SESSION_COOKIE;

const DOCUMENT: &str = include_str!("../docs/unproven-requests.md");
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// Longer than anything that a function keeps, but for the keys of AWS.
const UNTIL_STALE: i64 = 11 * 60;

/// What a request made us do.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    read: f64,
    write: f64,
    kms: usize,
    supabase: usize,
    outbound: usize,
    /// Bytes; a line of the audit counts twice, as the audit log keeps a copy.
    log: usize,
}

impl Cost {
    fn most(self, other: Self) -> Self {
        Self {
            read: self.read.max(other.read),
            write: self.write.max(other.write),
            kms: self.kms.max(other.kms),
            supabase: self.supabase.max(other.supabase),
            outbound: self.outbound.max(other.outbound),
            log: self.log.max(other.log),
        }
    }
}

/// As the row of the document goes on after the route. Of the log, kilobytes that have begun.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, write, kms, supabase, outbound, log } = self;
        write!(f, "{read} | {write} | {kms} | {supabase} | {outbound} | {}", log.div_ceil(1024))
    }
}

/// A request, but for its method and its path.
#[derive(Clone, Debug, Default)]
struct Sent {
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Option<(&'static str, String)>,
}

impl Sent {
    fn query(query: String) -> Self {
        Self { query, ..Self::default() }
    }

    fn form<V: AsRef<str>>(fields: &[(&str, V)]) -> Self {
        Self { body: Some((FORM, encoded(fields))), ..Self::default() }
    }

    fn json(body: &Value) -> Self {
        Self { body: Some((JSON, body.to_string())), ..Self::default() }
    }

    /// As a browser sends it from a page of ours.
    fn on_our_page(self) -> Self {
        self.with(&[("origin", "null".to_owned()), ("sec-fetch-site", "same-origin".to_owned())])
    }

    fn with(mut self, headers: &[(&'static str, String)]) -> Self {
        for (name, value) in headers {
            match self.headers.iter_mut().find(|(known, _)| *known == "cookie" && *name == "cookie") {
                Some((_, cookies)) => *cookies = format!("{cookies}; {value}"),
                None => self.headers.push((*name, value.clone())),
            }
        }
        self
    }
}

/// Somebody who can prove nothing, and has prepared well.
struct Stranger<'w> {
    test_system: &'w TestSystem,
    calls: &'w RecordedCalls,
    documents: &'w MetadataDocumentHost,
    /// A client with as much metadata as a registration may have.
    registered: Connector<'w>,
    /// A client whose key set, as large as one may be, is at an address. A person has once opened its page.
    by_key: Connector<'w>,
    /// Not the key of that client.
    key: ClientKey,
}

/// 8 KB of metadata, with as many redirect addresses as fit.
fn metadata(name: &str) -> Value {
    let uris: Vec<_> = (0..7).map(|number| format!("https://{number}.example/{}", "a".repeat(1000))).collect();
    json!({ "client_name": name, "redirect_uris": uris })
}

impl<'w> Stranger<'w> {
    async fn prepare(
        test_system: &'w TestSystem,
        calls: &'w RecordedCalls,
        documents: &'w MetadataDocumentHost,
    ) -> Self {
        let registration = metadata("Stranger");
        let answer = test_system.post_json("/oauth/register", &registration).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let registered = Connector {
            test_system,
            client_id: answer.json()["client_id"].as_str().unwrap().to_owned(),
            redirect_uri: registration["redirect_uris"][0].as_str().unwrap().to_owned(),
            secret: None,
        };
        // RSA of 8192 bits, of which nobody has the private half.
        let modulus = URL_SAFE_NO_PAD.encode([255; 1024]);
        let key = |number: usize| json!({ "kty": "RSA", "kid": format!("{number:0256}"), "n": modulus, "e": "AQAB" });
        let keys = json!({ "keys": (0..32).map(key).collect::<Vec<_>>() });
        let mut document = documents.document("/client.json", "By its key", &["http://localhost/callback"]);
        document["token_endpoint_auth_method"] = json!("private_key_jwt");
        document["jwks_uri"] = json!(documents.at("/keys.json"));
        documents.publish("/client.json", &document);
        documents.publish("/keys.json", &keys);
        let by_key = documents.connector_at(test_system, "/client.json");
        let ana = test_system.person("ana@example.com");
        assert_eq!(ana.sign_in(&by_key.authorization_request("skills:read").url).await.status, 200);
        for path in ["/.well-known/jwks.json", "/tools/.well-known/jwks.json"] {
            assert_eq!(test_system.get(path).await.status, 200);
        }
        Self { test_system, calls, documents, registered, by_key, key: ClientKey::p256("1") }
    }

    /// What an answer to it made us do.
    async fn cost(&self, method: &str, path: &str, sent: &Sent) -> Cost {
        let Self { test_system, calls, documents, .. } = self;
        let (_, _) = (calls.take(), calls.consumed());
        let asked = test_system.supabase().total_request_count();
        let (fetched, logged) = (documents.total_request_count(), test_system.log_length());
        let url = format!("{}{}", test_system.at(&path.replace("{tenant}", "acme")), sent.query);
        let mut request = test_system.http().request(method.parse().unwrap(), url);
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        if let Some((kind, body)) = &sent.body {
            request = request.header("content-type", *kind).body(body.clone());
        }

        let answer = test_system.send(request).await;

        assert!(answer.status != 404 && answer.status != 500, "{method} {path} {sent:?}: {answer:?}");
        let id = answer.header("apigw-requestid").unwrap();
        let lines = test_system.lines_since(logged).into_iter().filter_map(|text| {
            let line: Value = serde_json::from_str(&text).ok()?;
            let copies = if line["target"] == "audit" { 2 } else { 1 };
            (line["request"] == id).then(|| (line, copies * (text.len() + 1)))
        });
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.iter().filter(|(line, _)| line["target"] == "request").count(), 1, "{method} {path}");
        assert!(
            lines.iter().all(|(line, _)| line.get("tenant").is_none()),
            "a stranger's line names a tenant: {lines:?}"
        );
        let consumed = calls.consumed();
        Cost {
            read: consumed.read,
            write: consumed.write,
            kms: calls.take().iter().filter(|call| call.action.starts_with("kms:")).count(),
            supabase: test_system.supabase().total_request_count() - asked,
            outbound: documents.total_request_count() - fetched,
            log: lines.iter().map(|(_, bytes)| bytes).sum(),
        }
    }

    /// The most of everything that they can think of for a route.
    async fn most(&self, function: &str, method: &str, path: &str) -> Cost {
        let mut most = Cost::default();
        let mut number = 0;
        loop {
            self.test_system.advance(UNTIL_STALE);
            // Made anew each time: some of it is good for minutes.
            let requests = self.requests(function, method, path).await;
            let Some(sent) = requests.get(number) else { return most };
            most = most.most(self.cost(method, path, sent).await);
            number += 1;
        }
    }

    async fn requests(&self, function: &str, method: &str, path: &str) -> Vec<Sent> {
        let mut requests = match (function, method) {
            (_, "OPTIONS") | ("wellknown" | "mcp", "GET" | "HEAD") => Vec::new(),
            ("register", _) => self.registrations(),
            ("authorize", _) => self.authorization_requests(method),
            ("token" | "revoke", _) => self.token_requests(),
            ("mcp", _) => vec![Sent::json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))],
            ("feed", _) => self.deliveries(),
            ("login", _) => self.sign_ins(method, path).await,
            ("admin", "POST") if path.starts_with("/admin/api/") => {
                vec![Sent::json(&json!({ "name": "a", "permissions": ["skills:read"], "id": "a", "connection": "a" }))]
            }
            ("admin", "POST") => {
                let fields = [("confirmation", "A".repeat(43)), ("connection", "A".repeat(22)), ("id", "A".repeat(16))];
                vec![Sent::form(&fields).on_our_page()]
            }
            ("admin", _) => vec![Sent::query("?after=1.A&q=a".to_owned())],
            (unknown, _) => panic!("what would a stranger send to {unknown}?"),
        };
        let first = requests.first().cloned().unwrap_or_default();
        requests.insert(0, Sent::query(format!("?x={}", "\"<é".repeat(300))));
        requests.extend(self.proofs().iter().map(|proof| first.clone().with(proof)));
        requests
    }

    /// What looks like a proof, and is none.
    fn proofs(&self) -> Vec<Vec<(&'static str, String)>> {
        let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
        let (known, other) = (ApiKey::parse(&self.test_system.api_key()).unwrap(), ApiKey::random());
        let wrong = ApiKey { id: known.id, secret: other.secret.clone() };
        let access_token = json!({ "alg": "RS256", "kid": "a", "typ": "at+jwt" }).to_string();
        let access_token = [access_token, json!({ "grant": "a" }).to_string(), "a".repeat(256)];
        let twins = ["sb-a-auth-token", "sb-b-auth-token", "sb-c-auth-token", SESSION_COOKIE];
        let twins: Vec<_> = twins.iter().map(|name| format!("{name}={}", self.session("HS256", name))).collect();
        vec![
            vec![("user-agent", "\"".repeat(2000)), ("referer", "\"".repeat(2000))],
            vec![("cookie", format!("{SESSION_COOKIE}={}", self.session("ES256", "a")))],
            vec![("cookie", format!("{SESSION_COOKIE}={}", self.session("HS256", "a")))],
            vec![("cookie", twins.join("; "))],
            bearer(&access_token.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")),
            bearer(&other.to_text()),
            vec![("x-api-key", wrong.to_text())],
            vec![("authorization", format!("Basic {}", STANDARD.encode("a:b")))],
        ]
    }

    /// A session as `@supabase/ssr` keeps it, whose token nobody has signed.
    fn session(&self, algorithm: &str, kid: &str) -> String {
        let now = self.test_system.now();
        let header = json!({ "alg": algorithm, "kid": kid, "typ": "JWT" });
        let claims = json!({
            "iss": format!("{}/auth/v1", self.test_system.system().supabase_url()),
            "sub": self.test_system.person_id("ana@example.com").as_str(),
            "aud": "authenticated",
            "role": "authenticated",
            "iat": now,
            "exp": now + 3600,
            "session_id": "5e1f2a7c-1d7e-4a52-8d55-0a9f7d9f1c33",
            "is_anonymous": false,
            "aal": "aal1",
            "amr": [{ "method": "password", "timestamp": now }],
        });
        let parts = [header.to_string(), claims.to_string(), "s".repeat(64)];
        let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let session = json!({ "access_token": token, "refresh_token": "a", "expires_at": now + 3600 });
        format!("base64-{}", URL_SAFE_NO_PAD.encode(session.to_string()))
    }

    /// One that nobody has registered yet.
    fn registrations(&self) -> Vec<Sent> {
        vec![Sent::json(&metadata(&self.test_system.random())), Sent::json(&json!({ "redirect_uris": ["\""] }))]
    }

    fn authorization_requests(&self, method: &str) -> Vec<Sent> {
        let host = format!("https://{}example/cb", "a.".repeat(123));
        let (unknown, state) = ("\"".repeat(256), "\"".repeat(1000));
        let never_seen = format!("{}/{}.json", self.documents.origin(), self.test_system.random());
        let mut requests = Vec::new();
        for changes in [
            &[][..],
            &[("scope", "skills:read"), ("state", state.as_str())],
            &[("client_id", unknown.as_str()), ("redirect_uri", host.as_str())],
            &[("client_id", never_seen.as_str()), ("redirect_uri", host.as_str())],
            &[("client_id", unknown.as_str()), ("redirect_uri", host.as_str()), ("response_type", "\"")],
            &[("client_id", self.by_key.client_id.as_str())],
            &[("redirect_uri", "https://elsewhere.example/")],
        ] {
            let changes: Vec<_> = changes.iter().map(|(name, value)| (*name, Some(*value))).collect();
            let url = self.registered.authorization_request_with(&changes).url;
            let query = url.split_once('?').unwrap().1;
            requests.push(if method == "POST" {
                let decision = format!("{query}&decision=approve&tenant=acme&confirmation={}", "A".repeat(43));
                Sent { body: Some((FORM, decision)), ..Sent::default() }.on_our_page()
            } else {
                Sent::query(format!("?{query}"))
            });
        }
        requests
    }

    /// At token and at revoke: what a client has, made up.
    fn token_requests(&self) -> Vec<Sent> {
        let (verifier, code) = (self.test_system.random(), format!("ac_{}", "A".repeat(64)));
        let (registered, by_key) = (self.registered.client_id.clone(), self.by_key.client_id.clone());
        let (unknown, longer) = ("\"".repeat(256), format!("rt_{}", "A".repeat(166)));
        let refresh = |client: &str, more: &[(&'static str, String)]| {
            let mut fields = vec![
                ("grant_type", "refresh_token".to_owned()),
                ("refresh_token", UNKNOWN_REFRESH_TOKEN.to_owned()),
                ("token", UNKNOWN_REFRESH_TOKEN.to_owned()),
                ("client_id", client.to_owned()),
            ];
            fields.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
            fields.extend_from_slice(more);
            Sent::form(&fields)
        };
        let assertion = self.key.assertion(&self.by_key);
        let assertion = [("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", assertion)];
        vec![
            refresh(&by_key, &assertion),
            refresh(&registered, &[]),
            refresh(&unknown, &[("scope", "\"".repeat(1000))]),
            refresh("acme-cowork", &[("client_secret", "a".to_owned())]),
            // One that says its generation.
            refresh(&registered, &[("refresh_token", longer.clone())]),
            Sent::form(&[("token", longer.as_str()), ("client_id", registered.as_str())]),
            Sent::form(&[
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("code_verifier", verifier.as_str()),
                ("client_id", registered.as_str()),
                ("redirect_uri", self.registered.redirect_uri.as_str()),
            ]),
            Sent::form(&[
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("code_verifier", verifier.as_str()),
                ("client_id", unknown.as_str()),
            ]),
            Sent::form(&[("grant_type", "authorization_code"), ("code", "a"), ("client_id", unknown.as_str())]),
            Sent::form(&[("token", "a"), ("client_id", by_key.as_str())]),
        ]
    }

    fn deliveries(&self) -> Vec<Sent> {
        let body = self.test_system.membership_change("ben@example.com", "acme", Some("member"), None, 1);
        let signature = format!("v1,{}", STANDARD.encode([0; 32]));
        vec![Sent::json(&body).with(&[
            ("webhook-id", "a".repeat(128)),
            ("webhook-timestamp", self.test_system.now().to_string()),
            ("webhook-signature", signature),
        ])]
    }

    /// In a browser that has opened the page: a form's confirmation is in its own cookie, and a flow is begun by asking.
    async fn sign_ins(&self, method: &str, path: &str) -> Vec<Sent> {
        let stranger = Person::new(self.test_system, "stranger@example.com", "");
        let page = stranger.open("/auth/login").await;
        let form = Form::find(&page, "confirmation").unwrap();
        let confirmation = form.fields.iter().find(|(name, _)| name == "confirmation").unwrap().1.clone();
        let mut flow = "A".repeat(22);
        if matches!(path, "/auth/callback" | "/auth/login/link" | "/auth/login/code") {
            // More than one attempt under way: each has a verifier that could be the right one.
            for _ in 0..4 {
                let chosen = Form::find(&page, "provider").unwrap().with("provider", "google");
                let answer = stranger.submit_and_follow(&chosen).await;
                let back = answer.body.split("flow%3D").nth(1).unwrap();
                back.split(['&', '%']).next().unwrap().clone_into(&mut flow);
            }
        }
        let cookies = [("cookie", stranger.cookie_header())];
        if method != "POST" {
            let code = "5e1f2a7c-1d7e-4a52-8d55-0a9f7d9f1c33";
            return vec![
                Sent::query(format!("?flow={flow}&code={code}&next=/admin")).with(&cookies),
                Sent::query(format!("?flow={flow}&token_hash={}", "a".repeat(56))).with(&cookies),
                Sent::query(format!("?flow={flow}&error={0}&error_description={0}", "%22".repeat(500))).with(&cookies),
                Sent::query(format!("?flow={flow}")).with(&cookies),
            ];
        }
        let (email, hash) = (format!("{}@example.com", "a".repeat(300)), "a".repeat(56));
        let fields = [
            ("confirmation", confirmation.as_str()),
            ("email", email.as_str()),
            ("password", "a"),
            ("token", "123456"),
            ("token_hash", hash.as_str()),
            ("flow", flow.as_str()),
            ("code", "123456"),
            ("factor", "5e1f2a7c-1d7e-4a52-8d55-0a9f7d9f1c33"),
            ("provider", "google"),
            ("next", "/admin"),
        ];
        // A mail is answered after two seconds.
        let unconfirmed = [("confirmation", "a"), ("email", "a@example.com")];
        vec![Sent::form(&fields).on_our_page().with(&cookies), Sent::form(&unconfirmed).on_our_page()]
    }
}

/// A system whose calls are counted, and a host of metadata documents that it may ask.
async fn counted_system() -> (TestSystem, RecordedCalls, MetadataDocumentHost) {
    let (calls, documents) = (RecordedCalls::default(), MetadataDocumentHost::serve().await);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(calls.wire());
        options.document_origins.push(documents.origin().to_owned());
    })
    .await;
    (test_system, calls, documents)
}

/// Every route of the template is in the table, with the most that anybody can cause there.
#[tokio::test(flavor = "multi_thread")]
async fn table_of_unproven_requests_says_the_most_that_each_can_cause() {
    let (test_system, calls, documents) = counted_system().await;
    let stranger = Stranger::prepare(&test_system, &calls, &documents).await;
    let mut paths: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (route, function) in test_system.system().routes() {
        let (method, path) = route.split_once(' ').unwrap();
        paths.entry((function.to_owned(), path.to_owned())).or_default().insert(method.to_owned());
    }
    let (mut rows, mut measured) = (Vec::new(), Vec::new());
    for ((function, path), methods) in &paths {
        let mut most = Cost::default();
        for method in methods {
            most = most.most(stranger.most(function, method, path).await);
        }
        assert_eq!(most.kms, 0, "{path}: nobody has anything signed");
        assert!(most.outbound <= 1 && most.supabase <= 8 && most.log <= 4096, "{path}: {most:?}");
        rows.push(format!("| `{path}` | {most} |"));
        measured.push(format!("{path} {most:?}"));
    }
    test_system.forget_secrets();

    let documented: Vec<_> = DOCUMENT.lines().filter(|line| line.starts_with("| `/")).collect();
    let (table, exactly) = (rows.join("\n"), measured.join("\n"));
    assert_eq!(documented, rows, "docs/unproven-requests.md must say:\n{table}\nmeasured:\n{exactly}");
}

/// Garbage costs no call of anybody, and no time.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_request_makes_no_call_and_takes_less_than_a_millisecond() {
    const TRIES: usize = 20;
    let (test_system, calls, documents) = counted_system().await;
    let stranger = Stranger::prepare(&test_system, &calls, &documents).await;
    let registered = stranger.registered.client_id.as_str();
    let cookie = [("cookie", format!("{SESSION_COOKIE}={}", stranger.session("HS256", "a")))];
    let ask = |changes: &[(&str, Option<&str>)]| {
        let url = stranger.registered.authorization_request_with(changes).url;
        Sent::query(format!("?{}", url.split_once('?').unwrap().1))
    };
    let bytes = |kind, body: &str| Sent { body: Some((kind, body.to_owned())), ..Sent::default() };
    let verifier = "v".repeat(43);
    let token = |fields: &[(&str, &str)]| {
        Sent::form(&[&[("client_id", registered), ("code_verifier", verifier.as_str())][..], fields].concat())
    };
    let secret = format!("Basic {}", STANDARD.encode("nobody:a"));
    let malformed = [
        ("POST", "/oauth/register", bytes(JSON, "{")),
        ("POST", "/oauth/register", bytes(JSON, &format!("{{\"redirect_uris\":[\"{}\"]}}", "a".repeat(7000)))),
        ("POST", "/oauth/register", bytes(JSON, r#"{"redirect_uris":["http://evil.example/"]}"#)),
        ("POST", "/oauth/register", bytes(JSON, r#"{"redirect_uris":["https://a.example/"],"grant_types":["x"]}"#)),
        ("POST", "/oauth/register", bytes(FORM, "a=b")),
        ("POST", "/oauth/register", bytes(JSON, &"[".repeat(20_000))),
        ("GET", "/oauth/authorize", Sent::default()),
        ("GET", "/oauth/authorize", Sent::default().with(&cookie)),
        ("GET", "/oauth/authorize", Sent::query("?client_id=a&client_id=b".to_owned()).with(&cookie)),
        ("GET", "/oauth/authorize", ask(&[("client_id", Some("https://evil.example/?a=b"))]).with(&cookie)),
        ("GET", "/oauth/authorize", ask(&[("redirect_uri", Some("javascript:alert(1)"))]).with(&cookie)),
        ("GET", "/oauth/authorize", ask(&[("response_type", None)])),
        ("GET", "/oauth/authorize", ask(&[("response_type", Some("token"))])),
        ("GET", "/oauth/authorize", ask(&[("code_challenge", None)])),
        ("GET", "/oauth/authorize", ask(&[("code_challenge", Some("short"))])),
        ("GET", "/oauth/authorize", ask(&[("code_challenge_method", Some("plain"))])),
        ("GET", "/oauth/authorize", ask(&[("scope", Some("\u{e9}"))])),
        ("GET", "/oauth/authorize", ask(&[("state", Some(&"s".repeat(8000)))])),
        ("POST", "/oauth/authorize", bytes(JSON, "{}")),
        ("POST", "/oauth/authorize", bytes(FORM, "client_id=%ff")),
        ("POST", "/oauth/authorize", bytes(FORM, "decision=approve").with(&cookie).on_our_page()),
        ("POST", "/oauth/token", bytes(FORM, "")),
        ("POST", "/oauth/token", bytes(FORM, &format!("grant_type={}", "a".repeat(20_000)))),
        ("POST", "/oauth/token", token(&[("grant_type", "password")])),
        ("POST", "/oauth/token", token(&[("grant_type", "authorization_code")])),
        ("POST", "/oauth/token", token(&[("grant_type", "authorization_code"), ("code", "ac_nonsense")])),
        ("POST", "/oauth/token", token(&[("grant_type", "refresh_token"), ("refresh_token", "rt_nonsense")])),
        (
            "POST",
            "/oauth/token",
            Sent::form(&[("grant_type", "refresh_token"), ("refresh_token", "rt_nonsense")])
                .with(&[("authorization", secret)]),
        ),
        ("POST", "/oauth/token", token(&[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", "a.b.c")])),
        ("POST", "/oauth/revoke", bytes(FORM, "")),
        ("POST", "/oauth/revoke", token(&[("token", "nonsense")])),
        ("POST", "/oauth/revoke", token(&[("token", "rt_nonsense")])),
        ("POST", "/oauth/revoke", token(&[("token", "a.b.c")])),
        ("POST", "/api/mcp/server", bytes(JSON, "{")),
        ("POST", "/api/mcp/server", bytes(JSON, "{}").with(&[("authorization", "Bearer a.b.c".to_owned())])),
        ("POST", "/api/mcp/server", bytes(JSON, "{}").with(&[("x-api-key", "sk_mistyped".to_owned())])),
        ("POST", "/hooks/membership", bytes(JSON, "{")),
        ("POST", "/hooks/membership", stranger.deliveries().remove(0)),
        ("POST", "/auth/login/password", bytes(FORM, "email=a&password=b").on_our_page()),
        ("POST", "/auth/login/verify", bytes(FORM, "confirmation=a")),
    ];
    for (method, path, sent) in malformed {
        let mut fastest = u64::MAX;
        for _ in 0..TRIES {
            let logged = test_system.log_length();
            let cost = stranger.cost(method, path, &sent).await;
            let lines = test_system.lines_since(logged);
            let line = lines
                .iter()
                .find_map(|line| serde_json::from_str::<Value>(line).ok().filter(|line| line["target"] == "request"));
            fastest = fastest.min(line.unwrap()["microseconds"].as_u64().unwrap());
            let Cost { read, write, kms, supabase, outbound, .. } = cost;
            assert_eq!(calls.requests(), 0, "{method} {path} {sent:?}: {cost:?}");
            assert_eq!((kms, supabase, outbound), (0, 0, 0), "{method} {path} {sent:?}");
            assert!(read + write < 0.1, "{method} {path} {sent:?}: {cost:?}");
        }
        assert!(fastest < 1000, "{method} {path} {sent:?}: {fastest} µs");
    }
}
