//! AWS between the program and a test system's tables: a log group for the audit, writes to the table of clients whose first try
//! loses its answer or arrives late, and transactions that are refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use test_system::TestSystem;

use crate::program::Amble;

/// What becomes of the first try of the next write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstTry {
    /// It is carried out, and an error is told.
    AnswerLost,
    /// Likewise, and another operator writes the client before the second try comes.
    Overtaken,
    /// An error is told, and it is carried out at [`AwsProxy::arrive`].
    ArrivesLate,
}

/// The proxy.
pub(crate) struct AwsProxy {
    address: String,
    inner: Arc<Inner>,
}

struct Inner {
    tables: String,
    clients: String,
    http: reqwest::Client,
    seen: Mutex<Vec<String>>,
    first_try: Mutex<Option<FirstTry>>,
    late: Mutex<Option<(HeaderMap, Bytes)>>,
    refuses_transactions: AtomicBool,
}

impl AwsProxy {
    pub(crate) async fn start(test_system: &TestSystem) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            tables: test_system.system().dynamo_url().to_owned(),
            clients: test_system.system().tables()["TABLE_CLIENTS"].clone(),
            http: test_system.http().inner().clone(),
            seen: Mutex::default(),
            first_try: Mutex::default(),
            late: Mutex::default(),
            refuses_transactions: AtomicBool::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inner }
    }

    /// The program, which finds all of AWS here.
    pub(crate) fn amble(&self, test_system: &TestSystem) -> Amble {
        Amble::of_tables(test_system.system(), &self.address).with("AUDIT_LOG_GROUP", "/amble/audit")
    }

    /// What becomes of the first try of the next write.
    pub(crate) fn plan(&self, first_try: FirstTry) {
        *self.inner.first_try.lock().unwrap() = Some(first_try);
    }

    /// From now on, the operator may make no transactions, or may again.
    pub(crate) fn refuse_transactions(&self, refuse: bool) {
        self.inner.refuses_transactions.store(refuse, Ordering::SeqCst);
    }

    /// The late one arrives; the status of its answer.
    pub(crate) async fn arrive(&self) -> u16 {
        let (headers, body) = self.inner.late.lock().unwrap().take().unwrap();
        self.inner.forward(&headers, body).await.0.as_u16()
    }

    /// Makes a client's item one that a version before `made_by` stored.
    pub(crate) async fn forget_writer(&self, client: &str) {
        let table = &self.inner.clients;
        let update =
            json!({ "TableName": table, "Key": { "id": { "S": client } }, "UpdateExpression": "REMOVE made_by" });
        self.inner.update(&update).await;
    }

    /// The events that the audit was told, and `write` for each write to the table of clients, in order, since this was last asked.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.inner.seen.lock().unwrap())
    }
}

impl Inner {
    /// A write of the test's own.
    async fn update(&self, update: &Value) {
        let signed = "AWS4-HMAC-SHA256 Credential=operator/20260101/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", signed),
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-date", "20260101T000000Z"),
            ("x-amz-target", "DynamoDB_20120810.UpdateItem"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        assert_eq!(self.forward(&headers, update.to_string().into()).await.0, StatusCode::OK);
    }

    async fn forward(&self, headers: &HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
        let mut headers = headers.clone();
        for own in ["host", "content-length"] {
            headers.remove(own);
        }
        let answer = self.http.post(&self.tables).headers(headers).body(body).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    }
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let Some(target) = headers.get("x-amz-target").map(|target| target.to_str().unwrap()) else {
        let caller = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                      <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/olga</Arn></GetCallerIdentityResult>\
                      </GetCallerIdentityResponse>";
        return Response::new(caller.into());
    };
    let (service, operation) = target.split_once('.').unwrap();
    let json: Value = serde_json::from_slice(&body).unwrap();
    if service == "Logs_20140328" {
        for event in json["logEvents"].as_array().into_iter().flatten() {
            let line: Value = serde_json::from_str(event["message"].as_str().unwrap()).unwrap();
            inner.seen.lock().unwrap().push(line["event"].as_str().unwrap().to_owned());
        }
        return response(StatusCode::OK, "{}".into());
    }
    if operation == "TransactWriteItems" && inner.refuses_transactions.load(Ordering::SeqCst) {
        let error = json!({ "__type": "AccessDeniedException", "message": "as the test wanted it" });
        return response(StatusCode::BAD_REQUEST, error.to_string().into());
    }
    let is_write = ["PutItem", "UpdateItem", "DeleteItem"].contains(&operation) && json["TableName"] == inner.clients;
    if !is_write {
        let (status, answer) = inner.forward(&headers, body).await;
        return response(status, answer);
    }
    inner.seen.lock().unwrap().push("write".to_owned());
    let first_try = inner.first_try.lock().unwrap().take();
    if first_try == Some(FirstTry::ArrivesLate) {
        *inner.late.lock().unwrap() = Some((headers, body));
    } else {
        let (status, answer) = inner.forward(&headers, body).await;
        match first_try {
            None => return response(status, answer),
            Some(FirstTry::Overtaken) => {
                let another = json!({ ":another": { "B": "YW5vdGhlciBvcGVyYXRvcg==" } });
                let key =
                    if operation == "PutItem" { json!({ "id": json["Item"]["id"] }) } else { json["Key"].clone() };
                let touch = json!({
                    "TableName": inner.clients, "Key": key, "UpdateExpression": "SET made_by = :another",
                    "ExpressionAttributeValues": another,
                });
                inner.update(&touch).await;
            }
            Some(FirstTry::AnswerLost | FirstTry::ArrivesLate) => {}
        }
    }
    let error = json!({ "__type": "InternalServerError", "message": "as the test wanted it" });
    response(StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into())
}

fn response(status: StatusCode, body: Bytes) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(body.into()).unwrap()
}
