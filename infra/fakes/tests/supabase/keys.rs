use crate::test_project::{PUBLISHABLE, TestProject, decoded};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const JWKS: &str = "/auth/v1/.well-known/jwks.json";

#[tokio::test]
async fn tokens_verify_with_the_listed_key() {
    let project = TestProject::new();
    let token = project.sign_in("ana@example.com").await["access_token"].clone();

    let jwks = project.get(JWKS, &[]).await;

    let key = &jwks.body["keys"][0];
    assert_eq!(jwks.headers["cache-control"], "public, max-age=600");
    assert_eq!(
        jwks.body,
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"], "kid": decoded(&token).0["kid"],
            "alg": "ES256", "use": "sig", "key_ops": ["verify"],
        }] })
    );
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let point = [vec![4], part(key["x"].as_str().unwrap()), part(key["y"].as_str().unwrap())].concat();
    let (message, signature) = token.as_str().unwrap().rsplit_once('.').unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &part(signature)).unwrap();
}

/// Rotation signs nobody out, revocation does.
#[tokio::test]
async fn a_rotated_key_stays_listed_until_it_is_revoked() {
    let project = TestProject::new();
    let before = project.sign_in("ana@example.com").await["access_token"].clone();
    project.supabase.rotate_key().unwrap();
    let after = project.sign_in("ana@example.com").await["access_token"].clone();
    assert_ne!(decoded(&before).0["kid"], decoded(&after).0["kid"]);
    assert_eq!(user(&project, &before).await, 200);
    assert_eq!(project.get(JWKS, &[]).await.body["keys"].as_array().unwrap().len(), 2);

    project.supabase.revoke_old_keys();

    assert_eq!(project.get(JWKS, &[]).await.body["keys"].as_array().unwrap().len(), 1);
    assert_eq!(user(&project, &before).await, 403);
    assert_eq!(user(&project, &after).await, 200);
}

#[tokio::test]
async fn legacy_secret_project_publishes_no_keys() {
    let project = TestProject::new();
    project.supabase.use_shared_secret(true);

    let token = project.sign_in("ana@example.com").await["access_token"].clone();

    assert_eq!(decoded(&token).0, json!({ "alg": "HS256", "typ": "JWT" }), "a shared secret has no id");
    assert_eq!(project.get(JWKS, &[]).await.body, json!({ "keys": [] }));
    assert_eq!(user(&project, &token).await, 200);
}

#[tokio::test]
async fn the_issuer_is_published() {
    let answer = TestProject::new().get("/auth/v1/.well-known/openid-configuration", &[("apikey", PUBLISHABLE)]).await;

    let issuer = "http://127.0.0.1:54321/auth/v1";
    assert_eq!(answer.body["issuer"], issuer);
    assert_eq!(answer.body["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
}

async fn user(project: &TestProject, token: &Value) -> u16 {
    project.as_user(Method::GET, "/auth/v1/user", token.as_str().unwrap(), &Value::Null).await.status
}
