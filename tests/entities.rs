//! The tenant's records over MCP: their whole life, who wins, what is found, what a view shows, and what is too much.
//!
//! Where much happens at once the clock stands still: what is tested is not how soon a busy machine answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::oauth::tenant::TenantId;
use shared::store::workspace::entity_type::EntityType;
use shared::store::workspace::view::{Definition, View};
use shared::store::workspace::{Name, Workspace};
use test_system::TestSystem;
use test_system::recorded_calls::RecordedCalls;
use test_system::scheduler::PausedClock;

use crate::first_try::{Fate, FirstTry};

const ANA: &str = "ana@example.com";

/// Someone who calls tools, and holds each result to the schema that promised it.
struct Caller<'w> {
    test_system: &'w TestSystem,
    token: String,
    promised: BTreeMap<String, jsonschema::Validator>,
}

impl<'w> Caller<'w> {
    async fn with(test_system: &'w TestSystem, token: &str) -> Self {
        let listed = test_system.call(Some(token), "tools/list", json!({})).await.json();
        let tools =
            listed["result"]["tools"].as_array().unwrap().iter().filter(|tool| tool["outputSchema"].is_object());
        let promised = tools.map(|tool| {
            (tool["name"].as_str().unwrap().to_owned(), jsonschema::validator_for(&tool["outputSchema"]).unwrap())
        });
        Self { test_system, token: token.to_owned(), promised: promised.collect() }
    }

    async fn connected(test_system: &'w TestSystem, email: &str, tenant: &str, scope: &str) -> Self {
        let (_, tokens) = test_system.connect(email, tenant, scope).await;
        Self::with(test_system, &tokens.access).await
    }

    /// The structured result, or what the model is told instead.
    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let answer = self
            .test_system
            .call(Some(&self.token), "tools/call", json!({ "name": tool, "arguments": arguments }))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let result = answer.json()["result"].clone();
        if result["isError"] == true {
            return Err(result["content"][0]["text"].as_str().unwrap().to_owned());
        }
        let structured = result["structuredContent"].clone();
        let misfits: Vec<_> = self.promised[tool].iter_errors(&structured).map(|error| error.to_string()).collect();
        assert!(misfits.is_empty(), "{tool}: {misfits:?} {structured}");
        Ok(structured)
    }

    async fn done(&self, tool: &str, arguments: Value) -> Value {
        self.call(tool, arguments).await.unwrap_or_else(|told| panic!("{tool}: {told}"))
    }

    async fn refused(&self, tool: &str, arguments: Value) -> String {
        self.call(tool, arguments).await.expect_err("it is refused")
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn as_operator(test_system: &TestSystem, tenant: &str) -> Workspace {
    test_system.system().workspaces().as_operator(&TenantId::parse(tenant).unwrap())
}

async fn key(test_system: &TestSystem, scopes: &str) -> String {
    test_system.create_api_key(ANA, "acme", scopes, None).await.0
}

/// A type whose records may say anything.
async fn open_type(workspace: &Workspace, kind: &str) {
    let (title, description) = ("A thing".to_owned(), "Anything".to_owned());
    let schema = json!({ "type": "object" }).as_object().unwrap().clone();
    workspace.put_entity_type(&EntityType { name: name(kind), title, description, schema }).await.unwrap();
}

async fn keep(workspace: &Workspace, kind: &str, id: &str, fields: Value) {
    let fields = fields.as_object().unwrap().clone();
    workspace.put_entity(&name(kind), &name(id), &fields, Timestamp::from_seconds(0)).await.unwrap();
}

fn ids(page: &Value, rows: &str) -> Vec<String> {
    page[rows].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn invoice() -> Value {
    json!({ "customer": "Acme", "amount": 12.5, "currency": "EUR", "issued": "2026-11-01", "due": "2026-12-01", "paid": false })
}

/// For tokens and keys alike.
#[tokio::test(flavor = "multi_thread")]
async fn entity_is_created_read_updated_and_deleted() {
    let test_system = TestSystem::new().await;
    let ana = test_system.system().demo().unwrap().people[0].id.to_string();
    let by_token = Caller::connected(&test_system, ANA, "acme", "entities:write").await;
    let by_key = Caller::with(&test_system, &key(&test_system, "entities:write").await).await;

    for caller in [by_token, by_key] {
        let types = caller.done("list_entity_types", json!({})).await;
        assert_eq!(types["types"][0]["name"], "invoice");
        assert_eq!(types["types"][0]["schema"]["properties"]["paid"], json!({ "type": "boolean" }));

        let created = caller.done("create_entity", json!({ "type": "invoice", "fields": invoice() })).await;
        let id = created["id"].as_str().unwrap();
        assert_eq!(id.len(), 22, "16 random bytes");
        let expected = json!({
            "type": "invoice", "id": id, "version": 1, "fields": invoice(), "updatedBy": ana,
            "created": "2026-11-22T09:30:00Z", "updated": "2026-11-22T09:30:00Z",
        });
        assert_eq!(created, expected);
        let at = json!({ "type": "invoice", "id": id });
        assert_eq!(caller.done("read_entity", at.clone()).await, expected);
        let listed = caller.done("list_entities", json!({ "type": "invoice" })).await;
        assert!(listed["entities"].as_array().unwrap().contains(&expected), "{listed}");

        test_system.advance(60);
        let patch = json!({ "paid": true, "note": "by hand" });
        let asked = json!({ "type": "invoice", "id": id, "version": 1, "fields": patch });
        let updated = caller.done("update_entity", asked).await;
        assert_eq!((&updated["version"], &updated["updated"]), (&json!(2), &json!("2026-11-22T09:31:00Z")));
        assert_eq!(updated["created"], "2026-11-22T09:30:00Z");
        assert_eq!((&updated["fields"]["paid"], &updated["fields"]["amount"]), (&json!(true), &json!(12.5)));
        let asked = json!({ "type": "invoice", "id": id, "version": 2, "fields": { "note": null } });
        let updated = caller.done("update_entity", asked).await;
        assert_eq!((&updated["version"], &updated["fields"]["note"]), (&json!(3), &Value::Null));
        let nothing = json!({ "type": "invoice", "id": id, "version": 3, "fields": { "paid": true } });
        assert_eq!(caller.done("update_entity", nothing).await, updated, "nothing changes: no new version");
        assert_eq!(caller.done("read_entity", at.clone()).await, updated);

        let deleted = caller.done("delete_entity", json!({ "type": "invoice", "id": id, "version": 3 })).await;
        assert_eq!(deleted, json!({ "deleted": updated }));
        let gone = "There is no entity of that type and id. list_entities and search_entities show which there are.";
        assert_eq!(caller.refused("read_entity", at).await, gone);
        for tool in ["update_entity", "delete_entity"] {
            let mut asked = json!({ "type": "invoice", "id": id, "version": 3 });
            if tool == "update_entity" {
                asked["fields"] = json!({ "paid": false });
            }
            assert_eq!(caller.refused(tool, asked).await, gone);
        }
        test_system.advance(-60);
    }
}

/// `write` implies `read`; `read` does not write; without either there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn each_tool_needs_its_scope() {
    const READING: [&str; 4] = ["list_entity_types", "list_entities", "search_entities", "read_entity"];
    const WRITING: [&str; 3] = ["create_entity", "update_entity", "delete_entity"];
    let test_system = TestSystem::new().await;

    for (scopes, allowed, needs) in [
        ("entities:write", [&READING[..], &WRITING].concat(), ""),
        ("entities:read", READING.to_vec(), "entities:read entities:write"),
        ("skills:read", vec![], ""),
    ] {
        let key = key(&test_system, scopes).await;
        let listed = test_system.call(Some(&key), "tools/list", json!({})).await.json();
        let tools = listed["result"]["tools"].as_array().unwrap().iter();
        let listed: Vec<_> =
            tools.filter_map(|tool| tool["name"].as_str()).filter(|name| name.contains("entit")).collect();
        assert_eq!(listed, allowed, "{scopes}");
        for tool in [&READING[..], &WRITING].concat() {
            let answer = test_system.call(Some(&key), "tools/call", json!({ "name": tool, "arguments": {} })).await;
            assert_eq!(answer.status, if allowed.contains(&tool) { 200 } else { 403 }, "{scopes} {tool}");
            if !allowed.contains(&tool) && !needs.is_empty() {
                assert_eq!(answer.json()["scope"], needs);
            }
        }
    }
}

/// What does not fit the type's schema is not written.
#[tokio::test(flavor = "multi_thread")]
async fn fields_that_do_not_fit_their_type_are_refused() {
    let test_system = TestSystem::new().await;
    let caller = Caller::connected(&test_system, ANA, "acme", "entities:write").await;
    let changed = |field: &str, value: Value| {
        let mut fields = invoice();
        fields[field] = value;
        fields
    };

    for (fields, told) in [
        (changed("amount", json!("12")), "- /amount: \"12\" is not of type \"number\""),
        (changed("amount", json!(0)), "- /amount: 0 is less than or equal to the minimum of 0"),
        (changed("due", json!("soon")), "- /due: \"soon\" is not a \"date\""),
        (changed("colour", json!("red")), "- /: Additional properties are not allowed ('colour' was unexpected)"),
        (json!({}), "- /: \"customer\" is a required property\n- /: \"amount\" is a required property"),
    ] {
        let said = caller.refused("create_entity", json!({ "type": "invoice", "id": "x", "fields": fields })).await;
        let expected = format!("Nothing was written: the fields do not fit the type's schema.\n{told}");
        assert!(said.starts_with(&expected), "{said}");
    }
    let read = caller.call("read_entity", json!({ "type": "invoice", "id": "x" })).await;
    assert!(read.is_err(), "{read:?}");

    let at = json!({ "type": "invoice", "id": "2026-0101" });
    let before = caller.done("read_entity", at.clone()).await;
    for patch in [json!({ "paid": "yes" }), json!({ "customer": null })] {
        let asked = json!({ "type": "invoice", "id": "2026-0101", "version": 1, "fields": patch });
        let said = caller.refused("update_entity", asked).await;
        assert!(said.starts_with("Nothing was written: the fields do not fit"), "{said}");
    }
    assert_eq!(caller.done("read_entity", at).await, before);
}

/// An update or a delete from an older version is refused, and tells the version that is there.
#[tokio::test(flavor = "multi_thread")]
async fn update_or_delete_of_an_old_version_is_a_conflict() {
    let test_system = TestSystem::new().await;
    let caller = Caller::connected(&test_system, ANA, "acme", "entities:write").await;
    let at = |version: u32| json!({ "type": "invoice", "id": "2026-0102", "version": version });
    let update = |version: u32, fields: Value| {
        let mut asked = at(version);
        asked["fields"] = fields;
        asked
    };
    let told = |now: u32, named: u32| {
        format!(
            "Nothing was written: the entity has version {now} now, not {named}. Read it again with read_entity, and make the \
             change from that."
        )
    };

    let updated = caller.done("update_entity", update(1, json!({ "paid": true }))).await;

    assert_eq!(caller.refused("update_entity", update(1, json!({ "note": "late" }))).await, told(2, 1));
    assert_eq!(caller.refused("update_entity", update(1, json!({ "paid": true }))).await, told(2, 1));
    assert_eq!(caller.refused("update_entity", update(3, json!({ "note": "early" }))).await, told(2, 3));
    assert_eq!(caller.refused("delete_entity", at(1)).await, told(2, 1));
    let read = caller.done("read_entity", json!({ "type": "invoice", "id": "2026-0102" })).await;
    assert_eq!(read, updated);
}

/// A record that was deleted and is made again, by whomever, has none of its old versions: what is based on one of them is refused.
#[tokio::test(flavor = "multi_thread")]
async fn versions_never_repeat() {
    let test_system = TestSystem::new().await;
    let acme = as_operator(&test_system, "acme");
    let caller = Caller::connected(&test_system, ANA, "acme", "entities:write").await;
    let at = |version: u64| json!({ "type": "invoice", "id": "again", "version": version });
    let update = |version: u64| {
        let mut asked = at(version);
        asked["fields"] = json!({ "note": format!("based on {version}") });
        asked
    };
    let create = json!({ "type": "invoice", "id": "again", "fields": invoice() });
    let told = |now: u64, named: u64| format!("Nothing was written: the entity has version {now} now, not {named}.");

    let mut last = 0;
    for by_operator in [false, false, true, false] {
        let made = if by_operator {
            keep(&acme, "invoice", "again", invoice()).await;
            caller.done("read_entity", json!({ "type": "invoice", "id": "again" })).await
        } else {
            let made = caller.done("create_entity", create.clone()).await;
            assert_eq!(caller.done("create_entity", create.clone()).await, made, "asked again");
            made
        };

        let now = made["version"].as_u64().unwrap();
        assert_eq!(now, last + 1);
        for old in 1..now {
            assert!(caller.refused("update_entity", update(old)).await.starts_with(&told(now, old)));
            assert!(caller.refused("delete_entity", at(old)).await.starts_with(&told(now, old)));
        }
        caller.done("update_entity", update(now)).await;
        keep(&acme, "invoice", "again", invoice()).await;
        last = now + 2;
        let deleted = caller.done("delete_entity", at(last)).await;
        assert_eq!(deleted["deleted"]["version"], last);
        let listed = caller.done("list_entities", json!({ "type": "invoice" })).await;
        assert!(!ids(&listed, "entities").contains(&"again".to_owned()), "{listed}");
    }
}

/// An update whose first try comes late, by more than the ten minutes of a token: the record was deleted and made again meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn late_write_does_not_hit_a_record_made_again() {
    let first_try = FirstTry::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(first_try.wire())).await;
    let caller = Caller::connected(&test_system, ANA, "acme", "entities:write").await;
    let create = json!({ "type": "invoice", "id": "late", "fields": invoice() });
    let read = json!({ "type": "invoice", "id": "late" });
    let at = |version: u64| json!({ "type": "invoice", "id": "late", "version": version });

    // The update that makes version 2 of the first one is carried out at once, and its first try afterwards.
    let first = caller.done("create_entity", create.clone()).await["version"].as_u64().unwrap();
    let mut update = at(first);
    update["fields"] = json!({ "note": "late" });
    first_try.plan("mcp", Fate::ArrivesLate);
    caller.done("update_entity", update).await;
    caller.done("delete_entity", at(first + 1)).await;
    let again = caller.done("create_entity", create.clone()).await;
    let refused = first_try.arrive(&test_system).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(caller.done("read_entity", read.clone()).await, again);

    // What was deleted is not made by a create that comes late: of a token that DynamoDB has forgotten, too.
    caller.done("delete_entity", at(again["version"].as_u64().unwrap())).await;
    first_try.plan("mcp", Fate::ArrivesLate);
    let third = caller.done("create_entity", create).await;
    caller.done("delete_entity", at(third["version"].as_u64().unwrap())).await;
    first_try.arrive(&test_system).await;
    assert!(caller.call("read_entity", read).await.is_err());
}

/// Of many updates of one version, exactly one wins, and what it wrote stays.
#[tokio::test(start_paused = true)]
async fn one_of_many_concurrent_updates_wins() {
    const MANY: usize = 24;
    let _paused_clock = PausedClock::new();
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let caller = Caller::connected(&test_system, ANA, "acme", "entities:write").await;

    for version in 1..4 {
        let updates = (0..MANY).map(|place| {
            let fields = json!({ "note": format!("{version}.{place}") });
            caller.call(
                "update_entity",
                json!({ "type": "invoice", "id": "2026-0103", "version": version, "fields": fields }),
            )
        });
        calls.clear();
        let answers = test_system::all(updates).await;

        let writes = calls.made().iter().filter(|made| made.action == "dynamodb:UpdateItem").count();
        assert!(writes > 1, "nobody else found the version current: no race");
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, MANY - 1));
        let expected = format!("Nothing was written: the entity has version {} now, not {version}.", version + 1);
        for told in lost {
            assert!(told.as_ref().unwrap_err().starts_with(&expected), "{told:?}");
        }
        let read = caller.done("read_entity", json!({ "type": "invoice", "id": "2026-0103" })).await;
        assert_eq!(Some(&read), won[0].as_ref().ok());
    }
}

/// An id that is taken is a conflict, but for the one who asks again because the answer was lost.
#[tokio::test(start_paused = true)]
async fn entity_id_is_unique() {
    let _paused_clock = PausedClock::new();
    let test_system = TestSystem::new().await;
    let ana = Caller::connected(&test_system, ANA, "acme", "entities:write").await;
    let ben = Caller::connected(&test_system, "ben@example.com", "acme", "entities:write").await;
    let asked = json!({ "type": "invoice", "id": "2026-0200", "fields": invoice() });
    let mut other = asked.clone();
    other["fields"]["paid"] = json!(true);
    let conflict =
        "There already is an entity 2026-0200 of the type invoice. Read it with read_entity, or choose another id.";

    let created = ana.done("create_entity", asked.clone()).await;

    assert_eq!(ana.done("create_entity", asked.clone()).await, created);
    assert_eq!(ana.refused("create_entity", other.clone()).await, conflict);
    assert_eq!(ben.refused("create_entity", asked.clone()).await, conflict);
    let update = json!({ "type": "invoice", "id": "2026-0200", "version": 1, "fields": { "note": "x" } });
    ana.done("update_entity", update).await;
    assert_eq!(ana.refused("create_entity", asked).await, conflict, "it is no longer what was made");

    other["id"] = json!("2026-0201");
    let creations = test_system::all((0..8).map(|place| {
        let mut asked = other.clone();
        asked["fields"]["amount"] = json!(place + 1);
        ana.call("create_entity", asked)
    }))
    .await;
    assert_eq!(creations.iter().filter(|made| made.is_ok()).count(), 1, "{creations:?}");
}

/// A write that took effect while its answer was lost: the function asks again, and nobody is told of a conflict.
#[tokio::test(flavor = "multi_thread")]
async fn write_with_lost_response_is_no_conflict() {
    let lost: Arc<Mutex<Option<&str>>> = Arc::default();
    let losing = Arc::clone(&lost);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let loses =
                losing.lock().unwrap().take_if(|operation| call.function == "mcp" && call.operation == *operation);
            async move { if loses.is_some() { Decision::FailAfter(InjectedError::INTERNAL) } else { Decision::Pass } }
        }));
    })
    .await;
    let caller = Caller::with(&test_system, &key(&test_system, "entities:write").await).await;

    for (operation, tool, arguments, version) in [
        ("TransactWriteItems", "create_entity", json!({ "type": "invoice", "id": "a", "fields": invoice() }), Some(1)),
        (
            "UpdateItem",
            "update_entity",
            json!({ "type": "invoice", "id": "a", "version": 1, "fields": { "paid": true } }),
            Some(2),
        ),
        ("TransactWriteItems", "delete_entity", json!({ "type": "invoice", "id": "a", "version": 2 }), None),
    ] {
        *lost.lock().unwrap() = Some(operation);

        let done = caller.done(tool, arguments).await;

        assert_eq!(*lost.lock().unwrap(), None, "{operation}: nothing was lost");
        let read = caller.call("read_entity", json!({ "type": "invoice", "id": "a" })).await;
        assert_eq!(read.ok().and_then(|read| read["version"].as_u64()), version, "{operation} {done}");
    }
}

/// 1,000 entities page through completely and in order while others are made, changed and deleted.
#[tokio::test(start_paused = true)]
async fn thousand_entities_paginate_during_concurrent_writes() {
    let _paused_clock = PausedClock::new();
    let test_system = TestSystem::new().await;
    let acme = as_operator(&test_system, "acme");
    open_type(&acme, "thing").await;
    let caller = Caller::with(&test_system, &key(&test_system, "entities:write").await).await;
    let kept: Vec<_> = (0..1000).map(|number| format!("k{number:04}")).collect();
    for ids in kept.chunks(50) {
        test_system::all(
            ids.iter().enumerate().map(|(place, id)| keep(&acme, "thing", id, json!({ "n": place % 10 }))),
        )
        .await;
    }

    for (tool, more, wanted) in [
        ("list_entities", json!({}), kept.clone()),
        (
            "search_entities",
            json!({ "filter": [{ "field": "n", "op": "lt", "value": 5 }] }),
            kept.iter().enumerate().filter(|(place, _)| place % 50 % 10 < 5).map(|(_, id)| id.clone()).collect(),
        ),
    ] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
        loop {
            let mut asked = more.clone();
            (asked["type"], asked["limit"]) = ("thing".into(), 90.into());
            if let Some(cursor) = &cursor {
                asked["cursor"] = cursor.as_str().into();
            }
            // Before, behind and beyond where the page is.
            let others: Vec<_> = [0, 400, 999].iter().map(|place| format!("k{place:04}-{tool}-{pages}")).collect();
            let churn = async {
                let fields = json!({ "n": 100 });
                for id in &others {
                    caller.done("create_entity", json!({ "type": "thing", "id": id, "fields": fields })).await;
                }
                let asked = json!({ "type": "thing", "id": others[1], "version": 1, "fields": { "n": 101 } });
                caller.done("update_entity", asked).await;
                caller.done("delete_entity", json!({ "type": "thing", "id": others[1], "version": 2 })).await;
            };
            let (page, ()) = tokio::join!(caller.done(tool, asked), churn);
            seen.extend(ids(&page, "entities"));
            pages += 1;
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }

        assert!(pages > 5, "{tool}: {pages}");
        assert!(seen.is_sorted_by(|one, other| one < other), "{tool}: out of order, or twice");
        let kept: BTreeSet<_> = kept.iter().collect();
        let seen: Vec<_> = seen.into_iter().filter(|id| kept.contains(id)).collect();
        assert_eq!(seen, wanted, "{tool}");
    }
}

/// In an order of one's own too: by places, so that what is written meanwhile shifts nothing.
#[tokio::test(start_paused = true)]
async fn sorted_search_paginates_during_concurrent_writes() {
    let _paused_clock = PausedClock::new();
    let test_system = TestSystem::new().await;
    let acme = as_operator(&test_system, "acme");
    open_type(&acme, "thing").await;
    let caller = Caller::with(&test_system, &key(&test_system, "entities:write").await).await;
    test_system::all((0..100).map(|number: u32| {
        let (acme, fields) = (&acme, if number % 10 == 9 { json!({}) } else { json!({ "rank": number % 10 }) });
        async move { keep(acme, "thing", &format!("k{number:03}"), fields).await }
    }))
    .await;

    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    for page in 0.. {
        let sort = json!([{ "field": "rank", "direction": "desc" }]);
        let found = caller
            .done("search_entities", json!({ "type": "thing", "sort": sort, "limit": 7, "cursor": cursor }))
            .await;
        seen.extend(ids(&found, "entities"));
        let other = json!({ "type": "thing", "id": format!("o{page}"), "fields": { "rank": 100 } });
        caller.done("create_entity", other).await;
        cursor = found["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }

    let mut expected: Vec<_> = (0..100).collect();
    expected.sort_by_key(|number| (if number % 10 == 9 { 10 } else { 8 - number % 10 }, *number));
    assert_eq!(seen, expected.iter().map(|number| format!("k{number:03}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn search_returns_the_matching_entities() {
    let test_system = TestSystem::new().await;
    let caller = Caller::connected(&test_system, ANA, "acme", "entities:read").await;

    for (asked, found) in [
        (json!({}), "0101 0102 0103 0104 0105 0106 0107 0108 0109 0110 0111 0112"),
        (json!({ "text": "harbour" }), "0101 0104 0107 0111"),
        (json!({ "text": "HARBOUR 2026-11" }), "0107 0111"),
        (json!({ "text": "0105" }), "0105"),
        (json!({ "text": "nobody" }), ""),
        (json!({ "filter": [{ "field": "paid", "op": "eq", "value": false }] }), "0102 0105 0107 0109 0110 0111"),
        (json!({ "filter": [{ "field": "currency", "op": "ne", "value": "EUR" }] }), "0103 0106 0109 0112"),
        (json!({ "filter": [{ "field": "amount", "op": "gt", "value": 1890 }] }), "0105 0108 0110"),
        (json!({ "filter": [{ "field": "amount", "op": "ge", "value": 1890 }] }), "0102 0105 0108 0110"),
        (
            json!({ "filter": [
                { "field": "due", "op": "ge", "value": "2026-10-01" },
                { "field": "due", "op": "le", "value": "2026-10-31" },
            ] }),
            "0104 0105 0106",
        ),
        (
            json!({ "filter": [{ "field": "customer", "op": "in", "value": ["Lumen Studio", "Orchard Press"] }] }),
            "0103 0105 0109 0110",
        ),
        (json!({ "filter": [{ "field": "customer", "op": "contains", "value": "press" }] }), "0105 0110"),
        (json!({ "filter": [{ "field": "note", "op": "exists" }] }), ""),
        (json!({ "text": "harbour", "filter": [{ "field": "paid", "op": "eq", "value": false }] }), "0107 0111"),
        (json!({ "sort": [{ "field": "amount", "direction": "desc" }], "limit": 3 }), "0105 0110 0108"),
        (
            json!({ "sort": [{ "field": "customer" }, { "field": "amount", "direction": "desc" }], "limit": 5 }),
            "0111 0104 0101 0107 0109",
        ),
        (
            json!({ "filter": [{ "field": "$id", "op": "lt", "value": "2026-0103" }], "sort": [{ "field": "$id", "direction": "desc" }] }),
            "0102 0101",
        ),
    ] {
        let mut arguments = asked.clone();
        arguments["type"] = json!("invoice");

        let page = caller.done("search_entities", arguments).await;

        let expected: Vec<_> = found.split_whitespace().map(|id| format!("2026-{id}")).collect();
        assert_eq!(ids(&page, "entities"), expected, "{asked}");
    }
}

/// A view shows how it is defined and its rows, page by page, to all who may read views.
#[tokio::test(flavor = "multi_thread")]
async fn view_shows_its_definition_and_its_rows() {
    let test_system = TestSystem::new().await;
    let sees_all = Caller::connected(&test_system, ANA, "acme", "views:read entities:read").await;
    let sees_views = Caller::connected(&test_system, ANA, "acme", "views:read").await;
    let definition = json!({
        "name": "open-invoices",
        "title": "Open invoices",
        "description": "Invoices that have not been paid, the oldest first",
        "definition": {
            "type": "invoice",
            "filter": [{ "field": "paid", "op": "eq", "value": false }],
            "sort": [{ "field": "due", "direction": "asc" }],
            "columns": ["customer", "amount", "currency", "due"],
        },
    });

    let first = sees_all.done("read_view", json!({ "name": "open-invoices", "limit": 4 })).await;
    let rest = json!({ "name": "open-invoices", "limit": 4, "cursor": first["nextCursor"] });
    let rest = sees_all.done("read_view", rest).await;
    let of_views = sees_views.done("read_view", json!({ "name": "open-invoices", "limit": 4 })).await;

    assert_eq!(first["definition"], definition["definition"]);
    assert_eq!(ids(&first, "rows"), ["2026-0102", "2026-0105", "2026-0107", "2026-0109"]);
    assert_eq!(ids(&rest, "rows"), ["2026-0110", "2026-0111"]);
    assert_eq!(rest["nextCursor"], Value::Null);
    let row = json!({
        "id": "2026-0102", "version": 1,
        "fields": { "customer": "Northwind Cycles", "amount": 1890.0, "currency": "EUR", "due": "2026-09-16" },
    });
    assert_eq!(first["rows"][0], row);
    assert_eq!(of_views, first);

    // A view of what is not there yet is empty, and one without columns shows all.
    let acme = as_operator(&test_system, "acme");
    let all = View {
        name: name("all"),
        title: "All".to_owned(),
        description: "Everything".to_owned(),
        definition: Definition::parse(json!({ "type": "thing" }).as_object().unwrap()).unwrap(),
    };
    acme.put_view(&all).await.unwrap();
    assert_eq!(sees_all.done("read_view", json!({ "name": "all" })).await["rows"], json!([]));
    open_type(&acme, "thing").await;
    keep(&acme, "thing", "one", json!({ "a": { "b": 1 }, "c": null })).await;
    let rows = sees_all.done("read_view", json!({ "name": "all" })).await["rows"].clone();
    assert_eq!(rows, json!([{ "id": "one", "version": 1, "fields": { "a": { "b": 1 }, "c": null } }]));
}

/// Each limit has its error, and what is there stays.
#[tokio::test(flavor = "multi_thread")]
async fn limits_are_reported_as_errors() {
    let test_system = TestSystem::new().await;
    let caller = Caller::connected(&test_system, ANA, "acme", "views:read entities:write").await;
    let large = json!({ "note": "x".repeat(33_000) });
    let condition = json!({ "field": "paid", "op": "exists" });
    let no_type = "There is no entity type of that name. list_entity_types shows which there are.";
    let no_cursor = "The cursor is not one that an earlier page ended with.";
    let too_large = "Nothing was written: the fields must not exceed 32,768 bytes as JSON.";
    let limits = "The arguments do not fit: limit must be from 1 to 100.";

    for (tool, arguments, told) in [
        ("create_entity", json!({ "type": "invoice", "fields": large }), too_large),
        ("update_entity", json!({ "type": "invoice", "id": "2026-0101", "version": 1, "fields": large }), too_large),
        (
            "create_entity",
            json!({ "type": "invoice", "id": "a b", "fields": {} }),
            "The arguments do not fit: an id has 1 to 64 letters (A-Z a-z), digits, _ and -.",
        ),
        (
            "create_entity",
            json!({ "type": "invoice", "id": "a".repeat(65), "fields": {} }),
            "The arguments do not fit: an id has 1 to 64 letters (A-Z a-z), digits, _ and -.",
        ),
        ("create_entity", json!({ "type": "made-up", "fields": {} }), no_type),
        ("list_entities", json!({ "type": "made-up" }), no_type),
        ("list_entities", json!({ "type": "a#b" }), no_type),
        ("search_entities", json!({ "type": "made-up" }), no_type),
        ("list_entities", json!({ "type": "invoice", "limit": 0 }), limits),
        ("list_entities", json!({ "type": "invoice", "limit": 101 }), limits),
        ("search_entities", json!({ "type": "invoice", "limit": 4_000_000_000_u64 }), limits),
        ("read_view", json!({ "name": "open-invoices", "limit": 101 }), limits),
        ("list_entities", json!({ "type": "invoice", "cursor": "made up" }), no_cursor),
        ("search_entities", json!({ "type": "invoice", "cursor": "WzFd", "sort": [{ "field": "due" }] }), no_cursor),
        ("read_view", json!({ "name": "open-invoices", "cursor": "made up" }), no_cursor),
        (
            "search_entities",
            json!({ "type": "invoice", "filter": vec![condition; 21] }),
            "The arguments do not fit: filter: at most 20 conditions.",
        ),
        (
            "search_entities",
            json!({ "type": "invoice", "filter": [{ "field": "paid", "op": "is", "value": 1 }] }),
            "The arguments do not fit: filter[0]: op is one of eq, ne, lt, le, gt, ge, in, contains, exists.",
        ),
        (
            "search_entities",
            json!({ "type": "invoice", "sort": vec![json!({ "field": "due" }); 4] }),
            "The arguments do not fit: sort: at most 3 fields.",
        ),
        (
            "search_entities",
            json!({ "type": "invoice", "text": "" }),
            "The arguments do not fit: text: at least one word.",
        ),
        (
            "search_entities",
            json!({ "type": "invoice", "text": "a ".repeat(600) }),
            "The arguments do not fit: text: at most 1,024 bytes.",
        ),
        (
            "search_entities",
            json!({ "type": "invoice", "filter": [{ "field": "amout", "op": "gt", "value": 1 }] }),
            "The type invoice has no field \"amout\". It has: amount, currency, customer, due, issued, note, paid.",
        ),
        (
            "update_entity",
            json!({ "type": "invoice", "id": "2026-0101", "version": 0, "fields": {} }),
            "Nothing was written: the entity has version 1 now, not 0. Read it again with read_entity, and make the change from that.",
        ),
    ] {
        assert_eq!(caller.refused(tool, arguments.clone()).await, told, "{tool}");
    }
    for arguments in [
        json!({ "type": "invoice", "id": "2026-0101", "version": -1, "fields": {} }),
        json!({ "type": "invoice", "id": "2026-0101", "version": "1", "fields": {} }),
        json!({ "type": "invoice", "id": "2026-0101", "version": 1, "fields": [] }),
        json!({ "type": "invoice", "id": "2026-0101", "fields": {} }),
        json!({ "type": "invoice", "id": "2026-0101", "version": 1, "fields": {}, "tenant": "globex" }),
    ] {
        let told = caller.refused("update_entity", arguments).await;
        assert!(told.starts_with("The arguments do not fit: "), "{told}");
    }
    let read = caller.done("read_entity", json!({ "type": "invoice", "id": "2026-0101" })).await;
    assert_eq!(read["version"], 1);
}

/// A call examines 8 MiB and no more: what lies beyond is found by going on, and an order says that it is of a part.
#[tokio::test(start_paused = true)]
async fn search_beyond_the_read_limit_returns_a_cursor() {
    const MANY: usize = 300;
    let _paused_clock = PausedClock::new();
    let test_system = TestSystem::new().await;
    let acme = as_operator(&test_system, "acme");
    open_type(&acme, "page").await;
    let text = "x".repeat(32_000);
    for place in 0..MANY {
        keep(&acme, "page", &format!("p{place:03}"), json!({ "text": text, "last": place == MANY - 1 })).await;
    }
    let caller = Caller::with(&test_system, &key(&test_system, "entities:read").await).await;
    let filter = json!([{ "field": "last", "op": "eq", "value": true }]);

    let first = caller.done("search_entities", json!({ "type": "page", "filter": filter })).await;
    let on = json!({ "type": "page", "filter": filter, "cursor": first["nextCursor"] });
    let rest = caller.done("search_entities", on).await;
    let sort = json!([{ "field": "$id", "direction": "desc" }]);
    let sorted = caller.done("search_entities", json!({ "type": "page", "sort": sort, "limit": 1 })).await;
    let page = caller.done("list_entities", json!({ "type": "page", "limit": 100 })).await;

    assert_eq!((ids(&first, "entities"), ids(&rest, "entities")), (vec![], vec!["p299".to_owned()]));
    assert_eq!(rest["nextCursor"], Value::Null);
    let told = sorted["incomplete"].as_str().unwrap();
    assert!(told.starts_with("There are too many records to sort"), "{told}");
    assert_ne!(ids(&sorted, "entities"), ["p299"]);
    // A page of large ones is short, and goes on where it ended.
    assert_eq!(ids(&page, "entities"), ["p000"]);
    let sentence = "The page ends here, as hosts take no larger result. Call again with nextCursor for the rest.";
    assert_eq!((&page["shortened"], &rest["shortened"]), (&json!(sentence), &Value::Null));
    let on = json!({ "type": "page", "limit": 1, "cursor": page["nextCursor"] });
    assert_eq!(ids(&caller.done("list_entities", on).await, "entities"), ["p001"]);
}

/// The same type and id in two tenants are two entities.
#[tokio::test(flavor = "multi_thread")]
async fn entities_are_isolated_by_tenant() {
    let test_system = TestSystem::new().await;
    test_system.set_role("globex", ANA, "owner").await;
    let in_acme = Caller::connected(&test_system, ANA, "acme", "views:read entities:write").await;
    let in_globex = Caller::connected(&test_system, ANA, "globex", "views:read entities:write").await;
    let at = json!({ "type": "invoice", "id": "2026-0101" });
    let before = in_acme.done("read_entity", at.clone()).await;

    assert_eq!(in_globex.done("list_entity_types", json!({})).await, json!({ "types": [] }));
    assert!(in_globex.call("read_entity", at.clone()).await.is_err());
    assert!(in_globex.call("list_entities", json!({ "type": "invoice" })).await.is_err());
    assert!(in_globex.call("search_entities", json!({ "type": "invoice" })).await.is_err());
    assert!(in_globex.call("read_view", json!({ "name": "open-invoices" })).await.is_err());
    let theirs = json!({ "type": "invoice", "id": "2026-0101", "fields": { "secret": "globex" } });
    assert!(in_globex.call("create_entity", theirs.clone()).await.is_err(), "there is no such type");
    open_type(&as_operator(&test_system, "globex"), "invoice").await;
    in_globex.done("create_entity", theirs).await;
    let change = json!({ "type": "invoice", "id": "2026-0101", "version": 1, "fields": { "secret": "changed" } });
    in_globex.done("update_entity", change).await;
    let listed = in_globex.done("list_entities", json!({ "type": "invoice" })).await;
    assert_eq!(ids(&listed, "entities"), ["2026-0101"]);
    in_globex.done("delete_entity", json!({ "type": "invoice", "id": "2026-0101", "version": 2 })).await;

    assert_eq!(in_acme.done("read_entity", at).await, before);
}
