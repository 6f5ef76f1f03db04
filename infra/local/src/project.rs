//! A Supabase project of one's own, whose people sign in in place of those of the fake Supabase.

use std::error::Error as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use shared::oauth::tenant::PersonId;
use supabase_users::person_selector::PersonSelector;
use supabase_users::{FindUserError, SupabaseUsers, is_loopback, sensitive_header};
use thiserror::Error;
use url::Url;

use crate::data_dir::{DataDir, DataDirError};
use crate::member::Member;

/// Where the project is, what opens it, and who of its people is a member of what.
pub struct Project {
    url: String,
    publishable_key: String,
    secret_key: Option<HeaderValue>,
    members: Vec<Member>,
}

/// Why a project cannot be used, and what to do. None of it has a key in it.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// The address is none of a project.
    #[error(
        "--supabase needs the address of a project without a path, such as https://abcdefgh.supabase.co or \
         http://127.0.0.1:54321; http is for this machine alone"
    )]
    Address,
    /// The key has not the form of one.
    #[error(
        "--supabase-key needs the project's publishable key (sb_publishable_…) or its older anon key: the dashboard shows \
         it under Project Settings, API Keys, and `supabase status` on this machine"
    )]
    Key,
    /// The key opens everything.
    #[error(
        "--supabase-key was given a secret key, which a command line shows to others: give the publishable key here, and a \
         secret one in SUPABASE_SECRET_KEY if members are to be named by address"
    )]
    SecretKey,
    /// The secret key cannot be sent.
    #[error("SUPABASE_SECRET_KEY is not a key: copy it again, it is one line without spaces")]
    SecretKeyForm,
    /// There is no answer.
    #[error(
        "nothing answers at {0} ({1}): check the address and this machine's connection; restore the project in the \
         dashboard if it is paused, or run `supabase start` if it is on this machine"
    )]
    Unreachable(String, String),
    /// Something else is there.
    #[error("what answers at {0} is not Supabase Auth ({1}): check the address")]
    NotSupabase(String, String),
    /// It has failed.
    #[error(
        "the project at {0} does not work at the moment ({1}): try again in a minute, and restore it if it is paused"
    )]
    Failing(String, String),
    /// The publishable key is not its.
    #[error(
        "the project at {0} does not take this publishable key: copy it again from Project Settings, API Keys, and check that \
         it is of this project"
    )]
    WrongKey(String),
    /// The secret key is not its.
    #[error("the project at {0} does not take the key in SUPABASE_SECRET_KEY: copy a secret key of this project")]
    WrongSecretKey(String),
    /// A member is named by address, and nobody can be asked.
    #[error(
        "--member {0}=… names a person by address, which takes a secret key of the project in SUPABASE_SECRET_KEY; a user id \
         takes none, and the page shows it to whoever has signed in"
    )]
    NoSecretKey(String),
    /// Addresses prove nothing in this project.
    #[error(
        "the project at {0} takes every address as confirmed without a mail (\"Confirm email\" is off), so whoever took the \
         address {1} would get its place: name the person by user id"
    )]
    Autoconfirm(String, String),
    /// Nobody has the address.
    #[error("nobody in the project at {0} has the address {1}: let them sign up first, or name them by user id")]
    Nobody(String, String),
    /// The person has not confirmed it.
    #[error(
        "nobody has confirmed the address {0} yet, so it may be anybody's: confirm it, or name the person by user id"
    )]
    Unconfirmed(String),
    /// The folder has another's people.
    #[error(
        "the folder is kept for {0}, whose people are not those that would sign in now: choose another one with --data-dir DIR"
    )]
    DataDir(String),
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] DataDirError),
}

impl Project {
    /// The project at an address, for whoever has its publishable key.
    ///
    /// # Errors
    /// When one of them cannot be what it should be.
    pub fn parse(url: &str, publishable_key: &str) -> Result<Self, ProjectError> {
        let parsed = Url::parse(url).map_err(|_| ProjectError::Address)?;
        let secure = parsed.scheme() == "https" || (parsed.scheme() == "http" && is_loopback(&parsed));
        let bare = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
        if !secure || !bare || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(ProjectError::Address);
        }
        match key_role(publishable_key) {
            Some(KeyRole::Publishable) => {}
            Some(KeyRole::Secret) => return Err(ProjectError::SecretKey),
            None => return Err(ProjectError::Key),
        }
        let url = parsed.origin().ascii_serialization();
        Ok(Self { url, publishable_key: publishable_key.to_owned(), secret_key: None, members: Vec::new() })
    }

    /// With a key that may look people up.
    ///
    /// # Errors
    /// When it is none.
    pub fn with_secret_key(self, key: &str) -> Result<Self, ProjectError> {
        let key = sensitive_header(key).map_err(|_| ProjectError::SecretKeyForm)?;
        Ok(Self { secret_key: Some(key), ..self })
    }

    /// With people who are in tenants.
    ///
    /// # Errors
    /// When one is named by address and there is no secret key.
    pub fn with_members(self, members: Vec<Member>) -> Result<Self, ProjectError> {
        if let (Some(address), None) = (members.iter().find_map(Member::address), &self.secret_key) {
            return Err(ProjectError::NoSecretKey(address.to_owned()));
        }
        Ok(Self { members, ..self })
    }

    /// Where it is: scheme, host and port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn publishable_key(&self) -> &str {
        &self.publishable_key
    }

    /// Asks whether it is there and takes the keys, and who the members are.
    pub(crate) async fn check(&self) -> Result<Vec<(PersonId, &Member)>, ProjectError> {
        // An error says that there is one already, which is as good: ours is the only provider in the build.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().redirect(Policy::none()).no_proxy().timeout(TIMEOUT).build();
        let client = client.map_err(|error| self.unreachable(&error))?;
        let settings = self.settings(&client).await?;
        let mut members = Vec::new();
        for member in &self.members {
            let person = match &member.who {
                PersonSelector::Id(person) => person.clone(),
                PersonSelector::Email(address) if settings.mailer_autoconfirm => {
                    return Err(ProjectError::Autoconfirm(self.url.clone(), address.clone()));
                }
                PersonSelector::Email(address) => self.find_person_by_email(&client, address).await?,
            };
            members.push((person, member));
        }
        Ok(members)
    }

    async fn find_person_by_email(&self, client: &Client, address: &str) -> Result<PersonId, ProjectError> {
        let key = self.secret_key.clone().ok_or_else(|| ProjectError::NoSecretKey(address.to_owned()))?;
        let users = SupabaseUsers::new(client.clone(), self.url.clone(), key);
        users.find_by_email(address).await.map_err(|error| match error {
            FindUserError::NotFound => ProjectError::Nobody(self.url.clone(), address.to_owned()),
            FindUserError::Unconfirmed => ProjectError::Unconfirmed(address.to_owned()),
            FindUserError::Request(error) => self.unreachable(&error),
            FindUserError::Status(status) => self.refused(status, ProjectError::WrongSecretKey),
            FindUserError::Body(_) => self.not_supabase(),
        })
    }

    async fn settings(&self, client: &Client) -> Result<Settings, ProjectError> {
        let key = sensitive_header(&self.publishable_key).map_err(|_| ProjectError::Key)?;
        let request = client.get(format!("{}/auth/v1/settings", self.url)).header(ACCEPT, "application/json");
        let response = request.header("apikey", key).send().await.map_err(|error| self.unreachable(&error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response.status(), ProjectError::WrongKey));
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|_| self.not_supabase())
    }

    fn refused(&self, status: StatusCode, wrong_key: fn(String) -> ProjectError) -> ProjectError {
        match status.as_u16() {
            401 | 403 => wrong_key(self.url.clone()),
            429 | 500.. => ProjectError::Failing(self.url.clone(), status.to_string()),
            _ => ProjectError::NotSupabase(self.url.clone(), status.to_string()),
        }
    }

    fn not_supabase(&self) -> ProjectError {
        ProjectError::NotSupabase(self.url.clone(), "its answer is another one's".to_owned())
    }

    fn unreachable(&self, error: &reqwest::Error) -> ProjectError {
        if error.is_timeout() {
            return ProjectError::Unreachable(self.url.clone(), format!("not within {} seconds", TIMEOUT.as_secs()));
        }
        // The innermost cause is the one that helps: refused, no such host, a certificate.
        let mut cause = error.source();
        while let Some(inner) = cause.and_then(std::error::Error::source) {
            cause = Some(inner);
        }
        ProjectError::Unreachable(
            self.url.clone(),
            cause.map_or_else(|| "no connection".to_owned(), ToString::to_string),
        )
    }
}

/// Whether a folder has been filled for the people who are to sign in: those of `project`, or of the fake Supabase.
///
/// # Errors
/// When it was filled for others.
pub(crate) fn is_initialized(
    folder: &DataDir,
    project: Option<&Project>,
    fake_supabase: &str,
) -> Result<bool, ProjectError> {
    let kept = folder.read(FILE)?.map(|url| String::from_utf8_lossy(&url).into_owned());
    let has_fake_supabase = folder.read(fake_supabase)?.is_some();
    match (kept, project) {
        (None, None) => Ok(has_fake_supabase),
        (None, Some(_)) if !has_fake_supabase => Ok(false),
        (Some(kept), Some(project)) if kept == project.url => Ok(true),
        (Some(kept), _) => Err(ProjectError::DataDir(format!("the project at {kept}"))),
        (None, Some(_)) => Err(ProjectError::DataDir("the people of the demo".to_owned())),
    }
}

/// Writes down for whose people a folder was filled.
pub(crate) fn record(folder: &DataDir, project: &Project) -> Result<(), DataDirError> {
    folder.write(FILE, project.url.as_bytes())
}

/// Holds the address of the project.
const FILE: &str = "project";
const TIMEOUT: Duration = Duration::from_secs(10);

enum KeyRole {
    Publishable,
    Secret,
}

/// What a key opens, by its form; `None` when it has that of no key.
fn key_role(key: &str) -> Option<KeyRole> {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if let Some(rest) = key.strip_prefix("sb_publishable_") {
        return word(rest).then_some(KeyRole::Publishable);
    }
    if key.starts_with("sb_secret_") {
        return Some(KeyRole::Secret);
    }
    // The older keys are tokens.
    let claims = URL_SAFE_NO_PAD.decode(key.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    match claims.get("role")?.as_str()? {
        "anon" if key.split('.').all(word) => Some(KeyRole::Publishable),
        "service_role" => Some(KeyRole::Secret),
        _ => None,
    }
}

/// `GET /settings`, of which one member is asked for; that the other is there says whose answer it is.
#[derive(Deserialize)]
struct Settings {
    #[serde(rename = "external")]
    _external: serde::de::IgnoredAny,
    mailer_autoconfirm: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sb_publishable_x-1_Y";

    #[test]
    fn project_url_must_be_an_origin() {
        for (url, origin) in [
            ("https://abcdefgh.supabase.co", Some("https://abcdefgh.supabase.co")),
            ("https://abcdefgh.supabase.co/", Some("https://abcdefgh.supabase.co")),
            ("http://127.0.0.1:54321", Some("http://127.0.0.1:54321")),
            ("http://localhost:54321/", Some("http://localhost:54321")),
            ("http://[::1]:54321", Some("http://[::1]:54321")),
            ("http://abcdefgh.supabase.co", None),
            ("https://abcdefgh.supabase.co/auth/v1", None),
            ("https://abcdefgh.supabase.co?x=1", None),
            ("https://ana:secret@abcdefgh.supabase.co", None),
            ("abcdefgh.supabase.co", None),
            ("ftp://abcdefgh.supabase.co", None),
            ("", None),
        ] {
            match (Project::parse(url, KEY), origin) {
                (Ok(project), Some(origin)) => assert_eq!(project.url(), origin, "{url}"),
                (Err(ProjectError::Address), None) => {}
                _ => panic!("{url}"),
            }
        }
    }

    #[test]
    fn only_publishable_keys_are_accepted() {
        let token = |role: &str| format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", URL_SAFE_NO_PAD.encode(role));
        let project = |key: &str| Project::parse("https://abcdefgh.supabase.co", key).map(|_| ());
        assert!(project(KEY).is_ok());
        assert!(project(&token(r#"{"role":"anon"}"#)).is_ok());
        for secret in ["sb_secret_x".to_owned(), token(r#"{"role":"service_role"}"#)] {
            let error = project(&secret).unwrap_err();
            assert!(matches!(error, ProjectError::SecretKey), "{error}");
            assert!(!error.to_string().contains(&secret), "{error}");
        }
        for no_key in ["", "x", "sb_publishable_", "sb_publishable_a b", "a.b.c", &token(r#"{"role":"admin"}"#)] {
            assert!(matches!(project(no_key), Err(ProjectError::Key)), "{no_key}");
        }
    }
}
