//! The outcome of a form, or its error. The response to a form is a redirect to its own address, and the page there shows the
//! outcome: no page in the browser's history is the response to a form, except that of a new key.

use serde::{Deserialize, Serialize};
use shared::http::{flash, response};
use shared::lambda::Response;

use crate::api_keys::{KeyConfirmation, KeyDraft};
use crate::confirm::{Fields, Outcome};
use crate::error::FormError;
use crate::nav_bar::NavBar;
use crate::{Admin, PageRequest};

/// What waits for the page after a form: no secret, as it waits in a cookie.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    /// A connection was to end; whether it had not ended before.
    Ended(bool),
    /// Many were.
    EndedMany(EndedMany),
    /// A key was to be revoked; whether it had not been before.
    Revoked(bool),
    /// A key is described, and has to be confirmed.
    Described(KeyConfirmation),
    /// What was described cannot be a key.
    NotDescribed(KeyDraft),
    Refused(FormError),
}

/// The result of revoking many.
#[derive(Deserialize, Serialize)]
pub(crate) struct EndedMany {
    pub(crate) ended: usize,
    /// The form that ends the rest, if there was too much for once.
    pub(crate) rest: Option<Fields>,
}

impl Admin {
    /// The answer to a form: the page at its address will tell `notice`.
    pub(crate) fn redirect_with_notice(&self, request: &PageRequest<'_>, notice: &Notice) -> Response {
        flash::redirect(&self.issuer.at(request.path), notice, &self.issuer)
    }

    /// The page with the outcome of a form, if the request is for it; a redirect to `back` if the cookie is gone.
    pub(crate) fn outcome_page(&self, request: &PageRequest<'_>, nav_bar: &NavBar, back: &str) -> Option<Response> {
        let outcome = match &request.notice {
            Some(Notice::Ended(ended)) => Outcome::of_one(*ended, back),
            Some(Notice::EndedMany(many)) => Outcome::of_many(many, back),
            Some(Notice::Revoked(revoked)) => Outcome::of_key(*revoked, back),
            _ if !request.is_post && request.parameters.value(flash::PARAMETER).is_some() => {
                return Some(response::see_other(&self.issuer.at(back)));
            }
            _ => return None,
        };
        Some(self.show_outcome(request, nav_bar, &outcome))
    }
}
