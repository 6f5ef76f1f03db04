use crate::test_project::{ANA, PUBLISHABLE, SECRET, TestProject, VERSION};
use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn user_is_readable_only_with_the_secret_key() {
    let project = TestProject::new();
    let session = project.sign_in("ana@example.com").await;
    let path = format!("/auth/v1/admin/users/{ANA}");
    project.supabase.set_banned("ana@example.com", true);
    let bearer = format!("Bearer {SECRET}");

    let shown = project.get(&path, &[("apikey", SECRET), ("authorization", &bearer), VERSION]).await;

    assert_eq!((shown.status, &shown.body["id"]), (200, &json!(ANA)));
    assert_eq!(shown.body["banned_until"], "2100-01-01T00:00:00Z");
    project.supabase.set_banned("ana@example.com", false);
    assert_eq!(project.get(&path, &[("apikey", SECRET)]).await.body, session["user"]);
    let bare = project.get(&path, &[("apikey", PUBLISHABLE), VERSION]).await;
    bare.assert_error(401, "no_authorization", "This endpoint requires a valid Bearer token");
    let token = session["access_token"].as_str().unwrap();
    project.as_user(Method::GET, &path, token, &Value::Null).await.assert_error(403, "not_admin", "User not allowed");
    let nobody = project.get(&format!("/auth/v1/admin/users/{}", Uuid::nil()), &[("apikey", SECRET), VERSION]).await;
    nobody.assert_error(404, "user_not_found", "User not found");
    let odd = project.get("/auth/v1/admin/users/ana", &[("apikey", SECRET), VERSION]).await;
    odd.assert_error(404, "validation_failed", "user_id must be an UUID");
}

/// What the tests of a real project need: somebody is made, changed and removed by the secret key.
#[tokio::test]
async fn admin_api_creates_updates_and_deletes_users() {
    let project = TestProject::new();
    let headers = [("apikey", SECRET), VERSION];
    let admin = async |method: Method, path: &str, body: Value| {
        project.send(method, &format!("/auth/v1/admin{path}"), &headers, body.to_string()).await
    };
    let eve = json!({ "email": "Eve@example.com", "password": "eve-demo", "user_metadata": { "full_name": "Eve" } });

    let made = admin(Method::POST, "/users", eve.clone()).await;

    assert_eq!((made.status, &made.body["email"]), (200, &json!("eve@example.com")));
    assert_eq!(made.body["email_confirmed_at"], Value::Null);
    assert_eq!(made.body["user_metadata"]["full_name"], "Eve");
    let twice = admin(Method::POST, "/users", eve).await;
    twice.assert_error(422, "email_exists", "A user with this email address has already been registered");
    let nobody = admin(Method::POST, "/users", json!({})).await;
    nobody.assert_error(400, "validation_failed", "Cannot create a user without either an email or phone");
    let path = format!("/users/{}", made.body["id"].as_str().unwrap());
    let sign_in = async || {
        let body = json!({ "email": "eve@example.com", "password": "eve-demo" });
        project.post("/auth/v1/token?grant_type=password", &body).await
    };
    sign_in().await.assert_error(400, "email_not_confirmed", "Email not confirmed");
    assert_eq!(admin(Method::PUT, &path, json!({ "email_confirm": true })).await.status, 200);
    assert_eq!(sign_in().await.status, 200);
    let banned = admin(Method::PUT, &path, json!({ "ban_duration": "24h" })).await;
    assert_eq!(banned.body["banned_until"], "2100-01-01T00:00:00Z");
    sign_in().await.assert_error(400, "user_banned", "User is banned");
    let odd = admin(Method::PUT, &path, json!({ "ban_duration": "x" })).await;
    odd.assert_error(400, "validation_failed", "invalid format for ban duration: time: invalid duration \"x\"");

    let found = admin(Method::GET, "/users?page=1&per_page=5&filter=eve@", Value::Null).await;
    assert_eq!((&found.body["aud"], &found.body["users"][0]["id"]), (&json!("authenticated"), &made.body["id"]));
    assert_eq!(
        (found.body["users"].as_array().unwrap().len(), &found.headers["x-total-count"]),
        (1, &"1".parse().unwrap())
    );
    assert_eq!(admin(Method::GET, "/users?page=2&filter=eve@", Value::Null).await.body["users"], json!([]));
    let removed = admin(Method::DELETE, &path, json!({})).await;
    assert_eq!((removed.status, removed.body), (200, json!({})));
    admin(Method::DELETE, &path, json!({})).await.assert_error(404, "user_not_found", "User not found");
    let bare = project.get("/auth/v1/admin/users", &[("apikey", PUBLISHABLE), VERSION]).await;
    bare.assert_error(401, "no_authorization", "This endpoint requires a valid Bearer token");
}

/// The code and the link of a mail that nobody is sent.
#[tokio::test]
async fn generate_link_sends_no_mail() {
    let project = TestProject::new();
    let asked = json!({ "type": "magiclink", "email": "ben@example.com", "redirect_to": "http://localhost:3000/x" });
    let generate = async |asked: &Value| {
        let headers = [("apikey", SECRET), VERSION];
        project.send(Method::POST, "/auth/v1/admin/generate_link", &headers, asked.to_string()).await
    };

    let link = generate(&asked).await;

    assert_eq!((link.status, project.supabase.inbox("ben@example.com").len()), (200, 0));
    let (hash, code) = (link.body["hashed_token"].as_str().unwrap(), link.body["email_otp"].as_str().unwrap());
    let action = format!("/auth/v1/verify?token={hash}&type=magiclink&redirect_to=");
    assert!(link.body["action_link"].as_str().unwrap().contains(&action), "{}", link.text);
    assert_eq!(link.body["verification_type"], "magiclink");
    let typed = json!({ "type": "email", "email": "ben@example.com", "token": code });
    assert_eq!(project.post("/auth/v1/verify", &typed).await.status, 200);
    assert_eq!(project.post("/auth/v1/verify", &typed).await.status, 403);
    let hash = generate(&asked).await.body["hashed_token"].clone();
    let hashed = project.post("/auth/v1/verify", &json!({ "type": "email", "token_hash": hash })).await;
    assert_eq!(hashed.body["user"]["email"], "ben@example.com");
    let odd = generate(&json!({ "type": "pigeon", "email": "ben@example.com" })).await;
    odd.assert_error(400, "validation_failed", "Invalid email action link type requested: pigeon");
}
