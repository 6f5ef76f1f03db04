//! Dynamic client registration (RFC 7591).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::connector::UNKNOWN_REFRESH_TOKEN;

use crate::events::event;

/// RFC 7591 §3.2.1, with what Claude sends: it asks for a secret, and is told that it is public.
#[tokio::test(flavor = "multi_thread")]
async fn registered_clients_are_always_public() {
    let test_system = TestSystem::new().await;
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

    let answer = test_system.post_json("/oauth/register", &asked).await;

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
    let test_system = TestSystem::new().await;
    let one = json!({ "client_name": "A", "redirect_uris": ["https://a.example/cb", "http://localhost/cb"] });
    let same =
        json!({ "redirect_uris": ["http://localhost/cb", "https://a.example/cb"], "client_name": " A ", "scope": "x" });
    let another = json!({ "client_name": "B", "redirect_uris": ["https://a.example/cb", "http://localhost/cb"] });

    let mut ids = Vec::new();
    for metadata in [&one, &one, &same, &another] {
        ids.push(test_system.post_json("/oauth/register", metadata).await.json()["client_id"].clone());
    }

    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[3]);
    assert_eq!(test_system.count("clients").await, 2);
}

/// RFC 7591 §3.2.2.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_metadata_is_refused_and_not_stored() {
    let test_system = TestSystem::new().await;
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
        (json!({ "redirect_uris": ["javascript:alert(1)", "urn:ietf:wg:oauth:2.0:oob"] }), address),
        (json!({ "redirect_uris": [uri, "https://a.example/cb#fragment"] }), address),
        (json!({ "redirect_uris": [uri, "https://user@a.example/cb"] }), address),
        (json!({ "redirect_uris": [uri, "https://*.a.example/cb"] }), address),
        (json!({ "redirect_uris": [uri, "cursor://callback#fragment"] }), address),
        (json!({ "redirect_uris": ["https://a.example/cb#fragment"] }), address),
        (json!({ "redirect_uris": [format!("https://a.example/{}", "a".repeat(1024))] }), address),
        (json!({ "redirect_uris": (0..17).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>() }), address),
        (json!({ "redirect_uris": [uri], "grant_types": ["refresh_token"] }), metadata),
        (json!({ "redirect_uris": [uri], "response_types": ["token"] }), metadata),
        (json!([[uri]]), metadata),
        (json!("text"), metadata),
    ] {
        let answer = test_system.post_json("/oauth/register", &asked).await;

        assert_eq!((answer.status, &answer.json()["error"]), (400, &Value::from(error)), "{asked}");
    }
    assert_eq!(test_system.count("clients").await, 0);
}

/// RFC 7591 §2: a client names the addresses of all its forms at once. What cannot be used here is left out, and the rest is kept;
/// the id is that of what is kept.
#[tokio::test(flavor = "multi_thread")]
async fn unusable_redirect_uris_are_left_out() {
    let test_system = TestSystem::new().await;
    let (hosted, loopback) = ("https://www.editor.example/agents/mcp/oauth/callback", "http://localhost:8787/callback");
    let private = "acme-editor://vendor.mcp/oauth/callback";
    let plain = json!({ "client_name": "Editor", "redirect_uris": [hosted, loopback] });
    let plain = test_system.post_json("/oauth/register", &plain).await.json();

    for (asked, kept) in [
        (vec![private, hosted, loopback], vec![hosted, loopback]),
        (vec![loopback, "http://192.168.1.20:3000/callback", hosted], vec![loopback, hosted]),
        (vec![hosted, "http://nas.lan/callback", "http://0.0.0.0:1/cb", loopback], vec![hosted, loopback]),
        (vec!["urn:ietf:wg:oauth:2.0:oob", hosted, "urn:ietf:wg:oauth:2.0:oob:auto", loopback], vec![hosted, loopback]),
        (vec![hosted, "javascript:alert(1)", "com.example.editor:/cb", "", loopback], vec![hosted, loopback]),
        (
            vec!["https://WWW.editor.example/cb", "https://www.editor.example:443/cb", hosted, loopback],
            vec![hosted, loopback],
        ),
        (vec![private, loopback], vec![loopback]),
    ] {
        let answer =
            test_system.post_json("/oauth/register", &json!({ "client_name": "Editor", "redirect_uris": asked })).await;

        assert_eq!(answer.status, 201, "{asked:?}: {answer:?}");
        let mut body = answer.json();
        let id = body.as_object_mut().unwrap().remove("client_id").unwrap();
        assert_eq!(id == plain["client_id"], kept.len() == 2, "{asked:?}");
        assert_eq!(
            body,
            json!({
                "client_name": "Editor",
                "redirect_uris": kept,
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            }),
            "{asked:?}"
        );
    }
    assert_eq!(test_system.count("clients").await, 2);
}

/// RFC 7591 §3.2.2: the sentence is true of the address that is refused.
#[tokio::test(flavor = "multi_thread")]
async fn refused_redirect_uri_is_told_the_real_reason() {
    let test_system = TestSystem::new().await;

    for (address, sentence) in [
        (
            "https://flows.example:443/rest/callback",
            "A redirect URI must not name the default port of its scheme (:443, or :80 of http).",
        ),
        (
            "http://localhost:80/callback",
            "A redirect URI must not name the default port of its scheme (:443, or :80 of http).",
        ),
        ("https://Flows.Example/rest/callback", "The scheme and the host of a redirect URI must be in lower case."),
        ("HTTPS://flows.example/rest/callback", "The scheme and the host of a redirect URI must be in lower case."),
        (
            "https://b\u{fc}cher.example/cb",
            "A redirect URI must be ASCII: write the host in Punycode (xn--), and percent-encode other letters elsewhere.",
        ),
        ("https://a.example/b c", "A redirect URI must not have a blank or a control character."),
        (
            "https://a.example/b/../c",
            "A redirect URI must be written as browsers write it: they would change this one.",
        ),
        ("https://a.example/cb#", "A redirect URI must not have a fragment (#)."),
        ("https://user@a.example/cb", "A redirect URI must not have a user or a password before its host."),
        ("https://a.example/*", "A redirect URI must not have a wildcard (*): name each address."),
        ("http://a.example/cb", "A redirect URI with http must be on a loopback host: localhost, 127.0.0.1 or [::1]."),
        ("cursor://callback", "The scheme of a redirect URI must be https, or http on a loopback host."),
        ("/callback", "A redirect URI must be an absolute URL."),
    ] {
        let answer = test_system.post_json("/oauth/register", &json!({ "redirect_uris": [address] })).await;

        let told = json!({ "error": "invalid_redirect_uri", "error_description": sentence });
        assert_eq!((answer.status, answer.json()), (400, told), "{address}");
    }
    assert_eq!(test_system.count("clients").await, 0);
}

/// A name is decoration: what may not be shown is left out, and no name refuses a registration.
#[tokio::test(flavor = "multi_thread")]
async fn client_name_never_fails_a_registration() {
    let test_system = TestSystem::new().await;
    let uris = ["https://a.example/cb"];
    let (long, cut) = ("x".repeat(101), "x".repeat(100));

    for (name, kept) in [
        (json!("Claude Code (my-server)"), Some("Claude Code (my-server)")),
        (json!("\u{2601}\u{fe0f} Cloud agent"), Some("\u{2601}\u{fe0f} Cloud agent")),
        (json!("\u{fe0f}Cloud\u{fe0f} agent\u{200d}"), Some("Cloud agent")),
        (json!("Ac\u{200d}me"), Some("Acme")),
        (json!("Cl\u{202e}edua"), Some("Cledua")),
        (json!("Two\nlines\tand more"), Some("Two lines and more")),
        (json!(long), Some(cut.as_str())),
        (json!(" "), None),
        (json!("\u{200b}"), None),
        (json!(null), None),
        (json!(7), None),
        (json!({ "en": "Claude" }), None),
    ] {
        let answer =
            test_system.post_json("/oauth/register", &json!({ "redirect_uris": uris, "client_name": name })).await;

        assert_eq!(answer.status, 201, "{name}: {answer:?}");
        assert_eq!(answer.json().get("client_name").and_then(Value::as_str), kept, "{name}");
    }
}

/// What real clients send, byte for byte, and all that they are answered: again and again one and the same client.
#[tokio::test(flavor = "multi_thread")]
async fn each_real_client_is_registered_once_with_complete_metadata() {
    let test_system = TestSystem::new().await;
    let hosted = ["https://claude.ai/api/mcp/auth_callback"];

    for (index, (name, calls_itself, redirect_uris)) in [
        ("claude", Some("Claude"), &hosted[..]),
        (
            "claude-without-name",
            None,
            &["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
        ),
        ("claude-code", Some("Claude Code (amble)"), &["http://localhost:54213/callback"]),
        ("typescript-sdk", Some("TypeScript SDK"), &["http://localhost:49160/callback"]),
        ("typescript-client", Some("TypeScript client"), &["http://localhost:49163/callback"]),
        ("python-sdk", Some("Python SDK"), &["http://localhost:49161/callback"]),
        ("rust-sdk", Some("Rust SDK"), &["http://localhost:49162/callback"]),
        ("fastmcp", Some("FastMCP Client"), &["http://localhost:58257/callback"]),
        ("inspector", Some("MCP Inspector"), &["http://127.0.0.1:6276/oauth/callback"]),
        ("mcp-remote", Some("MCP CLI Proxy"), &["http://localhost:5096/oauth/callback"]),
        ("nulls", None, &["https://client.example.com/callback"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut told = json!({
            "redirect_uris": redirect_uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        if let Some(calls_itself) = calls_itself {
            told["client_name"] = Value::from(calls_itself);
        }
        let mut ids = BTreeSet::new();
        for _ in 0..3 {
            let answer = test_system.system().invoke("register", &event(&format!("register/{name}"))).await;
            let answer: Value = serde_json::from_str(&answer.unwrap().unwrap()).unwrap();
            let mut body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            let id = body.as_object_mut().unwrap().remove("client_id").unwrap();
            ids.insert(id.as_str().unwrap().to_owned());

            assert_eq!((&answer["statusCode"], &body), (&json!(201), &told), "{name}");
            assert_eq!(answer["headers"]["cache-control"], "no-store", "{name}");
        }
        assert_eq!(ids.len(), 1, "{name}");
        assert!(ids.iter().all(|id| id.starts_with("c_") && id.len() == 45), "{ids:?}");
        assert_eq!(test_system.count("clients").await, index + 1, "{name}");
    }
}

/// Programs on a person's computer listen on another port at each connect; any is admitted, so none makes another client.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_connects_on_other_ports_are_one_client() {
    let test_system = TestSystem::new().await;
    let mut ids = BTreeSet::new();

    for port in 50_000..50_100 {
        let (localhost, address) = (format!("http://localhost:{port}/callback"), format!("http://127.0.0.1:{port}/cb"));
        let metadata = json!({ "client_name": "Claude Code", "redirect_uris": [localhost, address] });
        let answer = test_system.post_json("/oauth/register", &metadata).await;
        assert_eq!((answer.status, &answer.json()["redirect_uris"]), (201, &metadata["redirect_uris"]));
        ids.insert(answer.json()["client_id"].as_str().unwrap().to_owned());
    }

    assert_eq!((ids.len(), test_system.count("clients").await), (1, 1));
    let elsewhere = json!({ "client_name": "Claude Code", "redirect_uris": ["http://localhost:1/elsewhere"] });
    assert!(
        !ids.contains(test_system.post_json("/oauth/register", &elsewhere).await.json()["client_id"].as_str().unwrap())
    );
}

/// Whoever floods us pays with requests, which are throttled by route: what each leaves behind is small, and gone in 30 days.
#[tokio::test(flavor = "multi_thread")]
async fn registration_size_is_limited_and_expires() {
    const DAY: i64 = 24 * 3600;
    const LIMIT: usize = 8 * 1024;
    let test_system = TestSystem::new().await;
    let uris: Vec<_> = (10..26).map(|n| format!("https://a.example/{n}{}", "a".repeat(440))).collect();
    let mut metadata = json!({ "client_name": "\u{1f980}".repeat(100), "redirect_uris": uris });
    let room = LIMIT - metadata.to_string().len() - ",\"filler\":\"\"".len();
    metadata["filler"] = Value::from("x".repeat(room));
    assert_eq!(metadata.to_string().len(), LIMIT);

    assert_eq!(test_system.post_json("/oauth/register", &metadata).await.status, 201);
    metadata["filler"] = Value::from("x".repeat(room + 1));
    let refused = test_system.post_json("/oauth/register", &metadata).await;

    assert_eq!((refused.status, &refused.json()["error"]), (413, &json!("invalid_client_metadata")));
    let kept = test_system.system().items().unwrap();
    let (_, kept) = kept.iter().find(|(table, _)| table.to_lowercase().contains("clients")).unwrap();
    assert!(kept.to_string().len() < LIMIT + 1024, "{}", kept.to_string().len());
    let expires: i64 = kept["expires"]["N"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires, test_system.now() + 30 * DAY);
}

/// A registration that nobody uses is forgotten after 30 days; one that a grant rests on is not, however long that lives, and
/// registering again in between shortens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn unused_registrations_expire_and_used_ones_do_not() {
    const DAY: i64 = 24 * 3600;
    let test_system = TestSystem::new().await;
    let (unused, used) = (test_system.connector("Unused").await, test_system.connector("Used").await);
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let known = async |client: &test_system::connector::Connector<'_>| {
        client.refresh(UNKNOWN_REFRESH_TOKEN).await.status == 400
    };

    // Two grants of 180 days each, the second approved when the first is about to end.
    for _ in 0..2 {
        let ask = used.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        let mut tokens = used.exchange(&ask, &code).await.tokens(&test_system);
        for _ in 0..6 {
            test_system.advance(29 * DAY);
            assert_eq!(test_system.connector("Used").await.client_id, used.client_id);
            tokens = used.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
        }
        test_system.advance(6 * DAY);
        let ended = used.refresh(&tokens.refresh.unwrap()).await;
        assert_eq!((ended.status, &ended.json()["error"]), (400, &json!("invalid_grant")));
        ana.clear_cookies();
    }

    assert!(known(&used).await);
    let refused = unused.refresh(UNKNOWN_REFRESH_TOKEN).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    assert_eq!(test_system.connector("Unused").await.client_id, unused.client_id);
    assert!(known(&unused).await);
    for (days, kept) in [(29, true), (1, false)] {
        test_system.advance(days * DAY);
        assert_eq!(known(&unused).await, kept, "{days}");
    }
    // The grants are over: it goes as well, in its time.
    test_system.advance(60 * DAY);
    assert!(!known(&used).await);
}
