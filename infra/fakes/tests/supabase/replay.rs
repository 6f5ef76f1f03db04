//! Plays a recorded case: puts in what was sent, and compares what comes back.
//!
//! Some of a case happened beside the wire (a ban, ten seconds, another address, a choice at the provider). That is staged
//! here, by the name of the case.

use crate::placeholders::Placeholders;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use fakes::captcha::Captcha;
use fakes::supabase::config::{AccessTokenHook, Config, RefreshTokenVersion};
use fakes::supabase::project::{Site, Supabase};
use fakes::supabase::secret::Secret;
use fakes::supabase::seed::{Factor, Person, Seed};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tower::ServiceExt as _;
use uuid::{Uuid, uuid};

pub(crate) struct Replay {
    supabase: Arc<Supabase>,
    clock: Arc<AtomicI64>,
    placeholders: Placeholders,
    settings: Option<String>,
    /// Who was sent the last mail.
    mailed: String,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Replay {
    pub(crate) fn new(jwts: &Value) -> Self {
        let clock = Arc::new(AtomicI64::new(1_795_339_800));
        let read = Arc::clone(&clock);
        let supabase = Supabase::new(seed(), site(), Arc::new(move || read.load(Ordering::SeqCst))).unwrap();
        supabase.configure(|config| *config = recorded_config());
        let placeholders = Placeholders::new(jwts.clone());
        Self { supabase, clock, placeholders, settings: None, mailed: String::new() }
    }

    /// What differs, a line each.
    pub(crate) async fn play(&mut self, case: &Value) -> Vec<String> {
        let name = case["case"].as_str().unwrap();
        self.set(case["settings"].as_str());
        let mut differences = Vec::new();
        for (at, exchange) in case["exchanges"].as_array().unwrap().iter().enumerate() {
            let address = self.stage(name, at);
            let (request, expected) = (&exchange["request"], &exchange["answer"]);
            if self.settings.as_deref() == Some(LIMITED) {
                for _ in 0..30 {
                    self.send(request, &address).await.unwrap();
                }
            }
            match self.send(request, &address).await {
                Ok(answer) => {
                    let told = self.compare(expected, &answer);
                    differences.extend(told.into_iter().map(|told| format!("{}: {told}", at + 1)));
                }
                Err(why) => differences.push(format!("{}: not sent, {why}", at + 1)),
            }
        }
        differences
    }

    /// Starts the server with these settings. Between two starts every interval of mails had passed.
    fn set(&mut self, settings: Option<&str>) {
        if self.settings.as_deref() == settings {
            return;
        }
        self.settings = settings.map(str::to_owned);
        self.clock.fetch_add(3601, Ordering::SeqCst);
        self.supabase.use_shared_secret(settings == Some("no JWT_KEYS"));
        let mut config = recorded_config();
        match settings {
            None | Some("no JWT_KEYS" | "OAUTH_SERVER_ENABLED=false") => {}
            Some(LIMITED) => config.burst = Some(30),
            Some("DISABLE_SIGNUP=true") => config.disable_signup = true,
            Some("EXTERNAL_EMAIL_MAGIC_LINK_ENABLED=false") => config.magic_link_enabled = false,
            Some("EXTERNAL_EMAIL_ENABLED=false") => config.email_enabled = false,
            Some("HOOK_CUSTOM_ACCESS_TOKEN: answers 403") => {
                config.access_token_hook = Some(AccessTokenHook::Refuses("Only employees may sign in".to_owned()));
            }
            Some("HOOK_CUSTOM_ACCESS_TOKEN: required claims") => {
                config.access_token_hook = Some(AccessTokenHook::keeps_required());
            }
            Some("SECURITY_CAPTCHA_ENABLED=true") => config.captcha = Some(Captcha::new()),
            Some("SMTP_PORT=a closed one") => config.mail_server_down = true,
            Some("RATE_LIMIT_EMAIL_SENT=1") => config.mails_per_hour = Some(1),
            Some("EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES=team@example.org") => {
                config.authorized_addresses = vec!["team@example.org".to_owned()];
            }
            Some("SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION=2") => {
                config.refresh_token_version = RefreshTokenVersion::Two;
            }
            Some("no JWT_ISSUER") => config.without_issuer = true,
            Some("OAUTH_SERVER_ENABLED=true") => config.oauth_server_enabled = true,
            Some(other) => panic!("settings that nobody can set: {other}"),
        }
        self.supabase.configure(|now| *now = config);
    }

    /// What happened beside the wire before an exchange, and the address that it came from.
    fn stage(&self, case: &str, at: usize) -> String {
        match (case, at) {
            ("refresh older after ten seconds", 3) => {
                self.clock.fetch_add(11, Ordering::SeqCst);
            }
            (case, 1) if case.starts_with("asked twice within a minute") => {
                self.clock.fetch_add(1, Ordering::SeqCst);
            }
            ("banned between link and exchange: the exchange is 200, /user says it", 2) => {
                self.supabase.set_banned("j16@example.com", true);
            }
            ("challenge and verify from two addresses", 2) => return "203.0.113.2".to_owned(),
            // Each of these has used up a limit of its own.
            (case, _) if case.starts_with("at the limit of an address") => return case.to_owned(),
            _ => {}
        }
        "203.0.113.1".to_owned()
    }

    async fn send(&mut self, recorded: &Value, address: &str) -> Result<Answer, String> {
        let path = self.at_the_provider(recorded["path"].as_str().unwrap()).await;
        let path = format!("/auth/v1{}", self.filled(&path)?);
        let mut request = Request::builder().method(recorded["method"].as_str().unwrap()).uri(&path);
        request = request.header("host", "localhost:54321").header("x-forwarded-for", address);
        for (name, value) in recorded["headers"].as_object().unwrap() {
            request = request.header(name, self.filled(value.as_str().unwrap())?);
        }
        let body = match (&recorded["body"], &recorded["body_text"]) {
            (Value::Null, Value::Null) => String::new(),
            (Value::Null, text) => text.as_str().unwrap().to_owned(),
            (body, _) => self.filled(&body.to_string())?,
        };
        let answer = self.answer(request.body(Body::from(body)).unwrap()).await;
        if path.starts_with("/auth/v1/otp") && answer.status == 200 {
            self.mailed = recorded["body"]["email"].as_str().unwrap().to_lowercase();
        }
        Ok(answer)
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.supabase.router().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// A callback with a code of the provider: somebody chose there, and the code is ours.
    async fn at_the_provider(&self, path: &str) -> String {
        let Some((state, code)) = path.strip_prefix("/callback?state=").and_then(|rest| rest.split_once("&code="))
        else {
            return path.to_owned();
        };
        let Some(bound) = self.placeholders.bound(state).filter(|_| code.len() == 16) else { return path.to_owned() };
        let who = match self.settings.as_deref() {
            Some("DISABLE_SIGNUP=true") => "stranger=stranger@example.com".to_owned(),
            _ => format!("person={ANA}"),
        };
        let form = Request::post("/provider").body(Body::from(format!("state={bound}&{who}"))).unwrap();
        let chosen = self.answer(form).await;
        let location = chosen.headers["location"].to_str().unwrap();
        format!("/callback?state={state}&code={}", location.split("code=").nth(1).unwrap())
    }

    /// A recorded text with what the placeholders stand for now.
    fn filled(&self, text: &str) -> Result<String, String> {
        let mail = self.supabase.inbox(&self.mailed).pop();
        let code = mail.as_ref().map(|mail| mail.code.clone()).unwrap_or_default();
        let hash = mail.and_then(|mail| {
            let token = mail.link.split("token=").nth(1)?.split('&').next()?.to_owned();
            Some(token.strip_prefix("pkce_").unwrap_or(&token).to_owned())
        });
        let text = text.replace("<code of the mail>", &code);
        let text = text.replace("<code of the factor>", &self.supabase.totp_code(FACTOR).unwrap());
        self.placeholders.fill(&text, &hash.unwrap_or_default(), self.clock.load(Ordering::SeqCst))
    }

    fn compare(&mut self, expected: &Value, answer: &Answer) -> Vec<String> {
        let mut told = Vec::new();
        if expected["status"] != answer.status {
            told.push(format!("status {}, recorded {}", answer.status, expected["status"]));
        }
        for name in HEADERS {
            let ours = answer.headers.get(name).map(|value| value.to_str().unwrap());
            match (expected["headers"][name].as_str(), ours) {
                (None, None) => {}
                (Some(recorded), Some(ours)) => self.placeholders.text(name, recorded, ours, &mut told),
                (recorded, ours) => told.push(format!("{name} {ours:?}, recorded {recorded:?}")),
            }
        }
        match expected["body_text"].as_str() {
            Some(recorded) if recorded.len() == CUT => {
                self.placeholders.beginning("body", recorded, &answer.text, &mut told);
            }
            Some(recorded) => self.placeholders.text("body", recorded, &answer.text, &mut told),
            None => match serde_json::from_str(&answer.text) {
                Ok(ours) => self.placeholders.value("body", &expected["body"], &ours, &mut told),
                Err(_) => told.push(format!("body {:?} is no JSON", answer.text)),
            },
        }
        told
    }
}

/// What the recordings were made with, where nothing else is said.
fn recorded_config() -> Config {
    Config { phone_enabled: true, ..Config::default() }
}

fn seed() -> Seed {
    let named = |name: &str, full_name: &str, id| Person {
        id: Some(id),
        ..Person::new(&format!("{name}@example.com"), &format!("{name}-demo"), full_name)
    };
    let staple = |name: &str| Person::new(&format!("{name}@example.com"), "correct horse battery staple", "");
    let phone = Factor {
        id: FACTOR,
        friendly_name: "Phone".to_owned(),
        secret: Secret::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
    };
    let mut people = vec![
        // Her provider knows her by this name.
        named("ana", "ana", ANA),
        named("ben", "Ben", uuid!("5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02")),
        named("vera", "Vera", uuid!("5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e03")),
        named("nora", "Nora", uuid!("5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e04")),
        Person { banned: true, ..staple("banned") },
        Person { factors: vec![phone], ..staple("totp") },
    ];
    people.extend(["new", "u4", "u5"].map(|name| Person { confirmed: false, ..staple(name) }));
    people.extend((1..=5).map(|number| staple(&format!("m{number}"))));
    people.extend((12..=23).map(|number| staple(&format!("j{number}"))));
    Seed { people, providers: vec!["keycloak".to_owned()] }
}

fn site() -> Site {
    Site {
        url: "http://localhost:54321".to_owned(),
        site_url: "http://localhost:3000".to_owned(),
        allow_list: vec!["http://localhost:8787/auth/callback**".to_owned()],
        publishable_key: "sb_publishable_local".to_owned(),
        secret_key: Secret::from("sb_secret_local"),
    }
}

/// The headers that were recorded.
const HEADERS: [&str; 8] = [
    "content-type",
    "cache-control",
    "location",
    "x-sb-error-code",
    "x-supabase-api-version",
    "sb-auth-session-id",
    "sb-auth-user-id",
    "sb-auth-refresh-token-reuse",
];
const LIMITED: &str = "RATE_LIMIT_HEADER=X-Forwarded-For; burst 30";
/// Longer texts were cut here, with the placeholders in them.
const CUT: usize = 300;
const ANA: Uuid = uuid!("5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01");
const FACTOR: Uuid = uuid!("3f0e5a4a-7c39-44a5-9d7d-0b1c9d7e1f02");
