//! A product that signs people in with Supabase's own clients, and ours, share one session: each reads the cookies of the other. Over
//! https our own page's cookie has a name that the product does not read.

use std::collections::BTreeMap;

use serde_json::json;
use test_system::TestSystem;

use crate::script::Script;

const KEY: &str = "sb_publishable_local";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn product_and_login_page_share_one_session() {
    let test_system = TestSystem::new().await;
    let arguments = [test_system.system().supabase_url(), KEY, "ana@example.com", "ana-demo"];
    let mut product = Script::start("node", "tests/clients/supabase-js/session.mjs", &arguments);

    let signed_in = product.receive().await;
    let cookies: BTreeMap<String, String> = serde_json::from_value(signed_in["cookies"].clone()).unwrap();
    let ana = test_system.person("ana@example.com");
    for (name, value) in &cookies {
        ana.set_cookie(name, value);
    }
    let console = ana.open("/admin").await;
    assert_eq!(console.status, 200, "{console:?}");
    assert!(console.body.contains("ana@example.com"), "{}", console.body);

    let ben = test_system.person("ben@example.com");
    ben.sign_in("/auth/login").await;
    let header = ben.cookie_header();
    let cookies: BTreeMap<_, _> = header.split("; ").filter_map(|cookie| cookie.split_once('=')).collect();
    product.send(&json!({ "cookies": cookies })).await;
    assert_eq!(product.receive().await, json!({ "event": "knows", "email": "ben@example.com" }));
    product.finish().await;
}
