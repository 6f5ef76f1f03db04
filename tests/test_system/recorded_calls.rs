//! The calls of functions to AWS, recorded.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use local::interceptor::{Call, Capacity, Decision, Interceptor, Service};
use serde_json::Value;

/// One action of one function on one table or key, as a policy would name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AwsAction {
    /// Who.
    pub function: String,
    /// `dynamodb:GetItem`, `lambda:InvokeFunction` and so on.
    pub action: String,
    /// Name of the table or function, id of the key, or `table/index/name`.
    pub on: String,
}

/// Every call, in order.
#[derive(Clone, Default)]
pub struct RecordedCalls(Arc<Mutex<Recording>>);

#[derive(Default)]
struct Recording {
    made: Vec<AwsAction>,
    since: usize,
    requests: usize,
    consumed: Capacity,
}

impl RecordedCalls {
    /// The wire that listens.
    #[must_use]
    pub fn wire(&self) -> Arc<dyn Interceptor> {
        Arc::new(self.clone())
    }

    /// All of it.
    #[must_use]
    pub fn made(&self) -> Vec<AwsAction> {
        self.recording().made.clone()
    }

    /// What was said since this was last asked; [`Self::requests`] then counts it.
    #[must_use]
    pub fn take(&self) -> Vec<AwsAction> {
        let mut recording = self.recording();
        recording.requests = std::mem::take(&mut recording.since);
        std::mem::take(&mut recording.made)
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        *self.recording() = Recording::default();
    }

    /// How many requests the last [`Self::take`] took.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.recording().requests
    }

    /// What the tables say that was consumed since this was last asked.
    #[must_use]
    pub fn consumed(&self) -> Capacity {
        std::mem::take(&mut self.recording().consumed)
    }

    fn recording(&self) -> std::sync::MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interceptor for RecordedCalls {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Decision> + Send + '_>> {
        let mut recording = self.recording();
        recording.since += 1;
        recording.made.extend(actions(&call));
        Box::pin(std::future::ready(Decision::Pass))
    }

    fn consumed(&self, capacity: Capacity) {
        let mut recording = self.recording();
        recording.consumed.write += capacity.write;
        recording.consumed.read += capacity.read;
    }
}

/// What IAM asks for: a batch or a transaction is an action on each of its tables.
fn actions(call: &Call) -> Vec<AwsAction> {
    let made = |action: &str, on: &str| AwsAction {
        function: call.function.clone(),
        action: action.to_owned(),
        on: on.rsplit('/').next().unwrap_or_default().to_owned(),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match (call.service, call.operation.as_str()) {
        (Service::Lambda, _) => {
            let name = text(&call.body["FunctionName"]);
            vec![made("lambda:InvokeFunction", name.rsplit(':').next().unwrap_or_default())]
        }
        (Service::SecretsManager, operation) => {
            let name = text(&call.body["SecretId"]);
            vec![made(&format!("secretsmanager:{operation}"), name.rsplit(':').next().unwrap_or_default())]
        }
        (Service::Kms, operation) => vec![made(&format!("kms:{operation}"), &text(&call.body["KeyId"]))],
        (Service::DynamoDb, operation @ ("BatchGetItem" | "BatchWriteItem")) => call.body["RequestItems"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(table, _)| made(&format!("dynamodb:{operation}"), table))
            .collect(),
        (Service::DynamoDb, "TransactWriteItems") => call.body["TransactItems"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|item| item.as_object().into_iter().flatten())
            .map(|(kind, write)| made(&format!("dynamodb:{kind}Item"), &text(&write["TableName"])))
            .collect(),
        (Service::DynamoDb, "Query") if call.body["IndexName"].is_string() => {
            let index = format!("/index/{}", text(&call.body["IndexName"]));
            let AwsAction { function, action, on } = made("dynamodb:Query", &text(&call.body["TableName"]));
            vec![AwsAction { function, action, on: on + &index }]
        }
        (Service::DynamoDb, operation) => {
            vec![made(&format!("dynamodb:{operation}"), &text(&call.body["TableName"]))]
        }
    }
}
