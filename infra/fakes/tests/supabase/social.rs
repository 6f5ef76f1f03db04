//! The whole journey of a browser: `/authorize`, the provider's page, `/callback`, the code.

use crate::test_project::{ANA, Answer, START, TestProject, URL, decoded, parameter};
use axum::http::Method;
use serde_json::json;

const CALLBACK: &str = "https%3A%2F%2Fconnect.example.com%2Fauth%2Fcallback%3Fflow%3D7";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

#[tokio::test]
async fn user_chosen_at_the_provider_is_signed_in() {
    let project = TestProject::new();
    let state = begun(&project, &plain()).await;
    let page = project.get(&format!("/provider?state={state}"), &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Sign in with google") && page.text.contains("connect.example.com"));
    assert!(page.text.contains(&ANA.to_string()) && !page.text.contains("<script"));

    let back = chosen(&project, &format!("state={state}&person={ANA}")).await;

    assert_eq!(back.status, 302);
    let code = parameter(back.location(), "code").unwrap();
    assert_eq!(back.location(), format!("https://connect.example.com/auth/callback?code={code}&flow=7"));
    let body = json!({ "auth_code": code, "code_verifier": VERIFIER });
    let session = project.post("/auth/v1/token?grant_type=pkce", &body).await.body;
    assert_eq!(decoded(&session["access_token"]).1["amr"], json!([{ "method": "oauth", "timestamp": START }]));
    assert_eq!(session["user"]["app_metadata"], json!({ "provider": "email", "providers": ["email", "google"] }));
    assert!(session["provider_token"].is_string() && session["provider_refresh_token"].is_string());
}

#[tokio::test]
async fn a_code_expires_after_five_minutes_and_needs_its_verifier() {
    let project = TestProject::new();
    let state = begun(&project, &plain()).await;
    let back = chosen(&project, &format!("state={state}&person={ANA}")).await;
    let code = parameter(back.location(), "code").unwrap();
    let path = "/auth/v1/token?grant_type=pkce";

    let told = project.post(path, &json!({ "auth_code": code })).await;
    let message = "invalid request: both auth code and code verifier should be non-empty";
    told.assert_error(400, "validation_failed", message);
    project.advance(301);
    let told = project.post(path, &json!({ "auth_code": code, "code_verifier": VERIFIER })).await;
    told.assert_error(422, "flow_state_expired", "invalid flow state, flow state has expired");
}

#[tokio::test]
async fn cancelling_and_a_ban_redirect_with_an_error() {
    let project = TestProject::new();
    let banned = project.supabase.clone();
    banned.set_banned("ana@example.com", true);
    let denied = "error=access_denied&error_description=The+user+denied+the+request";
    let broken = "error=server_error&error_description=The+provider+is+out+of+order";
    let banned = "error=access_denied&error_code=user_banned&error_description=User+is+banned";
    for (choice, told) in
        [("answer=cancel".to_owned(), denied), ("answer=error".to_owned(), broken), (format!("person={ANA}"), banned)]
    {
        let state = begun(&project, &plain()).await;

        let back = chosen(&project, &format!("state={state}&{choice}")).await;

        let expected = format!("https://connect.example.com/auth/callback?{told}&flow=7#{told}&sb=");
        assert_eq!((back.status, back.location()), (302, expected.as_str()));
    }
}

/// It cannot know where the browser belongs, so it goes home.
#[tokio::test]
async fn callback_without_a_flow_redirects_to_the_site_url() {
    let project = TestProject::new();
    let state = begun(&project, &plain()).await;
    project.advance(301);
    for (query, code) in [
        (String::new(), "bad_oauth_callback"),
        ("?state=x&code=y".to_owned(), "bad_oauth_state"),
        (format!("?state={state}&code=y"), "bad_oauth_state"),
    ] {
        let answer = project.get(&format!("/auth/v1/callback{query}"), &[]).await;

        assert_eq!(answer.status, 303);
        assert!(
            answer.location().starts_with("https://app.example.com?error=invalid_request&"),
            "{}",
            answer.location()
        );
        assert_eq!(parameter(answer.location(), "error_code").as_deref(), Some(code));
    }
    let state = begun(&project, &plain()).await;
    let forged = project.get(&format!("/auth/v1/callback?state={state}&code={ANA}"), &[]).await;
    assert_eq!(parameter(forged.location(), "error").as_deref(), Some("server_error"));
}

/// Silently, first to the `Referer`, then to the site.
#[tokio::test]
async fn disallowed_redirect_url_is_silently_replaced() {
    let project = TestProject::new();
    let allowed = "https://connect.example.com/auth/callback/from";
    for (referer, lands) in [(allowed, allowed), ("https://evil.example/", "https://app.example.com")] {
        let path = "/auth/v1/authorize?provider=google&redirect_to=https%3A%2F%2Fevil.example%2F";
        let sent = project.get(path, &[("referer", referer)]).await;
        assert_eq!(sent.status, 302);
        let state = parameter(sent.location(), "state").unwrap();

        let back = chosen(&project, &format!("state={state}&person={ANA}")).await;

        assert!(back.location().starts_with(&format!("{lands}#access_token=")), "{}", back.location());
        assert!(parameter(back.location(), "provider_token").is_some());
    }
}

/// 400 in the browser's face, in the older form, as browsers send no version.
#[tokio::test]
async fn disabled_provider_is_refused_immediately() {
    let project = TestProject::new();
    let off = "Unsupported provider: provider is not enabled";
    let unknown = "Unsupported provider: Provider myspace could not be found";
    let challenge = "code challenge has to be between 43 and 128 characters";
    for (query, message) in [
        ("provider=github", off),
        ("provider=myspace", unknown),
        ("provider=google&code_challenge=short&code_challenge_method=s256", challenge),
    ] {
        let answer = project.get(&format!("/auth/v1/authorize?{query}"), &[]).await;

        let told = json!({ "code": 400, "error_code": "validation_failed", "msg": message });
        assert_eq!((answer.status, answer.body), (400, told));
    }
}

fn plain() -> String {
    format!("provider=google&redirect_to={CALLBACK}&code_challenge={VERIFIER}&code_challenge_method=plain")
}

/// The `state` with which the browser arrives at the provider.
async fn begun(project: &TestProject, query: &str) -> String {
    let sent = project.get(&format!("/auth/v1/authorize?{query}"), &[]).await;
    assert_eq!(sent.status, 302, "{}", sent.text);
    assert!(sent.location().starts_with(&format!("{URL}/provider?client_id=")));
    parameter(sent.location(), "state").unwrap()
}

/// Submits the provider's form and follows to what `/callback` answers.
async fn chosen(project: &TestProject, form: &str) -> Answer {
    let chosen = project.send(Method::POST, "/provider", &[], form.to_owned()).await;
    assert_eq!(chosen.status, 303, "{}", chosen.text);
    project.get(chosen.location().strip_prefix(URL).unwrap(), &[]).await
}
