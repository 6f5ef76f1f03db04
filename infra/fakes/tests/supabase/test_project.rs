//! A project of its own for each test, with a clock that the test turns.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fakes::supabase::project::{Site, Supabase};
use fakes::supabase::secret::Secret;
use fakes::supabase::seed::{Factor, Person, Seed};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tower::ServiceExt as _;
use uuid::{Uuid, uuid};

/// 2026-11-22T09:30:00Z
pub(crate) const START: i64 = 1_795_339_800;
pub(crate) const URL: &str = "http://127.0.0.1:54321";
pub(crate) const ANA: Uuid = uuid!("0b6c1c0e-52a1-4c6c-9a37-6f3f8b7d2a10");
pub(crate) const ANAS_PHONE: Uuid = uuid!("3f0e5a4a-7c39-44a5-9d7d-0b1c9d7e1f02");
pub(crate) const PUBLISHABLE: &str = "sb_publishable_test";
pub(crate) const SECRET: &str = "sb_secret_test";

pub(crate) struct TestProject {
    pub(crate) supabase: Arc<Supabase>,
    clock: Arc<AtomicI64>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl TestProject {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let read = Arc::clone(&clock);
        let supabase = Supabase::new(seed(), site(), Arc::new(move || read.load(Ordering::SeqCst))).unwrap();
        Self { supabase, clock }
    }

    /// Saves, stops and starts again with this seed.
    pub(crate) fn restarted(self, seed: Seed) -> Self {
        let saved = self.supabase.save().unwrap();
        let read = Arc::clone(&self.clock);
        let clock = Arc::new(move || read.load(Ordering::SeqCst));
        Self { supabase: Supabase::restore(seed, site(), clock, &saved).unwrap(), clock: self.clock }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[("apikey", PUBLISHABLE), VERSION], body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, String::new()).await
    }

    /// With this person's access token.
    pub(crate) async fn as_user(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("apikey", PUBLISHABLE), VERSION, ("authorization", authorization.as_str())];
        self.send(method, path, &headers, body.to_string()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:54321");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.supabase.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }

    /// Signs in with the password that everyone here has.
    pub(crate) async fn sign_in(&self, email: &str) -> Value {
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = self.post("/auth/v1/token?grant_type=password", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    }

    pub(crate) async fn refresh(&self, token: &Value) -> Answer {
        self.post("/auth/v1/token?grant_type=refresh_token", &json!({ "refresh_token": token })).await
    }
}

impl Answer {
    /// An error in the newer form, whole.
    pub(crate) fn assert_error(&self, status: u16, code: &str, message: &str) {
        assert_eq!((self.status, &self.body), (status, &json!({ "code": code, "message": message })));
        assert_eq!(self.headers["x-sb-error-code"], code);
        assert_eq!(self.headers["x-supabase-api-version"], "2024-01-01");
    }

    pub(crate) fn location(&self) -> &str {
        self.headers["location"].to_str().unwrap()
    }
}

/// Header and claims of a JWT, unverified.
pub(crate) fn decoded(token: &Value) -> (Value, Value) {
    let mut parts = token.as_str().unwrap().split('.');
    let mut part = || serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap()).unwrap();
    (part(), part())
}

/// A parameter of a query or fragment.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    let fragment = url.fragment().unwrap_or_default().as_bytes().to_vec();
    let pairs = url.query_pairs().into_owned().chain(url::form_urlencoded::parse(&fragment).into_owned());
    pairs.into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
}

pub(crate) fn seed() -> Seed {
    let person = |email: &str, name: &str| Person::new(email, PASSWORD, name);
    Seed {
        people: vec![
            Person {
                id: Some(ANA),
                factors: vec![Factor {
                    id: ANAS_PHONE,
                    friendly_name: "Phone".to_owned(),
                    secret: Secret::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
                }],
                ..person("Ana@example.com", "Ana Müller 安")
            },
            person("ben@example.com", "Ben"),
            Person { confirmed: false, ..person("new@example.com", "New") },
            Person { banned: true, ..person("banned@example.com", "Banned") },
            Person { anonymous: true, ..person("anonymous@example.com", "") },
            Person { with_client_id: true, ..person("third@example.com", "Third Party") },
            Person { without_iss: true, ..person("issuerless@example.com", "No Issuer") },
            Person { expired: true, ..person("expired@example.com", "Late") },
        ],
        providers: vec!["google".to_owned()],
    }
}

pub(crate) fn site() -> Site {
    Site {
        url: URL.to_owned(),
        site_url: "https://app.example.com".to_owned(),
        allow_list: vec!["https://connect.example.com/auth/callback**".to_owned()],
        publishable_key: PUBLISHABLE.to_owned(),
        secret_key: Secret::from(SECRET),
    }
}

pub(crate) const VERSION: (&str, &str) = ("x-supabase-api-version", "2024-01-01");
const PASSWORD: &str = "correct horse battery staple";
