//! What functions say to AWS, overheard.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use local::interceptor::{Call, Capacity, Decision, Interceptor, Service};
use serde_json::Value;

/// One action of one function on one table or key, as a policy would name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// Who.
    pub function: String,
    /// `dynamodb:GetItem`, `lambda:InvokeFunction` and so on.
    pub action: String,
    /// Name of the table or function, id of the key, or `table/index/name`.
    pub on: String,
}

/// Everything that was said, in order.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    made: Vec<Made>,
    since: usize,
    requests: usize,
    consumed: Capacity,
}

impl Calls {
    /// The wire that listens.
    #[must_use]
    pub fn wire(&self) -> Arc<dyn Interceptor> {
        Arc::new(self.clone())
    }

    /// All of it.
    #[must_use]
    pub fn made(&self) -> Vec<Made> {
        self.heard().made.clone()
    }

    /// What was said since this was last asked; [`Self::requests`] then counts it.
    #[must_use]
    pub fn take(&self) -> Vec<Made> {
        let mut heard = self.heard();
        heard.requests = std::mem::take(&mut heard.since);
        std::mem::take(&mut heard.made)
    }

    /// Lets bygones be bygones.
    pub fn forget(&self) {
        *self.heard() = Heard::default();
    }

    /// How many requests the last [`Self::take`] took.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.heard().requests
    }

    /// What the tables say that was consumed since this was last asked.
    #[must_use]
    pub fn consumed(&self) -> Capacity {
        std::mem::take(&mut self.heard().consumed)
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interceptor for Calls {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Decision> + Send + '_>> {
        let mut heard = self.heard();
        heard.since += 1;
        heard.made.extend(actions(&call));
        Box::pin(std::future::ready(Decision::Pass))
    }

    fn consumed(&self, capacity: Capacity) {
        let mut heard = self.heard();
        heard.consumed.write += capacity.write;
        heard.consumed.read += capacity.read;
    }
}

/// What IAM asks for: a batch or a transaction is an action on each of its tables.
fn actions(call: &Call) -> Vec<Made> {
    let made = |action: &str, on: &str| Made {
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
            let Made { function, action, on } = made("dynamodb:Query", &text(&call.body["TableName"]));
            vec![Made { function, action, on: on + &index }]
        }
        (Service::DynamoDb, operation) => {
            vec![made(&format!("dynamodb:{operation}"), &text(&call.body["TableName"]))]
        }
    }
}
