//! The people of the Supabase project of a deployment, found by their addresses.

use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use shared::oauth::tenant::PersonId;
use supabase_users::{FindUserError, SupabaseUsers, is_loopback, sensitive_header};
use thiserror::Error;
use url::Url;

/// The people of a project, for an operator who has a secret key of it.
pub(crate) struct ProjectUsers {
    users: SupabaseUsers,
    origin: String,
}

/// Why somebody is not found.
#[derive(Clone, Debug, Error)]
pub(crate) enum ProjectUsersError {
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

impl ProjectUsers {
    /// The project at `url`, as far as both are known.
    pub(crate) fn of(url: Option<String>, secret_key: Option<String>) -> Result<Self, ProjectUsersError> {
        const TIMEOUT: Duration = Duration::from_secs(10);

        let url = url.ok_or(ProjectUsersError::NoProject)?;
        let key = secret_key.and_then(|key| sensitive_header(&key).ok()).ok_or(ProjectUsersError::NoSecretKey)?;
        let failed = |error: &dyn std::fmt::Display| ProjectUsersError::Failed(url.clone(), error.to_string());
        let parsed = Url::parse(&url).map_err(|error| failed(&error))?;
        // Fails only when it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
        // What is on this machine is not asked for through a proxy.
        let client = if is_loopback(&parsed) { client.no_proxy() } else { client };
        let client = client.build().map_err(|error| failed(&error))?;
        let origin = parsed.origin().ascii_serialization();
        Ok(Self { users: SupabaseUsers::new(client, origin.clone(), key), origin })
    }

    /// Who has confirmed this address, which is in lower case.
    pub(crate) async fn find_by_email(&self, email: &str) -> Result<PersonId, ProjectUsersError> {
        let (origin, email_text) = (|| self.origin.clone(), || email.to_owned());
        let explain = |error| match error {
            FindUserError::NotFound => ProjectUsersError::Nobody(origin(), email_text()),
            FindUserError::Unconfirmed => ProjectUsersError::Unconfirmed(email_text()),
            FindUserError::Status(status) if matches!(status.as_u16(), 401 | 403) => {
                ProjectUsersError::WrongSecretKey(origin())
            }
            FindUserError::Status(status) => ProjectUsersError::Failed(origin(), status.to_string()),
            FindUserError::Request(error) => ProjectUsersError::Failed(origin(), error.to_string()),
            FindUserError::Body(error) => ProjectUsersError::Failed(origin(), error.to_string()),
        };
        if self.users.confirms_without_mail().await.map_err(explain)? {
            return Err(ProjectUsersError::Autoconfirm(origin(), email_text()));
        }
        self.users.find_by_email(email).await.map_err(explain)
    }
}
