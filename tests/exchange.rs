//! A code becomes tokens (OAuth 2.1 §4.1.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use test_system::connector::UNKNOWN_REFRESH_TOKEN;
use test_system::{TestSystem, claims};

/// OAuth 2.1 §3.2.3, RFC 9068 §2.2: the whole answer, and the whole token.
#[tokio::test(flavor = "multi_thread")]
async fn code_exchange_returns_the_documented_access_token() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let ask = connector.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;

    let answer = connector.exchange(&ask, &code).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let mut body = answer.json();
    let tokens = answer.tokens(&test_system);
    body.as_object_mut().unwrap().retain(|name, _| name != "access_token" && name != "refresh_token");
    assert_eq!(body, json!({ "token_type": "Bearer", "expires_in": 3600, "scope": "skills:read" }));

    let (header, mut claims) = claims(&tokens.access);
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "RS256");
    for random in ["grant", "jti", "sub"] {
        assert!(claims.as_object_mut().unwrap().remove(random).unwrap().is_string(), "{random}");
    }
    let now = test_system.now();
    assert_eq!(
        claims,
        json!({
            "iss": test_system.issuer(),
            "aud": test_system.mcp_url(),
            "client_id": connector.client_id,
            "scope": "skills:read",
            "tenant": "acme",
            "generation": 1,
            "iat": now,
            "exp": now + 3600,
        })
    );
}

/// RFC 6749 §4.1.2: "If an authorization code is used more than once …", all it led to ends.
#[tokio::test(flavor = "multi_thread")]
async fn replayed_code_revokes_the_grant() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let code = test_system.person("ana@example.com").code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);

    let replay = connector.exchange(&ask, &code).await;

    assert_eq!(replay.status, 400);
    assert_eq!(
        replay.json(),
        json!({
            "error": "invalid_grant",
            "error_description": "The code is not valid for this client and request, or was used before.",
        })
    );
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    assert_eq!(connector.refresh(&tokens.refresh.unwrap()).await.json()["error"], "invalid_grant");
}

/// OAuth 2.1 §7.5.3: whoever has only the code, and not its verifier, cannot end what it led to.
#[tokio::test(flavor = "multi_thread")]
async fn replayed_code_without_verifier_does_not_revoke_the_grant() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let code = test_system.person("ana@example.com").code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);

    let wrong = "w".repeat(43);
    let replay = connector.exchange_with(&ask, &code, &[("code_verifier", Some(&wrong))]).await;

    assert_eq!((replay.status, &replay.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
}

/// OAuth 2.1 §4.1.3 and §3.2.4: each condition, and that a failed try does not spend the code.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_bound_to_its_request() {
    let test_system = TestSystem::new().await;
    let (connector, other) = (test_system.connector("Claude").await, test_system.connector("Other").await);
    let ask = connector.authorization_request("skills:read");
    let code = test_system.person("ana@example.com").code(&ask, "acme").await;
    let (short, long, wrong) = ("v".repeat(42), "v".repeat(129), "v".repeat(43));

    for (name, value, status, error) in [
        ("code_verifier", Some(wrong.as_str()), 400, "invalid_grant"),
        ("code_verifier", Some(&short), 400, "invalid_request"),
        ("code_verifier", Some(&long), 400, "invalid_request"),
        ("code_verifier", Some("v v v v v v v v v v v v v v v v v v v v v v v"), 400, "invalid_request"),
        ("code_verifier", None, 400, "invalid_request"),
        ("code", None, 400, "invalid_request"),
        ("code", Some("ac_x"), 400, "invalid_grant"),
        ("client_id", Some(&other.client_id), 400, "invalid_grant"),
        ("client_id", Some("c_unknown"), 401, "invalid_client"),
        ("client_id", None, 400, "invalid_request"),
        ("client_secret", Some("made up"), 401, "invalid_client"),
        ("redirect_uri", Some("https://claude.ai/elsewhere"), 400, "invalid_grant"),
        ("resource", Some("https://elsewhere.example/"), 400, "invalid_target"),
        ("grant_type", Some("password"), 400, "unsupported_grant_type"),
        ("grant_type", None, 400, "invalid_request"),
    ] {
        let refused = connector.exchange_with(&ask, &code, &[(name, value)]).await;

        let told = (refused.status, refused.json()["error"].clone());
        assert_eq!(told, (status, Value::from(error)), "{name} {value:?}");
    }
    // §10.2: the address may be left out; older clients leave out the resource.
    let changes = [("redirect_uri", None), ("resource", None)];
    assert_eq!(connector.exchange_with(&ask, &code, &changes).await.status, 200);
}

/// OAuth 2.1 §4.1.2: a code lives for a minute, not a second longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_expires_after_a_minute() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");

    for (age, status) in [(60, 200), (61, 400)] {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        test_system.advance(age);

        assert_eq!(connector.exchange(&ask, &code).await.status, status, "{age} s");
    }
}

/// The person did not want it to stay connected: an hour, and no refresh token.
#[tokio::test(flavor = "multi_thread")]
async fn without_offline_access_there_is_no_refresh_token() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let landed = test_system.person("ana@example.com").approve_without(&ask, "acme", &["offline_access"]).await;

    let tokens = connector.exchange(&ask, &landed.redirect_parameters()["code"]).await.tokens(&test_system);

    assert_eq!((tokens.refresh, tokens.scope.as_str()), (None, "skills:read"));
    test_system.advance(3599);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    test_system.advance(1);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
}

/// OAuth 2.1 §2.4: an empty secret is none, in the header and in the body, wherever a client says who it is. Several libraries send
/// a public client's id so.
#[tokio::test(flavor = "multi_thread")]
async fn empty_client_secret_is_no_secret() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    let id = connector.client_id.as_str();
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:")));

    for (in_body, header) in [
        (vec![], Some(("authorization", basic.as_str()))),
        (vec![("client_id", id)], Some(("authorization", &basic))),
        (vec![("client_secret", "")], Some(("authorization", &basic))),
        (vec![("client_id", id), ("client_secret", "")], None),
    ] {
        let headers: Vec<_> = header.into_iter().collect();
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        let mut form = vec![("grant_type", "authorization_code"), ("code", &code), ("code_verifier", &ask.verifier)];
        form.extend(&in_body);
        let tokens = test_system.post_form_with("/oauth/token", &form, &headers).await.tokens(&test_system);
        let refresh = tokens.refresh.unwrap();
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        form.extend(&in_body);
        let tokens = test_system.post_form_with("/oauth/token", &form, &headers).await.tokens(&test_system);
        let mut form = vec![("token", tokens.access.as_str())];
        form.extend(&in_body);
        let answer = test_system.post_form_with("/oauth/revoke", &form, &headers).await;

        assert_eq!((answer.status, answer.json()), (200, json!({})), "{in_body:?} {header:?}");
        assert_eq!(connector.call(&tokens.access, "ping", json!({})).await.status, 401, "{in_body:?} {header:?}");
    }
    // A secret that is not empty proves nothing of a client that has none.
    let wrong = format!("Basic {}", STANDARD.encode(format!("{id}:x")));
    let form = [("grant_type", "refresh_token"), ("refresh_token", UNKNOWN_REFRESH_TOKEN)];
    let answer = test_system.post_form_with("/oauth/token", &form, &[("authorization", &wrong)]).await;
    assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")));
}

/// OAuth 2.1 §2.4.1: a client that an operator registered shows its secret, in the body or by Basic, and not both.
#[tokio::test(flavor = "multi_thread")]
async fn confidential_client_must_authenticate() {
    let test_system = TestSystem::new().await;
    let connector = test_system.confidential_client("acme-cowork", "a secret: with % and +").await;
    let ana = test_system.person("ana@example.com");
    let basic = |secret: &str| {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(&connector.client_id), encode(secret))))
    };
    let secret = connector.secret.clone().unwrap();

    for (in_body, header, status, error) in [
        (None, None, 401, "invalid_client"),
        (Some("wrong"), None, 401, "invalid_client"),
        (None, Some(basic("wrong")), 401, "invalid_client"),
        (None, Some(basic("")), 401, "invalid_client"),
        (Some(""), None, 401, "invalid_client"),
        (None, Some("Bearer x".to_owned()), 401, "invalid_client"),
        (Some(secret.as_str()), Some(basic(&secret)), 400, "invalid_request"),
        (Some(secret.as_str()), None, 200, ""),
        (None, Some(basic(&secret)), 200, ""),
    ] {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        let mut form = vec![("grant_type", "authorization_code"), ("code", &code), ("code_verifier", &ask.verifier)];
        if header.is_none() {
            form.push(("client_id", &connector.client_id));
        }
        form.extend(in_body.map(|secret| ("client_secret", secret)));
        let headers: Vec<_> = header.iter().map(|value| ("authorization", value.as_str())).collect();

        let answer = test_system.post_form_with("/oauth/token", &form, &headers).await;

        assert_eq!(answer.status, status, "{in_body:?} {header:?} {answer:?}");
        if status == 200 {
            assert_eq!(answer.tokens(&test_system).scope, "skills:read");
        } else {
            assert_eq!(answer.json()["error"], error);
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401 && header.is_some());
        }
    }
}
