//! `GET /callback`: the browser comes back from the social provider (GoTrue `internal/api/external.go`).

use crate::supabase::Supabase;
use crate::supabase::flow::Handover;
use crate::supabase::parameters::Parameters;
use crate::supabase::redirect::{with_fragment, with_query};
use crate::supabase::refusal::Refusal;
use crate::supabase::verify::fragment_of;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

pub(super) async fn end(State(supabase): State<Arc<Supabase>>, parameters: Parameters) -> Result<Response, Refusal> {
    let handover = match supabase.take_handover(parameters.first("state")) {
        Ok(handover) => handover,
        // Without its state nobody knows where the browser belongs but at home.
        Err(refusal) => {
            tracing::info!(?refusal, "sign-in stand-in refused a callback");
            let home = with_query(supabase.site_url()?, &refusal.for_redirect());
            return Ok(Redirect::to(home.as_str()).into_response());
        }
    };
    let redirect_to = handover.redirect_to.clone();
    let back = supabase.end_handover(handover, &parameters).unwrap_or_else(|refusal| {
        tracing::info!(?refusal, "sign-in stand-in refused a callback");
        let told = refusal.for_redirect();
        with_fragment(with_query(redirect_to, &told), &told)
    });
    Ok((StatusCode::FOUND, [(header::LOCATION, back.to_string())]).into_response())
}

impl Supabase {
    fn take_handover(&self, state: &str) -> Result<Handover, Refusal> {
        if state.is_empty() {
            return Err(Refusal::NoState);
        }
        let id = Uuid::parse_str(state).map_err(|_| Refusal::UnknownState)?;
        let handover = self.state().handovers.remove(&id).ok_or(Refusal::UnknownState)?;
        if handover.is_expired(self.now()) { Err(Refusal::UnknownState) } else { Ok(handover) }
    }

    fn end_handover(&self, handover: Handover, parameters: &Parameters) -> Result<Url, Refusal> {
        let (error, code) = (parameters.first("error"), parameters.first("code"));
        if !error.is_empty() {
            let description = parameters.first("error_description").to_owned();
            return Err(Refusal::FromProvider { error: error.to_owned(), description });
        }
        if code.is_empty() {
            return Err(Refusal::NoProviderCode);
        }
        let person = match handover.grant {
            Some((granted, person)) if granted.to_string() == code => person,
            _ => return Err(Refusal::UnknownProviderCode),
        };
        let now = self.now();
        let mut state = self.state();
        let account = state.people.find_mut(person).ok_or(Refusal::UnknownProviderCode)?;
        if account.person.banned {
            return Err(Refusal::Banned);
        }
        // The provider vouches for the address.
        account.confirm(now);
        let Some(id) = handover.flow else {
            let tokens = self.sign_in(&mut state, person, "oauth", Some(&handover.provider))?;
            let mut fragment = fragment_of(&tokens, "");
            fragment.retain(|(name, _)| *name != "type");
            fragment.push(("provider_token", format!("{}-{}", handover.provider, crate::supabase::random::uuid()?)));
            return Ok(with_fragment(handover.redirect_to, &fragment));
        };
        let flow = state.flows.iter_mut().find(|flow| flow.id == id).ok_or(Refusal::FlowNotFound)?;
        if flow.person.replace(person).is_some() {
            return Err(Refusal::FlowUsed);
        }
        flow.since = now;
        Ok(with_query(handover.redirect_to, &[("code", flow.code.to_string())]))
    }
}
