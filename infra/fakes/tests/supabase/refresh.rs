//! Refresh tokens.

use crate::test_project::{START, TestProject, decoded};
use axum::http::Method;
use fakes::supabase::config::RefreshTokenVersion;
use serde_json::{Value, json};

const USED: (u16, &str, &str) = (400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");

#[tokio::test]
async fn refresh_keeps_session_and_sign_in_time() {
    let project = TestProject::new();
    let first = project.sign_in("ana@example.com").await;
    project.advance(3500);

    let second = project.refresh(&first["refresh_token"]).await.body;

    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let [before, after] = [&first, &second].map(|session| decoded(&session["access_token"]).1);
    assert_eq!(before["session_id"], after["session_id"]);
    assert_eq!(after["iat"], START + 3500);
    assert_eq!(after["amr"], json!([{ "method": "password", "timestamp": START }]));
    assert_eq!(second["expires_at"], START + 3500 + 3600);
}

#[tokio::test]
async fn parent_token_returns_the_active_token_at_any_time() {
    let project = TestProject::new();
    let first = project.sign_in("ana@example.com").await["refresh_token"].clone();
    let second = project.refresh(&first).await.body["refresh_token"].clone();
    project.advance(86_400);

    assert_eq!(project.refresh(&first).await.body["refresh_token"], second);
    assert_eq!(project.refresh(&second).await.status, 200);
}

#[tokio::test]
async fn older_token_is_accepted_for_ten_seconds_then_ends_the_family() {
    let project = TestProject::new();
    let first = project.sign_in("ana@example.com").await;
    let second = project.refresh(&first["refresh_token"]).await.body["refresh_token"].clone();
    let third = project.refresh(&second).await.body["refresh_token"].clone();

    project.advance(10);
    assert_eq!(project.refresh(&first["refresh_token"]).await.status, 200);
    project.advance(11);
    project.refresh(&second).await.assert_error(USED.0, USED.1, USED.2);

    project.advance(11);
    project.refresh(&third).await.assert_error(USED.0, USED.1, USED.2);
    let access = first["access_token"].as_str().unwrap();
    let user = project.as_user(Method::GET, "/auth/v1/user", access, &Value::Null).await;
    assert_eq!(user.status, 200, "the session itself stays");
}

#[tokio::test]
async fn refresh_errors_have_their_codes() {
    let project = TestProject::new();
    let token = project.sign_in("ben@example.com").await["refresh_token"].clone();
    let not_found = (400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");

    project.refresh(&json!("000000000000")).await.assert_error(not_found.0, not_found.1, not_found.2);
    for malformed in [Value::Null, json!("short")] {
        project.refresh(&malformed).await.assert_error(400, "validation_failed", "Refresh token is not valid");
    }
    project.supabase.set_banned("ben@example.com", true);
    project.refresh(&token).await.assert_error(400, "user_banned", "Invalid Refresh Token: User Banned");
    project.supabase.set_banned("ben@example.com", false);
    project.supabase.sign_out_everywhere("ben@example.com");
    project.refresh(&token).await.assert_error(not_found.0, not_found.1, not_found.2);
}

#[tokio::test]
async fn reused_version_2_token_ends_the_session() {
    let project = TestProject::new();
    project.supabase.configure(|config| config.refresh_token_version = RefreshTokenVersion::Two);
    let first = project.sign_in("ana@example.com").await;
    assert_eq!(first["refresh_token"].as_str().unwrap().len(), 51);
    let second = project.refresh(&first["refresh_token"]).await.body["refresh_token"].clone();
    let third = project.refresh(&second).await.body["refresh_token"].clone();
    project.advance(11);

    project.refresh(&first["refresh_token"]).await.assert_error(USED.0, USED.1, USED.2);

    let not_found = (400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
    project.refresh(&third).await.assert_error(not_found.0, not_found.1, not_found.2);
}
