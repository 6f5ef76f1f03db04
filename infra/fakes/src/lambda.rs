//! AWS Lambda as `aws-sdk-lambda` speaks to it: restJson1, `Invoke` with `RequestResponse`, and nothing else of it.
//!
//! Functions are closures here, known by their ARNs. Credentials are asked for and not checked.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::signature::is_signed;

/// The functions.
#[derive(Default)]
pub struct Lambda {
    functions: Mutex<BTreeMap<String, Arc<Handler>>>,
}

/// What becomes of an invocation.
#[derive(Clone, Debug)]
pub enum InvocationResult {
    /// The function returned.
    Returned(Value),
    /// The function threw, by Lambda's names: `errorMessage` and `errorType`.
    Failed(String, String),
    /// As many run as may: 429 `TooManyRequestsException`.
    Throttled,
}

type Handler = dyn Fn(Value) -> Pin<Box<dyn Future<Output = InvocationResult> + Send>> + Send + Sync;

impl Lambda {
    /// Without a function.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Deploys a function, which takes the event, under its whole ARN.
    pub fn deploy<E>(&self, arn: &str, function: impl Fn(Value) -> E + Send + Sync + 'static)
    where
        E: Future<Output = InvocationResult> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |event| Box::pin(function(event)));
        self.functions.lock().unwrap_or_else(PoisonError::into_inner).insert(arn.to_owned(), handler);
    }

    /// `POST /2015-03-31/functions/{FunctionName}/invocations`.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/2015-03-31/functions/{function}/invocations", post(invoke)).with_state(Arc::clone(self))
    }
}

async fn invoke(
    State(lambda): State<Arc<Lambda>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_signed(&headers) {
        return error_response(
            StatusCode::FORBIDDEN,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        );
    }
    if headers.get("x-amz-invocation-type").is_some_and(|kind| kind != "RequestResponse") {
        let message = "Only RequestResponse is served here";
        return error_response(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message);
    }
    let Ok(event) = serde_json::from_slice(&body) else {
        let message = "Could not parse request body into json";
        return error_response(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message);
    };
    let handler = lambda.functions.lock().unwrap_or_else(PoisonError::into_inner).get(&function).cloned();
    let Some(handler) = handler else {
        return error_response(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            &format!("Function not found: {function}"),
        );
    };
    match handler(event).await {
        InvocationResult::Returned(value) => value.to_string().into_response(),
        InvocationResult::Failed(message, kind) => {
            let body = json!({ "errorMessage": message, "errorType": kind }).to_string();
            ([("x-amz-function-error", "Unhandled")], body).into_response()
        }
        InvocationResult::Throttled => {
            error_response(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.")
        }
    }
}

/// An error of Lambda itself (Lambda API reference, `Invoke`, "Errors").
fn error_response(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message, "message": message }).to_string();
    (status, [("x-amzn-errortype", kind), ("content-type", "application/json")], body).into_response()
}
