//! A tool as a tenant would write it for AWS Lambda: arguments come in the event, the result is what is returned.

use fakes::lambda::InvocationResult;
use serde::Deserialize;
use serde_json::{Value, json};

/// The function's ARN, in the account of AWS's own examples.
pub const ARN: &str = "arn:aws:lambda:us-east-1:111122223333:function:count-words";

#[derive(Deserialize)]
struct Event {
    arguments: Arguments,
}

#[derive(Deserialize)]
struct Arguments {
    text: String,
}

/// Counts words, and characters without the spaces between them.
pub(crate) async fn count_words(event: Value) -> InvocationResult {
    match serde_json::from_value(event) {
        Ok(Event { arguments: Arguments { text } }) => {
            let letters: usize = text.split_whitespace().map(|word| word.chars().count()).sum();
            InvocationResult::Returned(json!({ "words": text.split_whitespace().count(), "letters": letters }))
        }
        Err(error) => InvocationResult::Failed(error.to_string(), "BadEvent".to_owned()),
    }
}
