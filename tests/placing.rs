//! Beside a product: the MCP server on another host than the issuer, and the console and the sign-in page at other paths.

use serde_json::json;
use test_system::certificate_authority::certify;
use test_system::person::Form;
use test_system::placement::nginx::{self, Nginx};
use test_system::{TestSystem, claims};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ANA: &str = "ana@example.com";
const DOCUMENT: &str = include_str!("../docs/placing.md");
/// On the product's host, which passes that one path on.
const RESOURCE: &str = "https://app.example.com/api/mcp/server";

async fn with_parameters(parameters: &[(&str, &str)]) -> TestSystem {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    TestSystem::with(|options| options.parameters = parameters).await
}

async fn with_moved_paths() -> TestSystem {
    with_parameters(&[("AdminPath", "/connections"), ("AuthPath", "/product/account")]).await
}

/// RFC 9728 §3.3: the document names the address that was pasted. The challenge names the document where it is always served.
#[tokio::test(flavor = "multi_thread")]
async fn documents_of_a_resource_on_another_host_name_it() {
    let test_system = with_parameters(&[("ResourceUrl", RESOURCE)]).await;
    let issuer = test_system.issuer();
    let well_known = format!("{issuer}/.well-known/oauth-protected-resource");
    for (path, resource, name) in [
        ("", RESOURCE.to_owned(), "Amble"),
        ("/api/mcp/server", RESOURCE.to_owned(), "Amble"),
        ("/api/mcp/server/", format!("{RESOURCE}/"), "Amble"),
        ("/api/mcp/server/acme", format!("{RESOURCE}/acme"), "Amble (acme)"),
    ] {
        let answer = test_system.get(&format!("{well_known}{path}")).await;

        let expected = json!({
            "resource": resource,
            "authorization_servers": [issuer],
            "scopes_supported": ["tools:execute", "skills:read", "views:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": name,
        });
        assert_eq!((answer.status, answer.json()), (200, expected), "{path}");
    }
    let server = test_system.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!((&server["issuer"], &server["protected_resources"]), (&json!(issuer), &json!([RESOURCE])));
    for path in ["/api/mcp/server", "/api/mcp/server/acme"] {
        let challenged = test_system.call_at(&test_system.at(path), None, "tools/list", json!({})).await;

        let metadata = format!("{well_known}{path}");
        let challenge =
            format!("Bearer resource_metadata=\"{metadata}\", scope=\"tools:execute skills:read views:read\"");
        assert_eq!((challenged.status, challenged.header("www-authenticate")), (401, Some(challenge.as_str())));
        assert_eq!(challenged.json()["resource_metadata"], json!(metadata));
    }
}

/// RFC 8707: tokens are for that address and no other, the issuer's own included.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_for_the_resource_on_its_host() {
    let test_system = with_parameters(&[("ResourceUrl", RESOURCE)]).await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "tools:execute offline_access").await;
    let (_, claimed) = claims(&tokens.access);
    assert_eq!((&claimed["aud"], &claimed["iss"]), (&json!(RESOURCE), &json!(test_system.issuer())));

    let here = test_system.at("/api/mcp/server");
    let called = test_system.call_at(&here, Some(&tokens.access), "tools/list", json!({})).await;
    assert_eq!(called.status, 200, "{called:?}");
    let of_a_tenant = test_system.at("/api/mcp/server/acme");
    let refused = test_system.call_at(&of_a_tenant, Some(&tokens.access), "tools/list", json!({})).await;
    assert_eq!(refused.status, 401, "{refused:?}");

    let refresh = tokens.refresh.expect("a refresh token");
    for (resource, expected) in [(here.as_str(), "invalid_target"), (&test_system.issuer(), "invalid_target")] {
        let answer = connector.refresh_with(&refresh, &[("resource", resource)]).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!(expected)), "{resource}");
    }
    for resource in [RESOURCE, "https://app.example.com", "HTTPS://APP.example.com/api/mcp/server/"] {
        let answer = connector.refresh_with(&refresh, &[("resource", resource)]).await;
        let (_, claimed) = claims(&answer.tokens(&test_system).access);
        assert_eq!(claimed["aud"], json!(RESOURCE), "{resource}");
    }
    let request = connector.authorization_request_with(&[("scope", Some("tools:execute")), ("resource", Some(&here))]);
    let answer = test_system.person(ANA).sign_in(&request.url).await;
    assert_eq!(answer.redirect_parameters()["error"], "invalid_target");
}

/// MCP 2026-07-28, transports: pages of both hosts are ours.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_both_hosts_may_call_the_mcp_server() {
    let test_system = with_parameters(&[("ResourceUrl", RESOURCE)]).await;
    let issuer = test_system.issuer();
    for (origin, status) in [
        (issuer.as_str(), 401),
        ("https://app.example.com", 401),
        ("http://app.example.com", 403),
        ("https://evil.example", 403),
    ] {
        let request = test_system.http().post(test_system.at("/api/mcp/server")).header("origin", origin);
        assert_eq!(test_system.send(request).await.status, status, "{origin}");
    }
}

/// From the client's link to the approval: no step leads to `/admin` or `/auth`.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_and_consent_are_at_the_moved_paths() {
    let test_system = with_moved_paths().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person(ANA));
    let ask = connector.authorization_request("tools:execute offline_access");

    let to_sign_in = ana.open(&ask.url).await;
    let sign_in = test_system.at("/product/account/login");
    assert!(to_sign_in.location().starts_with(&format!("{sign_in}?next=/oauth/authorize%3F")), "{to_sign_in:?}");
    let page = ana.open_following_redirects(to_sign_in.location()).await;
    let form = Form::find(&page, "password").expect("a form");
    assert_eq!(form.action, "/product/account/login/password");
    assert!(page.body.contains("formaction=\"/product/account/login/code\""), "{page:?}");
    assert!(page.body.contains("action=\"/product/account/login/social\""), "{page:?}");

    let consent = ana.sign_in(&ask.url).await;
    assert!(consent.body.contains("action=\"/product/account/logout\""), "{consent:?}");
    assert!(consent.body.contains(&test_system.at("/connections")), "{consent:?}");
    let code = ana.code(&ask, "acme").await;
    assert_eq!(connector.exchange(&ask, &code).await.status, 200);
}

/// Its links, its forms, and the way back after signing in.
#[tokio::test(flavor = "multi_thread")]
async fn console_is_at_the_moved_path() {
    let test_system = with_moved_paths().await;
    test_system.connect(ANA, "acme", "tools:execute offline_access").await;
    test_system.settled().await;
    let ana = test_system.person(ANA);

    let to_sign_in = ana.open("/connections/acme/connections?after=").await;
    let sign_in = test_system.at("/product/account/login");
    let expected = format!("{sign_in}?next=/connections/acme/connections%3Fafter%3D");
    assert_eq!((to_sign_in.status, to_sign_in.location()), (303, expected.as_str()));
    let page = ana.sign_in("/connections").await;
    for there in
        ["/connections/permissions?connection=", "/connections/end?connection=", "/connections/acme/connections"]
    {
        assert!(page.body.contains(&format!("href=\"{there}")), "{there}: {page:?}");
    }
    assert!(page.body.contains("action=\"/product/account/logout\""), "{page:?}");
    assert!(!page.body.contains("/admin"), "{page:?}");

    let confirm = ana.open("/connections/end?all=yes").await;
    let form = Form::find(&confirm, "confirmation").expect("a form");
    let logout = |form: &Form| form.action.ends_with("/logout");
    assert!(logout(&form), "the first form signs out: {form:?}");
    let end = confirm.body.split("<form").find(|form| form.contains("name=\"all\"")).expect("the form that ends");
    assert!(end.contains("action=\"/connections/end\""), "{end}");

    let described = test_system.get("/connections/api/openapi.json").await.json();
    let paths: Vec<_> = described["paths"].as_object().expect("paths").keys().cloned().collect();
    assert!(paths.contains(&"/connections/api/me/connections".to_owned()), "{paths:?}");
    assert!(paths.iter().all(|path| path.starts_with("/connections/api/")), "{paths:?}");
}

/// A provider returns to the callback that the project's list has.
#[tokio::test(flavor = "multi_thread")]
async fn provider_returns_to_the_moved_callback() {
    let test_system = with_moved_paths().await;
    let person = test_system.person(ANA);
    let page = person.open("/product/account/login").await;
    let form = Form::find(&page, "provider").unwrap_or_else(|| panic!("no providers: {page:?}"));
    let leaving = person.submit_and_follow(&form.with("provider", "google")).await;

    let callback = test_system.at("/product/account/callback");
    let callback: String = url::form_urlencoded::byte_serialize(callback.as_bytes()).collect();
    assert!(leaving.body.contains(&callback), "{leaving:?}");
}

/// The template of the mail knows our mails by where they lead: to the output `NextSupabase`, without the `**` at its end.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_mail_leads_to_the_moved_callback() {
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml")).expect("a file");
    assert!(template.contains("Value: !Sub ${Issuer}${AuthPath}/callback**"), "another NextSupabase");
    let test_system = with_moved_paths().await;
    let callback = test_system.at("/product/account/callback");
    let of_template = callback.clone();
    test_system.supabase().configure(|config| config.callback_of_template = Some(of_template));
    let ana = test_system.person(ANA);
    let form = Form::find(&ana.open("/product/account/login").await, "password").expect("a form");
    let form = Form { action: "/product/account/login/code".to_owned(), ..form.without("password") };
    ana.submit(&form.with("email", ANA)).await;

    let link = test_system.supabase().inbox(ANA).pop().expect("a mail").link;
    assert!(link.starts_with(&format!("{callback}?flow=")) && link.contains("&token_hash="), "{link}");
    let button = Form::find(&ana.open_following_redirects(&link).await, "token_hash").expect("a button");
    assert_eq!(button.action, "/product/account/login/link");
    assert!(ana.submit_and_follow(&button).await.body.contains("You are signed in"));
}

/// They belong to the product.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_at_the_former_paths() {
    let test_system = with_moved_paths().await;
    for path in ["/admin", "/admin/acme/keys", "/admin/api/openapi.json", "/auth/login", "/auth/callback"] {
        assert_eq!(test_system.get(path).await.status, 404, "{path}");
    }
}

/// With the same path as ours would have, or any other: its session has the product's name, and its own form signs out.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_page_of_the_product_may_be_on_the_same_host() {
    let login = "https://connect.example.com/auth/login";
    let test_system = with_parameters(&[("Issuer", "https://connect.example.com"), ("LoginUrl", login)]).await;
    let answer = test_system.get("/admin").await;
    assert_eq!((answer.status, answer.location()), (303, format!("{login}?next=/admin").as_str()));
}

/// What `docs/placing.md` has nginx pass on: our paths, at the API's own paths and host, by a connection that is proven, with what proves
/// the proxy in place of what a client sends under that name.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx: tests/run placed"]
async fn nginx_passes_on_what_the_documents_say() {
    // Fails only when it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authority = std::env::temp_dir().join(format!("amble-nginx-authority-{}.pem", std::process::id()));
    let tls = certify(nginx::API, &authority);
    let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = api.local_addr().unwrap();
    let (heads, mut received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = api.accept().await {
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0 {}
            // Whoever does not trust the certificate sends nothing.
            if head.is_empty() {
                continue;
            }
            heads.send(String::from_utf8(head).unwrap().to_lowercase()).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    let mut proxy = Nginx::reserve();
    proxy.start_over_tls(address, &authority);
    let get = async |origin: String, path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("{origin}{path}")).header("x-origin-verify", "of-a-stranger");
        request.header("x-forwarded-for", "192.0.2.1").send().await.unwrap().status().as_u16()
    };
    for (path, passed_on) in [
        ("/api/mcp/server", "/api/mcp/server"),
        ("/api/mcp/server/acme", "/api/mcp/server/acme"),
        ("/oauth/authorize?state=a%20b+c", "/oauth/authorize?state=a%20b+c"),
        (
            "/.well-known/oauth-protected-resource/api/mcp/server",
            "/.well-known/oauth-protected-resource/api/mcp/server",
        ),
        ("/tools/.well-known/jwks.json", "/tools/.well-known/jwks.json"),
        ("/hooks/membership", "/hooks/membership"),
        ("/connect/admin", "/admin"),
        ("/connect/admin/acme/keys?after=a%2Fb", "/admin/acme/keys?after=a%2Fb"),
        ("/connect/auth/login?next=%2fconnect%2fadmin", "/auth/login?next=%2fconnect%2fadmin"),
    ] {
        assert_eq!(get(proxy.origin(), path).await, 204, "{path}");

        let head = received.recv().await.unwrap();
        let of = |name: &str| head.lines().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
        assert_eq!(head.lines().next().unwrap(), format!("get {} http/1.1", passed_on.to_lowercase()));
        assert_eq!(of("host: "), [nginx::API]);
        assert_eq!(of("x-origin-verify: "), [nginx::SECRET]);
        assert_eq!(of("x-forwarded-for: "), ["192.0.2.1, 127.0.0.1"]);
    }
    for path in
        ["/", "/admin", "/auth/login", "/connect/administration", "/oauth/other", "/.well-known/openid-configuration"]
    {
        assert!([200, 404].contains(&get(proxy.origin(), path).await), "{path}");
    }
    // Somebody else at the API's address.
    let _ = certify(nginx::API, &authority);
    let mut other = Nginx::reserve();
    other.start_over_tls(address, &authority);
    assert_eq!(get(other.origin(), "/api/mcp/server").await, 502);
    assert!(received.try_recv().is_err(), "nothing was sent to the product, or to somebody else");
    std::fs::remove_file(authority).unwrap();
}

/// The path patterns that `docs/placing.md` gives CloudFront lead to every route of ours, and to no path of the product.
#[tokio::test(flavor = "multi_thread")]
async fn cloudfront_behaviors_lead_to_every_route_and_to_nothing_else() {
    let section = DOCUMENT.split("## Put CloudFront in front").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.trim().strip_prefix("| `")?.split('`').next());
    let patterns: Vec<_> = rows.filter(|pattern| pattern.starts_with('/')).collect();
    let matches = |path: &str| {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == *pattern,
        })
    };
    let test_system = TestSystem::new().await;
    for route in test_system.system().routes().into_keys() {
        let path = route.split_once(' ').unwrap().1;
        let moved = ["/admin", "/auth"].into_iter().find(|prefix| path.starts_with(prefix));
        let public = if moved.is_some() { format!("/connect{path}") } else { path.to_owned() };
        assert!(matches(&public), "{public}: {patterns:?}");
    }
    for path in [
        "/",
        "/admin",
        "/auth/login",
        "/connect",
        "/connect/administration",
        "/oauth/callback",
        "/api/mcp/server-keys",
        "/.well-known/apple-app-site-association",
        "/api/mcp",
        "/hooks/other",
    ] {
        assert!(!matches(path), "{path}: {patterns:?}");
    }
}

/// The function that `docs/placing.md` gives CloudFront moves the two prefixes and nothing else.
#[test]
#[ignore = "needs Node, which tests/run clients has"]
fn cloudfront_function_moves_the_two_prefixes() {
    let paths = [
        ("/connect/admin", "/admin"),
        ("/connect/admin/acme/keys", "/admin/acme/keys"),
        ("/connect/auth/login/code", "/auth/login/code"),
        ("/connect/administration", "/connect/administration"),
        ("/x/connect/admin", "/x/connect/admin"),
        ("/api/mcp/server/acme", "/api/mcp/server/acme"),
    ];
    let function = DOCUMENT.split("   function handler").nth(1).unwrap().split("```").next().unwrap();
    let asked = serde_json::to_string(&paths.map(|(path, _)| path)).unwrap();
    let script = format!(
        "function handler{function}; console.log(JSON.stringify({asked}.map((uri) => handler({{ request: {{ uri }} }}).uri)))"
    );
    let output = std::process::Command::new("node").args(["-e", &script]).output().unwrap();
    let moved: Vec<String> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(moved, paths.map(|(_, moved)| moved));
}
