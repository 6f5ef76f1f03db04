//! The whole way, from a pasted URL to a revoked connection.

use serde_json::json;
use test_system::TestSystem;

/// docs/architecture.md, "Follow a request": the steps are these.
#[tokio::test(flavor = "multi_thread")]
async fn client_connects_calls_a_tool_refreshes_and_revokes() {
    let test_system = TestSystem::new().await;

    // 1. The client knows nothing but the URL, and is challenged.
    let challenged = test_system.call(None, "tools/list", json!({})).await;
    assert_eq!(challenged.status, 401);
    let document = format!("{}/.well-known/oauth-protected-resource/api/mcp/server", test_system.issuer());
    assert_eq!(
        challenged.header("www-authenticate").unwrap(),
        format!("Bearer resource_metadata=\"{document}\", scope=\"tools:execute skills:read views:read\"")
    );

    // 2. What is protected, and by whom.
    let resource = test_system.get(&document).await.json();
    assert_eq!(resource["resource"], test_system.mcp_url());
    assert_eq!(resource["authorization_servers"], json!([test_system.issuer()]));
    let server = test_system.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["issuer"], test_system.issuer());

    // 3. It registers.
    let connector = test_system.connector("Claude").await;

    // 4. The person signs in, chooses a tenant and approves.
    let ana = test_system.person("ana@example.com");
    let ask = connector.authorization_request("tools:execute skills:read views:read");
    let landed = ana.approve(&ask, "acme").await;
    assert_eq!(landed.status, 303);
    assert!(landed.location().starts_with(&connector.redirect_uri));
    let parameters = landed.redirect_parameters();
    assert_eq!(parameters["state"], ask.state);
    assert_eq!(parameters["iss"], test_system.issuer());

    // 5. The code becomes tokens.
    let tokens = connector.exchange(&ask, &parameters["code"]).await.tokens(&test_system);
    assert_eq!(tokens.scope, "tools:execute skills:read views:read");

    // 6. A tool answers.
    let listed = connector.call(&tokens.access, "tools/list", json!({})).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let names: Vec<_> =
        listed.json()["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    for name in ["list_skills", "read_skill", "list_views", "read_view", "roll_dice"] {
        assert!(names.contains(&json!(name)), "{name} is not in {names:?}");
    }
    let answered = connector.tool(&tokens.access, "roll_dice", json!({ "dice": 2, "sides": 6 })).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_ne!(answered.json()["result"]["isError"], true, "{answered:?}");

    // 7. An hour later it refreshes.
    test_system.advance(3600);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    let fresh = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(connector.call(&fresh.access, "tools/list", json!({})).await.status, 200);

    // 8. It lets go, and the very next call is refused.
    assert_eq!(connector.revoke(&fresh.refresh.clone().unwrap()).await.status, 200);
    assert_eq!(connector.call(&fresh.access, "tools/list", json!({})).await.status, 401);
    let refused = connector.refresh(&fresh.refresh.unwrap()).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"], "invalid_grant");
}
