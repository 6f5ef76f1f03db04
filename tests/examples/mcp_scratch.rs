//! scratch
use local::wire::{Call, Decision};
use local::{Options, System};
use serde_json::{Value, json};
use shared::oauth::tenant::TenantId;
use shared::store::workspace::{Name, Skill, Tool};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::main]
async fn main() {
    let calls = Arc::new(Mutex::new(Vec::<String>::new()));
    let broken = Arc::new(Mutex::new(String::new()));
    let (c2, b2) = (calls.clone(), broken.clone());
    let wire = move |call: Call| {
        let (calls, broken) = (c2.clone(), b2.clone());
        async move {
            let table = call.body["TableName"].as_str().unwrap_or("?").to_owned();
            let what = format!("{} {} {}", call.function, call.operation, table);
            let refuse = {
                let b = broken.lock().unwrap();
                !b.is_empty() && what.contains(b.as_str())
            };
            calls.lock().unwrap().push(what);
            if refuse { Decision::FailBefore(local::wire::Failing::DENIED) } else { Decision::Pass }
        }
    };
    let system = System::start(Options {
        demo: true,
        wire: Some(Arc::new(wire)),
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Options::default()
    })
    .await
    .map_err(|e| e.to_string())
    .unwrap();
    let key = system.demo().unwrap().api_key.clone();
    let url = system.mcp_url();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |method: &str, params: Value| {
        let r = http
            .post(&url)
            .bearer_auth(&key)
            .header("content-type", "application/json")
            .body(json!({"jsonrpc":"2.0","id":1,"method":method,"params":params}).to_string());
        async move {
            let a = r.send().await.unwrap();
            let s = a.status().as_u16();
            let h = a.headers().clone();
            (s, h, serde_json::from_str::<Value>(&a.text().await.unwrap()).unwrap_or(Value::Null))
        }
    };
    let acme = TenantId::parse("acme").unwrap();
    let w = system.workspace();
    for n in 0..250 {
        let name = Name::parse(&format!("t-{n:03}")).unwrap();
        w.keep_tool(
            &acme,
            &Tool {
                name: name.clone(),
                title: "T".into(),
                description: "D".into(),
                input_schema: json!({"type":"object"}).as_object().unwrap().clone(),
                output_schema: None,
                url: "https://169.254.169.254/".into(),
                timeout: Duration::from_secs(5),
                read_only: false,
                destructive: true,
            },
        )
        .await
        .unwrap();
        w.keep_skill(&acme, &Skill { name, title: "S".into(), description: "D".into(), content: "x".repeat(10_000) })
            .await
            .unwrap();
    }
    calls.lock().unwrap().clear();
    let mut names = vec![];
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let p = cursor.map_or(json!({}), |c: Value| json!({"cursor": c}));
        let (s, _, b) = post("tools/list", p).await;
        assert_eq!(s, 200, "{b}");
        pages += 1;
        names.extend(b["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()));
        match b["result"].get("nextCursor") {
            Some(c) => cursor = Some(c.clone()),
            None => break,
        }
    }
    let mut tail = names[4..].to_vec();
    let before = tail.clone();
    tail.sort();
    tail.dedup();
    println!("tools {} pages {pages} sorted+unique {}", names.len(), tail == before);
    println!("calls {:?}", calls.lock().unwrap().drain(..).take(4).collect::<Vec<_>>());
    calls.lock().unwrap().clear();
    let mut n = 0;
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let p = cursor.map_or(json!({}), |c: Value| json!({"cursor": c}));
        let (_, _, b) = post("tools/call", json!({"name":"list_skills","arguments":p})).await;
        pages += 1;
        let b = &b["result"]["structuredContent"];
        n += b["skills"].as_array().unwrap().len();
        match b.get("nextCursor") {
            Some(c) => cursor = Some(c.clone()),
            None => break,
        }
    }
    println!("skills {n} pages {pages}");
    println!("guarded {:?}", post("tools/call", json!({"name":"t-001"})).await.2);
    for (what, method, params) in [
        ("mcp Query", "tools/list", json!({})),
        ("mcp GetItem", "ping", json!({})),
        ("mcp BatchGetItem", "ping", json!({})),
        ("mcp GetItem workspace", "tools/call", json!({"name":"t-001"})),
        ("mcp GetItem workspace", "tools/call", json!({"name":"read_skill","arguments":{"name":"t-001"}})),
    ] {
        let table = calls.lock().unwrap().iter().rev().take(3).cloned().collect::<Vec<_>>();
        *broken.lock().unwrap() = what.to_owned();
        let (s, h, b) = post(method, params).await;
        println!("{what} broken: {s} retry-after {:?} {b} {table:?}", h.get("retry-after"));
        broken.lock().unwrap().clear();
    }
    println!("{:?}", post("ping", json!({})).await.0);
    let mut big = Skill {
        name: Name::parse("big").unwrap(),
        title: "S".into(),
        description: "D".into(),
        content: "x".repeat(256 * 1024 + 1),
    };
    println!("{:?}", w.keep_skill(&acme, &big).await);
    big.content.pop();
    println!("{:?}", w.keep_skill(&acme, &big).await.is_ok());
    let (s, _, b) = post("tools/call", json!({"name":"read_skill","arguments":{"name":"big"}})).await;
    println!("{s} {}", b["result"]["structuredContent"]["content"].as_str().unwrap().len());
    system.shutdown().await.map_err(|e| e.to_string()).unwrap();
}
