use crate::test_project::{ANA, ANAS_PHONE, START, TestProject, decoded};
use serde_json::json;

/// The answer and the token, member by member.
#[tokio::test]
async fn password_grant_returns_a_session() {
    let answer = TestProject::new().sign_in(" ANA@example.com".trim()).await;

    let identity = answer["user"]["identities"][0]["identity_id"].clone();
    let metadata = json!({
        "email_verified": true, "full_name": "Ana Müller 安",
    });
    // An administrator vouched for the address, so no mail did.
    let identity_data = json!({
        "email": "ana@example.com", "email_verified": false, "phone_verified": false, "sub": ANA,
    });
    assert_eq!(
        answer,
        json!({
            "access_token": answer["access_token"],
            "token_type": "bearer",
            "expires_in": 3600,
            "expires_at": START + 3600,
            "refresh_token": answer["refresh_token"],
            "weak_password": null,
            "user": {
                "id": ANA,
                "aud": "authenticated",
                "role": "authenticated",
                "email": "ana@example.com",
                "email_confirmed_at": "2026-11-22T09:30:00Z",
                "phone": "",
                "confirmed_at": "2026-11-22T09:30:00Z",
                "last_sign_in_at": "2026-11-22T09:30:00Z",
                "app_metadata": { "provider": "email", "providers": ["email"] },
                "user_metadata": metadata,
                "factors": [{
                    "id": ANAS_PHONE, "friendly_name": "Phone", "factor_type": "totp", "status": "verified",
                    "created_at": "2026-11-22T09:30:00Z", "updated_at": "2026-11-22T09:30:00Z",
                    "last_challenged_at": "2026-11-22T09:30:00Z", "phone": "",
                }],
                "identities": [{
                    "identity_id": identity, "id": ANA, "user_id": ANA, "identity_data": identity_data, "provider": "email",
                    "last_sign_in_at": "2026-11-22T09:30:00Z", "created_at": "2026-11-22T09:30:00Z",
                    "updated_at": "2026-11-22T09:30:00Z", "email": "ana@example.com",
                }],
                "created_at": "2026-11-22T09:30:00Z",
                "updated_at": "2026-11-22T09:30:00Z",
                "is_anonymous": false,
            },
        })
    );
    let refresh_token = answer["refresh_token"].as_str().unwrap();
    assert_eq!(refresh_token.len(), 12);
    assert!(refresh_token.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    let (header, claims) = decoded(&answer["access_token"]);
    assert_eq!(header, json!({ "alg": "ES256", "kid": header["kid"], "typ": "JWT" }));
    assert_eq!(
        claims,
        json!({
            "iss": "http://127.0.0.1:54321/auth/v1",
            "sub": ANA,
            "aud": "authenticated",
            "exp": START + 3600,
            "iat": START,
            "email": "ana@example.com",
            "phone": "",
            "app_metadata": { "provider": "email", "providers": ["email"] },
            "user_metadata": metadata,
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{ "method": "password", "timestamp": START }],
            "session_id": claims["session_id"],
            "is_anonymous": false,
        })
    );
}

#[tokio::test]
async fn errors_do_not_tell_who_exists() {
    let project = TestProject::new();
    let path = "/auth/v1/token?grant_type=password";
    let invalid = (400, "invalid_credentials", "Invalid login credentials");
    for (email, password, (status, code, message)) in [
        ("nobody@example.com", "x", invalid),
        ("ana@example.com", "x", invalid),
        ("ana@example.com", "", invalid),
        ("", "x", (400, "validation_failed", "missing email or phone")),
        ("new@example.com", "correct horse battery staple", (400, "email_not_confirmed", "Email not confirmed")),
        ("banned@example.com", "correct horse battery staple", (400, "user_banned", "User is banned")),
    ] {
        let answer = project.post(path, &json!({ "email": email, "password": password, "unknown": [] })).await;

        answer.assert_error(status, code, message);
    }
    let phone = project.post(path, &json!({ "phone": "1", "password": "x" })).await;
    phone.assert_error(400, "phone_provider_disabled", "Unsupported phone provider");
    let array = "Could not parse request body as JSON: json: cannot unmarshal array into Go value of type \
                 api.PasswordGrantParams";
    project.post(path, &json!([])).await.assert_error(400, "bad_json", array);
    let unknown = project.post("/auth/v1/token?grant_type=magic", &json!({})).await;
    unknown.assert_error(400, "invalid_credentials", "unsupported_grant_type");
    project.supabase.set_rate_limited(true);
    project.post(path, &json!({})).await.assert_error(429, "over_request_rate_limit", "Request rate limit reached");
}

/// The sessions that a careful reader of tokens must refuse can be had.
#[tokio::test]
async fn seeded_people_can_get_unusual_tokens() {
    let project = TestProject::new();

    let claims = decoded(&project.sign_in("anonymous@example.com").await["access_token"]).1;
    assert_eq!(claims["is_anonymous"], true);
    let claims = decoded(&project.sign_in("third@example.com").await["access_token"]).1;
    assert_eq!(claims["amr"], json!([{ "method": "oauth_provider/authorization_code", "timestamp": START }]));
    assert!(claims["client_id"].is_string() && claims["scope"].is_string());
    let claims = decoded(&project.sign_in("issuerless@example.com").await["access_token"]).1;
    assert!(claims.get("iss").is_none());
    let claims = decoded(&project.sign_in("expired@example.com").await["access_token"]).1;
    assert_eq!(claims["exp"], START - 3600);
}
