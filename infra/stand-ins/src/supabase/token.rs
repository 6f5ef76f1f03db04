//! `POST /token`: three ways to a session.

use crate::supabase::Supabase;
use crate::supabase::parameters::Parameters;
use crate::supabase::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;
use std::sync::Arc;

pub(super) async fn issue(
    State(supabase): State<Arc<Supabase>>,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    if supabase.state().rate_limited {
        return Err(Refusal::RateLimited);
    }
    match parameters.first("grant_type") {
        "password" => supabase.sign_in_by_password(&body),
        "pkce" => supabase.exchange_code(&body),
        "refresh_token" => supabase.refresh(&body),
        _ => Err(Refusal::UnsupportedGrantType),
    }
    .map(Json)
}
