//! The well-known documents (RFC 8414, RFC 9728, RFC 7517).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::json;
use test_system::TestSystem;

/// RFC 8414 §3.2: complete, exact, without nulls; at the root and with the resource's path inserted.
#[tokio::test(flavor = "multi_thread")]
async fn authorization_server_metadata_is_complete() {
    let test_system = TestSystem::new().await;
    let issuer = test_system.issuer();

    let methods = json!(["none", "client_secret_post", "client_secret_basic", "private_key_jwt"]);
    for path in ["", "/api/mcp/server"] {
        let answer = test_system.get(&format!("/.well-known/oauth-authorization-server{path}")).await;

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
                "token_endpoint_auth_methods_supported": methods,
                "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
                "revocation_endpoint_auth_methods_supported": methods,
                "revocation_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
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
async fn protected_resource_metadata_is_complete() {
    let test_system = TestSystem::new().await;

    for path in ["", "/api/mcp/server"] {
        let answer = test_system.get(&format!("/.well-known/oauth-protected-resource{path}")).await;

        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({
                "resource": test_system.mcp_url(),
                "authorization_servers": [test_system.issuer()],
                "scopes_supported": ["tools:execute", "skills:read", "views:read"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Amble",
            })
        );
    }
}

/// RFC 7517, RFC 7638: the key by its thumbprint, and nothing private; for each issuer its own.
#[tokio::test(flavor = "multi_thread")]
async fn each_issuer_publishes_its_own_signing_key() {
    let test_system = TestSystem::new().await;
    let mut kids = BTreeSet::new();
    for address in ["/.well-known/jwks.json", "/tools/.well-known/jwks.json"] {
        let keys = test_system.get(address).await.json();

        let [key] = keys["keys"].as_array().unwrap().as_slice() else { panic!("{keys}") };
        let thumbprint = test_system::digest(&format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, key["e"], key["n"]));
        let expected = json!({
            "kid": thumbprint, "alg": "RS256", "use": "sig", "e": key["e"], "kty": "RSA", "n": key["n"],
        });
        assert_eq!(*key, expected);
        kids.insert(thumbprint);
    }
    assert_eq!(kids.len(), 2, "the two issuers share a key");
}

/// Without KMS there are no keys to be published, which says nothing of the next moment; all else is answered without it.
#[tokio::test(flavor = "multi_thread")]
async fn jwks_is_retried_after_a_kms_failure() {
    let (fails, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (refusing, counts) = (Arc::clone(&fails), Arc::clone(&asked));
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let ours = call.function == "wellknown";
            counts.fetch_add(usize::from(ours), Ordering::SeqCst);
            let refused = ours && refusing.load(Ordering::SeqCst);
            async move { if refused { Decision::FailBefore(InjectedError::DENIED) } else { Decision::Pass } }
        }));
    })
    .await;

    assert_eq!(test_system.get("/.well-known/oauth-authorization-server").await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    for address in ["/.well-known/jwks.json", "/tools/.well-known/jwks.json"] {
        let answer = test_system.get(address).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
    }

    fails.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(test_system.get("/.well-known/jwks.json").await.status, 200);
        assert_eq!(test_system.get("/tools/.well-known/jwks.json").await.status, 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4, "and then no more");
}

/// Clients probe for more than is served, and give up on anything but a plain 404.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_well_known_paths_are_not_found() {
    let test_system = TestSystem::new().await;

    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/mcp", "/authorize", "/"]
    {
        let answer = test_system.get(path).await;

        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json(), json!({ "message": "Not Found" }));
    }
}

/// OAuth 2.1 §3.1, §3.2: scripts of browser clients may ask everything and read every answer, but where people are asked. The MCP
/// server refuses the origins that it does not expect, and says so readably.
#[tokio::test(flavor = "multi_thread")]
async fn cors_is_allowed_everywhere_except_on_pages() {
    const ALLOWED: &str = "Authorization, Content-Type, X-Api-Key, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, \
                           Last-Event-ID";
    let test_system = TestSystem::new().await;
    let mut paths: BTreeMap<_, (&str, BTreeSet<_>)> = BTreeMap::new();
    for (route, function) in test_system.system().routes() {
        let (method, path) = route.split_once(' ').unwrap();
        paths.entry(path.replace("{tenant}", "acme")).or_insert((function, BTreeSet::new())).1.insert(method);
    }
    assert!(paths.contains_key("/api/mcp/server/acme"), "{paths:?}");

    for (path, (function, methods)) in paths {
        let crossed = !["admin", "authorize", "login", "feed"].contains(&function);
        let allowed_methods = match function {
            "wellknown" => "GET",
            "mcp" => "POST, GET, DELETE",
            _ => "POST",
        };
        for (origin, foreign) in [
            (None, false),
            (Some("https://claude.ai"), false),
            (Some("http://localhost:6274"), false),
            (Some("https://evil.example"), true),
            (Some("null"), true),
        ] {
            let refused = function == "mcp" && foreign;
            for method in methods.iter().copied().chain(["OPTIONS"]).collect::<BTreeSet<_>>() {
                let request = test_system.http().request(method.parse().unwrap(), test_system.at(&path));
                let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
                let request = match method {
                    "OPTIONS" => request
                        .header("access-control-request-method", "POST")
                        .header("access-control-request-headers", "authorization,content-type,mcp-method,x-api-key"),
                    _ => request,
                };
                let answer = test_system.send(request).await;
                let case = format!("{method} {path} from {origin:?}: {answer:?}");
                let expected = |value| crossed.then_some(value);
                assert_eq!(answer.header("access-control-allow-origin"), expected("*"), "{case}");
                let exposed = expected("WWW-Authenticate, Retry-After");
                assert_eq!(answer.header("access-control-expose-headers"), exposed, "{case}");
                assert_eq!(answer.header("access-control-allow-credentials"), None, "{case}");
                let preflight = method == "OPTIONS" && crossed && !refused;
                let told = |name, value| assert_eq!(answer.header(name), preflight.then_some(value), "{case}");
                told("access-control-allow-methods", allowed_methods);
                told("access-control-allow-headers", ALLOWED);
                told("access-control-max-age", "7200");
                match (method, function) {
                    ("OPTIONS", _) if !crossed => assert_eq!(answer.status, 404, "{case}"),
                    _ if refused => assert_eq!(answer.status, 403, "{case}"),
                    ("OPTIONS", _) => assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{case}"),
                    (_, "mcp") => {
                        assert_eq!((answer.status, answer.header("www-authenticate").is_some()), (401, true), "{case}");
                    }
                    _ => assert!(answer.status < 500, "{case}"),
                }
            }
        }
    }
}
