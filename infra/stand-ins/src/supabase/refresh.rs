//! `POST /token?grant_type=refresh_token`.

use crate::supabase::Supabase;
use crate::supabase::parameters;
use crate::supabase::refusal::Refusal;
use serde::Deserialize;
use serde_json::Value;

impl Supabase {
    pub(super) fn refresh(&self, body: &[u8]) -> Result<Value, Refusal> {
        let Asked { refresh_token } = parameters::json(body)?;
        let presented = refresh_token.filter(|token| !token.is_empty()).ok_or(Refusal::NoRefreshToken)?;
        let mut state = self.state();
        let session = state.sessions.of_refresh_token(&presented)?.clone();
        if state.people.find(session.person).is_some_and(|account| account.person.banned) {
            return Err(Refusal::BannedAtRefresh);
        }
        let successor = state.sessions.turn(&presented, self.now())?;
        self.tokens(&state, &session, &successor)
    }
}

#[derive(Deserialize)]
struct Asked {
    refresh_token: Option<String>,
}
