//! A tenant's own address (RFC 9728, RFC 8707): who works in two tenants connects both, although clients refuse one URL twice.

use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, object};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthorizationRequest as RmcpAuthorizationRequest, CredentialStore, InMemoryCredentialStore, OAuthState,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};
use test_system::{TestSystem, claims};

const ANA: &str = "ana@example.com";
/// What is no tenant's id.
const MALFORMED: [&str; 6] = ["acm\u{e9}", "a.b", "a%20b", "a%2Fb", "acme%C3%A9", TOO_LONG];
const TOO_LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Asks for the resource at `url`.
fn ask(connector: &Connector<'_>, url: &str, scope: &str) -> AuthorizationRequest {
    connector.authorization_request_with(&[("scope", Some(scope)), ("resource", Some(url))])
}

/// From the consent page, as it proposes itself, to tokens.
async fn connected(connector: &Connector<'_>, person: &Person<'_>, url: &str, tenant: &str) -> Tokens {
    let ask = ask(connector, url, "skills:read");
    let code = person.code(&ask, tenant).await;
    connector.exchange_with(&ask, &code, &[("resource", Some(url))]).await.tokens(connector.test_system)
}

/// The skills that a token opens at an address.
async fn skills(test_system: &TestSystem, url: &str, token: &str) -> Vec<String> {
    pages_of_skills(async |arguments| {
        let call = json!({ "name": "list_skills", "arguments": arguments });
        test_system.call_at(url, Some(token), "tools/call", call).await.json()["result"].clone()
    })
    .await
}

/// The names of all skills, as a page may end early.
async fn pages_of_skills(page: impl AsyncFn(Value) -> Value) -> Vec<String> {
    let (mut found, mut arguments) = (Vec::new(), json!({}));
    loop {
        let page = page(arguments).await;
        let skills = page["structuredContent"]["skills"].as_array().unwrap_or_else(|| panic!("{page}"));
        found.extend(skills.iter().map(|skill| skill["name"].as_str().unwrap().to_owned()));
        match &page["structuredContent"]["nextCursor"] {
            Value::Null => return found,
            next => arguments = json!({ "cursor": next }),
        }
    }
}

/// 401, and where to read on: about the address that was called.
fn assert_refused(test_system: &TestSystem, answer: &HttpResponse, url: &str) {
    let document = url.replace("/api/", "/.well-known/oauth-protected-resource/api/");
    let sentence = "The access token or API key is not valid, or no longer";
    let scope = "tools:execute skills:read views:read";
    let challenge = format!(
        "Bearer error=\"invalid_token\", error_description=\"{sentence}\", resource_metadata=\"{document}\", scope=\"{scope}\""
    );
    assert!(document.starts_with(&test_system.at("/.well-known/")), "{document}");
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge.as_str())), "{url}");
    assert_eq!(
        answer.json(),
        json!({
            "error": "invalid_token",
            "error_description": sentence,
            "resource_metadata": document,
            "scope": scope,
        })
    );
}

/// RFC 9728 §3.1, §3.3: its own document, at its own place; RFC 8414's beside it, as clients insert the path there too. Neither
/// tells whether there is such a tenant.
#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_url_has_metadata_even_for_unknown_tenants() {
    let test_system = TestSystem::new().await;
    let server = test_system.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["protected_resources"], json!([test_system.mcp_url()]));

    for tenant in ["acme", "globex", "nobody-s", "0", "_-"] {
        let path = format!("/api/mcp/server/{tenant}");
        let answer = test_system.get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=300")));
        assert_eq!(
            answer.json(),
            json!({
                "resource": test_system.mcp_url_of(tenant),
                "authorization_servers": [test_system.issuer()],
                "scopes_supported": ["tools:execute", "skills:read", "views:read"],
                "bearer_methods_supported": ["header"],
                "resource_name": format!("Amble ({tenant})"),
            })
        );
        let answer = test_system.get(&format!("/.well-known/oauth-authorization-server{path}")).await;
        assert_eq!((answer.status, answer.json()), (200, server.clone()));

        let document = test_system.at(&format!("/.well-known/oauth-protected-resource{path}"));
        let scope = "tools:execute skills:read views:read";
        for method in ["POST", "GET", "DELETE"] {
            let answer = test_system.request(method, &path).await;
            let challenge = format!("Bearer resource_metadata=\"{document}\", scope=\"{scope}\"");
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge.as_str())), "{method}");
            let body =
                json!({ "error_description": "Connect with OAuth", "resource_metadata": document, "scope": scope });
            assert_eq!(answer.json(), body, "{method}");
        }
    }
}

/// What is no tenant's id is not found, whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_tenant_id_is_not_found() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    ana.sign_in("/auth/login").await;

    for tenant in MALFORMED {
        let path = format!("/api/mcp/server/{tenant}");
        for (method, path) in [
            ("GET", format!("/.well-known/oauth-protected-resource{path}")),
            ("OPTIONS", format!("/.well-known/oauth-protected-resource{path}")),
            ("GET", format!("/.well-known/oauth-authorization-server{path}")),
            ("POST", path.clone()),
            ("GET", path.clone()),
            ("DELETE", path.clone()),
            ("OPTIONS", path.clone()),
        ] {
            let answer = test_system.request(method, &path).await;
            assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), None, "{method} {path}");
        }
        for credential in [tokens.access.clone(), test_system.api_key()] {
            assert_eq!(
                test_system.call_at(&test_system.at(&path), Some(&credential), "ping", json!({})).await.status,
                404
            );
        }
        let answer = ana.open(&ask(&connector, &test_system.at(&path), "skills:read").url).await;
        assert_eq!(
            (answer.status, answer.redirect_parameters()["error"].as_str()),
            (303, "invalid_target"),
            "{tenant}"
        );
    }
    // API Gateway hands the path over decoded: a control character in it is no tenant's id, and no HTTP.
    let path = "/api/mcp/server/%00";
    for (method, path) in [("POST", path), ("GET", path), ("DELETE", path)] {
        let answer = test_system.request(method, path).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (400, None), "{method} {path}");
    }
    let answer = ana.open(&ask(&connector, &test_system.at(path), "skills:read").url).await;
    assert_eq!((answer.status, answer.redirect_parameters()["error"].as_str()), (303, "invalid_target"));
    for path in ["/api/mcp/server//", "/api/mcp/server/acme//", "/api/mcp/server/acme/x", "/api/mcp/server//acme"] {
        assert_eq!(test_system.request("POST", path).await.status, 404, "{path}");
    }
}

/// RFC 9728 §3.3: people paste an address with a slash, with the tenant in capitals, or with a query. Endpoint, documents and
/// `resource` take every spelling alike. What clients compare is the address as it was pasted, without its query; the token is for
/// the canonical one; and no spelling leads into another tenant.
#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_an_address_is_answered_alike() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let server = test_system.get("/.well-known/oauth-authorization-server").await.json();
    let scope = "tools:execute skills:read views:read";

    for (spelling, canonical, tenant, own) in [
        ("/api/mcp/server/", "/api/mcp/server", "acme", None),
        ("/api/mcp/server?v=2", "/api/mcp/server", "acme", None),
        ("/api/mcp/server/?v=2&tenant=globex", "/api/mcp/server", "acme", None),
        ("/api/mcp/server/acme/", "/api/mcp/server/acme", "acme", Some("acme")),
        ("/api/mcp/server/ACME", "/api/mcp/server/acme", "acme", Some("acme")),
        ("/api/mcp/server/Globex/", "/api/mcp/server/globex", "globex", Some("globex")),
        ("/api/mcp/server/globex?v=2", "/api/mcp/server/globex", "globex", Some("globex")),
        ("/api/mcp/server/GLOBEX/?a=/api/mcp/server/acme", "/api/mcp/server/globex", "globex", Some("globex")),
    ] {
        let (path, url) = (spelling.split('?').next().unwrap(), test_system.at(spelling));
        let document = format!("/.well-known/oauth-protected-resource{path}");

        // Without a credential: the challenge leads to the document of this spelling.
        let challenge = format!("Bearer resource_metadata=\"{}\", scope=\"{scope}\"", test_system.at(&document));
        for method in ["POST", "GET", "DELETE"] {
            let answer = test_system.request(method, spelling).await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge.as_str())), "{url}");
        }
        for document in [document.clone(), format!("/.well-known/oauth-protected-resource{spelling}")] {
            let answer = test_system.get(&document).await;
            assert_eq!(answer.status, 200, "{document}");
            assert_eq!(
                answer.json(),
                json!({
                    "resource": test_system.at(path),
                    "authorization_servers": [test_system.issuer()],
                    "scopes_supported": ["tools:execute", "skills:read", "views:read"],
                    "bearer_methods_supported": ["header"],
                    "resource_name": own.map_or("Amble".to_owned(), |own| format!("Amble ({own})")),
                }),
                "{document}"
            );
        }
        let answer = test_system.get(&format!("/.well-known/oauth-authorization-server{path}")).await;
        assert_eq!((answer.status, answer.json()), (200, server.clone()), "{url}");

        // From the page to a call, with the address as it was pasted, and as the document names it.
        for resource in [url.clone(), test_system.at(path)] {
            let tokens = connected(&connector, &ana, &resource, tenant).await;
            let claims = claims(&tokens.access).1;
            assert_eq!(
                (&claims["aud"], &claims["tenant"]),
                (&json!(test_system.at(canonical)), &json!(tenant)),
                "{url}"
            );
            for called in [url.clone(), test_system.at(path), test_system.at(canonical)] {
                let found = skills(&test_system, &called, &tokens.access).await;
                assert_eq!(found.len(), if tenant == "acme" { 2 } else { 1 }, "{called}");
            }
            let refreshed = connector.refresh_with(&tokens.refresh.unwrap(), &[("resource", &url)]).await;
            assert_eq!(refreshed.tokens(&test_system).scope, "skills:read", "{url}");
            for other in
                ["/api/mcp/server/", "/api/mcp/server/ACME/", "/api/mcp/server/GLOBEX/", "/api/mcp/server/nobody-s/"]
            {
                if other.trim_end_matches('/').to_lowercase() != canonical {
                    let other = test_system.at(other);
                    let answer = test_system.call_at(&other, Some(&tokens.access), "ping", json!({})).await;
                    assert_refused(&test_system, &answer, &other);
                }
            }
        }
    }
}

/// Some clients send the origin alone as `resource` (RFC 8707 §2). It means the MCP server, for whichever tenant is chosen.
#[tokio::test(flavor = "multi_thread")]
async fn bare_origin_as_resource_is_the_main_address() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude Code").await;
    let ana = test_system.person(ANA);
    for (resource, tenant) in [
        (test_system.issuer(), "acme"),
        (test_system.at("/"), "globex"),
        (test_system.at("?v=2"), "acme"),
        (test_system.at("/?v=2"), "acme"),
    ] {
        let tokens = connected(&connector, &ana, &resource, tenant).await;

        let claims = claims(&tokens.access).1;
        assert_eq!((&claims["aud"], &claims["tenant"]), (&json!(test_system.mcp_url()), &json!(tenant)), "{resource}");
        let found = skills(&test_system, &test_system.mcp_url(), &tokens.access).await;
        assert_eq!(found.len(), if tenant == "acme" { 2 } else { 1 }, "{resource}");
    }
    ana.sign_in("/auth/login").await;
    for resource in ["/oauth", "/mcp", "//", "#", "/api/mcp", "/api/mcp/servers"] {
        let answer = ana.open(&ask(&connector, &test_system.at(resource), "skills:read").url).await;
        assert_eq!(
            (answer.status, answer.redirect_parameters()["error"].as_str()),
            (303, "invalid_target"),
            "{resource}"
        );
    }
}

/// RFC 8707 §2, RFC 9068 §4: one client, one person, three addresses; each token opens its own, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn one_client_connects_two_tenants_at_once() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let addresses = [
        (test_system.mcp_url(), "acme", &["house-style", "weekly-report"][..]),
        (test_system.mcp_url_of("acme"), "acme", &["house-style", "weekly-report"]),
        (test_system.mcp_url_of("globex"), "globex", &["incident-response"]),
    ];

    let mut all = Vec::new();
    for (url, tenant, _) in &addresses {
        all.push(connected(&connector, &ana, url, tenant).await);
    }

    assert_eq!(test_system.count("clients").await, 1);
    for ((own, tenant, found), tokens) in addresses.iter().zip(&all) {
        let claims = claims(&tokens.access).1;
        assert_eq!((&claims["aud"], &claims["tenant"]), (&json!(own), &json!(tenant)));
        for (url, ..) in &addresses {
            if url == own {
                assert_eq!(skills(&test_system, url, &tokens.access).await, *found, "{url}");
            } else {
                assert_refused(
                    &test_system,
                    &test_system.call_at(url, Some(&tokens.access), "ping", json!({})).await,
                    url,
                );
            }
        }
        let nobodys = test_system.mcp_url_of("nobody-s");
        assert_refused(
            &test_system,
            &test_system.call_at(&nobodys, Some(&tokens.access), "ping", json!({})).await,
            &nobodys,
        );
    }

    // An hour later each is refreshed for what it was for, and only one is given back.
    test_system.advance(3600);
    let mut renewed = Vec::new();
    for ((url, tenant, _), tokens) in addresses.iter().zip(all) {
        let refreshed =
            connector.refresh_with(&tokens.refresh.unwrap(), &[("resource", url)]).await.tokens(&test_system);
        let claims = claims(&refreshed.access).1;
        assert_eq!((&claims["aud"], &claims["tenant"]), (&json!(url), &json!(tenant)));
        renewed.push(refreshed);
    }
    let revoked = 1;
    assert_eq!(connector.revoke(renewed[revoked].refresh.as_ref().unwrap()).await.status, 200);
    for (place, ((url, ..), tokens)) in addresses.iter().zip(&renewed).enumerate() {
        let answer = test_system.call_at(url, Some(&tokens.access), "ping", json!({})).await;
        assert_eq!(answer.status, if place == revoked { 401 } else { 200 }, "{url}");
    }
}

/// RFC 8707 §2.2: at the token endpoint the resource is the one that was approved, or is not named.
#[tokio::test(flavor = "multi_thread")]
async fn token_audience_is_the_approved_resource() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let (main, acme, globex) =
        (test_system.mcp_url(), test_system.mcp_url_of("acme"), test_system.mcp_url_of("globex"));
    let slashed = format!("{acme}/");

    for (asked, tenant, wrong, right) in [
        (&acme, "acme", [&main, &globex], Some(acme.as_str())),
        (&slashed, "acme", [&main, &globex], Some(slashed.as_str())),
        (&acme, "acme", [&main, &globex], None),
        (&main, "acme", [&acme, &globex], Some(main.as_str())),
    ] {
        let ask = ask(&connector, asked, "skills:read");
        let code = ana.code(&ask, tenant).await;
        for wrong in wrong {
            let refused = connector.exchange_with(&ask, &code, &[("resource", Some(wrong))]).await;
            assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_target")), "{asked} {wrong}");
        }
        let tokens = connector.exchange_with(&ask, &code, &[("resource", right)]).await.tokens(&test_system);
        let refresh = tokens.refresh.unwrap();
        for wrong in wrong {
            let refused = connector.refresh_with(&refresh, &[("resource", wrong)]).await;
            assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_target")), "{asked} {wrong}");
        }
        let refreshed = connector.refresh(&refresh).await.tokens(&test_system);
        let canonical = asked.trim_end_matches('/');
        for token in [&tokens.access, &refreshed.access] {
            assert_eq!(claims(token).1["aud"], canonical);
        }
        assert_eq!(skills(&test_system, canonical, &refreshed.access).await.len(), 2);
    }
}

/// A key is its tenant's: at the main address and at its own tenant's, never at another's.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_is_rejected_at_another_tenants_url() {
    let test_system = TestSystem::new().await;
    let (key, known) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;

    for (url, opens) in [
        (test_system.mcp_url(), true),
        (test_system.mcp_url_of("acme"), true),
        (test_system.mcp_url_of("globex"), false),
        (test_system.mcp_url_of("nobody-s"), false),
    ] {
        if opens {
            assert_eq!(skills(&test_system, &url, &key).await, ["house-style", "weekly-report"], "{url}");
        } else {
            assert_refused(&test_system, &test_system.call_at(&url, Some(&key), "ping", json!({})).await, &url);
        }
    }
    let told: Vec<_> =
        test_system.audit("key_refused").into_iter().filter(|event| event["key"] == known.id.to_text()).collect();
    let event = json!({ "event": "key_refused", "key": known.id.to_text(), "reason": "another_tenant" });
    assert_eq!(told, [event.clone(), event]);
}

/// The page shows the one tenant, offers no choice, and takes no other; the address cannot be changed on the way.
#[tokio::test(flavor = "multi_thread")]
async fn the_tenant_is_fixed_on_the_consent_page() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let ask = ask(&connector, &test_system.mcp_url_of("globex"), "skills:read");

    let page = ana.sign_in(&ask.url).await;

    assert!(!page.body.contains("<input type=\"radio\"") && !page.body.contains("Acme"), "{page:?}");
    for shown in
        ["<strong><bdi>Globex</bdi></strong>", "is for this workspace only", "Your role: <bdi>viewer</bdi>", "Not you?"]
    {
        assert!(page.body.contains(shown), "{shown}");
    }
    let form = Form::find(&page, "decision").unwrap().with("decision", "approve");
    for (form, sentence) in [
        (form.clone().with("tenant", "acme"), "is for one workspace, and connects no other"),
        (form.clone().with("tenant", "nobody-s"), "is for one workspace, and connects no other"),
        (form.clone().without("tenant"), "is for one workspace, and connects no other"),
        (form.clone().with("resource", &test_system.mcp_url_of("acme")), "Please look again"),
        (form.clone().with("resource", &test_system.mcp_url()), "Please look again"),
        (form.clone().without("resource"), "Please look again"),
    ] {
        let answer = ana.submit_and_follow(&form).await;
        assert!(answer.body.contains(sentence), "{sentence}: {answer:?}");
    }
    assert_eq!(test_system.count("grants").await, 0);
    // As it stands, nothing chosen.
    let code = ana.submit(&form).await.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    let url = test_system.mcp_url_of("globex");
    let tokens = connector.exchange_with(&ask, &code, &[("resource", Some(&url))]).await.tokens(&test_system);
    assert_eq!(skills(&test_system, &url, &tokens.access).await, ["incident-response"]);
}

/// Someone who is not in that tenant learns only that: not whether it exists. They can go back, or be somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn non_member_learns_only_that_they_are_no_member() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;

    for email in ["nora@example.com", "vera@example.com"] {
        let person = test_system.person(email);
        let mut pages = Vec::new();
        for tenant in ["globex", "nobody"] {
            let ask = ask(&connector, &test_system.mcp_url_of(tenant), "skills:read");
            let page = person.sign_in(&ask.url).await;
            let form = Form::find(&page, "decision").unwrap();

            assert_eq!(page.status, 200);
            for shown in ["you are not in one with that id", "Use another account", "Go back"] {
                assert!(page.body.contains(shown), "{shown}");
            }
            assert!(!page.body.contains("value=\"approve\"") && !page.body.contains("Globex"), "{page:?}");
            let approving = form.clone().with("decision", "approve").with("allow:skills:read", "1");
            for tenant in [tenant, "acme"] {
                let again = person.submit_and_follow(&approving.clone().with("tenant", tenant)).await;
                assert!(again.body.contains("is for one workspace, and connects no other"), "{again:?}");
            }
            assert_eq!(
                person.submit(&form.clone().with("decision", "deny")).await.redirect_parameters()["error"],
                "access_denied"
            );
            // But for what is random in a request, and proves it.
            let passing = form
                .fields
                .iter()
                .filter(|(name, _)| ["state", "code_challenge", "confirmation"].contains(&name.as_str()));
            let body = passing.fold(page.body.replace(tenant, "T"), |body, (_, value)| body.replace(value, ""));
            let proof = Form::find(&page, "next").unwrap().fields;
            let proof = proof.into_iter().find(|(name, _)| name == "confirmation").unwrap().1;
            pages.push(body.replace(&proof, ""));
        }
        assert_eq!(pages[0], pages[1], "{email}");
    }
    assert_eq!(test_system.count("grants").await, 0);
}

/// A member whose role allows nothing of what is asked can only go back.
#[tokio::test(flavor = "multi_thread")]
async fn role_that_allows_nothing_requested_can_only_go_back() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let ask = ask(&connector, &test_system.mcp_url_of("globex"), "tools:execute");

    let page = ana.sign_in(&ask.url).await;

    assert!(page.body.contains("Globex") && page.body.contains("It allows nothing of what is asked."), "{page:?}");
    assert!(!page.body.contains("value=\"approve\""), "{page:?}");
    let form = Form::find(&page, "decision").unwrap();
    let approving = form.clone().with("decision", "approve").with("tenant", "globex").with("allow:tools:execute", "1");
    assert!(ana.submit_and_follow(&approving).await.body.contains("Your role in that workspace allows nothing"));
    assert_eq!(ana.submit(&form.with("decision", "deny")).await.redirect_parameters()["error"], "access_denied");
    assert_eq!(test_system.count("grants").await, 0);
}

/// MCP 2025-11-25, step-up: what a connection lacked is offered at its tenant's address, and not at another's.
#[tokio::test(flavor = "multi_thread")]
async fn pending_scopes_are_offered_at_the_tenants_url() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let (acme, globex) = (test_system.mcp_url_of("acme"), test_system.mcp_url_of("globex"));
    let tokens = connected(&connector, &ana, &acme, "acme").await;

    let call = json!({ "name": "list_views", "arguments": {} });
    let refused = test_system.call_at(&acme, Some(&tokens.access), "tools/call", call.clone()).await;

    assert_eq!((refused.status, &refused.json()["scope"]), (403, &json!("skills:read views:read")));
    let document = test_system.at("/.well-known/oauth-protected-resource/api/mcp/server/acme");
    assert_eq!(refused.json()["resource_metadata"], json!(document));
    assert!(refused.header("www-authenticate").unwrap().contains(&format!("resource_metadata=\"{document}\"")));
    for (url, offered) in [(&acme, true), (&globex, false)] {
        let page = ana.sign_in(&ask(&connector, url, "skills:read").url).await;
        assert_eq!(page.body.contains("also:acme:views:read"), offered, "{page:?}");
    }
    let ask = ask(&connector, &acme, "skills:read");
    let form = Form::find(&ana.open(&ask.url).await, "decision").unwrap();
    let code = ana.submit(&form.with("also:acme:views:read", "1").with("decision", "approve")).await;
    let code = code.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    let tokens = connector.exchange_with(&ask, &code, &[("resource", Some(&acme))]).await.tokens(&test_system);
    assert_eq!(tokens.scope, "skills:read views:read");
    assert_eq!(test_system.call_at(&acme, Some(&tokens.access), "tools/call", call).await.status, 200);
}

/// An unmodified client, from each URL alone, as often as there are URLs: also where everything that says where to look has been
/// taken out of the answers' headers on the way.
#[tokio::test(flavor = "multi_thread")]
async fn rust_sdk_connects_to_each_url_even_without_the_challenge() {
    const CHALLENGES: &[&str] = &["www-authenticate", "x-challenge", "x-amzn-remapped-www-authenticate"];
    for dropped in [&[], CHALLENGES] {
        let test_system = TestSystem::with(|options| {
            options.rename_challenge = true;
            options.drop_headers = dropped;
        })
        .await;
        let bare = test_system.request("POST", "/api/mcp/server").await;
        let left = CHALLENGES.iter().filter(|name| bare.header(name).is_some()).count();
        assert_eq!((bare.status, left > 0), (401, dropped.is_empty()), "{bare:?}");

        for (url, tenant, found) in [
            (test_system.mcp_url(), "acme", &["house-style", "weekly-report"][..]),
            (test_system.mcp_url_of("acme"), "acme", &["house-style", "weekly-report"]),
            (test_system.mcp_url_of("globex"), "globex", &["incident-response"]),
        ] {
            let mut state = OAuthState::new(url.as_str(), None).await.unwrap();
            let store = InMemoryCredentialStore::new();
            let OAuthState::Unauthorized(manager) = &mut state else { panic!("a new state") };
            manager.set_credential_store(store.clone());
            let request = RmcpAuthorizationRequest::new("http://localhost:49162/callback").with_client_name("Rust SDK");
            state.start_authorization(request).await.unwrap();
            let ask = AuthorizationRequest {
                url: state.get_authorization_url().await.unwrap(),
                verifier: String::new(),
                state: String::new(),
            };
            let landed = test_system.person(ANA).approve(&ask, tenant).await;
            state.handle_callback_url(landed.location()).await.unwrap();
            let tokens = serde_json::to_value(store.load().await.unwrap().unwrap().token_response).unwrap();
            for name in ["access_token", "refresh_token"] {
                test_system.track_secret(tokens[name].as_str().unwrap());
            }

            let client = AuthClient::new(reqwest::Client::new(), state.into_authorization_manager().unwrap());
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
            let running = ().serve(StreamableHttpClientTransport::with_client(client, config)).await.unwrap();
            let listed = pages_of_skills(async |arguments| {
                let call = CallToolRequestParams::new("list_skills").with_arguments(object(arguments));
                serde_json::to_value(running.call_tool(call).await.unwrap()).unwrap()
            });
            assert_eq!(listed.await, found, "{url}");
            assert_eq!(claims(tokens["access_token"].as_str().unwrap()).1["aud"], url);
            running.cancel().await.unwrap();
        }
        assert_eq!(test_system.count("clients").await, 1);
    }
}
