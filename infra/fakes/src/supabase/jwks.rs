//! `GET /.well-known/jwks.json` (RFC 7517) and the little of OpenID Discovery that GoTrue has.

use crate::supabase::project::Supabase;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde_json::Value;
use std::sync::Arc;

pub(super) async fn show(State(supabase): State<Arc<Supabase>>) -> ([(HeaderName, &'static str); 1], Json<Value>) {
    (CACHED, Json(supabase.state().keyring.jwks()))
}

pub(super) async fn openid_configuration(
    State(supabase): State<Arc<Supabase>>,
) -> ([(HeaderName, &'static str); 1], Json<Value>) {
    (CACHED, Json(supabase.oauth_metadata()))
}

/// How long the gateway's documents may be kept.
pub(super) const CACHED: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=600")];
