//! What an operator blocks by host: every client that is answered there or described there, whatever it calls itself.

use serde_json::json;
use shared::clock::Timestamp;
use test_system::metadata_document_host::MetadataDocumentHost;
use test_system::{CALLBACK, TestSystem};

const EVIL: &str = "https://evil.example/callback";

async fn block(test_system: &TestSystem, host: &str) {
    test_system.system().clients().block_host(host, Timestamp::from_seconds(test_system.now())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_blocked_host_neither_connect_nor_register_nor_refresh() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person("ana@example.com");
    let evil = test_system.connector_at("Acme", &["https://app.example/callback", EVIL]).await;
    let (ask, code) = evil.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
    let tokens = evil.exchange(&ask, &code).await.tokens(&test_system);
    let (ask, code) = evil.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
    ana.sign_in("/auth/login").await;

    block(&test_system, "evil.example").await;

    for refused in [evil.exchange(&ask, &code).await, evil.refresh(tokens.refresh.as_ref().unwrap()).await] {
        assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")), "{refused:?}");
    }
    let url = evil.authorization_request("skills:read").url;
    for page in [ana.open(&url).await, test_system.get(&url).await] {
        assert_eq!((page.status, page.header("location")), (403, None), "{page:?}");
        assert!(page.body.contains("This application is blocked here"), "{page:?}");
    }
    // A registration is compared with what was read at most a minute ago.
    test_system.advance(60);
    for (name, redirect_uri, status) in [
        ("Acme", EVIL, 400),
        ("Acme.", EVIL, 400),
        ("Other", "https://a.evil.example/cb", 400),
        ("Acme", "https://notevil.example/cb", 201),
        ("Acme", CALLBACK, 201),
    ] {
        let metadata = json!({ "client_name": name, "redirect_uris": [redirect_uri] });
        let answer = test_system.post_json("/oauth/register", &metadata).await;
        assert_eq!(answer.status, status, "{name} {redirect_uri} {answer:?}");
    }

    assert!(test_system.system().clients().unblock_host("evil.example").await.unwrap());
    assert_eq!(ana.open(&url).await.status, 200);
}

/// An earlier version took `https://evil.example./`, which is the same host.
#[tokio::test(flavor = "multi_thread")]
async fn client_with_a_dot_after_a_blocked_host_is_blocked() {
    let test_system = TestSystem::new().await;
    let evil = test_system.connector_at("Acme", &[EVIL]).await;
    let (ask, code) = evil.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
    let tokens = evil.exchange(&ask, &code).await.tokens(&test_system);
    let refused = test_system
        .post_json("/oauth/register", &json!({ "client_name": "Acme", "redirect_uris": ["https://evil.example./cb"] }))
        .await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_redirect_uri")));
    for (table, item) in test_system.system().items().unwrap() {
        if item["id"]["S"] == evil.client_id.as_str() {
            let with_dot = item.to_string().replace("https://evil.example/", "https://evil.example./");
            test_system.put_item(&table, &serde_json::from_str(&with_dot).unwrap()).await;
        }
    }

    let refresh = tokens.refresh.unwrap();
    let refreshed = evil.refresh(&refresh).await.tokens(&test_system);
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    for uri in [None, Some("https://evil.example./callback"), Some(EVIL)] {
        let page = ana.open(&evil.authorization_request_with(&[("redirect_uri", uri)]).url).await;
        assert_eq!((page.status, page.header("location")), (400, None), "{uri:?}: {page:?}");
    }
    block(&test_system, "evil.example").await;
    let answer = evil.refresh(refreshed.refresh.as_ref().unwrap()).await;
    assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn document_of_a_blocked_host_is_not_fetched_and_one_that_names_it_not_stored() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let naming = documents.connector(&test_system, "/naming", "Acme", &[EVIL]);
    let described = documents.connector(&test_system, "/described", "Acme", &["https://app.example/callback"]);

    block(&test_system, "evil.example").await;
    assert_eq!(ana.open(&naming.authorization_request("skills:read").url).await.status, 403);
    assert!(test_system.system().clients().list(Timestamp::from_seconds(test_system.now())).await.unwrap().is_empty());

    block(&test_system, "127.0.0.1").await;
    assert_eq!(ana.open(&described.authorization_request("skills:read").url).await.status, 403);
    assert_eq!(documents.request_count("/described"), 0);
}
