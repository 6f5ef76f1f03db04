//! `GET /user`: whether a token is still good, and whose it is.

use crate::supabase::error::SupabaseError;
use crate::supabase::project::Supabase;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;
use std::sync::Arc;

pub(super) async fn show(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
) -> Result<Json<Value>, SupabaseError> {
    let state = supabase.state();
    let signed_in = supabase.signed_in(&state, &headers)?;
    let account = state.people.find(signed_in.person).ok_or(SupabaseError::UserOfTokenNotFound)?;
    Ok(Json(account.user()))
}
