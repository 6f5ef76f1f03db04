use crate::test_project::{START, TestProject, decoded, parameter};
use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const CALLBACK: &str = "https://connect.example.com/auth/callback?flow=7";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";
const BANNED: (u16, &str, &str) = (403, "user_banned", "User is banned");
const EXPIRED: (u16, &str, &str) = (403, "otp_expired", "Token has expired or is invalid");

#[tokio::test]
async fn a_code_from_the_mail_signs_in_once() {
    let project = TestProject::new();
    let asked = json!({ "email": "Ana@Example.com", "create_user": false, "code_challenge": null, "data": {} });
    let sent = project.post("/auth/v1/otp", &asked).await;
    assert_eq!((sent.status, sent.body), (200, json!({})));
    let mail = project.supabase.inbox("ana@example.com").remove(0);
    assert_eq!((mail.code.len(), mail.subject.as_str(), mail.sent_at), (6, "Your sign-in code", START));
    let typed = json!({ "type": "email", "email": "ANA@example.com", "token": mail.code });

    let session = project.post("/auth/v1/verify", &typed).await;
    let again = project.post("/auth/v1/verify", &typed).await;

    assert_eq!(session.status, 200);
    assert_eq!(decoded(&session.body["access_token"]).1["amr"], json!([{ "method": "otp", "timestamp": START }]));
    again.assert_error(EXPIRED.0, EXPIRED.1, EXPIRED.2);
}

#[tokio::test]
async fn wrong_late_or_foreign_code_is_refused() {
    let project = TestProject::new();
    project.post("/auth/v1/otp", &json!({ "email": "ana@example.com" })).await;
    let code = project.supabase.inbox("ana@example.com").remove(0).code;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let verify = async |body: Value| project.post("/auth/v1/verify", &body).await;
    let invalid = |message| (400, "validation_failed", message);
    for (body, (status, told, message)) in [
        (json!({ "type": "email", "email": "ana@example.com", "token": wrong }), EXPIRED),
        (json!({ "type": "email", "email": "ben@example.com", "token": code }), EXPIRED),
        (json!({ "type": "signup", "email": "ana@example.com", "token": code }), EXPIRED),
        (json!({ "email": "ana@example.com", "token": code }), invalid("Verify requires a verification type")),
        (json!({ "type": "email", "email": "a@b.c" }), invalid("Verify requires either a token or a token hash")),
        (
            json!({ "type": "email", "token_hash": "x", "email": "ana@example.com" }),
            invalid("Only the token_hash and type should be provided"),
        ),
        (json!({ "type": "sms", "email": "a@b.c", "token": "1" }), EXPIRED),
        (json!({ "type": "email", "email": "banned@example.com", "token": "1" }), BANNED),
    ] {
        verify(body).await.assert_error(status, told, message);
    }
    project.advance(3601);
    let late = verify(json!({ "type": "email", "email": "ana@example.com", "token": code })).await;
    late.assert_error(EXPIRED.0, EXPIRED.1, EXPIRED.2);
}

#[tokio::test]
async fn otp_is_refused_to_unknown_addresses_and_within_a_minute() {
    let project = TestProject::new();
    let otp = async |body: Value| project.post("/auth/v1/otp", &body).await;
    let unknown = "nobody@example.com";
    project.supabase.configure(|config| config.disable_signup = true);

    otp(json!({ "email": unknown })).await.assert_error(
        422,
        "signup_disabled",
        "Signups not allowed for this instance",
    );
    let told = otp(json!({ "email": unknown, "create_user": false })).await;
    told.assert_error(422, "otp_disabled", "Signups not allowed for otp");
    let told = otp(json!({ "email": "no address" })).await;
    told.assert_error(400, "validation_failed", "Unable to validate email address: invalid format");
    let told = otp(json!({ "email": "ana@example.com", "code_challenge": VERIFIER })).await;
    told.assert_error(400, "validation_failed", "PKCE flow requires code_challenge_method and code_challenge");

    assert_eq!(otp(json!({ "email": "ana@example.com" })).await.status, 200);
    project.advance(18);
    let told = otp(json!({ "email": "ana@example.com" })).await;
    let message = "For security purposes, you can only request this after 42 seconds.";
    told.assert_error(429, "over_email_send_rate_limit", message);
    project.advance(42);
    assert_eq!(otp(json!({ "email": "ana@example.com" })).await.status, 200);
    assert_eq!(project.supabase.inbox("ana@example.com").len(), 2);
}

/// The link gives a code, and the code with the verifier gives the session.
#[tokio::test]
async fn link_with_pkce_redirects_with_a_code() {
    let project = TestProject::new();
    let link = link(&project, "ana@example.com", true).await;

    let followed = project.get(&link, &[]).await;

    assert_eq!(followed.status, 303);
    let code = parameter(followed.location(), "code").unwrap();
    assert_eq!(followed.location(), format!("https://connect.example.com/auth/callback?code={code}&flow=7"));
    let exchange = async |verifier: &str| {
        let body = json!({ "auth_code": code, "code_verifier": verifier });
        project.post("/auth/v1/token?grant_type=pkce", &body).await
    };
    let mismatch = "code challenge does not match previously saved code verifier";
    exchange("wrong").await.assert_error(400, "bad_code_verifier", mismatch);
    let session = exchange(VERIFIER).await;
    assert_eq!(session.status, 200);
    assert_eq!(decoded(&session.body["access_token"]).1["amr"], json!([{ "method": "magiclink", "timestamp": START }]));
    assert!(session.body.get("provider_token").is_none());
    let gone = "invalid flow state, no valid flow state found";
    exchange(VERIFIER).await.assert_error(404, "flow_state_not_found", gone);
}

#[tokio::test]
async fn link_without_pkce_redirects_with_tokens() {
    let project = TestProject::new();
    let link = link(&project, "new@example.com", false).await;
    assert!(link.contains("type=signup"));

    let followed = project.get(&link, &[]).await;

    let token = parameter(followed.location(), "access_token").unwrap();
    assert!(followed.location().starts_with("https://connect.example.com/auth/callback?flow=7#access_token="));
    let names: Vec<_> =
        followed.location().split('#').nth(1).unwrap().split('&').map(|p| p.split('=').next().unwrap()).collect();
    assert_eq!(names, ["access_token", "expires_at", "expires_in", "refresh_token", "sb", "token_type", "type"]);
    let user = project.as_user(Method::GET, "/auth/v1/user", &token, &Value::Null).await;
    assert_eq!(user.body["confirmed_at"], "2026-11-22T09:30:00Z", "following the link confirms the address");
}

#[tokio::test]
async fn used_link_redirects_with_an_error() {
    let project = TestProject::new();
    let told = "error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired";
    for (email, pkce) in [("ana@example.com", true), ("ben@example.com", false)] {
        let link = link(&project, email, pkce).await;
        project.get(&link, &[]).await;

        let again = project.get(&link, &[]).await;

        let query = if pkce { format!("{told}&flow=7") } else { "flow=7".to_owned() };
        let expected = format!("https://connect.example.com/auth/callback?{query}#{told}&sb=");
        assert_eq!((again.status, again.location()), (303, expected.as_str()));
    }
    let bare = project.get("/auth/v1/verify?type=magiclink", &[]).await;
    assert_eq!((bare.status, &bare.body["error_code"]), (400, &json!("validation_failed")));
}

#[tokio::test]
async fn token_hash_signs_in_on_another_device() {
    let project = TestProject::new();
    let link = link(&project, "ana@example.com", true).await;
    let hash = parameter(&format!("http://x{link}"), "token").unwrap();
    assert!(hash.starts_with("pkce_") && hash.len() == "pkce_".len() + 56);

    let session = project.post("/auth/v1/verify", &json!({ "type": "email", "token_hash": hash })).await;

    assert_eq!((session.status, &session.body["user"]["email"]), (200, &json!("ana@example.com")));
}

#[tokio::test]
async fn inbox_is_shown_only_on_this_machine() {
    let project = TestProject::new();
    let empty = project.get("/inbox/ana@example.com", &[]).await;
    assert!(empty.text.contains("Nothing yet"));
    project.post("/auth/v1/otp", &json!({ "email": "ana@example.com" })).await;
    let mail = project.supabase.inbox("ana@example.com").remove(0);

    let page = project.get("/inbox/ana@example.com", &[("accept", "text/html")]).await;
    let json = project.get("/inbox/ana@example.com", &[("accept", "application/json")]).await;

    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.text.contains(&mail.code) && page.text.contains("2026-11-22T09:30:00Z"));
    assert_eq!(
        json.body,
        json!([{
            "to": "ana@example.com", "sent_at": START, "subject": "Your sign-in code", "code": mail.code, "link": mail.link,
        }])
    );
    let hostile = project.get("/inbox/%3Cscript%3E@x", &[]).await;
    assert!(!hostile.text.contains("<script>"));
    let rebound = axum::http::Request::get("/inbox/ana@example.com").header("host", "evil.example");
    let rebound = rebound.body(axum::body::Body::empty()).unwrap();
    let refused = tower::ServiceExt::oneshot(project.supabase.router(), rebound).await.unwrap();
    assert_eq!(refused.status(), 403);
}

/// Path and query of the link in the mail.
async fn link(project: &TestProject, email: &str, pkce: bool) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
    let challenge = pkce.then(|| BASE64_URL_SAFE_NO_PAD.encode(hash));
    let body = json!({ "email": email, "code_challenge": challenge, "code_challenge_method": pkce.then_some("s256") });
    let query: String = url::form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect();
    let sent = project.post(&format!("/auth/v1/otp?redirect_to={query}"), &body).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let link = project.supabase.inbox(email).pop().unwrap().link;
    link.strip_prefix("http://127.0.0.1:54321").unwrap().to_owned()
}
