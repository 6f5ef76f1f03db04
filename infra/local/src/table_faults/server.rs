//! The tables with their faults, served as DynamoDB is.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;

use super::TableFaults;
use crate::interceptor::Call;

/// Bytes of a request (`DynamoDB`'s own limit).
const LARGEST_REQUEST: usize = 16 << 20;

pub(crate) fn router(faults: &Arc<TableFaults>) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::max(LARGEST_REQUEST)).with_state(Arc::clone(faults))
}

async fn answer(State(faults): State<Arc<TableFaults>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let Some(call) = Call::parse("/", header("x-amz-target"), header("authorization"), &body) else {
        return (StatusCode::BAD_REQUEST, r#"{"__type":"UnknownOperationException"}"#).into_response();
    };
    let (status, body) = faults.answer(call).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}
