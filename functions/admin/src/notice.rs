//! What a form did, or why it was refused. The form is answered by a redirect to its own address, which tells it: so that no page in
//! the history is one that a form was sent for, but that of a new key.

use serde::{Deserialize, Serialize};
use shared::http::{flash, response};
use shared::lambda::Response;

use crate::bar::Bar;
use crate::confirm::{Fields, Outcome};
use crate::keys::{Draft, ToConfirm};
use crate::refusal::Kind;
use crate::{Admin, Visit};

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
    Described(ToConfirm),
    /// What was described cannot be a key.
    NotDescribed(Draft),
    Refused(Kind),
}

/// What came of ending many.
#[derive(Deserialize, Serialize)]
pub(crate) struct EndedMany {
    pub(crate) ended: usize,
    /// The form that ends the rest, if there was too much for once.
    pub(crate) rest: Option<Fields>,
}

impl Admin {
    /// The answer to a form: the page at its address will tell `notice`.
    pub(crate) fn told_next(&self, visit: &Visit<'_>, notice: &Notice) -> Response {
        flash::redirect(&self.issuer.at(visit.path), notice, &self.issuer)
    }

    /// The page that tells what a form did, if that is what is asked for; `back` if nobody knows any more.
    pub(crate) fn outcome(&self, visit: &Visit<'_>, bar: &Bar, back: &str) -> Option<Response> {
        let outcome = match &visit.notice {
            Some(Notice::Ended(ended)) => Outcome::of_one(*ended, back),
            Some(Notice::EndedMany(many)) => Outcome::of_many(many, back),
            Some(Notice::Revoked(revoked)) => Outcome::of_key(*revoked, back),
            _ if !visit.changes && visit.parameters.value(flash::PARAMETER).is_some() => {
                return Some(response::see_other(&self.issuer.at(back)));
            }
            _ => return None,
        };
        Some(self.tell(visit, bar, &outcome))
    }
}
