//! Refresh tokens.

use crate::world::{START, World, decoded};
use axum::http::Method;
use serde_json::{Value, json};
use stand_ins::supabase::config::RefreshTokenVersion;

const USED: (u16, &str, &str) = (400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");

#[tokio::test]
async fn a_refresh_keeps_the_session_and_the_time_of_signing_in() {
    let world = World::new();
    let first = world.sign_in("ana@example.com").await;
    world.advance(3500);

    let second = world.refresh(&first["refresh_token"]).await.body;

    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let [before, after] = [&first, &second].map(|session| decoded(&session["access_token"]).1);
    assert_eq!(before["session_id"], after["session_id"]);
    assert_eq!(after["iat"], START + 3500);
    assert_eq!(after["amr"], json!([{ "method": "password", "timestamp": START }]));
    assert_eq!(second["expires_at"], START + 3500 + 3600);
}

#[tokio::test]
async fn the_parent_of_the_active_token_gets_it_again_at_any_time() {
    let world = World::new();
    let first = world.sign_in("ana@example.com").await["refresh_token"].clone();
    let second = world.refresh(&first).await.body["refresh_token"].clone();
    world.advance(86_400);

    assert_eq!(world.refresh(&first).await.body["refresh_token"], second);
    assert_eq!(world.refresh(&second).await.status, 200);
}

#[tokio::test]
async fn an_older_token_passes_within_ten_seconds_and_then_ends_the_family() {
    let world = World::new();
    let first = world.sign_in("ana@example.com").await;
    let second = world.refresh(&first["refresh_token"]).await.body["refresh_token"].clone();
    let third = world.refresh(&second).await.body["refresh_token"].clone();

    world.advance(10);
    assert_eq!(world.refresh(&first["refresh_token"]).await.status, 200);
    world.advance(11);
    world.refresh(&second).await.refused(USED.0, USED.1, USED.2);

    world.advance(11);
    world.refresh(&third).await.refused(USED.0, USED.1, USED.2);
    let access = first["access_token"].as_str().unwrap();
    let user = world.as_user(Method::GET, "/auth/v1/user", access, &Value::Null).await;
    assert_eq!(user.status, 200, "the session itself stays");
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let world = World::new();
    let token = world.sign_in("ben@example.com").await["refresh_token"].clone();
    let not_found = (400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");

    world.refresh(&json!("000000000000")).await.refused(not_found.0, not_found.1, not_found.2);
    for malformed in [Value::Null, json!("short")] {
        world.refresh(&malformed).await.refused(400, "validation_failed", "Refresh token is not valid");
    }
    world.supabase.set_banned("ben@example.com", true);
    world.refresh(&token).await.refused(400, "user_banned", "Invalid Refresh Token: User Banned");
    world.supabase.set_banned("ben@example.com", false);
    world.supabase.sign_out_everywhere("ben@example.com");
    world.refresh(&token).await.refused(not_found.0, not_found.1, not_found.2);
}

#[tokio::test]
async fn an_old_token_of_version_2_ends_the_session() {
    let world = World::new();
    world.supabase.configure(|config| config.refresh_token_version = RefreshTokenVersion::Two);
    let first = world.sign_in("ana@example.com").await;
    assert_eq!(first["refresh_token"].as_str().unwrap().len(), 51);
    let second = world.refresh(&first["refresh_token"]).await.body["refresh_token"].clone();
    let third = world.refresh(&second).await.body["refresh_token"].clone();
    world.advance(11);

    world.refresh(&first["refresh_token"]).await.refused(USED.0, USED.1, USED.2);

    let not_found = (400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
    world.refresh(&third).await.refused(not_found.0, not_found.1, not_found.2);
}
