//! AWS Secrets Manager as `aws-sdk-secretsmanager` speaks to it: awsJson1.1, `GetSecretValue` of texts, and nothing else of it.
//!
//! Credentials are asked for and not checked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::signature::is_signed;

/// The secrets, by their ARNs.
#[derive(Default)]
pub struct SecretsManager {
    secrets: Mutex<BTreeMap<String, String>>,
}

impl SecretsManager {
    /// Without a secret.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Keeps `value` as the current one of a secret.
    pub fn put(&self, arn: &str, value: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(arn.to_owned(), value.to_owned());
    }

    /// `POST /`.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/", post(answer)).with_state(Arc::clone(self))
    }
}

async fn answer(State(manager): State<Arc<SecretsManager>>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_signed(&headers) {
        return error_response("MissingAuthenticationTokenException", "Missing Authentication Token");
    }
    if headers.get("x-amz-target").is_none_or(|target| target != "secretsmanager.GetSecretValue") {
        return error_response("UnknownOperationException", "Only GetSecretValue is served here");
    }
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let arn = request.get("SecretId").and_then(Value::as_str).unwrap_or_default();
    let found = manager.secrets.lock().unwrap_or_else(PoisonError::into_inner).get(arn).cloned();
    match found {
        Some(value) => {
            let body = json!({ "ARN": arn, "SecretString": value, "VersionStages": ["AWSCURRENT"] }).to_string();
            ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
        }
        None => error_response("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    }
}

fn error_response(kind: &'static str, message: &'static str) -> Response {
    let body = json!({ "__type": kind, "Message": message }).to_string();
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
