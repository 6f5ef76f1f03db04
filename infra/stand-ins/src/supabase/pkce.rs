//! `POST /token?grant_type=pkce`.

use crate::supabase::Supabase;
use crate::supabase::access_token::Issued;
use crate::supabase::flow::Way;
use crate::supabase::parameters;
use crate::supabase::random;
use crate::supabase::refusal::Refusal;
use serde::Deserialize;
use serde_json::json;

impl Supabase {
    pub(super) fn exchange_code(&self, body: &[u8]) -> Result<Issued, Refusal> {
        let asked: Asked = parameters::json(body, "api.PKCEGrantParams")?;
        let (Some(code), Some(verifier)) = (given(asked.auth_code), given(asked.code_verifier)) else {
            return Err(Refusal::Invalid("invalid request: both auth code and code verifier should be non-empty"));
        };
        let mut state = self.state();
        let found = state.flows.iter().position(|flow| flow.code.to_string() == code && flow.person.is_some());
        let at = found.ok_or(Refusal::FlowNotFound)?;
        let flow = state.flows.get(at).ok_or(Refusal::FlowNotFound)?;
        if flow.is_expired(self.now()) {
            return Err(Refusal::FlowExpired);
        }
        flow.prove(&verifier)?;
        let person = flow.person.ok_or(Refusal::FlowNotFound)?;
        let way = flow.way.clone();
        let provider = match &way {
            Way::Social { provider } => Some(provider.as_str()),
            Way::MagicLink | Way::Confirmation => None,
        };
        let mut issued = self.sign_in(&mut state, person, way.method(), provider)?;
        state.flows.remove(at);
        if let Some(provider) = provider {
            for name in ["provider_token", "provider_refresh_token"] {
                issued.body.insert(name.to_owned(), json!(format!("{provider}-{}", random::uuid()?)));
            }
        }
        Ok(issued)
    }
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[derive(Deserialize)]
struct Asked {
    auth_code: Option<String>,
    code_verifier: Option<String>,
}
