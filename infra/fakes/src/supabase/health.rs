//! `GET /health`.

use axum::Json;
use serde_json::{Value, json};

pub(super) async fn show() -> Json<Value> {
    Json(json!({
        "version": "v2.196.0",
        "name": "GoTrue",
        "description": "GoTrue is a user registration and authentication API",
    }))
}
