use crate::test_project::{PUBLISHABLE, TestProject, VERSION};
use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const USER: &str = "/auth/v1/user";

#[tokio::test]
async fn valid_token_returns_the_user() {
    let project = TestProject::new();
    let session = project.sign_in("ana@example.com").await;

    let answer = project.as_user(Method::GET, USER, session["access_token"].as_str().unwrap(), &Value::Null).await;

    assert_eq!((answer.status, &answer.body), (200, &session["user"]));
}

#[tokio::test]
async fn get_user_requires_a_user_token() {
    let project = TestProject::new();
    let key = format!("Bearer {PUBLISHABLE}");
    for headers in [vec![], vec![("authorization", "Basic eDp5")], vec![("authorization", key.as_str())]] {
        let headers = [vec![("apikey", PUBLISHABLE), VERSION], headers].concat();

        let answer = project.get(USER, &headers).await;

        answer.assert_error(401, "no_authorization", "This endpoint requires a valid Bearer token");
    }
}

/// What `GET /user` answers.
#[tokio::test]
async fn user_errors_have_their_codes() {
    let project = TestProject::new();
    let token = project.sign_in("ben@example.com").await["access_token"].as_str().unwrap().to_owned();
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = rest.split_once('.').unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.encode(json!({ "sub": "x", "exp": 9_999_999_999_i64 }).to_string());
    let none = BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": "none" }).to_string());
    for forged in
        ["x".to_owned(), "a.b.c".to_owned(), format!("{header}.{claims}.{signature}"), format!("{none}.{claims}.")]
    {
        let answer = project.as_user(Method::GET, USER, &forged, &Value::Null).await;
        assert_eq!((answer.status, &answer.body["code"]), (403, &json!("bad_jwt")), "{forged}");
    }
    let code = async || {
        let answer = project.as_user(Method::GET, USER, &token, &Value::Null).await;
        (answer.status, answer.body["code"].as_str().map(str::to_owned))
    };

    project.supabase.set_banned("ben@example.com", true);
    assert_eq!(code().await, (403, Some("user_banned".to_owned())));
    project.supabase.set_banned("ben@example.com", false);
    assert_eq!(code().await, (200, None));
    project.supabase.sign_out_everywhere("ben@example.com");
    assert_eq!(code().await, (403, Some("session_not_found".to_owned())));
    project.supabase.remove("ben@example.com");
    assert_eq!(code().await, (403, Some("user_not_found".to_owned())));
    project.advance(3600);
    assert_eq!(code().await, (403, Some("bad_jwt".to_owned())));
}
