//! `GET /authorize`: sends the browser to the social provider.

use crate::supabase::Supabase;
use crate::supabase::flow::{Challenge, Flow, Handover, Way};
use crate::supabase::parameters::Parameters;
use crate::supabase::random;
use crate::supabase::refusal::Refusal;
use crate::supabase::settings::SOCIAL;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use std::sync::Arc;

pub(super) async fn begin(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<impl IntoResponse, Refusal> {
    let provider = parameters.first("provider").to_lowercase();
    if !SOCIAL.contains(&provider.as_str()) {
        return Err(Refusal::UnknownProvider(parameters.first("provider").to_owned()));
    }
    if !supabase.providers.contains(&provider) {
        return Err(Refusal::ProviderDisabled);
    }
    let redirect_to = supabase.redirect_to(&headers, &parameters)?;
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
    let provider = format!("{}/provider?state={handover}", supabase.site.url);
    Ok((StatusCode::FOUND, [(header::LOCATION, provider)]))
}
