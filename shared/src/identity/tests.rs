use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use lambda_http::Body;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::sign_in_age::SignInAge;
use super::*;
use crate::clock::Clock;

const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);
const ISSUER: &str = "https://abcdefghijklmnopqrst.supabase.co/auth/v1";
const KID: &str = "3a18cfe2-7226-43b0-bbb4-7c5242f2406e";
const PERSON: &str = "0b6c1c0e-52a1-4c6c-9a37-6f3f8b7d2a10";

fn fixtures() -> Value {
    serde_json::from_str(include_str!("../../tests/supabase-fixtures.json")).unwrap()
}

/// Every format that the real libraries write, and what must not be taken for one.
#[tokio::test]
async fn fixtures_are_verified_as_recorded() {
    let fixtures = fixtures();
    let cases = fixtures["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 19);
    let project = Project::answering([
        ("/.well-known/jwks.json", 200, fixtures["jwks"].to_string()),
        ("/user", 200, json!({ "id": PERSON }).to_string()),
    ])
    .await;
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let identity = project.identity(&[("SESSION_COOKIE", case["storage_key"].as_str().unwrap())]);

        let found = identity.signed_in(&request(case["cookie_header"].as_str().unwrap()), NOW).await.unwrap();

        let found = found.as_ref().map(|person| person.bearer.expose());
        assert_eq!(found, case["expect_access_token"].as_str(), "{name}");
    }
}

/// The name that `@supabase/ssr` makes of an address.
#[tokio::test]
async fn cookie_is_named_after_the_project() {
    for (url, name) in [
        ("https://abcdefghijklmnopqrst.supabase.co", "sb-abcdefghijklmnopqrst-auth-token"),
        ("https://auth.acme.io/", "sb-auth-auth-token"),
        ("https://example.com/supabase", "sb-example-auth-token"),
        ("http://127.0.0.1:54321", "sb-127-auth-token"),
        ("http://localhost:54321", "sb-localhost-auth-token"),
        ("https://192.168.1.5:8443", "sb-192-auth-token"),
    ] {
        assert_eq!(Identity::new(&environment(url, &[])).unwrap().cookie(), name, "{url}");
    }
}

/// Our own page has it where browsers let no other host set it, over https.
#[tokio::test]
async fn our_own_cookie_is_bound_to_the_host() {
    for (login, cookie, name) in [
        ("", "", "__Host-sb-p-auth-token"),
        ("", "acme-session", "__Host-acme-session"),
        ("", "__Host-acme", "__Host-acme"),
        ("https://connect.example.com/auth/login", "", "sb-p-auth-token"), // the product's, beside which we are
        ("https://connect.example.com/sign-in", "", "sb-p-auth-token"),
        ("https://app.example.com/sign-in", "acme-session", "acme-session"),
    ] {
        let settings = [("LOGIN_URL", login), ("SESSION_COOKIE", cookie)];
        let identity = Identity::new(&environment("https://p.example.com", &settings)).unwrap();
        assert_eq!(identity.cookie(), name, "{login} {cookie}");
    }
}

/// By the newest of the first factors: neither by a refresh nor by a second factor, which a thief of the session may have enrolled.
#[tokio::test]
async fn sign_in_is_as_old_as_its_newest_first_factor() {
    let project = Project::answering([("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string())]).await;
    let ago = |seconds: i64| NOW.seconds() - seconds;
    for (amr, max, expected) in [
        (json!([{ "method": "password", "timestamp": ago(600) }]), "10", SignInAge::Recent),
        (json!([{ "method": "password", "timestamp": ago(601) }]), "10", SignInAge::TooOld),
        (json!([{ "method": "password", "timestamp": ago(601) }]), "0", SignInAge::Recent),
        (json!([{ "method": "password", "timestamp": ago(601) }]), "", SignInAge::Recent),
        (
            json!([{ "method": "otp", "timestamp": ago(9000) }, { "method": "password", "timestamp": ago(1) }]),
            "10",
            SignInAge::Recent,
        ),
        (
            json!([{ "method": "password", "timestamp": ago(9000) }, { "method": "totp", "timestamp": ago(1) }]),
            "10",
            SignInAge::TooOld,
        ),
        (
            json!([{ "method": "mfa/phone", "timestamp": ago(1) }, { "method": "password", "timestamp": ago(9000) }]),
            "10",
            SignInAge::TooOld,
        ),
        (
            json!([{ "method": "token_refresh", "timestamp": ago(1) }, { "method": "otp", "timestamp": ago(9000) }]),
            "10",
            SignInAge::TooOld,
        ),
        (json!(["password"]), "10", SignInAge::Unknown),
        (json!([{ "method": "password" }]), "10", SignInAge::Unknown),
        (json!([{ "method": "password", "timestamp": "now" }]), "10", SignInAge::Unknown),
    ] {
        let identity = project.identity(&[("SIGN_IN_MAX_AGE", max)]);
        let person = identity.verify_token(Bearer::new(token(&[("amr", amr.clone())])), NOW).await.unwrap();
        assert_eq!(identity.sign_in_age(&person.person().unwrap(), NOW), expected, "{amr} {max}");
    }
}

#[tokio::test]
async fn unsafe_settings_are_refused() {
    for (name, value) in [
        ("SUPABASE_URL", "http://kong:8000"),
        ("SUPABASE_URL", "https://user:secret@example.com"),
        ("SUPABASE_URL", "https://example.com/?x=1"),
        ("SUPABASE_URL", ""),
        ("SUPABASE_PUBLISHABLE_KEY", "sb_secret_not_a_real_one"),
        ("SESSION_COOKIE", "name; Domain=example.com"),
        ("LOGIN_URL", "javascript:alert(1)"),
        ("SUPABASE_SHARED_SECRET", "maybe"),
        ("SIGN_IN_MAX_AGE", "an hour"),
    ] {
        assert!(Identity::new(&environment("https://p.example.com", &[(name, value)])).is_err(), "{name}={value}");
    }
}

/// What makes a token the session of a browser, for us, at this time.
#[tokio::test]
async fn only_browser_sessions_of_this_project_are_accepted() {
    let project = Project::answering([("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string())]).await;
    let identity = project.identity(&[]);
    let now = NOW.seconds();
    for (member, value, good) in [
        ("exp", json!(now + 1), true),
        ("exp", json!(now), false),
        ("exp", Value::Null, false),
        ("iat", json!(now + 60), true),
        ("iat", json!(now + 61), false),
        ("nbf", json!(now - 1), true),
        ("nbf", json!(now + 61), false),
        ("iss", json!("https://elsewhere.supabase.co/auth/v1"), false),
        ("iss", Value::Null, false),
        ("aud", json!(["authenticated"]), true),
        ("aud", json!("anon"), false),
        ("role", json!("service_role"), false),
        ("role", json!("anon"), false),
        ("sub", json!("ana"), false),
        ("session_id", json!("00000000-0000-0000-0000-000000000000"), false),
        ("session_id", Value::Null, false),
        ("is_anonymous", json!(true), false),
        ("client_id", json!("0b6c1c0e-52a1-4c6c-9a37-6f3f8b7d2a11"), false),
        ("amr", json!([{ "method": "password", "timestamp": now }, "otp"]), true),
        ("amr", json!([{ "method": "oauth_provider/authorization_code", "timestamp": now }]), false),
        ("amr", json!(["oauth_provider/authorization_code"]), false),
        ("email", json!(""), true),
    ] {
        let token = signed(&json!({ "alg": "ES256", "kid": KID, "typ": "JWT" }), &claims(&[(member, value.clone())]));
        let found = identity.verify_token(Bearer::new(token), NOW).await.unwrap();
        assert_eq!(found.person().is_some(), good, "{member}: {value}");
    }
}

#[tokio::test]
async fn signature_algorithm_follows_the_key_not_the_token() {
    let project = Project::answering([
        ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string()),
        ("/user", 403, json!({ "code": "bad_jwt", "message": "x" }).to_string()),
    ])
    .await;
    let identity = project.identity(&[]);
    for (header, why) in [
        (json!({ "alg": "none", "kid": KID }), "unsigned"),
        (json!({ "alg": "HS256", "kid": KID }), "a public key is no shared secret"),
        (json!({ "alg": "RS256", "kid": KID }), "the key is for ES256"),
        (json!({ "alg": "ES256", "kid": "another" }), "a key that is not published"),
        (json!({ "alg": "ES256" }), "no key named"),
        (json!({ "alg": "ES256", "kid": KID, "crit": ["b64"] }), "critical header"),
        (json!({ "alg": "ES256", "kid": KID, "typ": "at+jwt" }), "another kind of token"),
    ] {
        let token = signed(&header, &claims(&[]));
        assert!(identity.verify_token(Bearer::new(token), NOW).await.unwrap().person().is_none(), "{why}");
    }
    let good = signed(&json!({ "alg": "ES256", "kid": KID }), &claims(&[]));
    let changed = good.replacen('.', ".A", 1);
    assert!(identity.verify_token(Bearer::new(changed), NOW).await.unwrap().person().is_none());
    assert!(identity.verify_token(Bearer::new(good), NOW).await.unwrap().person().is_some());
}

#[tokio::test]
async fn jwks_is_cached_and_survives_failures_for_an_hour() {
    let project = Project::answering([("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string())]).await;
    let identity = project.identity(&[]);
    let good =
        || Bearer::new(signed(&json!({ "alg": "ES256", "kid": KID }), &claims(&[("exp", json!(2_000_000_000))])));
    let at = |minutes: u64| NOW.plus(std::time::Duration::from_secs(60 * minutes));

    for minute in [0, 1, 9] {
        assert!(identity.verify_token(good(), at(minute)).await.unwrap().person().is_some());
    }
    assert_eq!(project.calls(), 1);

    let silent = Project::answering([("/.well-known/jwks.json", 500, String::new())]).await;
    let mut failing = silent.identity(&[]);
    failing.jwks = identity.jwks;
    assert!(failing.verify_token(good(), at(59)).await.unwrap().person().is_some());
    assert!(failing.verify_token(good(), at(61)).await.is_err());
}

/// Such a token may be that of a third party, of which a hook dropped the marks. Nothing else of what it says matters.
#[tokio::test]
async fn token_without_amr_is_refused_while_the_oauth_server_is_on() {
    let on = || (200, json!({ "issuer": ISSUER }).to_string());
    let off = || (404, json!({ "code": "feature_disabled", "message": "OAuth server is disabled" }).to_string());
    for (amr, (status, body), expected) in [
        (Value::Null, on(), Some(Err(NotSignedInError::NoSession(SessionError::MissingAmr)))),
        (json!([]), on(), Some(Err(NotSignedInError::NoSession(SessionError::MissingAmr)))),
        (
            json!([{ "timestamp": 1 }, 1, { "method": "" }, ""]),
            on(),
            Some(Err(NotSignedInError::NoSession(SessionError::MissingAmr))),
        ),
        (json!("password"), on(), Some(Err(NotSignedInError::NoSession(SessionError::Unrecognized)))),
        (json!(["pwd"]), on(), Some(Ok(()))),
        (json!([{ "method": "password", "timestamp": 1 }]), on(), Some(Ok(()))),
        (Value::Null, off(), Some(Ok(()))),
        // Whoever else answers, and whatever else Supabase says: nobody knows.
        (Value::Null, (404, "404 page not found".to_owned()), None),
        (Value::Null, (404, json!({ "code": "not_found", "message": "x" }).to_string()), None),
        (Value::Null, (403, json!({ "code": "feature_disabled", "message": "x" }).to_string()), None),
        (Value::Null, (200, "<!doctype html>".to_owned()), None),
        (Value::Null, (200, json!({}).to_string()), None),
        (Value::Null, (302, json!({ "issuer": ISSUER }).to_string()), None),
        (Value::Null, (401, json!({ "message": "Invalid API key" }).to_string()), None),
        (Value::Null, (500, json!({ "code": "unexpected_failure", "message": "x" }).to_string()), None),
    ] {
        let project = Project::answering([
            ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string()),
            ("/user", 200, json!({ "id": PERSON }).to_string()),
            (OAUTH_SERVER, status, body.clone()),
        ])
        .await;
        let identity = project.identity(&[]);
        for aal in ["aal1", "aal2"] {
            let token = token(&[("amr", amr.clone()), ("aal", json!(aal))]);
            let cookie = json!({ "access_token": token, "refresh_token": "x", "expires_at": 1 });

            let session = identity.session_status(&request(&format!("sb-127-auth-token={cookie}")), NOW).await;

            let found = session.ok().map(|session| session.signed_in().map(|_| ()));
            assert_eq!(found, expected, "{amr} {aal} {status} {body}");
        }
    }
}

/// Once, whoever waits for the answer and how many; after an hour again. Strangers cannot have it asked.
#[tokio::test]
async fn oauth_server_metadata_is_fetched_once_an_hour() {
    let jwks = || ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string());
    let disabled = json!({ "code": "feature_disabled", "message": "x" }).to_string();
    let project = Project::answering([jwks(), (OAUTH_SERVER, 404, disabled)]).await;
    let identity = Arc::new(project.identity(&[]));
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    let unsaid = token(&[("amr", Value::Null), ("exp", json!(NOW.seconds() + 9_000))]);

    let (claims, other) = (unsaid.rsplit_once('.').unwrap().0, token(&[]));
    let made_up = format!("{claims}.{}", other.rsplit_once('.').unwrap().1);
    assert!(identity.verify_token(Bearer::new(made_up), NOW).await.unwrap().person().is_none());
    assert!(identity.verify_token(Bearer::new(other), NOW).await.unwrap().person().is_some());
    assert_eq!(project.calls_of(OAUTH_SERVER), 0);

    assert_eq!(at_once(&identity, &unsaid, 20, NOW).await, [Some(true); 20]);
    assert_eq!(at_once(&identity, &unsaid, 1, after(3599)).await, [Some(true)]);
    assert_eq!(project.calls_of(OAUTH_SERVER), 1);
    assert_eq!(at_once(&identity, &unsaid, 1, after(3600)).await, [Some(true)]);
    assert_eq!(project.calls_of(OAUTH_SERVER), 2);
}

/// Those who wait are not let go one after another, each when its own question has failed.
#[tokio::test]
async fn failed_oauth_server_lookup_is_not_repeated_at_once() {
    let jwks = ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string());
    let project = Project::answering([jwks, (OAUTH_SERVER, 500, String::new())]).await;
    let identity = Arc::new(project.identity(&[]));
    let unsaid = token(&[("amr", Value::Null)]);
    for (second, asked) in [(0, 1), (1, 1), (2, 2)] {
        let at = NOW.plus(Duration::from_secs(second));
        assert_eq!(at_once(&identity, &unsaid, 20, at).await, [None; 20]);
        assert_eq!(project.calls_of(OAUTH_SERVER), asked, "{second}");
    }
}

/// Whether `token` is taken for a person's, if that can be said, of so many requests at the same time.
async fn at_once(identity: &Arc<Identity>, token: &str, requests: usize, now: Timestamp) -> Vec<Option<bool>> {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..requests {
        let (identity, token) = (Arc::clone(identity), Bearer::new(token.to_owned()));
        all.spawn(
            async move { identity.verify_token(token, now).await.ok().map(|session| session.person().is_some()) },
        );
    }
    all.join_all().await
}

/// The refresh token beside it would be the third party's as well.
#[tokio::test]
async fn session_without_amr_is_not_refreshed_while_the_oauth_server_is_on() {
    let ended = token(&[("amr", Value::Null), ("exp", json!(NOW.seconds() - 1)), ("iat", json!(NOW.seconds() - 3601))]);
    let cookie = json!({ "access_token": ended, "refresh_token": "theirs", "expires_at": 1 });
    let request = request(&format!("sb-127-auth-token={cookie}"));
    for (status, body, expected) in [
        (200, json!({ "issuer": ISSUER }), Some(None)),
        (404, json!({ "code": "feature_disabled", "message": "x" }), Some(Some("theirs".to_owned()))),
        (502, json!({}), None),
    ] {
        let project = Project::answering([
            ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string()),
            (OAUTH_SERVER, status, body.to_string()),
        ])
        .await;

        assert_eq!(project.identity(&[]).refreshable_token(&request, NOW).await.ok(), expected, "{status} {body}");
    }
}

/// No key, so Supabase is asked, and its word counts for a minute.
#[tokio::test]
async fn symmetric_token_is_verified_by_supabase() {
    let project = Project::answering([
        ("/.well-known/jwks.json", 200, r#"{"keys":[]}"#.to_owned()),
        ("/user", 200, json!({ "id": PERSON, "email": "ana@example.com" }).to_string()),
    ])
    .await;
    let identity = project.identity(&[]);
    let token = signed(&json!({ "alg": "HS256", "typ": "JWT" }), &claims(&[]));
    let ask = async |seconds| {
        let at = NOW.plus(std::time::Duration::from_secs(seconds));
        identity.verify_token(Bearer::new(token.clone()), at).await.unwrap().person().is_some()
    };

    assert!(ask(0).await && ask(59).await);
    assert_eq!(project.calls(), 2, "the keys and the person, once");
    assert!(ask(60).await);
    assert_eq!(project.calls(), 3);

    let another = Bearer::new(signed(&json!({ "alg": "HS256" }), &claims(&[("sub", json!(PERSON.replace('0', "1")))])));
    assert!(identity.verify_token(another, NOW).await.unwrap().person().is_none());
}

/// A key that is too new to be published everywhere counts by Supabase's word, and names of keys can be made up.
#[tokio::test]
async fn unpublished_key_is_verified_by_supabase_and_refetched_with_pauses() {
    for (status, answer, asked) in [
        (403, json!({ "code": "bad_jwt", "message": "x" }), [(0, 1, 1), (29, 1, 2), (30, 2, 3), (31, 2, 4)]),
        (200, json!({ "id": PERSON }), [(0, 1, 1), (29, 1, 2), (30, 2, 3), (61, 3, 4)]),
    ] {
        let project = Project::answering([
            ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string()),
            ("/user", status, answer.to_string()),
        ])
        .await;
        let identity = project.identity(&[]);
        for (second, keys, people) in asked {
            // Each another token, so that none is known.
            let token = signed(&json!({ "alg": "ES256", "kid": "new" }), &claims(&[("iat", json!(second))]));
            let cookie = json!({ "access_token": token, "refresh_token": "x", "expires_at": 1 });
            let request = request(&format!("sb-127-auth-token={cookie}"));
            let at = NOW.plus(std::time::Duration::from_secs(second));
            let found = identity.signed_in(&request, at).await.unwrap();
            assert!(found.is_none() || status == 200, "{second}");
            assert_eq!(project.calls(), keys + people, "{status} {second}");
        }
    }
}

/// With two factors as with one: what a token says of itself is no word of Supabase's.
#[tokio::test]
async fn every_session_is_confirmed_once_a_minute() {
    for aal in ["aal1", "aal2"] {
        let project = Project::answering([
            ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string()),
            ("/user", 200, json!({ "id": PERSON }).to_string()),
        ])
        .await;
        let identity = project.identity(&[]);
        let token = token(&[("aal", json!(aal))]);
        let request = request(&format!(
            "sb-127-auth-token={}",
            json!({ "access_token": token, "refresh_token": "x", "expires_at": 1 })
        ));
        for (second, asked) in [(0, 1), (1, 1), (59, 1), (60, 2), (119, 2), (120, 3)] {
            let at = NOW.plus(Duration::from_secs(second));
            assert!(identity.signed_in(&request, at).await.unwrap().is_some(), "{aal} {second}");
            assert_eq!(project.calls_of("/user"), asked, "{aal} {second}");
        }
        // A token that Supabase has just issued is confirmed by that, if no factor can be left.
        let fresh = project.identity(&[]);
        assert!(fresh.verify_token(Bearer::new(token.clone()), NOW).await.unwrap().person().is_some());
        assert!(fresh.signed_in(&request, NOW).await.unwrap().is_some());
        assert_eq!(project.calls_of("/user"), if aal == "aal1" { 4 } else { 3 }, "{aal}");
    }
}

/// What each answer of `GET /user` means.
#[tokio::test]
async fn approval_checks_the_session_with_supabase() {
    for (status, body, expected) in [
        (200, json!({ "id": PERSON }), Some(true)),
        (200, json!({ "id": "0b6c1c0e-52a1-4c6c-9a37-000000000000" }), Some(false)),
        (200, json!({}), None),
        (401, json!({ "code": "no_authorization", "message": "x" }), Some(false)),
        (401, json!({ "message": "Invalid API key", "hint": "x" }), None),
        (401, json!({ "message": "No API key found in request" }), None),
        (403, json!({ "code": "bad_jwt", "message": "x" }), Some(false)),
        (403, json!({ "code": "session_not_found", "message": "x" }), Some(false)),
        (403, json!({ "code": "user_not_found", "message": "x" }), Some(false)),
        (403, json!({ "code": "user_banned", "message": "x" }), Some(false)),
        (403, json!("a firewall"), None),
        (302, json!({}), None),
        (429, json!({ "code": "over_request_rate_limit", "message": "x" }), None),
        (500, json!({ "code": "unexpected_failure", "message": "x" }), None),
    ] {
        let project = Project::answering([
            ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string()),
            ("/user", status, body.to_string()),
        ])
        .await;
        let identity = project.identity(&[]);
        let person = identity.verify_token(Bearer::new(token(&[])), NOW).await.unwrap().person().unwrap();

        assert_eq!(identity.still_signed_in(&person).await.ok(), expected, "{status} {body}");
    }
}

/// Supabase's "if enrolled": a verified factor is to be shown, and only Supabase knows whether there is one.
#[tokio::test]
async fn person_with_mfa_is_signed_in_after_both_factors() {
    let factor = |kind: &str, status: &str| json!({ "id": "34e770dd-9ff9-416c-87fa-43b31d7ef225", "friendly_name": "Phone", "factor_type": kind, "status": status });
    for (aal, factors, arrives) in [
        (json!("aal1"), json!([]), "signed in"),
        (json!("aal1"), Value::Null, "signed in"),
        (json!("aal1"), json!([factor("totp", "unverified")]), "signed in"),
        (json!("aal1"), json!([factor("totp", "verified")]), "mfa"),
        (json!("aal1"), json!([factor("webauthn", "verified")]), "mfa"),
        (Value::Null, json!([factor("totp", "verified")]), "mfa"),
        (json!("aal3"), json!([factor("totp", "verified")]), "mfa"),
        (json!("aal2"), json!([factor("totp", "verified")]), "signed in"),
        (json!("aal1"), json!("not a list"), "fault"),
        (json!("aal1"), json!([{ "id": "../user", "factor_type": "totp", "status": "verified" }]), "fault"),
    ] {
        let mut user = json!({ "id": PERSON, "factors": factors });
        if factors.is_null() {
            user = json!({ "id": PERSON });
        }
        let project = Project::answering([
            ("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string()),
            ("/user", 200, user.to_string()),
        ])
        .await;
        let identity = project.identity(&[]);

        let session = identity.verify_token(Bearer::new(token(&[("aal", aal.clone())])), NOW).await;

        let said = match &session {
            Ok(SessionStatus::SignedIn(_)) => "signed in",
            Ok(SessionStatus::MfaPending(_)) => "mfa",
            Ok(SessionStatus::SignedOut(_)) => "nobody",
            Err(_) => "fault",
        };
        assert_eq!(said, arrives, "{aal} {factors}");
        if let Ok(SessionStatus::SignedIn(person)) = session {
            assert!(identity.still_signed_in(&person).await.unwrap(), "{aal} {factors}");
            assert_eq!(project.calls(), 2, "the keys, and the person once: {aal} {factors}");
        }
    }
}

#[tokio::test]
async fn csrf_token_is_bound_to_purpose_and_session() {
    let project = Project::answering([("/.well-known/jwks.json", 200, fixtures()["jwks"].to_string())]).await;
    let identity = project.identity(&[]);
    let person = async |changes: &[(&str, Value)]| {
        identity.verify_token(Bearer::new(token(changes)), NOW).await.unwrap().person().unwrap()
    };
    let ana = person(&[]).await;
    let refreshed = person(&[("exp", json!(NOW.seconds() + 9)), ("iat", json!(NOW.seconds()))]).await;
    let elsewhere = person(&[("session_id", json!("5e1f2a7c-1d7e-4a52-8d55-0a9f7d9f1c34"))]).await;

    let shown = ana.csrf_token("approve x");

    assert!(ana.verify_csrf_token("approve x", &shown));
    assert!(refreshed.verify_csrf_token("approve x", &shown));
    assert!(!ana.verify_csrf_token("approve y", &shown));
    assert!(!elsewhere.verify_csrf_token("approve x", &shown));
    for wrong in ["", "x", &shown[1..], &format!("{shown}A")] {
        assert!(!ana.verify_csrf_token("approve x", wrong), "{wrong}");
    }
    let debug = format!("{ana:?}");
    assert!(!debug.contains("5e1f2a7c") && !debug.contains("eyJ"), "{debug}");
}

#[tokio::test]
async fn login_url_carries_the_return_path() {
    let back = "/oauth/authorize?client_id=a&state=b%20c";
    let encoded = "/oauth/authorize%3Fclient_id%3Da%26state%3Db%2520c";
    for (login, expected) in [
        ("", format!("https://connect.example.com/auth/login?next={encoded}")),
        ("https://connect.example.com/auth/login", format!("https://connect.example.com/auth/login?next={encoded}")),
        ("https://connect.example.com/sign-in?x=1", format!("https://connect.example.com/sign-in?x=1&next={encoded}")),
        (
            "https://app.example.com/sign-in",
            format!("https://app.example.com/sign-in?next=https%3A//connect.example.com{encoded}"),
        ),
    ] {
        let identity = Identity::new(&environment("https://p.example.com", &[("LOGIN_URL", login)])).unwrap();
        assert_eq!(identity.login_url(back), expected);
    }
}

impl SessionStatus {
    fn person(self) -> Option<SignedIn> {
        self.signed_in().ok()
    }
}

const OAUTH_SERVER: &str = "/.well-known/oauth-authorization-server";

/// A loopback server that answers each path of Supabase's Auth with one answer, and counts.
struct Project {
    url: String,
    calls: Arc<std::sync::Mutex<Vec<&'static str>>>,
}

impl Project {
    async fn answering<const N: usize>(answers: [(&'static str, u16, String); N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                assert!(head.contains("apikey: sb_publishable_test"), "{head}");
                let path = head.split(' ').nth(1).unwrap();
                let found = answers.iter().find(|(known, ..)| path == format!("/auth/v1{known}"));
                let (known, status, body) = found.unwrap_or_else(|| panic!("nobody expected {path}"));
                counted.lock().unwrap().push(*known);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, calls }
    }

    fn identity(&self, settings: &[(&str, &str)]) -> Identity {
        let settings: Vec<_> = [("SUPABASE_ISSUER", ISSUER)].into_iter().chain(settings.iter().copied()).collect();
        Identity::new(&environment(&self.url, &settings)).unwrap()
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn calls_of(&self, path: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|known| **known == path).count()
    }
}

fn environment(url: &str, settings: &[(&str, &str)]) -> Environment {
    let base = [
        ("ISSUER", "https://connect.example.com"),
        ("SUPABASE_URL", url),
        ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_test"),
        ("SUPABASE_SHARED_SECRET", "yes"),
        ("LOGIN_URL", "https://connect.example.com/sign-in"),
    ];
    let all: HashMap<String, String> =
        base.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let aws = crate::aws::sdk_config(&crate::aws::http_connector::without_tls()).build();
    Environment::new(move |name| all.get(name).cloned(), &aws, Clock::new(|| NOW))
}

fn request(cookies: &str) -> Request {
    http::Request::get("/").header(COOKIE, cookies).body(Body::Empty).unwrap()
}

fn claims(changes: &[(&str, Value)]) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "sub": PERSON, "aud": "authenticated", "role": "authenticated",
        "exp": NOW.seconds() + 3600, "iat": NOW.seconds(), "email": "ana@example.com",
        "session_id": "5e1f2a7c-1d7e-4a52-8d55-0a9f7d9f1c33", "is_anonymous": false, "aal": "aal2",
        "amr": [{ "method": "password", "timestamp": NOW.seconds() }],
    });
    for (member, value) in changes {
        claims[*member] = value.clone();
    }
    claims
}

fn token(changes: &[(&str, Value)]) -> String {
    signed(&json!({ "alg": "ES256", "kid": KID, "typ": "JWT" }), &claims(changes))
}

/// Signed with the key of the fixtures, whatever `header` says.
fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = crypto::sign(message.as_bytes(), &signing_key(), Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
}

/// The private key of the fixtures as PKCS #8 (RFC 5958, RFC 5915).
fn signing_key() -> EncodingKey {
    let jwk = &fixtures()["test_private_jwk"];
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let mut der = vec![
        0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    der.extend(bytes("d"));
    der.extend([0xa1, 0x44, 0x03, 0x42, 0x00, 0x04]);
    der.extend(bytes("x"));
    der.extend(bytes("y"));
    EncodingKey::from_ec_der(&der)
}
