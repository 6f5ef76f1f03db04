use crate::test_project::TestProject;
use axum::http::Method;
use serde_json::Value;

/// Scope, then whether mine, my other and another person's session live on.
#[tokio::test]
async fn logout_scope_decides_which_sessions_end() {
    for (scope, alive) in [
        ("", [false, false, true]),
        ("?scope=global", [false, false, true]),
        ("?scope=local", [false, true, true]),
        ("?scope=others", [true, false, true]),
    ] {
        let project = TestProject::new();
        let mut sessions = Vec::new();
        for email in ["ana@example.com", "ana@example.com", "ben@example.com"] {
            sessions.push(project.sign_in(email).await);
        }
        let mine = sessions[0]["access_token"].as_str().unwrap();

        let answer = project.as_user(Method::POST, &format!("/auth/v1/logout{scope}"), mine, &Value::Null).await;

        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{scope}");
        for (session, alive) in sessions.iter().zip(alive) {
            let token = session["access_token"].as_str().unwrap();
            let user = project.as_user(Method::GET, "/auth/v1/user", token, &Value::Null).await;
            assert_eq!(user.status, if alive { 200 } else { 403 }, "{scope}");
            assert_eq!(
                project.refresh(&session["refresh_token"]).await.status,
                if alive { 200 } else { 400 },
                "{scope}"
            );
        }
    }
}

#[tokio::test]
async fn logout_requires_a_session() {
    let project = TestProject::new();
    let token = project.sign_in("ana@example.com").await["access_token"].as_str().unwrap().to_owned();
    let logout = async |path: &str| project.as_user(Method::POST, path, &token, &Value::Null).await;

    logout("/auth/v1/logout?scope=all").await.assert_error(
        400,
        "validation_failed",
        "Unsupported logout scope \"all\"",
    );
    assert_eq!(logout("/auth/v1/logout").await.status, 204);
    let gone = "Session from session_id claim in JWT does not exist";
    logout("/auth/v1/logout").await.assert_error(403, "session_not_found", gone);
}
