//! Clients that describe themselves at the address that is their id (draft-ietf-oauth-client-id-metadata-document-01).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::oauth::tenant::PersonId;
use test_system::TestSystem;
use test_system::connector::{Connector, UNKNOWN_REFRESH_TOKEN};
use test_system::http_response::HttpResponse;
use test_system::metadata_document_host::{Behaviour, MetadataDocumentHost, http};
use test_system::person::{Form, Person};
use test_system::recorded_calls::RecordedCalls;

const LOOPBACK: &str = "http://localhost/callback";
const DAY: i64 = 24 * 3600;

/// Discovery says so, and then a client connects without having registered: page, code, tokens, a call, a refresh, and an end.
#[tokio::test(flavor = "multi_thread")]
async fn client_connects_by_its_metadata_document_repeatedly() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = test_system.person("ana@example.com");
    let metadata = test_system.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    assert!(metadata["token_endpoint_auth_methods_supported"].as_array().unwrap().contains(&json!("none")));
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &[LOOPBACK]);
    let connector = Connector { redirect_uri: "http://localhost:51234/callback".to_owned(), ..connector };

    for _ in 0..3 {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
        assert_eq!(connector.tool(&tokens.access, "list_skills", json!({})).await.status, 200);
        let tokens = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
        assert_eq!(test_system::claims(&tokens.access).1["client_id"], *connector.client_id);
        assert_eq!(connector.revoke(&tokens.access).await.status, 200);
        assert_eq!(connector.tool(&tokens.access, "list_skills", json!({})).await.status, 401);
    }

    assert_eq!((test_system.count("clients").await, documents.request_count("/client.json")), (1, 1));
}

/// AS-72…75: what of a document counts, and what of it is ignored.
#[tokio::test(flavor = "multi_thread")]
async fn unsupported_metadata_is_ignored() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = signed_in(&test_system).await;
    for (path, changes, stays) in [
        ("/plain", json!({}), true),
        (
            "/jwt-bearer",
            json!({ "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"] }),
            true,
        ),
        ("/no-refresh", json!({ "grant_types": ["authorization_code"] }), false),
        (
            "/schemes",
            json!({ "redirect_uris": ["cursor://callback", "http://a.example/cb", LOOPBACK, "javascript:alert(1)"] }),
            true,
        ),
        (
            "/more",
            json!({ "logo_uri": "http://169.254.169.254/", "jwks": { "keys": [{ "kty": "EC", "x": "a", "y": "b" }] }, "tos_uri": null, "x": { "y": [1, 2.5, false] } }),
            true,
        ),
        ("/response-types", json!({ "response_types": ["token", "code"] }), true),
    ] {
        let mut document = documents.document(path, "Some Client", &[LOOPBACK]);
        document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        documents.publish(path, &document);
        let connector = documents.connector_at(&test_system, path);

        let page = ana.open(&connector.authorization_request("skills:read").url).await;

        assert_eq!(page.status, 200, "{path} {page:?}");
        assert_eq!(page.body.contains("Stay connected"), stays, "{path}");
    }
    let client_id = documents.at("/schemes");
    let cursor =
        Connector { test_system: &test_system, client_id, redirect_uri: "cursor://callback".to_owned(), secret: None };
    refused(&ana.open(&cursor.authorization_request("skills:read").url).await, "it was left out");
    let minimal =
        json!({ "client_id": documents.at("/minimal"), "client_name": "Minimal", "redirect_uris": [LOOPBACK] });
    let kind = [("content-type", "application/vnd.client+json; charset=utf-8")];
    documents.set_behaviour("/minimal", Behaviour::Respond(http(200, &kind, minimal.to_string().as_bytes())));
    let page =
        ana.open(&documents.connector_at(&test_system, "/minimal").authorization_request("skills:read").url).await;
    assert!(page.status == 200 && page.body.contains("Stay connected"), "{page:?}");
}

/// A name is decoration, in a document as in a registration: what may not be shown is left out.
#[tokio::test(flavor = "multi_thread")]
async fn client_name_never_fails_a_document() {
    const NAMELESS: &str = "<h1>A program on this computer wants to work";
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = signed_in(&test_system).await;
    let (long, cut) = ("x".repeat(101), "x".repeat(100));

    for (number, (name, shown)) in [
        (None, NAMELESS),
        (Some(json!(null)), NAMELESS),
        (Some(json!(7)), NAMELESS),
        (Some(json!(" ")), NAMELESS),
        (Some(json!(long)), cut.as_str()),
        (Some(json!("Cl\u{202e}edua")), "Cledua"),
        (Some(json!("Claude\u{200b}")), "Claude"),
        (Some(json!("Claude\nVerified")), "Claude Verified"),
        (Some(json!("\u{2601}\u{fe0f} Cloud agent")), "\u{2601}\u{fe0f} Cloud agent"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/name/{number}");
        let mut document = documents.document(&path, "Some Client", &[LOOPBACK]);
        let members = document.as_object_mut().unwrap();
        match name.clone() {
            Some(name) => members.insert("client_name".to_owned(), name),
            None => members.remove("client_name"),
        };
        documents.publish(&path, &document);
        let ask = documents.connector_at(&test_system, &path).authorization_request("skills:read");

        // As it is fetched, as it is stored, and as it is fetched again.
        for seconds in [0, 1, DAY] {
            test_system.advance(seconds);
            let page = if seconds == DAY { ana.sign_in(&ask.url).await } else { ana.open(&ask.url).await };
            assert_eq!(page.status, 200, "{name:?} {page:?}");
            assert!(page.body.contains(shown), "{name:?}: {page:?}");
        }
        assert_eq!(documents.request_count(&path), 2, "{name:?}");
    }
}

/// AS-70…78: every document that is refused, with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_documents_are_refused_and_not_stored() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let mut ana = signed_in(&test_system).await;
    let bodies = [of_bad_grammar(&documents), of_bad_members(&documents)].concat();
    assert!(bodies.len() >= 55, "{}", bodies.len());

    for (number, (path, body, reason)) in bodies.into_iter().enumerate() {
        // One person may have so many fetched in an hour.
        if number % 25 == 24 {
            test_system.advance(3600);
            ana = signed_in(&test_system).await;
        }
        documents.set_behaviour(&path, Behaviour::Respond(http(200, &[("content-type", "application/json")], &body)));
        let page =
            ana.open(&documents.connector_at(&test_system, &path).authorization_request("skills:read").url).await;

        refused(&page, &reason);
        assert_eq!(documents.request_count(&path), 1, "{path}");
        is_in_the_audit(&test_system, &documents.at(&path), &reason);
    }
    assert_eq!(test_system.count("clients").await, 0);
}

/// Documents that are not JSON as it should be, made of one that is right: where they are, what they are, and why they are refused.
fn of_bad_grammar(documents: &MetadataDocumentHost) -> Vec<(String, Vec<u8>, String)> {
    type Spoil = fn(&str) -> Vec<u8>;
    fn with(good: &str, more: &str) -> Vec<u8> {
        good.replacen('{', &format!("{{{more},"), 1).into_bytes()
    }
    let (not_json, not_utf8) = ("it is not a JSON object", "it is not UTF-8");
    let (twice, deep, large) = ("it has a member twice", "it is nested more than 8 deep", "its answer is too large");
    let table: [(&str, Spoil); 26] = [
        (not_json, |_| Vec::new()),
        (not_json, |_| b"null".to_vec()),
        (not_json, |_| b"\"text\"".to_vec()),
        (not_json, |good| format!("[{good}]").into_bytes()),
        (not_json, |good| format!("{good} {good}").into_bytes()),
        (not_json, |good| format!("\u{feff}{good}").into_bytes()),
        (not_json, |good| good.replacen('}', ",}", 1).into_bytes()),
        (not_json, |good| good.replace('"', "'").into_bytes()),
        (not_json, |good| format!("/* */{good}").into_bytes()),
        (not_json, |good| good.as_bytes()[..60].to_vec()),
        (not_json, |_| b"<!doctype html><title>Just a moment...</title>".to_vec()),
        (not_json, |good| with(good, r#""x":NaN"#)),
        (not_json, |good| with(good, r#""x":"\ud800""#)),
        (not_utf8, |good| [good.as_bytes(), b"\xff"].concat()),
        (not_utf8, |good| good.bytes().map(|byte| if byte == b'S' { 0xe9 } else { byte }).collect()),
        (not_utf8, |good| [b"\xff\xfe".to_vec(), good.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()),
        (twice, |good| with(good, r#""client_id":"https://evil.example/c""#)),
        (twice, |good| with(good, r#""redirect_uris":["https://evil.example/cb"]"#)),
        (twice, |good| with(good, r#""client\u005fid":"https://evil.example/c""#)),
        (twice, |good| with(good, r#""x":{"a":1,"a":2}"#)),
        (deep, |good| with(good, &format!("\"x\":{}1{}", "[".repeat(8), "]".repeat(8)))),
        (deep, |good| with(good, &format!("\"x\":{}1{}", "[".repeat(2000), "]".repeat(2000)))),
        (deep, |_| "[".repeat(5000).into_bytes()),
        (deep, |_| "{\"a\":".repeat(1000).into_bytes()),
        (large, |good| with(good, &format!("\"x\":\"{}\"", "a".repeat(5000)))),
        (large, |_| vec![b' '; 1_000_000]),
    ];
    let bad = table.into_iter().enumerate().map(|(number, (reason, spoil))| {
        let path = format!("/grammar/{number}");
        let good = documents.document(&path, "Some Client", &[LOOPBACK]).to_string();
        (path, spoil(&good), reason.to_owned())
    });
    bad.collect()
}

/// Documents with one member that is wrong, or not there; `ID` in it is the document's address.
fn of_bad_members(documents: &MetadataDocumentHost) -> Vec<(String, Vec<u8>, String)> {
    let (kind, id) = ("is missing or not of the right type", "its client_id is not its address");
    let scheme = "its redirect_uris cannot be used. A redirect URI with http must be on a loopback host";
    let (user, fragment) = ("A redirect URI must not have a user", "A redirect URI must not have a fragment");
    let parameter = "A redirect URI must not have code, state";
    let secret = "it contains a secret or a private key";
    let method = "its token_endpoint_auth_method is neither none nor private_key_jwt";
    let keys = "it needs either jwks or jwks_uri for private_key_jwt";
    let grants = "its grant_types do not contain authorization_code";
    let table = [
        (id, "client_id", None),
        (kind, "client_id", Some(json!(null))),
        (kind, "client_id", Some(json!(["ID"]))),
        (id, "client_id", Some(json!("https://claude.ai/oauth/mcp-oauth-client-metadata"))),
        (id, "client_id", Some(json!("ID/"))),
        (id, "client_id", Some(json!("ID?"))),
        (id, "client_id", Some(json!("ID#"))),
        (id, "client_id", Some(json!(" ID"))),
        (id, "client_id", Some(json!(""))),
        (kind, "redirect_uris", None),
        (kind, "redirect_uris", Some(json!(null))),
        (kind, "redirect_uris", Some(json!(LOOPBACK))),
        (kind, "redirect_uris", Some(json!([LOOPBACK, 1]))),
        ("its redirect_uris are empty", "redirect_uris", Some(json!([]))),
        (scheme, "redirect_uris", Some(json!(["http://a.example/cb", "cursor://cb", "data:,x", "javascript:1"]))),
        (user, "redirect_uris", Some(json!([LOOPBACK, "https://user@a.example/", "//a.example"]))),
        (fragment, "redirect_uris", Some(json!([LOOPBACK, "https://a.example/#x"]))),
        ("A redirect URI must not have a wildcard", "redirect_uris", Some(json!([LOOPBACK, "https://*.a.example/cb"]))),
        (parameter, "redirect_uris", Some(json!(["https://a.example/?code=x", "https://a.example/?a=b&state=x"]))),
        (secret, "client_secret", Some(json!("made-up"))),
        (secret, "client_secret", Some(json!(null))),
        (secret, "client_secret_expires_at", Some(json!(0))),
        (secret, "jwks", Some(json!({ "keys": [{ "kty": "EC", "x": "a", "y": "b", "d": "c" }] }))),
        (secret, "jwks", Some(json!({ "keys": [{ "kty": "RSA", "n": "a" }, { "kty": "oct", "k": "c" }] }))),
        (method, "token_endpoint_auth_method", Some(json!("client_secret_post"))),
        (method, "token_endpoint_auth_method", Some(json!("client_secret_basic"))),
        (method, "token_endpoint_auth_method", Some(json!("client_secret_jwt"))),
        (keys, "token_endpoint_auth_method", Some(json!("private_key_jwt"))),
        (method, "token_endpoint_auth_method", Some(json!("None"))),
        (kind, "token_endpoint_auth_method", Some(json!(null))),
        (kind, "grant_types", Some(json!(null))),
        (kind, "grant_types", Some(json!("authorization_code"))),
        (grants, "grant_types", Some(json!([]))),
        (grants, "grant_types", Some(json!(["implicit", "client_credentials"]))),
        (kind, "response_types", Some(json!([null]))),
        ("its response_types do not contain code", "response_types", Some(json!(["token"]))),
    ];
    let bad = table.into_iter().enumerate().map(|(number, (reason, member, value))| {
        let path = format!("/members/{number}");
        let mut document = documents.document(&path, "Some Client", &[LOOPBACK]);
        let members = document.as_object_mut().unwrap();
        match value {
            Some(value) => members.insert(member.to_owned(), value),
            None => members.remove(member),
        };
        let reason = if reason == kind { format!("its member {member} {kind}") } else { reason.to_owned() };
        (path.clone(), document.to_string().replace("ID", &documents.at(&path)).into_bytes(), reason)
    });
    bad.collect()
}

/// AS-71, 72, 78: every answer that is refused before its body is read, and every host that gives none, in bounded time.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_hosts_are_refused_in_bounded_time() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = signed_in(&test_system).await;
    documents.publish("/good", &documents.document("/good", "Some Client", &[LOOPBACK]));
    let elsewhere = documents.at("/good");
    let json = ("content-type", "application/json");
    let (status, kind) = ("its host did not answer with status 200", "its content type is neither");
    let (slow, broken, large) = ("it did not answer in time", "it cannot be reached", "its answer is too large");
    let chunked = |bytes: usize| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{bytes:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(bytes)).into_bytes()
    };
    let raw = |text: &str| Behaviour::Respond(text.as_bytes().to_vec());
    let hosts = [
        ("/missing", None, status),
        ("/created", Some(Behaviour::Respond(http(201, &[json], b"{}"))), status),
        ("/empty", Some(Behaviour::Respond(http(204, &[], b""))), status),
        ("/partial", Some(Behaviour::Respond(http(206, &[json], b"{}"))), status),
        ("/moved", Some(Behaviour::Respond(http(301, &[json, ("location", &elsewhere)], b"{}"))), status),
        ("/found", Some(Behaviour::Respond(http(302, &[json, ("location", "/good")], b"{}"))), status),
        (
            "/inside",
            Some(Behaviour::Respond(http(307, &[json, ("location", "http://169.254.169.254/")], b"{}"))),
            status,
        ),
        (
            "/for-good",
            Some(Behaviour::Respond(http(308, &[json, ("location", &test_system.mcp_url())], b"{}"))),
            status,
        ),
        ("/not-modified", Some(Behaviour::Respond(http(304, &[json], b""))), status),
        ("/challenge", Some(Behaviour::Respond(http(403, &[("content-type", "text/html")], b"<html>"))), status),
        ("/failing", Some(Behaviour::Respond(http(503, &[json], b"{}"))), status),
        ("/html", Some(Behaviour::Respond(http(200, &[("content-type", "text/html")], b"{}"))), kind),
        ("/text", Some(Behaviour::Respond(http(200, &[("content-type", "text/json")], b"{}"))), kind),
        ("/image", Some(Behaviour::Respond(http(200, &[("content-type", "image/x+json")], b"{}"))), kind),
        ("/untyped", Some(Behaviour::Respond(http(200, &[], b"{}"))), kind),
        ("/jsonp", Some(Behaviour::Respond(http(200, &[("content-type", "application/javascript")], b"{}"))), kind),
        (
            "/long",
            Some(raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{")),
            large,
        ),
        ("/chunks", Some(Behaviour::Respond(chunked(5121))), large),
        ("/endless", Some(Behaviour::Endless), large),
        ("/headers", Some(raw(&format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1_000_000)))), broken),
        ("/no-http", Some(raw("SSH-2.0-OpenSSH_9.9\r\n")), broken),
        (
            "/short",
            Some(raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")),
            broken,
        ),
        ("/hanging-up", Some(Behaviour::HangUp), broken),
        ("/silent", Some(Behaviour::Silence), slow),
        ("/slow", Some(Behaviour::Trickle(http(200, &[json], b"{}"), Duration::from_secs(1))), slow),
    ];
    let visits = hosts.map(|(path, behaviour, reason)| {
        if let Some(behaviour) = behaviour {
            documents.set_behaviour(path, behaviour);
        }
        let (ask, ana, test_system, documents) = (
            documents.connector_at(&test_system, path).authorization_request("skills:read"),
            &ana,
            &test_system,
            &documents,
        );
        async move {
            let began = Instant::now();
            let page = ana.open(&ask.url).await;
            refused(&page, reason);
            assert!(began.elapsed() < Duration::from_secs(30), "{path} took {:?}", began.elapsed());
            assert_eq!(documents.request_count(path), 1, "{path}");
            is_in_the_audit(test_system, &documents.at(path), reason);
        }
    });
    Box::pin(test_system::all(visits)).await;

    assert_eq!((test_system.count("clients").await, documents.request_count("/good")), (0, 0));
}

/// AS-70, 77: every address that is refused, before anybody is asked to sign in if it tells by itself.
#[tokio::test(flavor = "multi_thread")]
async fn unsafe_document_urls_are_not_fetched() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = signed_in(&test_system).await;
    let shape = "its address must be https";
    let (special, port, clear) =
        ("its address is not on the public internet", "a port other than 443", "its address is not https");
    let inside = documents.origin().replace("http://", "https://");
    for (id, reason) in [
        ("http://app.example/client", shape),
        ("https://app.example", shape),
        ("https://app.example/", shape),
        ("https://app.example/?client", shape),
        ("https://app.example/client?v=1", shape),
        ("https://app.example/client?", shape),
        ("https://app.example/a/../client", shape),
        ("https://app.example/./client", shape),
        ("https://app.example/%2E%2e/client", shape),
        ("https://app.example/client#fragment", shape),
        ("https://app.example/client#", shape),
        ("https://user:password@app.example/client", shape),
        ("https://claude.ai@127.0.0.1/client", shape),
        ("https://APP.example/client", shape),
        ("https://app.example:443/client", shape),
        ("https://claude.ai./oauth/mcp-oauth-client-metadata", shape),
        ("https://app.example\\@127.0.0.1/client", shape),
        ("https://2130706433/client", shape),
        ("https://0x7f000001/client", shape),
        ("https://0177.0.0.1/client", shape),
        ("https://127.1/client", shape),
        ("https://[::ffff:127.0.0.1]/client", shape),
        ("https://[0:0:0:0:0:0:0:1]/client", shape),
        ("https:///client", shape),
        ("https://app.example:99999/client", shape),
        ("https://127.0.0.1/client", special),
        ("https://127.8.9.10/client", special),
        ("https://0.0.0.0/client", special),
        ("https://10.0.0.1/client", special),
        ("https://172.16.0.1/client", special),
        ("https://192.168.1.1/client", special),
        ("https://100.64.0.1/client", special),
        ("https://169.254.169.254/latest/meta-data", special),
        ("https://169.254.170.2/v2/credentials", special),
        ("https://192.0.2.1/client", special),
        ("https://198.18.0.1/client", special),
        ("https://224.0.0.1/client", special),
        ("https://255.255.255.255/client", special),
        ("https://[::1]/client", special),
        ("https://[::]/client", special),
        ("https://[::ffff:7f00:1]/client", special),
        ("https://[::ffff:a9fe:a9fe]/client", special),
        ("https://[64:ff9b::a9fe:a9fe]/client", special),
        ("https://[2002:7f00:1::]/client", special),
        ("https://[fc00::1]/client", special),
        ("https://[fd00:ec2::254]/client", special),
        ("https://[fe80::1]/client", special),
        ("https://app.example:8443/client", port),
        (&format!("{inside}/client"), port),
        ("http://localhost:1/client", clear),
        ("http://127.0.0.1/client", clear),
        (&test_system.at("/.well-known/jwks.json"), clear),
    ] {
        let connector = Connector {
            test_system: &test_system,
            client_id: id.to_owned(),
            redirect_uri: LOOPBACK.to_owned(),
            secret: None,
        };
        let ask = connector.authorization_request("skills:read");

        refused(&test_system.get(&ask.url).await, reason);
        refused(&ana.open(&ask.url).await, reason);
    }
    // What a name leads to is known only when somebody asks, so these send to sign in first.
    for (id, reasons) in [
        ("https://localhost/client", &[special][..]),
        ("https://nobody.invalid/client", &["its name cannot be resolved"]),
    ] {
        let connector = Connector {
            test_system: &test_system,
            client_id: id.to_owned(),
            redirect_uri: LOOPBACK.to_owned(),
            secret: None,
        };
        let ask = connector.authorization_request("skills:read");

        let stranger = test_system.get(&ask.url).await;
        assert!(stranger.status == 303 && stranger.location().contains("/auth/login"), "{stranger:?}");
        let page = ana.open(&ask.url).await;
        assert!(reasons.iter().any(|reason| page.body.contains(reason)), "{page:?}");
        refused(&page, "");
    }
    assert_eq!(test_system.count("clients").await, 0);
}

/// Else anyone could make us ask any host, in a loop.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_before_sign_in() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &[LOOPBACK]);
    let ask = connector.authorization_request("skills:read");

    for _ in 0..3 {
        let answer = test_system.get(&ask.url).await;
        assert!(answer.status == 303 && answer.location().contains("/auth/login"), "{answer:?}");
    }
    let refusal = connector.refresh(UNKNOWN_REFRESH_TOKEN).await;
    assert_eq!((refusal.status, &refusal.json()["error"]), (401, &json!("invalid_client")));
    assert_eq!((documents.request_count("/client.json"), test_system.count("clients").await), (0, 0));

    let page = test_system.person("ana@example.com").sign_in(&ask.url).await;
    assert!(page.status == 200 && page.body.contains("Some Client"), "{page:?}");
    assert_eq!((documents.request_count("/client.json"), test_system.count("clients").await), (1, 1));
    let refusal = connector.refresh(UNKNOWN_REFRESH_TOKEN).await;
    assert_eq!((refusal.status, &refusal.json()["error"]), (400, &json!("invalid_grant")));
    let secretive = Connector { secret: Some("made-up".to_owned()), ..connector };
    let refusal = secretive.refresh(UNKNOWN_REFRESH_TOKEN).await;
    assert_eq!((refusal.status, &refusal.json()["error"]), (401, &json!("invalid_client")));
}

/// AS-76: as long as the host says, within 5 minutes and a day.
#[tokio::test(flavor = "multi_thread")]
async fn document_is_refetched_as_its_cache_headers_say() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    for (path, cache, fresh) in [
        ("/silent", "public", 3600),
        ("/short", "max-age=1", 300),
        ("/never", "no-store", 300),
        ("/quarter", "max-age=900", 900),
        ("/forever", "max-age=31536000, immutable", DAY),
    ] {
        let document = documents.document(path, "Some Client", &[LOOPBACK]);
        documents.publish_with(path, &document, &[("cache-control", cache)]);
        let ask = documents.connector_at(&test_system, path).authorization_request("skills:read");
        let ana = signed_in(&test_system).await;
        for (passes, asked) in [(0, 1), (fresh - 1, 1), (1, 2), (1, 2)] {
            test_system.advance(passes);
            assert_eq!(ana.sign_in(&ask.url).await.status, 200);
            assert_eq!(documents.request_count(path), asked, "{path} after {passes}");
        }
    }
    assert!(changes(&test_system, &documents.at("/short")).is_empty());
}

/// A host that fails takes nobody's connection away; a document that nobody could see for a week counts no more.
#[tokio::test(flavor = "multi_thread")]
async fn stored_document_is_used_for_a_week_when_its_host_fails() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &[LOOPBACK]);
    let ask = connector.authorization_request("skills:read");
    let code = test_system.person("ana@example.com").code(&ask, "acme").await;
    let mut tokens = connector.exchange(&ask, &code).await.tokens(&test_system);

    documents.set_down(true);
    for day in 1..=7 {
        test_system.advance(DAY - 120);
        let (ana, asked) = (signed_in(&test_system).await, documents.request_count("/client.json"));
        for _ in 0..3 {
            let page = ana.open(&connector.authorization_request("skills:read").url).await;
            assert!(page.status == 200 && page.body.contains("Some Client"), "day {day}: {page:?}");
        }
        assert_eq!(documents.request_count("/client.json"), asked + 1, "asked once in five minutes");
        tokens = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
        assert_eq!(connector.tool(&tokens.access, "list_skills", json!({})).await.status, 200);
    }
    is_in_the_audit(&test_system, &connector.client_id, "it cannot be reached");
    // Any answer that is no document does as little harm.
    documents.set_down(false);
    for body in [&b"{}"[..], b"<html>"] {
        documents.set_behaviour(
            "/client.json",
            Behaviour::Respond(http(200, &[("content-type", "application/json")], body)),
        );
        test_system.advance(301);
        assert_eq!(
            signed_in(&test_system).await.open(&connector.authorization_request("skills:read").url).await.status,
            200
        );
    }

    test_system.advance(DAY);
    let page = signed_in(&test_system).await.open(&connector.authorization_request("skills:read").url).await;
    refused(&page, "it is not a JSON object");
    tokens = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(connector.tool(&tokens.access, "list_skills", json!({})).await.status, 200);

    // Fetched after a while: back again, and moved. What it says now counts at once, and the audit tells.
    let moved = documents.document("/client.json", "Some Client", &["http://127.0.0.1/moved"]);
    documents.publish("/client.json", &moved);
    test_system.advance(300);
    let ana = signed_in(&test_system).await;
    refused(&ana.open(&connector.authorization_request("skills:read").url).await, "did not register");
    let there = Connector { redirect_uri: "http://127.0.0.1:9/moved".to_owned(), ..connector };
    let ask = there.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;
    assert!(there.exchange(&ask, &code).await.tokens(&test_system).refresh.is_some());
    let changes = changes(&test_system, &there.client_id);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0]["old"] != changes[0]["new"] && changes[0]["old"].as_str().unwrap().len() == 43, "{changes:?}");
    assert!(there.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system).refresh.is_some());
}

/// Another order, other words, another logo: nothing that counts has changed.
#[tokio::test(flavor = "multi_thread")]
async fn equivalent_document_is_unchanged() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let addresses = [LOOPBACK, "http://127.0.0.1/callback"];
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &addresses);
    assert_eq!(
        signed_in(&test_system).await.open(&connector.authorization_request("skills:read").url).await.status,
        200
    );

    test_system.advance(3600);
    let mut same = documents.document("/client.json", " Some Client ", &[addresses[1], "cursor://cb", addresses[0]]);
    same["logo_uri"] = json!("https://app.example/logo.png");
    documents.publish("/client.json", &same);
    assert_eq!(
        signed_in(&test_system).await.open(&connector.authorization_request("skills:read").url).await.status,
        200
    );

    assert_eq!(documents.request_count("/client.json"), 2);
    assert!(changes(&test_system, &connector.client_id).is_empty());
}

/// A client without a live grant is forgotten after a month; one with a grant stays, and fetching again does not shorten its life.
#[tokio::test(flavor = "multi_thread")]
async fn document_is_kept_as_long_as_a_grant() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let unused = documents.connector(&test_system, "/unused", "Unused", &[LOOPBACK]);
    let used = documents.connector(&test_system, "/used", "Used", &[LOOPBACK]);
    let ana = signed_in(&test_system).await;
    assert_eq!(ana.open(&unused.authorization_request("skills:read").url).await.status, 200);
    let ask = used.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;
    let mut tokens = used.exchange(&ask, &code).await.tokens(&test_system);
    test_system.advance(2 * 3600);
    assert_eq!(signed_in(&test_system).await.open(&used.authorization_request("skills:read").url).await.status, 200);
    assert_eq!(documents.request_count("/used"), 2);

    for _ in 0..7 {
        test_system.advance(25 * DAY);
        tokens = used.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    }

    let refused = unused.refresh(UNKNOWN_REFRESH_TOKEN).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    // The forgotten one may still lie in the table, and comes back all the same.
    assert_eq!(signed_in(&test_system).await.open(&unused.authorization_request("skills:read").url).await.status, 200);
    let refused = unused.refresh(UNKNOWN_REFRESH_TOKEN).await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
}

/// Many people meet a new client at once.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_first_fetches_are_safe() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &[LOOPBACK]);
    let (ana, ben) = (signed_in(&test_system).await, test_system.person("ben@example.com"));
    ben.sign_in("/auth/login").await;
    for round in 0..2 {
        let asks: Vec<_> = (0..10).map(|_| connector.authorization_request("skills:read")).collect();
        let pages = test_system::all(
            asks.iter().enumerate().map(|(n, ask)| if n % 2 == 0 { ana.open(&ask.url) } else { ben.open(&ask.url) }),
        )
        .await;
        assert!(pages.iter().all(|page| page.status == 200), "{pages:?}");
        test_system.advance(if round == 0 { 3600 - 1 } else { 0 });
    }
    let codes = test_system::all(asks_approved(&test_system, &connector, &ana, 4)).await;
    assert!(codes.into_iter().all(|right| right));
    assert_eq!(test_system.count("clients").await, 1);
}

fn asks_approved<'a>(
    test_system: &'a TestSystem,
    connector: &'a Connector<'_>,
    ana: &'a Person<'_>,
    times: usize,
) -> impl Iterator<Item = impl Future<Output = bool> + 'a> + 'a {
    (0..times).map(move |_| async move {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        connector.exchange(&ask, &code).await.tokens(test_system).refresh.is_some()
    })
}

/// AS-81: an operator may say whose applications connect; the host counts, whatever the document says.
#[tokio::test(flavor = "multi_thread")]
async fn only_allow_listed_hosts_may_describe_clients() {
    let documents = MetadataDocumentHost::serve().await;
    for (list, admitted) in
        [("127.0.0.1", true), ("claude.ai,127.0.0.1", true), ("claude.ai", false), ("27.0.0.1.example", false)]
    {
        let test_system = TestSystem::with(|options| {
            options.document_origins.push(documents.origin().to_owned());
            options.parameters.insert("ClientMetadataHosts".to_owned(), list.to_owned());
        })
        .await;
        let path = format!("/for/{list}");
        let connector = documents.connector(&test_system, &path, "Some Client", &[LOOPBACK]);

        let page =
            test_system.person("ana@example.com").sign_in(&connector.authorization_request("skills:read").url).await;

        if admitted {
            assert_eq!(page.status, 200, "{list}: {page:?}");
        } else {
            refused(&page, "its host is not among those that are allowed here");
            assert_eq!(documents.request_count(&path), 0);
        }
        let registered = test_system.connector("Claude").await;
        assert_eq!(
            test_system
                .person("ana@example.com")
                .sign_in(&registered.authorization_request("skills:read").url)
                .await
                .status,
            200
        );
    }
}

/// AS-79, 85, 86: a document proves nothing of a name. What is vouched for is where the codes can go, all of them.
#[tokio::test(flavor = "multi_thread")]
async fn document_is_vouched_for_by_its_redirect_hosts_and_by_nothing_else() {
    const CLAUDE: &str = "https://claude.ai/api/mcp/auth_callback";
    let test_system = TestSystem::new().await;
    let ana = signed_in(&test_system).await;
    let mixed = ["https://app.example/callback", CLAUDE];
    for (number, (id, redirect_uris, heading, vouched)) in [
        ("https://claude.ai/oauth/a", &[CLAUDE][..], "<bdi>claude.ai</bdi> wants", true),
        ("https://app.example/client", &[CLAUDE], "<bdi>claude.ai</bdi> wants", true),
        ("https://app.example/own", &["https://app.example/callback"], "<bdi>app.example</bdi> wants", false),
        ("https://claude.ai/oauth/b", &["https://app.example/callback"], "<bdi>app.example</bdi> wants", false),
        ("https://claude.ai/oauth/c", &mixed, "<bdi>app.example</bdi> wants", false),
        ("https://claude.ai/oauth/d", &[CLAUDE, LOOPBACK], "<bdi>claude.ai</bdi> wants", false),
        ("https://claude.ai/oauth/e", &[LOOPBACK, CLAUDE], "that calls itself “<bdi>Acme</bdi>” wants", false),
        ("https://vscode.dev/oauth/a", &["https://vscode.dev/redirect"], "<bdi>vscode.dev</bdi> wants", false),
    ]
    .into_iter()
    .enumerate()
    {
        // Kept as authorize keeps it, and fresh, so that nobody on the internet is asked.
        test_system.store_metadata_document(id, "Acme", redirect_uris).await;
        let (client_id, redirect_uri) = (id.to_owned(), redirect_uris[0].to_owned());
        let connector = Connector { test_system: &test_system, client_id, redirect_uri, secret: None };
        let page = ana.open(&connector.authorization_request("skills:read").url).await;

        assert_eq!(page.status, 200, "{number} {page:?}");
        assert!(page.body.contains(heading), "{number} {id} {}", page.body);
        for (sentence, shown) in [
            ("Verified:", vouched),
            ("calls itself “<bdi>Acme</bdi>”", true),
            ("Approve only if you started this yourself", !vouched),
        ] {
            assert_eq!(page.body.contains(sentence), shown, "{number} {id} {sentence} {}", page.body);
        }
    }
}

/// Known, a document costs nothing; first sight and each fetch after cost two writes, of which one counts the fetch.
#[tokio::test(flavor = "multi_thread")]
async fn stored_document_costs_no_extra_aws_call() {
    let (documents, calls) = (MetadataDocumentHost::serve().await, RecordedCalls::default());
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(calls.wire());
        options.document_origins.push(documents.origin().to_owned());
    })
    .await;
    let ana = signed_in(&test_system).await;
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &[LOOPBACK]);
    let ask = connector.authorization_request("skills:read");
    let spent = || (calls.take(), calls.requests()).1;
    let _ = spent();

    for (time, requests) in [("first sight", 5), ("known", 2), ("known", 2)] {
        let page = ana.open(&ask.url).await;
        assert_eq!((page.status, spent()), (200, requests), "{time}");
    }
    test_system.advance(3600);
    let ana = signed_in(&test_system).await;
    let _ = spent();
    let page = ana.open(&ask.url).await;
    assert_eq!((page.status, spent()), (200, 5), "fetched again");
    let form = Form::find(&page, "decision").unwrap().with("tenant", "acme").with("decision", "approve");
    let granted = ana.submit(&form).await;
    test_system.track_secret(&granted.redirect_parameters()["code"]);
    assert_eq!((granted.status, spent()), (303, 5), "approved");
    assert_eq!((test_system.get(&ask.url).await.status, spent()), (303, 0), "before signing in");
}

/// Who is in no tenant has nothing to connect: nothing is fetched for them, and what is stored counts.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_for_somebody_in_no_tenant() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let nora = test_system.person("nora@example.com");
    nora.sign_in("/auth/login").await;
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &[LOOPBACK]);
    let ask = connector.authorization_request("skills:read");

    let page = nora.open(&ask.url).await;
    assert_eq!((page.status, page.header("location")), (403, None), "{page:?}");
    let id = test_system.person_id("nora@example.com").to_string();
    assert!(page.body.contains("You are not in any workspace yet") && page.body.contains(&id), "{page:?}");
    assert_eq!((documents.request_count("/client.json"), test_system.count("clients").await), (0, 0));

    assert_eq!(signed_in(&test_system).await.open(&ask.url).await.status, 200);
    test_system.advance(DAY);
    nora.sign_in("/auth/login").await;
    let page = nora.open(&ask.url).await;
    assert!(page.status == 200 && page.body.contains("Some Client"), "{page:?}");
    assert_eq!(documents.request_count("/client.json"), 1);
    // It was not taken for fresh.
    assert_eq!(signed_in(&test_system).await.open(&ask.url).await.status, 200);
    assert_eq!(documents.request_count("/client.json"), 2);
}

/// A back-off: nothing of what it answered is kept.
#[tokio::test(flavor = "multi_thread")]
async fn address_that_failed_is_not_asked_again_for_a_while() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = signed_in(&test_system).await;
    let json = [("content-type", "application/json")];
    let answer = |status| Behaviour::Respond(http(status, &json, b"{}"));
    for (path, behaviour, seconds) in [
        ("/missing", answer(404), 300),
        ("/forbidden", answer(403), 300),
        ("/invalid", answer(200), 300),
        ("/hanging-up", Behaviour::HangUp, 300),
        ("/busy", answer(429), 30),
        ("/failing", answer(503), 30),
        ("/silent", Behaviour::Silence, 30),
    ] {
        documents.set_behaviour(path, behaviour);
        let connector = documents.connector_at(&test_system, path);
        let url = connector.authorization_request("skills:read").url;
        refused(&ana.open(&url).await, "This application cannot be checked");
        documents.publish(path, &documents.document(path, "Some Client", &[LOOPBACK]));

        test_system.advance(seconds - 1);
        refused(&ana.open(&url).await, "it could not be used a moment ago");
        assert_eq!(
            (documents.request_count(path), connector.refresh(UNKNOWN_REFRESH_TOKEN).await.status),
            (1, 401),
            "{path}"
        );
        test_system.advance(1);
        assert_eq!(ana.open(&url).await.status, 200, "{path}");
        assert_eq!(
            (documents.request_count(path), connector.refresh(UNKNOWN_REFRESH_TOKEN).await.status),
            (2, 400),
            "{path}"
        );
    }
}

/// Anybody in a tenant may bring a client, and nobody may aim our fetcher.
#[tokio::test(flavor = "multi_thread")]
async fn fetches_are_limited_by_person_and_by_host() {
    const TOO_MANY: &str = "it is not fetched now, as too many were within the hour";
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let (ana, ben) = (signed_in(&test_system).await, test_system.person("ben@example.com"));
    ben.sign_in("/auth/login").await;
    let opens = async |person: &Person<'_>, path: &str| {
        documents.publish(path, &documents.document(path, "Some Client", &[LOOPBACK]));
        person.open(&documents.connector_at(&test_system, path).authorization_request("skills:read").url).await
    };

    for number in 0..30 {
        assert_eq!(opens(&ana, &format!("/ana/{number}")).await.status, 200, "{number}");
    }
    refused(&opens(&ana, "/ana/30").await, TOO_MANY);
    assert_eq!(opens(&ana, "/ana/0").await.status, 200, "what is known");
    assert_eq!(opens(&ben, "/ben").await.status, 200, "another person");
    let (clients, now) = (test_system.system().clients(), test_system.system().clock().now());
    let ana_id = test_system.person_id("ana@example.com");
    for _ in 0..100 {
        assert!(!clients.count_fetch(&ana_id, "127.0.0.1", now).await.unwrap(), "she has had hers");
    }
    assert_eq!(opens(&ben, "/ben/0").await.status, 200, "which are not the host's");
    for number in 0..3 {
        let person = PersonId::parse(&format!("00000000-0000-4000-8000-00000000000{number}")).unwrap();
        for _ in 0..30 {
            let _ = clients.count_fetch(&person, "127.0.0.1", now).await.unwrap();
        }
    }
    refused(&opens(&ben, "/ben/1").await, TOO_MANY);
    for path in ["/ana/30", "/ben/1"] {
        assert_eq!(documents.request_count(path), 0, "{path}");
    }

    test_system.advance(3600);
    let ana = signed_in(&test_system).await;
    assert_eq!(opens(&ana, "/ana/30").await.status, 200, "an hour later");
}

async fn signed_in(test_system: &TestSystem) -> Person<'_> {
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    ana
}

/// A page, which says why, and leads nowhere.
fn refused(page: &HttpResponse, reason: &str) {
    assert_eq!((page.status, page.header("location")), (400, None), "{reason}: {page:?}");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
    assert!(page.body.contains(reason), "{reason}: {page:?}");
}

fn is_in_the_audit(test_system: &TestSystem, client: &str, reason: &str) {
    let failed = test_system.audit("client_document_failed");
    let of_client: Vec<_> = failed.iter().filter(|event| event["client"] == client).collect();
    assert!(
        of_client.iter().any(|event| event["reason"].as_str().unwrap().contains(reason)),
        "{client} {reason}: {of_client:?}"
    );
}

fn changes(test_system: &TestSystem, client: &str) -> Vec<Value> {
    test_system.audit("client_document_changed").into_iter().filter(|event| event["client"] == client).collect()
}
