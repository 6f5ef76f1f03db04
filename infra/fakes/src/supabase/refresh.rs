//! `POST /token?grant_type=refresh_token`.

use crate::supabase::error::SupabaseError;
use crate::supabase::parameters;
use crate::supabase::project::Supabase;
use crate::supabase::sessions;
use crate::supabase::token_response::TokenResponse;
use serde::Deserialize;

impl Supabase {
    pub(super) fn refresh(&self, body: &[u8]) -> Result<TokenResponse, SupabaseError> {
        let Params { refresh_token } = parameters::json(body, "api.RefreshTokenGrantParams")?;
        let presented = refresh_token.unwrap_or_default();
        if !sessions::is_refresh_token(&presented) {
            return Err(SupabaseError::Invalid("Refresh token is not valid"));
        }
        let mut state = self.state();
        let session = state.sessions.of_refresh_token(&presented)?.clone();
        if state.people.find(session.person).is_some_and(|account| account.person.banned) {
            return Err(SupabaseError::BannedAtRefresh);
        }
        state.run_access_token_hook(session.person)?;
        let version = state.config.refresh_token_version;
        let rotation = state.sessions.rotate(&presented, self.now(), version).map_err(|error| {
            SupabaseError::InSession { error: Box::new(error), session: session.id, person: session.person }
        })?;
        let issued = self.tokens(&state, &session, &rotation.token)?;
        Ok(TokenResponse { reused: rotation.rotated.then_some(false), ..issued })
    }
}

#[derive(Deserialize)]
struct Params {
    refresh_token: Option<String>,
}
