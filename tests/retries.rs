//! What DynamoDB refuses for the moment is tried again, and what it leaves over as well: once goes unnoticed, and for ever is told
//! as 503 within the time that a caller waits. What it answers is not tried again.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use local::interceptor::{Call, Decision};
use serde_json::{Value, json};
use shared::aws::MAX_ATTEMPTS;
use test_system::TestSystem;
use test_system::connector::Connector;
use test_system::http_response::HttpResponse;

/// As often as the SDK makes a call whose error passes.
const OF_SDK: usize = MAX_ATTEMPTS as usize;
/// As often as a transaction that was cancelled, or what a batch left over, is called for.
const OF_STORE: usize = 8;

/// What DynamoDB says instead of carrying out a call.
#[derive(Clone, Copy, Debug)]
enum InjectedAnswer {
    /// Status and code.
    Error(u16, &'static str),
    /// A cancelled transaction, for these reasons: one for each write.
    Cancelled([&'static str; 2]),
    UnprocessedKeys,
    UnprocessedItems,
}

impl InjectedAnswer {
    fn answer(self, call: &Call) -> Decision {
        let error = |code| json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "Later." });
        let unprocessed = &call.body["RequestItems"];
        let (status, body) = match self {
            Self::Error(status, code) => (status, error(code)),
            Self::Cancelled(reasons) => {
                let mut body = error("TransactionCanceledException");
                let item = json!({ "tenant": { "S": "acme" }, "version": { "N": "7" } });
                body["CancellationReasons"] = reasons.map(|code| json!({ "Code": code, "Item": item })).into();
                (400, body)
            }
            Self::UnprocessedKeys => (200, json!({ "Responses": {}, "UnprocessedKeys": unprocessed })),
            Self::UnprocessedItems => (200, json!({ "UnprocessedItems": unprocessed })),
        };
        Decision::Answer { status, body }
    }
}

/// Refuses calls of one function.
#[derive(Clone, Default)]
struct FaultInjector(Arc<Mutex<FaultPlan>>);

#[derive(Default)]
struct FaultPlan {
    fails: Option<(&'static str, &'static str, InjectedAnswer)>,
    /// How often that call is refused.
    left: usize,
    /// How often it was made.
    calls: usize,
}

impl FaultInjector {
    async fn start_test_system(&self) -> TestSystem {
        let injector = self.clone();
        TestSystem::with(|options| {
            options.intercept_audit = true;
            options.interceptor = Some(Arc::new(move |call: Call| {
                let decision = injector.decide(&call);
                async move { decision }
            }));
        })
        .await
    }

    fn decide(&self, call: &Call) -> Decision {
        let mut plan = self.0.lock().unwrap();
        let Some((function, operation, injected)) = plan.fails else { return Decision::Pass };
        // Of the audit, one line alone: the others are delivered at the same time.
        let another_line = function == "audit" && !call.body.to_string().contains("grant_approved");
        if (call.function.as_str(), call.operation.as_str()) != (function, operation) || another_line {
            return Decision::Pass;
        }
        plan.calls += 1;
        if plan.left == 0 {
            return Decision::Pass;
        }
        plan.left -= 1;
        injected.answer(call)
    }

    /// From now on, that call is refused that often.
    fn inject(&self, function: &'static str, operation: &'static str, injected: InjectedAnswer, left: usize) {
        *self.0.lock().unwrap() = FaultPlan { fails: Some((function, operation, injected)), left, calls: 0 };
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }
}

/// Requests that can be sent again.
struct Scenario<'w> {
    test_system: &'w TestSystem,
    key: String,
    connector: Connector<'w>,
    refresh: String,
    document: Value,
    version: u64,
}

impl<'w> Scenario<'w> {
    async fn new(test_system: &'w TestSystem) -> Self {
        let key = test_system.create_api_key("ana@example.com", "acme", "documents:write", None).await.0;
        let (connector, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let arguments = json!({ "name": "create_document", "arguments": { "title": "Plan", "content": "…" } });
        let made = test_system.call(Some(&key), "tools/call", arguments).await.json();
        let document = made["result"]["structuredContent"]["id"].clone();
        Self { test_system, key, connector, refresh: tokens.refresh.unwrap(), document, version: 1 }
    }

    /// A request of which that call is a part.
    async fn send(&mut self, operation: &str) -> HttpResponse {
        if operation == "UpdateItem" {
            let answer = self.connector.refresh(&self.refresh).await;
            if answer.status == 200 {
                self.refresh = answer.tokens(self.test_system).refresh.unwrap();
            }
            return answer;
        }
        let arguments = json!({ "id": self.document, "version": self.version, "title": "Plan", "content": "…" });
        let call = json!({ "name": "update_document", "arguments": arguments });
        let answer = self.test_system.call(Some(&self.key), "tools/call", call).await;
        if answer.status == 200 && answer.json()["result"]["isError"] != true {
            self.version += 1;
            assert_eq!(answer.json()["result"]["structuredContent"]["version"], self.version);
        }
        answer
    }
}

/// Each kind of answer, with the number of calls that are made before it is told.
const PASSES: [(&str, &str, InjectedAnswer, usize); 14] = [
    ("token", "UpdateItem", InjectedAnswer::Error(400, "TransactionConflictException"), OF_SDK),
    ("token", "UpdateItem", InjectedAnswer::Error(400, "ProvisionedThroughputExceededException"), OF_SDK),
    ("token", "UpdateItem", InjectedAnswer::Error(400, "ThrottlingException"), OF_SDK),
    ("token", "UpdateItem", InjectedAnswer::Error(400, "RequestLimitExceeded"), OF_SDK),
    ("token", "UpdateItem", InjectedAnswer::Error(500, "InternalServerError"), OF_SDK),
    ("token", "UpdateItem", InjectedAnswer::Error(503, "ServiceUnavailable"), OF_SDK),
    ("mcp", "TransactWriteItems", InjectedAnswer::Error(400, "TransactionInProgressException"), OF_SDK),
    ("mcp", "TransactWriteItems", InjectedAnswer::Error(400, "ThrottlingException"), OF_SDK),
    ("mcp", "TransactWriteItems", InjectedAnswer::Cancelled(["TransactionConflict", "None"]), OF_STORE),
    ("mcp", "TransactWriteItems", InjectedAnswer::Cancelled(["None", "ThrottlingError"]), OF_STORE),
    ("mcp", "TransactWriteItems", InjectedAnswer::Cancelled(["ProvisionedThroughputExceeded", "None"]), OF_STORE),
    ("mcp", "TransactWriteItems", InjectedAnswer::Cancelled(["RequestLimitExceeded", "TransactionConflict"]), OF_STORE),
    ("mcp", "TransactWriteItems", InjectedAnswer::Error(500, "InternalServerError"), OF_SDK),
    ("mcp", "BatchGetItem", InjectedAnswer::UnprocessedKeys, OF_STORE),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_goes_unnoticed_and_what_stays_is_told_in_time() {
    let injector = FaultInjector::default();
    let test_system = injector.start_test_system().await;
    let mut scenario = Scenario::new(&test_system).await;
    for (function, operation, injected, attempts) in PASSES {
        injector.inject(function, operation, injected, 1);
        let answer = scenario.send(operation).await;
        assert_eq!(answer.status, 200, "{operation} {injected:?} once: {answer:?}");
        assert_ne!(answer.json()["result"]["isError"], true, "{operation} {injected:?} once: {answer:?}");
        assert_eq!(injector.calls(), 2, "{operation} {injected:?}");

        injector.inject(function, operation, injected, usize::MAX);
        let began = Instant::now();
        let answer = scenario.send(operation).await;
        let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
        assert_eq!((answer.status, seconds), (503, Some(1)), "{operation} {injected:?}: {answer:?}");
        assert_eq!(injector.calls(), attempts, "{operation} {injected:?}");
        // The pauses take one second at most.
        assert!(began.elapsed() < Duration::from_secs(3), "{operation} {injected:?}: {:?}", began.elapsed());

        injector.inject(function, operation, injected, 0);
        assert_eq!(scenario.send(operation).await.status, 200, "{operation} {injected:?}: nothing was written");
    }
}

/// What others wrote since it was read is read and written again, with pauses: as often as a cancelled transaction.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_at_the_same_moment_is_written_again() {
    let injector = FaultInjector::default();
    let test_system = injector.start_test_system().await;
    let scenario = Scenario::new(&test_system).await;
    let key = test_system.create_api_key("ana@example.com", "acme", "connections:manage", None).await.0;
    let end = async || {
        let body = json!({ "client": scenario.connector.client_id }).to_string();
        let url = test_system.at("/admin/api/tenants/acme/connections/end");
        let request = test_system.http().post(url).header("authorization", format!("Bearer {key}"));
        test_system.send(request.header("content-type", "application/json").body(body)).await
    };
    let written = InjectedAnswer::Error(400, "ConditionalCheckFailedException");
    assert_eq!(end().await.status, 200, "the key is marked as used");

    for (left, status) in [(1, 200), (OF_STORE - 1, 200), (OF_STORE, 503)] {
        injector.inject("admin", "UpdateItem", written, left);
        let began = Instant::now();
        let answer = end().await;
        assert_eq!(answer.status, status, "{left}: {answer:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{left}: {:?}", began.elapsed());
    }
}

/// A condition that failed is an answer, whatever else was in the way, and an invalid write stays invalid.
#[tokio::test(flavor = "multi_thread")]
async fn failed_condition_or_invalid_write_is_not_tried_again() {
    let injector = FaultInjector::default();
    let test_system = injector.start_test_system().await;
    let mut scenario = Scenario::new(&test_system).await;
    let mut send = async |reasons| {
        injector.inject("mcp", "TransactWriteItems", InjectedAnswer::Cancelled(reasons), usize::MAX);
        let answer = scenario.send("TransactWriteItems").await;
        assert_eq!(injector.calls(), 1, "{reasons:?}");
        answer
    };

    for other in ["None", "TransactionConflict", "ThrottlingError"] {
        let answer = send(["ConditionalCheckFailed", other]).await;
        let said = &answer.json()["result"]["content"][0]["text"];
        assert_eq!(
            said,
            "Nothing was changed: the document is at version 7 now. Read it again, work your change into that version, and name it."
        );
    }
    for reasons in [["ValidationError", "None"], ["TransactionConflict", "ValidationError"], ["None", "None"]] {
        let answer = send(reasons).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{reasons:?} {answer:?}");
    }
}

/// The audit's lines are stored in batches. A delivery that fails is made again, and logs its lines again.
#[tokio::test(flavor = "multi_thread")]
async fn items_left_over_by_a_batch_are_stored() {
    for (left, calls, deliveries) in [(1, 2, 1), (OF_STORE - 1, OF_STORE, 1), (OF_STORE, OF_STORE + 1, 2)] {
        let injector = FaultInjector::default();
        let test_system = injector.start_test_system().await;
        injector.inject("audit", "BatchWriteItem", InjectedAnswer::UnprocessedItems, left);

        test_system.connect("ana@example.com", "acme", "skills:read").await;

        let log = test_system.system().audit_log().await;
        let approved = log.iter().filter(|line| line["event"] == "grant_approved").count();
        assert_eq!((injector.calls(), approved), (calls, deliveries), "{left}");
    }
}
