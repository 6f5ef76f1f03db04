//! The whole way, from a pasted URL to a revoked connection.

use serde_json::json;
use world::World;

/// README, "Following a request": the steps are these.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_pasted_url_to_a_tools_answer_to_a_revoked_grant() {
    let world = World::new().await;

    // 1. The client knows nothing but the URL, and is challenged.
    let challenged = world.call(None, "tools/list", json!({})).await;
    assert_eq!(challenged.status, 401);
    let document = format!("{}/.well-known/oauth-protected-resource/api/mcp/server", world.issuer());
    assert_eq!(
        challenged.header("www-authenticate").unwrap(),
        format!("Bearer resource_metadata=\"{document}\", scope=\"tools:execute skills:read views:read\"")
    );

    // 2. What is protected, and by whom.
    let resource = world.get(&document).await.json();
    assert_eq!(resource["resource"], world.mcp_url());
    assert_eq!(resource["authorization_servers"], json!([world.issuer()]));
    let server = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["issuer"], world.issuer());

    // 3. It registers.
    let connector = world.connector("Claude").await;

    // 4. The person signs in, chooses a tenant and approves.
    let ana = world.person("ana@example.com");
    let ask = connector.ask("tools:execute skills:read views:read");
    let landed = ana.approves(&ask, "acme").await;
    assert_eq!(landed.status, 303);
    assert!(landed.location().starts_with(&connector.redirect_uri));
    let parameters = landed.redirected();
    assert_eq!(parameters["state"], ask.state);
    assert_eq!(parameters["iss"], world.issuer());

    // 5. The code becomes tokens.
    let tokens = connector.exchange(&ask, &parameters["code"]).await.tokens(&world);
    assert_eq!(tokens.scope, "tools:execute skills:read views:read offline_access");

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
    world.advance(3600);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    let fresh = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&world);
    assert_eq!(connector.call(&fresh.access, "tools/list", json!({})).await.status, 200);

    // 8. It lets go, and the very next call is refused.
    assert_eq!(connector.revoke(&fresh.refresh.clone().unwrap()).await.status, 200);
    assert_eq!(connector.call(&fresh.access, "tools/list", json!({})).await.status, 401);
    let refused = connector.refresh(&fresh.refresh.unwrap()).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"], "invalid_grant");
}
