//! A person who has verified one factor of two.

use serde::Deserialize;

use super::signed_in::SignedIn;
use super::supabase::Bearer;
use crate::oauth::tenant::PersonId;

/// A session at `aal1` of a person with a second factor. It can be used only to verify that factor or to sign
/// out.
#[derive(Debug)]
pub struct MfaPending {
    person: SignedIn,
    factors: Vec<Factor>,
}

/// A factor, as Supabase lists it.
#[derive(Clone, Debug, Deserialize)]
pub struct Factor {
    /// Its id.
    pub id: FactorId,
    #[serde(default, rename = "friendly_name")]
    name: Option<String>,
    #[serde(rename = "factor_type")]
    kind: String,
    status: String,
}

/// A UUID: it becomes a part of a path.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct FactorId(PersonId);

impl MfaPending {
    pub(super) const fn new(person: SignedIn, factors: Vec<Factor>) -> Self {
        Self { person, factors }
    }

    pub(super) const fn person(&self) -> &SignedIn {
        &self.person
    }

    /// The factors that have a code to type in.
    pub fn authenticators(&self) -> impl Iterator<Item = &Factor> {
        self.factors.iter().filter(|factor| factor.kind == "totp")
    }

    /// As [`SignedIn::display_name`].
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.person.display_name()
    }

    /// The token for verifying the factor at Supabase.
    #[must_use]
    pub const fn bearer(&self) -> &Bearer {
        &self.person.bearer
    }

    /// As [`SignedIn::csrf_token`].
    #[must_use]
    pub fn csrf_token(&self, purpose: &str) -> String {
        self.person.csrf_token(purpose)
    }

    /// As [`SignedIn::verify_csrf_token`].
    #[must_use]
    pub fn verify_csrf_token(&self, purpose: &str, token: &str) -> bool {
        self.person.verify_csrf_token(purpose, token)
    }
}

impl Factor {
    /// What the person calls it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }

    pub(super) fn is_verified(&self) -> bool {
        self.status == "verified"
    }
}

impl FactorId {
    /// In lower case, as Supabase writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for FactorId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        PersonId::parse(&text).map(Self).ok_or("not a UUID")
    }
}
