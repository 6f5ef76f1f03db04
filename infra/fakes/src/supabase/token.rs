//! `POST /token`: three ways to a session.

use crate::supabase::error::SupabaseError;
use crate::supabase::gateway::Caller;
use crate::supabase::parameters::Parameters;
use crate::supabase::project::Supabase;
use crate::supabase::token_response::TokenResponse;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use std::sync::Arc;

pub(super) async fn issue(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
    body: Bytes,
) -> Result<TokenResponse, SupabaseError> {
    supabase.state().limit("/token", &headers, supabase.now())?;
    match parameters.first("grant_type") {
        "password" => {
            supabase.state().check_captcha(caller, &body)?;
            supabase.sign_in_by_password(&body)
        }
        "pkce" => supabase.exchange_code(&body),
        "refresh_token" => supabase.refresh(&body),
        _ => Err(SupabaseError::UnsupportedGrantType),
    }
}
