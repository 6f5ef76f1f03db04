//! The captcha token of a form.

use serde::Serialize;

use crate::captcha::CaptchaWidget;
use crate::captcha_error::CaptchaError;
use crate::error::LoginError;
use crate::form::SubmittedForm;

/// The token that proves to Supabase that the sender of a form is a person (`gotrue_meta_security`), or no token if
/// the form has no widget. Has no `Debug`.
#[derive(Serialize)]
pub(crate) struct CaptchaToken {
    #[serde(skip_serializing_if = "Option::is_none")]
    captcha_token: Option<String>,
}

impl CaptchaToken {
    /// The token in `form`, if the form has `widget`.
    pub(crate) fn of(widget: Option<&CaptchaWidget>, form: &SubmittedForm) -> Result<Self, CaptchaError> {
        let captcha_token = match widget {
            Some(widget) => Some(form.value(widget.field()).ok_or(CaptchaError::Missing)?.to_owned()),
            None => None,
        };
        Ok(Self { captcha_token })
    }

    /// Whether the form has no widget.
    pub(crate) const fn is_none(&self) -> bool {
        self.captcha_token.is_none()
    }

    /// The error of Supabase, or `NotSetUp` if Supabase demands a captcha and the form had no widget.
    pub(crate) fn explain(&self, error: LoginError) -> LoginError {
        match (error, &self.captcha_token) {
            (LoginError::Captcha(_), None) => LoginError::Captcha(CaptchaError::NotSetUp),
            (error, _) => error,
        }
    }
}
