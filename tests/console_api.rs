//! The console for scripts: what `/admin/api/openapi.json` promises is what is served, and it opens to those it names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Map, Value, json};
use shared::oauth::api_key::ApiKey;
use shared::oauth::tenant::TenantId;
use shared::store::activity::Activity;
use test_system::TestSystem;
use test_system::http_response::HttpResponse;

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const SCOPE: &str = "skills:read offline_access";
const MANAGES: &str = "skills:read connections:manage";
const TENANT: &str = "/admin/api/tenants/{tenant}";

/// Asks with what it is given, and holds each answer to the description.
struct ApiClient<'w> {
    test_system: &'w TestSystem,
    description: Value,
    seen: BTreeSet<(String, String, u16)>,
}

/// What is credential with a request.
#[derive(Clone, Copy)]
enum Credential<'a> {
    None,
    Key(&'a str),
    Session(&'a str),
}

impl<'w> ApiClient<'w> {
    async fn new(test_system: &'w TestSystem) -> Self {
        let description = test_system.get("/admin/api/openapi.json").await;
        assert_eq!(description.status, 200, "{description:?}");
        Self { test_system, description: description.json(), seen: BTreeSet::new() }
    }

    async fn get(&mut self, path: &str, query: &str, credential: Credential<'_>) -> HttpResponse {
        self.ask("GET", path, query, credential, None).await
    }

    async fn post(&mut self, path: &str, credential: Credential<'_>, body: Value) -> HttpResponse {
        self.ask("POST", path, "", credential, Some(body)).await
    }

    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        credential: Credential<'_>,
        body: Option<Value>,
    ) -> HttpResponse {
        let url = self.test_system.at(&format!("{}{query}", path.replace("{tenant}", "acme")));
        let request = self.test_system.http().request(method.parse().unwrap(), url);
        let request = match credential {
            Credential::None => request,
            Credential::Key(key) => request.header("authorization", format!("Bearer {key}")),
            Credential::Session(cookies) => request.header("cookie", cookies),
        };
        let answer = self.test_system.send(match &body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        });
        let answer = answer.await;
        let operation = &self.description["paths"][path][method.to_lowercase()];
        if let (Some(body), true) = (&body, answer.status < 400) {
            self.fits(&operation["requestBody"]["content"]["application/json"]["schema"], body);
        }
        let promised = &operation["responses"][answer.status.to_string()];
        let promised = match promised["$ref"].as_str() {
            Some(reference) => self.description.pointer(reference.trim_start_matches('#')).unwrap(),
            None => promised,
        };
        assert!(promised.is_object(), "{method} {path} promises no {}: {answer:?}", answer.status);
        self.fits(&promised["content"]["application/json"]["schema"], &answer.json());
        for header in promised["headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase()) {
            assert!(answer.header(&header).is_some(), "{method} {path}: no {header}: {answer:?}");
        }
        if path != "/admin/api/openapi.json" {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
        }
        self.seen.insert((method.to_owned(), path.to_owned(), answer.status));
        answer
    }

    /// Every answer that is described: method, path and status.
    fn described(&self) -> BTreeSet<(String, String, u16)> {
        let mut described = BTreeSet::new();
        for (path, methods) in self.description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let statuses = operation["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap());
                described.extend(statuses.map(|status: u16| (method.to_uppercase(), path.clone(), status)));
            }
        }
        described
    }

    fn fits(&self, schema: &Value, value: &Value) {
        assert!(schema.is_object(), "no schema for {value}");
        let mut schema = schema.clone();
        schema["components"] = self.description["components"].clone();
        jsonschema::validate(&schema, value).unwrap_or_else(|error| panic!("{error}: {value}"));
    }
}

async fn something_happened(test_system: &TestSystem) {
    let event = Activity {
        tenant: TenantId::parse("acme").unwrap(),
        at: test_system.now() * 1000,
        id: "1".to_owned(),
        event: "key_made".to_owned(),
        line: Map::from_iter([("event".to_owned(), json!("key_made")), ("person".to_owned(), json!("a person"))]),
    };
    test_system.system().activities().put(&[event]).await.unwrap();
}

/// The routes of the API, but for HEAD, which is wherever GET is.
fn served(test_system: &TestSystem) -> BTreeSet<String> {
    let routes = test_system.system().routes();
    routes
        .keys()
        .map(|route| (*route).to_owned())
        .filter(|route| route.contains(" /admin/api/") && !route.starts_with("HEAD "))
        .collect()
}

/// Every operation, every answer that it promises, and nothing that is served and not described.
#[tokio::test(flavor = "multi_thread")]
async fn openapi_description_matches_what_is_served() {
    let failing = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&failing);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let fails = fails.load(Ordering::SeqCst) && call.function == "admin";
            async move { if fails { Decision::FailBefore(InjectedError::DENIED) } else { Decision::Pass } }
        }));
    })
    .await;
    let (connector, tokens) = test_system.connect(ANA, "acme", SCOPE).await;
    let grant = test_system::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
    let (key, known) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    let (weak, _) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
    let (foreign, _) = {
        test_system.set_role("globex", BEN, "owner").await;
        test_system.create_api_key(BEN, "globex", MANAGES, None).await
    };
    something_happened(&test_system).await;
    let ana = test_system.person(ANA);
    ana.sign_in("/admin").await;
    let session = ana.cookie_header();
    let (with_key, with_session) = (Credential::Key(&key), Credential::Session(&session));
    let mut script = ApiClient::new(&test_system).await;
    let (own, end, keys, revoke) = (
        "/admin/api/me/connections",
        format!("{TENANT}/connections/end"),
        format!("{TENANT}/keys"),
        format!("{TENANT}/keys/revoke"),
    );
    let lists = [format!("{TENANT}/connections"), keys.clone(), format!("{TENANT}/activity")];

    script.get("/admin/api/openapi.json", "", Credential::None).await;
    assert_eq!(script.get(own, "", with_session).await.json()["connections"][0]["id"], grant.as_str());
    script.get(own, "?after=x", with_session).await;
    for credential in [Credential::None, with_key, Credential::Session("sb-x-auth-token=made-up")] {
        assert_eq!(script.get(own, "", credential).await.status, 401);
    }
    for list in &lists {
        for credential in [with_key, with_session] {
            let page = script.get(list, "", credential).await;
            let (name, items) =
                page.json().as_object().unwrap().iter().next().map(|(n, v)| (n.clone(), v.clone())).unwrap();
            assert!((page.status, items.as_array().map_or(0, Vec::len)) >= (200, 1), "{name}: {page:?}");
        }
        assert_eq!(script.get(list, "?after=!", with_key).await.status, 400);
        assert_eq!(script.get(list, "", Credential::None).await.status, 401);
        assert_eq!(script.get(list, "", Credential::Key(&weak)).await.status, 403);
        assert_eq!(script.get(list, "", Credential::Key(&foreign)).await.status, 404);
    }
    assert_eq!(script.get(&lists[0], "?person=nobody", with_key).await.status, 400);
    let made =
        script.post(&keys, with_key, json!({ "name": "a", "scopes": ["skills:read"], "expires_in_days": 1 })).await;
    test_system.track_secret(made.json()["key"].as_str().unwrap());
    for (path, good, bad, absent) in [
        (
            &end,
            json!({ "connection": grant }),
            json!({ "connection": grant, "person": known.maker.as_str() }),
            json!({ "connection": "x" }),
        ),
        (&revoke, json!({ "key": made.json()["id"] }), json!({ "key": "x", "more": 1 }), json!({ "key": "x" })),
        (
            &keys,
            json!({ "name": "b", "scopes": ["skills:read"] }),
            json!({ "name": "b", "scopes": ["no:such"] }),
            json!({}),
        ),
    ] {
        assert_eq!(script.post(path, with_key, bad).await.status, 400, "{path}");
        assert_eq!(
            script.post(path, with_session, good.clone()).await.status,
            401,
            "{path}: a session changes nothing here"
        );
        assert_eq!(script.post(path, Credential::Key(&weak), good.clone()).await.status, 403, "{path}");
        assert_eq!(script.post(path, Credential::Key(&foreign), good.clone()).await.status, 404, "{path}");
        if *path != keys {
            assert_eq!(script.post(path, with_key, absent).await.status, 404, "{path}");
        }
        let done = script.post(path, with_key, good).await;
        assert!(done.status < 300, "{done:?}");
        if let Some(key) = done.json()["key"].as_str() {
            test_system.track_secret(key);
        }
    }
    let refreshed = connector.refresh(&tokens.refresh.unwrap()).await;
    assert_eq!(refreshed.json()["error"], "invalid_grant");
    keys_are_limited(&mut script, &keys, with_key).await;
    sessions_are_rate_limited(&mut script, lists.iter().map(String::as_str).chain([own]), with_session).await;
    failing.store(true, Ordering::SeqCst);
    script.get(own, "", with_session).await;
    for list in &lists {
        script.get(list, "", with_key).await;
    }
    for path in [&end, &keys, &revoke] {
        script.post(path, with_key, json!({})).await;
    }

    let described = script.described();
    assert_eq!(script.seen.symmetric_difference(&described).collect::<Vec<_>>(), Vec::<&(String, String, u16)>::new());
    assert_eq!(served(&test_system), described.iter().map(|(method, path, _)| format!("{method} {path}")).collect());
    assert_eq!(script.description["servers"], json!([{ "url": test_system.issuer() }]));
}

/// A key works for one to 3650 days. A person makes so many keys in an hour, and then no more.
async fn keys_are_limited(script: &mut ApiClient<'_>, keys: &str, with_key: Credential<'_>) {
    for days in [0, 3651] {
        let key = json!({ "name": "b", "scopes": ["skills:read"], "expires_in_days": days });
        assert_eq!(script.post(keys, with_key, key).await.status, 400, "{days}");
    }
    for _ in 0..=100 {
        let made = script.post(keys, with_key, json!({ "name": "b", "scopes": ["skills:read"] })).await;
        if made.status == 429 {
            return;
        }
        assert_eq!(made.status, 201, "{made:?}");
        script.test_system.track_secret(made.json()["key"].as_str().unwrap());
    }
    panic!("more than a hundred keys in an hour");
}

/// Supabase is asked about sessions, and may want fewer calls.
async fn sessions_are_rate_limited<'a>(
    script: &mut ApiClient<'_>,
    paths: impl Iterator<Item = &'a str>,
    session: Credential<'_>,
) {
    script.test_system.advance(61);
    script.test_system.supabase().set_path_rate_limited("/auth/v1/user", true);
    for path in paths {
        assert_eq!(script.get(path, "", session).await.status, 429, "{path}");
    }
    script.test_system.supabase().set_path_rate_limited("/auth/v1/user", false);
}

/// What a script ends is ended, in its maker's name and its own.
#[tokio::test(flavor = "multi_thread")]
async fn revocation_by_a_script_is_audited_in_its_name() {
    let test_system = TestSystem::new().await;
    let expires = test_system.now() + 7 * 24 * 3600;
    let (key, _) = test_system.create_api_key(ANA, "acme", MANAGES, Some(expires)).await;
    let id = format!("key {}", ApiKey::parse(&key).unwrap().id.to_text());
    let claude = test_system.connector("Claude").await;
    let mut held = Vec::new();
    for email in [BEN, BEN, ANA] {
        let (ask, code) = claude.approve_directly(SCOPE, email, "acme").await;
        held.push(claude.exchange(&ask, &code).await.tokens(&test_system));
    }
    test_system.settled().await;
    let mut script = ApiClient::new(&test_system).await;
    let with_key = Credential::Key(&key);

    let listed = script
        .get(&format!("{TENANT}/connections"), &format!("?person={}", test_system.person_id(BEN)), with_key)
        .await;
    assert_eq!(listed.json()["connections"].as_array().unwrap().len(), 2);
    let asked = json!({ "person": test_system.person_id(BEN).as_str() });
    let ended = script.post(&format!("{TENANT}/connections/end"), with_key, asked).await;
    assert_eq!(ended.json(), json!({ "ended": 2 }));
    for (tokens, status) in held.iter().zip([401, 401, 200]) {
        assert_eq!(claude.call(&tokens.access, "ping", json!({})).await.status, status);
    }
    let events = test_system.audit("grant_ended").into_iter().filter(|event| event["by"] == id.as_str());
    assert_eq!(events.map(|event| event["reason"].clone()).collect::<Vec<_>>(), ["administrator", "administrator"]);

    let made =
        script.post(&format!("{TENANT}/keys"), with_key, json!({ "name": "second", "scopes": ["skills:read"] })).await;
    let until = shared::clock::Timestamp::from_seconds(expires).to_rfc3339();
    assert_eq!(made.json()["expires"], until, "no longer than the key it was made with");
    let second = made.json()["key"].as_str().unwrap().to_owned();
    test_system.track_secret(&second);
    assert_eq!(made.json()["maker"], test_system.person_id(ANA).as_str());
    assert_eq!(test_system.audit("key_made").iter().filter(|event| event["by"] == id.as_str()).count(), 1);
    for beyond in ["tools:execute", "connections:manage"] {
        let beyond = json!({ "name": "third", "scopes": [beyond] });
        assert_eq!(
            script.post(&format!("{TENANT}/keys"), with_key, beyond).await.status,
            403,
            "Ana may, her key may not"
        );
    }

    let theirs = json!({ "key": ApiKey::parse(&second).unwrap().id.to_text() });
    assert_eq!(script.get(&format!("{TENANT}/keys"), "", Credential::Key(&second)).await.status, 403);
    assert_eq!(script.post(&format!("{TENANT}/keys/revoke"), with_key, theirs).await.status, 200);
    assert_eq!(script.get(&format!("{TENANT}/keys"), "", Credential::Key(&second)).await.status, 401);
    assert_eq!(
        script.get(&format!("{TENANT}/keys"), "", Credential::Key(&held[2].access)).await.status,
        401,
        "a connection's token"
    );
    test_system.set_role("acme", ANA, "viewer").await;
    assert_eq!(script.get(&format!("{TENANT}/keys"), "", with_key).await.status, 403);
    test_system.remove_member("acme", ANA).await;
    assert_eq!(script.get(&format!("{TENANT}/keys"), "", with_key).await.status, 401);
}

/// One key, once, and nothing but JSON.
#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_request_is_refused() {
    let test_system = TestSystem::new().await;
    let (key, _) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    let url = test_system.at("/admin/api/tenants/acme/connections/end");
    let status = async |request: reqwest::RequestBuilder| test_system.send(request).await.status;
    let post = |kind: &'static str, body: String| {
        test_system
            .http()
            .post(&url)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", kind)
            .body(body)
    };
    let body = || json!({ "person": test_system.person_id(BEN).as_str() }).to_string();

    assert_eq!(status(post("application/json; charset=utf-8", body())).await, 200);
    assert_eq!(status(post("text/plain", body())).await, 400, "what a form of another site could send");
    assert_eq!(status(post("application/x-www-form-urlencoded", "person=x".to_owned())).await, 400);
    assert_eq!(status(post("application/json", "{".to_owned())).await, 400);
    assert_eq!(status(post("application/json", format!("{{\"person\":\"{}\"}}", "a".repeat(20_000)))).await, 413);
    let twice = post("application/json", body()).header("authorization", format!("Bearer {key}"));
    assert_eq!(status(twice).await, 401);
    for bearer in ["Bearer sk_mistyped".to_owned(), format!("Basic {key}"), key.clone(), "Bearer".to_owned()] {
        let request =
            test_system.http().get(test_system.at("/admin/api/tenants/acme/keys")).header("authorization", &bearer);
        assert_eq!(status(request).await, 401, "{bearer}");
    }
    let query = test_system.http().get(test_system.at(&format!("/admin/api/tenants/acme/keys?key={key}")));
    assert_eq!(status(query).await, 401, "no credential in an address");
    assert_eq!(test_system.get("/admin/api/tenants/Acme/keys").await.json()["error"], "not_found");
}
