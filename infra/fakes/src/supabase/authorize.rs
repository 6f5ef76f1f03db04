//! `GET /authorize`: sends the browser to the social provider.

use crate::supabase::error::SupabaseError;
use crate::supabase::flow_state::{AuthenticationMethod, Challenge, FlowState, ProviderRedirect};
use crate::supabase::parameters::Parameters;
use crate::supabase::project::Supabase;
use crate::supabase::random;
use crate::supabase::redirect::redirect;
use crate::supabase::settings::SOCIAL;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::sync::Arc;
use url::form_urlencoded;

pub(super) async fn begin(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, SupabaseError> {
    let provider = parameters.first("provider").to_lowercase();
    if !SOCIAL.contains(&provider.as_str()) {
        return Err(SupabaseError::UnknownProvider(parameters.first("provider").to_owned()));
    }
    if !supabase.providers.contains(&provider) || supabase.state().config.providers_off.contains(&provider) {
        return Err(SupabaseError::ProviderDisabled);
    }
    let redirect_to = supabase.redirect_to(&headers, &parameters);
    let challenge = Challenge::parse(parameters.first("code_challenge"), parameters.first("code_challenge_method"))?;
    let now = supabase.now();
    let mut state = supabase.state();
    state.provider_redirects.retain(|_, provider_redirect| !provider_redirect.is_expired(now));
    let flow = match challenge {
        None => None,
        Some(challenge) => {
            let flow =
                FlowState::new(challenge, AuthenticationMethod::Social { provider: provider.clone() }, None, now)?;
            let id = flow.id;
            state.flows.push(flow);
            Some(id)
        }
    };
    let provider_redirect = random::uuid()?;
    state
        .provider_redirects
        .insert(provider_redirect, ProviderRedirect { provider, redirect_to, flow, since: now, grant: None });
    // As an OpenID provider is asked (OpenID Connect Core §3.1.2.1).
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("client_id", CLIENT_ID);
    if !parameters.first("redirect_to").is_empty() {
        query.append_pair("redirect_to", parameters.first("redirect_to"));
    }
    let query = query
        .append_pair("redirect_uri", &format!("{}/callback", supabase.issuer()))
        .append_pair("response_type", "code")
        .append_pair("scope", "profile email")
        .append_pair("state", &provider_redirect.to_string())
        .finish();
    Ok(redirect(StatusCode::FOUND, &format!("{}/provider?{query}", supabase.site.url)))
}

/// What the project is at its provider.
const CLIENT_ID: &str = "amble";
