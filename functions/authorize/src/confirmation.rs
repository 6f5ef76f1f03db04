//! The confirmation in the form of the consent page. Each page that is shown has one of its own, and one grant and one code follow
//! from it: whoever sends the form again, by a double click, because the answer was lost, or a hundred times, makes no other.
//!
//! Its text is `<seconds>.<secret>.<proof>`: when the page was shown, 32 random bytes, and the CSRF token of both and of the request.
//! The secret is in no table, so a copy of the tables yields no code.

use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::identity::signed_in::SignedIn;
use shared::oauth::grant::CONFIRMATION_LIFETIME;
use shared::oauth::secret::{Secret, from_text, to_text};

use crate::request;

/// A confirmation, of a page of ours in the session of the person.
pub(crate) struct Confirmation {
    shown: Timestamp,
    secret: Secret<32>,
}

impl Confirmation {
    /// That of a page that is shown now.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { shown: now, secret: Secret::random() }
    }

    /// For the form.
    pub(crate) fn to_text(&self, person: &SignedIn, parameters: &Parameters) -> String {
        let content = self.content();
        format!("{content}.{}", person.csrf_token(&purpose(&content, parameters)))
    }

    /// From the form, if a page showed it to this person for this request.
    pub(crate) fn verify(text: &str, person: &SignedIn, parameters: &Parameters) -> Option<Self> {
        let (content, proof) = text.rsplit_once('.')?;
        if !person.verify_csrf_token(&purpose(content, parameters), proof) {
            return None;
        }
        let (shown, secret) = content.split_once('.')?;
        let shown = Timestamp::from_seconds(shown.parse().ok()?);
        Some(Self { shown, secret: Secret::from_bytes(from_text(secret)?) })
    }

    /// Whether the page was shown too long ago.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.shown) > CONFIRMATION_LIFETIME
    }

    /// What the grant and its code follow from.
    pub(crate) const fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    fn content(&self) -> String {
        format!("{}.{}", self.shown.seconds(), to_text(self.secret.expose()))
    }
}

fn purpose(content: &str, parameters: &Parameters) -> String {
    format!("confirm {content} {}", request::return_to(parameters))
}
