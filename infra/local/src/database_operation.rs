//! What the tables' own server does with a request, without it.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::interceptor::InjectedError;

/// Status and JSON of the answer, for the operations that there are in `shared::store`.
pub(crate) fn perform(database: &Database, operation: &str, body: &[u8]) -> (u16, String) {
    let answered = match operation {
        "GetItem" => answer(body, |request| database.get_item(request)),
        "PutItem" => answer(body, |request| database.put_item(request)),
        "UpdateItem" => answer(body, |request| database.update_item(request)),
        "DeleteItem" => answer(body, |request| database.delete_item(request)),
        "BatchWriteItem" => answer(body, |request| database.batch_write_item(request)),
        "BatchGetItem" => answer(body, |request| database.batch_get_item(request)),
        "Query" => answer(body, |request| database.query(request)),
        "Scan" => answer(body, |request| database.scan(request)),
        "DescribeTable" => answer(body, |request| database.describe_table(request)),
        "TransactWriteItems" => answer(body, |request| database.transact_write_items(request)),
        _ => return InjectedError { status: 400, kind: "UnknownOperationException" }.to_response(),
    };
    match answered {
        Ok(answer) => (200, answer),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

fn answer<Input: DeserializeOwned, Output: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Input) -> dynoxide::Result<Output>,
) -> dynoxide::Result<String> {
    let input =
        serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_string(&operation(input)?).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
