//! The errors of a form that needs a captcha.

use thiserror::Error;

/// Why the captcha of a form is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum CaptchaError {
    /// Supabase demands a captcha, and this deployment shows none.
    #[error("the project demands a captcha: deploy with its CaptchaProvider and CaptchaSiteKey")]
    NotSetUp,
    /// The form was sent before the widget had a token, or without JavaScript.
    #[error("no token of the captcha's widget in the form")]
    Missing,
    /// Supabase rejected the token. A token is valid once, and for some minutes.
    #[error(
        "Supabase refused the captcha's token: it was used or too old, or the secret key at Supabase is not the one that \
         belongs to CaptchaSiteKey"
    )]
    Rejected,
}

impl CaptchaError {
    /// For the person.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::NotSetUp => "Signing in by e-mail needs a check that this page cannot show. Choose another way.",
            Self::Missing => {
                "The check that you are not a program was not done. Wait for it to be done, then send the form again."
            }
            Self::Rejected => {
                "The check that you are not a program had run out or failed, so nothing that you typed was looked at. Here is \
                 a new check: please send the form again."
            }
        }
    }
}
