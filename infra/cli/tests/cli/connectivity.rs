//! How the program reaches AWS from an operator's machine.

use std::net::{Ipv4Addr, TcpListener};

use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use test_system::TestSystem;

use crate::program::{Amble, test_system};

/// As on a machine of AWS, without keys in the environment.
fn without_keys(test_system: &TestSystem) -> Amble {
    let mut amble = Amble::of(test_system);
    amble.0.retain(|(name, _)| !["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].contains(&name.as_str()));
    amble.with("AWS_EC2_METADATA_DISABLED", "true")
}

/// Such a machine lends its own credentials in the clear: whatever proxy there is never sees them.
#[tokio::test(flavor = "multi_thread")]
async fn proxy_never_sees_credentials() {
    let test_system = test_system().await;
    let lent = json!({ "AccessKeyId": "lent", "SecretAccessKey": "lent", "Token": "lent", "Expiration": "2099-01-01T00:00:00Z" });
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let lender = format!("http://{}/credentials", listener.local_addr().unwrap());
    let router = Router::new().route("/credentials", get(async || Json(lent)));
    tokio::spawn(axum::serve(listener, router).into_future());
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let through = format!("http://{}", proxy.local_addr().unwrap());

    let amble = without_keys(&test_system).with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &lender);
    let amble = amble.with("HTTP_PROXY", &through).with("http_proxy", &through).with("ALL_PROXY", &through);
    assert!(amble.text(&["tenant", "list"]).await.contains("acme"));

    proxy.set_nonblocking(true).unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

/// No credentials; and a proxy, by which AWS is asked, that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn connection_failures_are_explained() {
    let test_system = test_system().await;
    let complaint = without_keys(&test_system).fails_with(1, &["tenant", "list"]).await;
    assert!(complaint.contains("the call could not be made: "), "{complaint}");

    let amble =
        Amble::of_tables(test_system.system(), "https://dynamodb.example").with("HTTPS_PROXY", "http://127.0.0.1:1");
    let complaint = amble.fails_with(1, &["tenant", "list"]).await;
    assert!(complaint.contains("no connection: ") && complaint.contains("refused"), "{complaint}");
}
