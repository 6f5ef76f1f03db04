//! The errors of mails that Supabase could not send. Supabase tries to send a mail only to a known address, so such
//! an error must not be visible to the person: they get the same page as everybody, and the log has the error.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use shared::identity::supabase::SupabaseResponse;

/// The minimum time of a response to a request for a mail, so that the time does not show whether an address is
/// known. Supabase answers at once for an unknown address, and for a known one when its mail server has accepted the
/// mail: a connection with TLS, a login and the mail are some ten round trips, at 100 ms each one second. This is
/// twice as long. A slower mail server still shows.
pub(crate) const MIN_RESPONSE_TIME: Duration = Duration::from_secs(2);

/// Why a mail was not sent. One error stands for all codes with the same remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailError {
    /// Signing in by mail is off, while passwords are allowed.
    MagicLinkOff,
    /// The project sends mail only to its own team.
    NotAuthorized,
    /// The project checks addresses, and rejected this one.
    Unmailable,
    /// The project has sent all mails that it may send in this hour.
    UsedUp,
    /// The mail server did not accept the mail.
    MailServer,
    /// The project's own hook for mails failed.
    Hook,
    /// Supabase did not answer in time, probably because its mail server did not.
    NoAnswer,
}

impl MailError {
    /// The error of a response to `POST /otp`, if it is about sending the mail.
    pub(crate) fn of(response: &SupabaseResponse) -> Option<Self> {
        let code = response.code.as_deref()?;
        Some(match code {
            "email_provider_disabled" => Self::MagicLinkOff,
            "email_address_not_authorized" => Self::NotAuthorized,
            "email_address_invalid" => Self::Unmailable,
            // The same code also means that this person got a mail a moment ago, which is no error.
            "over_email_send_rate_limit" if response.message()?.contains("rate limit exceeded") => Self::UsedUp,
            "unknown" => Self::Hook,
            code if code.starts_with("hook_") => Self::Hook,
            "request_timeout" => Self::NoAnswer,
            _ if response.status == StatusCode::INTERNAL_SERVER_ERROR => Self::MailServer,
            _ => return None,
        })
    }

    /// The table of errors: a description for the operator, and the setting to check. The setting has its name in the
    /// environment of Supabase Auth and its place in the dashboard, if it has one.
    const fn row(self) -> (&'static str, &'static str) {
        const SMTP: &str = "SMTP_HOST (Authentication, Emails, SMTP Settings)";
        match self {
            Self::MagicLinkOff => {
                ("signing in by mail is switched off in the project", "EXTERNAL_EMAIL_MAGIC_LINK_ENABLED")
            }
            Self::NotAuthorized => (
                "without a mail server of its own, the project mails to its own team alone",
                "EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES (Authentication, Emails, SMTP Settings)",
            ),
            Self::Unmailable => {
                ("the project takes the address for none that gets mail", "MAILER_EMAIL_VALIDATION_EXTENDED")
            }
            Self::UsedUp => {
                ("the project's mails of this hour are used up", "RATE_LIMIT_EMAIL_SENT (Authentication, Rate Limits)")
            }
            Self::MailServer => ("its mail server took none", SMTP),
            Self::Hook => ("the project's own hook sent none", "HOOK_SEND_EMAIL (Authentication, Hooks)"),
            Self::NoAnswer => ("it did not answer in time, as when its mail server does not", SMTP),
        }
    }
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (description, setting) = self.row();
        write!(f, "{description}; look at {setting}")
    }
}
