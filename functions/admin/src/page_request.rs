//! A request for a page of the console, by a person who is signed in.

use std::borrow::Cow;

use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::identity::signed_in::SignedIn;

use crate::agreed_numbers::AgreedNumbers;
use crate::error::AdminError;
use crate::form_fields::csrf_purpose;
use crate::notice::Notice;

/// The request, parsed.
pub(crate) struct PageRequest<'a> {
    pub(crate) path: &'a str,
    pub(crate) parameters: Parameters,
    /// The outcome of the form before this page.
    pub(crate) notice: Option<Notice>,
    pub(crate) person: SignedIn,
    /// Whether it is a form that changes something.
    pub(crate) is_post: bool,
    pub(crate) now: Timestamp,
}

impl PageRequest<'_> {
    /// The numbers that the connections had when the confirmation was shown that this form answers.
    pub(crate) fn agreed_numbers(&self) -> Result<AgreedNumbers, AdminError> {
        let numbers = self.parameters.value(AgreedNumbers::FIELD).and_then(AgreedNumbers::parse);
        numbers.ok_or(AdminError::InvalidBody)
    }

    /// When the confirmation was shown that this form answers.
    pub(crate) fn shown_at(&self) -> Result<Timestamp, AdminError> {
        let shown = self.parameters.value("shown").and_then(|text| text.parse().ok());
        shown.map(Timestamp::from_seconds).ok_or(AdminError::InvalidBody)
    }

    /// Verifies the CSRF token: exactly `fields` were confirmed, on a page that was shown to this session.
    pub(crate) fn verify_csrf_token(&self, fields: &[(Cow<'static, str>, String)]) -> Result<(), AdminError> {
        let token = self.parameters.value("confirmation").unwrap_or_default();
        if self.person.verify_csrf_token(&csrf_purpose(self.path, fields), token) {
            Ok(())
        } else {
            Err(AdminError::InvalidCsrfToken)
        }
    }
}
