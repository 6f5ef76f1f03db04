//! `/admin/users` and `/admin/generate_link`: for holders of the secret key.
//!
//! Of links there are magic links alone, and a ban has no end. No page of a list names the next one.

use crate::supabase::error::SupabaseError;
use crate::supabase::gateway::Caller;
use crate::supabase::one_time_code::{Kind, OneTimeCode};
use crate::supabase::parameters::{self, Parameters};
use crate::supabase::project::Supabase;
use crate::supabase::random;
use crate::supabase::secret::Secret;
use crate::supabase::seed::Person;
use crate::supabase::state::State as ProjectState;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(super) async fn user(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, SupabaseError> {
    let state = supabase.state();
    supabase.require_admin(&state, caller, &headers)?;
    let id = find(&state, &id)?;
    state.people.find(id).map(|account| Json(account.user())).ok_or(SupabaseError::UserNotFound)
}

/// A page of everybody, newest first; `filter` is a part of an address or a name.
pub(super) async fn users(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<([(HeaderName, String); 1], Json<Value>), SupabaseError> {
    let state = supabase.state();
    supabase.require_admin(&state, caller, &headers)?;
    let number = |name, otherwise| match parameters.first(name) {
        "" => Ok(otherwise),
        text => text.parse::<usize>().ok().filter(|number| *number > 0).ok_or(SupabaseError::Pagination),
    };
    let (page, per_page, filter) = (number("page", 1)?, number("per_page", 50)?, parameters.first("filter"));
    let fits = |person: &Person| person.email.contains(filter) || person.full_name.contains(filter);
    let mut found: Vec<_> = state.people.all().filter(|account| fits(&account.person)).collect();
    found.sort_by_key(|account| std::cmp::Reverse(account.created_at()));
    let total = [(HeaderName::from_static("x-total-count"), found.len().to_string())];
    let shown: Vec<_> =
        found.iter().skip((page - 1).saturating_mul(per_page)).take(per_page).map(|account| account.user()).collect();
    Ok((total, Json(json!({ "users": shown, "aud": "authenticated" }))))
}

pub(super) async fn create(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, SupabaseError> {
    let now = supabase.now();
    let mut state = supabase.state();
    supabase.require_admin(&state, caller, &headers)?;
    let params: Params = parameters::json(&body, "api.AdminUserParams")?;
    let email = params.email.as_deref().unwrap_or_default();
    if email.is_empty() {
        return Err(SupabaseError::Invalid("Cannot create a user without either an email or phone"));
    }
    let email = parameters::email(email)?;
    if state.people.find_by_email(&email).is_some() {
        return Err(SupabaseError::EmailExists);
    }
    let id = match params.id.as_deref().unwrap_or_default() {
        "" => random::uuid()?,
        id => Uuid::parse_str(id).map_err(|_| SupabaseError::Invalid("ID must conform to the uuid v4 format"))?,
    };
    let mut person = Person { id: Some(id), confirmed: params.email_confirm, ..Person::new(&email, "", "") };
    // Nobody knows the one that GoTrue makes up.
    person.password = params.password.clone().filter(|password| !password.is(""));
    params.change(&mut person)?;
    state.people.add(person, now)?;
    state.people.find(id).map(|account| Json(account.user())).ok_or(SupabaseError::UnexpectedFailure)
}

pub(super) async fn update(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, SupabaseError> {
    let now = supabase.now();
    let mut state = supabase.state();
    supabase.require_admin(&state, caller, &headers)?;
    let id = find(&state, &id)?;
    let params: Params = parameters::json(&body, "api.AdminUserParams")?;
    let account = state.people.find_mut(id).ok_or(SupabaseError::UserNotFound)?;
    params.change(&mut account.person)?;
    if let Some(password) = &params.password {
        account.person.password = Some(password.clone());
    }
    if params.email_confirm {
        account.confirm_by_administrator(now);
    }
    Ok(Json(account.user()))
}

pub(super) async fn delete(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, SupabaseError> {
    let mut state = supabase.state();
    supabase.require_admin(&state, caller, &headers)?;
    let id = find(&state, &id)?;
    state.remove(id);
    Ok(Json(json!({})))
}

/// The code and the link of a mail that nobody sends. The link has no flow: it carries the tokens themselves.
pub(super) async fn generate_link(
    State(supabase): State<Arc<Supabase>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<Value>, SupabaseError> {
    let now = supabase.now();
    let mut state = supabase.state();
    supabase.require_admin(&state, caller, &headers)?;
    let params: Link = parameters::json(&body, "api.GenerateLinkParams")?;
    let email = parameters::email(params.email.as_deref().unwrap_or_default())?;
    if params.kind != "magiclink" {
        return Err(SupabaseError::LinkType(params.kind));
    }
    let redirect_to = match params.redirect_to {
        Some(address) if supabase.site.allows(&address) => address,
        _ => supabase.redirect_to(&headers, &parameters),
    };
    let (id, kind) = match state.people.find_by_email(&email) {
        Some(account) => (account.id, Kind::MagicLink),
        None => (state.people.sign_up(&email, now)?, Kind::Signup),
    };
    let (code, hash) = OneTimeCode::new(&email, kind, false, now)?;
    let link = supabase.link(&hash, &redirect_to)?;
    let account = state.people.find_mut(id).ok_or(SupabaseError::UnexpectedFailure)?;
    account.mailed(now);
    let mut answer = account.user();
    if let Some(members) = answer.as_object_mut() {
        members.extend(
            [
                ("action_link", link),
                ("email_otp", code),
                ("hashed_token", hash.hash.clone()),
                ("verification_type", kind.name().to_owned()),
                ("redirect_to", redirect_to),
            ]
            .map(|(name, value)| (name.to_owned(), Value::String(value))),
        );
    }
    state.codes.insert(id, hash);
    Ok(Json(answer))
}

impl Supabase {
    fn require_admin(&self, state: &ProjectState, caller: Caller, headers: &HeaderMap) -> Result<(), SupabaseError> {
        if caller == Caller::Secret {
            return Ok(());
        }
        // A person's token is one, but not an administrator's.
        self.signed_in(state, headers)?;
        Err(SupabaseError::NotAdmin)
    }
}

fn find(state: &ProjectState, id: &str) -> Result<Uuid, SupabaseError> {
    let id = Uuid::parse_str(id).map_err(|_| SupabaseError::UserIdNotUuid)?;
    state.people.find(id).map(|account| account.id).ok_or(SupabaseError::UserNotFound)
}

/// What is to be so of a person; what is left out stays.
#[derive(Deserialize)]
struct Params {
    id: Option<String>,
    email: Option<String>,
    password: Option<Secret>,
    #[serde(default)]
    email_confirm: bool,
    ban_duration: Option<String>,
    user_metadata: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
}

impl Params {
    fn change(&self, person: &mut Person) -> Result<(), SupabaseError> {
        if let Some(duration) = self.ban_duration.as_deref().filter(|duration| !duration.is_empty()) {
            person.banned =
                is_positive_duration(duration).ok_or_else(|| SupabaseError::BanDuration(duration.to_owned()))?;
        }
        person.user_metadata.extend(self.user_metadata.clone().unwrap_or_default());
        person.app_metadata.extend(self.app_metadata.clone().unwrap_or_default());
        Ok(())
    }
}

/// Whether a duration of Go's (`1h30m`) is longer than nothing; `none` is nothing. `None` when it is no duration.
fn is_positive_duration(duration: &str) -> Option<bool> {
    if duration == "none" {
        return Some(false);
    }
    let (mut rest, mut longer) = (duration, false);
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
        let (amount, unit) = rest.split_at(number);
        longer |= amount.parse::<f64>().ok()? > 0.0;
        rest = ["ns", "us", "ms", "s", "m", "h"].iter().find_map(|name| unit.strip_prefix(name))?;
    }
    Some(longer)
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "type", default)]
    kind: String,
    email: Option<String>,
    redirect_to: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_durations_use_go_syntax() {
        for (text, longer) in [
            ("none", Some(false)),
            ("0s", Some(false)),
            ("24h", Some(true)),
            ("1h30m", Some(true)),
            ("1.5h", Some(true)),
            ("100ms", Some(true)),
            ("24", None),
            ("h", None),
            ("1d", None),
            ("x", None),
        ] {
            assert_eq!(is_positive_duration(text), longer, "{text}");
        }
    }
}
