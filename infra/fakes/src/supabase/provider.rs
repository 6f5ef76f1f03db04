//! The social provider: one page for all of them, on which a person of the seed is picked. Works without JavaScript.

use crate::supabase::error::SupabaseError;
use crate::supabase::parameters::Parameters;
use crate::supabase::project::Supabase;
use crate::supabase::random;
use crate::supabase::redirect::with_query;
use crate::supabase::state::State as ProjectState;
use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Redirect};
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

pub(super) async fn page(
    State(supabase): State<Arc<Supabase>>,
    parameters: Parameters,
) -> Result<impl IntoResponse, SupabaseError> {
    let id = Uuid::parse_str(parameters.first("state")).map_err(|_| SupabaseError::UnknownState)?;
    let state = supabase.state();
    let provider_redirect = state.provider_redirects.get(&id).ok_or(SupabaseError::UnknownState)?;
    let mut people: Vec<Choice> = state
        .people
        .all()
        .map(|account| Choice {
            id: account.id,
            name: account.person.full_name.clone(),
            email: account.person.email.clone(),
        })
        .collect();
    people.sort_by(|one, other| one.email.cmp(&other.email));
    let site = Url::parse(&provider_redirect.redirect_to).map_err(|_| SupabaseError::UnexpectedFailure)?;
    let page = Page { provider: &provider_redirect.provider, site: site.authority(), state: id, people };
    let page = page.render().map_err(|_| SupabaseError::UnexpectedFailure)?;
    Ok((crate::supabase::inbox::PAGE_HEADERS, Html(page)))
}

/// The choice comes back as the provider's redirect to `/callback`. `stranger` is the address of somebody whom the project
/// may not know.
pub(super) async fn choose(State(supabase): State<Arc<Supabase>>, body: Bytes) -> Result<Redirect, SupabaseError> {
    let form = Parameters::of_form(&body);
    let id = Uuid::parse_str(form.first("state")).map_err(|_| SupabaseError::UnknownState)?;
    let callback = format!("{}/callback?state={id}", supabase.issuer());
    let mut state = supabase.state();
    let callback = match (form.first("person"), form.first("stranger")) {
        ("", "") if form.first("answer") == "no address" => grant(&mut state, id, &callback, String::new())?,
        ("", "") => {
            let (error, description) = match form.first("answer") {
                "unavailable" => ("temporarily_unavailable", "The provider is down for maintenance"),
                "error" => ("server_error", "The provider is out of order"),
                _ => ("access_denied", "The user denied the request"),
            };
            with_query(&callback, &[("error", error.to_owned()), ("error_description", description.to_owned())])
        }
        (person, stranger) => {
            let email = if stranger.is_empty() {
                let person = Uuid::parse_str(person).map_err(|_| SupabaseError::UnknownPerson)?;
                state.people.find(person).ok_or(SupabaseError::UnknownPerson)?.person.email.clone()
            } else {
                stranger.to_lowercase()
            };
            grant(&mut state, id, &callback, email)?
        }
    };
    Ok(Redirect::to(&callback))
}

/// The way back with the provider's code for somebody of this address; an empty one is not told.
fn grant(state: &mut ProjectState, id: Uuid, callback: &str, email: String) -> Result<String, SupabaseError> {
    let provider_redirect = state.provider_redirects.get_mut(&id).ok_or(SupabaseError::UnknownState)?;
    let code = random::uuid()?;
    provider_redirect.grant = Some((code, email));
    Ok(with_query(callback, &[("code", code.to_string())]))
}

#[derive(Template)]
#[template(path = "provider.html")]
struct Page<'a> {
    provider: &'a str,
    site: &'a str,
    state: Uuid,
    people: Vec<Choice>,
}

struct Choice {
    id: Uuid,
    name: String,
    email: String,
}
