//! The hidden fields of a form, and the CSRF token that is made for exactly these fields.

use std::borrow::Cow;

use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::identity::signed_in::SignedIn;

/// The names and values of a form.
pub(crate) type FormFields = Vec<(Cow<'static, str>, String)>;

/// The field of a form that gives an application more than it may.
pub(crate) const GRANTS: &str = "grants";

/// Whether the form says that it does.
pub(crate) fn grants_access(parameters: &Parameters) -> bool {
    parameters.value(GRANTS).is_some()
}

/// The CSRF token of a form at `path` with `fields`.
pub(crate) fn csrf_token(person: &SignedIn, path: &str, fields: &[(Cow<'static, str>, String)]) -> String {
    person.csrf_token(&csrf_purpose(path, fields))
}

/// What a CSRF token is made for. Values come parsed, so that none holds a line break.
pub(crate) fn csrf_purpose(path: &str, fields: &[(Cow<'static, str>, String)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={value}"));
    std::iter::once(format!("console {path}")).chain(fields).collect::<Vec<_>>().join("\n")
}

/// The field that says when a form was shown.
pub(crate) fn shown_field(now: Timestamp) -> (Cow<'static, str>, String) {
    ("shown".into(), now.seconds().to_string())
}
