//! Two tenants with the same ids of everything: whatever one does, it sees and changes nothing of the other.

use std::collections::BTreeSet;

use fakes::lambda::InvocationResult;
use local::System;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use test_system::TestSystem;
use workspace_file::{Variables, WorkspaceFile};

const ANA: &str = "ana@example.com";
const EVERYTHING: &str = "tools:execute skills:read views:read entities:read entities:write documents:read documents:write \
                          chat:create";

/// What both have, with a word of their own in every place that can hold one.
const THINGS: &str = "
    name: MARK
    roles: { spare: [skills:read] }
    tools:
      ask:
        title: MARK
        description: MARK
        function: arn:aws:lambda:us-east-1:111122223333:function:MARK
        input_schema: { type: object, description: MARK }
    skills:
      same: { title: MARK, description: MARK, content: 'MARK {{word}}', arguments: { word: { description: MARK } } }
    entity_types:
      same: { title: MARK, description: MARK, schema: { type: object, description: MARK } }
    entities:
      same:
        one: { said: MARK }
        two: { said: MARK }
    views:
      same: { title: MARK, description: MARK, type: same, filter: [{ field: said, op: ne, value: other }] }
    documents:
      one: { title: MARK, content: MARK }
      two: { title: MARK, content: MARK }
";

/// Every operation that names a thing, or lists some: those that only read, and then those that change.
fn operations() -> [Vec<(&'static str, Value)>; 2] {
    let tool = |name: &str, arguments: Value| ("tools/call", json!({ "name": name, "arguments": arguments }));
    let reads = vec![
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/read", json!({ "uri": "skill://same" })),
        ("resources/read", json!({ "uri": "document://one" })),
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "same", "arguments": { "word": "x" } })),
        tool("ask", json!({})),
        tool("list_skills", json!({})),
        tool("read_skill", json!({ "name": "same" })),
        tool("list_views", json!({})),
        tool("read_view", json!({ "name": "same" })),
        tool("list_entity_types", json!({})),
        tool("list_entities", json!({ "type": "same" })),
        tool("search_entities", json!({ "type": "same", "text": "e" })),
        tool("read_entity", json!({ "type": "same", "id": "one" })),
        tool("list_documents", json!({})),
        tool("search_documents", json!({ "query": "e" })),
        tool("read_document", json!({ "id": "one" })),
        tool("read_document", json!({ "id": "one", "version": 1 })),
        tool("list_document_versions", json!({ "id": "one" })),
    ];
    let changes = vec![
        tool("create_entity", json!({ "type": "same", "id": "three", "fields": { "said": "acme" } })),
        tool("update_entity", json!({ "type": "same", "id": "one", "version": 1, "fields": { "said": "acme again" } })),
        tool("delete_entity", json!({ "type": "same", "id": "two", "version": 1 })),
        tool("create_document", json!({ "title": "acme", "content": "acme" })),
        tool("update_document", json!({ "id": "one", "version": 1, "content": "acme again" })),
        tool("delete_document", json!({ "id": "two", "version": 1 })),
        tool("create_chat", json!({ "message": "acme" })),
    ];
    [reads, changes]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_never_reaches_another() {
    let test_system = TestSystem::new().await;
    // The demo's own things are in neither.
    let (ours, theirs) = ("acme-two", "globex-two");
    for (tenant, mark) in [(ours, "acme"), (theirs, "globex")] {
        give(test_system.system(), tenant, mark).await;
        test_system.set_role(tenant, ANA, "owner").await;
    }
    let before = stored(test_system.system(), theirs);
    assert_eq!(before.len(), 10, "{before:#?}");
    let [reads, changes] = operations();

    let (connector, tokens) = test_system.connect(ANA, ours, EVERYTHING).await;
    let (key, _) = test_system.create_api_key(ANA, ours, EVERYTHING, None).await;
    for (method, params) in &reads {
        for credential in [&tokens.access, &key] {
            let told = answered(&test_system, credential, method, params).await;
            assert!(told.contains("acme") && !told.contains("globex"), "{method} {params}: {told}");
        }
    }
    for (method, params) in &changes {
        let told = answered(&test_system, &tokens.access, method, params).await;
        assert!(!told.contains("globex"), "{method} {params}: {told}");
    }

    // Only the counter of calls and nothing else was written, and that in its own tenant.
    assert_eq!(stored(test_system.system(), theirs), before);
    let (other, _) = test_system.create_api_key(ANA, theirs, EVERYTHING, None).await;
    for (method, params) in &reads {
        let told = answered(&test_system, &other, method, params).await;
        assert!(told.contains("globex") && !told.contains("acme"), "{method} {params}: {told}");
    }

    // None was forgotten.
    let listed = connector.call(&tokens.access, "tools/list", json!({})).await.json();
    let listed: BTreeSet<_> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].to_string()).collect();
    let tried = reads
        .iter()
        .chain(&changes)
        .filter(|(method, _)| *method == "tools/call")
        .map(|(_, call)| call["name"].to_string());
    assert_eq!(tried.collect::<BTreeSet<_>>(), listed);
}

/// Completion only ever knows one's own names.
#[tokio::test(flavor = "multi_thread")]
async fn completion_is_isolated_by_tenant() {
    let test_system = TestSystem::new().await;
    for (tenant, skill) in [("acme-two", "own-skill"), ("globex-two", "other-skill")] {
        give(test_system.system(), tenant, skill).await;
        test_system.set_role(tenant, ANA, "owner").await;
    }
    let (key, _) = test_system.create_api_key(ANA, "acme-two", EVERYTHING, None).await;

    for (template, argument) in [("skill://{name}", "name"), ("document://{id}", "id")] {
        let params = json!({ "ref": { "type": "ref/resource", "uri": template }, "argument": { "name": argument, "value": "" } });
        let completed = test_system.call(Some(&key), "completion/complete", params).await.json();
        let values = completed["result"]["completion"]["values"].clone();
        let own = if argument == "name" { json!(["same"]) } else { json!(["one", "two"]) };
        assert_eq!(values, own, "{completed}");
    }
}

async fn give(system: &System, tenant: &str, mark: &'static str) {
    let arn = format!("arn:aws:lambda:us-east-1:111122223333:function:{mark}");
    system.lambda().deploy(&arn, move |_| async move { InvocationResult::Returned(json!({ "said": mark })) });
    let text = format!("tenants:\n  {tenant}:{}", THINGS.replace("MARK", mark));
    let file =
        WorkspaceFile::parse(&text, "things.yaml", None, &Variables::new()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let plan = file.plan(system.directory(), system.workspaces()).await.unwrap();
    plan.apply(system.directory(), system.workspaces(), Timestamp::from_seconds(1_795_339_800), |_| {}).await.unwrap();
}

async fn answered(test_system: &TestSystem, credential: &str, method: &str, params: &Value) -> String {
    let answer = test_system.call(Some(credential), method, params.clone()).await;
    let result = answer.json()["result"].clone();
    assert!(answer.status == 200 && result.is_object() && result["isError"] != true, "{method} {params}: {answer:?}");
    result.to_string()
}

/// What a tenant has, whole.
fn stored(system: &System, tenant: &str) -> Vec<Value> {
    let items = system.items().unwrap().into_iter().map(|(_, item)| item);
    let by_kind = format!("tenant#{tenant}#");
    let is_theirs = |partition: &str| partition == tenant || partition.starts_with(&by_kind);
    let mut theirs: Vec<_> =
        items.filter(|item| item["item"].is_object() && item["tenant"]["S"].as_str().is_some_and(is_theirs)).collect();
    assert!(!theirs.is_empty());
    theirs.sort_by_key(ToString::to_string);
    theirs
}
