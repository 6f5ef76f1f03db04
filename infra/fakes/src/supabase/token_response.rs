//! What every way of signing in ends with: an access token, a refresh token and the user.

use crate::supabase::config::AccessTokenHook;
use crate::supabase::error::SupabaseError;
use crate::supabase::project::Supabase;
use crate::supabase::session_headers::add_session_headers;
use crate::supabase::sessions::{Amr, Session};
use crate::supabase::state::State;
use axum::Json;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The answer of `/token` and its like, with what GoTrue says of it in headers.
pub(super) struct TokenResponse {
    pub(super) body: Map<String, Value>,
    pub(super) session: Uuid,
    pub(super) person: Uuid,
    /// Whether a refresh repeated an earlier one; `None` where nothing was rotated.
    pub(super) reused: Option<bool>,
    /// Not after a second factor.
    pub(super) has_session_headers: bool,
}

impl IntoResponse for TokenResponse {
    fn into_response(self) -> Response {
        let (session, person, reused, named) = (self.session, self.person, self.reused, self.has_session_headers);
        let mut response = Json(Value::Object(self.body)).into_response();
        if named {
            add_session_headers(&mut response, session, person);
        }
        if let Some(reused) = reused {
            let reused = HeaderValue::from_static(if reused { "true" } else { "false" });
            response.headers_mut().insert("sb-auth-refresh-token-reuse", reused);
        }
        response
    }
}

impl Supabase {
    /// Begins a session for this person and answers with its tokens. `provider` is the way in that `app_metadata` will list.
    pub(super) fn sign_in(
        &self,
        state: &mut State,
        person: Uuid,
        method: &str,
        provider: Option<&str>,
    ) -> Result<TokenResponse, SupabaseError> {
        state.run_access_token_hook(person)?;
        let now = self.now();
        state.people.find_mut(person).ok_or(SupabaseError::UnexpectedFailure)?.signed_in(provider, now);
        let amr = Amr { method: method.to_owned(), timestamp: now };
        let version = state.config.refresh_token_version;
        let (session, refresh_token) = state.sessions.begin(person, amr, version)?;
        self.tokens(state, &session, &refresh_token)
    }

    /// The answer for a session and its new refresh token.
    pub(super) fn tokens(
        &self,
        state: &State,
        session: &Session,
        refresh_token: &str,
    ) -> Result<TokenResponse, SupabaseError> {
        let account = state.people.find(session.person).ok_or(SupabaseError::UnexpectedFailure)?;
        let person = &account.person;
        let now = self.now();
        let issued_at = if person.expired { now - 2 * LIFETIME } else { now };
        // Supabase's own OAuth server marks the sessions it makes for third parties so.
        let amr = if person.with_client_id {
            json!([{ "method": "oauth_provider/authorization_code", "timestamp": issued_at }])
        } else {
            json!(session.amr)
        };
        let mut claims = json!({
            "iss": self.issuer(),
            "sub": account.id,
            "aud": "authenticated",
            "exp": issued_at + LIFETIME,
            "iat": issued_at,
            "email": if person.phone.is_some() { "" } else { person.email.as_str() },
            "phone": person.phone.as_deref().unwrap_or_default(),
            "app_metadata": account.app_metadata(),
            "user_metadata": account.user_metadata(),
            "role": "authenticated",
            "aal": session.aal(),
            "amr": amr,
            "session_id": session.id,
            "is_anonymous": person.anonymous,
        });
        if let Some(claims) = claims.as_object_mut() {
            if person.without_iss || state.config.without_issuer {
                claims.remove("iss");
            }
            if person.with_client_id {
                claims.insert("client_id".to_owned(), json!(THIRD_PARTY));
                claims.insert("scope".to_owned(), json!("openid email"));
            }
            if let Some(AccessTokenHook::Keeps(kept)) = &state.config.access_token_hook {
                claims.retain(|name, _| kept.contains(name));
                // What comes back from a hook has been read and written once more.
                claims.insert("aud".to_owned(), json!(["authenticated"]));
            }
        }
        let members = [
            ("access_token", json!(state.keyring.sign(&claims)?)),
            ("token_type", json!("bearer")),
            ("expires_in", json!(LIFETIME)),
            ("expires_at", json!(issued_at + LIFETIME)),
            ("refresh_token", json!(refresh_token)),
            ("user", account.user()),
        ];
        let body = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(TokenResponse { body, session: session.id, person: session.person, reused: None, has_session_headers: true })
    }
}

impl State {
    /// Asked before anything is issued or spent, as the real one undoes everything when its hook refuses.
    pub(super) fn run_access_token_hook(&self, person: Uuid) -> Result<(), SupabaseError> {
        match &self.config.access_token_hook {
            Some(AccessTokenHook::Refuses(message)) => {
                let error = Box::new(SupabaseError::ByHook(message.clone()));
                Err(SupabaseError::InSession { error, session: crate::supabase::random::uuid()?, person })
            }
            _ => Ok(()),
        }
    }
}

/// Seconds (`JWT_EXP`).
const LIFETIME: i64 = 3600;
/// A client of Supabase's own OAuth server.
const THIRD_PARTY: &str = "7b1f2a54-3c7a-4b0e-9a39-51c3f0a6d2e8";
