//! What the tables bill for each request, as they report it themselves: units that are written, indexes included, and read.
//! From here are the numbers of docs/operating/costs.md.

use local::interceptor::Capacity;
use serde_json::json;
use test_system::TestSystem;
use test_system::client_key::ClientKey;
use test_system::person::Form;
use test_system::recorded_calls::RecordedCalls;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_consumes_the_documented_capacity() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let ana = test_system.person("ana@example.com");
    let consumed = || {
        let Capacity { write, read } = calls.consumed();
        (write, read)
    };

    let connector = test_system.connector("Claude").await;
    assert_eq!(consumed(), (1.0, 1.0), "register, the first in a minute: also which hosts are blocked");
    test_system.connector("Another").await;
    assert_eq!(consumed(), (1.0, 0.0), "register");
    let ask = connector.authorization_request("skills:read offline_access");
    assert_eq!(ana.open(&ask.url).await.status, 303);
    assert_eq!(consumed(), (0.0, 2.0), "authorize, sent to sign in");
    ana.sign_in("/auth/login").await;
    assert_eq!(consumed(), (2.0, 0.0), "signing in: that it is tried, and that it succeeded");
    let page = ana.open(&ask.url).await;
    assert_eq!(consumed(), (0.0, 6.0), "authorize, page shown");
    let form = Form::find(&page, "decision").unwrap().with("tenant", "acme").with("decision", "approve");
    let code = ana.submit(&form).await.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    // A transaction bills twice: the grant and what keeps the client from expiring; and a unit for each of the grant's two indexes. The
    // approval is counted, and so are the person's grants.
    assert_eq!(consumed(), (7.0, 6.5), "authorize, approved");
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    // The grant's state is in both of its indexes.
    assert_eq!(consumed(), (3.0, 5.0), "token, code");
    for (write, what) in [(1.0, "mcp, first call of a generation"), (0.0, "mcp, to be let in")] {
        assert_eq!(connector.call(&tokens.access, "ping", json!({})).await.status, 200);
        // The grant, the membership and the tenant.
        assert_eq!(consumed(), (write, 3.0), "{what}");
    }
    let tokens = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(consumed(), (1.0, 5.0), "token, refresh");
    for (write, read, what) in [(2.0, 2.0, "mcp, by an API key, first of an hour"), (0.0, 3.0, "later")] {
        assert_eq!(test_system.call(Some(&test_system.api_key()), "ping", json!({})).await.status, 200);
        assert_eq!(consumed(), (write, read), "mcp, by an API key, {what}");
    }
    let roll = json!({ "name": "roll_dice", "arguments": {} });
    assert_eq!(test_system.call(Some(&test_system.api_key()), "tools/call", roll).await.status, 200);
    assert_eq!(
        consumed(),
        (4.0, 4.0),
        "mcp, a tool: that it begins and ends, the budget, a portion of the workspace's, and beside being let in, its registration"
    );
    assert_eq!(connector.revoke(&tokens.access).await.status, 200);
    assert_eq!(consumed(), (3.0, 3.0), "revoke: the grant's state is in both of its indexes");

    let key = ClientKey::p256("one");
    let connector = test_system.client_with_keys("acme-agent", &[&key]).await;
    let (ask, code) = connector.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
    consumed();
    let tokens = connector.exchange_by(&key.assertion(&connector), &ask, &code).await.tokens(&test_system);
    // A transaction bills twice: the grant and the assertion that is used; and a unit for each index when the state changes.
    assert_eq!(consumed(), (6.0, 5.0), "token, code, by a key");
    assert_eq!(connector.refresh_by(&key.assertion(&connector), &tokens.refresh.unwrap()).await.status, 200);
    assert_eq!(consumed(), (4.0, 5.0), "token, refresh, by a key");
}
