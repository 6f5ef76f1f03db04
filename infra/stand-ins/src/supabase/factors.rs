//! `POST /factors/{id}/challenge` and `…/verify`: the second factor, after which the session is `aal2`.

use crate::supabase::Supabase;
use crate::supabase::parameters;
use crate::supabase::random;
use crate::supabase::refusal::Refusal;
use crate::supabase::sessions::Amr;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// A factor that was asked for.
pub(super) struct Challenge {
    factor: Uuid,
    /// Unix seconds.
    expires_at: i64,
}

pub(super) async fn challenge(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    Path(factor): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let mut state = supabase.state();
    let me = supabase.signed_in(&state, &headers)?;
    let factor = Uuid::parse_str(&factor).map_err(|_| Refusal::FactorNotFound)?;
    state.people.find(me.person).and_then(|account| account.totp.get(&factor)).ok_or(Refusal::FactorNotFound)?;
    let (id, expires_at) = (random::uuid()?, supabase.now() + LIFETIME);
    state.challenges.insert(id, Challenge { factor, expires_at });
    Ok(Json(json!({ "id": id, "type": "totp", "expires_at": expires_at })))
}

pub(super) async fn verify(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    Path(factor): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let now = supabase.now();
    let mut state = supabase.state();
    let me = supabase.signed_in(&state, &headers)?;
    let Asked { challenge_id, code } = parameters::json(&body)?;
    let factor = Uuid::parse_str(&factor).map_err(|_| Refusal::FactorNotFound)?;
    let account = state.people.find(me.person).ok_or(Refusal::FactorNotFound)?;
    let key = account.totp.get(&factor).ok_or(Refusal::FactorNotFound)?;
    let id = challenge_id.and_then(|id| Uuid::parse_str(&id).ok()).ok_or(Refusal::FactorNotFound)?;
    let challenge = state.challenges.get(&id).filter(|challenge| challenge.factor == factor);
    if challenge.ok_or(Refusal::FactorNotFound)?.expires_at < now {
        return Err(Refusal::ChallengeExpired);
    }
    if !key.accepts(&code.unwrap_or_default(), now) {
        return Err(Refusal::WrongTotp);
    }
    state.challenges.remove(&id);
    let amr = Amr { method: "totp".to_owned(), timestamp: now };
    let (session, refresh_token) = state.sessions.step_up(me.session, amr)?;
    supabase.tokens(&state, &session, &refresh_token).map(Json)
}

#[derive(Deserialize)]
struct Asked {
    challenge_id: Option<String>,
    code: Option<String>,
}

/// Seconds.
const LIFETIME: i64 = 300;
