//! What functions say to AWS, overheard.

use std::sync::{Arc, Mutex, PoisonError};

use local::wire::{Call, Decision, Service, Wire};
use serde_json::Value;

/// One action of one function on one table or key, as a policy would name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// Who.
    pub function: String,
    /// `dynamodb:GetItem`, `lambda:InvokeFunction` and so on.
    pub action: String,
    /// Name of the table or function, or id of the key.
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
}

impl Calls {
    /// The wire that listens.
    #[must_use]
    pub fn wire(&self) -> Arc<dyn Wire> {
        let calls = self.clone();
        Arc::new(move |call: Call| {
            let mut heard = calls.heard();
            heard.since += 1;
            heard.made.extend(actions(&call));
            async { Decision::Pass }
        })
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

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        (Service::DynamoDb, operation) => {
            vec![made(&format!("dynamodb:{operation}"), &text(&call.body["TableName"]))]
        }
    }
}
