//! Who exists in the project, from the start.

use crate::supabase::secret::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The people and the ways in. Reads from JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Seed {
    /// Everyone who can sign in.
    pub people: Vec<Person>,
    /// Enabled social providers by GoTrue's names. All lead to the same page here.
    #[serde(default = "google_and_github")]
    pub providers: Vec<String>,
}

/// One person. Only `email` has no default.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column or claim of Supabase's, independent of the others")]
pub struct Person {
    /// Address; compared in lower case.
    pub email: String,
    /// Without one the person signs in by code or provider only.
    #[serde(default)]
    pub password: Option<Secret>,
    /// `sub` of the tokens. Made from the address when absent, the same at every start.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// `user_metadata.full_name`
    #[serde(default)]
    pub full_name: String,
    /// Whether the address is confirmed.
    #[serde(default = "yes")]
    pub confirmed: bool,
    /// Banned from the start.
    #[serde(default)]
    pub banned: bool,
    /// Tokens hold this number and no address, as those of somebody who signs in by phone.
    #[serde(default)]
    pub phone: Option<String>,
    /// Tokens say `is_anonymous: true`.
    #[serde(default)]
    pub anonymous: bool,
    /// Tokens look as if Supabase's own OAuth server had issued them to a third party: `client_id`, `scope`, its `amr`.
    #[serde(default)]
    pub with_client_id: bool,
    /// Tokens lack `iss`, as self-hosted projects' may.
    #[serde(default)]
    pub without_iss: bool,
    /// Tokens have expired when they are issued.
    #[serde(default)]
    pub expired: bool,
    /// Second factors, verified.
    #[serde(default)]
    pub factors: Vec<Factor>,
    /// Added to `app_metadata`.
    #[serde(default)]
    pub app_metadata: Map<String, Value>,
    /// Added to `user_metadata`.
    #[serde(default)]
    pub user_metadata: Map<String, Value>,
}

/// A TOTP authenticator (RFC 6238).
#[derive(Clone, Debug, Deserialize)]
pub struct Factor {
    /// Names it in `/factors/{id}`.
    pub id: Uuid,
    /// What the person calls it.
    #[serde(default)]
    pub friendly_name: String,
    /// The shared secret in base32 (RFC 4648 §6), as authenticator apps take it.
    pub secret: Secret,
}

impl Person {
    /// A confirmed person with a password and nothing else.
    #[must_use]
    pub fn new(email: &str, password: &str, full_name: &str) -> Self {
        Self {
            email: email.to_owned(),
            password: Some(Secret::from(password)),
            id: None,
            full_name: full_name.to_owned(),
            confirmed: true,
            banned: false,
            phone: None,
            anonymous: false,
            with_client_id: false,
            without_iss: false,
            expired: false,
            factors: Vec::new(),
            app_metadata: Map::new(),
            user_metadata: Map::new(),
        }
    }
}

fn google_and_github() -> Vec<String> {
    vec!["google".to_owned(), "github".to_owned()]
}

fn yes() -> bool {
    true
}
