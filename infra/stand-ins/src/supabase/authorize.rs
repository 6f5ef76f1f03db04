//! `GET /authorize`: sends the browser to the social provider.

use crate::supabase::Supabase;
use crate::supabase::flow::{Challenge, Flow, Handover, Way};
use crate::supabase::parameters::Parameters;
use crate::supabase::random;
use crate::supabase::redirect::redirect;
use crate::supabase::refusal::Refusal;
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
) -> Result<Response, Refusal> {
    let provider = parameters.first("provider").to_lowercase();
    if !SOCIAL.contains(&provider.as_str()) {
        return Err(Refusal::UnknownProvider(parameters.first("provider").to_owned()));
    }
    if !supabase.providers.contains(&provider) || supabase.state().config.providers_off.contains(&provider) {
        return Err(Refusal::ProviderDisabled);
    }
    let redirect_to = supabase.redirect_to(&headers, &parameters);
    let challenge = Challenge::read(parameters.first("code_challenge"), parameters.first("code_challenge_method"))?;
    let now = supabase.now();
    let mut state = supabase.state();
    state.handovers.retain(|_, handover| !handover.is_expired(now));
    let flow = match challenge {
        None => None,
        Some(challenge) => {
            let flow = Flow::new(challenge, Way::Social { provider: provider.clone() }, None, now)?;
            let id = flow.id;
            state.flows.push(flow);
            Some(id)
        }
    };
    let handover = random::uuid()?;
    state.handovers.insert(handover, Handover { provider, redirect_to, flow, since: now, grant: None });
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
        .append_pair("state", &handover.to_string())
        .finish();
    Ok(redirect(StatusCode::FOUND, &format!("{}/provider?{query}", supabase.site.url)))
}

/// What the project is at its provider.
const CLIENT_ID: &str = "amble";
