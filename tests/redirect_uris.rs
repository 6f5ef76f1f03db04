//! Where a client may be answered: exactly where it registered, on loopback at any port, and at no other scheme.

use std::collections::BTreeMap;

use serde_json::json;
use test_system::TestSystem;
use test_system::connector::Connector;
use test_system::person::Form;

/// OAuth 2.1 §2.3, §8.4.2; MCP allows https and loopback only. Whatever the URL standard would rewrite is none.
#[tokio::test(flavor = "multi_thread")]
async fn redirect_uris_are_validated_at_registration() {
    let test_system = TestSystem::new().await;

    for (address, registered) in [
        ("https://client.example/cb", true),
        ("https://client.example", true),
        ("https://client.example:8443/cb?tenant=a&b=%20", true),
        ("https://xn--hst-sna.example/cb", true),
        ("http://localhost/cb", true),
        ("http://localhost:51234/cb", true),
        ("http://127.0.0.1:51234/cb", true),
        ("http://[::1]:51234/cb", true),
        ("http://localhost:51234", true),
        ("http://client.example/cb", false),
        ("http://127.0.0.2:51234/cb", false),
        ("http://127.1:51234/cb", false),
        ("http://2130706433/cb", false),
        ("http://0.0.0.0:51234/cb", false),
        ("http://[::ffff:127.0.0.1]:51234/cb", false),
        ("http://[0:0:0:0:0:0:0:1]:51234/cb", false),
        ("http://localhost.:51234/cb", false),
        ("http://localhost.example/cb", false),
        ("http://sub.localhost:51234/cb", false),
        ("http://LOCALHOST/cb", false),
        ("http://localhost:99999/cb", false),
        ("http://localhost@evil.example/cb", false),
        ("https://user:password@client.example/cb", false),
        ("https://client.example/cb#fragment", false),
        ("https://client.example/a/../cb", false),
        ("https://client.example\\@evil.example/cb", false),
        ("https://clïent.example/cb", false),
        ("https:/client.example/cb", false),
        ("https://", false),
        ("//client.example/cb", false),
        ("/cb", false),
        ("", false),
        (" https://client.example/cb", false),
        ("https://client.example/c b", false),
        ("cursor://anysphere.cursor-mcp/oauth/callback", false),
        ("vscode://callback", false),
        ("com.example.app:/callback", false),
        ("urn:ietf:wg:oauth:2.0:oob", false),
        ("javascript:alert(1)//https://client.example", false),
        ("data:text/html,https://client.example", false),
        ("file:///tmp/cb", false),
        ("ftp://client.example/cb", false),
        ("ws://localhost/cb", false),
        ("https://client.example/cb?encode=1&states=2&a=code", true),
        ("https://client.example/cb?code=stolen", false),
        ("https://client.example/cb?tenant=a&state=known", false),
        ("https://client.example/cb?iss=https://other.example", false),
        ("https://client.example/cb?%63ode=stolen", false),
        ("https://client.example/cb?a=b;code=stolen", false),
        ("https://client.example/cb?code[]=stolen", false),
        ("http://localhost:51234/cb?error=none", false),
        ("http://localhost:51234/cb?error_description=none", false),
    ] {
        let answer = test_system.post_json("/oauth/register", &json!({ "redirect_uris": [address] })).await;

        assert_eq!(answer.status, if registered { 201 } else { 400 }, "{address}: {answer:?}");
        if registered {
            assert_eq!(answer.json()["redirect_uris"], json!([address]));
        } else {
            assert_eq!(answer.json()["error"], "invalid_redirect_uri", "{address}");
        }
    }
}

/// OAuth 2.1 §4.1.1, §8.4.2, RFC 8252 §7.3: what was registered, and what may then be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn redirect_uri_must_match_a_registered_one() {
    const REFUSED: u16 = 400;
    let test_system = TestSystem::new().await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let mut clients = BTreeMap::new();

    for (registered, asked, status) in [
        ("https://a.example/cb", Some("https://a.example/cb"), 200),
        ("https://a.example/cb", None, 200),
        ("https://a.example/cb", Some("https://a.example/cb/"), REFUSED),
        ("https://a.example/cb", Some("https://a.example/CB"), REFUSED),
        ("https://a.example/cb", Some("https://a.example/cb?x=1"), REFUSED),
        ("https://a.example/cb", Some("https://a.example/cb#x"), REFUSED),
        ("https://a.example/cb", Some("https://a.example:443/cb"), REFUSED),
        ("https://a.example/cb", Some("https://a.example:8443/cb"), REFUSED),
        ("https://a.example/cb", Some("https://A.example/cb"), REFUSED),
        ("https://a.example/cb", Some("https://sub.a.example/cb"), REFUSED),
        ("https://a.example/cb", Some("https://a.example/cb/../cb"), REFUSED),
        ("https://a.example/cb", Some("https://a.example/%63b"), REFUSED),
        ("https://a.example/cb", Some("http://a.example/cb"), REFUSED),
        ("https://a.example/cb?x=1", Some("https://a.example/cb?x=1"), 200),
        ("https://a.example/cb?x=1", Some("https://a.example/cb"), REFUSED),
        ("https://a.example:8443/cb", Some("https://a.example:8443/cb"), 200),
        ("https://a.example:8443/cb", Some("https://a.example/cb"), REFUSED),
        ("http://localhost/cb", Some("http://localhost/cb"), 200),
        ("http://localhost/cb", Some("http://localhost:51234/cb"), 200),
        ("http://localhost:4444/cb", Some("http://localhost:51234/cb"), 200),
        ("http://localhost:4444/cb", Some("http://localhost/cb"), 200),
        ("http://127.0.0.1:4444/cb", Some("http://127.0.0.1:51234/cb"), 200),
        ("http://[::1]:4444/cb", Some("http://[::1]:51234/cb"), 200),
        ("http://localhost:4444/cb?x=1", Some("http://localhost:51234/cb?x=1"), 200),
        // Only the request knows the port.
        ("http://localhost:4444/cb", None, REFUSED),
        ("http://localhost:4444/cb", Some("http://127.0.0.1:4444/cb"), REFUSED),
        ("http://127.0.0.1:4444/cb", Some("http://localhost:4444/cb"), REFUSED),
        ("http://127.0.0.1:4444/cb", Some("http://[::1]:4444/cb"), REFUSED),
        ("http://localhost:4444/cb", Some("https://localhost:4444/cb"), REFUSED),
        ("http://localhost:4444/cb", Some("http://localhost:51234/other"), REFUSED),
        ("http://localhost:4444/cb", Some("http://localhost:51234/cb?x=1"), REFUSED),
        ("http://localhost:4444/cb", Some("http://localhost:51234/cb#x"), REFUSED),
        ("http://localhost:4444/cb", Some("http://user@localhost:51234/cb"), REFUSED),
        ("http://localhost:4444/cb", Some("http://localhost.evil.example:51234/cb"), REFUSED),
        ("http://localhost:4444/cb", Some("http://localhost:51234@evil.example/cb"), REFUSED),
        ("http://localhost:4444/cb", Some("http://127.0.0.2:51234/cb"), REFUSED),
        ("http://localhost:4444/cb", Some("cursor://localhost/cb"), REFUSED),
    ] {
        if !clients.contains_key(registered) {
            clients.insert(registered, test_system.connector_at(registered, &[registered]).await);
        }
        let answer = ana.open(&clients[registered].authorization_request_with(&[("redirect_uri", asked)]).url).await;

        assert_eq!((answer.status, answer.header("location")), (status, None), "{registered} {asked:?}");
        assert_eq!(Form::find(&answer, "decision").is_some(), status == 200, "{registered} {asked:?}");
    }
}

/// An address that the registration left out: the page says that it was, and why, and nothing is sent there.
#[tokio::test(flavor = "multi_thread")]
async fn authorize_with_a_dropped_redirect_uri_says_why() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let private = "acme-editor://vendor.mcp/oauth/callback";
    let (lan, hosted) = ("http://192.168.1.20:3000/callback", "https://www.editor.example/callback");
    let uris = [private, lan, "https://Other.example/cb", hosted];
    let registered =
        test_system.post_json("/oauth/register", &json!({ "client_name": "Editor", "redirect_uris": uris })).await;
    let client_id = registered.json()["client_id"].as_str().unwrap().to_owned();
    let connector = Connector { test_system: &test_system, client_id, redirect_uri: hosted.to_owned(), secret: None };

    for (asked, reason) in [
        (private, "The scheme of a redirect URI must be https, or http on a loopback host."),
        (lan, "A redirect URI with http must be on a loopback host: localhost, 127.0.0.1 or [::1]."),
        ("https://Other.example/cb", "The scheme and the host of a redirect URI must be in lower case."),
    ] {
        let page = ana.open(&connector.authorization_request_with(&[("redirect_uri", Some(asked))]).url).await;

        assert_eq!((page.status, page.header("location")), (400, None), "{asked}");
        for shown in ["This application cannot be answered there", "it was left out", reason] {
            assert!(page.body.contains(shown), "{asked}: {page:?}");
        }
        assert!(!page.body.contains(asked), "{asked}");
        let stranded = test_system.audit("authorization_stranded");
        assert_eq!(stranded.last().unwrap()["reason"], "unusable_address", "{asked}");
    }
    // The others work.
    let page = ana.open(&connector.authorization_request("skills:read").url).await;
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
}

/// OAuth 2.1 §2.3, §4.1.2: the answer goes to the port that was asked for, keeps the query, and the code is bound to it.
#[tokio::test(flavor = "multi_thread")]
async fn response_goes_to_the_requested_redirect_uri() {
    let test_system = TestSystem::new().await;
    let mut client = test_system.connector_at("Native", &["http://127.0.0.1:4444/cb?from=amble"]).await;
    client.redirect_uri = "http://127.0.0.1:51234/cb?from=amble".to_owned();
    let ask = client.authorization_request("skills:read");

    let landed = test_system.person("ana@example.com").approve(&ask, "acme").await;

    assert!(landed.location().starts_with("http://127.0.0.1:51234/cb?from=amble&code=ac_"), "{landed:?}");
    let code = landed.redirect_parameters()["code"].clone();
    let other = [("redirect_uri", Some("http://127.0.0.1:4444/cb?from=amble"))];
    assert_eq!(client.exchange_with(&ask, &code, &other).await.json()["error"], "invalid_grant");
    assert_eq!(client.exchange(&ask, &code).await.status, 200);
}
