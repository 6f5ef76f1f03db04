//! What an attacker, a race or a broken network would try.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local::Options;
use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Value, json};
use shared::aws::MAX_ATTEMPTS;
use test_system::connector::Connector;
use test_system::person::{Form, Person};
use test_system::{CALLBACK, TestSystem, claims};
use tokio::sync::Barrier;

const DAY: i64 = 24 * 3600;

/// Breaks or holds the next call of a function's operation.
#[derive(Clone, Default)]
struct FaultInjector(Arc<Mutex<VecDeque<InjectedFault>>>);

struct InjectedFault {
    function: &'static str,
    operation: &'static str,
    action: FaultAction,
}

enum FaultAction {
    Break(Decision),
    /// Waits twice: for the test to know that the call is being made, and to let it go.
    Hold(Arc<Barrier>),
}

impl FaultInjector {
    async fn start_test_system(&self) -> TestSystem {
        let fault_injector = self.clone();
        let interceptor = move |call: Call| {
            let fault = fault_injector.take_fault(&call);
            async move {
                match fault {
                    None => Decision::Pass,
                    Some(FaultAction::Break(decision)) => decision,
                    Some(FaultAction::Hold(barrier)) => {
                        barrier.wait().await;
                        barrier.wait().await;
                        Decision::Pass
                    }
                }
            }
        };
        TestSystem::with(move |options: &mut Options| options.interceptor = Some(Arc::new(interceptor))).await
    }

    fn fail_next(&self, function: &'static str, operation: &'static str, decisions: &[Decision]) {
        for decision in decisions {
            self.set(function, operation, FaultAction::Break(decision.clone()));
        }
    }

    /// Holds the next such call; the test waits for it and lets it go with one wait each.
    fn hold_next(&self, function: &'static str, operation: &'static str) -> Arc<Barrier> {
        let barrier = Arc::new(Barrier::new(2));
        self.set(function, operation, FaultAction::Hold(Arc::clone(&barrier)));
        barrier
    }

    fn set(&self, function: &'static str, operation: &'static str, action: FaultAction) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(InjectedFault { function, operation, action });
    }

    fn take_fault(&self, call: &Call) -> Option<FaultAction> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place =
            faults.iter().position(|fault| fault.function == call.function && fault.operation == call.operation)?;
        faults.remove(place).map(|fault| fault.action)
    }
}

fn ended(test_system: &TestSystem, access: &str) -> Vec<Value> {
    let grant = claims(access).1["grant"].clone();
    test_system.audit("grant_ended").into_iter().filter(|line| line["grant"] == grant).collect()
}

/// Nobody learns from an answer whether a grant exists, whatever else is wrong with the request.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_secret_is_indistinguishable_from_an_unknown_grant() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let ask = connector.authorization_request("skills:read");
    let (code, refresh) = (test_system.person("ana@example.com").code(&ask, "acme").await, tokens.refresh.unwrap());
    // Prefix and grant id are the first 25 characters, the last of which they share with the secret.
    for (genuine, length, name, kind) in
        [(code.as_str(), 67, "code", "authorization_code"), (refresh.as_str(), 169, "refresh_token", "refresh_token")]
    {
        assert_eq!(genuine.len(), length);
        let known = format!("{}{}", &genuine[..25], "A".repeat(length - 25));
        let unknown = format!("{}{}", &genuine[..3], "A".repeat(length - 3));
        let mut told = Vec::new();
        for token in [&known, &unknown] {
            let form = [
                ("grant_type", kind),
                (name, token.as_str()),
                ("client_id", &connector.client_id),
                ("code_verifier", &ask.verifier),
                ("resource", "https://elsewhere.example/"),
            ];
            let answer = test_system.post_form("/oauth/token", &form).await;
            told.push((answer.status, answer.body));
        }
        assert_eq!(told[0], told[1], "{kind}");
        assert!(told[0].1.contains("invalid_grant"), "{told:?}");
    }
}

/// OAuth 2.1 §3.2.3: `expires_in` is the token's lifetime, also when a late retry comes shortly before the grant is idle.
#[tokio::test(flavor = "multi_thread")]
async fn token_of_a_late_retry_lives_as_long_as_expires_in() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let old = first.refresh.unwrap();
    let _lost = connector.refresh(&old).await.tokens(&test_system);

    test_system.advance(30 * DAY - 600);
    let again = connector.refresh(&old).await;
    let lifetime = again.json()["expires_in"].as_i64().unwrap();
    let again = again.tokens(&test_system);
    test_system.advance(lifetime - 1);

    assert_eq!(connector.call(&again.access, "tools/list", json!({})).await.status, 200, "{lifetime}");
}

/// A code is for one use, and a second use with its verifier ends the grant; being faster does not help.
#[tokio::test(flavor = "multi_thread")]
async fn code_used_twice_concurrently_revokes_the_grant() {
    let fault_injector = FaultInjector::default();
    let test_system = fault_injector.start_test_system().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let code = test_system.person("ana@example.com").code(&ask, "acme").await;

    let held = fault_injector.hold_next("token", "Sign");
    let (slow, fast) = tokio::join!(connector.exchange(&ask, &code), async {
        held.wait().await;
        let fast = connector.exchange(&ask, &code).await;
        held.wait().await;
        fast
    });

    let tokens = fast.tokens(&test_system);
    assert_eq!((slow.status, &slow.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    assert_eq!(connector.refresh(&tokens.refresh.unwrap()).await.json()["error"], "invalid_grant");
    assert_eq!(ended(&test_system, &tokens.access).len(), 1);
}

/// A crash loses nothing. The table did it, its answer was lost, and the function tries again.
#[tokio::test(flavor = "multi_thread")]
async fn write_with_lost_response_takes_effect_once() {
    let fault_injector = FaultInjector::default();
    let test_system = fault_injector.start_test_system().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let lost = [Decision::FailAfter(InjectedError::INTERNAL)];

    for stays in [true, false] {
        let ask = connector.authorization_request("skills:read");
        let unticked: &[&str] = if stays { &[] } else { &["offline_access"] };
        let code = ana.approve_without(&ask, "acme", unticked).await.redirect_parameters()["code"].clone();
        fault_injector.fail_next("token", "UpdateItem", &lost);
        let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200, "{stays}");

        if let Some(refresh) = &tokens.refresh {
            fault_injector.fail_next("token", "UpdateItem", &lost);
            let next = connector.refresh(refresh).await.tokens(&test_system);
            fault_injector.fail_next("mcp", "UpdateItem", &lost);
            assert_eq!(connector.call(&next.access, "tools/list", json!({})).await.status, 200);
        }
        fault_injector.fail_next("revoke", "UpdateItem", &lost);
        assert_eq!(connector.revoke(&tokens.access).await.status, 200);
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
        assert_eq!(ended(&test_system, &tokens.access).len(), 1, "the audit knows of it, {stays}");
    }
}

/// Sign first, then commit. Whatever fails, the same request again finishes the work.
#[tokio::test(flavor = "multi_thread")]
async fn failed_refresh_is_completed_by_a_retry() {
    let fault_injector = FaultInjector::default();
    let test_system = fault_injector.start_test_system().await;
    let (connector, mut tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let before = vec![Decision::FailBefore(InjectedError::INTERNAL); MAX_ATTEMPTS as usize];
    let after = vec![Decision::FailAfter(InjectedError::INTERNAL); MAX_ATTEMPTS as usize];
    let one_before = [&before[..1], &after[1..]].concat();

    for (operation, decisions) in [
        ("BatchGetItem", before.clone()),
        ("Sign", before.clone()),
        ("Sign", after.clone()),
        ("UpdateItem", before),
        ("UpdateItem", one_before),
        ("UpdateItem", after),
        ("UpdateItem", vec![Decision::FailBefore(InjectedError::DENIED)]),
        ("UpdateItem", vec![Decision::FailAfter(InjectedError::DENIED)]),
    ] {
        let refresh = tokens.refresh.unwrap();
        fault_injector.fail_next("token", operation, &decisions);

        let failed = connector.refresh(&refresh).await;

        assert_eq!((failed.status, failed.header("retry-after")), (503, Some("1")), "{operation} {decisions:?}");
        test_system.advance(100);
        tokens = connector.refresh(&refresh).await.tokens(&test_system);
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    }
}

/// Revocation is immediate, whatever is under way.
#[tokio::test(flavor = "multi_thread")]
async fn grant_revoked_during_a_request_stays_revoked() {
    for (function, operation) in [("token", "Sign"), ("token", "UpdateItem"), ("mcp", "UpdateItem")] {
        let fault_injector = FaultInjector::default();
        let test_system = fault_injector.start_test_system().await;
        let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let refresh = tokens.refresh.unwrap();

        let held = fault_injector.hold_next(function, operation);
        let under_way = async {
            if function == "token" {
                connector.refresh(&refresh).await
            } else {
                connector.call(&tokens.access, "tools/list", json!({})).await
            }
        };
        let (answer, ()) = tokio::join!(under_way, async {
            held.wait().await;
            assert_eq!(connector.revoke(&refresh).await.status, 200);
            held.wait().await;
        });

        let expected = if function == "token" { (400, "invalid_grant") } else { (401, "invalid_token") };
        assert_eq!((answer.status, answer.json()["error"].as_str().unwrap()), expected, "{function} {operation}");
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
        assert_eq!(connector.refresh(&refresh).await.json()["error"], "invalid_grant");
    }
}

/// 5xx only when AWS failed; nothing that a client can write makes one.
#[tokio::test(flavor = "multi_thread")]
async fn no_client_message_causes_a_5xx() {
    let test_system = TestSystem::new().await;
    let key = test_system.api_key();
    let modern = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let with = |name: &str, value: Value| {
        let mut meta = modern.clone();
        meta[name] = value;
        meta
    };
    let mut bodies = Vec::new();
    for method in ["ping", "tools/list", "tools/call", "initialize", "server/discover"] {
        let mut params = vec![json!({}), json!({ "x": null }), json!({ "name": "list_skills", "arguments": {} })];
        let metas = [
            json!(5),
            json!(null),
            json!([]),
            json!("x"),
            json!({}),
            json!({ "progressToken": {} }),
            json!({ "progressToken": null }),
            json!({ "progressToken": 1.5 }),
            json!({ "progressToken": -1 }),
            modern.clone(),
            with("progressToken", json!({})),
            with("progressToken", json!([1])),
            with("io.modelcontextprotocol/clientInfo", json!(5)),
            with("io.modelcontextprotocol/clientInfo", json!({})),
            with("io.modelcontextprotocol/logLevel", json!("loud")),
            with("io.modelcontextprotocol/related-task", json!(5)),
            with("io.modelcontextprotocol/clientCapabilities", json!({ "roots": 5 })),
            with(
                "io.modelcontextprotocol/clientCapabilities",
                json!({ "tasks": [], "elicitation": "x", "sampling": 0 }),
            ),
        ];
        for meta in metas {
            params.push(json!({ "_meta": meta, "name": "list_skills", "arguments": {} }));
            params.push(json!({ "_meta": meta }));
            params.push(json!({ "_meta": meta, "name": "list_skills", "arguments": {}, "task": 5 }));
            params.push(json!({ "_meta": meta, "name": "list_skills", "inputResponses": 5, "requestState": 5 }));
            params.push(json!({ "_meta": meta, "protocolVersion": "1", "capabilities": {}, "clientInfo": { "name": "", "version": "" } }));
        }
        for params in params {
            bodies.push(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        }
        for id in [json!(i64::MAX), json!(i64::MIN), json!(""), json!("\u{0}\u{202e}é"), json!(u64::MAX)] {
            bodies.push(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": { "name": "list_skills" } }));
        }
        for more in ["result", "error", "extra"] {
            for value in [json!({}), json!(null), json!({ "code": 1, "message": "x" })] {
                let mut body =
                    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { "name": "list_skills" } });
                body[more] = value;
                bodies.push(body);
            }
        }
    }
    let mut bad = Vec::new();
    for body in bodies {
        let method = body["method"].as_str().unwrap().to_owned();
        let era = body["params"]["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some();
        let request = test_system.http().post(test_system.mcp_url()).header("x-api-key", &key);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let request = match (era, method.as_str()) {
            (true, method) => request
                .header("mcp-protocol-version", "2026-07-28")
                .header("mcp-method", method)
                .header("mcp-name", "list_skills"),
            (false, _) => request,
        };
        let answer = test_system.send(request).await;
        if answer.status >= 500 {
            bad.push(format!("{} {body}", answer.status));
        }
    }
    assert!(bad.is_empty(), "{} of them:\n{}", bad.len(), bad.join("\n"));
}

/// The name on the consent page shows what it says: nothing in it hides, or turns other text around.
#[tokio::test(flavor = "multi_thread")]
async fn deceptive_characters_of_a_client_name_are_left_out() {
    let test_system = TestSystem::new().await;
    for hidden in [
        "\u{61c}",
        "\u{ad}",
        "\u{180e}",
        "\u{200b}",
        "\u{202e}",
        "\u{2066}",
        "\u{feff}",
        "\u{fff9}",
        "\u{3164}",
        "\u{115f}",
        "\u{ffa0}",
        "\u{e0041}",
        "\u{7f}",
        "\u{9b}",
        "\u{fe0f}",
        "\u{2800}",
    ] {
        for (name, kept) in [(hidden.to_owned(), None), (format!("Cla{hidden}ude"), Some("Claude"))] {
            let metadata = json!({ "client_name": name, "redirect_uris": [test_system::CALLBACK] });
            let answer = test_system.post_json("/oauth/register", &metadata).await;
            assert_eq!((answer.status, answer.json()["client_name"].as_str()), (201, kept), "{name:?}");
        }
    }
}

/// Only a membership that is gone ends a grant. A role that nobody has defined, or not yet, allows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn undefined_role_allows_nothing_and_revokes_nothing() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;

    test_system.set_role("acme", "ana@example.com", "renamed").await;
    let nothing = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(nothing.scope, "offline_access");
    assert_eq!(connector.tool(&nothing.access, "list_skills", json!({})).await.status, 403);
    let ana = test_system.person("ana@example.com");
    let refused = ana.approve(&connector.authorization_request("skills:read"), "acme").await;
    let page = ana.open(refused.location()).await;
    assert!(page.body.contains("Your role in that workspace allows nothing of what is ticked"), "{page:?}");

    test_system.set_role("acme", "ana@example.com", "owner").await;
    let again = connector.refresh(&nothing.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(again.scope, "skills:read");
}

/// OAuth 2.1 §4.1.2.1 and RFC 9700 §4.11: whatever is asked for, the browser goes where the client registered or stays with us.
#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_uri_spelling_leads_elsewhere() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector_at("Claude", &[test_system::CALLBACK, "http://localhost/callback"]).await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;

    for address in [
        "https://claude.ai/api/mcp/auth_callback/",
        "https://claude.ai/api/mcp/auth_callback?x=1",
        "https://claude.ai/api/mcp/auth_callback#x",
        "https://claude.ai/api/mcp/./auth_callback",
        "https://claude.ai/api/mcp/%61uth_callback",
        "https://claude.ai:443/api/mcp/auth_callback",
        "https://CLAUDE.ai/api/mcp/auth_callback",
        "https://claude.ai@evil.example/api/mcp/auth_callback",
        "https://evil.example\\@claude.ai/api/mcp/auth_callback",
        "https://claude.ai.evil.example/api/mcp/auth_callback",
        "https:claude.ai/api/mcp/auth_callback",
        "//claude.ai/api/mcp/auth_callback",
        " https://claude.ai/api/mcp/auth_callback",
        "https://claude.ai/api/mcp/auth_callback\t",
        "https://claude.ai/api/mcp/auth_callback\r\nSet-Cookie: x=y",
        "http://claude.ai/api/mcp/auth_callback",
        "http://localhost.evil.example/callback",
        "http://localhost@evil.example/callback",
        "http://user@localhost:1/callback",
        "http://localhost:1/callback/../x",
        "http://localhost:99999/callback",
        "http://127.1/callback",
        "http://127.0.0.1/callback",
        "https://localhost/callback",
        "javascript:alert(1)",
    ] {
        let ask = connector.authorization_request_with(&[("redirect_uri", Some(address))]);
        let answer = ana.open(&ask.url).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{address}");
        // RFC 6749 §4.1.2.1: nor with an error.
        let wrong =
            connector.authorization_request_with(&[("redirect_uri", Some(address)), ("response_type", Some("token"))]);
        assert_eq!(ana.open(&wrong.url).await.header("location"), None, "{address}");
    }

    for next in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/%0d%0a\r\nx: y",
    ] {
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let answer = ana.open(&format!("/auth/login?next={next}")).await;
        assert_eq!((answer.status, answer.header("location")), (200, None), "{next}");
        assert!(!answer.body.contains("evil.example") && !answer.body.contains("alert("), "{next}: {answer:?}");
    }
}

/// What others named is text on our pages, whatever it looks like.
#[tokio::test(flavor = "multi_thread")]
async fn user_supplied_text_is_escaped_on_pages() {
    let test_system = TestSystem::new().await;
    let evil = "\"'><img src=x onerror=alert(1)>{{7*7}}</style><script>";
    let connector = test_system.connector(evil).await;
    let ana = test_system.person("ana@example.com");

    let page = ana
        .sign_in(&connector.authorization_request_with(&[("state", Some(evil)), ("scope", Some("skills:read"))]).url)
        .await;

    assert_eq!(page.status, 200);
    assert!(page.body.contains("onerror=alert"), "the name is shown");
    for raw in ["<img", "</style><script", "'><", "49</"] {
        assert!(!page.body.contains(raw), "{raw}: {}", page.body);
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
}

/// The id of a grant is in every access token. Whoever knows nothing else of it leaves no line where its tenant would read it.
#[tokio::test(flavor = "multi_thread")]
async fn grant_id_alone_writes_no_audit_event_of_the_tenant() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let grant = claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
    let made_up = |prefix: &str, length: usize| {
        let id = URL_SAFE_NO_PAD.decode(&grant).unwrap();
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode([id, vec![7; length]].concat()))
    };
    let stranger = Connector {
        test_system: &test_system,
        client_id: "Look_here".to_owned(),
        redirect_uri: CALLBACK.to_owned(),
        secret: None,
    };

    for client in [&stranger, &connector] {
        let ask = client.authorization_request("skills:read");
        assert!(client.exchange(&ask, &made_up("ac_", 32)).await.status >= 400);
        assert!(client.refresh(&made_up("rt_", 64)).await.status >= 400);
    }

    for event in ["token_refused", "code_judged", "refresh_judged"] {
        let told: Vec<_> =
            test_system.audit(event).into_iter().filter(|line| line["grant"] == grant.as_str()).collect();
        let known = told.iter().filter(|line| line.get("tenant").is_some() || line.get("person").is_some());
        // The connection's own, from before.
        assert_eq!(known.count(), usize::from(event == "code_judged"), "{told:?}");
    }
}

/// The cookie of a session as its browser holds it, and as anybody can write it.
fn session_of(person: &Person<'_>) -> (String, Value) {
    let header = person.cookie_header();
    let (name, value) = header
        .split("; ")
        .filter_map(|cookie| cookie.split_once('='))
        .find(|(_, value)| value.starts_with("base64-"))
        .unwrap();
    let text = URL_SAFE_NO_PAD.decode(value.trim_start_matches("base64-")).unwrap();
    (name.to_owned(), serde_json::from_slice(&text).unwrap())
}

pub(crate) fn cookie(session: &Value) -> String {
    format!("base64-{}", URL_SAFE_NO_PAD.encode(session.to_string()))
}

/// `token` with other members in its header and claims, and no longer signed.
pub(crate) fn altered(token: &str, header: &Value, claims: &Value) -> String {
    let (mut head, mut said) = test_system::claims(token);
    for (part, changes) in [(&mut head, header), (&mut said, claims)] {
        part.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&head), part(&said), token.rsplit_once('.').unwrap().1)
}

/// Supabase counts refreshes by our address, for everybody together: only a session that it signed makes one.
#[tokio::test(flavor = "multi_thread")]
async fn forged_session_is_not_refreshed() {
    const TOKEN: &str = "/auth/v1/token";
    let test_system = TestSystem::new().await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let (name, session) = session_of(&ana);
    let token = session["access_token"].as_str().unwrap();
    let asked = || test_system.supabase().request_count(TOKEN);
    let before = asked();
    test_system.advance(3601);

    for forged in [
        "x.y.z".to_owned(),
        altered(token, &json!({}), &json!({ "email": "eve@example.com" })),
        altered(token, &json!({ "alg": "HS256" }), &json!({})),
        altered(token, &json!({ "kid": "5e1f2a7c-1d7e-4a52-8d55-0a9f7d9f1c33" }), &json!({})),
        altered(token, &json!({}), &json!({ "exp": test_system.now() + 60 })),
    ] {
        let eve = test_system.person("ana@example.com");
        eve.set_cookie(&name, &cookie(&json!({ "access_token": forged, "refresh_token": "made-up", "expires_at": 1 })));
        let page = eve.open("/auth/login").await;
        assert_eq!((page.status, asked()), (200, before), "{forged}");
        assert!(Form::find(&page, "password").is_some(), "{page:?}");
    }
    // Whoever comes back within a month is still signed in, and once.
    test_system.advance(30 * DAY - 3600);
    assert_eq!((ana.open("/auth/login?next=/admin").await.status, asked()), (303, before + 1));
    assert_eq!(ana.open("/admin").await.status, 200);
    test_system.advance(31 * DAY);
    assert!(Form::find(&ana.open("/auth/login").await, "password").is_some());
    assert_eq!(asked(), before + 1);

    // A shared secret signs what we cannot verify: after an hour one signs in anew.
    test_system.supabase().use_shared_secret(true);
    test_system.advance(600);
    let ana = test_system.person("ana@example.com");
    assert_eq!(ana.sign_in("/admin").await.status, 200);
    let before = asked();
    test_system.advance(3601);
    assert!(Form::find(&ana.open_following_redirects("/admin").await, "password").is_some());
    assert_eq!(asked(), before);
}

/// No stranger has us ask Supabase: not where the project publishes the key, and once a second where it may share a secret.
#[tokio::test(flavor = "multi_thread")]
async fn forged_token_is_sent_to_supabase_at_most_once() {
    const USER: &str = "/auth/v1/user";
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let (name, session) = session_of(&ana);
    let token = session["access_token"].as_str().unwrap().to_owned();
    let ask = connector.authorization_request("skills:read");
    let stranger = |kid: &str| {
        let eve = test_system.person("ana@example.com");
        let header = json!({ "alg": "HS256", "kid": kid });
        for (twin, seconds) in [("sb-a-auth-token", 600), ("sb-b-auth-token", 601), ("sb-c-auth-token", 602)] {
            let forged = altered(&token, &header, &json!({ "exp": test_system.now() + seconds, "aal": "aal2" }));
            eve.set_cookie(twin, &cookie(&json!({ "access_token": forged, "refresh_token": "x", "expires_at": 1 })));
        }
        eve
    };
    let kid = test_system::claims(&token).0["kid"].as_str().unwrap().to_owned();
    let asked = || test_system.supabase().request_count(USER);
    let before = asked();
    for page in ["/admin", "/auth/login", "/admin/api/me/connections", &ask.url] {
        assert!(stranger(&kid).open(page).await.status < 500);
    }
    assert_eq!(asked(), before, "{name}: a published key is no secret");

    // Whether or not the project has published the keys that will replace its secret.
    for secret in [false, true] {
        test_system.supabase().use_shared_secret(secret);
        test_system.advance(601);
        for page in ["/admin", "/auth/login", "/admin/api/me/connections", &ask.url] {
            test_system.advance(1);
            let before = asked();
            assert_eq!(
                stranger("another").open(page).await.status,
                503,
                "{page}, {secret}: the second was not looked at"
            );
            assert_eq!(asked(), before + 1, "{page}, {secret}");
        }
    }
    test_system.advance(1);
    let ben = test_system.person("ben@example.com");
    assert_eq!(ben.sign_in("/admin").await.status, 200, "who is signed in is so here as well");
}

/// What one place tries in vain leaves Supabase's patience with us to others.
#[tokio::test(flavor = "multi_thread")]
async fn failed_sign_ins_do_not_rate_limit_others() {
    const TOKEN: &str = "/auth/v1/token";
    let test_system = TestSystem::new().await;
    let (eve, ana) = (Person::new(&test_system, "eve@example.com", "guessed"), test_system.person("ana@example.com"));
    let form = Form::find(&eve.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", "ana@example.com").with("password", "guessed");
    let asked = || test_system.supabase().request_count(TOKEN);

    let mut told = Vec::new();
    for _ in 0..40 {
        told.push(eve.submit_and_follow(&form).await.body.contains("Too many attempts"));
    }
    assert_eq!(asked(), 10, "{told:?}");
    assert!(told[..10].iter().all(|too_many| !too_many) && told[10..].iter().all(|too_many| *too_many), "{told:?}");
    // Nor by a code for a flow that nobody began.
    let (id, begun) = ("AAAAAAAAAAAAAAAAAAAAAA", Form::find(&eve.open("/auth/login").await, "provider").unwrap());
    eve.submit(&begun.with("provider", "github")).await;
    let header = eve.cookie_header();
    let flow =
        header.split("; ").filter_map(|cookie| cookie.split_once('=')).find(|(name, _)| name.starts_with("mcp-login-"));
    let (name, value) = flow.unwrap_or_else(|| panic!("{header}"));
    eve.set_cookie(&format!("{}{id}", &name[..name.len() - id.len()]), value);
    eve.open(&format!("/auth/callback?flow={id}&code=5e1f2a7c-1d7e-4a52-8d55-0a9f7d9f1c33")).await;
    assert_eq!(asked(), 10);

    // From elsewhere, one signs in; and from there again in a while.
    let page = ana.open("/auth/login").await;
    let mine = Form::find(&page, "password").unwrap().with("email", "ana@example.com").with("password", "ana-demo");
    let elsewhere = reqwest::Client::builder()
        .local_address(std::net::IpAddr::from([127, 0, 0, 2]))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let request = elsewhere
        .post(test_system.placed_at("/auth/login/password"))
        .header("cookie", ana.cookie_header())
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = test_system.send(request.body(test_system::person::encoded(&mine.fields))).await;
    assert_eq!((answer.status, asked()), (303, 11), "{answer:?}");
    assert!(ana.submit_and_follow(&mine).await.body.contains("Too many attempts"));
    test_system.advance(6);
    assert_eq!(ana.submit(&mine).await.status, 303);
    assert_eq!(asked(), 12);
}
