//! Query strings and bodies as GoTrue reads them.

use crate::supabase::error::SupabaseError;
use axum::extract::{FromRequestParts, RawQuery};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::convert::Infallible;
use url::form_urlencoded;

/// Of repeated names the first counts; an absent one reads as empty.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of_form(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    pub(super) fn first(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let RawQuery(query) = RawQuery::from_request_parts(parts, state).await?;
        Ok(Self::of_form(query.unwrap_or_default().as_bytes()))
    }
}

/// A JSON body whatever its content type says; members that are not asked for are ignored. `name` is what GoTrue calls the
/// type, for it says so.
pub(super) fn json<T: DeserializeOwned>(body: &[u8], name: &str) -> Result<T, SupabaseError> {
    serde_json::from_slice(body).map_err(|error| SupabaseError::BadJson(go_error_message(body, &error, name)))
}

/// The words of Go's `encoding/json` for the mistakes that there are most often.
fn go_error_message(body: &[u8], error: &serde_json::Error, name: &str) -> String {
    let first = body.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    match (error.classify(), first) {
        (Category::Eof, _) | (_, None) => "unexpected end of JSON input".to_owned(),
        (Category::Data, Some(b'[')) => format!("json: cannot unmarshal array into Go value of type {name}"),
        (Category::Data, _) => format!("json: cannot unmarshal into Go value of type {name}"),
        (_, Some(first)) => format!("invalid character '{}' looking for beginning of value", char::from(first)),
    }
}

/// An address in the form that accounts are found by.
pub(super) fn email(text: &str) -> Result<String, SupabaseError> {
    let email = text.trim().to_lowercase();
    match email.split_once('@') {
        Some((local, domain))
            if !local.is_empty()
                && !domain.is_empty()
                && email.len() <= 255
                && !email.contains(char::is_whitespace) =>
        {
            Ok(email)
        }
        _ => Err(SupabaseError::Invalid("Unable to validate email address: invalid format")),
    }
}
