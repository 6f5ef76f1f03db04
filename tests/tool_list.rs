//! What `tools/list` shows, and that it admits nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_system::connector::{Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::Form;
use test_system::{TestSystem, claims};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const VERA: &str = "vera@example.com";

/// What the challenge of the MCP server names, and what clients add.
const DEFAULT: &str = "tools:execute skills:read views:read offline_access";

/// Our tools in their order, with what each needs.
const OURS: [(&str, &str); 19] = [
    ("list_skills", "skills:read"),
    ("read_skill", "skills:read"),
    ("list_views", "views:read"),
    ("read_view", "views:read"),
    ("list_entity_types", "entities:read"),
    ("list_entities", "entities:read"),
    ("search_entities", "entities:read"),
    ("read_entity", "entities:read"),
    ("create_entity", "entities:read entities:write"),
    ("update_entity", "entities:read entities:write"),
    ("delete_entity", "entities:read entities:write"),
    ("list_documents", "documents:read"),
    ("search_documents", "documents:read"),
    ("read_document", "documents:read"),
    ("list_document_versions", "documents:read"),
    ("create_document", "documents:read documents:write"),
    ("update_document", "documents:read documents:write"),
    ("delete_document", "documents:read documents:write"),
    ("create_chat", "chat:create"),
];

/// The tools of the demo's tenants.
const THEIRS: [&str; 2] = ["count_words", "roll_dice"];

/// Each listed tool in its order, and what it says that it needs: beside its schema and in its metadata alike.
async fn listed(test_system: &TestSystem, credential: &str) -> Vec<(String, String)> {
    let answer = test_system.call(Some(credential), "tools/list", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let tools = answer["result"]["tools"].as_array().unwrap().iter();
    let needs = |tool: &Value| {
        let schemes = &tool["securitySchemes"];
        assert_eq!(*schemes, tool["_meta"]["securitySchemes"], "{tool}");
        let scopes: Vec<_> =
            schemes[0]["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
        assert_eq!(*schemes, json!([{ "type": "oauth2", "scopes": scopes }]), "{tool}");
        (tool["name"].as_str().unwrap().to_owned(), scopes.join(" "))
    };
    tools.map(needs).collect()
}

async fn names(test_system: &TestSystem, credential: &str) -> Vec<String> {
    listed(test_system, credential).await.into_iter().map(|(name, _)| name).collect()
}

/// Our tools whose needs `covered` holds, and the tenant's.
fn expected(covered: impl Fn(&str) -> bool, theirs: &[&str]) -> Vec<String> {
    let ours = OURS.iter().filter(|(_, needs)| needs.split(' ').all(&covered)).map(|(name, _)| *name);
    ours.chain(theirs.iter().copied()).map(str::to_owned).collect()
}

fn error(answer: &HttpResponse) -> (u16, Option<&str>, String) {
    (answer.status, answer.header("www-authenticate"), answer.json()["error"]["message"].as_str().unwrap().to_owned())
}

async fn call(test_system: &TestSystem, credential: &str, tool: &str) -> HttpResponse {
    test_system.call(Some(credential), "tools/call", json!({ "name": tool, "arguments": {} })).await
}

/// Connects with some boxes unticked.
async fn connect_without(
    connector: &Connector<'_>,
    (email, tenant): (&str, &str),
    scope: &str,
    unticked: &[&str],
) -> Tokens {
    let ask = connector.authorization_request(scope);
    let answer = connector.test_system.person(email).approve_without(&ask, tenant, unticked).await;
    connector.exchange(&ask, &answer.redirect_parameters()["code"]).await.tokens(connector.test_system)
}

/// The scopes that the next consent page offers beside the requested ones.
async fn offered_beside(connector: &Connector<'_>, email: &str, scope: &str) -> Vec<String> {
    let page = connector.test_system.person(email).sign_in(&connector.authorization_request(scope).url).await;
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
    let names = page.body.split("name=\"also:acme:").skip(1).filter_map(|rest| rest.split('"').next());
    names.map(str::to_owned).collect()
}

/// A model calls what it sees. So it sees what the role allows, with what it needs; and a call is let in by the scopes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn our_tools_are_listed_by_role_and_admitted_by_scope() {
    let test_system = TestSystem::new().await;
    for (email, tenant, theirs, writes) in [
        (ANA, "acme", &THEIRS[..], true),
        (BEN, "acme", &THEIRS, true),
        (VERA, "acme", &[], false),
        (ANA, "globex", &[], false),
    ] {
        let (connector, tokens) = test_system.connect(email, tenant, DEFAULT).await;
        let may = |scope: &str| writes || scope.ends_with(":read");

        let listed = listed(&test_system, &tokens.access).await;

        let names: Vec<_> = listed.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, expected(may, theirs), "{email} {tenant}");
        let needs: BTreeMap<_, _> = OURS.into_iter().chain(THEIRS.map(|tool| (tool, "tools:execute"))).collect();
        for (name, says) in listed {
            assert_eq!(says, needs[name.as_str()], "{name}");
            let admitted = says.split(' ').all(|scope| tokens.scope.contains(scope));
            let answer = connector.tool(&tokens.access, &name, json!({})).await;
            assert_eq!(answer.status, if admitted { 200 } else { 403 }, "{email} {tenant} {name}: {answer:?}");
            assert_eq!(answer.header("www-authenticate").is_some(), !admitted, "{name}");
        }
        for (name, _) in OURS {
            let answer = connector.tool(&tokens.access, name, json!({})).await;
            let hidden = !names.iter().any(|listed| listed == name);
            assert_eq!(answer.json()["error"]["data"]["error"] == "access_denied", hidden, "{email} {tenant} {name}");
        }
    }
}

/// What is listed follows the role as it is now, at the next call, and not the token.
#[tokio::test(flavor = "multi_thread")]
async fn list_follows_the_role_at_the_next_call() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect(BEN, "acme", DEFAULT).await;
    assert_eq!(names(&test_system, &tokens.access).await, expected(|_| true, &THEIRS));

    test_system.set_role("acme", BEN, "viewer").await;
    assert_eq!(names(&test_system, &tokens.access).await, expected(|scope| scope.ends_with(":read"), &[]));

    test_system.set_role("acme", BEN, "member").await;
    assert_eq!(names(&test_system, &tokens.access).await, expected(|_| true, &THEIRS));
}

/// The tenant's tools are within their scope. So is what is no tool.
#[tokio::test(flavor = "multi_thread")]
async fn tools_of_the_tenant_are_listed_by_scope() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;

    assert_eq!(names(&test_system, &tokens.access).await, expected(|_| true, &[]));
    test_system.stop_cutting_pages();
    let resources = connector.call(&tokens.access, "resources/list", json!({})).await.json();
    let uris: Vec<_> = resources["result"]["resources"].as_array().unwrap().iter().map(|it| &it["uri"]).collect();
    assert_eq!(uris, ["skill://house-style", "skill://weekly-report"]);
}

/// A key has no consent page on which it could get more.
#[tokio::test(flavor = "multi_thread")]
async fn keys_list_what_they_may_do() {
    let test_system = TestSystem::new().await;
    for (scopes, theirs) in [
        ("skills:read", &[][..]),
        ("views:read documents:read documents:write", &[]),
        ("tools:execute chat:create", &THEIRS),
    ] {
        let (key, _) = test_system.create_api_key(ANA, "acme", scopes, None).await;
        let may = |scope: &str| scopes.split(' ').any(|made_for| made_for == scope);
        assert_eq!(names(&test_system, &key).await, expected(may, theirs), "{scopes}");
    }
}

const DENIED: &str =
    "The person chose not to allow this. They can allow it on the console of this server, or connect again.";

/// A box that came ticked and was unticked is a no: nothing of it is listed, and nobody asks the person again, however often it is
/// called, until they connect again.
#[tokio::test(flavor = "multi_thread")]
async fn unticked_scope_is_not_listed_and_starts_no_step_up() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    for (scope, unticked, denied) in [
        (DEFAULT, &["views:read"][..], "views:read"),
        // Nothing was requested: the default came ticked.
        ("", &["skills:read", "tools:execute"], "skills:read tools:execute"),
        ("skills:read entities:write documents:write", &["documents:write"], "documents:write"),
        ("skills:read entities:write", &["entities:write", "entities:read"], "entities:read entities:write"),
        // What writes could also read, which was denied.
        ("skills:read entities:read", &["entities:read"], "entities:read"),
        // Whoever leaves the right to write leaves that to read as well.
        ("skills:read documents:write", &["documents:read"], ""),
    ] {
        let tokens = connect_without(&connector, (ANA, "acme"), scope, unticked).await;
        let refreshed = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
        let is_denied = |scope: &str| denied.split(' ').any(|denied| denied == scope);
        let runs = tokens.scope.contains("tools:execute");

        for token in [&tokens.access, &refreshed.access] {
            let expected = expected(|scope| !is_denied(scope), if runs { &THEIRS } else { &[] });
            assert_eq!(names(&test_system, token).await, expected, "{scope} without {unticked:?}");
            let theirs = THEIRS.map(|name| (name, "tools:execute"));
            for (name, _) in OURS.iter().chain(&theirs).filter(|(_, needs)| needs.split(' ').any(is_denied)) {
                let refused = call(&test_system, token, name).await;
                assert_eq!(error(&refused), (403, None, DENIED.to_owned()), "{scope} without {unticked:?}: {name}");
                assert_eq!(refused.json()["error"]["data"], json!({ "error": "access_denied" }));
            }
            for (method, params) in [
                ("resources/read", json!({ "uri": "skill://weekly-report" })),
                ("prompts/get", json!({ "name": "weekly-report", "arguments": { "week": "2026-W47" } })),
            ] {
                let answer = connector.call(token, method, params).await;
                assert_eq!(answer.status == 403, is_denied("skills:read"), "{answer:?}");
            }
        }
        assert_eq!(offered_beside(&connector, ANA, "chat:create").await, [""; 0], "{scope} without {unticked:?}");
        let grant = claims(&tokens.access).1["grant"].clone();
        assert!(test_system.audit("scope_wanted").iter().all(|event| event["grant"] != grant));
    }

    // Beside what was denied, the rest still steps up.
    let tokens = connect_without(&connector, (ANA, "acme"), DEFAULT, &["views:read"]).await;
    assert_eq!(
        call(&test_system, &tokens.access, "create_chat").await.json()["error"]["data"]["error"],
        "insufficient_scope"
    );
    // Connecting again asks again, and this time it is left ticked.
    let again = connect_without(&connector, (ANA, "acme"), DEFAULT, &[]).await;
    assert_eq!(names(&test_system, &again.access).await, expected(|_| true, &THEIRS));
    assert_eq!(call(&test_system, &again.access, "list_views").await.status, 200);
    // The connection of before goes on without it.
    assert_eq!(error(&call(&test_system, &tokens.access, "list_views").await), (403, None, DENIED.to_owned()));
}

/// A box that could not be ticked is no decision of the person: once their role allows the scope, they can be asked. Nor is one that
/// did not come ticked.
#[tokio::test(flavor = "multi_thread")]
async fn scope_that_did_not_come_ticked_is_not_denied() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let tokens = connect_without(&connector, (VERA, "acme"), "skills:read chat:create tools:execute", &[]).await;
    assert_eq!(tokens.scope, "skills:read");
    test_system.set_role("acme", VERA, "member").await;

    assert_eq!(names(&test_system, &tokens.access).await, expected(|_| true, &[]));
    for tool in ["create_chat", "roll_dice", "list_views"] {
        let refused = call(&test_system, &tokens.access, tool).await;
        assert_eq!(refused.json()["error"]["data"]["error"], "insufficient_scope", "{tool}");
    }
    // All three are offered, and none is ticked.
    let beside = ["tools:execute", "views:read", "chat:create"];
    assert_eq!(offered_beside(&connector, VERA, "skills:read").await, beside);
    let tokens = connect_without(&connector, (VERA, "acme"), "skills:read", &[]).await;
    let refused = call(&test_system, &tokens.access, "list_views").await;
    assert_eq!(refused.json()["error"]["data"]["error"], "insufficient_scope");
}

/// The role is asked as it is now, and what was denied stays so.
#[tokio::test(flavor = "multi_thread")]
async fn denied_scope_stays_denied_when_the_role_changes() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let tokens = connect_without(&connector, (BEN, "acme"), "skills:read chat:create", &["chat:create"]).await;

    for (role, said) in [
        ("viewer", "The role in this workspace does not allow this. An administrator of the workspace can change it."),
        ("member", DENIED),
    ] {
        test_system.set_role("acme", BEN, role).await;
        let refused = call(&test_system, &tokens.access, "create_chat").await;
        assert_eq!(error(&refused), (403, None, said.to_owned()), "{role}");
        assert!(!names(&test_system, &tokens.access).await.contains(&"create_chat".to_owned()), "{role}");
    }
    assert_eq!(offered_beside(&connector, BEN, "skills:read").await, [""; 0]);
}

/// A model is told of nothing that it does not see: neither of what the role forbids or the person denied, nor of what a key may not do.
#[tokio::test(flavor = "multi_thread")]
async fn instructions_name_only_listed_tools() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let mut told = BTreeMap::new();
    for (email, scope, unticked) in [
        (ANA, DEFAULT, &[][..]),
        (ANA, DEFAULT, &["skills:read", "tools:execute"]),
        (ANA, "skills:read documents:read", &["documents:read"]),
        (VERA, "skills:read entities:read", &["entities:read"]),
        (VERA, "skills:read", &[]),
    ] {
        let tokens = connect_without(&connector, (email, "acme"), scope, unticked).await;
        told.insert(instructions(&test_system, &tokens.access).await, tokens.access);
    }
    for scopes in ["skills:read", "views:read entities:read", "documents:write", "chat:create", "tools:execute"] {
        let (key, _) = test_system.create_api_key(ANA, "acme", scopes, None).await;
        told.insert(instructions(&test_system, &key).await, key);
    }
    assert_eq!(told.len(), 10, "each differs from the others: {told:?}");

    for (instructions, credential) in told {
        let listed = names(&test_system, &credential).await;
        for (name, _) in OURS {
            let named = instructions.split(|it: char| !it.is_ascii_lowercase() && it != '_').any(|word| word == name);
            assert!(!named || listed.iter().any(|listed| listed == name), "{name}: {instructions}");
        }
        for (word, tool) in [
            ("Skills", "list_skills"),
            ("Records", "list_entity_types"),
            ("Views", "read_view"),
            ("search_documents", "search_documents"),
        ] {
            assert_eq!(instructions.contains(word), listed.iter().any(|listed| listed == tool), "{instructions}");
        }
        assert_eq!(instructions.contains("the workspace's own"), listed.iter().any(|listed| listed == "roll_dice"));
        assert!(instructions.len() <= 512, "ChatGPT reads no more with care: {instructions}");
    }
}

/// The same in both eras, and not to be kept: they differ by connection and by role.
async fn instructions(test_system: &TestSystem, credential: &str) -> String {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "a test", "version": "1" },
    });
    let begun = test_system.call(Some(credential), "initialize", params).await.json();
    let discovered = test_system.call_modern(credential, "server/discover", json!({})).await.json();
    assert_eq!(begun["result"]["instructions"], discovered["result"]["instructions"]);
    assert_eq!((&discovered["result"]["ttlMs"], &discovered["result"]["cacheScope"]), (&json!(0), &json!("private")));
    begun["result"]["instructions"].as_str().unwrap().to_owned()
}
