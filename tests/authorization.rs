//! A person decides (OAuth 2.1 §4.1.1, §4.1.2).

use serde_json::json;
use test_system::person::Form;
use test_system::{TestSystem, claims};

use crate::sign_in::{follows_link, mail_form};

/// OAuth 2.1 §4.1.2.1: before the client and its address are known to be right, nothing is sent anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_client_or_redirect_uri_gets_a_page_and_never_a_redirect() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;

    for changes in [
        [("client_id", None)],
        [("client_id", Some(""))],
        [("client_id", Some("c_unknown"))],
        [("client_id", Some("https://evil.example/client"))],
        [("redirect_uri", Some("https://evil.example/cb"))],
        [("redirect_uri", Some("https://claude.ai/api/mcp/auth_callback/"))],
        [("redirect_uri", Some("https://claude.ai/api/mcp/auth_callback?x=1"))],
        [("redirect_uri", Some("https://claude.ai:444/api/mcp/auth_callback"))],
        [("redirect_uri", Some("https://claude.ai/api/mcp/auth_callback#x"))],
        [("redirect_uri", Some("javascript:alert(1)"))],
        [("redirect_uri", Some("not an address"))],
    ] {
        let answer = ana.open(&connector.authorization_request_with(&changes).url).await;

        assert_eq!(answer.status, 400, "{changes:?}");
        assert_eq!(answer.header("location"), None, "{changes:?}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{changes:?}");
        // The reference that the page says is the id in the logs.
        let request_id = answer.header("apigw-requestid").unwrap();
        assert!(answer.body.contains(&format!("<code>{request_id}</code>")), "{}", answer.body);
    }
    let doubled = format!("{}&state=again", connector.authorization_request("skills:read").url);
    assert_eq!(ana.open(&doubled).await.status, 400);
}

/// What is no text has no meaning.
#[tokio::test(flavor = "multi_thread")]
async fn query_that_is_not_utf8_gets_a_page() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;

    let not_utf8 = format!("{}&scope=%ff", connector.authorization_request_with(&[]).url);
    assert_eq!(ana.open(&not_utf8).await.status, 400);
}

/// OAuth 2.1 §7.12.2: the person signs in before anything is redirected to a client, errors included.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_redirected_to_a_client_before_they_sign_in() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let stranger = test_system.person("ana@example.com");

    for ask in [
        connector.authorization_request("skills:read"),
        connector.authorization_request_with(&[("response_type", Some("token"))]),
    ] {
        let answer = stranger.open(&ask.url).await;

        assert_eq!(answer.status, 303);
        assert!(answer.location().starts_with(&test_system.at("/auth/login?next=/oauth/authorize%3F")), "{answer:?}");
    }
}

/// A malformed request ends with an error whatever client it names, so nobody looks for the client before the person has signed in.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_request_of_an_unknown_client_leads_to_sign_in_first() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    for (well_formed, status) in [(false, 303), (true, 400)] {
        let method = if well_formed { "S256" } else { "plain" };
        let changes = [("client_id", Some("c_unknown")), ("code_challenge_method", Some(method))];
        let ask = connector.authorization_request_with(&changes);
        assert_eq!(test_system.person("ana@example.com").open(&ask.url).await.status, status, "{method}");
        let page = test_system.person("ana@example.com").sign_in(&ask.url).await;
        assert_eq!(page.status, 400, "{method}: {page:?}");
        assert!(page.body.contains("This application is not known here"), "{method}: {page:?}");
    }
}

/// A request that does not fit the way through sign-in is refused at once, not after the person has typed a password.
#[tokio::test(flavor = "multi_thread")]
async fn too_long_request_is_refused_before_sign_in() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let longer = "s".repeat(8000);

    let refused = ana.open(&connector.authorization_request_with(&[("state", Some(&longer))]).url).await;
    assert_eq!((refused.status, refused.header("location")), (400, None));
}

/// RFC 6749 §4.1.1: `state` is the client's own. One of 4 KB reaches the consent page signed in or not, and comes back as it was.
#[tokio::test(flavor = "multi_thread")]
async fn long_state_passes_signed_in_or_not() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let json = format!("{{\"return\":\"{}\"}}", "/a b".repeat(150));
    let base64 = format!("relay__{}==", "ab+/".repeat(128));
    for state in ["s".repeat(521), "s".repeat(2000), "s".repeat(4096), base64, json] {
        let ana = test_system.person("ana@example.com");
        for signed_in in [false, true] {
            let ask = connector.authorization_request_with(&[("state", Some(&state)), ("scope", Some("skills:read"))]);
            let landed = ana.approve(&ask, "acme").await;

            let case = format!("{} bytes, signed in: {signed_in}", state.len());
            assert_eq!((landed.status, landed.redirect_parameters().get("state")), (303, Some(&state)), "{case}");
        }
    }
}

/// RFC 6749 §4.1.1: so it does where the person leaves for another site to sign in, or for their mail.
#[tokio::test(flavor = "multi_thread")]
async fn long_state_survives_signing_in_elsewhere() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let state = "s".repeat(4096);
    let ask = connector.authorization_request_with(&[("state", Some(&state)), ("scope", Some("skills:read"))]);

    let by_mail = test_system.person("ana@example.com");
    by_mail.submit(&mail_form(&by_mail, &ask.url).await).await;
    let page = by_mail.open_following_redirects(&follows_link(&test_system, "ana@example.com").await).await;

    let form = Form::find(&page, "decision").unwrap_or_else(|| panic!("no consent page: {page:?}"));
    let landed = by_mail.submit(&form.with("tenant", "acme").with("decision", "approve")).await;
    assert_eq!(landed.redirect_parameters()["state"], state);
    test_system.track_secret(&landed.redirect_parameters()["code"]);
    assert!(!by_mail.cookie_header().contains("mcp-login-"), "{}", by_mail.cookie_header());
}

/// RFC 6749 §3.3: a client that always requests the scopes of OpenID Connect, or a blank, names nothing that is offered here. It is
/// offered the default, and the person decides.
#[tokio::test(flavor = "multi_thread")]
async fn request_without_a_known_scope_is_offered_the_default() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let offered = async |scope: Option<&str>| {
        let page = ana.open(&connector.authorization_request_with(&[("scope", scope)]).url).await;
        let form = Form::find(&page, "decision").unwrap_or_else(|| panic!("{scope:?}: {page:?}"));
        let names = form.fields.into_iter().map(|(name, _)| name).filter(|name| name.starts_with("allow:"));
        names.collect::<Vec<_>>()
    };
    let default = offered(None).await;
    assert_eq!(default, ["allow:skills:read", "allow:views:read", "allow:tools:execute", "allow:offline_access"]);

    for scope in [
        "",
        " ",
        "   ",
        "offline_access",
        "openid",
        "openid email profile",
        "openid offline_access",
        "claudeai",
        "connections:manage",
    ] {
        assert_eq!(offered(Some(scope)).await, default, "{scope:?}");
    }
}

/// OAuth 2.1 §3.1: what means nothing here may be repeated; what means something may not. RFC 8707 §2: one resource may be named
/// several times, in several spellings, and several are told to the client.
#[tokio::test(flavor = "multi_thread")]
async fn only_parameters_that_mean_something_must_not_be_repeated() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let mcp = test_system.mcp_url();
    let (slashed, acme) = (format!("{mcp}/"), test_system.mcp_url_of("acme"));
    ana.sign_in("/auth/login").await;

    for (more, expected) in [
        (vec![("resource", mcp.as_str())], Ok(())),
        (vec![("resource", &slashed), ("resource", &mcp)], Ok(())),
        (vec![("resource", "")], Ok(())),
        (vec![("prompt", "consent"), ("prompt", "login"), ("prompt", "consent")], Ok(())),
        (vec![("access_type", "offline"), ("access_type", "offline")], Ok(())),
        (vec![("resource", "api://other")], Err("invalid_target")),
        (vec![("resource", &acme)], Err("invalid_target")),
        (vec![("resource", &mcp), ("resource", "https://elsewhere.example/mcp")], Err("invalid_target")),
        (vec![("state", "another")], Err("page")),
        (vec![("scope", "views:read")], Err("page")),
        (vec![("client_id", &connector.client_id)], Err("page")),
        (vec![("code_challenge_method", "S256")], Err("page")),
    ] {
        for signed_in in [true, false] {
            let ask = connector.authorization_request("skills:read");
            let mut url = url::Url::parse(&ask.url).unwrap();
            url.query_pairs_mut().extend_pairs(&more);
            let person = if signed_in { &ana } else { &test_system.person("ana@example.com") };
            let page = person.sign_in(url.as_str()).await;

            let case = format!("{more:?}, signed in: {signed_in}: {page:?}");
            match expected {
                Ok(()) => {
                    let form = Form::find(&page, "decision").unwrap_or_else(|| panic!("{case}"));
                    let landed = person.submit(&form.with("tenant", "acme").with("decision", "approve")).await;
                    let code = landed.redirect_parameters().remove("code").unwrap_or_else(|| panic!("{case}"));
                    test_system.track_secret(&code);
                    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
                    assert_eq!(claims(&tokens.access).1["aud"], mcp, "{case}");
                }
                Err("page") => assert_eq!((page.status, page.header("location")), (400, None), "{case}"),
                Err(error) => {
                    let told = page.redirect_parameters();
                    assert_eq!(
                        (page.status, told["error"].as_str(), &told["state"]),
                        (303, error, &ask.state),
                        "{case}"
                    );
                }
            }
        }
    }
}

/// RFC 8707 §2.2, OAuth 2.1 §3.2: the same at the token endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn only_token_parameters_that_mean_something_must_not_be_repeated() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let mcp = test_system.mcp_url();
    let slashed = format!("{mcp}/");

    for (more, error) in [
        (vec![("resource", mcp.as_str())], None),
        (vec![("resource", &slashed)], None),
        (vec![("audience", "a"), ("audience", "b")], None),
        (vec![("resource", "api://other")], Some("invalid_target")),
        (vec![("scope", "a"), ("scope", "b")], Some("invalid_request")),
        (vec![("client_id", &connector.client_id)], Some("invalid_request")),
    ] {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &connector.redirect_uri),
            ("client_id", &connector.client_id),
            ("code_verifier", &ask.verifier),
            ("resource", &mcp),
        ];
        form.extend(&more);
        let answer = test_system.post_form("/oauth/token", &form).await;
        match error {
            None => drop(answer.tokens(&test_system)),
            Some(error) => assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(error)), "{more:?}"),
        }
    }
}

/// OAuth 2.1 §4.1.2.1, RFC 9207 §2: then errors go to the client, with `state` as it came and `iss`.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_request_redirects_to_the_client_with_an_error() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let (short, padded) = ("x".repeat(42), format!("{}=", "x".repeat(43)));

    for (name, value, error) in [
        ("response_type", None, "invalid_request"),
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", Some("code id_token"), "unsupported_response_type"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some(short.as_str()), "invalid_request"),
        ("code_challenge", Some(&padded), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", Some("s256"), "invalid_request"),
        ("resource", Some("https://elsewhere.example/mcp"), "invalid_target"),
        ("resource", Some("not a resource"), "invalid_target"),
        ("scope", Some("skills:read\u{e9}"), "invalid_scope"),
    ] {
        let ask = connector.authorization_request_with(&[(name, value)]);
        let answer = ana.open(&ask.url).await;

        assert_eq!(answer.status, 303, "{name} {value:?}");
        assert!(answer.location().starts_with(&connector.redirect_uri), "{name} {value:?}");
        let mut told = answer.redirect_parameters();
        assert!(told.remove("error_description").is_some_and(|text| text.is_ascii()), "{name} {value:?}");
        let expected = [("error", error), ("iss", &test_system.issuer()), ("state", &ask.state)];
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(told.into_iter().collect::<Vec<_>>(), expected, "{name} {value:?}");
    }
}

/// OAuth 2.1 §4.1.1, RFC 8252 §7.3: exact, but on loopback any port.
#[tokio::test(flavor = "multi_thread")]
async fn loopback_client_is_redirected_to_its_port() {
    let test_system = TestSystem::new().await;
    let uris = ["http://localhost/callback", "http://127.0.0.1/callback", "http://[::1]/callback"];
    let connector = test_system.connector_at("Claude Code", &uris).await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;

    for (asked, status) in [
        ("http://localhost:51234/callback", 200),
        ("http://127.0.0.1:51234/callback", 200),
        ("http://[::1]:51234/callback", 200),
        ("http://localhost/callback", 200),
        ("http://localhost:51234/elsewhere", 400),
        ("http://127.0.0.2:51234/callback", 400),
        ("https://localhost:51234/callback", 400),
        ("http://localhost.evil.example:51234/callback", 400),
        ("http://localhost:51234@evil.example/callback", 400),
    ] {
        let page = ana.open(&connector.authorization_request_with(&[("redirect_uri", Some(asked))]).url).await;

        assert_eq!(page.status, status, "{asked}");
        assert_eq!(page.body.contains("a program on your own computer"), status == 200, "{asked}");
    }
    // OAuth 2.1 §2.3.2: with several registered, one must be named.
    assert_eq!(ana.open(&connector.authorization_request_with(&[("redirect_uri", None)]).url).await.status, 400);
}

/// OAuth 2.1 §7.10, §7.11: the page cannot be framed, cached or scripted, and shows text as text.
#[tokio::test(flavor = "multi_thread")]
async fn consent_page_names_the_client_and_cannot_be_framed_or_scripted() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("<script>alert(1)</script>").await;
    let ana = test_system.person("ana@example.com");

    let page = ana.sign_in(&connector.authorization_request("entities:write skills:read").url).await;

    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "style-src 'sha256-", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("access-control-allow-origin"), None);
    assert!(!page.body.contains("<script>alert") && page.body.matches("<script").count() == 1, "{}", page.body);
    for shown in ["claude.ai", "ana@example.com", "Acme", "Globex", "viewer", "Change records", "Stay connected"] {
        assert!(page.body.contains(shown), "{shown}");
    }
}

/// fastmcp opens the address before the browser does; some browsers open it twice.
#[tokio::test(flavor = "multi_thread")]
async fn authorize_get_writes_nothing_and_can_be_repeated() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let ask = connector.authorization_request("skills:read");

    let first = ana.sign_in(&ask.url).await;
    let second = ana.open(&ask.url).await;

    assert_eq!((first.status, second.status), (200, 200));
    // But for the confirmation, which each page has for itself.
    let [one, other] = [&first, &second].map(|page| {
        let form = Form::find(page, "decision").unwrap();
        let (_, confirmation) = form.fields.into_iter().find(|(name, _)| name == "confirmation").unwrap();
        (page.body.replace(&confirmation, ""), confirmation)
    });
    assert_eq!(one.0, other.0);
    assert_ne!(one.1, other.1);
    assert_eq!(test_system.count("grants").await, 0);
}

/// A token carries what was left ticked ∩ what the role allows.
#[tokio::test(flavor = "multi_thread")]
async fn token_scope_is_what_was_approved_and_the_role_allows() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let asked = "tools:execute skills:read entities:write";

    for (email, tenant, unticked, carries, named) in [
        (
            "ana@example.com",
            "acme",
            vec![],
            "tools:execute skills:read entities:read entities:write",
            "tools:execute skills:read entities:write",
        ),
        (
            "ana@example.com",
            "acme",
            vec!["tools:execute"],
            "skills:read entities:read entities:write",
            "skills:read entities:write",
        ),
        ("ana@example.com", "globex", vec![], "skills:read entities:read", "skills:read entities:read"),
        ("vera@example.com", "acme", vec!["skills:read"], "entities:read", "entities:read"),
    ] {
        let person = test_system.person(email);
        let ask = connector.authorization_request(asked);
        let landed = person.approve_without(&ask, tenant, &unticked).await;
        let tokens = connector.exchange(&ask, &landed.redirect_parameters()["code"]).await.tokens(&test_system);

        assert_eq!(claims(&tokens.access).1["scope"], carries, "{email} {tenant} {unticked:?}");
        assert_eq!(claims(&tokens.access).1["tenant"], tenant);
        assert_eq!(tokens.scope, named, "{email} {tenant} {unticked:?}");
    }
}

/// RFC 6749 §3.3: without `scope`, what a first connection needs.
#[tokio::test(flavor = "multi_thread")]
async fn request_without_scope_gets_the_default_scopes() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request_with(&[]);

    let code = test_system.person("ana@example.com").code(&ask, "acme").await;

    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    assert_eq!(tokens.scope, "tools:execute skills:read views:read offline_access");
}

/// OAuth 2.1 §4.1.2.1: `access_denied`.
#[tokio::test(flavor = "multi_thread")]
async fn denied_consent_redirects_with_access_denied() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let ask = connector.authorization_request("skills:read");
    let form = Form::find(&ana.sign_in(&ask.url).await, "decision").unwrap();

    let answer = ana.submit(&form.with("decision", "deny")).await;

    assert_eq!(answer.status, 303);
    assert_eq!(answer.redirect_parameters()["error"], "access_denied");
    assert_eq!(answer.redirect_parameters()["state"], ask.state);
    assert_eq!(test_system.count("grants").await, 0);
}

/// What cannot be approved brings the page again, with a sentence, and keeps nothing.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_choice_shows_the_consent_page_again() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let form =
        Form::find(&ana.sign_in(&connector.authorization_request("tools:execute").url).await, "decision").unwrap();
    let approving = form.clone().with("decision", "approve");

    for (form, sentence) in [
        (approving.clone(), "Choose the workspace"),
        (approving.clone().with("tenant", "another"), "Choose the workspace"),
        (approving.clone().with("tenant", "globex"), "Your role in that workspace allows nothing"),
        (approving.clone().with("tenant", "acme").without("allow:tools:execute"), "Leave at least one permission"),
        (form.clone().with("tenant", "acme"), "Choose Approve or Deny"),
        (approving.clone().with("tenant", "acme").with("confirmation", "made up"), "Please look again"),
        (approving.clone().with("tenant", "acme").without("confirmation"), "Please look again"),
        (approving.clone().with("tenant", "acme").with("scope", "entities:write"), "Please look again"),
    ] {
        let answer = ana.submit_and_follow(&form).await;

        assert_eq!(answer.status, 200, "{sentence}");
        assert!(answer.body.contains(sentence), "{sentence}");
        assert!(Form::find(&answer, "decision").is_some());
    }
    assert_eq!(test_system.count("grants").await, 0);
}

/// OAuth 2.1 §7.10: a form from elsewhere, or from another person's page, approves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn consent_form_of_another_site_or_person_approves_nothing() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let (ana, ben) = (test_system.person("ana@example.com"), test_system.person("ben@example.com"));
    let ask = connector.authorization_request("skills:read");
    let form = Form::find(&ana.sign_in(&ask.url).await, "decision").unwrap();
    let form = form.with("tenant", "acme").with("decision", "approve");
    ben.sign_in("/auth/login").await;

    let again = test_system.at("/oauth/authorize?");
    let as_ben = ben.submit(&form).await;
    assert!(as_ben.status == 303 && as_ben.location().starts_with(&again), "{as_ben:?}");
    for headers in
        [[("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-site")], [("origin", "https://evil.example")]]
    {
        let elsewhere = ana.submit_with(&form, &headers).await;
        assert!(elsewhere.status == 303 && elsewhere.location().starts_with(&again), "{headers:?}: {elsewhere:?}");
        let page = ana.open(elsewhere.location()).await;
        assert!(page.body.contains("Please look again and decide"), "{headers:?}: {page:?}");
        // Nor does it choose anything for them.
        assert!(!page.body.contains(" checked autofocus") && !page.body.contains("required checked"), "{page:?}");
    }
    assert_eq!(test_system.count("grants").await, 0);
}

/// Signed out elsewhere, but the browser still holds a token that looks good: asked online, at the moment that matters.
#[tokio::test(flavor = "multi_thread")]
async fn session_ended_elsewhere_cannot_approve() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let form = Form::find(&ana.sign_in(&connector.authorization_request("skills:read").url).await, "decision").unwrap();
    test_system.supabase().sign_out_everywhere("ana@example.com");

    let answer = ana.submit(&form.with("tenant", "acme").with("decision", "approve")).await;

    assert_eq!(answer.status, 303);
    assert!(answer.location().starts_with(&test_system.at("/auth/login?next=")), "{answer:?}");
    assert_eq!(test_system.count("grants").await, 0);
}

/// A person in no tenant is told so, and can go back.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_a_tenant_can_only_go_back() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let nora = test_system.person("nora@example.com");

    let page = nora.sign_in(&connector.authorization_request("skills:read").url).await;

    assert_eq!(page.status, 200);
    assert!(page.body.contains("You are not in any workspace yet"));
    let form = Form::find(&page, "decision").unwrap();
    let approved = nora.submit_and_follow(&form.clone().with("decision", "approve").with("tenant", "acme")).await;
    assert!(approved.body.contains("Choose the workspace"), "{approved:?}");
    assert_eq!(nora.submit(&form.with("decision", "deny")).await.redirect_parameters()["error"], "access_denied");
}

/// Several connections of one person and client live side by side.
#[tokio::test(flavor = "multi_thread")]
async fn new_approval_keeps_older_grants() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");

    let mut all = Vec::new();
    for tenant in ["acme", "acme", "globex"] {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, tenant).await;
        all.push(connector.exchange(&ask, &code).await.tokens(&test_system));
    }

    for tokens in all {
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    }
}
