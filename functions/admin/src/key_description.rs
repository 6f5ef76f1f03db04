//! The description of a new API key, in the three steps of making it: the form, its confirmation, and the key.

use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::oauth::api_key::ApiKeyName;
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::api_keys::FormId;

use crate::form_fields::{FormFields, shown_field};

/// The description of a new key.
pub(crate) struct KeyDescription {
    pub(crate) name: ApiKeyName,
    pub(crate) scopes: Scopes,
    pub(crate) life: KeyLifetime,
}

/// The form of a new key as it was sent, with the fields that are not valid.
#[derive(Deserialize, Serialize)]
pub(crate) struct KeyDraft {
    pub(crate) name: String,
    pub(crate) may: String,
    pub(crate) life: String,
    pub(crate) wrong: Vec<KeyFormError>,
}

/// A field of the form that is not valid.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyFormError {
    Name,
    Scopes,
    Life,
}

/// The description of a new key, to be confirmed in the form with the id `form`.
#[derive(Deserialize, Serialize)]
pub(crate) struct KeyConfirmation {
    name: String,
    may: String,
    life: String,
    form: String,
    /// Seconds since 1970-01-01 UTC.
    shown: i64,
}

impl KeyDescription {
    /// Reads the first form. Only `permissions`, which the form offered, can be ticked.
    pub(crate) fn read(parameters: &Parameters, permissions: Scopes) -> Result<Self, Vec<KeyFormError>> {
        let name = parameters.value("name").and_then(ApiKeyName::parse);
        let scopes = Some(ticked(parameters, permissions)).filter(|scopes| !scopes.permissions().is_empty());
        let life = parameters.value("life").and_then(KeyLifetime::parse);
        let errors = [
            (name.is_none(), KeyFormError::Name),
            (scopes.is_none(), KeyFormError::Scopes),
            (life.is_none(), KeyFormError::Life),
        ];
        match (name, scopes, life) {
            (Some(name), Some(scopes), Some(life)) => Ok(Self { name, scopes, life }),
            _ => Err(errors.into_iter().filter_map(|(is_wrong, error)| is_wrong.then_some(error)).collect()),
        }
    }

    /// Reads the form of the confirmation.
    pub(crate) fn read_confirmed(parameters: &Parameters) -> Option<Self> {
        Self::parse(parameters.value("name")?, parameters.value("may")?, parameters.value("life")?)
    }

    fn parse(name: &str, may: &str, life: &str) -> Option<Self> {
        Some(Self { name: ApiKeyName::parse(name)?, scopes: Scopes::parse(may), life: KeyLifetime::parse(life)? })
    }

    /// The fields of the form of the confirmation.
    pub(crate) fn fields(&self, form: &FormId, shown: Timestamp) -> FormFields {
        vec![
            ("step".into(), "make".to_owned()),
            ("name".into(), self.name.as_str().to_owned()),
            ("may".into(), self.scopes.to_string()),
            ("life".into(), self.life.to_text()),
            ("form".into(), form.to_text()),
            shown_field(shown),
        ]
    }
}

impl KeyDraft {
    pub(crate) fn of(parameters: &Parameters, permissions: Scopes, wrong: Vec<KeyFormError>) -> Self {
        // A longer name is cut, and is still too long to be valid.
        const MAX_NAME: usize = 100;
        Self {
            name: parameters.value("name").unwrap_or_default().chars().take(MAX_NAME).collect(),
            may: ticked(parameters, permissions).to_string(),
            life: parameters
                .value("life")
                .and_then(KeyLifetime::parse)
                .map_or_else(|| KeyLifetime::DEFAULT_CHOICE.to_owned(), KeyLifetime::to_text),
            wrong,
        }
    }
}

impl KeyConfirmation {
    pub(crate) fn of(description: &KeyDescription, form: &FormId, shown: Timestamp) -> Self {
        Self {
            name: description.name.as_str().to_owned(),
            may: description.scopes.to_string(),
            life: description.life.to_text(),
            form: form.to_text(),
            shown: shown.seconds(),
        }
    }

    /// The description, and the fields of the form that confirms it.
    pub(crate) fn read(&self) -> Option<(KeyDescription, FormFields)> {
        let description = KeyDescription::parse(&self.name, &self.may, &self.life)?;
        let fields = description.fields(&FormId::parse(&self.form)?, Timestamp::from_seconds(self.shown));
        Some((description, fields))
    }
}

/// The name of the box of a scope.
pub(crate) fn scope_field(scope: Scope) -> String {
    format!("may:{}", scope.as_str())
}

/// Those of `permissions` whose boxes are ticked.
fn ticked(parameters: &Parameters, permissions: Scopes) -> Scopes {
    let ticked = permissions.iter().filter(|scope| parameters.value(&scope_field(*scope)).is_some());
    ticked.fold(Scopes::NONE, Scopes::with)
}
