//! The well-known documents (RFC 8414, RFC 9728, RFC 7517).

use serde_json::json;
use world::World;

/// RFC 8414 §3.2: complete, exact, without nulls; at the root and with the resource's path inserted.
#[tokio::test(flavor = "multi_thread")]
async fn the_authorization_server_describes_itself() {
    let world = World::new().await;
    let issuer = world.issuer();

    for path in ["", "/api/mcp/server"] {
        let answer = world.get(&format!("/.well-known/oauth-authorization-server{path}")).await;

        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            answer.json(),
            json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/oauth/authorize"),
                "token_endpoint": format!("{issuer}/oauth/token"),
                "registration_endpoint": format!("{issuer}/oauth/register"),
                "revocation_endpoint": format!("{issuer}/oauth/revoke"),
                "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
                "scopes_supported": [
                    "tools:execute", "skills:read", "views:read", "entities:read", "entities:write",
                    "documents:read", "documents:write", "chat:create", "offline_access",
                ],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
                "revocation_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
            "client_id_metadata_document_supported": true,
                "authorization_response_iss_parameter_supported": true,
                "protected_resources": [format!("{issuer}/api/mcp/server")],
            })
        );
    }
}

/// RFC 9728 §3: the resource is exactly the URL that people paste, and `offline_access` is not its business.
#[tokio::test(flavor = "multi_thread")]
async fn the_protected_resource_describes_itself() {
    let world = World::new().await;

    for path in ["", "/api/mcp/server"] {
        let answer = world.get(&format!("/.well-known/oauth-protected-resource{path}")).await;

        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({
                "resource": world.mcp_url(),
                "authorization_servers": [world.issuer()],
                "scopes_supported": ["tools:execute", "skills:read", "views:read"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Amble",
            })
        );
    }
}

/// RFC 7517, RFC 7638: the key by its thumbprint, and nothing private.
#[tokio::test(flavor = "multi_thread")]
async fn the_signing_key_is_published() {
    let world = World::new().await;

    let keys = world.get("/.well-known/jwks.json").await.json();

    let [key] = keys["keys"].as_array().unwrap().as_slice() else { panic!("{keys}") };
    assert_eq!(key["kty"], "RSA");
    assert_eq!(key["alg"], "RS256");
    assert_eq!(key["use"], "sig");
    let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    let thumbprint = world::digest(&format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, key["e"], key["n"]));
    assert_eq!(key["kid"], thumbprint);
}

/// Clients probe for more than is served, and give up on anything but a plain 404.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_not_found() {
    let world = World::new().await;

    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/mcp", "/authorize", "/"]
    {
        let answer = world.get(path).await;

        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json(), json!({ "message": "Not Found" }));
    }
}

/// OAuth 2.1 §3.1, §3.2: browser clients may read everything but the authorization endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn browser_clients_are_let_in_everywhere_but_at_authorize() {
    let world = World::new().await;

    for (path, methods) in [
        ("/.well-known/oauth-authorization-server", "GET"),
        ("/.well-known/oauth-protected-resource", "GET"),
        ("/.well-known/jwks.json", "GET"),
        ("/oauth/register", "POST"),
        ("/oauth/token", "POST"),
        ("/oauth/revoke", "POST"),
        ("/api/mcp/server", "POST, GET, DELETE"),
    ] {
        let answer = world.preflight(path).await;

        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some(methods), "{path}");
        assert!(answer.header("access-control-allow-headers").unwrap().contains("MCP-Protocol-Version"), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
    }
    let answer = world.preflight("/oauth/authorize").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
