//! The audit: what its lines are, how they reach the audit log and the tenants' activity, and what happens when they do not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Map, Value, json};
use shared::aws::MAX_ATTEMPTS;
use shared::oauth::tenant::TenantId;
use shared::store::activity::{Activity, ActivityQuery, Cursor};
use test_system::TestSystem;

const SCHEMA: &str = include_str!("../functions/audit/schema.json");

/// Everything that is told arrives, once and as it was told, and fits the schema; a tenant sees its own part of it.
#[tokio::test(flavor = "multi_thread")]
async fn audit_events_reach_the_log_and_the_tenant() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read entities:write").await;
    assert_eq!(connector.tool(&tokens.access, "read_skill", json!({ "name": "house-style" })).await.status, 200);
    assert_eq!(
        connector.tool(&tokens.access, "read_entity", json!({ "type": "invoice", "id": "x" })).await.status,
        200
    );
    assert_eq!(connector.revoke(&tokens.access).await.status, 200);
    test_system.connect("ana@example.com", "globex", "skills:read").await;

    let log = test_system.system().audit_log().await;

    // The test system and the delivery listen each for itself, a few microseconds apart.
    let content = |mut line: Value| {
        line.as_object_mut().unwrap().retain(|name, _| name != "id" && name != "timestamp");
        line.to_string()
    };
    assert!(log.iter().all(|line| line["id"].is_string()));
    let mut heard: Vec<_> = log.iter().cloned().map(content).collect();
    let told = test_system.lines().into_iter().filter(|line| line["target"] == "audit");
    let mut told: Vec<_> = told.map(content).collect();
    heard.sort();
    told.sort();
    assert!(told.len() > 10);
    assert_eq!(heard, told);
    let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    for line in &log {
        assert!(
            schema.is_valid(line),
            "{line}: {:?}",
            schema.iter_errors(line).map(|e| e.to_string()).collect::<Vec<_>>()
        );
        for member in ["function", "request", "invocation", "ip"] {
            assert!(line[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {line}");
        }
    }
    let targets: Vec<_> = log.iter().filter_map(|line| line["object"].as_str()).collect();
    assert_eq!(targets, ["house-style", "invoice/x"]);

    let (acme, globex) = (all(&test_system, "acme").await, all(&test_system, "globex").await);
    let of = |tenant: &str| log.iter().filter(|line| line["tenant"] == tenant).count();
    assert_eq!((acme.len(), globex.len()), (of("acme"), of("globex")));
    assert_eq!(acme[0].event, "grant_ended", "the newest first");
    assert!(acme.iter().chain(&globex).all(|activity| !activity.line.contains_key("ip")));
    assert!(acme.iter().all(|activity| activity.line["tenant"] == "acme" && activity.line["event"] == activity.event));
    assert!(all(&test_system, "initech").await.is_empty());
}

/// Lines of two systems in one process do not mix.
#[tokio::test(flavor = "multi_thread")]
async fn each_system_receives_only_its_own_audit_lines() {
    let [one, other] = [TestSystem::new().await, TestSystem::new().await];
    one.connector("One").await;

    assert_eq!((one.system().audit_log().await.len(), other.system().audit_log().await.len()), (1, 0));
}

/// `events/audit`: a delivery that comes twice is there once, what is no line is left out, and a trial is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn recorded_aws_deliveries_are_handled() {
    let test_system = TestSystem::new().await;
    let hear = async |event: &str| test_system.system().invoke("audit", event).await.unwrap();
    for _ in 0..2 {
        assert_eq!(hear(&crate::events::event("audit/lines")).await.as_deref(), Ok("null"));
    }
    assert_eq!(hear(&crate::events::event("audit/control")).await.as_deref(), Ok("null"));

    let activities = all(&test_system, "made-up-tenant").await;
    assert_eq!(activities.len(), 1);
    assert_eq!((activities[0].at, activities[0].event.as_str()), (1_795_341_628_123, "grant_approved"));
    let log = test_system.system().audit_log().await;
    let audited: Vec<_> = log.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(audited.len(), 4, "two lines, told twice");
    assert_eq!(audited[0], audited[2]);
    let unread = log.iter().filter(|line| line["level"] == "ERROR");
    assert_eq!(unread.count(), 2, "what the alarm AuditUnread looks for");

    for event in [r#"{"awslogs":{"data":"bm90IGd6aXA="}}"#, "{}", r#"{"awslogs":{"data":"%"}}"#] {
        assert!(hear(event).await.is_err(), "{event}");
    }
}

/// The table fails: requests notice nothing, and the lines are tried again until they are kept.
#[tokio::test(flavor = "multi_thread")]
async fn failed_deliveries_are_retried() {
    let failures = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&failures);
    let interceptor = move |call: Call| {
        let fails = call.function == "audit"
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move { if fails { Decision::FailBefore(InjectedError::INTERNAL) } else { Decision::Pass } }
    };
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(interceptor));
        options.intercept_audit = true;
    })
    .await;
    // Twice what is tried: two of three invocations fail.
    failures.store(2 * MAX_ATTEMPTS as usize, Ordering::SeqCst);
    test_system.connect("ana@example.com", "acme", "skills:read").await;

    let log = test_system.system().audit_log().await;

    assert_eq!(failures.load(Ordering::SeqCst), 0);
    let approved = log.iter().filter(|line| line["event"] == "grant_approved");
    let approved: Vec<_> = approved.map(|line| line["id"].as_str().expect("an id")).collect();
    assert!(
        !approved.is_empty() && approved.iter().all(|id| *id == approved[0]),
        "one line, however often: {approved:?}"
    );
    assert!(!all(&test_system, "acme").await.is_empty());
}

/// No request waits for the audit, whatever becomes of it.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_for_the_audit() {
    let held: Arc<Mutex<usize>> = Arc::default();
    let seen = Arc::clone(&held);
    let interceptor = move |call: Call| {
        let audit = call.function == "audit";
        if audit {
            *seen.lock().unwrap() += 1;
        }
        async move { if audit { Decision::DropResponse } else { Decision::Pass } }
    };
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(interceptor));
        options.intercept_audit = true;
    })
    .await;

    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);

    assert!(test_system.lines().len() > 5);
}

/// The newest first, page by page, until they expire.
#[tokio::test(flavor = "multi_thread")]
async fn activities_are_paginated() {
    let test_system = TestSystem::new().await;
    let tenant = TenantId::parse("acme").unwrap();
    let activity = |number: i64| Activity {
        tenant: tenant.clone(),
        at: test_system.now() * 1000 + number / 2,
        id: format!("{number:03}"),
        // Of every section.
        event: ["grant_ended", "tool_called", "grant_ending"][usize::try_from(number % 3).unwrap()].to_owned(),
        line: Map::from_iter([("number".to_owned(), json!(number))]),
    };
    let made: Vec<_> = (0..60).map(activity).collect();
    let (activities, now) = (test_system.system().activities(), test_system.system().clock().now());
    activities.put(&made).await.unwrap();
    activities.put(&made[10..40]).await.unwrap();
    test_system.settled().await;

    let mut found = Vec::new();
    let mut before: Option<Cursor> = None;
    loop {
        let query = ActivityQuery { before: before.as_ref(), ..ActivityQuery::everything(&tenant) };
        let (page, next) = activities.latest(&query, 7, now).await.unwrap();
        found.extend(page);
        match next {
            Some(next) => before = Cursor::parse(next.as_str()),
            None => break,
        }
    }
    found.reverse();
    assert_eq!(found, made);
    test_system.advance(91 * 24 * 3600);
    let now = test_system.system().clock().now();
    assert!(activities.latest(&ActivityQuery::everything(&tenant), 7, now).await.unwrap().0.is_empty());
}

/// A key that may not do what it calls for leaves a trace in its tenant.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_beyond_its_scope_is_audited() {
    let test_system = TestSystem::new().await;
    let (key, known) = test_system.create_api_key("ana@example.com", "acme", "skills:read", None).await;
    let list_views = json!({ "name": "list_views", "arguments": {} });

    assert_eq!(test_system.call(Some(&key), "tools/call", list_views).await.status, 403);

    let told = test_system.audit("key_refused").into_iter().find(|line| line["key"] == known.id.to_text());
    let person = test_system.person_id("ana@example.com");
    assert_eq!(
        told,
        Some(json!({
            "event": "key_refused",
            "key": known.id.to_text(),
            "reason": "scope",
            "tenant": "acme",
            "person": person.as_str(),
            "scope": "views:read",
        }))
    );
}

/// The schema says of every event what the code says of it, and of no other.
#[test]
fn audit_schema_matches_the_code() {
    let described = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    assert!(SCHEMA == described, "functions/audit/schema.json must be\n{described}");
}

/// Drawn from `shared::telemetry::audit::Event`, from the operator's `OperatorEvent`, and the comments there.
fn schema() -> Value {
    const EVENTS: &str = include_str!("../shared/src/telemetry/audit.rs");
    const OPERATOR_EVENTS: &str = include_str!("../infra/cli/src/operator_event.rs");
    let text = |description: &str| json!({ "type": "string", "description": description });
    let mut events = drawn(EVENTS, "pub enum Event<'a> {");
    // Flattened into the events that have one.
    for (name, head, required) in [
        ("connection", "pub struct ConnectionRef<'a> {", &["grant", "client", "tenant", "person"][..]),
        ("connections", "pub struct ConnectionsRef<'a> {", &["tenant"]),
    ] {
        let members = drawn_members(EVENTS, head);
        for event in &mut events {
            if event["properties"].as_object_mut().unwrap().remove(name).is_some() {
                event["properties"].as_object_mut().unwrap().extend(members.clone());
                let all = event["required"].as_array_mut().unwrap();
                let at = all.iter().position(|known| known == name).unwrap();
                all.splice(at..=at, required.iter().copied().map(Value::from));
            }
        }
    }
    // Whatever an operator does says who they are, of all events not only those that may be another's.
    for mut event in drawn(OPERATOR_EVENTS, "pub(crate) enum OperatorEvent<'a> {") {
        event["properties"]["by"] = text("`operator`, and who they are to AWS, where AWS is asked.");
        event["required"].as_array_mut().unwrap().push(json!("by"));
        events.push(event);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of the audit log",
        "type": "object",
        "required": ["timestamp", "level", "target", "v", "event"],
        "properties": {
            "timestamp": text("When it was written, RFC 3339, UTC."),
            "level": { "const": "INFO" },
            "target": { "const": "audit" },
            "v": { "const": shared::telemetry::audit::VERSION, "description": "Of this schema: goes up when a member changes its meaning or goes." },
            "event": text("What happened."),
            "flow": text("The attempt to connect that this is a step of: the same from the consent page to the first call."),
            "at": { "type": "integer", "description": "When the step was taken, in seconds since 1970-01-01 UTC." },
            "function": text("The function that wrote it, or `amble`, the operator's command line."),
            "request": text("What API Gateway calls the request: `apigw-requestid` of the answer, `requestId` of the access log."),
            "invocation": text("What Lambda calls the request."),
            "ip": text("The address that the request came from, as API Gateway saw it. Of what hosted clients do, it is theirs."),
            "id": text("CloudWatch's name for the line: a line that was delivered twice has it twice."),
        },
        "unevaluatedProperties": false,
        "oneOf": events,
    })
}

/// What the variants of an enum say, each with its members and their comments.
fn drawn(code: &str, head: &str) -> Vec<Value> {
    let (_, rest) = code.split_once(head).expect("the events");
    let (body, _) = rest.split_once("\n}\n").expect("their end");
    let (mut events, mut comment) = (Vec::new(), String::new());
    let (mut event, mut members, mut required) = (Value::Null, Map::new(), Vec::new());
    for line in body.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("/// ") {
            comment.push_str(if comment.is_empty() { "" } else { " " });
            comment.push_str(more);
        } else if let Some(name) = line.strip_suffix(" {") {
            let name = name.chars().fold(String::new(), |snake, letter| match letter {
                'A'..='Z' if !snake.is_empty() => format!("{snake}_{}", letter.to_ascii_lowercase()),
                _ => format!("{snake}{}", letter.to_ascii_lowercase()),
            });
            event = json!({ "title": name, "description": std::mem::take(&mut comment) });
            (members, required) =
                (Map::from_iter([("event".to_owned(), json!({ "const": name }))]), vec!["event".to_owned()]);
        } else if line == "}," {
            event["properties"] = Value::Object(std::mem::take(&mut members));
            event["required"] = json!(std::mem::take(&mut required));
            events.push(std::mem::take(&mut event));
        } else if let Some((name, kind)) =
            line.trim_end_matches(',').split_once(": ").filter(|_| !line.starts_with('#'))
        {
            let json =
                if ["u32", "u64", "i64"].iter().any(|number| kind.contains(number)) { "integer" } else { "string" };
            members.insert(name.to_owned(), json!({ "type": json, "description": std::mem::take(&mut comment) }));
            if !kind.starts_with("Option") {
                required.push(name.to_owned());
            }
        }
    }
    events
}

/// What the members of a struct say, each with its comment.
fn drawn_members(code: &str, head: &str) -> Map<String, Value> {
    let (_, rest) = code.split_once(head).expect("the struct");
    let (body, _) = rest.split_once("\n}\n").expect("its end");
    let lines = body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<_> = lines.collect();
    let member = |pair: &[&str]| {
        let (name, _) = pair[1].strip_prefix("pub ").expect("a member").split_once(": ").expect("its type");
        (name.to_owned(), json!({ "type": "string", "description": pair[0].strip_prefix("/// ").expect("a comment") }))
    };
    lines.chunks(2).map(member).collect()
}

async fn all(test_system: &TestSystem, tenant: &str) -> Vec<Activity> {
    test_system.system().audit_log().await;
    test_system.settled().await;
    let now = test_system.system().clock().now();
    let tenant = TenantId::parse(tenant).unwrap();
    test_system.system().activities().latest(&ActivityQuery::everything(&tenant), 1000, now).await.unwrap().0
}
