//! Calls to AWS per request, on a warm function.

use serde_json::json;
use test_system::TestSystem;
use test_system::person::Form;
use test_system::recorded_calls::RecordedCalls;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_stays_within_its_call_budget() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let spent = || {
        let made = calls.take();
        let kms = made.iter().filter(|call| call.action.starts_with("kms:")).count();
        (calls.requests(), kms)
    };
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    calls.clear();

    for times in [1, 0] {
        assert_eq!(test_system.get("/.well-known/jwks.json").await.status, 200);
        assert_eq!(spent(), (times, times), "the keys are fetched once");
    }
    assert_eq!(test_system.get("/.well-known/oauth-authorization-server").await.status, 200);
    assert_eq!(spent(), (0, 0), "a well-known document");

    let connector = test_system.connector("Claude").await;
    assert_eq!(spent(), (2, 0), "register, the first in a minute: also which hosts are blocked");
    test_system.connector("Another").await;
    assert_eq!(spent(), (1, 0), "register");

    let ask = connector.authorization_request("skills:read");
    let page = ana.open(&ask.url).await;
    assert_eq!((page.status, spent()), (200, (2, 0)), "authorize, page shown");

    let form = Form::find(&page, "decision").unwrap().with("tenant", "acme").with("decision", "approve");
    let code = ana.submit(&form).await.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    assert_eq!(
        spent(),
        (5, 0),
        "authorize, approved: the page's two, the person's approvals and grants, and the grant"
    );

    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    assert_eq!(spent(), (4, 1), "token, code: three calls to the tables and one to KMS");

    let old = tokens.refresh.unwrap();
    let tokens = connector.refresh(&old).await.tokens(&test_system);
    assert_eq!(spent(), (4, 1), "token, refresh: three and one");
    assert_eq!(connector.refresh(&old).await.tokens(&test_system).refresh, tokens.refresh);
    assert_eq!(spent(), (4, 1), "token, a retry of it");
    test_system.advance(61);
    let tokens = connector.refresh(&old).await.tokens(&test_system);
    assert_eq!(spent(), (4, 1), "token, a late retry of it");

    assert_eq!(connector.call(&tokens.access, "ping", json!({})).await.status, 200);
    assert_eq!(spent(), (2, 0), "mcp, first call of a generation");
    assert_eq!(connector.call(&tokens.access, "ping", json!({})).await.status, 200);
    assert_eq!(spent(), (1, 0), "mcp, to be let in");
    for time in ["first of the hour", "later"] {
        assert_eq!(test_system.call(Some(&test_system.api_key()), "ping", json!({})).await.status, 200);
        assert_eq!(spent(), (2, 0), "mcp, let in by an API key, {time}");
    }
    assert_eq!(test_system.call(Some("sk_mistyped"), "ping", json!({})).await.status, 401);
    assert_eq!(spent(), (0, 0), "mcp, a mistyped key");

    assert_eq!(connector.tool(&tokens.access, "list_views", json!({})).await.status, 403);
    assert_eq!(spent(), (2, 0), "mcp, refused for its scope: to be let in, and to remember");
    let page = ana.open(&connector.authorization_request("skills:read").url).await;
    assert_eq!((page.status, spent()), (200, (2, 0)), "authorize, page shown with what was wanted");
    let form = Form::find(&page, "decision").unwrap().with("tenant", "acme").with("decision", "approve");
    let granted = ana.submit(&form).await;
    test_system.track_secret(&granted.redirect_parameters()["code"]);
    assert_eq!((granted.status, spent()), (303, (5, 0)), "authorize, approved with what was wanted");

    assert_eq!(connector.revoke(&tokens.access).await.status, 200);
    assert_eq!(spent(), (2, 0), "revoke");

    let again = connector.approve_directly("skills:read", "ana@example.com", "acme").await;
    let tokens = connector.exchange(&again.0, &again.1).await.tokens(&test_system);
    let grant = test_system::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
    // What has happened is delivered, so that there is something to show.
    test_system.system().audit_log().await;
    calls.clear();
    for (page, most) in [
        ("/admin", 4),
        ("/admin/acme/connections", 4),
        ("/admin/acme/keys", 3),
        ("/admin/acme/keys/new", 1),
        ("/admin/acme/activity", 3),
    ] {
        assert_eq!(ana.open(page).await.status, 200);
        assert_eq!(spent(), (most, 0), "{page}");
    }
    let asked = ana.open(&format!("/admin/acme/connections/end?connection={grant}")).await;
    assert_eq!(spent(), (3, 0), "console, asked about one: to be let in, the grant, its client");
    let form = Form::find(&asked, "connection").unwrap();
    let ended = ana.submit(&form).await;
    assert_eq!((ended.status, spent()), (303, (3, 0)), "console, one ended: to be let in, the grant, its end");
    let told = ana.open(ended.location()).await;
    assert_eq!((told.status, spent()), (200, (1, 0)), "console, told of it: to be let in");
    assert_eq!(
        test_system.deliver_change("ben@example.com", "acme", Some("member"), Some("viewer"), 1).await.status,
        204
    );
    assert_eq!(spent(), (3, 0), "membership, a role: the tenant, the membership, and its write");
    assert_eq!(test_system.deliver_change("ana@example.com", "acme", Some("owner"), None, 2).await.status, 204);
    assert_eq!(
        spent(),
        (9, 0),
        "membership, left: read, written; grants listed, read, marked; read once more; keys listed, read, revoked"
    );
}

/// The key that made it is read in the call that reads the membership.
#[tokio::test(flavor = "multi_thread")]
async fn key_that_a_key_made_takes_two_calls_as_others_do() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let (managing, _) =
        test_system.create_api_key("ana@example.com", "acme", "skills:read connections:manage", None).await;
    let new = test_system.http().post(test_system.at("/admin/api/tenants/acme/keys")).bearer_auth(&managing);
    let new = new.header("content-type", "application/json").body(r#"{"name":"child","scopes":["skills:read"]}"#);
    let child = test_system.send(new).await.json()["key"].as_str().unwrap().to_owned();
    test_system.track_secret(&child);
    calls.clear();
    for time in ["first of the hour", "later"] {
        assert_eq!(test_system.call(Some(&child), "ping", json!({})).await.status, 200);
        assert!(!calls.take().is_empty());
        assert_eq!(calls.requests(), 2, "mcp, let in by a key that a key made, {time}");
    }
}

/// Of a person in one tenant who has nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn end_of_a_person_stays_within_its_call_budget() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    for (kind, most, what) in [
        (
            "PERSON_BANNED",
            8,
            "memberships listed, their tenants read; read, written; grants listed; keys listed, read; read",
        ),
        ("PERSON_DELETED", 7, "memberships listed; read, written; grants listed; keys listed, read; read"),
    ] {
        calls.clear();
        assert_eq!(test_system.deliver_person(kind, "ben@example.com", 3).await.status, 204);
        assert!(!calls.take().is_empty());
        assert_eq!(calls.requests(), most, "{kind}: {what}");
    }
}

/// Whatever a budget counts takes one call more, and another one where a portion of the workspace's budget is spent.
#[tokio::test(flavor = "multi_thread")]
async fn budget_takes_one_call_more() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let (key, _) =
        test_system.create_api_key("ana@example.com", "acme", "documents:write connections:manage", None).await;
    let spent = || {
        drop(calls.take());
        calls.requests()
    };
    assert_eq!(test_system.call(Some(&key), "ping", json!({})).await.status, 200);
    spent();

    let writes = async |tool: &str, arguments: serde_json::Value| {
        let answer = test_system.call(Some(&key), "tools/call", json!({ "name": tool, "arguments": arguments })).await;
        assert_eq!(answer.json()["result"].get("isError").unwrap_or(&json!(false)), &json!(false), "{answer:?}");
        answer.json()["result"]["structuredContent"]["id"].clone()
    };
    let plan = json!({ "title": "Plan", "content": "first" });
    writes("create_document", plan.clone()).await;
    assert_eq!(
        spent(),
        5,
        "two to be let in by a key, a portion of the workspace's budget, the person's, the document"
    );
    let id = writes("create_document", plan).await;
    assert_eq!(spent(), 4, "a document made");
    writes("update_document", json!({ "id": id, "version": 1, "title": "Plan B" })).await;
    assert_eq!(spent(), 6, "a document with another title: its version and its content are read");
    writes("update_document", json!({ "id": id, "version": 2, "content": "third" })).await;
    assert_eq!(spent(), 5, "a document with another content: its version is read");
    writes("delete_document", json!({ "id": id, "version": 3 })).await;
    assert_eq!(spent(), 5, "a document deleted");

    let url = test_system.at("/admin/api/tenants/acme/keys");
    let body = json!({ "name": "nightly", "scopes": ["documents:read"] });
    let request = test_system.http().post(url).header("authorization", format!("Bearer {key}")).json(&body);
    let answer = test_system.send(request).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    test_system.track_secret(answer.json()["key"].as_str().unwrap());
    // The console has not marked the key's use yet in this process.
    assert_eq!(spent(), 4, "a key made: two to be let in by a key, the budget, the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_by_url_takes_seven_calls_and_a_signature() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let spent = || {
        let kms = calls.take().iter().filter(|call| call.action.starts_with("kms:")).count();
        (calls.requests(), kms)
    };
    assert_eq!(test_system.call(Some(&test_system.api_key()), "ping", json!({})).await.status, 200);
    spent();

    let first = "first of an instance: also the name of the key that signs, and a portion of the workspace's budget";
    for (cost, time) in [((9, 2), first), ((7, 1), "later")] {
        let roll = json!({ "name": "roll_dice", "arguments": {} });
        let rolled = test_system.call(Some(&test_system.api_key()), "tools/call", roll).await;
        assert_eq!(rolled.json()["result"].get("isError").unwrap_or(&json!(false)), &json!(false), "{rolled:?}");
        assert_eq!(
            spent(),
            cost,
            "mcp, a tool by URL: two to be let in by a key, its registration, the budget, that it begins and ends, a signature; {time}"
        );
    }
}
