//! `GET /callback`: the browser comes back from the social provider (GoTrue `internal/api/external.go`).

use crate::supabase::Supabase;
use crate::supabase::access_token::name_session;
use crate::supabase::flow::Handover;
use crate::supabase::parameters::Parameters;
use crate::supabase::random;
use crate::supabase::redirect::{redirect, redirect_then, with_error_fragment, with_fragment, with_query};
use crate::supabase::refusal::Refusal;
use crate::supabase::verify::fragment_of;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;
use uuid::Uuid;

pub(super) async fn end(State(supabase): State<Arc<Supabase>>, parameters: Parameters) -> Response {
    let handover = match supabase.take_handover(parameters.first("state")) {
        Ok(handover) => handover,
        // Without its state nobody knows where the browser belongs but at home.
        Err(refusal) => {
            tracing::info!(?refusal, "sign-in stand-in refused a callback");
            let home = with_query(&supabase.site.site_url, &refusal.for_redirect());
            // The real one answers twice: a redirect, and what it would have said without one.
            return redirect_then(StatusCode::SEE_OTHER, &home, &refusal.in_old_form());
        }
    };
    let redirect_to = handover.redirect_to.clone();
    match supabase.end_handover(handover, &parameters) {
        Ok((back, None)) => redirect(StatusCode::FOUND, &back),
        Ok((back, Some((session, person)))) => {
            let mut response = redirect(StatusCode::FOUND, &back);
            name_session(&mut response, session, person);
            response
        }
        Err(refusal) => {
            tracing::info!(?refusal, "sign-in stand-in refused a callback");
            let told = refusal.for_redirect();
            redirect(StatusCode::FOUND, &with_error_fragment(&with_query(&redirect_to, &told), &told))
        }
    }
}

/// Where the browser goes, and with which session and person where it carries their tokens.
type Back = (String, Option<(Uuid, Uuid)>);

impl Supabase {
    fn take_handover(&self, state: &str) -> Result<Handover, Refusal> {
        if state.is_empty() {
            return Err(Refusal::NoState);
        }
        let id = Uuid::parse_str(state).map_err(|_| Refusal::StateNotUuid)?;
        let handover = self.state().handovers.remove(&id).ok_or(Refusal::UnknownState)?;
        if handover.is_expired(self.now()) { Err(Refusal::UnknownState) } else { Ok(handover) }
    }

    fn end_handover(&self, handover: Handover, parameters: &Parameters) -> Result<Back, Refusal> {
        let (error, code) = (parameters.first("error"), parameters.first("code"));
        if !error.is_empty() {
            let description = parameters.first("error_description").to_owned();
            return Err(Refusal::FromProvider { error: error.to_owned(), description });
        }
        if code.is_empty() {
            return Err(Refusal::NoProviderCode);
        }
        let email = match handover.grant {
            Some((granted, email)) if granted.to_string() == code => email,
            _ => return Err(Refusal::UnknownProviderCode(code.chars().take(4).collect())),
        };
        if email.is_empty() {
            return Err(Refusal::NoAddress);
        }
        let now = self.now();
        let mut state = self.state();
        let known = state.people.find_by_email(&email).map(|account| account.id);
        let person = match known {
            Some(person) => person,
            None if state.config.disable_signup => return Err(Refusal::SignupDisabled),
            None => state.people.sign_up(&email, now)?,
        };
        let account = state.people.find_mut(person).ok_or(Refusal::Fault)?;
        if account.person.banned {
            return Err(Refusal::Banned);
        }
        // The provider vouches for the address.
        account.confirm(now);
        let Some(id) = handover.flow else {
            let tokens = self.sign_in(&mut state, person, "oauth", Some(&handover.provider))?;
            let mut fragment = fragment_of(&tokens.body);
            for name in ["provider_token", "provider_refresh_token"] {
                fragment.push((name, format!("{}-{}", handover.provider, random::uuid()?)));
            }
            return Ok((with_fragment(&handover.redirect_to, &fragment), Some((tokens.session, person))));
        };
        let flow = state.flows.iter_mut().find(|flow| flow.id == id).ok_or(Refusal::FlowNotFound)?;
        if flow.person.replace(person).is_some() {
            return Err(Refusal::FlowUsed);
        }
        flow.since = now;
        Ok((with_query(&handover.redirect_to, &[("code", flow.code.to_string())]), None))
    }
}
