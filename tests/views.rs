//! Saved views: what `views:read` shows of records to whoever may read no others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::oauth::role::Role;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::TenantId;
use shared::store::directory::Tenant;
use shared::store::workspace::view::{Definition, View};
use shared::store::workspace::{Name, Workspace};
use test_system::{TestSystem, claims};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";

const ROLE: &str = "The rows are left out: the role in this workspace does not allow reading records (entities:read).";
const EARLIER: &str = "The rows are left out: when this connection was approved, or this API key made, a permission to read views did not \
                       include their rows. Tell the person: connect again, or make a new key.";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn acme(test_system: &TestSystem) -> Workspace {
    test_system.system().workspaces().as_operator(&TenantId::parse("acme").unwrap())
}

async fn read(test_system: &TestSystem, credential: &str, arguments: Value) -> Value {
    let call = json!({ "name": "read_view", "arguments": arguments });
    let answer = test_system.call(Some(credential), "tools/call", call).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["result"].clone()
}

async fn rows(test_system: &TestSystem, credential: &str) -> Value {
    read(test_system, credential, json!({ "name": "open-invoices" })).await["structuredContent"].clone()
}

fn said(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

/// Removes what an approval or a key of before did not have.
fn forget_meaning(test_system: &TestSystem, id: &str) {
    let items = test_system.system().items().unwrap().into_iter();
    let (table, item) = items.into_iter().find(|(_, item)| item["id"]["S"] == id).unwrap();
    assert_eq!(item["scope_meaning"], json!({ "N": "2" }), "{item}");
    let (status, answer) = test_system.system().call_tables(
        "UpdateItem",
        &json!({ "TableName": table, "Key": { "id": item["id"] }, "UpdateExpression": "REMOVE scope_meaning" }),
    );
    assert_eq!(status, 200, "{answer}");
}

/// A view of employees that shows their names, in the order of what they earn and without one of them.
async fn payroll(test_system: &TestSystem, columns: &[&str]) {
    let definition = json!({
        "type": "employee",
        "filter": [{ "field": "hidden", "op": "ne", "value": true }],
        "sort": [{ "field": "salary", "direction": "desc" }],
        "columns": columns,
    });
    let (title, description) = ("People".to_owned(), "Who works here".to_owned());
    let definition = Definition::parse(definition.as_object().unwrap()).unwrap();
    let acme = acme(test_system);
    acme.put_view(&View { name: name("people"), title, description, definition }).await.unwrap();
    for (id, salary) in [("ada", 71_234), ("bob", 52_345), ("cyd", 83_456), ("dan", 64_567)] {
        let fields = json!({ "name": id.to_uppercase(), "salary": salary, "hidden": id == "dan" });
        let fields = fields.as_object().unwrap();
        acme.put_entity(&name("employee"), &name(id), fields, Timestamp::from_seconds(0)).await.unwrap();
    }
}

/// Of the records, `views:read` opens the rows of views and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn views_are_read_with_their_rows_and_nothing_else_is() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(BEN, "acme", "views:read").await;
    let (key, _) = test_system.create_api_key(BEN, "acme", "views:read", None).await;
    for credential in [&tokens.access, &key] {
        let view = rows(&test_system, credential).await;
        assert_eq!((view["rows"].as_array().unwrap().len(), &view["withheld"]), (6, &Value::Null), "{view}");
        for tool in ["list_entity_types", "list_entities", "search_entities", "read_entity"] {
            let call = json!({ "name": tool, "arguments": { "type": "invoice", "id": "2026-0102" } });
            assert_eq!(test_system.call(Some(credential), "tools/call", call).await.status, 403, "{tool}");
        }
    }
    // Nor is it a way around a no to records.
    let ask = connector.authorization_request("views:read entities:read");
    let answer = test_system.person(BEN).approve_without(&ask, "acme", &["entities:read"]).await;
    let code = answer.redirect_parameters()["code"].clone();
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    assert_eq!(rows(&test_system, &tokens.access).await["rows"].as_array().unwrap().len(), 6);
    assert_eq!(connector.tool(&tokens.access, "list_entities", json!({ "type": "invoice" })).await.status, 403);
}

/// The page on which it is approved says so.
#[tokio::test(flavor = "multi_thread")]
async fn consent_page_says_that_views_show_records() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let page = test_system.person(ANA).sign_in(&connector.authorization_request("views:read").url).await;
    let sentence = "See the saved views of the workspace with the records in them, if your role may read records.";
    assert!(page.body.contains(sentence), "{page:?}");
}

/// What a role does not let a person read, no view shows them.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_views_need_a_role_that_reads_records_now() {
    let test_system = TestSystem::new().await;
    let auditor = Role { name: "auditor".to_owned(), permissions: Scopes::parse("views:read") };
    let acme = Tenant { id: TenantId::parse("acme").unwrap(), name: "Acme".to_owned(), roles: vec![auditor] };
    test_system.system().directory().put_tenant(&acme).await.unwrap();
    let (_, tokens) = test_system.connect(BEN, "acme", "views:read entities:read").await;
    let (key, _) = test_system.create_api_key(BEN, "acme", "views:read entities:read", None).await;

    for (role, rows_seen, withheld) in [("auditor", None, json!(ROLE)), ("viewer", Some(6), Value::Null)] {
        test_system.set_role("acme", BEN, role).await;
        for credential in [&tokens.access, &key] {
            let view = rows(&test_system, credential).await;
            assert_eq!(view["rows"].as_array().map(Vec::len), rows_seen, "{role}");
            assert_eq!(view["withheld"], withheld, "{role}");
            assert_eq!(view["definition"]["type"], "invoice");
        }
    }
}

/// Whoever approved views before these showed rows has not agreed to it, until they approve again.
#[tokio::test(flavor = "multi_thread")]
async fn connections_approved_before_keep_the_earlier_meaning() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "views:read").await;
    let grant = claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
    let (key, record) = test_system.create_api_key(ANA, "acme", "views:read", None).await;
    forget_meaning(&test_system, &grant);
    forget_meaning(&test_system, &record.id.to_text());

    let refreshed = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    for credential in [&tokens.access, &refreshed.access, &key] {
        let view = rows(&test_system, credential).await;
        assert_eq!((&view["rows"], &view["withheld"]), (&Value::Null, &json!(EARLIER)), "{view}");
        assert_eq!(view["definition"]["columns"], json!(["customer", "amount", "currency", "due"]));
    }

    let (_, again) = test_system.connect(ANA, "acme", "views:read").await;
    assert_eq!(rows(&test_system, &again.access).await["rows"].as_array().unwrap().len(), 6);
    // With entities:read they were always shown.
    let (_, both) = test_system.connect(ANA, "acme", "views:read entities:read").await;
    forget_meaning(&test_system, claims(&both.access).1["grant"].as_str().unwrap());
    assert_eq!(rows(&test_system, &both.access).await["rows"].as_array().unwrap().len(), 6);
}

/// Neither a row nor the cursor to the next page says anything of a field that is no column, though the view is sorted by it; and no
/// argument or cursor of one's own making finds it out.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_columns_of_a_view_are_shown() {
    let test_system = TestSystem::new().await;
    payroll(&test_system, &["name"]).await;
    let (key, _) = test_system.create_api_key(ANA, "acme", "views:read", None).await;

    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut arguments = json!({ "name": "people", "limit": 1 });
        if !cursor.is_null() {
            arguments["cursor"] = cursor.clone();
        }
        let page = read(&test_system, &key, arguments).await;
        let plain = cursor_text(&page["structuredContent"]["nextCursor"]);
        for salary in ["71234", "52345", "83456", "64567"] {
            assert!(!page.to_string().contains(salary) && !plain.contains(salary), "{page} {plain}");
        }
        seen.extend(page["structuredContent"]["rows"].as_array().unwrap().clone());
        cursor = page["structuredContent"]["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let row = |id: &str| json!({ "id": id, "version": 1, "fields": { "name": id.to_uppercase() } });
    assert_eq!(seen, [row("cyd"), row("ada"), row("bob")]);

    // A place between two salaries, a record that the view leaves out, one that there is not, and arguments that there are not.
    for place in [json!([[60_000], "a"]).to_string(), json!([[null], "zzz"]).to_string()] {
        let result = read(&test_system, &key, json!({ "name": "people", "cursor": encoded(&place) })).await;
        assert_eq!(said(&result), "The cursor is not one that an earlier page ended with.");
    }
    for id in ["dan", "eve"] {
        let result = read(&test_system, &key, json!({ "name": "people", "cursor": encoded(id) })).await;
        assert_eq!(
            said(&result),
            "The row after which the page would begin is not there, or no longer. Begin again without a cursor."
        );
    }
    for more in ["filter", "sort", "columns", "text", "type"] {
        let result = read(&test_system, &key, json!({ "name": "people", more: [] })).await;
        assert!(said(&result).starts_with("The arguments do not fit: unknown field"), "{result}");
    }
    // Whoever may read records gets no more of a view, either.
    let (key, _) = test_system.create_api_key(ANA, "acme", "views:read entities:read", None).await;
    let page = read(&test_system, &key, json!({ "name": "people", "limit": 1 })).await;
    assert_eq!(page["structuredContent"]["rows"], json!([row("cyd")]));
}

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn cursor_text(cursor: &Value) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(cursor.as_str().unwrap_or_default()).unwrap();
    String::from_utf8(bytes).unwrap()
}
