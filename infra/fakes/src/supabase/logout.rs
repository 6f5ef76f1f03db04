//! `POST /logout`: ends sessions. Their access tokens stay valid offline until they expire.

use crate::supabase::error::SupabaseError;
use crate::supabase::parameters::Parameters;
use crate::supabase::project::Supabase;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use std::sync::Arc;

pub(super) async fn end(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<StatusCode, SupabaseError> {
    let mut state = supabase.state();
    let me = supabase.signed_in(&state, &headers)?;
    match parameters.first("scope") {
        "" | "global" => state.sessions.end(|session| session.person == me.person),
        "local" => state.sessions.end(|session| session.id == me.session),
        "others" => state.sessions.end(|session| session.person == me.person && session.id != me.session),
        scope => return Err(SupabaseError::LogoutScope(scope.to_owned())),
    }
    Ok(StatusCode::NO_CONTENT)
}
