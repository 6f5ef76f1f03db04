//! A product that signs people in with Supabase's own clients, and ours, share one session: each reads the cookies of the other.

use std::collections::BTreeMap;

use serde_json::json;
use world::World;

use crate::script::Script;

const KEY: &str = "sb_publishable_local";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn who_signed_in_at_the_product_is_signed_in_here_and_the_other_way_round() {
    let world = World::new().await;
    let arguments = [world.system().supabase_url(), KEY, "ana@example.com", "ana-demo"];
    let mut product = Script::start("node", "tests/clients/supabase-js/session.mjs", &arguments);

    let signed_in = product.hears().await;
    let cookies: BTreeMap<String, String> = serde_json::from_value(signed_in["cookies"].clone()).unwrap();
    let ana = world.person("ana@example.com");
    for (name, value) in &cookies {
        ana.has_cookie(name, value);
    }
    let console = ana.open("/admin").await;
    assert_eq!(console.status, 200, "{console:?}");
    assert!(console.body.contains("ana@example.com"), "{}", console.body);

    let ben = world.person("ben@example.com");
    ben.signs_in("/auth/login").await;
    let header = ben.cookie_header();
    let cookies: BTreeMap<_, _> = header.split("; ").filter_map(|cookie| cookie.split_once('=')).collect();
    product.tells(&json!({ "cookies": cookies })).await;
    assert_eq!(product.hears().await, json!({ "event": "knows", "email": "ben@example.com" }));
    product.ends().await;
}
