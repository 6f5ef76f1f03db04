//! What a person and a workspace may do in an hour, whatever number of connections and keys they have.

use local::Options;
use serde_json::{Value, json};
use shared::api_key_issuer::ApiKeyIssuer;
use shared::oauth::api_key::ApiKeyName;
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::api_keys::{Actor, NewApiKey};
use test_system::TestSystem;
use test_system::person::Person;
use test_system::recorded_calls::RecordedCalls;

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const KIB: usize = 1024;

/// A hundredth of the budgets: of a person 30 calls, 2.56 MiB and 100 things; of a workspace 300, 10.24 MiB and 400.
fn hundredth(options: &mut Options) {
    options.parameters.insert("BudgetPercent".to_owned(), "1".to_owned());
}

async fn key(test_system: &TestSystem, email: &str) -> String {
    let scopes = "entities:write documents:write chat:create tools:execute";
    test_system.create_api_key(email, "acme", scopes, None).await.0
}

/// What the tool said instead of its result, if it did.
async fn refusal(test_system: &TestSystem, key: &str, tool: &str, arguments: Value) -> Option<String> {
    let answer = test_system.call(Some(key), "tools/call", json!({ "name": tool, "arguments": arguments })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let result = answer.json()["result"].clone();
    (result["isError"] == true).then(|| result["content"][0]["text"].as_str().unwrap().to_owned())
}

async fn makes(test_system: &TestSystem, key: &str) -> Option<String> {
    refusal(test_system, key, "create_document", json!({ "title": "A", "content": "a" })).await
}

fn invoice() -> Value {
    let fields = json!({
        "customer": "C", "amount": 1, "currency": "EUR", "issued": "2026-11-22", "due": "2026-12-22", "paid": false,
    });
    json!({ "type": "invoice", "fields": fields })
}

fn minutes_left(test_system: &TestSystem) -> i64 {
    (3600 - test_system.now() % 3600 + 59) / 60
}

#[tokio::test(flavor = "multi_thread")]
async fn person_makes_so_many_things_an_hour_whatever_they_make_them_with() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| {
        hundredth(options);
        options.interceptor = Some(calls.wire());
    })
    .await;
    let [first, second, bens] =
        [key(&test_system, ANA).await, key(&test_system, ANA).await, key(&test_system, BEN).await];
    for round in 0..10 {
        let made =
            test_system::all((0..10).map(|_| makes(&test_system, if round % 2 == 0 { &first } else { &second })));
        assert!(made.await.iter().all(Option::is_none), "{round}");
    }
    let stored = test_system.count("workspace").await;

    let minutes = minutes_left(&test_system);
    let told = format!(
        "Nothing was written: this person has made its 100 new things for this hour. It may make more in {minutes} minutes. Do not \
         try again before, and tell the person."
    );
    assert_eq!(makes(&test_system, &first).await.as_ref(), Some(&told));
    calls.clear();
    for key in [&first, &second] {
        assert_eq!(makes(&test_system, key).await.as_ref(), Some(&told));
    }
    for (tool, arguments) in [("create_entity", invoice()), ("create_chat", json!({ "message": "Hello" }))] {
        assert_eq!(refusal(&test_system, &first, tool, arguments).await.as_ref(), Some(&told), "{tool}");
    }
    let written =
        calls.take().into_iter().filter(|call| call.on.ends_with("Workspace") && call.action != "dynamodb:GetItem");
    assert_eq!(written.collect::<Vec<_>>(), [], "what is over budget costs nothing more");
    assert_eq!(test_system.count("workspace").await, stored);
    // What was made can be changed, others make things, and the next hour is another.
    let list = test_system.call(Some(&first), "tools/call", json!({ "name": "list_documents", "arguments": {} })).await;
    let id = list.json()["result"]["structuredContent"]["documents"][0]["id"].clone();
    let change = json!({ "id": id, "version": 1, "content": "b" });
    assert_eq!(refusal(&test_system, &first, "update_document", change).await, None);
    assert_eq!(makes(&test_system, &bens).await, None);
    test_system.advance(3600);
    assert_eq!(makes(&test_system, &first).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn person_writes_so_many_bytes_an_hour() {
    let test_system = TestSystem::with(hundredth).await;
    let ana = key(&test_system, ANA).await;
    let write = async |kib: usize| {
        let content = "a".repeat(kib * KIB - 1);
        refusal(&test_system, &ana, "create_document", json!({ "title": "A", "content": content })).await
    };
    for _ in 0..10 {
        assert_eq!(write(256).await, None);
    }

    let refused = write(256).await.expect("2,560 KiB are written");
    let minutes = minutes_left(&test_system);
    assert_eq!(
        refused,
        format!(
            "Nothing was written: this person would write more than its 3 MiB for this hour. It may write more in {minutes} minutes. \
             Do not try again before, and tell the person."
        )
    );
    // 61 KiB are left, and each write takes a whole one.
    assert_eq!(write(61).await, None);
    assert!(write(1).await.is_some());
    let invalid = json!({ "title": "", "content": "a" });
    let said = refusal(&test_system, &ana, "create_document", invalid).await.unwrap();
    assert!(said.contains("the title must have"), "what is wrong is told, and costs nothing: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn person_calls_so_many_tools_an_hour_with_all_their_connections() {
    let test_system = TestSystem::with(hundredth).await;
    let keys = [key(&test_system, ANA).await, key(&test_system, ANA).await];
    let rolls = async |key: &str| refusal(&test_system, key, "roll_dice", json!({})).await;
    for number in 0..30 {
        assert_eq!(rolls(&keys[number % 2]).await, None, "{number}");
    }

    for key in &keys {
        let told = rolls(key).await.expect("30 calls were made");
        assert!(
            told.starts_with("This person has made its 30 calls of the workspace's own tools for this hour."),
            "{told}"
        );
    }
    assert_eq!(rolls(&key(&test_system, BEN).await).await, None);
}

/// However many people there are: the budget of the workspace bounds them together.
#[tokio::test(flavor = "multi_thread")]
async fn workspace_makes_so_many_things_an_hour() {
    let test_system = TestSystem::with(hundredth).await;
    let (system, acme) = (test_system.system(), TenantId::parse("acme").unwrap());
    let mut keys = Vec::new();
    for number in 0..5 {
        let person = PersonId::parse(&format!("5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4f0{number}")).unwrap();
        system.directory().put_member(&acme, &person, "member").await.unwrap();
        let membership = system.directory().membership(&person, &acme).await.unwrap().unwrap();
        let name = ApiKeyName::parse("a script").unwrap();
        let new = NewApiKey {
            maker: &membership,
            name,
            scopes: Scopes::parse("documents:write"),
            expiry: KeyLifetime::UNTIL_REVOKED.expiry(system.clock().now()),
        };
        let made = ApiKeyIssuer::new(system.keys()).create(Actor::Person, new, system.clock().now()).await;
        let key = made.unwrap().0.to_text();
        test_system.track_secret(&key);
        keys.push(key);
    }
    for key in &keys[..4] {
        for _ in 0..10 {
            let made = test_system::all((0..10).map(|_| makes(&test_system, key))).await;
            assert!(made.iter().all(Option::is_none), "{made:?}");
        }
    }

    let told = makes(&test_system, &keys[4]).await.expect("400 things were made");

    assert!(
        told.starts_with("Nothing was written: this workspace has made its 400 new things for this hour."),
        "{told}"
    );
    test_system.advance(3600);
    assert_eq!(makes(&test_system, &keys[4]).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn person_makes_at_most_100_keys_an_hour() {
    let test_system = TestSystem::new().await;
    let (admin, _) = test_system.create_api_key(ANA, "acme", "connections:manage skills:read", None).await;
    let make = async || {
        let url = test_system.at("/admin/api/tenants/acme/keys");
        let body = json!({ "name": "nightly", "scopes": ["skills:read"] });
        let request = test_system.http().post(url).header("authorization", format!("Bearer {admin}")).json(&body);
        test_system.send(request).await
    };
    for number in 0..100 {
        let answer = make().await;
        assert_eq!(answer.status, 201, "{number}: {answer:?}");
        test_system.track_secret(answer.json()["key"].as_str().unwrap());
    }

    let refused = make().await;

    let left = 3600 - test_system.now() % 3600;
    let body = json!({
        "error": "too_many_requests",
        "error_description": "As many keys were made as one person may make in an hour.",
    });
    assert_eq!((refused.status, refused.json()), (429, body));
    assert_eq!(refused.header("retry-after"), Some(left.to_string().as_str()));
    let page = made_on_the_console(&test_system, ANA).await;
    assert!(page.contains("You have made many keys"), "{page}");
    test_system.set_role("acme", BEN, "admin").await;
    let page = made_on_the_console(&test_system, BEN).await;
    assert!(page.contains("is made"), "{page}");
    test_system.advance(left);
    assert_eq!(make().await.status, 201);
}

/// The page after a key was made on the console.
async fn made_on_the_console(test_system: &TestSystem, email: &str) -> String {
    use test_system::person::Form;

    let person = test_system.person(email);
    let page = person.sign_in("/admin/acme/keys/new").await;
    let described = Form::find(&page, "step").unwrap().with("name", "nightly").with("may:skills:read", "1");
    let asked = person.submit(&described.with("life", "30")).await;
    let agreed = Form::find(&person.open(asked.location()).await, "step").unwrap();
    let page = person.submit_and_follow(&agreed).await.body;
    if let Some(key) = page.split("id=\"key\">").nth(1).and_then(|rest| rest.split('<').next()) {
        test_system.track_secret(key);
    }
    page
}

/// The numbers of the rows of the budgets on a page: used, left, in an hour.
fn shown(page: &str) -> Vec<[String; 3]> {
    use scraper::{Html, Selector};

    let html = Html::parse_document(page);
    let (rows, cells) =
        (Selector::parse("[aria-label='Budgets of this hour'] tbody tr").unwrap(), Selector::parse("td").unwrap());
    let text = |cell: scraper::ElementRef<'_>| cell.text().collect::<String>().trim().to_owned();
    html.select(&rows).map(|row| row.select(&cells).skip(1).map(text).collect::<Vec<_>>().try_into().unwrap()).collect()
}

async fn budgets_on(person: &Person<'_>, page: &str) -> Vec<[String; 3]> {
    let page = person.sign_in(page).await;
    assert!(page.body.contains("All of it is there again at") && page.body.contains("10:00 UTC"), "{page:?}");
    shown(&page.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn console_shows_what_is_used_and_left() {
    let test_system = TestSystem::new().await;
    let (ana, anas, bens) = (test_system.person(ANA), key(&test_system, ANA).await, key(&test_system, BEN).await);
    let row = |cells: [&str; 3]| cells.map(str::to_owned);
    assert_eq!(
        budgets_on(&ana, "/admin").await,
        [row(["0", "3000", "3000"]), row(["0.0 MiB", "256.0 MiB", "256.0 MiB"]), row(["0", "10000", "10000"])]
    );

    for _ in 0..3 {
        assert_eq!(makes(&test_system, &anas).await, None);
    }
    assert_eq!(makes(&test_system, &bens).await, None);
    assert_eq!(refusal(&test_system, &anas, "roll_dice", json!({})).await, None);

    let own = budgets_on(&ana, "/admin").await;
    assert_eq!(
        own,
        [row(["1", "2999", "3000"]), row(["0.1 MiB", "256.0 MiB", "256.0 MiB"]), row(["3", "9997", "10000"])]
    );
    // What a process has taken of the workspace's budget counts as used: a thousandth.
    let all = budgets_on(&ana, "/admin/acme/connections").await;
    assert_eq!(
        all,
        [row(["30", "29970", "30000"]), row(["1.1 MiB", "1023.0 MiB", "1024.0 MiB"]), row(["40", "39960", "40000"])]
    );
}
