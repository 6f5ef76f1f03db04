//! What every way of signing in ends with: an access token, a refresh token and the user.

use crate::supabase::Supabase;
use crate::supabase::refusal::Refusal;
use crate::supabase::sessions::{Amr, Session};
use crate::supabase::state::State;
use serde_json::{Value, json};
use uuid::Uuid;

impl Supabase {
    /// Begins a session for this person and answers with its tokens. `provider` is the way in that `app_metadata` will list.
    pub(super) fn sign_in(
        &self,
        state: &mut State,
        person: Uuid,
        method: &str,
        provider: Option<&str>,
    ) -> Result<Value, Refusal> {
        let now = self.now();
        state.people.find_mut(person).ok_or(Refusal::Fault)?.signed_in(provider, now);
        let amr = Amr { method: method.to_owned(), timestamp: now };
        let (session, refresh_token) = state.sessions.begin(person, amr)?;
        self.tokens(state, &session, &refresh_token)
    }

    /// The answer of `/token` and its like.
    pub(super) fn tokens(&self, state: &State, session: &Session, refresh_token: &str) -> Result<Value, Refusal> {
        let account = state.people.find(session.person).ok_or(Refusal::Fault)?;
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
            "email": person.email,
            "phone": "",
            "app_metadata": account.app_metadata(),
            "user_metadata": account.user_metadata(),
            "role": "authenticated",
            "aal": session.aal(),
            "amr": amr,
            "session_id": session.id,
            "is_anonymous": person.anonymous,
        });
        if let Some(claims) = claims.as_object_mut() {
            if person.without_iss {
                claims.remove("iss");
            }
            if person.with_client_id {
                claims.insert("client_id".to_owned(), json!(THIRD_PARTY));
                claims.insert("scope".to_owned(), json!("openid email"));
            }
        }
        Ok(json!({
            "access_token": state.keyring.sign(&claims)?,
            "token_type": "bearer",
            "expires_in": LIFETIME,
            "expires_at": issued_at + LIFETIME,
            "refresh_token": refresh_token,
            "user": account.user(),
        }))
    }
}

/// Seconds (`JWT_EXP`).
const LIFETIME: i64 = 3600;
/// A client of Supabase's own OAuth server.
const THIRD_PARTY: &str = "7b1f2a54-3c7a-4b0e-9a39-51c3f0a6d2e8";
