use crate::test_project::{TestProject, seed, site};
use axum::http::Method;
use fakes::supabase::project::{Site, Supabase};
use fakes::supabase::seed::Person;
use fakes::supabase::setup_error::SetupError;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn sessions_survive_a_restart() {
    let project = TestProject::new();
    let [ana, ben] = [project.sign_in("ana@example.com").await, project.sign_in("ben@example.com").await];
    project.post("/auth/v1/otp", &json!({ "email": "ana@example.com" })).await;
    let code = project.supabase.inbox("ana@example.com").remove(0).code;
    let spent = ana["refresh_token"].clone();
    let current = project.refresh(&spent).await.body["refresh_token"].clone();
    project.advance(60);
    let mut people = seed();
    people.people.retain(|person| person.email != "ben@example.com");

    let project = project.restarted(people);

    let token = ana["access_token"].as_str().unwrap();
    let user = project.as_user(Method::GET, "/auth/v1/user", token, &Value::Null).await;
    let mut expected = ana["user"].clone();
    expected["recovery_sent_at"] = json!("2026-11-22T09:30:00Z");
    assert_eq!((user.status, &user.body), (200, &expected));
    assert_eq!(project.refresh(&spent).await.body["refresh_token"], current);
    let typed = json!({ "type": "email", "email": "ana@example.com", "token": code });
    assert_eq!(project.post("/auth/v1/verify", &typed).await.status, 200);
    assert_eq!(project.refresh(&ben["refresh_token"]).await.status, 400, "who is gone from the seed is signed out");
}

#[tokio::test]
async fn seeded_people_without_an_id_keep_the_same_one() {
    let [one, other] =
        [TestProject::new().sign_in("ben@example.com").await, TestProject::new().sign_in("ben@example.com").await];

    assert_eq!(one["user"]["id"], other["user"]["id"]);
    assert_ne!(one["refresh_token"], other["refresh_token"]);
}

#[test]
fn an_invalid_project_does_not_start() {
    let start = |seed, site| Supabase::new(seed, site, Arc::new(|| 0)).err();
    for url in ["https://project.supabase.co", "http://10.0.0.1:54321", "https://127.0.0.1", "http://127.0.0.1/x", ""] {
        let error = start(seed(), Site { url: url.to_owned(), ..site() });
        assert!(matches!(error, Some(SetupError::NotLoopback)), "{url}");
    }
    let mut twins = seed();
    twins.people.push(Person::new("BEN@example.com", "x", "Ben again"));
    assert!(matches!(start(twins, site()), Some(SetupError::DuplicatePerson)));
    let saved = Supabase::restore(seed(), site(), Arc::new(|| 0), "{}").err();
    assert!(matches!(saved, Some(SetupError::InvalidState(_))));
}
