use crate::test_project::{ANAS_PHONE, START, TestProject, decoded};
use axum::http::Method;
use fakes::supabase::secret::Secret;
use fakes::supabase::totp::TotpKey;
use serde_json::{Value, json};

#[tokio::test]
async fn second_factor_raises_the_session_to_aal2() {
    let project = TestProject::new();
    let session = project.sign_in("ana@example.com").await;
    let token = session["access_token"].as_str().unwrap();
    let path = format!("/auth/v1/factors/{ANAS_PHONE}");
    let challenge = project.as_user(Method::POST, &format!("{path}/challenge"), token, &json!({})).await;
    let told = json!({ "id": challenge.body["id"], "type": "totp", "expires_at": START + 300 });
    assert_eq!((challenge.status, &challenge.body), (200, &told));
    let verify = async |id: &Value, code: &str| {
        let body = json!({ "challenge_id": id, "code": code });
        project.as_user(Method::POST, &format!("{path}/verify"), token, &body).await
    };
    let code = project.supabase.totp_code(ANAS_PHONE).unwrap();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    verify(&challenge.body["id"], wrong).await.assert_error(
        422,
        "mfa_verification_failed",
        "Invalid TOTP code entered",
    );
    let told = "MFA factor with the provided challenge ID not found";
    verify(&Value::Null, &code).await.assert_error(422, "mfa_factor_not_found", told);
    project.advance(5);

    let raised = verify(&challenge.body["id"], &code).await;

    assert_eq!(raised.status, 200);
    let claims = decoded(&raised.body["access_token"]).1;
    assert_eq!(claims["aal"], "aal2");
    assert_eq!(claims["session_id"], decoded(&session["access_token"]).1["session_id"]);
    let amr = json!([{ "method": "totp", "timestamp": START + 5 }, { "method": "password", "timestamp": START }]);
    assert_eq!(claims["amr"], amr);
    assert_ne!(raised.body["refresh_token"], session["refresh_token"]);
    assert_eq!(decoded(&project.refresh(&raised.body["refresh_token"]).await.body["access_token"]).1["aal"], "aal2");
}

#[tokio::test]
async fn mfa_challenge_is_bound_to_its_factor_and_expires() {
    let project = TestProject::new();
    let [ana, ben] = [project.sign_in("ana@example.com").await, project.sign_in("ben@example.com").await];
    let path = format!("/auth/v1/factors/{ANAS_PHONE}");
    let foreign = ben["access_token"].as_str().unwrap();
    let told = project.as_user(Method::POST, &format!("{path}/challenge"), foreign, &json!({})).await;
    told.assert_error(404, "mfa_factor_not_found", "Factor not found");

    let token = ana["access_token"].as_str().unwrap();
    let id = project.as_user(Method::POST, &format!("{path}/challenge"), token, &json!({})).await.body["id"].clone();
    project.advance(301);
    let body = json!({ "challenge_id": id, "code": project.supabase.totp_code(ANAS_PHONE) });
    let late = project.as_user(Method::POST, &format!("{path}/verify"), token, &body).await;
    assert_eq!((late.status, &late.body["code"]), (422, &json!("mfa_challenge_expired")));
}

/// Supabase ends them, since a person who has a factor is to be asked for it everywhere.
#[tokio::test]
async fn verifying_a_factor_ends_the_aal1_sessions() {
    let project = TestProject::new();
    let [other, mine] = [project.sign_in("ana@example.com").await, project.sign_in("ana@example.com").await];
    let token = mine["access_token"].as_str().unwrap();
    let path = format!("/auth/v1/factors/{ANAS_PHONE}");
    let id = project.as_user(Method::POST, &format!("{path}/challenge"), token, &json!({})).await.body["id"].clone();
    let body = json!({ "challenge_id": id, "code": project.supabase.totp_code(ANAS_PHONE) });

    assert_eq!(project.as_user(Method::POST, &format!("{path}/verify"), token, &body).await.status, 200);

    let other = other["access_token"].as_str().unwrap();
    let gone = "Session from session_id claim in JWT does not exist";
    project.as_user(Method::GET, "/auth/v1/user", other, &Value::Null).await.assert_error(
        403,
        "session_not_found",
        gone,
    );
    assert_eq!(project.as_user(Method::GET, "/auth/v1/user", token, &Value::Null).await.status, 200);
}

/// A factor that was set up counts once a code of it was right, and the next one takes a session with both.
#[tokio::test]
async fn enrolled_factor_counts_once_verified() {
    let project = TestProject::new();
    let session = project.sign_in("ben@example.com").await;
    let token = session["access_token"].as_str().unwrap();
    let enroll = async |token: &str, name: &str| {
        let body = json!({ "factor_type": "totp", "friendly_name": name });
        project.as_user(Method::POST, "/auth/v1/factors", token, &body).await
    };

    let enrolled = enroll(token, "Phone").await;

    let id = enrolled.body["id"].as_str().unwrap();
    assert_eq!((enrolled.status, &enrolled.body["type"]), (200, &json!("totp")));
    let (secret, uri) = (enrolled.body["totp"]["secret"].as_str().unwrap(), &enrolled.body["totp"]["uri"]);
    assert!(uri.as_str().unwrap().ends_with(&format!("&period=30&secret={secret}")), "{uri}");
    let status = async || {
        let user = project.as_user(Method::GET, "/auth/v1/user", token, &Value::Null).await;
        user.body["factors"][0]["status"].clone()
    };
    assert_eq!(status().await, "unverified");
    let twice = enroll(token, "Phone").await;
    let told = "A factor with the friendly name \"Phone\" for this user already exists";
    twice.assert_error(422, "mfa_factor_name_conflict", told);
    let path = format!("/auth/v1/factors/{id}");
    let challenge = project.as_user(Method::POST, &format!("{path}/challenge"), token, &json!({})).await;
    let key = TotpKey::of(&Secret::from(secret)).unwrap();
    let body = json!({ "challenge_id": challenge.body["id"], "code": key.code(START) });
    let verified = project.as_user(Method::POST, &format!("{path}/verify"), token, &body).await;
    assert_eq!(decoded(&verified.body["access_token"]).1["aal"], "aal2");
    assert_eq!(status().await, "verified");
    let weaker = project.sign_in("ben@example.com").await;
    let refused = enroll(weaker["access_token"].as_str().unwrap(), "Tablet").await;
    refused.assert_error(403, "insufficient_aal", "AAL2 required to enroll a new factor");
    let odd = json!({ "factor_type": "pigeon" });
    let odd = project.as_user(Method::POST, "/auth/v1/factors", token, &odd).await;
    odd.assert_error(400, "validation_failed", "factor_type needs to be totp, phone, or webauthn");
}
