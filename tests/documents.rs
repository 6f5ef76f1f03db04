//! Documents, which keep their last versions, and chats.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::oauth::tenant::TenantId;
use shared::store::workspace::document::DocumentLookup;
use shared::store::workspace::{Name, Workspace};
use test_system::TestSystem;

/// What a tool gave, which fits what it promises.
async fn done(test_system: &TestSystem, token: &str, tool: &str, arguments: Value) -> Value {
    let content = given(test_system, token, tool, arguments).await.unwrap_or_else(|said| panic!("{tool}: {said}"));
    let listed = test_system.call(Some(token), "tools/list", json!({})).await.json();
    let tools = listed["result"]["tools"].as_array().unwrap();
    let schema = &tools.iter().find(|known| known["name"] == tool).unwrap()["outputSchema"];
    jsonschema::validate(schema, &content).unwrap_or_else(|error| panic!("{tool}: {error}: {content}"));
    content
}

/// What a tool said instead.
async fn failed(test_system: &TestSystem, token: &str, tool: &str, arguments: Value) -> String {
    given(test_system, token, tool, arguments).await.expect_err(tool)
}

/// What a tool gave, or what it said instead.
async fn given(test_system: &TestSystem, token: &str, tool: &str, arguments: Value) -> Result<Value, String> {
    let answer = test_system.call(Some(token), "tools/call", json!({ "name": tool, "arguments": arguments })).await;
    assert_eq!(answer.status, 200, "{tool} {answer:?}");
    let result = answer.json()["result"].clone();
    if result["isError"] == true {
        return Err(result["content"][0]["text"].as_str().unwrap().to_owned());
    }
    Ok(result["structuredContent"].clone())
}

async fn writer(test_system: &TestSystem) -> String {
    test_system.create_api_key("ana@example.com", "acme", "documents:write chat:create", None).await.0
}

fn acme(test_system: &TestSystem) -> Workspace {
    test_system.system().workspaces().as_operator(&TenantId::parse("acme").unwrap())
}

fn now(test_system: &TestSystem) -> Timestamp {
    Timestamp::from_seconds(test_system.now())
}

const CONFLICT: &str = "Nothing was changed: the document is at version 2 now. Read it again, work your change into that version, and \
                        name it.";
const UNKNOWN: &str = "There is no document of that id. list_documents and search_documents show which there are.";

#[tokio::test(flavor = "multi_thread")]
async fn document_is_written_updated_and_read_in_every_version() {
    let test_system = TestSystem::new().await;
    let token = writer(&test_system).await;
    let ana = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";

    let made =
        done(&test_system, &token, "create_document", json!({ "title": "Plan", "content": "# Plan\n\nfirst" })).await;
    let id = made["id"].as_str().unwrap();
    let first = json!({
        "id": id, "title": "Plan", "version": 1, "size": 13, "updated": "2026-11-22T09:30:00Z", "updatedBy": ana,
    });
    assert_eq!((&made, id.len()), (&first, 22));
    test_system.advance(60);
    let second =
        done(&test_system, &token, "update_document", json!({ "id": id, "version": 1, "content": "second" })).await;
    let expected = json!({
        "id": id, "title": "Plan", "version": 2, "size": 6, "updated": "2026-11-22T09:31:00Z", "updatedBy": ana,
    });
    assert_eq!(second, expected);
    let third =
        done(&test_system, &token, "update_document", json!({ "id": id, "version": 2, "title": "The plan" })).await;
    assert_eq!((&third["title"], &third["version"], &third["size"]), (&json!("The plan"), &json!(3), &json!(6)));

    let read = async |arguments| done(&test_system, &token, "read_document", arguments).await;
    let current = read(json!({ "id": id })).await;
    assert_eq!((&current["content"], &current["title"]), (&json!("second"), &json!("The plan")));
    assert_eq!((&current["version"], &current["currentVersion"]), (&json!(3), &json!(3)));
    let old = read(json!({ "id": id, "version": 1 })).await;
    assert_eq!((&old["content"], &old["title"]), (&json!("# Plan\n\nfirst"), &json!("Plan")));
    assert_eq!((&old["version"], &old["currentVersion"]), (&json!(1), &json!(3)));
    test_system.stop_cutting_pages();
    let versions = done(&test_system, &token, "list_document_versions", json!({ "id": id })).await;
    assert_eq!(versions, json!({ "versions": [third, second, first] }));
    let listed = done(&test_system, &token, "list_documents", json!({})).await;
    let listed: Vec<_> = listed["documents"].as_array().unwrap().iter().filter(|known| known["id"] == id).collect();
    assert_eq!(listed, [&third]);

    let gone = done(&test_system, &token, "delete_document", json!({ "id": id, "version": 3 })).await;
    assert_eq!(gone, json!({ "id": id, "version": 3 }));
    for (tool, arguments) in [
        ("read_document", json!({ "id": id })),
        ("read_document", json!({ "id": id, "version": 1 })),
        ("list_document_versions", json!({ "id": id })),
        ("update_document", json!({ "id": id, "version": 3, "title": "a", "content": "b" })),
        ("update_document", json!({ "id": id, "version": 3, "title": "a" })),
        ("delete_document", json!({ "id": id, "version": 3 })),
        ("read_document", json!({ "id": "not an id" })),
    ] {
        assert_eq!(failed(&test_system, &token, tool, arguments.clone()).await, UNKNOWN, "{tool} {arguments}");
    }
    let found = done(&test_system, &token, "search_documents", json!({ "query": "second" })).await;
    assert_eq!(found["documents"], json!([]));
}

/// No lost update: whoever worked from an older version is told, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn update_of_an_older_version_is_a_conflict() {
    let test_system = TestSystem::new().await;
    let token = writer(&test_system).await;
    let made = done(&test_system, &token, "create_document", json!({ "title": "Plan", "content": "first" })).await;
    let id = &made["id"];
    done(&test_system, &token, "update_document", json!({ "id": id, "version": 1, "content": "second" })).await;

    for (tool, arguments) in [
        ("update_document", json!({ "id": id, "version": 1, "content": "late" })),
        ("update_document", json!({ "id": id, "version": 1, "title": "Late", "content": "late" })),
        ("update_document", json!({ "id": id, "version": 3, "title": "Early", "content": "early" })),
        ("update_document", json!({ "id": id, "version": 0, "title": "Early", "content": "early" })),
        ("update_document", json!({ "id": id, "version": 4_294_967_295_u32, "title": "E", "content": "e" })),
        ("delete_document", json!({ "id": id, "version": 1 })),
    ] {
        assert_eq!(failed(&test_system, &token, tool, arguments.clone()).await, CONFLICT, "{arguments}");
    }

    let current = done(&test_system, &token, "read_document", json!({ "id": id })).await;
    assert_eq!((&current["content"], &current["version"]), (&json!("second"), &json!(2)));
    let none = failed(&test_system, &token, "read_document", json!({ "id": id, "version": 3 })).await;
    assert_eq!(
        none,
        "The document has no such version, or no longer: the last 50 are kept. Version 2 is current; list_document_versions shows all."
    );
}

/// A transaction holds its items for a while, as AWS's does, and cancels those that come in between.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_of_one_version_apply_once() {
    const WRITERS: usize = 8;
    const HOLD: Duration = Duration::from_millis(20);
    let (held, cancelled) = (Arc::new(tokio::sync::Mutex::new(())), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&cancelled);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let (held, counted) = (Arc::clone(&held), Arc::clone(&counted));
            async move {
                if (call.function.as_str(), call.operation.as_str()) != ("mcp", "TransactWriteItems") {
                    return Decision::Pass;
                }
                let Ok(_held) = held.try_lock() else {
                    counted.fetch_add(1, Ordering::SeqCst);
                    return Decision::FailBefore(InjectedError::TRANSACTION_CONFLICT);
                };
                // On a busy machine the others may be late. A call is given up after 900 ms.
                for _ in 0..25 {
                    tokio::time::sleep(HOLD).await;
                    if counted.load(Ordering::SeqCst) > 0 {
                        break;
                    }
                }
                Decision::Pass
            }
        }));
    })
    .await;
    let token = writer(&test_system).await;
    let made = done(&test_system, &token, "create_document", json!({ "title": "Log", "content": "" })).await;
    let id = &made["id"];

    let at_once = (0..WRITERS).map(|writer| {
        let arguments = json!({ "id": id, "version": 1, "content": format!("by {writer}") });
        given(&test_system, &token, "update_document", arguments)
    });
    let (mut won, mut refused) = (Vec::new(), 0);
    for (writer, given) in test_system::all(at_once).await.into_iter().enumerate() {
        match given {
            Ok(_) => won.push(writer),
            Err(said) => {
                assert_eq!(said, CONFLICT);
                refused += 1;
            }
        }
    }
    assert_eq!((won.len(), refused), (1, WRITERS - 1));
    assert!(cancelled.load(Ordering::SeqCst) > 0, "they did not meet");
    let current = done(&test_system, &token, "read_document", json!({ "id": id })).await;
    assert_eq!((&current["content"], &current["version"]), (&json!(format!("by {}", won[0])), &json!(2)));

    // Each reads, adds its line, and tries again until it is in.
    let lines = (0..WRITERS).map(async |writer| {
        loop {
            let read = given(&test_system, &token, "read_document", json!({ "id": id })).await.unwrap();
            let content = format!("{}\nline {writer}", read["content"].as_str().unwrap());
            let arguments = json!({ "id": id, "version": read["version"], "content": content });
            if given(&test_system, &token, "update_document", arguments).await.is_ok() {
                return;
            }
        }
    });
    test_system::all(lines).await;
    let last = done(&test_system, &token, "read_document", json!({ "id": id })).await;
    assert_eq!(last["version"], 2 + WRITERS);
    let written: BTreeSet<_> = last["content"].as_str().unwrap().lines().skip(1).map(str::to_owned).collect();
    assert_eq!(written, (0..WRITERS).map(|writer| format!("line {writer}")).collect());
    let history = done(&test_system, &token, "list_document_versions", json!({ "id": id })).await;
    let versions: Vec<_> = history["versions"].as_array().unwrap().iter().map(|known| &known["version"]).collect();
    assert_eq!(versions, (1..=2 + WRITERS).rev().map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    for version in 2..=2 + WRITERS {
        let past = done(&test_system, &token, "read_document", json!({ "id": id, "version": version })).await;
        assert_eq!(past["content"].as_str().unwrap().lines().count(), version - 1, "{past}");
    }
}

/// An answer that is lost is asked for again by the SDK, and must not look like somebody else's change.
#[tokio::test(flavor = "multi_thread")]
async fn write_with_lost_response_is_applied_once() {
    let (lost, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (to_lose, count) = (Arc::clone(&lost), Arc::clone(&seen));
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let write = call.function == "mcp" && call.operation == "TransactWriteItems";
            count.fetch_add(usize::from(write), Ordering::SeqCst);
            let cut =
                write && to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            async move { if cut { Decision::FailAfter(InjectedError::INTERNAL) } else { Decision::Pass } }
        }));
    })
    .await;
    let token = writer(&test_system).await;
    let losing = async |tool: &str, arguments| {
        lost.store(1, Ordering::SeqCst);
        seen.store(0, Ordering::SeqCst);
        let made = done(&test_system, &token, tool, arguments).await;
        assert_eq!(seen.load(Ordering::SeqCst), 2, "{tool} was tried again");
        made
    };
    let documents = async || {
        let listed = done(&test_system, &token, "list_documents", json!({})).await;
        listed["documents"].as_array().unwrap().len()
    };
    let before = documents().await;

    let made = losing("create_document", json!({ "title": "Plan", "content": "first" })).await;
    assert_eq!((made["version"].as_u64(), documents().await), (Some(1), before + 1));
    let id = &made["id"];
    let second = losing("update_document", json!({ "id": id, "version": 1, "content": "second" })).await;
    assert_eq!(second["version"], 2);
    let gone = losing("delete_document", json!({ "id": id, "version": 2 })).await;
    assert_eq!((&gone["version"], documents().await), (&json!(2), before));
    losing("create_chat", json!({ "message": "Hello" })).await;
    let items = test_system.system().items().unwrap();
    let chats = items.iter().filter(|(_, item)| item.to_string().contains("\"chat#")).count();
    assert_eq!(chats, 1);
}

/// A first try is carried out, its answer is lost, and the others meet transactions until the last: what was changed is told as changed.
#[tokio::test(flavor = "multi_thread")]
async fn update_that_was_made_is_never_told_as_a_conflict() {
    let seen = Arc::new(AtomicUsize::new(usize::MAX));
    let count = Arc::clone(&seen);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let write = call.function == "mcp" && call.operation == "TransactWriteItems";
            let armed = count.load(Ordering::SeqCst) != usize::MAX;
            let nth = if write && armed { Some(count.fetch_add(1, Ordering::SeqCst)) } else { None };
            async move {
                match nth {
                    None => Decision::Pass,
                    Some(0) => Decision::FailAfter(InjectedError::INTERNAL),
                    Some(_) => Decision::FailBefore(InjectedError::TRANSACTION_CONFLICT),
                }
            }
        }));
    })
    .await;
    let token = writer(&test_system).await;
    let made = done(&test_system, &token, "create_document", json!({ "title": "Plan", "content": "first" })).await;
    let id = &made["id"];
    seen.store(0, Ordering::SeqCst);

    let second = json!({ "id": id, "version": 1, "content": "second" });
    let second = done(&test_system, &token, "update_document", second).await;

    assert!(seen.load(Ordering::SeqCst) > 2, "the others met conflicts");
    assert_eq!(second["version"], 2);
    // What another one wrote in the same version is not taken for it.
    let other = json!({ "id": id, "version": 1, "content": "other" });
    assert_eq!(failed(&test_system, &token, "update_document", other).await, CONFLICT);
    seen.store(usize::MAX, Ordering::SeqCst);
    let read = done(&test_system, &token, "read_document", json!({ "id": id })).await;
    assert_eq!((&read["content"], &read["version"]), (&json!("second"), &json!(2)));
}

/// DynamoDB cancels a transaction that meets another one at the same item: that is no conflict of versions.
#[tokio::test(flavor = "multi_thread")]
async fn transaction_conflict_is_retried() {
    let held = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&held);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let write = call.function == "mcp" && call.operation == "TransactWriteItems";
            let stop =
                write && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            async move { if stop { Decision::FailBefore(InjectedError::TRANSACTION_CONFLICT) } else { Decision::Pass } }
        }));
    })
    .await;
    let token = writer(&test_system).await;
    let made = done(&test_system, &token, "create_document", json!({ "title": "Plan", "content": "first" })).await;
    let id = &made["id"];

    held.store(7, Ordering::SeqCst);
    let second =
        done(&test_system, &token, "update_document", json!({ "id": id, "version": 1, "content": "second" })).await;
    assert_eq!((&second["version"], held.load(Ordering::SeqCst)), (&json!(2), 0));

    held.store(8, Ordering::SeqCst);
    let third = json!({ "name": "update_document", "arguments": { "id": id, "version": 2, "content": "third" } });
    let third = test_system.call(Some(&token), "tools/call", third).await;

    assert_eq!(held.load(Ordering::SeqCst), 0);
    assert_eq!((third.status, third.header("retry-after").is_some()), (503, true));
    let read = done(&test_system, &token, "read_document", json!({ "id": id })).await;
    assert_eq!((&read["content"], &read["version"]), (&json!("second"), &json!(2)));

    // Who comes too late is told so without a transaction.
    let late = |version| json!({ "id": id, "version": version, "title": "Plan", "content": "late" });
    held.store(8, Ordering::SeqCst);
    assert_eq!(failed(&test_system, &token, "update_document", late(1)).await, CONFLICT);
    assert_eq!(held.load(Ordering::SeqCst), 8);
    held.store(0, Ordering::SeqCst);
    done(&test_system, &token, "delete_document", json!({ "id": id, "version": 2 })).await;
    assert_eq!(failed(&test_system, &token, "update_document", late(2)).await, UNKNOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_every_word_and_is_paginated() {
    let test_system = TestSystem::new().await;
    test_system.stop_cutting_pages();
    let token = writer(&test_system).await;
    let search = async |arguments| done(&test_system, &token, "search_documents", arguments).await;

    let found = search(json!({ "query": "REFUNDS finance" })).await;
    let [only] = found["documents"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!((&only["id"], &only["title"]), (&json!("refund-policy"), &json!("Refund policy")));
    let excerpt = only["excerpt"].as_str().unwrap();
    assert!(excerpt.contains("Refunds above 500 EUR are approved by the finance lead."), "{excerpt}");
    assert_eq!(only.get("content"), None);
    assert_eq!(search(json!({ "query": "refund alarm" })).await, json!({ "documents": [] }));

    // Twenty are shown at once, and one mebibyte looked through: in either case the rest follows.
    let acme = acme(&test_system);
    for number in 0..45 {
        let id = Name::parse(&format!("note-{number:02}")).unwrap();
        let filler = if number < 8 { "x".repeat(256 * 1024 - 7) } else { String::new() };
        acme.put_document(&id, "Note", &format!("{filler} needle"), now(&test_system)).await.unwrap();
    }
    let (mut ids, mut cursor, mut pages) = (Vec::new(), None, Vec::new());
    loop {
        let mut arguments = json!({ "query": "needle" });
        if let Some(cursor) = cursor {
            arguments["cursor"] = cursor;
        }
        let page = search(arguments).await;
        let hits = page["documents"].as_array().unwrap();
        pages.push(hits.len());
        ids.extend(hits.iter().map(|hit| hit["id"].as_str().unwrap().to_owned()));
        match page.get("nextCursor") {
            Some(next) => cursor = Some(next.clone()),
            None => break,
        }
    }
    assert_eq!(ids, (0..45).map(|number| format!("note-{number:02}")).collect::<Vec<_>>());
    assert_eq!(pages, [4, 4, 20, 17]);

    for (arguments, said) in [
        (json!({ "query": "" }), "The query must have a word, and at most 256 bytes."),
        (json!({ "query": " \n" }), "The query must have a word, and at most 256 bytes."),
        (json!({ "query": "a".repeat(257) }), "The query must have a word, and at most 256 bytes."),
        (json!({ "query": "a", "cursor": "!" }), "The cursor is not one that an earlier page ended with."),
    ] {
        assert_eq!(failed(&test_system, &token, "search_documents", arguments).await, said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_versions_are_paginated() {
    let test_system = TestSystem::new().await;
    let token = writer(&test_system).await;
    let acme = acme(&test_system);
    for number in 0..130 {
        let id = Name::parse(&format!("paper-{number:03}")).unwrap();
        acme.put_document(&id, "Paper", "…", now(&test_system)).await.unwrap();
    }
    let busy = Name::parse("paper-000").unwrap();
    for version in 2..=110 {
        acme.put_document(&busy, "Paper", &format!("{version}"), now(&test_system)).await.unwrap();
    }
    let pages = async |tool: &str, arguments: Value, things: &str| {
        let (mut all, mut arguments) = (Vec::new(), arguments);
        loop {
            // Others write in the meantime.
            let between = json!({ "title": "Between", "content": "" });
            done(&test_system, &token, "create_document", between).await;
            let page = done(&test_system, &token, tool, arguments.clone()).await;
            all.extend(page[things].as_array().unwrap().clone());
            match page.get("nextCursor") {
                Some(next) => arguments["cursor"] = next.clone(),
                None => return all,
            }
        }
    };

    let listed = pages("list_documents", json!({}), "documents").await;
    let ids: Vec<_> = listed.iter().map(|document| document["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    let papers: Vec<_> = ids.iter().filter(|id| id.starts_with("paper-")).copied().collect();
    assert_eq!(papers, (0..130).map(|number| format!("paper-{number:03}")).collect::<Vec<_>>());
    let versions = pages("list_document_versions", json!({ "id": "paper-000" }), "versions").await;
    let numbers: Vec<_> = versions.iter().map(|version| version["version"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (61..=110).rev().collect::<Vec<_>>(), "the last 50");
    assert_eq!(versions[0].get("updatedBy"), None, "the operator is nobody");
    let said =
        failed(&test_system, &token, "list_document_versions", json!({ "id": "paper-000", "cursor": "cGFwZXI" })).await;
    assert_eq!(said, "The cursor is not one that an earlier page ended with.");
}

/// 60 versions of 256 KiB would be kept for ever otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn last_50_versions_of_a_document_are_kept() {
    let test_system = TestSystem::new().await;
    let token = writer(&test_system).await;
    let made = done(&test_system, &token, "create_document", json!({ "title": "Plan", "content": "1" })).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let versions = || {
        let items = test_system.system().items().unwrap();
        let prefix = format!("edition#{id}#");
        let of_document = items.iter().filter_map(|(_, item)| item["item"]["S"].as_str()?.strip_prefix(&prefix));
        let mut versions: Vec<u32> = of_document.map(|version| version.parse().unwrap()).collect();
        versions.sort_unstable();
        versions
    };
    for version in 1..60_u32 {
        let update = json!({ "id": id, "version": version, "content": (version + 1).to_string() });
        done(&test_system, &token, "update_document", update).await;
        assert_eq!(versions(), (version.saturating_sub(48).max(1)..=version + 1).collect::<Vec<_>>());
    }

    test_system.stop_cutting_pages();
    let listed = done(&test_system, &token, "list_document_versions", json!({ "id": id })).await;
    let listed: Vec<_> = listed["versions"].as_array().unwrap().iter().map(|known| known["version"].clone()).collect();
    assert_eq!(listed, (11..=60).rev().map(Value::from).collect::<Vec<_>>());
    let gone = failed(&test_system, &token, "read_document", json!({ "id": id, "version": 10 })).await;
    assert!(gone.starts_with("The document has no such version, or no longer: the last 50 are kept."), "{gone}");
    let oldest = done(&test_system, &token, "read_document", json!({ "id": id, "version": 11 })).await;
    assert_eq!(oldest["content"], "11");
    // Deleted and restored, it goes on as before.
    let (acme, name) = (acme(&test_system), Name::parse(&id).unwrap());
    done(&test_system, &token, "delete_document", json!({ "id": id, "version": 60 })).await;
    assert!(acme.restore_document(&name).await.unwrap());
    done(&test_system, &token, "update_document", json!({ "id": id, "version": 60, "title": "Plan B" })).await;
    assert_eq!(versions(), (12..=61).collect::<Vec<_>>());
    // Whoever kept all of them wrote no `oldest`: a few go with each write.
    let items = test_system.system().items().unwrap();
    let (table, mut head) = items.into_iter().find(|(_, item)| item["item"]["S"] == format!("document#{id}")).unwrap();
    head.as_object_mut().unwrap().remove("oldest");
    test_system.put_unchecked(&table, &head).await;
    for version in 1..12 {
        let mut kept = head.clone();
        kept["tenant"] = json!({ "S": format!("tenant#acme#edition#{id}") });
        kept["item"] = json!({ "S": format!("edition#{id}#{version:010}") });
        kept["version"] = json!({ "N": version.to_string() });
        kept["content"] = json!({ "S": "kept" });
        test_system.put_unchecked(&table, &kept).await;
    }
    for (version, first) in [(61, 9), (62, 14)] {
        let update = json!({ "id": id, "version": version, "content": "more" });
        done(&test_system, &token, "update_document", update).await;
        assert_eq!(versions().first(), Some(&first));
    }
}

/// Hosts refuse a result that is too large, and then the model sees nothing of it: 25,000 tokens, 150,000 characters, the text and the
/// structured content both. So a long document is read in parts, each with a sentence that says so, and all of one version.
#[tokio::test(flavor = "multi_thread")]
async fn long_document_is_read_in_parts_of_one_version() {
    const CUT: &str = "This is a part of the content, as hosts take no larger result. Call again with nextCursor for the part after it.";
    let test_system = TestSystem::new().await;
    let token = writer(&test_system).await;
    let content = format!("# Ärger\n{}", "Eine \"Zeile\" 🦀\n".repeat(5_000));
    let made = done(&test_system, &token, "create_document", json!({ "title": "Long", "content": content })).await;
    let id = &made["id"];

    let (mut read, mut cursor, mut parts) = (String::new(), Value::Null, 0);
    loop {
        let arguments = if cursor.is_null() { json!({ "id": id }) } else { json!({ "id": id, "cursor": cursor }) };
        let call = json!({ "name": "read_document", "arguments": arguments });
        let answer = test_system.call(Some(&token), "tools/call", call).await;
        assert!(answer.body.len() < 100_000, "{}", answer.body.len());
        let part = answer.json()["result"]["structuredContent"].clone();
        read.push_str(part["content"].as_str().unwrap());
        cursor = part["nextCursor"].clone();
        assert_eq!((&part["version"], &part["size"]), (&json!(1), &json!(content.len())));
        assert_eq!(part["shortened"], if cursor.is_null() { Value::Null } else { json!(CUT) });
        if parts == 0 {
            // Written meanwhile: what is being read stays what it was.
            let change = json!({ "id": id, "version": 1, "content": "Short" });
            done(&test_system, &token, "update_document", change).await;
        }
        parts += 1;
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!((read == content, parts), (true, 4));
    let now = done(&test_system, &token, "read_document", json!({ "id": id })).await;
    assert_eq!((&now["content"], &now["nextCursor"]), (&json!("Short"), &Value::Null));
    for cursor in ["", "x", "MToxMDAwMDAwMA", "Mjow"] {
        let call = json!({ "name": "read_document", "arguments": { "id": id, "version": 1, "cursor": cursor } });
        let answer = test_system.call(Some(&token), "tools/call", call).await;
        let text = "The cursor is not one that an earlier page ended with.";
        assert_eq!(answer.json()["result"], json!({ "content": [{ "type": "text", "text": text }], "isError": true }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_input_is_refused_with_its_limit() {
    let test_system = TestSystem::new().await;
    let token = writer(&test_system).await;
    let (title, content) = ("t".repeat(120), "c".repeat(256 * 1024));
    let made = done(&test_system, &token, "create_document", json!({ "title": title, "content": content })).await;
    let id = &made["id"];
    let read = done(&test_system, &token, "read_document", json!({ "id": id })).await;
    assert_eq!((&read["size"], read["content"].as_str().unwrap().len()), (&json!(256 * 1024), 32 * 1024));

    let large = format!("{content}c");
    for (tool, arguments, said) in [
        (
            "create_document",
            json!({ "title": "", "content": "" }),
            "Nothing was written: the title must have 1 to 120 bytes.",
        ),
        (
            "create_document",
            json!({ "title": format!("{title}t"), "content": "" }),
            "Nothing was written: the title must have 1 to 120 bytes.",
        ),
        (
            "create_document",
            json!({ "title": "t", "content": large }),
            "Nothing was written: the content must not exceed 262,144 bytes.",
        ),
        (
            "update_document",
            json!({ "id": id, "version": 1, "content": large }),
            "Nothing was written: the content must not exceed 262,144 bytes.",
        ),
        ("update_document", json!({ "id": id, "version": 1 }), "Give a title, a content, or both."),
        ("create_chat", json!({ "message": "" }), "No chat was started: the message must have 1 to 65,536 bytes."),
        ("create_chat", json!({ "message": " \n" }), "No chat was started: the message must have 1 to 65,536 bytes."),
        (
            "create_chat",
            json!({ "message": "m".repeat(64 * 1024 + 1) }),
            "No chat was started: the message must have 1 to 65,536 bytes.",
        ),
        (
            "create_chat",
            json!({ "title": "", "message": "Hello" }),
            "No chat was started: the title must have 1 to 120 bytes.",
        ),
    ] {
        assert_eq!(failed(&test_system, &token, tool, arguments).await, said, "{tool}");
    }
    for arguments in [
        json!({ "title": "t" }),
        json!({ "title": "t", "content": "", "tenant": "globex" }),
        json!({ "title": 1, "content": "" }),
    ] {
        let said = failed(&test_system, &token, "create_document", arguments).await;
        assert!(said.starts_with("The arguments do not fit: "), "{said}");
    }
    let said = failed(&test_system, &token, "read_document", json!({ "id": id, "version": -1 })).await;
    assert!(said.starts_with("The arguments do not fit: "), "{said}");
    let too_much =
        json!({ "name": "create_document", "arguments": { "title": "t", "content": "c".repeat(1024 * 1024) } });
    assert_eq!(test_system.call(Some(&token), "tools/call", too_much).await.status, 413);
}

/// MCP "Step-up": who may read may not write, and is told what it takes.
#[tokio::test(flavor = "multi_thread")]
async fn reading_writing_and_chatting_need_separate_scopes() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect("ana@example.com", "acme", "documents:read").await;
    let key = test_system.create_api_key("ana@example.com", "acme", "documents:read", None).await.0;

    for credential in [tokens.access.as_str(), &key] {
        done(&test_system, credential, "read_document", json!({ "id": "refund-policy" })).await;
        for (tool, scope) in [
            ("create_document", "documents:read documents:write"),
            ("update_document", "documents:read documents:write"),
            ("delete_document", "documents:read documents:write"),
            ("create_chat", "documents:read chat:create"),
        ] {
            let answer =
                test_system.call(Some(credential), "tools/call", json!({ "name": tool, "arguments": {} })).await;

            assert_eq!(answer.status, 403, "{tool}");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", "), "{challenge}");
            assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}");
            assert_eq!(answer.json()["scope"], scope);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_isolated_by_tenant() {
    let test_system = TestSystem::new().await;
    test_system.set_role("globex", "ana@example.com", "owner").await;
    let (ours, theirs) = (
        writer(&test_system).await,
        test_system.create_api_key("ana@example.com", "globex", "documents:write", None).await.0,
    );
    let made =
        done(&test_system, &ours, "create_document", json!({ "title": "Ours", "content": "secret plans" })).await;
    let id = &made["id"];

    for (tool, arguments) in [
        ("read_document", json!({ "id": id })),
        ("read_document", json!({ "id": id, "version": 1 })),
        ("list_document_versions", json!({ "id": id })),
        ("update_document", json!({ "id": id, "version": 1, "title": "a", "content": "b" })),
        ("delete_document", json!({ "id": id, "version": 1 })),
    ] {
        assert_eq!(failed(&test_system, &theirs, tool, arguments).await, UNKNOWN, "{tool}");
    }
    assert_eq!(done(&test_system, &theirs, "list_documents", json!({})).await, json!({ "documents": [] }));
    let found = done(&test_system, &theirs, "search_documents", json!({ "query": "secret" })).await;
    assert_eq!(found, json!({ "documents": [] }));
    let read = done(&test_system, &ours, "read_document", json!({ "id": id })).await;
    assert_eq!((&read["version"], &read["content"]), (&json!(1), &json!("secret plans")));
}

/// Deleting moves a document aside: whoever operates the deployment finds it, and its history with it.
#[tokio::test(flavor = "multi_thread")]
async fn operator_restores_a_deleted_document() {
    let test_system = TestSystem::new().await;
    let (token, acme) = (writer(&test_system).await, acme(&test_system));
    let made = done(&test_system, &token, "create_document", json!({ "title": "Plan", "content": "first" })).await;
    let (id, name) = (&made["id"], Name::parse(made["id"].as_str().unwrap()).unwrap());
    done(&test_system, &token, "update_document", json!({ "id": id, "version": 1, "content": "second" })).await;
    done(&test_system, &token, "delete_document", json!({ "id": id, "version": 2 })).await;

    let deleted = acme.deleted_documents(None).await.unwrap().items;
    assert_eq!(deleted.iter().map(|edition| (&edition.id, edition.version)).collect::<Vec<_>>(), [(&name, 2)]);
    assert!(acme.restore_document(&name).await.unwrap());
    assert!(!acme.restore_document(&name).await.unwrap());
    assert!(acme.deleted_documents(None).await.unwrap().items.is_empty());
    let read = done(&test_system, &token, "read_document", json!({ "id": id, "version": 1 })).await;
    assert_eq!((&read["content"], &read["currentVersion"]), (&json!("first"), &json!(2)));

    // A document that is laid out again under its id goes on with its history, and one that says the same stays as it is.
    done(&test_system, &token, "delete_document", json!({ "id": id, "version": 2 })).await;
    for (content, version) in [("third", 3), ("third", 3), ("fourth", 4)] {
        acme.put_document(&name, "Plan", content, now(&test_system)).await.unwrap();
        let DocumentLookup::Found(document, current) = acme.document(&name, None).await.unwrap() else {
            panic!("gone")
        };
        assert_eq!((document.content.as_str(), current), (content, version));
    }
    test_system.stop_cutting_pages();
    let history = done(&test_system, &token, "list_document_versions", json!({ "id": id })).await;
    assert_eq!(history["versions"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_is_created_with_its_first_message() {
    let test_system = TestSystem::new().await;
    let token = writer(&test_system).await;

    let named = done(&test_system, &token, "create_chat", json!({ "title": "Refunds", "message": "How many?" })).await;
    let unnamed =
        done(&test_system, &token, "create_chat", json!({ "message": "How many refunds?\n\nAnd why?" })).await;

    assert_eq!((&named["title"], &named["created"]), (&json!("Refunds"), &json!("2026-11-22T09:30:00Z")));
    assert_eq!(unnamed["title"], "How many refunds?");
    assert_ne!(named["id"], unnamed["id"]);
    let items = test_system.system().items().unwrap();
    let of = |id: &Value| {
        let id = id.as_str().unwrap();
        let of_workspace = items.iter().filter(|(table, _)| table.ends_with("Workspace"));
        of_workspace.filter(|(_, item)| item.to_string().contains(id)).count()
    };
    assert_eq!((of(&named["id"]), of(&unnamed["id"])), (2, 2));
}
