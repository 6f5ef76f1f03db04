//! Whose access token a request carries (GoTrue `internal/api/auth.go`).

use crate::supabase::error::SupabaseError;
use crate::supabase::keyring::JwtError;
use crate::supabase::project::Supabase;
use crate::supabase::state::State;
use axum::http::{HeaderMap, header};
use serde_json::Value;
use uuid::Uuid;

/// A token of ours, unexpired, of a person and a session that exist and are not banned.
pub(super) struct SignedIn {
    pub(super) person: Uuid,
    pub(super) session: Uuid,
}

impl Supabase {
    pub(super) fn signed_in(&self, state: &State, headers: &HeaderMap) -> Result<SignedIn, SupabaseError> {
        let unverified =
            |why: &str| SupabaseError::BadJwt(format!("invalid JWT: unable to parse or verify signature, {why}"));
        let claims = state.keyring.verify(bearer(headers)?).map_err(|bad| match bad {
            JwtError::Malformed(why) => unverified(&format!("token is malformed: {why}")),
            JwtError::UnknownKey => unverified("unrecognized JWT kid"),
            JwtError::Wrong(why) => unverified(&format!("token signature is invalid: {why}")),
        })?;
        if claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp <= self.now()) {
            return Err(unverified("token has invalid claims: token is expired"));
        }
        let id = |name| claims.get(name).and_then(Value::as_str).and_then(|text| Uuid::parse_str(text).ok());
        let person = id("sub").ok_or(SupabaseError::BadJwt("invalid claim: missing sub claim".to_owned()))?;
        let session = id("session_id")
            .ok_or(SupabaseError::BadJwt("invalid claim: session_id claim must be a UUID".to_owned()))?;
        let account = state.people.find(person).ok_or(SupabaseError::UserOfTokenNotFound)?;
        if account.person.banned {
            return Err(SupabaseError::Banned);
        }
        state.sessions.find(session).filter(|found| found.person == person).ok_or(SupabaseError::SessionNotFound)?;
        Ok(SignedIn { person, session })
    }
}

/// `Bearer` in any case. An API key there is no token: the gateway takes it away.
fn bearer(headers: &HeaderMap) -> Result<&str, SupabaseError> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let api_key = headers.get("apikey").and_then(|value| value.to_str().ok());
            if token.is_empty() || Some(token) == api_key { Err(SupabaseError::NoBearer) } else { Ok(token) }
        }
        _ => Err(SupabaseError::NoBearer),
    }
}
