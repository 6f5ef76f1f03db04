//! Dynamic client registration (RFC 7591).

use serde_json::{Value, json};
use world::World;

/// RFC 7591 §3.2.1, with what Claude sends: it asks for a secret, and is told that it is public.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_for_a_registered_client_is_public() {
    let world = World::new().await;
    let asked = json!({
        "client_name": "Claude",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "tools:execute",
        "logo_uri": null,
        "something_else": { "nested": true },
    });

    let answer = world.post_json("/oauth/register", &asked).await;

    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut body = answer.json();
    let id = body.as_object_mut().unwrap().remove("client_id").unwrap();
    assert!(id.as_str().unwrap().starts_with("c_"), "{id}");
    assert_eq!(
        body,
        json!({
            "client_name": "Claude",
            "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        })
    );
}

/// A client that registers at every connect, often twice, is one client.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_metadata_is_the_same_client() {
    let world = World::new().await;
    let one = json!({ "client_name": "A", "redirect_uris": ["https://a.example/cb", "http://localhost/cb"] });
    let same =
        json!({ "redirect_uris": ["http://localhost/cb", "https://a.example/cb"], "client_name": " A ", "scope": "x" });
    let another = json!({ "client_name": "B", "redirect_uris": ["https://a.example/cb", "http://localhost/cb"] });

    let mut ids = Vec::new();
    for metadata in [&one, &one, &same, &another] {
        ids.push(world.post_json("/oauth/register", metadata).await.json()["client_id"].clone());
    }

    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[3]);
    assert_eq!(world.count("clients").await, 2);
}

/// RFC 7591 §3.2.2.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_registered_is_refused_and_not_kept() {
    let world = World::new().await;
    let uri = "https://a.example/cb";
    let metadata = "invalid_client_metadata";
    let address = "invalid_redirect_uri";

    for (asked, error) in [
        (json!({}), address),
        (json!({ "redirect_uris": [] }), address),
        (json!({ "redirect_uris": null }), address),
        (json!({ "redirect_uris": uri }), metadata),
        (json!({ "redirect_uris": [1] }), metadata),
        (json!({ "redirect_uris": ["http://a.example/cb"] }), address),
        (json!({ "redirect_uris": ["cursor://callback"] }), address),
        (json!({ "redirect_uris": [uri, "javascript:alert(1)"] }), address),
        (json!({ "redirect_uris": ["https://a.example/cb#fragment"] }), address),
        (json!({ "redirect_uris": [format!("https://a.example/{}", "a".repeat(1024))] }), address),
        (json!({ "redirect_uris": (0..17).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>() }), address),
        (json!({ "redirect_uris": [uri], "client_name": "x".repeat(101) }), metadata),
        (json!({ "redirect_uris": [uri], "client_name": "Cl\u{202e}edua" }), metadata),
        (json!({ "redirect_uris": [uri], "client_name": 7 }), metadata),
        (json!({ "redirect_uris": [uri], "grant_types": ["refresh_token"] }), metadata),
        (json!({ "redirect_uris": [uri], "response_types": ["token"] }), metadata),
        (json!([[uri]]), metadata),
        (json!("text"), metadata),
    ] {
        let answer = world.post_json("/oauth/register", &asked).await;

        assert_eq!((answer.status, &answer.json()["error"]), (400, &Value::from(error)), "{asked}");
    }
    assert_eq!(world.count("clients").await, 0);
}

/// A registration that nobody uses is forgotten; one that a grant rests on is not.
#[tokio::test(flavor = "multi_thread")]
async fn unused_registrations_expire_and_used_ones_do_not() {
    let world = World::new().await;
    let (unused, used) = (world.connector("Unused").await, world.connector("Used").await);
    let ana = world.person("ana@example.com");
    let ask = used.ask("skills:read");
    let code = ana.code(&ask, "acme").await;
    let mut tokens = used.exchange(&ask, &code).await.tokens(&world);

    for _ in 0..7 {
        world.advance(25 * 24 * 3600);
        tokens = used.refresh(&tokens.refresh.unwrap()).await.tokens(&world);
    }

    let refused = unused.refresh("rt_x").await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
}
