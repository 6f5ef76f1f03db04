//! `GET /admin/users/{id}`: for holders of the secret key.

use crate::supabase::Supabase;
use crate::supabase::gateway::Caller;
use crate::supabase::refusal::Refusal;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

pub(super) async fn user(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let state = supabase.state();
    if caller == Caller::Publishable {
        // A person's token is one, but not an administrator's.
        supabase.signed_in(&state, &headers)?;
        return Err(Refusal::NotAdmin);
    }
    let id = Uuid::parse_str(&id).map_err(|_| Refusal::UserIdNotUuid)?;
    state.people.find(id).map(|account| Json(account.user())).ok_or(Refusal::UserNotFound)
}
