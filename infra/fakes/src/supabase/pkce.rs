//! `POST /token?grant_type=pkce`.

use crate::supabase::error::SupabaseError;
use crate::supabase::flow_state::AuthenticationMethod;
use crate::supabase::parameters;
use crate::supabase::project::Supabase;
use crate::supabase::random;
use crate::supabase::token_response::TokenResponse;
use serde::Deserialize;
use serde_json::json;

impl Supabase {
    pub(super) fn exchange_code(&self, body: &[u8]) -> Result<TokenResponse, SupabaseError> {
        let params: Params = parameters::json(body, "api.PKCEGrantParams")?;
        let (Some(code), Some(verifier)) = (non_empty(params.auth_code), non_empty(params.code_verifier)) else {
            return Err(SupabaseError::Invalid(
                "invalid request: both auth code and code verifier should be non-empty",
            ));
        };
        let mut state = self.state();
        let found = state.flows.iter().position(|flow| flow.code.to_string() == code && flow.person.is_some());
        let at = found.ok_or(SupabaseError::FlowNotFound)?;
        let flow = state.flows.get(at).ok_or(SupabaseError::FlowNotFound)?;
        if flow.is_expired(self.now()) {
            return Err(SupabaseError::FlowExpired);
        }
        flow.verify(&verifier)?;
        let person = flow.person.ok_or(SupabaseError::FlowNotFound)?;
        let authentication_method = flow.authentication_method.clone();
        let provider = match &authentication_method {
            AuthenticationMethod::Social { provider } => Some(provider.as_str()),
            AuthenticationMethod::MagicLink | AuthenticationMethod::Confirmation => None,
        };
        let mut issued = self.sign_in(&mut state, person, authentication_method.amr_method(), provider)?;
        state.flows.remove(at);
        if let Some(provider) = provider {
            for name in ["provider_token", "provider_refresh_token"] {
                issued.body.insert(name.to_owned(), json!(format!("{provider}-{}", random::uuid()?)));
            }
        }
        Ok(issued)
    }
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[derive(Deserialize)]
struct Params {
    auth_code: Option<String>,
    code_verifier: Option<String>,
}
