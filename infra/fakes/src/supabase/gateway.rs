//! The gateway before GoTrue: no key, no entry.

use crate::supabase::error::SupabaseError;
use crate::supabase::parameters::Parameters;
use crate::supabase::project::Supabase;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// Which key a request carried; behind the gateway every request has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Publishable,
    Secret,
}

pub(super) async fn require_api_key(
    State(supabase): State<Arc<Supabase>>,
    parameters: Parameters,
    mut request: Request,
    next: Next,
) -> Result<Response, SupabaseError> {
    let key = request.headers().get("apikey").map_or(Ok(parameters.first("apikey")), |value| value.to_str());
    let caller = match key.map_err(|_| SupabaseError::UnknownApiKey)? {
        "" => return Err(SupabaseError::NoApiKey),
        key if key == supabase.site.publishable_key => Caller::Publishable,
        key if supabase.site.secret_key.is(key) => Caller::Secret,
        _ => return Err(SupabaseError::UnknownApiKey),
    };
    if caller == Caller::Secret && from_browser(request.headers()) {
        return Err(SupabaseError::SecretKeyInBrowser);
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Takes `Sb-Forwarded-For` away from all who have no secret key.
pub(super) async fn keep_forwarded_for(
    State(supabase): State<Arc<Supabase>>,
    mut request: Request,
    next: Next,
) -> Response {
    let key = request.headers().get("apikey").and_then(|key| key.to_str().ok());
    if !key.is_some_and(|key| supabase.site.secret_key.is(key)) {
        request.headers_mut().remove(FORWARDED_FOR);
    }
    next.run(request).await
}

/// In which a holder of the secret key says for which address a request is.
pub(super) const FORWARDED_FOR: &str = "sb-forwarded-for";

fn from_browser(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}
