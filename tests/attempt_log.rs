//! An attempt to connect can be followed, and one that stops tells where and why that may be.

use std::collections::BTreeSet;

use ::attempt_log::AttemptLog;
use ::attempt_log::attempt::Verdict;
use ::attempt_log::table;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::oauth::connection_attempt::ConnectionAttempt;
use shared::oauth::grant::AuthorizationCode;
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::secret::Digest;
use test_system::connector::AuthorizationRequest;
use test_system::person::Form;
use test_system::saved_query::SavedQuery;
use test_system::{TestSystem, digest};

/// Each request leaves one line, and all of them one id.
#[tokio::test(flavor = "multi_thread")]
async fn connection_attempt_logs_its_steps_under_one_id() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let ask = connector.authorization_request("skills:read");

    let code = ana.code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    for _ in 0..2 {
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    }

    let steps = steps(&test_system, &ask);
    let events: Vec<_> = steps.iter().map(|step| step["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["sign_in_asked", "consent_shown", "grant_approved", "grant_activated", "grant_used"]);
    let person = test_system.person_id("ana@example.com");
    for step in &steps {
        assert_eq!(step["client"], connector.client_id);
        assert_eq!(step["at"], test_system.now());
        assert!(step["event"] == "sign_in_asked" || step["person"] == person.as_str(), "{step}");
    }
    for step in &steps[2..] {
        assert_eq!((&step["grant"], &step["tenant"]), (&steps[2]["grant"], &json!("acme")));
    }
    assert_eq!(steps[0]["host"], "claude.ai");
    assert_eq!(verdict(&test_system, &ask), Verdict::Connected);
}

/// A step is no clue to what it follows.
#[tokio::test(flavor = "multi_thread")]
async fn logged_steps_reveal_no_challenge_or_state() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let ask = connector.authorization_request("skills:read");
    ana.code(&ask, "acme").await;

    let all = format!("{:?}", steps(&test_system, &ask));

    for secret in [digest(&ask.verifier), ask.verifier.clone(), ask.state.clone()] {
        assert!(!all.contains(&secret), "{all}");
    }
    assert!(all.contains("grant_approved"), "{all}");
}

/// Whoever looks two minutes later sees where it stopped, and what may be behind it.
#[tokio::test(flavor = "multi_thread")]
async fn stalled_attempt_reports_where_and_why() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let asks: Vec<_> = (0..4).map(|_| connector.authorization_request("skills:read")).collect();
    test_system.get(&asks[0].url).await;
    ana.sign_in(&asks[1].url).await;
    ana.code(&asks[2], "acme").await;
    let code = ana.code(&asks[3], "acme").await;
    assert_eq!(connector.exchange(&asks[3], &code).await.status, 200);

    test_system.advance(119);
    for ask in &asks {
        assert_eq!(verdict(&test_system, ask), Verdict::Waiting);
        assert!(row(&test_system, ask).contains("waiting: "));
    }
    test_system.advance(1);

    for (ask, what, cause) in [
        (&asks[0], "the person was sent to sign in, did not come back within 2 minutes", "signing in fails"),
        (&asks[1], "the consent page was shown, nothing was decided within 2 minutes", "the person closed the page"),
        (&asks[2], "code issued, token endpoint never called within 2 minutes", "160.79.104.0/21"),
        (&asks[3], "tokens issued, MCP server never called with them within 2 minutes", "no trailing slash"),
    ] {
        assert_eq!(verdict(&test_system, ask), Verdict::Stopped);
        let row = row(&test_system, ask);
        assert!(row.contains(&format!("stopped: {what}\n")) && row.contains(cause), "{row}");
    }

    // Late is not never.
    ana.code(&asks[1], "acme").await;
    assert_eq!(verdict(&test_system, &asks[1]), Verdict::Waiting);
}

/// What is refused has stopped at once, with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn refused_attempt_reports_by_whom_and_why() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    ana.sign_in("/auth/login").await;

    for (changes, what, cause) in [
        (&[("client_id", Some("nobody"))][..], "left with an error page (unknown_client)", "registration has expired"),
        (&[("redirect_uri", Some("https://evil.example/"))], "left with an error page (address)", "did not register"),
        (&[("resource", Some("https://elsewhere.example/"))], "the client was refused (target)", "to the letter"),
        (&[("response_type", Some("token"))], "the client was refused (response_type)", "update the client"),
        (&[("code_challenge_method", None)], "the client was refused (challenge_method)", "PKCE with S256"),
        (&[("scope", Some("made\u{e9}up"))], "the client was refused (scope)", "no scope may have"),
    ] {
        let ask = connector.authorization_request_with(changes);
        ana.open(&ask.url).await;
        stopped(&test_system, &ask, what, cause);
    }

    let ask = connector.authorization_request("skills:read");
    let form = Form::find(&ana.open(&ask.url).await, "decision").unwrap();
    assert_eq!(ana.submit(&form.with("decision", "deny")).await.status, 303);
    stopped(&test_system, &ask, "the person said no", "by mistake");

    for (changes, what, cause) in [
        (&[("code_verifier", Some(&*test_system.random()))][..], "(verifier)", "mixed up"),
        (&[("code_verifier", Some("short"))], "(not_a_verifier)", "mixed up"),
        (&[("redirect_uri", Some("https://claude.com/"))], "(redirect_uri)", "update the client"),
        (&[("resource", Some("https://elsewhere.example/"))], "(target)", "to the letter"),
        (&[("client_id", Some("nobody"))], "(unknown_client)", "add it again"),
    ] {
        let ask = connector.authorization_request("skills:read");
        let code = ana.code(&ask, "acme").await;
        assert!(connector.exchange_with(&ask, &code, changes).await.status >= 400);
        stopped(&test_system, &ask, &format!("the token endpoint refused the code {what}"), cause);
    }

    let ask = connector.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;
    test_system.advance(61);
    assert_eq!(connector.exchange(&ask, &code).await.status, 400);
    stopped(&test_system, &ask, "(code_expired)", "more than a minute");
}

/// A second use of the code ends what the first led to: the attempt has not come about.
#[tokio::test(flavor = "multi_thread")]
async fn replayed_code_fails_the_attempt() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let ask = connector.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    assert_eq!(verdict(&test_system, &ask), Verdict::Waiting);

    assert_eq!(connector.exchange(&ask, &code).await.status, 400);
    stopped(&test_system, &ask, "the token endpoint refused the code (code_replayed)", "shown twice");

    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    stopped(&test_system, &ask, "the MCP server refused the token (not_in_use)", "ended before its first use");
}

/// RFC 8707: a token for another address of ours, and one whose grant an operator has ended.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_token_reports_why() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let system = test_system.system();
    for (reason, cause) in [("audience", "another address of this server"), ("not_in_use", "grant_ended")] {
        // Its grant is for the address of the tenant, and it is used at the address of all.
        let acme = test_system.mcp_url_of("acme");
        let resource = (reason == "audience").then_some(("resource", Some(acme.as_str())));
        let parameters: Vec<_> = [("scope", Some("skills:read"))].into_iter().chain(resource).collect();
        let ask = connector.authorization_request_with(&parameters);
        let code = ana.code(&ask, "acme").await;
        let id = AuthorizationCode::parse(&code).unwrap().grant;
        let tokens = connector.exchange_with(&ask, &code, &[("resource", None)]).await.tokens(&test_system);
        if reason == "not_in_use" {
            assert!(system.grants().revoke(&id, RevocationReason::Administrator, system.clock().now()).await.unwrap());
        }

        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);

        stopped(&test_system, &ask, &format!("the MCP server refused the token ({reason})"), cause);
    }
}

/// Two windows of one person, step by step beside each other.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_attempts_are_kept_apart() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let (first, second) =
        (connector.authorization_request("skills:read"), connector.authorization_request("skills:read"));
    ana.sign_in(&first.url).await;
    ana.sign_in(&second.url).await;
    let code = ana.code(&second, "globex").await;
    let tokens = connector.exchange(&second, &code).await.tokens(&test_system);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    // The first's page is still open, and a second approval of the same attempt changes nothing of it.
    ana.open(&second.url).await;
    test_system.advance(120);

    assert_eq!(verdict(&test_system, &second), Verdict::Connected);
    assert_eq!(verdict(&test_system, &first), Verdict::Stopped);
    assert!(steps(&test_system, &first).iter().all(|step| step["tenant"] != "globex" && step.get("grant").is_none()));
}

/// A link without a challenge has no flow, and is seen all the same; so is a code request that names no code of ours.
#[tokio::test(flavor = "multi_thread")]
async fn requests_without_an_attempt_id_are_reported() {
    let test_system = TestSystem::new().await;
    let mut log = AttemptLog::default();
    let nobody = format!("nobody-{}", &test_system.random()[..20]);
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    for _ in 0..2 {
        assert_eq!(ana.open(&format!("/oauth/authorize?client_id={nobody}")).await.status, 400);
    }
    let known = test_system.connector(&nobody).await.client_id;
    let exchange = async |code: &str, client: &str| {
        let verifier = test_system.random();
        let form = [("grant_type", "authorization_code"), ("code", code), ("client_id", client)];
        let form = [&form[..], &[("code_verifier", verifier.as_str())]].concat();
        test_system.post_form("/oauth/token", &form).await.status
    };
    assert_eq!(exchange(&format!("ac_{}", "A".repeat(64)), &nobody).await, 401);
    assert_eq!(exchange("made-up", &known).await, 400);

    let lines = test_system.audit_lines();
    for line in lines.iter().filter(|line| line["client"] == nobody.as_str() || line["client"] == known.as_str()) {
        log.read(line);
    }

    let told = table::render(
        log.newly_decided(Timestamp::from_seconds(test_system.now())),
        Timestamp::from_seconds(test_system.now()),
    );
    assert_eq!(told.matches("\n-  ").count(), 3, "{told}");
    for what in ["an error page (unknown_client)", "refused the code (not_a_code)", "refused the code (unknown_client)"]
    {
        assert!(told.contains(what), "{told}");
    }
    assert!(log.newly_decided(Timestamp::from_seconds(test_system.now())).is_empty(), "it is told once");
}

/// The newest are remembered, however many come.
#[test]
fn flow_log_is_bounded() {
    let mut log = AttemptLog::default();
    for flow in 0..AttemptLog::LIMIT + 5 {
        log.read(&json!({ "event": "sign_in_asked", "at": 0, "flow": flow.to_string() }));
    }

    assert_eq!(log.attempts().count(), AttemptLog::LIMIT);
    assert_eq!(log.attempts().next().unwrap().attempt_id(), Some("5"));
}

/// What a saved query names stands in the lines that are written, and what it looks for is written.
#[tokio::test(flavor = "multi_thread")]
async fn saved_queries_read_fields_that_are_logged() {
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let ask = connector.authorization_request("skills:read");
    let code = ana.code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    let refused = connector.authorization_request_with(&[("scope", Some("made\u{e9}up"))]);
    ana.open(&refused.url).await;
    let lines = [steps(&test_system, &ask), steps(&test_system, &refused)].concat();
    let fields: BTreeSet<_> = lines.iter().flat_map(|line| line.as_object().unwrap().keys().cloned()).collect();
    let values: BTreeSet<_> =
        lines.iter().flat_map(|line| line.as_object().unwrap().values()).filter_map(Value::as_str).collect();

    let queries = test_system.system().queries();

    for name in QUERIES {
        let query = &queries[name];
        let SavedQuery { fields: named, texts: wanted } = SavedQuery::parse(query);
        assert!(named.len() > 5, "{name}: {named:?}");
        for field in named {
            assert!(field == "@timestamp" || fields.contains(&field), "{name}: no line has {field}");
        }
        for value in wanted.iter().filter(|value| *value != "PUT THE FLOW HERE") {
            assert!(values.contains(value.as_str()), "{name}: no line says {value}");
        }
    }
}

/// docs/operating/failed-connections.md: the table is one that is printed.
#[tokio::test(flavor = "multi_thread")]
async fn documents_show_the_printed_table() {
    const PAGE: &str = include_str!("../docs/operating/failed-connections.md");
    let test_system = TestSystem::new().await;
    let (connector, ana) = (test_system.connector("Claude").await, test_system.person("ana@example.com"));
    let known = |letter: &str| {
        let (verifier, url) = (letter.repeat(43), connector.authorization_request("skills:read"));
        let challenge = digest(&verifier);
        AuthorizationRequest {
            verifier,
            ..connector.authorization_request_with(&[("code_challenge", Some(&challenge)), ("state", Some(&url.state))])
        }
    };
    let (good, bad) = (known("a"), known("b"));
    let code = ana.code(&good, "acme").await;
    let tokens = connector.exchange(&good, &code).await.tokens(&test_system);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    test_system.advance(45);
    ana.code(&bad, "acme").await;
    test_system.advance(120);

    let printed =
        table::render(log(&test_system, &[&good, &bad]).attempts(), Timestamp::from_seconds(test_system.now()));

    assert!(PAGE.contains(&printed), "the page lacks\n{printed}");
    for query in QUERIES {
        assert!(PAGE.contains(query), "the page does not name {query}");
    }
}

/// Those that are about attempts to connect. The others: tests/monitoring.rs.
const QUERIES: [&str; 2] = ["One connection step by step", "Stalled connections"];

fn flow(ask: &AuthorizationRequest) -> String {
    ConnectionAttempt::from_challenge(&CodeChallenge::from_digest(Digest::of(ask.verifier.as_bytes()))).attempt_id()
}

/// What the audit has of an attempt.
fn steps(test_system: &TestSystem, ask: &AuthorizationRequest) -> Vec<Value> {
    let flow = flow(ask);
    test_system.audit_lines().into_iter().filter(|line| line["flow"] == flow.as_str()).collect()
}

/// The attempt log of these attempts, with what names their grants and no attempt id.
fn log(test_system: &TestSystem, asks: &[&AuthorizationRequest]) -> AttemptLog {
    let flows: Vec<_> = asks.iter().map(|ask| flow(ask)).collect();
    let lines = test_system.audit_lines();
    let own = |line: &Value| flows.iter().any(|flow| line["flow"] == flow.as_str());
    let grants: BTreeSet<_> = lines.iter().filter(|line| own(line)).filter_map(|line| line["grant"].as_str()).collect();
    let mut log = AttemptLog::default();
    for line in &lines {
        if own(line) || line["grant"].as_str().is_some_and(|grant| grants.contains(grant)) {
            log.read(line);
        }
    }
    log
}

fn verdict(test_system: &TestSystem, ask: &AuthorizationRequest) -> Verdict {
    let log = log(test_system, &[ask]);
    let all: Vec<_> =
        log.attempts().map(|attempt| attempt.verdict(Timestamp::from_seconds(test_system.now()))).collect();
    assert_eq!(all.len(), 1);
    all[0]
}

fn row(test_system: &TestSystem, ask: &AuthorizationRequest) -> String {
    table::render(log(test_system, &[ask]).attempts(), Timestamp::from_seconds(test_system.now()))
}

fn stopped(test_system: &TestSystem, ask: &AuthorizationRequest, what: &str, cause: &str) {
    assert_eq!(verdict(test_system, ask), Verdict::Stopped, "{what}");
    let row = row(test_system, ask);
    assert!(row.contains("stopped: ") && row.contains(&format!("{what}\n")) && row.contains(cause), "{row}");
}
