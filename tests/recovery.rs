//! Errors that make clients recover: which of them each reason for a refusal is told as. `invalid_client` makes Claude register
//! again, `invalid_grant` makes it ask the person again, and taking one for the other leaves it stuck.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use local::interceptor::{Call, Decision, InjectedError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use test_system::TestSystem;
use test_system::connector::{AuthorizationRequest, UNKNOWN_REFRESH_TOKEN};
use test_system::http_response::HttpResponse;

use crate::script::at;

/// What a client does next, and by which status and code it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientRecovery {
    /// 401 `invalid_client`, and nothing else is.
    RegisterAgain,
    /// 400 `invalid_grant`: connect again, as the same client.
    AuthorizeAgain,
    /// 400, or 413, and neither of the two: the request itself is wrong.
    FixRequest(&'static str),
    /// 503 with `Retry-After`.
    RetryLater,
    /// 429 with `Retry-After`.
    RetrySlower,
}

use ClientRecovery::{AuthorizeAgain, FixRequest, RegisterAgain, RetryLater, RetrySlower};

/// Refusals by the name of their reason in an endpoint's `error.rs`.
#[derive(Default)]
struct ErrorCases(Vec<(&'static str, HttpResponse, ClientRecovery)>);

impl ErrorCases {
    fn add(&mut self, reason: &'static str, answer: HttpResponse, next: ClientRecovery) {
        self.0.push((reason, answer, next));
    }

    /// Holds each to what it should be, and demands every variant of `error` in `source` but those that are tested in `elsewhere`.
    fn check_against(self, source: &str, error: &str, elsewhere: &[&str]) {
        for (reason, answer, next) in &self.0 {
            let code = answer.json()["error"].as_str().unwrap().to_owned();
            let expected = match next {
                RegisterAgain => (401, "invalid_client"),
                AuthorizeAgain => (400, "invalid_grant"),
                FixRequest("too large") => (413, "invalid_request"),
                FixRequest(code) => (400, *code),
                RetryLater => (503, "temporarily_unavailable"),
                RetrySlower => (429, "temporarily_unavailable"),
            };
            assert_eq!((answer.status, code.as_str()), expected, "{reason}: {answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{reason}");
            assert_eq!(answer.header("retry-after").is_some(), matches!(next, RetryLater | RetrySlower), "{reason}");
            assert_eq!(answer.header("location"), None, "{reason}");
        }
        let source = std::fs::read_to_string(at(source)).unwrap();
        let (_, reasons) = source.split_once(&format!("enum {error} {{")).unwrap();
        let (reasons, _) = reasons.split_once("\n}").unwrap();
        let reasons: BTreeSet<_> = reasons
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with(char::is_uppercase))
            .map(|line| line.split(['(', ',', ' ']).next().unwrap())
            .collect();
        let seen = self.0.iter().map(|(reason, ..)| *reason).chain(elsewhere.iter().copied()).collect();
        assert_eq!(reasons, seen);
    }
}

/// A wire on which every read fails while the flag is up.
fn switchable_fault() -> (Arc<AtomicBool>, impl Fn(Call) -> std::future::Ready<Decision> + Send + Sync + 'static) {
    let broken = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&broken);
    let interceptor = move |call: Call| {
        let fails = flag.load(Ordering::SeqCst) && call.operation == "BatchGetItem";
        std::future::ready(if fails { Decision::FailBefore(InjectedError::DENIED) } else { Decision::Pass })
    };
    (broken, interceptor)
}

/// OAuth 2.1 §3.2.4.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of all reasons")]
async fn each_token_error_tells_the_client_how_to_recover() {
    let (broken, interceptor) = switchable_fault();
    let test_system = TestSystem::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    let mut refused = ErrorCases::default();
    let (client, other) = (test_system.connector("Claude").await, test_system.connector("Other").await);
    let confidential = test_system.confidential_client("acme-cowork", "the secret of acme-cowork").await;
    let ana = test_system.person("ana@example.com");
    let ask = client.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;
    let exchange = async |changes: &[(&str, Option<&str>)]| client.exchange_with(&ask, &code, changes).await;
    let secret = async |secret: Option<&str>| {
        let ask = AuthorizationRequest { url: String::new(), verifier: "v".repeat(43), state: String::new() };
        confidential.exchange_with(&ask, &code, &[("client_secret", secret)]).await
    };

    // The request.
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", client.client_id.as_str())];
    let twice = [&form[..], &form[..1]].concat();
    refused.add("MalformedRequest", test_system.post_form("/oauth/token", &twice).await, FixRequest("invalid_request"));
    let as_json = test_system.post_bytes("/oauth/token", "application/json", b"{}").await;
    refused.add("MalformedRequest", as_json, FixRequest("invalid_request"));
    let not_utf8 = test_system.post_bytes("/oauth/token", "application/x-www-form-urlencoded", b"grant_type=%ff").await;
    refused.add("MalformedRequest", not_utf8, FixRequest("invalid_request"));
    let large = test_system.post_form("/oauth/token", &[("grant_type", "x".repeat(100_000).as_str())]).await;
    refused.add("MalformedRequest", large, FixRequest("too large"));
    for name in ["grant_type", "code", "code_verifier"] {
        refused.add("MissingParameter", exchange(&[(name, None)]).await, FixRequest("invalid_request"));
        refused.add("MissingParameter", exchange(&[(name, Some(""))]).await, FixRequest("invalid_request"));
    }
    refused.add(
        "MissingParameter",
        test_system.post_form("/oauth/token", &[form[0], form[2]]).await,
        FixRequest("invalid_request"),
    );
    for kind in ["password", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", "Refresh_Token"] {
        refused.add(
            "UnsupportedGrantType",
            exchange(&[("grant_type", Some(kind))]).await,
            FixRequest("unsupported_grant_type"),
        );
    }
    refused.add(
        "MalformedCodeVerifier",
        exchange(&[("code_verifier", Some("short"))]).await,
        FixRequest("invalid_request"),
    );

    // Who asks.
    refused.add("ClientCredentials", exchange(&[("client_id", None)]).await, FixRequest("invalid_request"));
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let with_header =
        async |value: &str| test_system.post_form_with("/oauth/token", &form, &[("authorization", value)]).await;
    refused.add("ClientCredentials", with_header(&basic("another:x")).await, FixRequest("invalid_request"));
    refused.add("ClientCredentials", with_header("Basic nonsense").await, RegisterAgain);
    refused.add("ClientCredentials", with_header("Bearer x").await, RegisterAgain);
    for unknown in ["c_unknown", "nobody", "https://nobody.example/client.json"] {
        refused.add("UnknownClient", exchange(&[("client_id", Some(unknown))]).await, RegisterAgain);
        let form = [("grant_type", "refresh_token"), ("refresh_token", UNKNOWN_REFRESH_TOKEN), ("client_id", unknown)];
        refused.add("UnknownClient", test_system.post_form("/oauth/token", &form).await, RegisterAgain);
        // What no server has issued asks nobody whether the client is known.
        let nonsense = [("client_id", Some(unknown)), ("code", Some("nonsense"))];
        refused.add("MalformedCode", exchange(&nonsense).await, AuthorizeAgain);
        let form = [("grant_type", "refresh_token"), ("refresh_token", "nonsense"), ("client_id", unknown)];
        let answer = test_system.post_form("/oauth/token", &form).await;
        refused.add("MalformedRefreshToken", answer, AuthorizeAgain);
    }
    refused.add("ClientAuthentication", exchange(&[("client_secret", Some("made up"))]).await, RegisterAgain);
    refused.add("ClientAuthentication", secret(None).await, RegisterAgain);
    refused.add("ClientAuthentication", secret(Some("wrong")).await, RegisterAgain);

    // The code.
    for nonsense in ["ac_x", "nonsense", "rt_x"] {
        refused.add("MalformedCode", exchange(&[("code", Some(nonsense))]).await, AuthorizeAgain);
    }
    let nobodys = format!("ac_{}", "A".repeat(code.len() - 3));
    refused.add("UnknownCode", exchange(&[("code", Some(&nobodys))]).await, AuthorizeAgain);
    let forged = format!("{}{}", &code[..25], "A".repeat(code.len() - 25));
    let wrong = "w".repeat(43);
    for (name, value) in [
        ("code", forged.as_str()),
        ("code_verifier", &wrong),
        ("redirect_uri", "https://claude.ai/elsewhere"),
        ("client_id", &other.client_id),
    ] {
        refused.add("Code", exchange(&[(name, Some(value))]).await, AuthorizeAgain);
    }
    let elsewhere = Some("https://elsewhere.example/mcp");
    refused.add("InvalidTarget", exchange(&[("resource", elsewhere)]).await, FixRequest("invalid_target"));
    broken.store(true, Ordering::SeqCst);
    refused.add("Upstream", exchange(&[]).await, RetryLater);
    broken.store(false, Ordering::SeqCst);
    // Nothing of all that has spent it.
    let tokens = exchange(&[]).await.tokens(&test_system);
    refused.add("Code", exchange(&[]).await, AuthorizeAgain);
    refused.add("GrantRevoked", client.refresh(&tokens.refresh.unwrap()).await, AuthorizeAgain);
    let late = client.authorization_request("skills:read");
    let code = ana.code(&late, "acme").await;
    test_system.advance(61);
    refused.add("Code", client.exchange(&late, &code).await, AuthorizeAgain);

    // The refresh token.
    let approved = async || {
        let (ask, code) = client.approve_directly("skills:read offline_access", "ana@example.com", "acme").await;
        client.exchange(&ask, &code).await.tokens(&test_system).refresh.unwrap()
    };
    let token = approved().await;
    for nonsense in ["rt_x", "nonsense", "ac_x"] {
        refused.add("MalformedRefreshToken", client.refresh(nonsense).await, AuthorizeAgain);
    }
    let nobodys = format!("rt_{}", "A".repeat(token.len() - 3));
    refused.add("UnknownGrant", client.refresh(&nobodys).await, AuthorizeAgain);
    refused.add("ClientMismatch", other.refresh(&token).await, AuthorizeAgain);
    let stranger = format!("{}{}", &token[..25], "A".repeat(token.len() - 25));
    refused.add("RefreshToken", client.refresh(&stranger).await, AuthorizeAgain);
    for scope in ["entities:write", "skills:read\u{e9}"] {
        refused.add(
            "InvalidScope",
            client.refresh_with(&token, &[("scope", scope)]).await,
            FixRequest("invalid_scope"),
        );
    }
    let elsewhere = [("resource", "https://elsewhere.example/mcp")];
    refused.add("InvalidTarget", client.refresh_with(&token, &elsewhere).await, FixRequest("invalid_target"));
    broken.store(true, Ordering::SeqCst);
    refused.add("Upstream", client.refresh(&token).await, RetryLater);
    broken.store(false, Ordering::SeqCst);
    let second = client.refresh(&token).await.tokens(&test_system).refresh.unwrap();
    for _ in 0..64 {
        assert_eq!(client.refresh(&token).await.status, 200);
    }
    refused.add("TooManyRetries", client.refresh(&token).await, RetrySlower);
    let third = client.refresh(&second).await.tokens(&test_system).refresh.unwrap();
    refused.add("RefreshToken", client.refresh(&token).await, AuthorizeAgain);
    refused.add("GrantRevoked", client.refresh(&third).await, AuthorizeAgain);
    let revoked = approved().await;
    assert_eq!(client.revoke(&revoked).await.status, 200);
    refused.add("GrantRevoked", client.refresh(&revoked).await, AuthorizeAgain);
    let idle = approved().await;
    test_system.advance(30 * 24 * 3600);
    refused.add("RefreshToken", client.refresh(&idle).await, AuthorizeAgain);
    let left = approved().await;
    test_system.remove_member("acme", "ana@example.com").await;
    refused.add("GrantOver", client.refresh(&left).await, AuthorizeAgain);
    // The other client was never used, and its time is over.
    refused.add("UnknownClient", other.refresh(UNKNOWN_REFRESH_TOKEN).await, RegisterAgain);

    // Two at the same moment: tests/interleavings.rs.
    // Nor what comes of keys: tests/private_key_jwt.rs. In a circle: tests/refresh.rs.
    let elsewhere = [
        "TooManySignatures",
        "ConcurrentCodeUse",
        "ConcurrentRotations",
        "ClientKeysNotFetched",
        "ClientKeysUnavailable",
        "AssertionReplayed",
        "WeakerAuthentication",
    ];
    refused.check_against("functions/token/src/error.rs", "TokenError", &elsewhere);
}

/// RFC 7009 §2.2.1. A token that is unknown or no longer good is no error there, so nothing is told as `invalid_grant`.
#[tokio::test(flavor = "multi_thread")]
async fn each_revocation_error_tells_the_client_how_to_recover() {
    let (broken, interceptor) = switchable_fault();
    let test_system = TestSystem::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    let mut refused = ErrorCases::default();
    let client = test_system.connector("Claude").await;
    let confidential = test_system.confidential_client("acme-cowork", "the secret of acme-cowork").await;
    let (id, key) = (client.client_id.as_str(), test_system.api_key());
    let revoke = async |form: &[(&str, &str)]| test_system.post_form("/oauth/revoke", form).await;

    let twice = [("token", "x"), ("token", "y"), ("client_id", id)];
    refused.add("MalformedRequest", revoke(&twice).await, FixRequest("invalid_request"));
    refused.add("ClientCredentials", revoke(&[("token", "x")]).await, FixRequest("invalid_request"));
    refused.add("MissingToken", revoke(&[("client_id", id)]).await, FixRequest("invalid_request"));
    refused.add("ApiKey", revoke(&[("token", &key), ("client_id", id)]).await, FixRequest("unsupported_token_type"));
    for unknown in ["c_unknown", "nobody", "https://nobody.example/client.json"] {
        let form = [("token", UNKNOWN_REFRESH_TOKEN), ("client_id", unknown)];
        refused.add("UnknownClient", revoke(&form).await, RegisterAgain);
        let form = [("token", "x"), ("client_id", unknown), ("client_secret", "made up")];
        refused.add("UnknownClient", revoke(&form).await, RegisterAgain);
    }
    for (token, secret) in [(UNKNOWN_REFRESH_TOKEN, ""), (UNKNOWN_REFRESH_TOKEN, "wrong"), ("x", "wrong")] {
        let form = [("token", token), ("client_id", confidential.client_id.as_str()), ("client_secret", secret)];
        refused.add("ClientAuthentication", revoke(&form).await, RegisterAgain);
    }
    broken.store(true, Ordering::SeqCst);
    let form = [("token", UNKNOWN_REFRESH_TOKEN), ("client_id", id)];
    refused.add("Upstream", revoke(&form).await, RetryLater);

    // Keys: tests/private_key_jwt.rs.
    let elsewhere = ["ClientKeysUnavailable", "WeakerAuthentication"];
    refused.check_against("functions/revoke/src/error.rs", "RevokeError", &elsewhere);
}

/// A client that the server no longer knows registers again and goes on, by itself.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_client_recovers_by_registering_again() {
    let test_system = TestSystem::new().await;
    let client = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    test_system.advance(31 * 24 * 3600);
    assert_eq!(client.refresh(UNKNOWN_REFRESH_TOKEN).await.json()["error"], "invalid_client");

    let again = test_system.connector("Claude").await;

    assert_eq!(again.client_id, client.client_id);
    let ask = client.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;
    assert_eq!(client.exchange(&ask, &code).await.status, 200);
}

/// A browser that brings a client nobody knows gets a page that says what to do; fastmcp, which looks first, gets its 400.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_client_at_authorize_gets_a_page_that_says_what_to_do() {
    let test_system = TestSystem::new().await;
    let client = test_system.connector("Claude").await;
    let ana = test_system.person("ana@example.com");
    test_system.advance(31 * 24 * 3600);

    for signed_in in [false, true] {
        if signed_in {
            ana.sign_in("/auth/login").await;
        }
        for id in [client.client_id.as_str(), "c_unknown", "nobody"] {
            let page = ana.open(&client.authorization_request_with(&[("client_id", Some(id))]).url).await;

            assert_eq!((page.status, page.header("location")), (400, None), "{id}");
            for told in ["This application is not known here", "remove the connector and add it again"] {
                assert!(page.body.contains(told), "{id}: {page:?}");
            }
        }
    }
}
