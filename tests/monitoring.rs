//! Monitoring: requests that succeed and fail, and then every metric, alarm and saved query held against the lines that they left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use local::interceptor::{Call, Decision, InjectedError, Service};
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::connector::{Connector, Tokens};
use test_system::person::Form;
use test_system::saved_query::SavedQuery;

/// What becomes of calls to AWS: all pass, or those to KMS or to the tables fail.
#[derive(Clone, Default)]
struct FaultInjector(Arc<AtomicUsize>);

const NO_OUTAGE: usize = 0;
const NO_KMS: usize = 1;
const NO_TABLES: usize = 2;

impl FaultInjector {
    fn set(&self, outage: usize) {
        self.0.store(outage, Ordering::SeqCst);
    }
}

/// Everything that can be counted happens once at least: connections that come about, stall, are refused, replayed and revoked; keys;
/// tools; and AWS failing.
struct RecordedTraffic {
    test_system: TestSystem,
    connector: String,
    grant: String,
    key: String,
    started: i64,
}

impl RecordedTraffic {
    async fn record() -> Self {
        let outage = FaultInjector::default();
        let now = outage.clone();
        let test_system = TestSystem::with(|options| {
            options.interceptor = Some(Arc::new(move |call: Call| {
                let fails = match now.0.load(Ordering::SeqCst) {
                    NO_KMS => call.service == Service::Kms,
                    NO_TABLES => call.service == Service::DynamoDb,
                    _ => false,
                };
                async move { if fails { Decision::FailBefore(InjectedError::INTERNAL) } else { Decision::Pass } }
            }));
        })
        .await;
        let started = test_system.now();

        let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read entities:write").await;
        works(&connector, &tokens).await;
        let turned = connector.refresh(tokens.refresh.as_deref().unwrap()).await.tokens(&test_system);
        outage.set(NO_KMS);
        assert_eq!(connector.refresh(turned.refresh.as_deref().unwrap()).await.status, 503);
        outage.set(NO_TABLES);
        assert_eq!(connector.call(&turned.access, "tools/list", json!({})).await.status, 503);
        outage.set(NO_OUTAGE);
        let grant = test_system::claims(&turned.access).1["grant"].as_str().unwrap().to_owned();
        let id = connector.client_id.clone();
        assert_eq!(connector.revoke(&turned.access).await.status, 200);
        assert_eq!(connector.call(&turned.access, "tools/list", json!({})).await.status, 401);

        // Stolen and used by two.
        let (other, tokens) = test_system.connect("ana@example.com", "globex", "skills:read").await;
        let first = tokens.refresh.unwrap();
        let second = other.refresh(&first).await.tokens(&test_system).refresh.unwrap();
        assert_eq!(other.refresh(&second).await.status, 200);
        test_system.advance(61);
        assert_eq!(other.refresh(&first).await.status, 400);

        // Its answers come too late, twice.
        let (slow, tokens) = test_system.connect("ana@example.com", "globex", "skills:read").await;
        let first = tokens.refresh.unwrap();
        for _ in 0..3 {
            assert_eq!(slow.refresh(&first).await.status, 200);
            test_system.advance(61);
        }

        // Out of order at once, which changes nothing; then with numbers that begin anew.
        for (number, is) in [(2, Some("member")), (1, Some("viewer"))] {
            assert_eq!(
                test_system.deliver_change("ben@example.com", "acme", Some("member"), is, number).await.status,
                204
            );
        }
        test_system.advance(2 * 3600 + 1);
        assert_eq!(test_system.deliver_change("ben@example.com", "acme", Some("member"), None, 1).await.status, 204);

        // Approved, and never heard of again.
        let ask = connector.authorization_request("skills:read");
        let ana = test_system.person("ana@example.com");
        ana.code(&ask, "acme").await;
        // Refused.
        let ask = connector.authorization_request_with(&[("scope", Some("made\u{e9}up"))]);
        ana.open(&ask.url).await;
        assert_eq!(ana.open("/oauth/authorize?client_id=nobody").await.status, 400);

        // A mail was requested, and none is sent.
        test_system.supabase().configure(|config| config.mail_server_down = true);
        let ben = test_system.person("ben@example.com");
        let form = Form::find(&ben.open("/auth/login").await, "password").unwrap().with("email", &ben.email);
        ben.submit(&Form { action: "/auth/login/code".to_owned(), ..form }).await;

        // Tokens of a stranger, of which only the first is looked at.
        let stranger = crate::sign_in_tokens::session(&test_system, "ana@example.com", "ana-demo").await;
        let token = crate::sign_in_tokens::access_token(&stranger);
        let forged = crate::attacks::altered(&token, &json!({ "alg": "HS256", "kid": "another" }), &json!({}));
        let forged = json!({ "access_token": forged, "refresh_token": "x", "expires_at": 1 });
        let [eve, mallory] = [0, 1].map(|number| {
            let somebody = test_system.person("ana@example.com");
            let mut forged = forged.clone();
            forged["access_token"] = format!("{}{number}", forged["access_token"].as_str().unwrap()).into();
            somebody.set_cookie(crate::sign_in::SESSION_COOKIE, &crate::attacks::cookie(&forged));
            somebody
        });
        assert_eq!((eve.open("/admin").await.status, mallory.open("/admin").await.status), (303, 503));

        let (key, known) = test_system.create_api_key("ana@example.com", "acme", "skills:read", None).await;
        let list_views = json!({ "name": "list_views", "arguments": {} });
        assert_eq!(test_system.call(Some(&key), "tools/call", list_views).await.status, 403);
        let key = known.id.to_text();
        test_system.advance(180);
        let traffic = Self { connector: id, grant, key, started, test_system };
        traffic.test_system.system().audit_log().await;
        traffic
    }
}

async fn works(connector: &Connector<'_>, tokens: &Tokens) {
    for (tool, arguments) in [
        ("read_skill", json!({ "name": "house-style" })),
        ("read_skill", json!({ "name": "made-up" })),
        ("read_entity", json!({ "type": "invoice", "id": "made-up" })),
    ] {
        assert_eq!(connector.tool(&tokens.access, tool, arguments).await.status, 200);
    }
}

/// Every value of every metric that CloudWatch would draw from `lines`: namespace, name, dimensions; and how much it comes to. Held
/// to the specification of the format.
fn extracted_metrics(lines: &[Value]) -> BTreeMap<(String, String, BTreeMap<String, String>), f64> {
    let mut extracted_metrics = BTreeMap::new();
    for line in lines.iter().filter(|line| line.get("_aws").is_some()) {
        assert!(line["_aws"]["Timestamp"].is_u64());
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
        for directive in directives {
            let metrics = directive["Metrics"].as_array().expect("metrics");
            assert!((1..=100).contains(&metrics.len()), "{line}");
            for (set, metric) in directive["Dimensions"]
                .as_array()
                .expect("sets of dimensions")
                .iter()
                .flat_map(|set| metrics.iter().map(move |metric| (set.as_array().expect("a set"), metric)))
            {
                assert!(set.len() <= 30);
                let name = metric["Name"].as_str().expect("a name");
                assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().expect("a unit")), "{metric}");
                let value = line[name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {line}"));
                let dimensions = set.iter().map(|dimension| {
                    let dimension = dimension.as_str().expect("a dimension");
                    let value = line[dimension].as_str().unwrap_or_else(|| panic!("no {dimension} in {line}"));
                    assert!((1..=1024).contains(&value.len()) && value.is_ascii());
                    (dimension.to_owned(), value.to_owned())
                });
                let namespace = directive["Namespace"].as_str().expect("a namespace").to_owned();
                *extracted_metrics.entry((namespace, name.to_owned(), dimensions.collect())).or_default() += value;
            }
        }
    }
    extracted_metrics
}

/// One line for each request, its metrics among its members, and every metric comes to what happened.
#[tokio::test(flavor = "multi_thread")]
async fn each_metric_counts_what_happened() {
    let traffic = Box::pin(RecordedTraffic::record()).await;
    let lines = traffic.test_system.lines();

    let extracted_metrics = extracted_metrics(&lines);

    let requests: Vec<_> = lines.iter().filter(|line| line["target"] == "request").collect();
    let ids: BTreeSet<_> = requests.iter().map(|line| line["invocation"].to_string()).collect();
    assert_eq!(ids.len(), requests.len(), "one line for each");
    assert!(requests.iter().all(|line| line.get("_aws").is_some()));
    let value = |name: &str, dimensions: &[(&str, &str)]| {
        let stack = [("Stack", traffic.test_system.system().stack())];
        let all =
            stack.iter().chain(dimensions).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        extracted_metrics.get(&("AmbleConnect".to_owned(), name.to_owned(), all)).copied().unwrap_or_default()
    };
    for (name, dimensions, expected) in [
        ("Approvals", &[][..], 4.0),
        ("Connections", &[], 1.0),
        ("Replays", &[], 1.0),
        ("SignInMailFailed", &[], 1.0),
        ("LateRetriesRepeated", &[], 1.0),
        ("StaleChanges", &[], 1.0),
        ("Unasked", &[], 1.0),
        ("Refreshes", &[("Verdict", "replayed")], 1.0),
        ("Refreshes", &[("Verdict", "current")], 5.0),
        ("Refreshes", &[("Verdict", "lost_response")], 2.0),
        ("Refreshes", &[], 8.0),
        ("Refusals", &[("Reason", "scope")], 2.0),
        ("Refusals", &[("Reason", "unknown_client")], 1.0),
        ("Refusals", &[("Reason", "not_in_use")], 1.0),
        ("Refusals", &[], 4.0),
        ("Calls", &[("Outcome", "answered")], 1.0),
        ("Calls", &[("Outcome", "fault")], 1.0),
        ("Calls", &[("Outcome", "refused")], 2.0),
        ("Faults", &[("Service", "KMS")], 1.0),
        ("Faults", &[("Service", "DynamoDB")], 1.0),
        ("ColdStarts", &[("Function", "token")], 1.0),
    ] {
        assert!((value(name, dimensions) - expected).abs() < 0.1, "{name} {dimensions:?}: {}", value(name, dimensions));
    }
    for (name, function) in [("DynamoDB", "token"), ("KMS", "token"), ("Supabase", "authorize"), ("DynamoDB", "mcp")] {
        assert!(value(name, &[("Function", function)]) > 0.0, "{name} of {function}");
    }
}

/// What an alarm listens to is said: by a line of these traffic, by a filter of the template, or by AWS.
#[tokio::test(flavor = "multi_thread")]
async fn each_alarm_watches_a_metric_that_is_emitted() {
    /// AWS's own, as its documentation names them.
    const OF_AWS: [(&str, &str); 7] = [
        ("AWS/ApiGateway", "5xx"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Throttles"),
        ("AWS/Lambda", "ClaimedAccountConcurrency"),
        ("AWS/DynamoDB", "ReadThrottleEvents"),
        ("AWS/DynamoDB", "WriteThrottleEvents"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    ];
    let traffic = Box::pin(RecordedTraffic::record()).await;
    let stranded = TestSystem::with(|options| {
        traffic.test_system.system().stack().clone_into(&mut options.stack);
        options.parameters.insert("SupabaseUrl".to_owned(), "http://127.0.0.1:9".to_owned());
    })
    .await;
    stranded.get("/auth/login").await;
    let system = traffic.test_system.system();
    let extracted_metrics = extracted_metrics(&[traffic.test_system.lines(), stranded.lines()].concat());

    assert!(system.alarms().len() > 12);
    for (alarm, metrics) in system.alarms() {
        assert!(!metrics.is_empty(), "{alarm}");
        for metric in metrics {
            let of_aws = OF_AWS.contains(&(metric.namespace.as_str(), metric.name.as_str()));
            let by_line = extracted_metrics.contains_key(&(
                metric.namespace.clone(),
                metric.name.clone(),
                metric.dimensions.clone(),
            ));
            let by_filter = system.filtered_metrics().contains(metric);
            assert!(of_aws || by_line || by_filter, "{alarm} listens to {metric:?}, which nobody says");
        }
    }
}

/// A saved query that names a field nobody writes, or waits for a word that nobody says, finds nothing, and nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn saved_queries_name_fields_and_values_that_are_logged() {
    const SCHEMA: &str = include_str!("../functions/audit/schema.json");
    /// CloudWatch's own: when the line came in.
    const INGESTED: &str = "@timestamp";
    let traffic = Box::pin(RecordedTraffic::record()).await;
    let (log, lines) = (traffic.test_system.system().audit_log().await, traffic.test_system.lines());
    let schema: Value = serde_json::from_str(SCHEMA).expect("a schema");
    let shapes = schema["oneOf"].as_array().expect("a shape for each event").iter().chain([&schema]);
    let audited: BTreeSet<&str> =
        shapes.flat_map(|shape| shape["properties"].as_object().expect("members").keys()).map(String::as_str).collect();
    let requested: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line["target"] == "request")
        .flat_map(|line| line.as_object().expect("members").keys())
        .map(String::as_str)
        .collect();
    let events = schema["oneOf"].as_array().expect("a shape for each event").iter();
    let events = events.filter_map(|shape| shape["properties"]["event"]["const"].as_str());
    let values = log.iter().chain(&lines).flat_map(|line| line.as_object().expect("members").values());
    let said: BTreeSet<&str> = values.filter_map(Value::as_str).chain(events).collect();

    let queries = traffic.test_system.system().queries();

    assert_eq!(queries.len(), 10);
    for (name, query) in queries {
        let SavedQuery { fields, texts } = SavedQuery::parse(query);
        assert!(fields.len() > 1, "{name}: {fields:?}");
        // One reads lines of both kinds, one those of requests, and all others the audit.
        let (of_audit, of_requests) = match name.as_str() {
            "One request line by line" => (true, true),
            "Answers by function and status" => (false, true),
            _ => (true, false),
        };
        for field in &fields {
            let audited = of_audit && audited.contains(&**field);
            let requested = of_requests && requested.contains(&**field);
            assert!(field == INGESTED || audited || requested, "{name}: no line has {field}");
        }
        for text in texts.iter().filter(|text| !text.contains("PUT THE ")) {
            assert!(said.contains(&**text), "{name}: no line says {text}");
        }
        for text in texts.iter().filter(|text| text.contains(" PUT THE ")) {
            let about = text.replace("PUT THE CLIENT HERE", &traffic.connector);
            let about = about.replace("PUT THE GRANT HERE", &traffic.grant);
            let named = log.iter().any(|line| line["credential"].as_str().is_some_and(|of| of.contains(&about)));
            assert!(named, "{name}: no credential has {about}");
        }
    }
}

/// The audit log has every step of a connection, every refusal with its reason, and whom and what each was about.
#[tokio::test(flavor = "multi_thread")]
async fn audit_log_tells_what_an_operator_asks_for() {
    let traffic = Box::pin(RecordedTraffic::record()).await;
    let (test_system, ana) = (&traffic.test_system, traffic.test_system.person_id("ana@example.com"));
    let mut log = test_system.system().audit_log().await;
    log.sort_by(|one, other| one["timestamp"].as_str().cmp(&other["timestamp"].as_str()));
    let having = |name: &str, value: &str| -> Vec<&Value> { log.iter().filter(|line| line[name] == value).collect() };
    let event = |line: &Value| line["event"].as_str().expect("an event").to_owned();

    let person = having("person", ana.as_str());
    assert!(!person.is_empty() && person.iter().all(|line| line["ip"] == "127.0.0.1" && line["request"].is_string()));

    let by_credential = |line: &&Value| {
        line["credential"].as_str().is_some_and(|credential| credential.ends_with(&format!("of {}", traffic.connector)))
    };
    assert!(log.iter().filter(by_credential).any(|line| line["event"] == "tool_called"));
    assert!(having("client", &traffic.connector).iter().any(|line| line["event"] == "client_registered"));

    let grant = format!("grant {}", traffic.grant);
    let of_grant = |line: &&Value| {
        line["grant"] == traffic.grant.as_str()
            || line["credential"].as_str().is_some_and(|credential| credential.contains(&grant))
    };
    let grant: Vec<_> = log.iter().filter(of_grant).map(event).collect();
    assert_eq!((grant[0].as_str(), grant[grant.len() - 1].as_str()), ("grant_approved", "call_refused"), "{grant:?}");
    for step in ["grant_activated", "grant_used", "tool_called", "refresh_judged", "grant_ending", "grant_ended"] {
        assert!(grant.iter().any(|event| event == step), "{step} in {grant:?}");
    }

    // What a saved query filters by finds what it is for.
    let texts = |query: &str| SavedQuery::parse(&test_system.system().queries()[query]).texts;
    let revoked = texts("Who revoked what");
    let revoked = log.iter().filter(|line| line["event"].as_str().is_some_and(|event| revoked.contains(event)));
    let mut reasons: Vec<_> = revoked.map(|line| line["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["refresh_replayed", "revoked"]);

    let idle = having("event", "membership_followed");
    let outcomes = texts("Changes of memberships that do not count");
    let idle = idle.iter().filter(|line| line["outcome"].as_str().is_some_and(|outcome| outcomes.contains(outcome)));
    let told: Vec<_> = idle.map(|line| (&line["outcome"], &line["change"], line.get("role"))).collect();
    assert_eq!(told, [(&json!("superseded"), &json!(1), Some(&json!("viewer"))), (&json!("stale"), &json!(1), None)]);

    let mut refusals = BTreeMap::<_, usize>::new();
    let refused = texts("Refusals by reason");
    for name in &refused {
        for line in having("event", name) {
            *refusals.entry((name.as_str(), line["reason"].as_str())).or_default() += 1;
        }
    }
    assert_eq!(refusals.len(), 4, "{refusals:?}");
    assert_eq!(refusals.get(&("key_refused", Some("scope"))), Some(&1), "{refusals:?} {}", traffic.key);

    let flow = having("event", "grant_used")[0]["flow"].as_str().unwrap();
    let one: Vec<_> = having("flow", flow).into_iter().map(event).collect();
    assert_eq!(
        one,
        ["sign_in_asked", "consent_shown", "grant_approved", "grant_activated", "grant_used", "call_refused"],
        "{one:?}"
    );

    let last_steps: BTreeMap<_, _> = log
        .iter()
        .filter_map(|line| Some((line["flow"].as_str()?, (event(line), line["at"].as_i64().unwrap()))))
        .collect();
    let used: BTreeSet<_> = having("event", "grant_used").iter().filter_map(|line| line["flow"].as_str()).collect();
    let stalled: Vec<_> = last_steps.iter().filter(|(flow, _)| !used.contains(*flow)).map(|(_, last)| last).collect();
    for step in ["grant_approved", "authorization_refused"] {
        assert!(stalled.iter().any(|(event, _)| event == step), "{step} in {stalled:?}");
    }
    assert!(stalled.iter().all(|(_, since)| *since >= traffic.started));
}

/// A request is found by its id with all that it logged, and how long it and each service took.
#[tokio::test(flavor = "multi_thread")]
async fn request_line_tells_status_and_time_in_services() {
    let traffic = Box::pin(RecordedTraffic::record()).await;
    let (lines, log) = (traffic.test_system.lines(), traffic.test_system.system().audit_log().await);

    let request = log.iter().find(|line| line["event"] == "refresh_judged").unwrap()["request"].as_str().unwrap();
    let of_request: Vec<_> = lines.iter().filter(|line| line["request"] == request).collect();
    assert_eq!(of_request.len(), 2, "{of_request:?}");
    let summary = of_request.iter().find(|line| line["target"] == "request").expect("a summary");
    assert_eq!((&summary["function"], &summary["status"]), (&json!("token"), &json!(200)));
    assert!(summary["KMS"].as_f64().unwrap() > 0.0);

    let requests: Vec<_> = lines.iter().filter(|line| line["target"] == "request").collect();
    assert!(
        requests
            .iter()
            .all(|line| line["microseconds"].is_u64() && line["status"].is_u64() && line["function"].is_string())
    );
    assert!(requests.iter().any(|line| line["function"] == "token" && line["status"] == 503));
}
