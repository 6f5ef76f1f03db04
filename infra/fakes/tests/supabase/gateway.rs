use crate::test_project::{PUBLISHABLE, SECRET, TestProject};
use axum::http::Method;
use serde_json::json;

const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");

#[tokio::test]
async fn requests_without_a_known_key_are_refused() {
    let project = TestProject::new();
    for path in ["/settings", "/health", "/user", "/admin/users/x", "/.well-known/openid-configuration"] {
        let path = format!("/auth/v1{path}");

        let none = project.get(&path, &[]).await;
        let unknown = project.get(&path, &[("apikey", "sb_publishable_other")]).await;

        assert_eq!((none.status, none.body), (401, json!({ "message": "No API key found in request" })), "{path}");
        assert_eq!((unknown.status, &unknown.body["message"]), (401, &json!("Invalid API key")), "{path}");
        assert!(unknown.body["hint"].is_string());
    }
    for key in [PUBLISHABLE, SECRET] {
        assert_eq!(project.get("/auth/v1/health", &[("apikey", key)]).await.status, 200);
        assert_eq!(project.get(&format!("/auth/v1/health?apikey={key}"), &[]).await.status, 200);
    }
}

#[tokio::test]
async fn a_secret_key_from_a_browser_is_refused() {
    let project = TestProject::new();

    let secret = project.get("/auth/v1/health", &[("apikey", SECRET), BROWSER]).await;
    let publishable = project.get("/auth/v1/health", &[("apikey", PUBLISHABLE), BROWSER]).await;

    assert_eq!((secret.status, &secret.body["message"]), (401, &json!("Forbidden use of secret API key in browser")));
    assert_eq!(publishable.status, 200);
}

/// The older form unless a version from 2024-01-01 on is asked for.
#[tokio::test]
async fn error_format_follows_the_requested_api_version() {
    let project = TestProject::new();
    let path = "/auth/v1/token?grant_type=password";
    let old = json!({ "code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials" });
    let new = json!({ "code": "invalid_credentials", "message": "Invalid login credentials" });
    for (version, body, echoed) in [
        (None, &old, None),
        (Some("2023-12-31"), &old, None),
        (Some("tomorrow"), &old, None),
        (Some("2024-01-01"), &new, Some("2024-01-01")),
        (Some("2026-11-22"), &new, Some("2024-01-01")),
    ] {
        let mut headers = vec![("apikey", PUBLISHABLE)];
        headers.extend(version.map(|version| ("x-supabase-api-version", version)));

        let asked = json!({ "email": "nobody@example.com", "password": "x" }).to_string();
        let answer = project.send(Method::POST, path, &headers, asked).await;

        assert_eq!((answer.status, &answer.body), (400, body), "{version:?}");
        assert_eq!(answer.headers["x-sb-error-code"], "invalid_credentials");
        assert_eq!(answer.headers.get("x-supabase-api-version").map(|value| value.to_str().unwrap()), echoed);
    }
}

#[tokio::test]
async fn settings_and_health_have_every_member() {
    let project = TestProject::new();

    let settings = project.get("/auth/v1/settings", &[("apikey", PUBLISHABLE)]).await.body;
    let health = project.get("/auth/v1/health", &[("apikey", PUBLISHABLE)]).await.body;

    assert_eq!(
        settings,
        json!({
            "external": {
                "anonymous_users": false, "apple": false, "azure": false, "bitbucket": false, "discord": false,
                "facebook": false, "snapchat": false, "figma": false, "fly": false, "github": false, "gitlab": false,
                "google": true, "keycloak": false, "kakao": false, "linkedin": false, "linkedin_oidc": false,
                "notion": false, "spotify": false, "slack": false, "slack_oidc": false, "workos": false,
                "twitch": false, "twitter": false, "email": true, "phone": false, "zoom": false,
            },
            "disable_signup": false, "mailer_autoconfirm": false, "phone_autoconfirm": false, "sms_provider": "",
            "saml_enabled": false, "saml_private_key_next_configured": true, "passkeys_enabled": false,
        })
    );
    let description = "GoTrue is a user registration and authentication API";
    assert_eq!(health, json!({ "version": "v2.196.0", "name": "GoTrue", "description": description }));
}

/// GoTrue `internal/sbff`: the first of the list, if it is an address and the project takes it. The gateway takes the header away from all
/// who have no secret key (Supabase documentation, "Rate limits").
#[tokio::test]
async fn forwarded_address_counts_from_holders_of_a_secret_key_alone() {
    for (enabled, key, forwarded, by_it) in [
        (true, SECRET, "198.51.100.7", true),
        (true, SECRET, "198.51.100.7, 192.0.2.1", true),
        (true, SECRET, "2001:db8::7", true),
        (true, SECRET, "somebody", false),
        (true, SECRET, "", false),
        (true, PUBLISHABLE, "198.51.100.7", false),
        (false, SECRET, "198.51.100.7", false),
    ] {
        let project = TestProject::new();
        project.supabase.configure(|config| (config.forwarded_for_enabled, config.burst) = (enabled, Some(1)));
        let send = async |peer: &str, forwarded: &str| {
            let headers = [("apikey", key), ("x-forwarded-for", peer), ("sb-forwarded-for", forwarded)];
            let body = json!({ "email": "nobody@example.com", "password": "x" }).to_string();
            project.send(Method::POST, "/auth/v1/token?grant_type=password", &headers, body).await.status
        };

        let first = send("203.0.113.1", forwarded).await;
        let (another_peer, same) = (send("203.0.113.2", forwarded).await, send("203.0.113.1", forwarded).await);

        let expected = (400, if by_it { 429 } else { 400 }, 429);
        assert_eq!((first, another_peer, same), expected, "{enabled} {key} {forwarded}");
        let another_address = send("203.0.113.1", "198.51.100.8").await;
        assert!(!by_it || another_address == 400, "{enabled} {key} {forwarded}");
    }
}
