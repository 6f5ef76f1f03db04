//! What becomes of the first try of a write: its answer is lost, or it arrives late. The SDK tries again.

use std::sync::{Arc, Mutex};

use local::interceptor::{Call, Decision, InjectedError, Interceptor, Service};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;

/// What becomes of it.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// It is carried out, and an error is told.
    AnswerLost,
    /// An error is told, and it is carried out at [`FirstTry::arrive`].
    ArrivesLate,
}

/// The wire between the functions and the tables.
#[derive(Clone, Default)]
pub(crate) struct FirstTry(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    next: Option<(&'static str, Fate)>,
    late: Option<Call>,
}

impl FirstTry {
    /// The wire, which lets everything pass until [`Self::plan`].
    pub(crate) fn wire(&self) -> Arc<dyn Interceptor> {
        let plan = Arc::clone(&self.0);
        Arc::new(move |call: Call| {
            let mut plan = plan.lock().unwrap();
            let is_write = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"].contains(&&*call.operation);
            // What is counted is a write too, but not the one that is meant.
            let counts = call.body["UpdateExpression"].as_str().is_some_and(|update| update.contains(":more0"));
            let is_next = plan.next.is_some_and(|(function, _)| function == call.function);
            let fate = if is_write && is_next && !counts { plan.next.take() } else { None };
            let decision = match fate {
                None => Decision::Pass,
                Some((_, Fate::AnswerLost)) => Decision::FailAfter(InjectedError::INTERNAL),
                Some((_, Fate::ArrivesLate)) => {
                    plan.late = Some(call);
                    Decision::FailBefore(InjectedError::INTERNAL)
                }
            };
            std::future::ready(decision)
        })
    }

    /// What becomes of the next write of `function`.
    pub(crate) fn plan(&self, function: &'static str, fate: Fate) {
        self.0.lock().unwrap().next = Some((function, fate));
    }

    /// The late one arrives; how the table answers it.
    pub(crate) async fn arrive(&self, test_system: &TestSystem) -> HttpResponse {
        let call = self.0.lock().unwrap().late.take().expect("a try that is late");
        assert_eq!(call.service, Service::DynamoDb);
        let signed = "AWS4-HMAC-SHA256 Credential=late/20260101/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";
        let request = test_system.http().post(test_system.system().dynamo_url()).header("authorization", signed);
        let request = request.header("x-amz-date", "20260101T000000Z");
        let request = request.header("x-amz-target", format!("DynamoDB_20120810.{}", call.operation));
        test_system.send(request.header("content-type", "application/x-amz-json-1.0").body(call.body.to_string())).await
    }
}
