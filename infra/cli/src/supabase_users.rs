//! The people of a Supabase project, found by their addresses.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::oauth::tenant::PersonId;
use thiserror::Error;
use url::{Host, Url};

/// A project, for whoever has a secret key of it.
pub(crate) struct SupabaseUsers {
    url: Url,
    secret_key: HeaderValue,
}

/// Why somebody is not found.
#[derive(Clone, Debug, Error)]
pub(crate) enum SupabaseUsersError {
    #[error(
        "whoever names a person by address must say where the Supabase project is, in SUPABASE_URL; a user id needs no more"
    )]
    NoProject,
    #[error(
        "whoever names a person by address must put a secret key of the Supabase project in SUPABASE_SECRET_KEY; a user id \
         needs no more"
    )]
    NoSecretKey,
    #[error("the project at {0} does not take the key in SUPABASE_SECRET_KEY: copy a secret key of this project")]
    WrongSecretKey(String),
    #[error("the project at {0} cannot be asked who has this address: {1}")]
    Failed(String, String),
    #[error(
        "the project at {0} takes every address as confirmed without a mail (\"Confirm email\" is off), so {1} may be \
         anybody's: name the person by user id"
    )]
    Autoconfirm(String, String),
    #[error("nobody in the project at {0} has the address {1}")]
    Nobody(String, String),
    #[error("nobody has confirmed the address {0} yet, so it may be anybody's: name the person by user id")]
    Unconfirmed(String),
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
    email_confirmed_at: Option<String>,
    #[serde(default)]
    is_anonymous: bool,
}

impl SupabaseUsers {
    /// The project at `url`, as far as both are known.
    pub(crate) fn of(url: Option<String>, secret_key: Option<String>) -> Result<Self, SupabaseUsersError> {
        let url = url.ok_or(SupabaseUsersError::NoProject)?;
        let mut key =
            secret_key.and_then(|key| HeaderValue::from_str(key.trim()).ok()).ok_or(SupabaseUsersError::NoSecretKey)?;
        key.set_sensitive(true);
        let failed = |error: url::ParseError| SupabaseUsersError::Failed(url.clone(), error.to_string());
        Ok(Self { url: Url::parse(&url).map_err(failed)?, secret_key: key })
    }

    /// Who has confirmed this address, which is in lower case. Whoever has not may have taken it from somebody.
    pub(crate) async fn find_by_email(&self, email: &str) -> Result<PersonId, SupabaseUsersError> {
        /// As many people as GoTrue lists at once.
        const PAGE: usize = 1000;

        let Settings { mailer_autoconfirm } = self.get("/settings").await?;
        if mailer_autoconfirm {
            return Err(SupabaseUsersError::Autoconfirm(self.origin(), email.to_owned()));
        }
        let filter: String = url::form_urlencoded::byte_serialize(email.as_bytes()).collect();
        // The filter is not in Supabase's documents: where there is none, all pages are looked through.
        for page in 1.. {
            let path = format!("/admin/users?page={page}&per_page={PAGE}&filter={filter}");
            let Users { users } = self.get(&path).await?;
            let has_email = |user: &&User| user.email.as_ref().is_some_and(|it| it.to_lowercase() == email);
            if let Some(user) = users.iter().find(has_email) {
                let confirmed = user.email_confirmed_at.is_some() && !user.is_anonymous;
                let id = PersonId::parse(&user.id).filter(|_| confirmed);
                return id.ok_or_else(|| SupabaseUsersError::Unconfirmed(email.to_owned()));
            }
            if users.len() < PAGE {
                break;
            }
        }
        Err(SupabaseUsersError::Nobody(self.origin(), email.to_owned()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, SupabaseUsersError> {
        let failed = |error: &dyn std::fmt::Display| SupabaseUsersError::Failed(self.origin(), error.to_string());
        let response = self.send(path).await.map_err(|error| failed(&error))?;
        match response.status().as_u16() {
            200 => {
                let body = response.bytes().await.map_err(|error| failed(&error))?;
                serde_json::from_slice(&body).map_err(|error| failed(&error))
            }
            401 | 403 => Err(SupabaseUsersError::WrongSecretKey(self.origin())),
            _ => Err(failed(&response.status())),
        }
    }

    async fn send(&self, path: &str) -> reqwest::Result<Response> {
        const TIMEOUT: Duration = Duration::from_secs(10);

        // Fails only when it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
        // What is on this machine is not asked for through a proxy.
        let client = if self.is_on_this_machine() { client.no_proxy() } else { client };
        let mut request = client.build()?.get(format!("{}/auth/v1{path}", self.origin()));
        request = request.header("apikey", &self.secret_key);
        // An older secret key is a token as well; a new one may stand there if it is the same.
        if path.starts_with("/admin/")
            && let Ok(mut bearer) = HeaderValue::from_bytes(&[b"Bearer ", self.secret_key.as_bytes()].concat())
        {
            bearer.set_sensitive(true);
            request = request.header("authorization", bearer);
        }
        request.send().await
    }

    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    fn is_on_this_machine(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}
