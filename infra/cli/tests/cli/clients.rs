//! `amble client`, the program itself, against the local system and a stack of moto's.

use local::Data;
use serde_json::{Value, json};
use shared::clock::{Clock, Timestamp};
use shared::oauth::client::{Client, ClientId, ClientKind};
use shared::oauth::redirect_uri::RedirectUri;
use test_system::client_key::{ClientKey, key_set};
use test_system::connector::{Connector, UNKNOWN_REFRESH_TOKEN};
use test_system::metadata_document_host::MetadataDocumentHost;
use test_system::{CALLBACK, TestSystem};

use crate::aws_proxy::{AwsProxy, FirstTry};
use crate::program::{Amble, TempDir, test_system};

const ADD: [&str; 8] =
    ["client", "add", "--id", "acme-cowork", "--name", "Acme for Cowork", "--redirect-uri", CALLBACK];

fn connector<'w>(test_system: &'w TestSystem, secret: &str) -> Connector<'w> {
    test_system.track_secret(secret);
    let (client_id, redirect_uri) = ("acme-cowork".to_owned(), CALLBACK.to_owned());
    Connector { test_system, client_id, redirect_uri, secret: Some(secret.to_owned()) }
}

/// On loopback the port is cut, so addresses that differ by it are one.
#[tokio::test(flavor = "multi_thread")]
async fn redirect_uris_that_differ_by_a_loopback_port_are_kept_once() {
    let test_system = test_system().await;
    let (one, other) = ("http://localhost:8787/callback", "http://localhost:9999/callback");
    let mut words = vec!["client", "add", "--id", "acme-cowork", "--name", "Acme for Cowork"];
    for uri in [one, CALLBACK, other, CALLBACK, one] {
        words.extend(["--redirect-uri", uri]);
    }

    let added = Amble::of(&test_system).json(&words).await;

    assert_eq!(added["redirect_uris"], json!(["http://localhost/callback", CALLBACK]));
    test_system.track_secret(added["client_secret"].as_str().unwrap());
}

/// Registered, connected, its secret replaced without a moment in which nothing works, and forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn client_is_registered_used_rotated_and_removed() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);

    let added = amble.json(&ADD).await;
    let first = added["client_secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("cs_") && first.len() == 46, "{first}");
    let listed = added["secrets"][0]["secret"].as_str().unwrap().to_owned();
    assert_eq!(added["redirect_uris"], json!([CALLBACK]));
    let with_first = connector(&test_system, &first);
    let ask = with_first.authorization_request("skills:read");
    let ana = test_system.person("ana@example.com");
    let page = ana.sign_in(&ask.url).await;
    assert!(page.body.contains("Acme for Cowork"), "{page:?}");
    let code = ana.code(&ask, "acme").await;
    let tokens = with_first.exchange(&ask, &code).await.tokens(&test_system);

    let another = amble.json(&["client", "secret", "add", "acme-cowork"]).await;
    let with_second = connector(&test_system, another["client_secret"].as_str().unwrap());
    let tokens = with_second.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    let tokens = with_first.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    let text = amble.text(&["client", "secret", "list", "acme-cowork"]).await;
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.starts_with("SECRET    MADE\n") && text.contains(&listed), "{text}");

    amble.text(&["client", "secret", "remove", "acme-cowork", &listed]).await;
    let refused = with_first.refresh(tokens.refresh.as_ref().unwrap()).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    let tokens = with_second.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);

    let said = amble.text(&["client", "remove", "acme-cowork"]).await;
    assert_eq!(said, "acme-cowork is forgotten. Connections that ended: 1.\n");
    let refused = with_second.refresh(&tokens.refresh.unwrap()).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    assert_eq!(amble.json(&["client", "list"]).await, json!({ "clients": [] }));
    let again = amble.json(&ADD).await;
    let with_third = connector(&test_system, again["client_secret"].as_str().unwrap());
    assert_eq!(with_third.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_grant");
    assert_eq!(with_second.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_client");
}

/// Registered with its keys, in a file or at an address, it proves itself by one, and has no secret.
#[tokio::test(flavor = "multi_thread")]
async fn client_with_keys_is_registered_and_used() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = TestSystem::with(|options| {
        options.clock = Clock::system();
        options.document_origins.push(documents.origin().to_owned());
    })
    .await;
    let (amble, key, folder) = (Amble::of(&test_system), ClientKey::rsa("one"), TempDir::new("keys"));
    let file = |name: &str, set: &Value| folder.file(name, &set.to_string());
    documents.publish("/jwks.json", &key_set(&[&key]));
    let (good, uri) = (file("good.json", &key_set(&[&key])), documents.at("/jwks.json"));
    let uris = ["--redirect-uri", CALLBACK];
    for (id, option, value, told) in [
        ("agent-file", "--jwks", &good, ("jwks", key_set(&[&key]))),
        ("agent-uri", "--jwks-uri", &uri, ("jwks_uri", json!(uri))),
    ] {
        let words = [&["client", "add", "--id", id, "--name", "Agent", option, value][..], &uris].concat();

        let added = amble.json(&words).await;

        let expected = json!({
            "client_id": id, "client_name": "Agent", "redirect_uris": [CALLBACK], "refreshes": true, told.0: told.1,
        });
        assert_eq!(added, expected);
        assert_eq!(amble.json(&["client", "show", id]).await, expected);
        let client = Connector {
            test_system: &test_system,
            client_id: id.to_owned(),
            redirect_uri: CALLBACK.to_owned(),
            secret: None,
        };
        let (ask, code) = client.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
        assert_eq!(client.exchange(&ask, &code).await.json()["error"], "invalid_client");
        let tokens = client.exchange_by(&key.assertion(&client), &ask, &code).await.tokens(&test_system);
        assert_eq!(client.refresh_by(&key.assertion(&client), &tokens.refresh.unwrap()).await.status, 200);
        let complaint = amble.fails_with(1, &["client", "secret", "add", id]).await;
        assert!(complaint.contains(&format!("{id} proves itself by its keys")), "{complaint}");
    }
    let shown = amble.text(&["client", "show", "agent-file"]).await;
    assert!(shown.lines().any(|line| line == "Key              one for RS256"), "{shown}");
    let shown = amble.text(&["client", "show", "agent-uri"]).await;
    assert!(shown.lines().any(|line| line == format!("Keys             {uri}")), "{shown}");

    let private = file("private.json", &json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }));
    let none = file("none.json", &json!({ "keys": [] }));
    for (options, complaint) in [
        (vec!["--jwks", &private], "it contains a private key"),
        (vec!["--jwks", &none], "it has no RSA key of 2048 bits or more"),
        (vec!["--jwks", "/nowhere"], "cannot be read"),
        (vec!["--jwks-uri", "http://acme.example/jwks"], "https, or http on a loopback host"),
        (vec!["--jwks", &good, "--jwks-uri", &uri], "cannot be used with"),
    ] {
        let words = [&["client", "add", "--id", "another", "--name", "Agent"][..], &uris, &options].concat();
        let said = amble.fails_with(2, &words).await;
        assert!(said.contains(complaint), "{said}");
    }
    assert_eq!(amble.json(&["client", "list"]).await["clients"].as_array().unwrap().len(), 2);
}

/// What it shows of clients, for people and for scripts; a secret only where it is made.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_listed_and_shown() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    assert_eq!(amble.text(&["client", "list"]).await, "There is no client yet.\n");
    assert_eq!(amble.json(&["client", "list"]).await, json!({ "clients": [] }));

    let text = amble.text(&[&ADD[..], &["--redirect-uri", "http://localhost:4444/cb"]].concat()).await;
    let (told, secret) = text.split_once("\n\n  ").unwrap();
    assert_eq!(told, "acme-cowork is registered. Its secret, which nobody can show again:");
    let secret = secret.trim();
    test_system.track_secret(secret);
    let registered = test_system.connector("Claude").await.client_id;

    let list = amble.text(&["client", "list"]).await;
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].starts_with("CLIENT ") && lines[0].ends_with("ANSWERED AT"), "{list}");
    assert!(lines[1].starts_with("acme-cowork ") && lines[1].contains("  by hand  "), "{list}");
    assert!(lines[1].ends_with(&format!("Acme for Cowork  {CALLBACK} http://localhost/cb")), "{list}");
    assert!(lines[2].starts_with(&registered) && lines[2].contains("registered itself, until 20"), "{list}");

    let shown = amble.text(&["client", "show", "acme-cowork"]).await;
    for line in ["Client           acme-cowork", "Name             Acme for Cowork", "Kept             by hand"] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    let all = amble.json(&["client", "list"]).await;
    assert_eq!(all["clients"][0], amble.json(&["client", "show", "acme-cowork"]).await);
    assert_eq!(all["clients"][1], amble.json(&["client", "show", &registered]).await);
    for text in [list, shown, all.to_string(), amble.text(&["client", "secret", "list", "acme-cowork"]).await] {
        assert!(!text.contains("cs_") && !text.contains(secret), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_client_commands_change_nothing() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let registered = test_system.connector("Claude").await.client_id;
    let secret = amble.json(&ADD).await["client_secret"].as_str().unwrap().to_owned();
    test_system.track_secret(&secret);
    let before = test_system.system().items().unwrap();

    // The words.
    for (id, name, uri) in [
        ("c_acme", "Acme", CALLBACK),
        ("https://acme.example/client.json", "Acme", CALLBACK),
        ("", "Acme", CALLBACK),
        ("acme cowork", "Acme", CALLBACK),
        ("acme", "", CALLBACK),
        ("acme", "Ac\nme", CALLBACK),
        ("acme", "Acme", "http://acme.example/cb"),
        ("acme", "Acme", "acme://callback"),
        ("acme", "Acme", "https://acme.example/cb?iss=https://other.example"),
        ("acme", "Acme", ""),
    ] {
        let words = ["client", "add", "--id", id, "--name", name, "--redirect-uri", uri];
        let complaint = amble.fails_with(2, &words).await;
        assert!(complaint.starts_with("error: ") && complaint.contains("--help"), "{words:?} {complaint}");
    }
    for words in [&["client"][..], &["client", "add"], &["client", "ad"], &["nothing"], &["client", "show"], &ADD[..6]]
    {
        amble.fails_with(2, words).await;
    }
    assert!(amble.fails_with(2, &["client", "ad"]).await.contains("'add'"));

    // The state of things.
    let listed = amble.json(&["client", "show", "acme-cowork"]).await["secrets"][0]["secret"].clone();
    let listed = listed.as_str().unwrap();
    for (words, sentence) in [
        (&ADD[..], "there is a client acme-cowork already"),
        (&["client", "show", "nobody"], "there is no client nobody"),
        (&["client", "remove", "nobody"], "there is no client nobody"),
        (&["client", "secret", "add", "nobody"], "there is no client nobody"),
        (&["client", "secret", "list", "nobody"], "there is no client nobody"),
        (&["client", "secret", "add", &registered], "registered itself"),
        (&["client", "secret", "list", &registered], "registered itself"),
        (&["client", "secret", "remove", &registered, listed], "registered itself"),
        (&["client", "secret", "remove", "acme-cowork", "x"], "acme-cowork has no secret x"),
        (&["client", "secret", "remove", "acme-cowork", listed], "is the last secret of acme-cowork"),
    ] {
        let complaint = amble.fails_with(1, words).await;
        assert!(complaint.starts_with("amble: ") && complaint.contains(sentence), "{words:?} {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
    assert_eq!(test_system.system().items().unwrap(), before);

    for _ in 0..4 {
        let added = amble.json(&["client", "secret", "add", "acme-cowork"]).await;
        test_system.track_secret(added["client_secret"].as_str().unwrap());
    }
    let complaint = amble.fails_with(1, &["client", "secret", "add", "acme-cowork"]).await;
    assert!(complaint.contains("acme-cowork has 5 secrets already"), "{complaint}");
}

/// Two operators at once: one client, one secret that works.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_create_one_client() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let words = [&ADD[..], &["--json"]].concat();

    let ended = test_system::all((0..4).map(|_| amble.run(&words))).await;

    let done: Vec<_> = ended.iter().filter(|ended| ended.status == 0).collect();
    assert_eq!(done.len(), 1, "{ended:?}");
    let told: Value = serde_json::from_str(&done[0].stdout).unwrap();
    let client = connector(&test_system, told["client_secret"].as_str().unwrap());
    assert_eq!(client.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_grant");
}

/// `--local` finds the system that runs on a folder, and says so when none does.
#[tokio::test(flavor = "multi_thread")]
async fn local_system_is_found_by_its_data_dir() {
    let folder = TempDir::new("clients");
    let local = format!("--local={}", folder.0.display());
    let amble = Amble(Vec::new());
    let words = ["client", "list", &local];
    assert!(amble.fails_with(1, &words).await.contains("no local system runs on"));

    let test_system = TestSystem::with(|options| {
        options.data = Data::Directory(folder.0.clone());
        options.clock = Clock::system();
    })
    .await;
    let registered = test_system.connector("Claude").await.client_id;
    assert_eq!(amble.json(&words).await["clients"][0]["client_id"], registered);
    let secret = amble.json(&[&ADD[..], &[&local]].concat()).await["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(connector(&test_system, &secret).refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_grant");

    drop(test_system);
    assert!(amble.fails_with(1, &words).await.contains("no local system runs on"));
    assert!(amble.fails_with(2, &[&words[..], &["--stack", "prod"]].concat()).await.contains("cannot be used with"));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_settings_are_named() {
    let amble = Amble::of_environment("http://127.0.0.1:1");
    assert!(amble.fails_with(1, &["client", "list"]).await.contains("TABLE_CLIENTS"));
    let elsewhere = amble.fails_with(1, &["client", "list", "--stack", "prod"]).await;
    assert!(elsewhere.contains("the stack prod cannot be read in us-east-1"), "{elsewhere}");

    let unreachable = Amble([&amble.0[..], &[("TABLE_CLIENTS".to_owned(), "Clients".to_owned())]].concat());
    let complaint = unreachable.fails_with(1, &["client", "list"]).await;
    assert!(complaint.contains("DynamoDB.Scan: no connection"), "{complaint}");
    let no_region = Amble(unreachable.0.into_iter().filter(|(name, _)| name != "AWS_REGION").collect());
    assert!(no_region.fails_with(1, &["client", "list"]).await.contains("AWS_REGION"));
    assert!(Amble(Vec::new()).text(&["--help"]).await.contains("--stack"));
}

/// The stack's outputs name the tables, in moto's CloudFormation and DynamoDB.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto at MOTO_URL: tests/run starts it"]
#[expect(clippy::disallowed_methods, reason = "the address is a setting of the test run")]
async fn a_stack_is_found_by_its_outputs() {
    let test_system = test_system().await;
    let moto = std::env::var("MOTO_URL").unwrap();
    let stack = format!("amble-{}", std::process::id());
    for (name, outputs) in [
        (
            stack.clone(),
            json!({ "TableClients": { "Value": { "Ref": "Clients" } }, "TableGrants": { "Value": { "Ref": "Grants" } } }),
        ),
        (format!("{stack}-other"), json!({ "Bucket": { "Value": "none" } })),
    ] {
        let id = json!([{ "AttributeName": "id", "AttributeType": "S" }]);
        let key = json!([{ "AttributeName": "id", "KeyType": "HASH" }]);
        let table = json!({ "AttributeDefinitions": id, "KeySchema": key, "BillingMode": "PAY_PER_REQUEST" });
        let table = json!({ "Type": "AWS::DynamoDB::Table", "Properties": table });
        let template = json!({ "Resources": { "Clients": table, "Grants": table }, "Outputs": outputs });
        let template = template.to_string();
        let form =
            [("Action", "CreateStack"), ("StackName", &name), ("TemplateBody", &template), ("Version", "2010-05-15")];
        let scope = "AWS4-HMAC-SHA256 Credential=operator/20260101/us-east-1/cloudformation/aws4_request";
        let request = test_system.http().post(&moto).header("authorization", scope);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let made = test_system.send(request.body(test_system::person::encoded(&form))).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    let amble = Amble::of_environment(&moto);
    let at = ["--stack", stack.as_str()];

    assert_eq!(amble.json(&[&["client", "list"], &at[..]].concat()).await, json!({ "clients": [] }));
    amble.text(&[&ADD[..], &at].concat()).await;
    amble.text(&[&["client", "secret", "add", "acme-cowork"], &at[..]].concat()).await;
    let shown = amble.json(&[&["client", "show", "acme-cowork"], &at[..]].concat()).await;
    let old = shown["secrets"][0]["secret"].as_str().unwrap();
    amble.text(&[&["client", "secret", "remove", "acme-cowork", old], &at[..]].concat()).await;
    let last =
        [&["client", "secret", "remove", "acme-cowork", shown["secrets"][1]["secret"].as_str().unwrap()], &at[..]];
    assert!(amble.fails_with(1, &last.concat()).await.contains("is the last secret"));
    amble.text(&[&["client", "remove", "acme-cowork"], &at[..]].concat()).await;

    let other = amble.fails_with(1, &["client", "list", "--stack", &format!("{stack}-other")]).await;
    assert!(other.contains("has no output TableClients"), "{other}");
    assert!(amble.fails_with(1, &["client", "list", "--stack", "nowhere"]).await.contains("does not exist"));
}

/// Removed, it comes back by itself; blocked, it does not: not by registering, not at the pages, not for tokens; and unblocked it does.
#[tokio::test(flavor = "multi_thread")]
async fn blocked_client_cannot_come_back() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let id = connector.client_id.clone();
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);

    let said = amble.text(&["client", "remove", &id]).await;
    assert!(said.contains("Connections that ended: 1. It can come back by itself;"), "{said}");
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    assert_eq!(connector.client_id, id);
    let ask = connector.authorization_request("skills:read");
    let code = test_system.person("ana@example.com").code(&ask, "acme").await;

    let blocked = amble.json(&["client", "block", &id]).await;
    assert_eq!(blocked, json!({ "client_id": id, "ended": 2 }));
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    for refused in [connector.exchange(&ask, &code).await, connector.refresh(&tokens.refresh.unwrap()).await] {
        assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    }
    let page = test_system
        .person("ben@example.com")
        .open_following_redirects(&connector.authorization_request("skills:read").url)
        .await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(page.body.contains("This application is blocked here") && page.header("location").is_none(), "{page:?}");
    let metadata = json!({
        "client_name": "Claude",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let refused = test_system.post_json("/oauth/register", &metadata).await;
    let sentence = "This client is blocked here. Those who run the service can tell why.";
    let expected = json!({ "error": "invalid_client_metadata", "error_description": sentence });
    assert_eq!((refused.status, refused.json()), (400, expected));

    let listed = amble.json(&["client", "show", &id]).await;
    assert_eq!(listed["client_name"], "Claude");
    assert!(listed["blocked_since"].is_string(), "{listed}");
    for (words, sentence) in [
        (&["client", "remove", &id][..], "is blocked; `amble client unblock"),
        (&["client", "secret", "add", &id], "is blocked; `amble client unblock"),
        (&["client", "unblock", "nobody"], "nobody is not blocked"),
    ] {
        let complaint = amble.fails_with(1, words).await;
        assert!(complaint.contains(sentence), "{complaint}");
    }
    amble.text(&["client", "unblock", &id]).await;
    assert_eq!(test_system.connector("Claude").await.client_id, id);
}

/// A client that is blocked by its id comes back with one letter more; blocked by its host, it does not.
#[tokio::test(flavor = "multi_thread")]
async fn blocked_host_shuts_out_every_client_there() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let mut held = Vec::new();
    for (name, redirect_uri) in [
        ("Acme", "https://evil.example/cb"),
        ("Acme.", "https://a.evil.example/cb"),
        ("Claude", CALLBACK),
        ("Local", "http://localhost:4444/cb"),
    ] {
        let connector = test_system.connector_at(name, &[redirect_uri]).await;
        let (ask, code) = connector.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
        let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
        held.push((connector, tokens));
    }

    let complaint = amble.fails_with(1, &["client", "block", "--host", "evil.example"]).await;
    assert!(complaint.contains("applications at evil.example and below") && complaint.contains("--yes"), "{complaint}");
    let blocked = amble.json(&["client", "block", "--host", "Evil.Example", "--yes"]).await;
    assert_eq!(blocked, json!({ "host": "evil.example", "ended": 2 }));
    for ((connector, tokens), status) in held.iter().zip([401, 401, 200, 200]) {
        let called = connector.call(&tokens.access, "tools/list", json!({})).await;
        assert_eq!(called.status, status, "{}", connector.redirect_uri);
        let refreshed = connector.refresh(tokens.refresh.as_ref().unwrap()).await;
        assert_eq!(refreshed.status, status, "{refreshed:?}");
    }
    let ana = test_system.person("ana@example.com");
    let another = test_system.store_metadata_document("https://b.evil.example/client", "Acme!", &[CALLBACK]);
    another.await;
    let (client_id, redirect_uri) = ("https://b.evil.example/client".to_owned(), CALLBACK.to_owned());
    let another = Connector { test_system: &test_system, client_id, redirect_uri, secret: None };
    let page = ana.sign_in(&another.authorization_request("skills:read").url).await;
    assert!(page.status == 403 && page.body.contains("This application is blocked here"), "{page:?}");

    let listed = amble.json(&["client", "list"]).await;
    assert_eq!(listed["blocked_hosts"][0]["host"], "evil.example");
    assert!(amble.text(&["client", "list"]).await.contains("\nBLOCKED HOST  SINCE\nevil.example  20"));
    for (words, sentence) in [
        (&["client", "unblock", &held[0].0.client_id][..], "is blocked by its host"),
        (&["client", "unblock", "--host", "a.evil.example"], "a.evil.example is not blocked by itself"),
        (
            &["client", "block", "--host", "claude.ai", "--yes"],
            "keeps out claude.ai, which this deployment vouches for",
        ),
        (&["client", "block", "--host", "ai.", "--yes"], "top-level domain"),
        (&["client", "block", "--host", "localhost", "--yes"], "on loopback"),
        (&["client", "block", "--host", "127.0.0.1", "--yes"], "on loopback"),
        (&["client", "block", "--host", "[::1]", "--yes"], "on loopback"),
        (
            &["client", "add", "--id", "x", "--name", "X", "--redirect-uri", "https://evil.example/x"],
            "the host evil.example",
        ),
    ] {
        let ended = amble.run(words).await;
        assert!(ended.status > 0 && ended.stderr.contains(sentence), "{words:?} {ended:?}");
    }
    let own = amble.with("VOUCHED_HOSTS", "apps.example.com");
    assert!(
        own.fails_with(1, &["client", "block", "--host", "example.com", "--yes"]).await.contains("apps.example.com")
    );
    own.text(&["client", "block", "--host", "example.com", "--yes", "--yes"]).await;
    own.text(&["client", "unblock", "--host", "evil.example"]).await;
    assert_eq!(ana.open(&another.authorization_request("skills:read").url).await.status, 200);
}

/// One that describes itself, blocked before anybody brought it: nobody's document is even asked for.
#[tokio::test(flavor = "multi_thread")]
async fn blocked_metadata_document_is_not_fetched() {
    let documents = test_system::metadata_document_host::MetadataDocumentHost::serve().await;
    let test_system = TestSystem::with(|options| {
        options.document_origins.push(documents.origin().to_owned());
        options.clock = Clock::system();
    })
    .await;
    let amble = Amble::of(&test_system);
    let connector = documents.connector(&test_system, "/client.json", "Some Client", &["http://localhost/callback"]);
    amble.text(&["client", "block", &connector.client_id]).await;

    let page = test_system.person("ana@example.com").sign_in(&connector.authorization_request("skills:read").url).await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(page.body.contains("This application is blocked here"), "{page:?}");
    assert_eq!(documents.request_count("/client.json"), 0);

    amble.text(&["client", "unblock", &connector.client_id]).await;
    let page = test_system.person("ana@example.com").sign_in(&connector.authorization_request("skills:read").url).await;
    assert_eq!((page.status, documents.request_count("/client.json")), (200, 1), "{page:?}");
}

/// A write whose answer was lost recognises itself: no secret is lost, and the audit has a line from before it and one from after it.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_about_clients_are_recognised() {
    let test_system = test_system().await;
    let aws = AwsProxy::start(&test_system).await;
    let amble = aws.amble(&test_system);
    let secret = |said: &Value| said["client_secret"].as_str().unwrap().to_owned();
    let lost = async |words: &[&str], told: [&str; 2]| {
        aws.plan(FirstTry::AnswerLost);
        let said = amble.json(words).await;
        assert_eq!(aws.seen(), [told[0], "write", "write", told[1]], "{words:?}");
        said
    };
    let id = "acme-cowork";

    let first = lost(&ADD, ["client_adding", "client_added"]).await;
    let listed = first["secrets"][0]["secret"].as_str().unwrap().to_owned();
    let with_first = connector(&test_system, &secret(&first));
    assert_eq!(with_first.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_grant");
    let second = lost(&["client", "secret", "add", id], ["client_secret_adding", "client_secret_added"]).await;
    let with_second = connector(&test_system, &secret(&second));
    assert_eq!(with_second.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_grant");
    let removing = ["client", "secret", "remove", id, &listed];
    lost(&removing, ["client_secret_removing", "client_secret_removed"]).await;
    assert_eq!(with_first.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_client");
    lost(&["client", "remove", id], ["client_removing", "client_removed"]).await;
    assert_eq!(with_second.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_client");
    lost(&["client", "block", id], ["client_blocking", "client_blocked"]).await;
    lost(&["client", "unblock", id], ["client_unblocking", "client_unblocked"]).await;
    assert!(amble.fails_with(1, &["client", "unblock", id]).await.contains("is not blocked"));
    assert_eq!(aws.seen(), Vec::<String>::new(), "what is refused announces nothing");
}

/// Another operator writes between a first try, whose answer is lost, and the second: what is true by then is told, and no secret is lost.
#[tokio::test(flavor = "multi_thread")]
async fn overtaken_changes_of_clients_tell_what_is_true() {
    let test_system = test_system().await;
    let aws = AwsProxy::start(&test_system).await;
    let amble = aws.amble(&test_system);
    let secret = |said: &Value| said["client_secret"].as_str().unwrap().to_owned();
    let overtaken = async |words: &[&str]| {
        aws.plan(FirstTry::Overtaken);
        amble.json(words).await
    };
    let works = async |said: &Value| {
        connector(&test_system, &secret(said)).refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"].clone()
    };
    let id = "acme-cowork";

    let first = overtaken(&ADD).await;
    assert_eq!(works(&first).await, "invalid_grant");
    for _ in 0..3 {
        works(&amble.json(&["client", "secret", "add", id]).await).await;
    }
    let fifth = overtaken(&["client", "secret", "add", id]).await;
    assert_eq!(works(&fifth).await, "invalid_grant", "the last that it may have");
    let listed = first["secrets"][0]["secret"].as_str().unwrap();
    let removed = overtaken(&["client", "secret", "remove", id, listed]).await;
    assert_eq!((removed, works(&first).await), (json!({ "client_id": id, "secret": listed }), json!("invalid_client")));
    amble.json(&["client", "block", id]).await;
    assert_eq!(overtaken(&["client", "unblock", id]).await, json!({ "client_id": id }));
}

/// A removal that stops after its first write, and is begun again.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_removal_of_a_client_is_finished() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let id = ClientId::parse(&connector.client_id).unwrap();
    let now = Timestamp::from_seconds(test_system.now());
    assert!(test_system.system().clients().remove(&id, now).await.unwrap());
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);

    let remove = ["client", "remove", id.as_str()];
    let said = amble.text(&remove).await;

    assert_eq!(said, format!("{id} was forgotten before. Connections that ended: 1.\n"));
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    assert_eq!(amble.json(&remove).await, json!({ "client_id": id.as_str(), "ended": 0 }));
}

/// The first try of each change arrives after the change was undone: it changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn late_changes_of_clients_change_nothing() {
    let test_system = test_system().await;
    let aws = AwsProxy::start(&test_system).await;
    let amble = aws.amble(&test_system);
    let clients = async || {
        let items = test_system.system().items().unwrap().into_iter();
        items.filter(|(table, _)| table.to_lowercase().contains("clients")).collect::<Vec<_>>()
    };
    let id = "acme-cowork";
    let late = async |change: &[&str], undo: &[&str]| {
        aws.plan(FirstTry::ArrivesLate);
        let said = amble.json(change).await;
        // What is undone may be named by what was done.
        let listed = said["secret"].as_str().unwrap_or_default();
        let undo: Vec<_> = undo.iter().map(|word| if *word == "{secret}" { listed } else { word }).collect();
        amble.json(&undo).await;
        let before = clients().await;
        assert_eq!(aws.arrive().await, 400, "{change:?}");
        assert_eq!(clients().await, before, "{change:?}");
    };
    let (remove, block, unblock) = (["client", "remove", id], ["client", "block", id], ["client", "unblock", id]);
    let (add_secret, remove_secret) = (["client", "secret", "add", id], ["client", "secret", "remove", id, "{secret}"]);

    late(&ADD, &remove).await;
    late(&ADD, &block).await;
    late(&unblock, &block).await;
    late(&block, &unblock).await;
    late(&ADD, &["client", "show", id]).await;
    late(&add_secret, &remove_secret).await;
    late(&remove, &ADD).await;
    // And of one that a version before stored, whose items nothing identifies.
    let old = Client {
        id: ClientId::parse("c_old").unwrap(),
        name: None,
        redirect_uris: vec![RedirectUri::parse(CALLBACK).unwrap()],
        refreshes: true,
        kind: ClientKind::Registered { expires: Timestamp::from_seconds(test_system.now() + 3600) },
    };
    test_system.system().clients().put(&old).await.unwrap();
    aws.forget_writer("c_old").await;
    late(&["client", "block", "c_old"], &["client", "unblock", "c_old"]).await;
    assert_eq!(amble.json(&["client", "show", id]).await["secrets"].as_array().unwrap().len(), 1);
}
