//! The template, the gateway and the code say the same.

use std::collections::BTreeSet;

use serde_json::json;
use test_system::TestSystem;
use test_system::client_key::{ClientKey, key_set};
use test_system::metadata_document_host::MetadataDocumentHost;
use test_system::person::Form;
use test_system::recorded_calls::{AwsAction, RecordedCalls};

use crate::sign_in::SESSION_COOKIE;
use crate::sign_in_tokens::session;

/// What is served, and by whom.
#[tokio::test(flavor = "multi_thread")]
async fn gateway_serves_exactly_the_documented_routes() {
    let test_system = TestSystem::new().await;
    let mut promised = BTreeSet::new();
    for (function, methods, paths) in [
        (
            "wellknown",
            "GET HEAD OPTIONS",
            "/.well-known/oauth-authorization-server /.well-known/oauth-authorization-server/api/mcp/server \
             /.well-known/oauth-authorization-server/api/mcp/server/ \
             /.well-known/oauth-authorization-server/api/mcp/server/{tenant} \
             /.well-known/oauth-authorization-server/api/mcp/server/{tenant}/ \
             /.well-known/oauth-protected-resource /.well-known/oauth-protected-resource/api/mcp/server \
             /.well-known/oauth-protected-resource/api/mcp/server/ \
             /.well-known/oauth-protected-resource/api/mcp/server/{tenant} \
             /.well-known/oauth-protected-resource/api/mcp/server/{tenant}/ \
             /.well-known/jwks.json /tools/.well-known/jwks.json",
        ),
        ("register", "POST OPTIONS", "/oauth/register"),
        ("authorize", "GET HEAD POST", "/oauth/authorize"),
        ("token", "POST OPTIONS", "/oauth/token"),
        ("revoke", "POST OPTIONS", "/oauth/revoke"),
        (
            "mcp",
            "POST GET HEAD DELETE OPTIONS",
            "/api/mcp/server /api/mcp/server/ /api/mcp/server/{tenant} /api/mcp/server/{tenant}/",
        ),
        ("feed", "POST", "/hooks/membership"),
        (
            "login",
            "GET HEAD POST",
            "/auth/login /auth/login/password /auth/login/code /auth/login/verify /auth/login/factor",
        ),
        ("login", "GET HEAD POST", "/auth/login/social"),
        ("login", "POST", "/auth/login/link /auth/logout"),
        ("login", "GET HEAD", "/auth/callback"),
        (
            "admin",
            "GET HEAD",
            "/admin /admin/{tenant}/connections /admin/{tenant}/keys /admin/{tenant}/activity \
             /admin/api/openapi.json /admin/api/me/connections /admin/api/tenants/{tenant}/connections \
             /admin/api/tenants/{tenant}/activity",
        ),
        (
            "admin",
            "GET HEAD POST",
            "/admin/end /admin/permissions /admin/{tenant}/connections/end /admin/{tenant}/keys/new /admin/{tenant}/keys/revoke \
             /admin/api/tenants/{tenant}/keys",
        ),
        ("admin", "POST", "/admin/api/tenants/{tenant}/connections/end /admin/api/tenants/{tenant}/keys/revoke"),
    ] {
        for path in paths.split_whitespace() {
            promised.extend(methods.split(' ').map(|method| (format!("{method} {path}"), function.to_owned())));
        }
    }

    let served = test_system.system().routes();

    let served: BTreeSet<_> = served.into_iter().map(|(route, name)| (route.to_owned(), name.to_owned())).collect();
    assert_eq!(served, promised);
}

/// Each route may invoke its function by a statement of the function's policy, of which Lambda takes 20 KB: some 40 statements of
/// 450 bytes.
#[tokio::test(flavor = "multi_thread")]
async fn no_function_has_more_routes_than_its_policy_has_room_for() {
    let test_system = TestSystem::new().await;
    let mut routes = std::collections::BTreeMap::<_, u32>::new();
    for function in test_system.system().routes().into_values() {
        *routes.entry(function).or_default() += 1;
    }

    assert!(routes.values().all(|count| *count <= 42), "{routes:?}");
}

/// RFC 9110 §9.3.2: wherever GET is, HEAD says the same without a body. Gemini CLI reads the challenge so, and uptime checks ask so.
#[tokio::test(flavor = "multi_thread")]
async fn head_answers_as_get_without_a_body() {
    let test_system = TestSystem::new().await;
    let of = |method: &str| -> BTreeSet<String> {
        let routes = test_system.system().routes();
        let paths = routes.keys().filter_map(|route| route.strip_prefix(method));
        paths.map(|path| path.trim().replace("{tenant}", "acme")).collect()
    };
    assert_eq!(of("HEAD "), of("GET "));

    for path in of("GET ") {
        let (get, head) = (test_system.request("GET", &path).await, test_system.request("HEAD", &path).await);

        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        for name in ["www-authenticate", "content-type", "cache-control", "location", "access-control-allow-origin"] {
            assert_eq!(head.header(name).map(without_random), get.header(name).map(without_random), "{path} {name}");
        }
    }
    for path in ["/oauth/token", "/oauth/register", "/oauth/revoke", "/hooks/membership"] {
        assert_eq!(test_system.request("HEAD", path).await.status, 404, "{path}");
    }
}

/// Where a redirect leads, without what differs at each.
fn without_random(value: &str) -> String {
    value.split("notice=").next().unwrap_or_default().to_owned()
}

/// A deployment with a login page of its own has no login function.
#[tokio::test(flavor = "multi_thread")]
async fn custom_login_page_replaces_the_login_function() {
    let test_system = TestSystem::with(|options| {
        options.parameters.insert("LoginUrl".to_owned(), "https://app.example.com/signin?from=mcp".to_owned());
    })
    .await;
    let connector = test_system.connector("Claude").await;

    assert!(test_system.system().routes().values().all(|function| *function != "login"));
    assert_eq!(test_system.get("/auth/login").await.status, 404);
    let sent = test_system.get(&connector.authorization_request("skills:read").url).await;
    let back = url::form_urlencoded::byte_serialize(test_system.at("/oauth/authorize?").as_bytes()).collect::<String>();
    let expected = "https://app.example.com/signin?from=mcp&next=";
    let location = sent.location().replace('/', "%2F");
    assert!(location.starts_with(&format!("{}{back}", expected.replace('/', "%2F"))), "{}", sent.location());
}

/// What a function may do on AWS is what it does, action by action and table by table.
#[tokio::test(flavor = "multi_thread")]
async fn iam_policies_allow_exactly_the_calls_made() {
    let (calls, documents) = (RecordedCalls::default(), MetadataDocumentHost::serve().await);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(calls.wire());
        options.intercept_audit = true;
        options.document_origins.push(documents.origin().to_owned());
    })
    .await;
    for keys in ["/.well-known/jwks.json", "/tools/.well-known/jwks.json"] {
        assert_eq!(test_system.get(keys).await.status, 200);
    }
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    // Whether the person knows a client whose request is refused.
    let unknown = test_system.connector_at("Acme", &["https://app.example/callback"]).await;
    let malformed = unknown.authorization_request_with(&[("response_type", None)]);
    assert_eq!(ana.sign_in(&malformed.url).await.status, 400);
    let by_document = documents.connector(&test_system, "/client.json", "Some Client", &["http://localhost/callback"]);
    assert_eq!(ana.sign_in(&by_document.authorization_request("skills:read").url).await.status, 200);
    // The keys of a client are fetched and kept by whichever of the two needs them first: token the first, and revoke those that follow.
    let (first, second) = (ClientKey::p256("one"), ClientKey::p256("two"));
    documents.publish("/keys.json", &key_set(&[&first]));
    let mut document = documents.document("/by-key.json", "By its key", &["http://localhost/callback"]);
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    document["jwks_uri"] = json!(documents.at("/keys.json"));
    documents.publish("/by-key.json", &document);
    let by_key = documents.connector_at(&test_system, "/by-key.json");
    let ask = by_key.authorization_request("skills:read offline_access");
    assert_eq!(ana.open(&ask.url).await.status, 200);
    let code = ana.code(&ask, "acme").await;
    let tokens = by_key.exchange_by(&first.assertion(&by_key), &ask, &code).await.tokens(&test_system);
    documents.publish("/keys.json", &key_set(&[&second]));
    test_system.advance(60);
    assert_eq!(by_key.revoke_by(&second.assertion(&by_key), &tokens.access).await.status, 200);
    assert_eq!(documents.request_count("/keys.json"), 2);
    for kind in ["access", "refresh"] {
        let ask = connector.authorization_request("tools:execute skills:read views:read entities:write");
        let code = ana.code(&ask, "acme").await;
        let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
        let tokens = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
        for (tool, arguments) in [("list_skills", json!({})), ("read_skill", json!({ "name": "made-up" }))] {
            assert_eq!(connector.tool(&tokens.access, tool, arguments).await.status, 200);
        }
        let invoice = json!({ "customer": "C", "amount": 1, "currency": "EUR", "issued": "2026-11-01", "due": "2026-12-01", "paid": false });
        // A version never repeats: the record that is made again goes on after the one that was deleted.
        let version = if kind == "access" { 1 } else { 3 };
        for (tool, arguments) in [
            ("create_entity", json!({ "type": "invoice", "id": "one", "fields": invoice })),
            (
                "update_entity",
                json!({ "type": "invoice", "id": "one", "version": version, "fields": { "paid": true } }),
            ),
            ("delete_entity", json!({ "type": "invoice", "id": "one", "version": version + 1 })),
        ] {
            let done = connector.tool(&tokens.access, tool, arguments).await;
            assert!(done.json()["result"]["structuredContent"].is_object(), "{done:?}");
        }
        assert_eq!(connector.tool(&tokens.access, "roll_dice", json!({})).await.status, 200);
        if kind == "access" {
            writes_and_deletes_a_document(&test_system).await;
        }
        assert_eq!(connector.tool(&tokens.access, "count_words", json!({ "text": "a" })).await.status, 200);
        let token = if kind == "access" { tokens.access } else { tokens.refresh.unwrap() };
        assert_eq!(connector.revoke(&token).await.status, 200);
    }
    // The first use of a key is noted; what a connection lacks is wanted, offered and, once approved, struck off.
    for _ in 0..2 {
        assert_eq!(test_system.call(Some(&test_system.api_key()), "tools/list", json!({})).await.status, 200);
    }
    calls_with_a_key_that_a_key_made(&test_system).await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    assert_eq!(connector.tool(&tokens.access, "list_views", json!({})).await.status, 403);
    assert_eq!(ana.approve(&connector.authorization_request("skills:read"), "acme").await.status, 303);
    assert_eq!(
        test_system.deliver_change("ana@example.com", "acme", Some("owner"), Some("admin"), 1).await.status,
        204
    );
    test_system.connect("vera@example.com", "acme", "skills:read").await;
    test_system.create_api_key("vera@example.com", "acme", "skills:read", None).await;
    assert_eq!(test_system.deliver_change("vera@example.com", "acme", Some("viewer"), None, 2).await.status, 204);
    loses_what_a_banned_person_has(&test_system).await;
    uses_the_console(&test_system).await;
    shows_tokens_of_a_shared_secret(&test_system).await;
    assert!(!test_system.system().audit_log().await.is_empty());

    let allowed = test_system.system().policies().iter().map(|(function, action, arn)| AwsAction {
        function: function.clone(),
        action: action.clone(),
        on: match arn.split_once('/') {
            Some((_, on)) => on.to_owned(),
            None => arn.rsplit(':').next().unwrap_or_default().to_owned(),
        },
    });
    let (allowed, made): (BTreeSet<_>, BTreeSet<_>) = (allowed.collect(), calls.made().into_iter().collect());

    assert_eq!(differences(&allowed, &made), (vec![], vec![]), "allowed and not done, done and not allowed");
    // It would be seen: each action that is taken from a policy, and one that is added to each function and table.
    for one in &allowed {
        let mut less = allowed.clone();
        less.remove(one);
        assert_eq!(differences(&less, &made), (vec![], vec![one]));
        let more = AwsAction { action: "dynamodb:DeleteTable".to_owned(), ..one.clone() };
        let mut added = allowed.clone();
        added.insert(more.clone());
        assert_eq!(differences(&added, &made), (vec![&more], vec![]));
    }
}

/// What is allowed and not done, and what is done and not allowed.
fn differences<'a>(
    allowed: &'a BTreeSet<AwsAction>,
    made: &'a BTreeSet<AwsAction>,
) -> (Vec<&'a AwsAction>, Vec<&'a AwsAction>) {
    (allowed.difference(made).collect(), made.difference(allowed).collect())
}

/// The same from the template's own text: a policy that has an action more, or less, allows something else than was done.
#[test]
fn changed_policy_is_detected() {
    let text = include_str!("../template.yaml");
    let policies =
        |text: &str| -> BTreeSet<_> { local::policies_of(text).expect("the template").into_iter().collect() };
    let known = policies(text);
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("Action: [dynamodb:"));
    let mut changed = 0;
    for (at, line) in lines {
        let first = line.split(['[', ',', ']']).nth(1).expect("an action");
        let without = line.replacen(&format!("{first}, "), "", 1);
        for other in [line.replace(first, &format!("{first}, dynamodb:DescribeTable")), without] {
            let mutated: Vec<_> =
                text.lines().enumerate().map(|(n, it)| if n == at { other.as_str() } else { it }).collect();
            if other != line {
                changed += 1;
                assert_ne!(policies(&mutated.join("\n")), known, "line {}", at + 1);
            }
        }
    }
    assert!(changed > 15, "{changed}");
}

/// To each function that knows people. Nobody has noted yet that Supabase vouches for them.
async fn shows_tokens_of_a_shared_secret(test_system: &TestSystem) {
    test_system.supabase().use_shared_secret(true);
    let cookie = format!("{SESSION_COOKIE}={}", session(test_system, "ana@example.com", "ana-demo").await);
    let ask = test_system.connector("Claude").await.authorization_request("skills:read");
    for page in ["/admin", "/auth/login", &ask.url] {
        let request = test_system.http().get(test_system.absolute(page)).header("cookie", &cookie);
        assert_eq!(test_system.send(request).await.status, 200, "{page}");
    }
}

/// Both by the feed and by the function that asks: they have a connection and a key, and have used both.
async fn loses_what_a_banned_person_has(test_system: &TestSystem) {
    assert_eq!(test_system.deliver_person("PERSON_BANNED", "ben@example.com", 3).await.status, 204);
    test_system.connect("ben@example.com", "acme", "skills:read").await;
    let (key, _) = test_system.create_api_key("ben@example.com", "acme", "skills:read", None).await;
    assert_eq!(test_system.call(Some(&key), "tools/list", json!({})).await.status, 200);
    test_system.supabase().set_banned("ben@example.com", true);
    assert_eq!(test_system.system().invoke("people", "{}").await, Some(Ok("null".to_owned())));
}

async fn calls_with_a_key_that_a_key_made(test_system: &TestSystem) {
    let (key, _) = test_system.create_api_key("ana@example.com", "acme", "skills:read connections:manage", None).await;
    let new = test_system.http().post(test_system.at("/admin/api/tenants/acme/keys")).bearer_auth(&key);
    let new = new.header("content-type", "application/json").body(r#"{"name":"child","scopes":["skills:read"]}"#);
    let child = test_system.send(new).await.json()["key"].as_str().unwrap().to_owned();
    test_system.track_secret(&child);
    assert_eq!(test_system.call(Some(&child), "tools/list", json!({})).await.status, 200);
}

/// What people and scripts do at `/admin`: each once.
async fn uses_the_console(test_system: &TestSystem) {
    let (ana, person) = (test_system.person("ana@example.com"), test_system.person_id("ana@example.com"));
    let (_, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let grant = test_system::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
    let (key, known) = test_system.create_api_key("ana@example.com", "acme", "connections:manage", None).await;
    ana.sign_in("/admin").await;
    for page in ["connections", "keys", "activity"] {
        assert_eq!(ana.open(&format!("/admin/acme/{page}")).await.status, 200);
        // The second use of a key within the hour is a read.
        let url = test_system.at(&format!("/admin/api/tenants/acme/{page}"));
        let asked = test_system.http().get(url).header("authorization", format!("Bearer {key}"));
        assert_eq!(test_system.send(asked).await.status, 200);
    }
    for (page, field, value) in [
        ("/admin/end", "connection", grant),
        ("/admin/acme/connections/end", "person", person.to_string()),
        ("/admin/acme/keys/revoke", "key", known.id.to_text()),
    ] {
        let asked = ana.open(&format!("{page}?{field}={value}")).await;
        assert_eq!(ana.submit_and_follow(&Form::find(&asked, field).expect("a question")).await.status, 200, "{page}");
    }
    let form = Form::find(&ana.open("/admin/acme/keys/new").await, "step").unwrap();
    let form = form.with("name", "a").with("life", "7").with("may:skills:read", "1");
    let made = ana.submit(&Form::find(&ana.submit_and_follow(&form).await, "step").unwrap()).await;
    let shown = made.body.split_once("<code class=\"secret\" id=\"key\">").expect("a key").1;
    test_system.track_secret(shown.split_once('<').unwrap().0);
}

async fn writes_and_deletes_a_document(test_system: &TestSystem) {
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "documents:write").await;
    let call = async |tool: &str, arguments| {
        let answer = connector.tool(&tokens.access, tool, arguments).await;
        assert_eq!(answer.json()["result"]["isError"], false, "{answer:?}");
        answer.json()["result"]["structuredContent"].clone()
    };
    let made = call("create_document", json!({ "title": "Draft", "content": "" })).await;
    call("search_documents", json!({ "query": "draft" })).await;
    call("delete_document", json!({ "id": made["id"], "version": made["version"] })).await;
}
