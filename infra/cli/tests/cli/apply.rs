//! `amble apply`: a file becomes what is there, once, however often and whatever comes between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use local::{Options, System};
use serde_json::{Value, json};

use crate::program::{Amble, TempDir, test_system};

const FILE: &str = include_str!("../../../local/demo.yaml");
const VARIABLE: [&str; 2] = ["--var", "TOOLS_AT=http://127.0.0.1:1"];

/// A proxy before DynamoDB: every write is counted, and from some number on none is answered any more.
#[derive(Clone)]
struct DynamoDbProxy {
    to: String,
    http: reqwest::Client,
    writes: Arc<AtomicUsize>,
    most: usize,
}

impl DynamoDbProxy {
    async fn to(system: &System, most: usize) -> (Self, String) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let proxy = Self { to: system.dynamo_url().to_owned(), http, writes: Arc::default(), most };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (proxy, address)
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

async fn pass(State(proxy): State<DynamoDbProxy>, headers: HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let writes = ["Put", "Update", "Delete", "BatchWrite", "TransactWrite"].iter().any(|it| operation.starts_with(it));
    if writes && proxy.writes.fetch_add(1, Ordering::SeqCst) >= proxy.most {
        std::future::pending::<()>().await;
    }
    let answer = proxy.http.post(&proxy.to).headers(headers).body(body).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap())
}

/// The second time changes nothing, and writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn applying_a_file_twice_changes_nothing() {
    let system = System::start(Options::default()).await.unwrap();
    let (proxy, address) = DynamoDbProxy::to(&system, usize::MAX).await;
    let (amble, folder) = (Amble::of_tables(&system, &address), TempDir::new("twice"));
    let file = folder.file("demo.yaml", FILE);
    let words = |more: &[&'static str]| [&["apply", file.as_str()], &VARIABLE[..], more].concat();

    let planned = amble.text(&words(&["--dry-run"])).await;
    let planned = planned.strip_suffix("Nothing was written.\n").unwrap().to_owned();
    let all = planned.lines().count() - 1;
    assert_eq!(planned.lines().last().unwrap(), format!("{all} to create, 0 to change, 0 as they are"));
    assert!(planned.starts_with("+ tenant acme\n") && all > 20, "{planned}");
    let complaint = amble.run(&words(&[])).await;
    assert_eq!((complaint.status, complaint.stdout.as_str()), (1, planned.as_str()));
    assert_eq!(
        complaint.stderr,
        format!("amble: not done: this changes {all} things; add --yes to do it without being asked\n")
    );
    assert_eq!(proxy.writes(), 0);

    assert_eq!(amble.text(&words(&["--yes"])).await, format!("{planned}Done: {all} changed.\n"));
    let written = proxy.writes();
    // Each thing, and what the audit is told of it.
    assert!(written > all, "{written}");
    for (more, told) in [(&[][..], ""), (&["--yes"], ""), (&["--dry-run"], "Nothing was written.\n")] {
        assert_eq!(amble.text(&words(more)).await, format!("0 to create, 0 to change, {all} as they are\n{told}"));
    }
    assert_eq!(amble.json(&words(&["--yes"])).await, json!({ "changes": [], "left_alone": all, "applied": false }));
    assert_eq!(proxy.writes(), written);

    let changed = folder.file("changed.yaml", &FILE.replace("Vera, role: viewer", "Vera, role: member"));
    let told = amble.json(&[&["apply", &changed, "--yes"], &VARIABLE[..]].concat()).await;
    let vera = "tenant acme: member 5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e03 (Vera) as member";
    let change = json!({ "tenant": "acme", "what": vera, "effect": "changes", "differs": ["role"] });
    assert_eq!(told, json!({ "changes": [change], "left_alone": all - 1, "applied": true }));
}

/// Killed in the middle, wherever that is, and repeated: complete.
#[tokio::test(flavor = "multi_thread")]
async fn applying_again_completes_an_interrupted_apply() {
    let folder = TempDir::new("interrupted");
    let file = folder.file("demo.yaml", FILE);
    let words = [&["apply", file.as_str(), "--yes"], &VARIABLE[..]].concat();
    for most in [1, 7, 20] {
        let system = System::start(Options::default()).await.unwrap();
        let (proxy, address) = DynamoDbProxy::to(&system, most).await;
        let mut running =
            Amble::of_tables(&system, &address).command(&words).stdout(std::process::Stdio::null()).spawn().unwrap();
        while proxy.writes() <= most {
            assert!(running.try_wait().unwrap().is_none(), "it ended by itself");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.kill().await.unwrap();

        let amble = Amble::of_tables(&system, system.dynamo_url());
        let again = amble.json(&words).await;
        let (changed, alone) = (again["changes"].as_array().unwrap().len(), again["left_alone"].as_u64().unwrap());
        // The first write told the audit what was to come.
        assert!(changed > 0 && alone + 1 == u64::try_from(most).unwrap(), "{most}: {changed} {alone}");
        let told = amble.json(&["audit", "show", "--tenant", "acme"]).await;
        assert!(told["events"].as_array().unwrap().iter().any(|line| line["event"] == "workspace_changing"), "{told}");
        let whole = amble.json(&words).await;
        assert_eq!(whole["changes"], json!([]), "{most}");
        assert_eq!(whole["left_alone"].as_u64().unwrap(), alone + u64::try_from(changed).unwrap());
    }
}

/// A call that fails ends it with a sentence that says how to go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_apply_says_how_to_continue() {
    let system = System::start(Options::default()).await.unwrap();
    let (_proxy, address) = DynamoDbProxy::to(&system, 3).await;
    let folder = TempDir::new("failing");
    let file = folder.file("demo.yaml", FILE);
    let ended = Amble::of_tables(&system, &address).run(&[&["apply", &file, "--yes"], &VARIABLE[..]].concat()).await;
    assert_eq!(ended.status, 1);
    let told = "no answer in time\nwhat stood before it was written; run the same again to go on\n";
    assert!(ended.stderr.contains(told), "{ended:?}");
    // The audit cannot be told either: what it missed is not lost.
    assert!(ended.stderr.contains("this was done, but the audit could not be told"), "{ended:?}");
    assert!(ended.stderr.contains(r#""event":"workspace_changed""#), "{ended:?}");
}

/// Members whom the file does not name are left alone, or with `--remove-members` put out, with what they have connected.
#[tokio::test(flavor = "multi_thread")]
async fn remove_members_removes_those_not_in_the_file() {
    let test_system = test_system().await;
    let (amble, folder) = (Amble::of(&test_system), TempDir::new("members"));
    let (_, tokens) = test_system.connect("ben@example.com", "acme", "skills:read").await;
    let ana = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";
    let file = folder.file(
        "acme.yaml",
        &format!("tenants:\n  acme:\n    name: Acme\n    members:\n      {ana}: {{ role: owner }}\n"),
    );

    let told = amble.json(&["apply", &file, "--yes"]).await;
    assert_eq!((&told["changes"], &told["applied"]), (&json!([]), &json!(false)), "{told}");
    let told = amble.json(&["apply", &file, "--remove-members", "--dry-run"]).await;
    let removed: Vec<_> = told["changes"].as_array().unwrap().iter().map(|change| change["effect"].clone()).collect();
    assert_eq!(removed, ["removes", "removes"], "{told}");
    assert_eq!(
        test_system.call(Some(&tokens.access), "tools/list", Value::Object(serde_json::Map::new())).await.status,
        200
    );

    amble.text(&["apply", &file, "--remove-members", "--yes"]).await;
    assert_eq!(test_system.call(Some(&tokens.access), "tools/list", json!({})).await.status, 401);
    let left = amble.json(&["member", "list", "--tenant", "acme"]).await;
    assert_eq!(left["members"], json!([{ "tenant": "acme", "person": ana, "role": "owner" }]));
}
