//! `GET /callback`: the browser comes back from the social provider (GoTrue `internal/api/external.go`).

use crate::supabase::error::SupabaseError;
use crate::supabase::flow_state::ProviderRedirect;
use crate::supabase::parameters::Parameters;
use crate::supabase::project::Supabase;
use crate::supabase::random;
use crate::supabase::redirect::{redirect, redirect_then, with_error_fragment, with_fragment, with_query};
use crate::supabase::session_headers::add_session_headers;
use crate::supabase::verify::fragment_of;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;
use uuid::Uuid;

pub(super) async fn end(State(supabase): State<Arc<Supabase>>, parameters: Parameters) -> Response {
    let provider_redirect = match supabase.take_provider_redirect(parameters.first("state")) {
        Ok(provider_redirect) => provider_redirect,
        // Without its state nobody knows where the browser belongs but at home.
        Err(error) => {
            tracing::info!(?error, "fake Supabase refused a callback");
            let home = with_query(&supabase.site.site_url, &error.redirect_parameters());
            // The real one answers twice: a redirect, and what it would have said without one.
            return redirect_then(StatusCode::SEE_OTHER, &home, &error.legacy_body());
        }
    };
    let redirect_to = provider_redirect.redirect_to.clone();
    match supabase.finish_provider_redirect(provider_redirect, &parameters) {
        Ok((back, None)) => redirect(StatusCode::FOUND, &back),
        Ok((back, Some((session, person)))) => {
            let mut response = redirect(StatusCode::FOUND, &back);
            add_session_headers(&mut response, session, person);
            response
        }
        Err(error) => {
            tracing::info!(?error, "fake Supabase refused a callback");
            let error_parameters = error.redirect_parameters();
            redirect(
                StatusCode::FOUND,
                &with_error_fragment(&with_query(&redirect_to, &error_parameters), &error_parameters),
            )
        }
    }
}

/// Where the browser goes, and with which session and person where it carries their tokens.
type BrowserRedirect = (String, Option<(Uuid, Uuid)>);

impl Supabase {
    fn take_provider_redirect(&self, state: &str) -> Result<ProviderRedirect, SupabaseError> {
        if state.is_empty() {
            return Err(SupabaseError::NoState);
        }
        let id = Uuid::parse_str(state).map_err(|_| SupabaseError::StateNotUuid)?;
        let provider_redirect = self.state().provider_redirects.remove(&id).ok_or(SupabaseError::UnknownState)?;
        if provider_redirect.is_expired(self.now()) { Err(SupabaseError::UnknownState) } else { Ok(provider_redirect) }
    }

    fn finish_provider_redirect(
        &self,
        provider_redirect: ProviderRedirect,
        parameters: &Parameters,
    ) -> Result<BrowserRedirect, SupabaseError> {
        let (error, code) = (parameters.first("error"), parameters.first("code"));
        if !error.is_empty() {
            let description = parameters.first("error_description").to_owned();
            return Err(SupabaseError::FromProvider { error: error.to_owned(), description });
        }
        if code.is_empty() {
            return Err(SupabaseError::NoProviderCode);
        }
        let email = match provider_redirect.grant {
            Some((granted, email)) if granted.to_string() == code => email,
            _ => return Err(SupabaseError::UnknownProviderCode(code.chars().take(4).collect())),
        };
        if email.is_empty() {
            return Err(SupabaseError::NoAddress);
        }
        let now = self.now();
        let mut state = self.state();
        let known = state.people.find_by_email(&email).map(|account| account.id);
        let person = match known {
            Some(person) => person,
            None if state.config.disable_signup => return Err(SupabaseError::SignupDisabled),
            None => state.people.sign_up(&email, now)?,
        };
        let account = state.people.find_mut(person).ok_or(SupabaseError::UnexpectedFailure)?;
        if account.person.banned {
            return Err(SupabaseError::Banned);
        }
        // The provider vouches for the address.
        account.confirm(now);
        let Some(id) = provider_redirect.flow else {
            let tokens = self.sign_in(&mut state, person, "oauth", Some(&provider_redirect.provider))?;
            let mut fragment = fragment_of(&tokens.body);
            for name in ["provider_token", "provider_refresh_token"] {
                fragment.push((name, format!("{}-{}", provider_redirect.provider, random::uuid()?)));
            }
            return Ok((with_fragment(&provider_redirect.redirect_to, &fragment), Some((tokens.session, person))));
        };
        let flow = state.flows.iter_mut().find(|flow| flow.id == id).ok_or(SupabaseError::FlowNotFound)?;
        if flow.person.replace(person).is_some() {
            return Err(SupabaseError::FlowUsed);
        }
        flow.since = now;
        Ok((with_query(&provider_redirect.redirect_to, &[("code", flow.code.to_string())]), None))
    }
}
