//! API keys: scripts call the same URL (RFC 6750 §2.1, `X-Api-Key`).

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use local::interceptor::{Call, Decision};
use serde_json::{Value, json};
use shared::api_key_issuer::ApiKeyIssuer;
use shared::clock::Timestamp;
use shared::oauth::api_key::{ApiKey, ApiKeyName, ApiKeyRecord};
use shared::oauth::instance_id::InstanceId;
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::TenantId;
use shared::revocation::Revocation;
use shared::store::api_keys::{Actor, ApiKeys, CreateApiKeyError, Cursor, NewApiKey};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::recorded_calls::RecordedCalls;

use crate::first_try::{Fate, FirstTry};

const ANA: &str = "ana@example.com";
const ALL: &str = "tools:execute skills:read views:read";
const MANAGES: &str = "skills:read connections:manage";

async fn listed(test_system: &TestSystem, key: &str) -> HttpResponse {
    test_system.call(Some(key), "tools/list", json!({})).await
}

fn tool_names(answer: &HttpResponse) -> BTreeSet<String> {
    let body = answer.json();
    let tools = body["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn kept(test_system: &TestSystem, key: &str) -> Option<ApiKeyRecord> {
    let (id, now) = (ApiKey::parse(key).unwrap().id, test_system.system().clock().now());
    test_system.system().keys().find(&id, now).await.unwrap()
}

fn refusals(test_system: &TestSystem, key: &str) -> Vec<String> {
    let id = ApiKey::parse(key).unwrap().id.to_text();
    let events = test_system.audit("key_refused").into_iter().filter(|event| event["key"] == id);
    events.map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
}

/// Another key of the same id: what someone has who saw the id, and not the secret.
fn with_another_secret(key: &str) -> String {
    let ApiKey { id, .. } = ApiKey::parse(key).unwrap();
    ApiKey { id, secret: ApiKey::random().secret }.to_text()
}

/// The same calls with a token and with a key, in either header and era, get the same answers, where the token may do all that it can
/// see: a connection sees more, as it can get more.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_gets_the_same_responses_as_a_token() {
    const EVERYTHING: &str = "tools:execute skills:read views:read entities:write documents:write chat:create";
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect(ANA, "acme", EVERYTHING).await;
    let (key, _) = test_system.create_api_key(ANA, "acme", EVERYTHING, None).await;
    let in_header = async |method: &str, params: &Value| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = test_system.http().post(test_system.mcp_url()).header("x-api-key", &key);
        test_system.send(request.header("content-type", "application/json").body(body.to_string())).await
    };

    for (method, params) in [
        (
            "initialize",
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } }),
        ),
        ("ping", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "list_skills", "arguments": {} })),
        ("tools/call", json!({ "name": "read_skill", "arguments": { "name": "weekly-report" } })),
        ("tools/call", json!({ "name": "read_skill", "arguments": { "name": "nothing" } })),
        ("tools/call", json!({ "name": "list_views", "arguments": {} })),
        ("tools/call", json!({ "name": "read_view", "arguments": { "name": "open-invoices" } })),
        ("tools/call", json!({ "name": "roll_dice", "arguments": { "sides": 1 } })),
    ] {
        let by_token = test_system.call(Some(&tokens.access), method, params.clone()).await;
        let by_key = test_system.call(Some(&key), method, params.clone()).await;
        let by_header = in_header(method, &params).await;
        let modern = test_system.call_modern(&tokens.access, method, params.clone()).await;
        let modern_by_key = test_system.call_modern(&key, method, params.clone()).await;

        assert_eq!(by_token.status, 200, "{method} {params}");
        assert_eq!((by_key.status, by_key.json()), (200, by_token.json()), "{method} {params}");
        assert_eq!((by_header.status, by_header.json()), (200, by_token.json()), "{method} {params}");
        assert_eq!((modern_by_key.status, modern_by_key.json()), (modern.status, modern.json()), "{method} {params}");
    }
    let rolled =
        test_system.call(Some(&key), "tools/call", json!({ "name": "roll_dice", "arguments": { "dice": 3 } })).await;
    assert_eq!(rolled.json()["result"]["structuredContent"]["rolls"].as_array().map(Vec::len), Some(3), "{rolled:?}");
}

/// What it was made for ∩ what its maker's role allows now.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_is_limited_to_its_makers_role() {
    let test_system = TestSystem::new().await;
    let (key, _) = test_system.create_api_key(ANA, "acme", &format!("{ALL} connections:manage"), None).await;
    assert!(tool_names(&listed(&test_system, &key).await).contains("roll_dice"));

    test_system.set_role("acme", ANA, "viewer").await;
    let demoted = tool_names(&listed(&test_system, &key).await);
    assert!(demoted.contains("list_skills") && !demoted.contains("roll_dice"), "{demoted:?}");
    let refused = test_system.call(Some(&key), "tools/call", json!({ "name": "roll_dice", "arguments": {} })).await;
    assert_eq!((refused.status, &refused.json()["error"]["data"]["error"]), (403, &json!("access_denied")));

    test_system.remove_member("acme", ANA).await;
    assert_eq!(listed(&test_system, &key).await.status, 401);
    assert_eq!(refusals(&test_system, &key), ["scope", "maker_gone"]);

    test_system.set_role("acme", ANA, "owner").await;
    let (reading, _) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
    assert_eq!(
        tool_names(&listed(&test_system, &reading).await),
        ["list_skills", "read_skill"].map(str::to_owned).into()
    );
}

/// What cannot be given to a key.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_creation_validates_scopes() {
    let test_system = TestSystem::new().await;
    let now = test_system.system().clock().now();
    let make = async |email: &str, tenant: &str, scopes: &str| {
        let (membership, name) = (test_system.membership(email, tenant).await, ApiKeyName::parse("a script").unwrap());
        let (scopes, expiry) = (Scopes::parse(scopes), KeyLifetime::UNTIL_REVOKED.expiry(now));
        ApiKeyIssuer::new(test_system.system().keys())
            .create(Actor::Person, NewApiKey { maker: &membership, name, scopes, expiry }, now)
            .await
            .map(|(_, known)| known.scopes.to_string())
    };

    assert!(matches!(make(ANA, "acme", "").await, Err(CreateApiKeyError::NoPermission)));
    assert!(matches!(make(ANA, "acme", "offline_access").await, Err(CreateApiKeyError::NoPermission)));
    let beyond = make("ben@example.com", "acme", "skills:read connections:manage").await;
    assert!(
        matches!(beyond, Err(CreateApiKeyError::ExceedsRole(scopes)) if scopes.to_string() == "connections:manage")
    );
    assert!(matches!(make(ANA, "globex", "tools:execute").await, Err(CreateApiKeyError::ExceedsRole(_))));
    let known = make(ANA, "acme", "entities:write offline_access").await;
    assert_eq!(known.unwrap(), "entities:read entities:write");
}

/// RFC 6750 §3.1; and nobody learns what is wrong with a key, by the answer or by what it takes to make it.
#[tokio::test(flavor = "multi_thread")]
async fn every_invalid_api_key_gets_the_same_response() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let (good, _) = test_system.create_api_key(ANA, "acme", ALL, None).await;
    let (expired, _) = test_system.create_api_key(ANA, "acme", ALL, Some(test_system.now() + 1)).await;
    let (revoked, _) = test_system.create_api_key(ANA, "acme", ALL, None).await;
    let (unknown, forged) = (ApiKey::random().to_text(), with_another_secret(&good));
    let mistyped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { 'B' } else { 'A' });
    test_system.advance(1);
    test_system.revoke_api_key(&revoked).await;
    let mut seen = Vec::new();

    for (key, asks) in [(&unknown, 1), (&forged, 1), (&revoked, 1), (&expired, 1), (&mistyped, 0)] {
        calls.clear();
        let answer = listed(&test_system, key).await;

        let made: Vec<_> = calls.take().into_iter().map(|made| made.action).collect();
        assert_eq!(made, ["dynamodb:UpdateItem"][..asks], "{key}");
        seen.push((answer.status, answer.header("www-authenticate").unwrap().to_owned(), answer.body));
    }
    assert!(seen.iter().all(|answer| *answer == seen[0] && answer.0 == 401), "{seen:?}");
    for (key, reason) in
        [(&unknown, "unknown"), (&forged, "another_secret"), (&revoked, "revoked"), (&expired, "expired")]
    {
        assert_eq!(refusals(&test_system, key), [reason], "{key}");
    }
    assert_eq!(kept(&test_system, &good).await.unwrap().used, None, "a wrong secret is no use");

    // The same way once the function knows the right one.
    assert_eq!(listed(&test_system, &good).await.status, 200);
    calls.clear();
    assert_eq!(listed(&test_system, &forged).await.status, 401);
    assert_eq!(calls.take().into_iter().map(|made| made.action).collect::<Vec<_>>(), ["dynamodb:UpdateItem"]);
    test_system.advance(2 * 3600);
    let used = kept(&test_system, &good).await.unwrap().used;
    assert_eq!(listed(&test_system, &forged).await.status, 401);
    assert_eq!(kept(&test_system, &good).await.unwrap().used, used);
}

/// Clients send a key in more forms than one. What can be read is taken; what cannot is told how a key is sent, and never to connect
/// with OAuth, as if nothing had been shown.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_is_taken_in_every_form_that_can_be_read() {
    let test_system = TestSystem::new().await;
    let key = test_system.api_key();
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let call = async |name: &str, value: &str| {
        let request = test_system.http().post(test_system.mcp_url()).header("content-type", "application/json");
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
        test_system.send(request.header(name, value).body(body)).await
    };

    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", key.clone()),
        ("authorization", format!("Token {key}")),
        ("authorization", format!("token {key}")),
        ("x-api-key", key.clone()),
        ("x-auth-token", key.clone()),
    ] {
        let answer = call(name, &value).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "jsonrpc": "2.0", "id": 1, "result": {} })), "{name}");
    }
    let mistyped = format!("{}A", &key[..key.len() - 1]);
    for (name, value) in [("authorization", mistyped.clone()), ("x-auth-token", mistyped)] {
        let answer = call(name, &value).await;
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_token")), "{name}");
    }
    let document = test_system.at("/.well-known/oauth-protected-resource/api/mcp/server");
    let sentence =
        "Send the API key as a bearer token (Authorization: Bearer sk_...) or in the header X-Api-Key, not by Basic";
    for pair in [format!(":{key}"), format!("{key}:"), format!("user:{key}"), key.clone()] {
        let answer = call("authorization", &basic(&pair)).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.json(),
            json!({
                "error": "invalid_token",
                "error_description": sentence,
                "resource_metadata": document,
                "scope": ALL,
            })
        );
        let challenge = answer.header("www-authenticate").unwrap();
        let begins = format!("Bearer error=\"invalid_token\", error_description=\"{sentence}\", resource_metadata=");
        assert!(challenge.starts_with(&begins), "{challenge}");
    }
    // What is no key is nothing that was shown.
    for value in [basic("user:password"), "Token a.b.c".to_owned(), "a.b.c".to_owned()] {
        let answer = call("authorization", &value).await;
        assert_eq!(
            (answer.status, &answer.json()["error_description"]),
            (401, &json!("Connect with OAuth")),
            "{value}"
        );
    }
}

/// RFC 6750 §2, §3.1: one credential, once.
#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_in_one_request_are_rejected() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let (key, other) = (test_system.api_key(), test_system.create_api_key(ANA, "acme", ALL, None).await.0);
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let api_key = |key: &str| ("x-api-key", key.to_owned());

    for headers in [
        [bearer(&tokens.access), api_key(&key)],
        [bearer(&key), api_key(&key)],
        [bearer(&key), bearer(&other)],
        [api_key(&key), api_key(&other)],
    ] {
        let request = test_system.http().post(test_system.mcp_url()).header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        let answer = test_system.send(request.body(body.to_string())).await;

        assert_eq!(answer.status, 400, "{headers:?}");
        assert_eq!(answer.json()["error"], "invalid_request", "{headers:?}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer error=\"invalid_request\", "), "{challenge}");
    }
}

/// Made with an end, it ends; on the second.
#[tokio::test(flavor = "multi_thread")]
async fn expired_api_key_is_rejected() {
    let test_system = TestSystem::new().await;
    let (key, known) = test_system.create_api_key(ANA, "acme", ALL, Some(test_system.now() + 60)).await;
    let listed_ids = async || {
        test_system.settled().await;
        let now = test_system.system().clock().now();
        let (keys, _) = test_system.system().keys().of_tenant(&known.tenant, None, now).await.unwrap();
        keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };

    test_system.advance(59);
    assert_eq!(listed(&test_system, &key).await.status, 200);
    assert!(listed_ids().await.contains(&known.id));

    test_system.advance(1);
    assert_eq!(listed(&test_system, &key).await.status, 401);
    assert_eq!(refusals(&test_system, &key), ["expired"]);
    assert!(!listed_ids().await.contains(&known.id));
}

/// An administrator sees whether a key is in use; its use does not write at every call.
#[tokio::test(flavor = "multi_thread")]
async fn last_use_is_recorded_at_most_hourly() {
    let test_system = TestSystem::new().await;
    let (key, known) = test_system.create_api_key(ANA, "acme", ALL, None).await;
    assert_eq!(known.used, None);
    let used = async |after: i64| {
        test_system.advance(after);
        assert_eq!(listed(&test_system, &key).await.status, 200);
        kept(&test_system, &key).await.unwrap().used.unwrap().seconds()
    };

    let first = used(10).await;
    assert_eq!(first, test_system.now());
    assert_eq!(used(59 * 60).await, first);
    assert_eq!(used(59).await, first);
    assert_eq!(used(1).await, test_system.now());
    assert_eq!(test_system.now(), first + 3600);
}

/// Many at once, none of which has been seen: all are let in, and one of them writes.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_first_uses_are_all_authorized() {
    let test_system = TestSystem::new().await;
    let (key, _) = test_system.create_api_key(ANA, "acme", ALL, None).await;

    let answers = test_system::all((0..16).map(|_| listed(&test_system, &key))).await;

    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(kept(&test_system, &key).await.unwrap().used.unwrap().seconds(), test_system.now());
}

/// Revoked, it is refused at the next call, by whoever may: an administrator of the same tenant, and of no other.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_can_be_revoked_only_in_its_tenant() {
    let test_system = TestSystem::new().await;
    let (key, known) = test_system.create_api_key(ANA, "acme", ALL, None).await;
    let ben = test_system.person_id("ben@example.com");
    let revocation = Revocation::new(test_system.system().keys());
    let [acme, globex] = ["acme", "globex"].map(|tenant| TenantId::parse(tenant).unwrap());
    let now = test_system.system().clock().now();
    assert_eq!(listed(&test_system, &key).await.status, 200);

    assert!(!revocation.revoke(Actor::Person, &globex, &known.id, Some(&ben), now).await.unwrap());
    assert_eq!(listed(&test_system, &key).await.status, 200);

    assert!(revocation.revoke(Actor::Person, &acme, &known.id, Some(&ben), now).await.unwrap());
    assert_eq!(listed(&test_system, &key).await.status, 401);
    assert!(
        !revocation.revoke(Actor::Person, &acme, &known.id, Some(&ben), now).await.unwrap(),
        "it is revoked already"
    );

    let id = known.id.to_text();
    let of_it =
        |event: &str| test_system.audit(event).into_iter().filter(|event| event["key"] == id).collect::<Vec<_>>();
    let ana = test_system.person_id(ANA);
    assert_eq!(
        of_it("key_made"),
        [json!({ "event": "key_made", "key": id, "tenant": "acme", "person": ana.as_str(), "scope": ALL })]
    );
    for event in ["key_revoking", "key_revoked"] {
        let told = json!({ "event": event, "key": id, "tenant": "acme", "person": ben.as_str() });
        assert_eq!(of_it(event), [told]);
    }
    assert_eq!(of_it("key_refused"), [json!({ "event": "key_refused", "key": id, "reason": "revoked" })]);
}

/// A search may miss a key when its maker leaves. It does not work again when they come back, at neither way in.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_ends_with_its_makers_membership() {
    let test_system = TestSystem::new().await;
    let (key, _) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    let ways_in = async |key: &str| [listed(&test_system, key).await.status, keys_page(&test_system, key).await.status];
    assert_eq!(ways_in(&key).await, [200, 200]);

    test_system.remove_member("acme", ANA).await;
    assert_eq!(ways_in(&key).await, [401, 401]);
    test_system.set_role("acme", ANA, "owner").await;
    assert_eq!(ways_in(&key).await, [401, 401]);
    assert_eq!(refusals(&test_system, &key), ["maker_gone", "maker_gone", "another_membership", "another_membership"]);

    let (fresh, _) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    assert_eq!(ways_in(&fresh).await, [200, 200]);
}

/// Whoever has found a key makes others with it. They end with it, at the next call and at every way in, and no list is asked which
/// they are.
#[tokio::test(flavor = "multi_thread")]
async fn key_that_a_key_made_ends_with_it() {
    let test_system = TestSystem::new().await;
    let (found, known) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    let (own, _) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    let made = post(&test_system, &found, "keys", &json!({ "name": "child", "scopes": ["skills:read"] })).await;
    assert_eq!((made.status, &made.json()["parent"]), (201, &json!(known.id.to_text())), "{made:?}");
    let (child, id) = (made.json()["key"].as_str().unwrap().to_owned(), made.json()["id"].clone());
    test_system.track_secret(&child);
    let again = post(&test_system, &child, "keys", &json!({ "name": "grandchild", "scopes": ["skills:read"] })).await;
    assert_eq!(again.status, 403, "a key that a key made makes none: {again:?}");
    assert_eq!(listed(&test_system, &child).await.status, 200);
    assert_eq!(keys_page(&test_system, &child).await.status, 403, "it is known, and cannot manage");
    test_system.settled().await;
    let listed_ids = async || {
        let (mut ids, mut query) = (Vec::new(), String::new());
        loop {
            let page = keys_page_at(&test_system, &own, &query).await.json();
            ids.extend(page["keys"].as_array().unwrap().iter().map(|key| key["id"].clone()));
            let Some(next) = page["next"].as_str() else { return ids };
            query = format!("?after={next}");
        }
    };
    assert!(listed_ids().await.contains(&id));

    let revoked = post(&test_system, &own, "keys/revoke", &json!({ "key": known.id.to_text() })).await;

    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(listed(&test_system, &child).await.status, 401);
    assert_eq!(keys_page(&test_system, &child).await.status, 401);
    assert_eq!(refusals(&test_system, &child), ["scope", "scope", "parent_ended", "parent_ended"]);
    assert!(!listed_ids().await.contains(&id), "what has ended is not listed");
    assert_eq!(listed(&test_system, &own).await.status, 200);
}

/// A new instance of the membership is another one, whether or not the key has an instance.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_of_another_membership_is_refused() {
    let test_system = TestSystem::new().await;
    let mut maker = test_system.membership(ANA, "acme").await;
    maker.basis.approval.membership = Some(InstanceId::random());
    let now = test_system.system().clock().now();
    let name = ApiKeyName::parse("a script").unwrap();
    let expiry = KeyLifetime::UNTIL_REVOKED.expiry(now);
    let new = NewApiKey { maker: &maker, name, scopes: Scopes::parse(MANAGES), expiry };
    let (key, _) = ApiKeyIssuer::new(test_system.system().keys()).create(Actor::Person, new, now).await.unwrap();
    let key = key.to_text();
    test_system.track_secret(&key);

    assert_eq!(listed(&test_system, &key).await.status, 401);
    assert_eq!(keys_page(&test_system, &key).await.status, 401);
    assert_eq!(refusals(&test_system, &key), ["another_membership", "another_membership"]);
}

/// The first try of making a key arrives when the key has been used and revoked: it stays revoked.
#[tokio::test(flavor = "multi_thread")]
async fn late_creation_does_not_bring_a_revoked_api_key_back() {
    let first_try = FirstTry::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(first_try.wire())).await;
    let (managing, _) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    assert_eq!(keys_page(&test_system, &managing).await.status, 200, "its use is marked");
    first_try.plan("admin", Fate::ArrivesLate);
    let made = post(&test_system, &managing, "keys", &json!({ "name": "late", "scopes": ["skills:read"] })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (key, id) = (made.json()["key"].as_str().unwrap().to_owned(), made.json()["id"].clone());
    test_system.track_secret(&key);
    assert_eq!(listed(&test_system, &key).await.status, 200);
    let revoked = post(&test_system, &managing, "keys/revoke", &json!({ "key": id })).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");

    let refused = first_try.arrive(&test_system).await;
    assert!(refused.status == 400 && refused.body.contains("ConditionalCheckFailedException"), "{refused:?}");
    assert_eq!(listed(&test_system, &key).await.status, 401);
    assert_eq!(refusals(&test_system, &key), ["revoked"]);
    let page = keys_page(&test_system, &managing).await;
    assert!(!page.body.contains(id.as_str().unwrap()), "{page:?}");
    let again = post(&test_system, &managing, "keys/revoke", &json!({ "key": id })).await;
    assert_eq!(again.status, 404, "{again:?}");
}

/// A write whose answer was lost recognises itself, and is told as what it did: once.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_about_an_api_key_are_recognised() {
    let first_try = FirstTry::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(first_try.wire())).await;
    let (managing, _) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    assert_eq!(keys_page(&test_system, &managing).await.status, 200, "its use is marked");
    first_try.plan("admin", Fate::AnswerLost);
    let made = post(&test_system, &managing, "keys", &json!({ "name": "lost", "scopes": ["skills:read"] })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (key, id) = (made.json()["key"].as_str().unwrap().to_owned(), made.json()["id"].clone());
    test_system.track_secret(&key);
    assert_eq!(listed(&test_system, &key).await.status, 200);

    first_try.plan("admin", Fate::AnswerLost);
    let revoked = post(&test_system, &managing, "keys/revoke", &json!({ "key": id })).await;

    assert_eq!((revoked.status, revoked.json()), (200, json!({ "revoked": true })));
    assert_eq!(listed(&test_system, &key).await.status, 401);
    let told = |event: &str| test_system.audit(event).iter().filter(|told| told["key"] == id).count();
    assert_eq!(["key_made", "key_revoking", "key_revoked"].map(told), [1, 1, 1]);
}

/// What the index shows and the table no longer has is not listed.
#[tokio::test(flavor = "multi_thread")]
async fn revoked_api_key_is_not_listed() {
    let revoking: Arc<OnceLock<(ApiKeys, ApiKeyRecord, Timestamp)>> = Arc::default();
    let interceptor = {
        let revoking = Arc::clone(&revoking);
        move |call: Call| {
            let reads_keys = |(table, _): (&String, &Value)| table.ends_with("Keys");
            let reads = call.operation == "BatchGetItem"
                && call.body["RequestItems"].as_object().unwrap().iter().any(reads_keys);
            let revoking = revoking.get().filter(|_| reads).cloned();
            async move {
                if let Some((keys, key, now)) = revoking {
                    Revocation::new(&keys).revoke(Actor::Person, &key.tenant, &key.id, None, now).await.unwrap();
                }
                Decision::Pass
            }
        }
    };
    let test_system = TestSystem::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    let (managing, other) = test_system.create_api_key(ANA, "acme", MANAGES, None).await;
    let (_, known) = test_system.create_api_key(ANA, "acme", ALL, None).await;
    let (keys, now) = (test_system.system().keys().clone(), test_system.system().clock().now());
    assert!(revoking.set((keys, known.clone(), now)).is_ok());

    let page = keys_page(&test_system, &managing).await.json();

    let ids: Vec<_> = page["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&&*other.id.to_text()) && !ids.contains(&&*known.id.to_text()), "{page}");
}

async fn keys_page(test_system: &TestSystem, key: &str) -> HttpResponse {
    keys_page_at(test_system, key, "").await
}

async fn keys_page_at(test_system: &TestSystem, key: &str, query: &str) -> HttpResponse {
    let request = test_system.http().get(test_system.at(&format!("/admin/api/tenants/acme/keys{query}")));
    test_system.send(request.header("authorization", format!("Bearer {key}"))).await
}

async fn post(test_system: &TestSystem, key: &str, what: &str, body: &Value) -> HttpResponse {
    let request = test_system.http().post(test_system.at(&format!("/admin/api/tenants/acme/{what}")));
    let request = request.header("authorization", format!("Bearer {key}")).header("content-type", "application/json");
    test_system.send(request.body(body.to_string())).await
}

/// A list for the console: of one tenant, the newest first, to its end.
#[tokio::test(flavor = "multi_thread")]
async fn api_keys_of_a_tenant_are_paginated_newest_first() {
    let test_system = TestSystem::new().await;
    let mut made = vec![ApiKey::parse(&test_system.api_key()).unwrap().id.to_text()];
    for number in 0..110 {
        // Some in the same second.
        test_system.advance(1 - number % 2);
        made.push(test_system.create_api_key(ANA, "acme", "skills:read", None).await.1.id.to_text());
    }
    test_system.create_api_key(ANA, "globex", "skills:read", None).await;
    test_system.settled().await;
    let (keys, now) = (test_system.system().keys(), test_system.system().clock().now());
    let acme = TenantId::parse("acme").unwrap();

    let (mut found, mut after, mut pages) = (Vec::new(), None::<Cursor>, 0);
    loop {
        let (page, next) = keys.of_tenant(&acme, after.as_ref(), now).await.unwrap();
        assert!(page.iter().all(|key| key.tenant == acme && key.name.as_str() != ""));
        found.extend(page);
        pages += 1;
        let Some(next) = next else { break };
        assert_eq!(Cursor::parse(&next.to_text()).as_ref(), Some(&next));
        after = Some(next);
    }

    assert_eq!(pages, 3);
    assert!(found.is_sorted_by_key(|key| std::cmp::Reverse(key.created)));
    let ids: BTreeSet<_> = found.iter().map(|key| key.id.to_text()).collect();
    assert_eq!((found.len(), ids), (111, made.into_iter().collect()));
    for text in ["", ".", "1", "x.AAAAAAAAAAAAAAAA", "1.short"] {
        assert_eq!(Cursor::parse(text), None, "{text}");
    }
}
