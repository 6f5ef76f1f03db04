//! A client gives a token back (RFC 7009).

use serde_json::json;
use test_system::TestSystem;
use test_system::connector::UNKNOWN_REFRESH_TOKEN;

/// RFC 7009 §2.1: either kind of token ends the whole grant, at the next call.
#[tokio::test(flavor = "multi_thread")]
async fn revoking_either_token_revokes_the_grant() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");

    for kind in ["access", "refresh", "expired access"] {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        let first = connector.exchange(&ask, &code).await.tokens(&test_system);
        let (mut token, mut tokens) = (first.access.clone(), first.clone());
        if kind == "refresh" {
            token = first.refresh.clone().unwrap();
        } else if kind == "expired access" {
            test_system.advance(3600);
            tokens = connector.refresh(&first.refresh.unwrap()).await.tokens(&test_system);
        }

        let answer = connector.revoke(&token).await;

        assert_eq!(
            (answer.status, answer.json(), answer.header("cache-control")),
            (200, json!({}), Some("no-store")),
            "{kind}"
        );
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401, "{kind}");
        assert_eq!(connector.refresh(&tokens.refresh.unwrap()).await.json()["error"], "invalid_grant", "{kind}");
        assert_eq!(connector.revoke(&token).await.status, 200, "{kind}");
    }
}

/// RFC 7009 §2.2: what is unknown, or another client's, is answered like success, and nothing happens.
#[tokio::test(flavor = "multi_thread")]
async fn token_of_another_client_is_not_revoked() {
    let test_system = TestSystem::new().await;
    let (connector, other) = (test_system.connector("Claude").await, test_system.connector("Other").await);
    let ask = connector.authorization_request("skills:read");
    let code = test_system.person("ana@example.com").code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    let refresh = tokens.refresh.unwrap();
    let stranger = format!("{}{}", &refresh[..25], "A".repeat(refresh.len() - 25));
    let (signed, last) = tokens.access.split_at(tokens.access.len() - 1);
    let forged = format!("{signed}{}", if last == "A" { "Q" } else { "A" });

    for token in [&tokens.access, &refresh] {
        let answer = other.revoke(token).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
    }
    for token in [stranger.as_str(), &forged, "nonsense", "rt_nonsense"] {
        assert_eq!(connector.revoke(token).await.status, 200, "{token}");
    }

    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
}

/// Perhaps a thief has that pair; and an access token is kept where nobody looks for it when it has expired.
#[tokio::test(flavor = "multi_thread")]
async fn expired_access_token_of_a_superseded_pair_ends_nothing() {
    let test_system = TestSystem::new().await;
    let (connector, first) = test_system.connect("ana@example.com", "acme", "skills:read offline_access").await;
    let old = first.refresh.unwrap();
    let lost = connector.refresh(&old).await.tokens(&test_system);
    test_system.advance(61);
    let mut newest = connector.refresh(&old).await.tokens(&test_system);
    for _ in 0..2 {
        test_system.advance(3601);
        let replaced = newest;
        newest = connector.refresh(replaced.refresh.as_ref().unwrap()).await.tokens(&test_system);

        assert_eq!(connector.revoke(&lost.access).await.status, 200);
        assert_eq!(connector.call(&newest.access, "ping", json!({})).await.status, 200);
    }
    // A client that was off for an hour can still end what it has.
    test_system.advance(3601);
    assert_eq!(connector.revoke(&newest.access).await.status, 200);
    assert_eq!(connector.refresh(newest.refresh.as_ref().unwrap()).await.status, 400);
}

/// OAuth 2.1 §3.2: what means nothing here is ignored, however often it is sent. RFC 7009 §2.1: the hint is only a hint.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_parameters_without_a_meaning_are_ignored() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let form = [
        ("token", tokens.access.as_str()),
        ("client_id", &connector.client_id),
        ("token_type_hint", "access_token"),
        ("token_type_hint", "refresh_token"),
        ("x", "1"),
        ("x", "2"),
    ];

    let answer = test_system.post_form("/oauth/revoke", &form).await;

    assert_eq!((answer.status, answer.json()), (200, json!({})));
    assert_eq!(connector.call(&tokens.access, "ping", json!({})).await.status, 401);
}

/// RFC 7009 §2.2.1.
#[tokio::test(flavor = "multi_thread")]
async fn unsupported_token_type_is_refused() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let client = connector.client_id.as_str();
    let key = test_system.api_key();

    for (form, status, error) in [
        (vec![("client_id", client)], 400, "invalid_request"),
        (vec![("token", "x")], 400, "invalid_request"),
        (vec![("token", UNKNOWN_REFRESH_TOKEN), ("client_id", "c_unknown")], 401, "invalid_client"),
        (vec![("token", "x"), ("client_id", "c_unknown"), ("client_secret", "y")], 401, "invalid_client"),
        (vec![("token", "x"), ("token", "y"), ("client_id", client)], 400, "invalid_request"),
        (vec![("token", "x"), ("client_id", client), ("client_id", client)], 400, "invalid_request"),
        (vec![("token", key.as_str()), ("client_id", client)], 400, "unsupported_token_type"),
    ] {
        let answer = test_system.post_form("/oauth/revoke", &form).await;
        assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{form:?}");
    }
}
