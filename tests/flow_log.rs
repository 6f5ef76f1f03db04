//! An attempt to connect can be followed, and one that stops tells where and why that may be.

use std::collections::BTreeSet;

use ::attempt_log::AttemptLog;
use ::attempt_log::attempt::Verdict;
use ::attempt_log::table;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::oauth::connection_attempt::ConnectionAttempt;
use shared::oauth::grant::{AuthorizationCode, RevocationReason};
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::resource::Resource;
use shared::oauth::secret::Digest;
use shared::store::pending_scopes::PendingScopes;
use world::connector::Ask;
use world::person::Form;
use world::{World, digest};

/// Each request leaves one line, and all of them one id.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_leaves_its_steps_under_one_id() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let ask = connector.ask("skills:read");

    let code = ana.code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&world);
    for _ in 0..2 {
        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    }

    let steps = steps(&world, &ask);
    let events: Vec<_> = steps.iter().map(|step| step["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["sign_in_asked", "consent_shown", "grant_approved", "grant_activated", "grant_used"]);
    let person = world.person_id("ana@example.com");
    for step in &steps {
        assert_eq!(step["client"], connector.client_id);
        assert_eq!(step["at"], world.now());
        assert!(step["event"] == "sign_in_asked" || step["person"] == person.as_str(), "{step}");
    }
    for step in &steps[2..] {
        assert_eq!((&step["grant"], &step["tenant"]), (&steps[2]["grant"], &json!("acme")));
    }
    assert_eq!(steps[0]["host"], "claude.ai");
    assert_eq!(verdict(&world, &ask), Verdict::Connected);
}

/// A step is no clue to what it follows.
#[tokio::test(flavor = "multi_thread")]
async fn no_step_tells_a_challenge_or_a_state() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let ask = connector.ask("skills:read");
    ana.code(&ask, "acme").await;

    let all = format!("{:?}", steps(&world, &ask));

    for secret in [digest(&ask.verifier), ask.verifier.clone(), ask.state.clone()] {
        assert!(!all.contains(&secret), "{all}");
    }
    assert!(all.contains("grant_approved"), "{all}");
}

/// Whoever looks two minutes later sees where it stopped, and what may be behind it.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_stops_tells_where_and_why() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let asks: Vec<_> = (0..4).map(|_| connector.ask("skills:read")).collect();
    world.get(&asks[0].url).await;
    ana.signs_in(&asks[1].url).await;
    ana.code(&asks[2], "acme").await;
    let code = ana.code(&asks[3], "acme").await;
    assert_eq!(connector.exchange(&asks[3], &code).await.status, 200);

    world.advance(119);
    for ask in &asks {
        assert_eq!(verdict(&world, ask), Verdict::Waiting);
        assert!(row(&world, ask).contains("waiting: "));
    }
    world.advance(1);

    for (ask, what, cause) in [
        (&asks[0], "the person was sent to sign in, did not come back within 2 minutes", "signing in fails"),
        (&asks[1], "the consent page was shown, nothing was decided within 2 minutes", "the person closed the page"),
        (&asks[2], "code issued, token endpoint never called within 2 minutes", "160.79.104.0/21"),
        (&asks[3], "tokens issued, MCP server never called with them within 2 minutes", "no trailing slash"),
    ] {
        assert_eq!(verdict(&world, ask), Verdict::Stopped);
        let row = row(&world, ask);
        assert!(row.contains(&format!("stopped: {what}\n")) && row.contains(cause), "{row}");
    }

    // Late is not never.
    ana.code(&asks[1], "acme").await;
    assert_eq!(verdict(&world, &asks[1]), Verdict::Waiting);
}

/// What is refused has stopped at once, with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_refused_tells_by_whom_and_why() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    ana.signs_in("/auth/login").await;

    for (changes, what, cause) in [
        (&[("client_id", Some("nobody"))][..], "left with an error page (unknown_client)", "registration has expired"),
        (&[("redirect_uri", Some("https://evil.example/"))], "left with an error page (address)", "did not register"),
        (&[("resource", Some("https://elsewhere.example/"))], "the client was refused (target)", "to the letter"),
        (&[("response_type", Some("token"))], "the client was refused (response_type)", "update the client"),
        (&[("code_challenge_method", None)], "the client was refused (challenge_method)", "PKCE with S256"),
        (&[("scope", Some("made:up"))], "the client was refused (scope)", "scopes that are not offered"),
    ] {
        let ask = connector.ask_with(changes);
        ana.open(&ask.url).await;
        stopped(&world, &ask, what, cause);
    }

    let ask = connector.ask("skills:read");
    let form = Form::find(&ana.open(&ask.url).await, "decision").unwrap();
    assert_eq!(ana.submit(&form.with("decision", "deny")).await.status, 303);
    stopped(&world, &ask, "the person said no", "by mistake");

    for (changes, what, cause) in [
        (&[("code_verifier", Some(&*world.random()))][..], "(verifier)", "mixed up"),
        (&[("code_verifier", Some("short"))], "(not_a_verifier)", "mixed up"),
        (&[("redirect_uri", Some("https://claude.com/"))], "(redirect_uri)", "update the client"),
        (&[("resource", Some("https://elsewhere.example/"))], "(target)", "to the letter"),
        (&[("client_id", Some("nobody"))], "(unknown_client)", "add it again"),
    ] {
        let ask = connector.ask("skills:read");
        let code = ana.code(&ask, "acme").await;
        assert!(connector.exchange_with(&ask, &code, changes).await.status >= 400);
        stopped(&world, &ask, &format!("the token endpoint refused the code {what}"), cause);
    }

    let ask = connector.ask("skills:read");
    let code = ana.code(&ask, "acme").await;
    world.advance(61);
    assert_eq!(connector.exchange(&ask, &code).await.status, 400);
    stopped(&world, &ask, "(code_expired)", "more than a minute");
}

/// A second use of the code ends what the first led to: the attempt has not come about.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_shown_twice_stops_the_attempt() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let ask = connector.ask("skills:read");
    let code = ana.code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&world);
    assert_eq!(verdict(&world, &ask), Verdict::Waiting);

    assert_eq!(connector.exchange(&ask, &code).await.status, 400);
    stopped(&world, &ask, "the token endpoint refused the code (code_replayed)", "shown twice");

    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);
    stopped(&world, &ask, "the MCP server refused the token (not_in_use)", "ended before its first use");
}

/// RFC 8707: a token for another address of ours, and one whose grant an operator has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_count_tells_why() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let system = world.system();
    for (reason, cause) in [("audience", "another address of this server"), ("not_in_use", "grant_ended")] {
        let ask = connector.ask("skills:read");
        let code = ana.code(&ask, "acme").await;
        let id = AuthorizationCode::parse(&code).unwrap().grant;
        let mut grant = system.grants().find(&id).await.unwrap().unwrap();
        if reason == "audience" {
            // As if it had been asked for there.
            grant.approval.resource = Resource::from_stored(&world.mcp_url_of("acme")).unwrap();
            let client = system.clients().find(&grant.approval.client, grant.approval.at).await.unwrap().unwrap();
            let now = system.clock().now();
            system.grants().put(&grant, system.clients(), &client, &PendingScopes::default(), now).await.unwrap();
        }
        let tokens = connector.exchange_with(&ask, &code, &[("resource", None)]).await.tokens(&world);
        if reason == "not_in_use" {
            assert!(system.grants().revoke(&id, RevocationReason::Administrator, system.clock().now()).await.unwrap());
        }

        assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 401);

        stopped(&world, &ask, &format!("the MCP server refused the token ({reason})"), cause);
    }
}

/// Two windows of one person, step by step beside each other.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_at_once_do_not_mix() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let (first, second) = (connector.ask("skills:read"), connector.ask("skills:read"));
    ana.signs_in(&first.url).await;
    ana.signs_in(&second.url).await;
    let code = ana.code(&second, "globex").await;
    let tokens = connector.exchange(&second, &code).await.tokens(&world);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    // The first's page is still open, and a second approval of the same attempt changes nothing of it.
    ana.open(&second.url).await;
    world.advance(120);

    assert_eq!(verdict(&world, &second), Verdict::Connected);
    assert_eq!(verdict(&world, &first), Verdict::Stopped);
    assert!(steps(&world, &first).iter().all(|step| step["tenant"] != "globex" && step.get("grant").is_none()));
}

/// A link without a challenge has no flow, and is seen all the same; so is a code request that names no code of ours.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_id_is_told_too() {
    let world = World::new().await;
    let mut log = AttemptLog::default();
    let nobody = format!("nobody-{}", &world.random()[..20]);
    for _ in 0..2 {
        assert_eq!(world.get(&format!("/oauth/authorize?client_id={nobody}")).await.status, 400);
    }
    let known = world.connector(&nobody).await.client_id;
    let code = |client| [("grant_type", "authorization_code"), ("code", "made-up"), ("client_id", client)];
    assert_eq!(world.post_form("/oauth/token", &code(&nobody)).await.status, 401);
    assert_eq!(world.post_form("/oauth/token", &code(&known)).await.status, 400);

    let lines = world.audit_lines();
    for line in lines.iter().filter(|line| line["client"] == nobody.as_str() || line["client"] == known.as_str()) {
        log.read(line);
    }

    let told =
        table::render(log.newly_decided(Timestamp::from_seconds(world.now())), Timestamp::from_seconds(world.now()));
    assert_eq!(told.matches("\n-  ").count(), 3, "{told}");
    for what in ["an error page (unknown_client)", "refused the code (not_a_code)", "refused the code (unknown_client)"]
    {
        assert!(told.contains(what), "{told}");
    }
    assert!(log.newly_decided(Timestamp::from_seconds(world.now())).is_empty(), "it is told once");
}

/// The newest are remembered, however many come.
#[test]
fn the_log_is_bounded() {
    let mut log = AttemptLog::default();
    for flow in 0..AttemptLog::LIMIT + 5 {
        log.read(&json!({ "event": "sign_in_asked", "at": 0, "flow": flow.to_string() }));
    }

    assert_eq!(log.attempts().count(), AttemptLog::LIMIT);
    assert_eq!(log.attempts().next().unwrap().attempt_id(), Some("5"));
}

/// What a saved query names stands in the lines that are written, and what it looks for is written.
#[tokio::test(flavor = "multi_thread")]
async fn the_saved_queries_ask_for_what_is_there() {
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let ask = connector.ask("skills:read");
    let code = ana.code(&ask, "acme").await;
    let tokens = connector.exchange(&ask, &code).await.tokens(&world);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    let refused = connector.ask_with(&[("scope", Some("made:up"))]);
    ana.open(&refused.url).await;
    let lines = [steps(&world, &ask), steps(&world, &refused)].concat();
    let fields: BTreeSet<_> = lines.iter().flat_map(|line| line.as_object().unwrap().keys().cloned()).collect();
    let values: BTreeSet<_> =
        lines.iter().flat_map(|line| line.as_object().unwrap().values()).filter_map(Value::as_str).collect();

    let queries = world.system().queries();

    for name in QUERIES {
        let query = &queries[name];
        let (named, wanted) = read_query(query);
        assert!(named.len() > 5, "{name}: {named:?}");
        for field in named {
            assert!(field == "@timestamp" || fields.contains(&field), "{name}: no line has {field}");
        }
        for value in wanted.iter().filter(|value| *value != "PUT THE FLOW HERE") {
            assert!(values.contains(value.as_str()), "{name}: no line says {value}");
        }
    }
}

/// README, "When a connection does not come about": the table is one that is printed.
#[tokio::test(flavor = "multi_thread")]
async fn the_readme_shows_a_table_that_is_printed() {
    const README: &str = include_str!("../README.md");
    let world = World::new().await;
    let (connector, ana) = (world.connector("Claude").await, world.person("ana@example.com"));
    let known = |letter: &str| {
        let (verifier, url) = (letter.repeat(43), connector.ask("skills:read"));
        let challenge = digest(&verifier);
        Ask { verifier, ..connector.ask_with(&[("code_challenge", Some(&challenge)), ("state", Some(&url.state))]) }
    };
    let (good, bad) = (known("a"), known("b"));
    let code = ana.code(&good, "acme").await;
    let tokens = connector.exchange(&good, &code).await.tokens(&world);
    assert_eq!(connector.call(&tokens.access, "tools/list", json!({})).await.status, 200);
    world.advance(45);
    ana.code(&bad, "acme").await;
    world.advance(120);

    let printed = table::render(log(&world, &[&good, &bad]).attempts(), Timestamp::from_seconds(world.now()));

    assert!(README.contains(&printed), "the README lacks\n{printed}");
    for query in QUERIES {
        assert!(README.contains(query), "the README does not name {query}");
    }
}

/// Those that are about attempts to connect. The others: tests/operation.rs.
const QUERIES: [&str; 2] = ["One connection step by step", "Stalled connections"];

fn flow(ask: &Ask) -> String {
    ConnectionAttempt::from_challenge(&CodeChallenge::from_digest(Digest::of(ask.verifier.as_bytes()))).attempt_id()
}

/// What the audit has of an attempt.
fn steps(world: &World, ask: &Ask) -> Vec<Value> {
    let flow = flow(ask);
    world.audit_lines().into_iter().filter(|line| line["flow"] == flow.as_str()).collect()
}

/// The attempt log of these attempts, with what names their grants and no attempt id.
fn log(world: &World, asks: &[&Ask]) -> AttemptLog {
    let flows: Vec<_> = asks.iter().map(|ask| flow(ask)).collect();
    let lines = world.audit_lines();
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

fn verdict(world: &World, ask: &Ask) -> Verdict {
    let log = log(world, &[ask]);
    let all: Vec<_> = log.attempts().map(|attempt| attempt.verdict(Timestamp::from_seconds(world.now()))).collect();
    assert_eq!(all.len(), 1);
    all[0]
}

fn row(world: &World, ask: &Ask) -> String {
    table::render(log(world, &[ask]).attempts(), Timestamp::from_seconds(world.now()))
}

fn stopped(world: &World, ask: &Ask, what: &str, cause: &str) {
    assert_eq!(verdict(world, ask), Verdict::Stopped, "{what}");
    let row = row(world, ask);
    assert!(row.contains("stopped: ") && row.contains(&format!("{what}\n")) && row.contains(cause), "{row}");
}

/// The fields that a query of Logs Insights reads, and the texts that it compares with. What it calls something itself is neither.
fn read_query(query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    const WORDS: [&str; 22] = [
        "filter",
        "fields",
        "stats",
        "sort",
        "limit",
        "display",
        "and",
        "or",
        "not",
        "as",
        "by",
        "asc",
        "desc",
        "like",
        "ispresent",
        "strcontains",
        "latest",
        "earliest",
        "max",
        "min",
        "now",
        "count",
    ];
    let (outside, inside): (Vec<_>, Vec<_>) = query.split('\'').enumerate().partition(|(at, _)| at % 2 == 0);
    let outside: Vec<_> = outside.into_iter().map(|(_, text)| text).collect();
    let text = outside.join(" ");
    let words: Vec<_> = text
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || "@_.".contains(letter)))
        .filter(|word| !word.is_empty() && !word.chars().all(|letter| letter.is_ascii_digit()))
        .collect();
    let own: BTreeSet<_> = words.windows(2).filter(|pair| pair[0] == "as").map(|pair| pair[1]).collect();
    let fields = words.into_iter().filter(|word| !WORDS.contains(word) && !own.contains(word));
    (fields.map(str::to_owned).collect(), inside.into_iter().map(|(_, text)| text.to_owned()).collect())
}
