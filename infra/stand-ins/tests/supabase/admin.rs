use crate::world::{ANA, PUBLISHABLE, SECRET, VERSION, World};
use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_person_is_shown_to_the_secret_key_alone() {
    let world = World::new();
    let session = world.sign_in("ana@example.com").await;
    let path = format!("/auth/v1/admin/users/{ANA}");
    world.supabase.set_banned("ana@example.com", true);
    let bearer = format!("Bearer {SECRET}");

    let shown = world.get(&path, &[("apikey", SECRET), ("authorization", &bearer), VERSION]).await;

    assert_eq!((shown.status, &shown.body["id"]), (200, &json!(ANA)));
    assert_eq!(shown.body["banned_until"], "2100-01-01T00:00:00Z");
    world.supabase.set_banned("ana@example.com", false);
    assert_eq!(world.get(&path, &[("apikey", SECRET)]).await.body, session["user"]);
    let bare = world.get(&path, &[("apikey", PUBLISHABLE), VERSION]).await;
    bare.refused(401, "no_authorization", "This endpoint requires a valid Bearer token");
    let token = session["access_token"].as_str().unwrap();
    world.as_user(Method::GET, &path, token, &Value::Null).await.refused(403, "not_admin", "User not allowed");
    let nobody = world.get(&format!("/auth/v1/admin/users/{}", Uuid::nil()), &[("apikey", SECRET), VERSION]).await;
    nobody.refused(404, "user_not_found", "User not found");
    let odd = world.get("/auth/v1/admin/users/ana", &[("apikey", SECRET), VERSION]).await;
    odd.refused(404, "validation_failed", "user_id must be an UUID");
}
