//! `POST /factors/{id}/challenge` and `…/verify`: the second factor, after which the session is `aal2`.

use crate::supabase::error::SupabaseError;
use crate::supabase::mfa_challenge::MfaChallenge;
use crate::supabase::parameters;
use crate::supabase::project::Supabase;
use crate::supabase::random;
use crate::supabase::sessions::Amr;
use crate::supabase::token_response::TokenResponse;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(super) async fn challenge(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    Path(factor): Path<String>,
) -> Result<Json<Value>, SupabaseError> {
    let mut state = supabase.state();
    let me = supabase.signed_in(&state, &headers)?;
    let factor = Uuid::parse_str(&factor).map_err(|_| SupabaseError::FactorIdNotUuid)?;
    let (address, now) = (state.address(&headers), supabase.now());
    let account = state.people.find_mut(me.person).filter(|account| account.totp.contains_key(&factor));
    account.ok_or(SupabaseError::FactorNotFound)?.challenged(now);
    let (id, expires_at) = (random::uuid()?, now + LIFETIME);
    state.challenges.insert(id, MfaChallenge { factor, address, verified: false, expires_at });
    Ok(Json(json!({ "id": id, "type": "totp", "expires_at": expires_at })))
}

pub(super) async fn verify(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    Path(factor): Path<String>,
    body: Bytes,
) -> Result<TokenResponse, SupabaseError> {
    let now = supabase.now();
    let mut state = supabase.state();
    let me = supabase.signed_in(&state, &headers)?;
    let Params { challenge_id, code } = parameters::json(&body, "api.VerifyFactorParams")?;
    let factor = Uuid::parse_str(&factor).map_err(|_| SupabaseError::FactorIdNotUuid)?;
    let account = state.people.find(me.person).ok_or(SupabaseError::FactorNotFound)?;
    account.totp.get(&factor).ok_or(SupabaseError::FactorNotFound)?;
    let id = challenge_id.and_then(|id| Uuid::parse_str(&id).ok()).ok_or(SupabaseError::ChallengeNotFound)?;
    let challenge = state.challenges.get(&id).filter(|challenge| challenge.factor == factor);
    let challenge = challenge.ok_or(SupabaseError::ChallengeNotFound)?;
    // One that was used before is told in the same words.
    let mismatch = challenge.verified || challenge.address != state.address(&headers);
    let expired = challenge.expires_at < now;
    if mismatch || state.addresses_changed > 0 {
        state.addresses_changed = state.addresses_changed.saturating_sub(1);
        return Err(SupabaseError::AddressMismatch);
    }
    if expired {
        return Err(SupabaseError::ChallengeExpired);
    }
    let account = state.people.find(me.person).ok_or(SupabaseError::FactorNotFound)?;
    let key = account.totp.get(&factor).ok_or(SupabaseError::FactorNotFound)?;
    if !key.accepts(&code.unwrap_or_default(), now) {
        return Err(SupabaseError::WrongTotp);
    }
    state.run_access_token_hook(me.person)?;
    if let Some(challenge) = state.challenges.get_mut(&id) {
        challenge.verified = true;
    }
    let amr = Amr { method: "totp".to_owned(), timestamp: now };
    state.people.find_mut(me.person).ok_or(SupabaseError::UnexpectedFailure)?.verified(factor);
    let version = state.config.refresh_token_version;
    let (session, refresh_token) = state.sessions.step_up(me.session, amr, version)?;
    // A person who has a factor keeps no session that was made without one.
    state.sessions.end(|other| other.person == me.person && other.aal() == "aal1");
    Ok(TokenResponse { has_session_headers: false, ..supabase.tokens(&state, &session, &refresh_token)? })
}

#[derive(Deserialize)]
struct Params {
    challenge_id: Option<String>,
    code: Option<String>,
}

/// Seconds.
const LIFETIME: i64 = 300;
