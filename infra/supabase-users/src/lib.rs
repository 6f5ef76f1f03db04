//! People of a Supabase project, for a program that holds a secret key of it.
//!
//! Only a confirmed address names a person. Anybody can sign up with an address that is not theirs.

pub mod person_selector;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, InvalidHeaderValue};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use shared::oauth::tenant::PersonId;
use thiserror::Error;
use url::{Host, Url};

/// The users of one project.
pub struct SupabaseUsers {
    client: Client,
    origin: String,
    secret_key: HeaderValue,
}

/// Why a person is not found.
#[derive(Debug, Error)]
pub enum FindUserError {
    /// Nobody has the address.
    #[error("nobody has the address")]
    NotFound,
    /// Somebody has it who has not confirmed it.
    #[error("nobody has confirmed the address")]
    Unconfirmed,
    /// The project did not answer.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// It answered with an error: 401 and 403 say that the key is wrong.
    #[error("the project answered {0}")]
    Status(StatusCode),
    /// What it answered is not what Supabase Auth answers.
    #[error(transparent)]
    Body(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    mailer_autoconfirm: bool,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    email: Option<String>,
    email_confirmed_at: Option<IgnoredAny>,
    #[serde(default)]
    is_anonymous: bool,
}

impl SupabaseUsers {
    /// Of the project at `origin`, asked by `client`.
    #[must_use]
    pub const fn new(client: Client, origin: String, secret_key: HeaderValue) -> Self {
        Self { client, origin, secret_key }
    }

    /// Whether the project takes every address as confirmed without a mail. Then an address proves nothing.
    ///
    /// # Errors
    /// When the project does not answer as Supabase Auth does.
    pub async fn confirms_without_mail(&self) -> Result<bool, FindUserError> {
        let Settings { mailer_autoconfirm } = self.get("/settings").await?;
        Ok(mailer_autoconfirm)
    }

    /// Who has confirmed this address.
    ///
    /// # Errors
    /// When nobody has, or the project does not answer as Supabase Auth does.
    pub async fn find_by_email(&self, email: &str) -> Result<PersonId, FindUserError> {
        /// As many people as Supabase Auth lists at once.
        const PAGE: usize = 1000;

        let filter: String = url::form_urlencoded::byte_serialize(email.as_bytes()).collect();
        // The filter is not in Supabase's documents: where there is none, all pages are looked through.
        for page in 1.. {
            let path = format!("/admin/users?page={page}&per_page={PAGE}&filter={filter}");
            let Users { users } = self.get(&path).await?;
            let has_email = |user: &&User| user.email.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(email));
            if let Some(user) = users.iter().find(has_email) {
                let confirmed = user.email_confirmed_at.is_some() && !user.is_anonymous;
                return PersonId::parse(&user.id).filter(|_| confirmed).ok_or(FindUserError::Unconfirmed);
            }
            if users.len() < PAGE {
                break;
            }
        }
        Err(FindUserError::NotFound)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, FindUserError> {
        let request = self.client.get(format!("{}/auth/v1{path}", self.origin)).header(ACCEPT, "application/json");
        let mut request = request.header("apikey", &self.secret_key);
        // An older secret key is a token as well; a new one may stand there if it is the same.
        if path.starts_with("/admin/")
            && let Ok(mut bearer) = HeaderValue::from_bytes(&[b"Bearer ", self.secret_key.as_bytes()].concat())
        {
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(FindUserError::Status(response.status()));
        }
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }
}

/// A key as a header takes it, which no log shows.
///
/// # Errors
/// When a header cannot have it.
pub fn sensitive_header(key: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(key.trim())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether an address is one of this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
