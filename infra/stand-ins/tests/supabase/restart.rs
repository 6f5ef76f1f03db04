use crate::world::{World, seed, site};
use axum::http::Method;
use serde_json::{Value, json};
use stand_ins::supabase::seed::Person;
use stand_ins::supabase::{Site, Supabase, Unfit};
use std::sync::Arc;

#[tokio::test]
async fn a_restart_keeps_who_is_signed_in() {
    let world = World::new();
    let [ana, ben] = [world.sign_in("ana@example.com").await, world.sign_in("ben@example.com").await];
    world.post("/auth/v1/otp", &json!({ "email": "ana@example.com" })).await;
    let code = world.supabase.inbox("ana@example.com").remove(0).code;
    let spent = ana["refresh_token"].clone();
    let current = world.refresh(&spent).await.body["refresh_token"].clone();
    world.advance(60);
    let mut people = seed();
    people.people.retain(|person| person.email != "ben@example.com");

    let world = world.restarted(people);

    let token = ana["access_token"].as_str().unwrap();
    let user = world.as_user(Method::GET, "/auth/v1/user", token, &Value::Null).await;
    let mut expected = ana["user"].clone();
    expected["recovery_sent_at"] = json!("2026-11-22T09:30:00Z");
    assert_eq!((user.status, &user.body), (200, &expected));
    assert_eq!(world.refresh(&spent).await.body["refresh_token"], current);
    let typed = json!({ "type": "email", "email": "ana@example.com", "token": code });
    assert_eq!(world.post("/auth/v1/verify", &typed).await.status, 200);
    assert_eq!(world.refresh(&ben["refresh_token"]).await.status, 400, "who is gone from the seed is signed out");
}

#[tokio::test]
async fn who_has_no_id_in_the_seed_has_the_same_one_at_every_start() {
    let [one, other] = [World::new().sign_in("ben@example.com").await, World::new().sign_in("ben@example.com").await];

    assert_eq!(one["user"]["id"], other["user"]["id"]);
    assert_ne!(one["refresh_token"], other["refresh_token"]);
}

#[test]
fn an_unfit_project_does_not_start() {
    let start = |seed, site| Supabase::new(seed, site, Arc::new(|| 0)).err();
    for url in ["https://project.supabase.co", "http://10.0.0.1:54321", "https://127.0.0.1", "http://127.0.0.1/x", ""] {
        let unfit = start(seed(), Site { url: url.to_owned(), ..site() });
        assert!(matches!(unfit, Some(Unfit::NotLoopback)), "{url}");
    }
    let mut twins = seed();
    twins.people.push(Person::new("BEN@example.com", "x", "Ben again"));
    assert!(matches!(start(twins, site()), Some(Unfit::Twins)));
    let saved = Supabase::restore(seed(), site(), Arc::new(|| 0), "{}").err();
    assert!(matches!(saved, Some(Unfit::Saved(_))));
}
