//! Mails that Supabase could not send. It looks an address up before it tries, so every such failure says that the
//! address is known: the person gets the page that everybody gets, and the log says what is wrong.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use shared::identity::supabase::SupabaseResponse;

/// How long an answer to whoever asks for a mail takes at least, so that a known address cannot be recognised by the time that
/// its mail takes. Supabase answers for an unknown one at once, and for a known one when its mail server has taken the
/// mail: a connection with TLS, a login and the mail are some ten round trips, at 100 ms each one second. This is twice
/// that. A mail server that takes longer still shows.
pub(crate) const MIN_RESPONSE_TIME: Duration = Duration::from_secs(2);

/// Why a mail was not sent, by what has to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailError {
    /// Signing in by mail is off, while passwords work.
    MagicLinkOff,
    /// The project mails to its own team alone.
    NotAuthorized,
    /// The project checks addresses, and takes this one for none that gets mail.
    Unmailable,
    /// The project's mails of this hour are used up.
    UsedUp,
    /// The mail server took no mail.
    MailServer,
    /// The project's own hook was to send it.
    Hook,
    /// Supabase did not answer in time, as when its mail server does not.
    NoAnswer,
}

impl MailError {
    /// Of `POST /otp`, if that is what it refuses.
    pub(crate) fn of(answer: &SupabaseResponse) -> Option<Self> {
        let code = answer.code.as_deref()?;
        Some(match code {
            "email_provider_disabled" => Self::MagicLinkOff,
            "email_address_not_authorized" => Self::NotAuthorized,
            "email_address_invalid" => Self::Unmailable,
            // The same code says that this person was sent one a moment ago, which is no failure.
            "over_email_send_rate_limit" if answer.message()?.contains("rate limit exceeded") => Self::UsedUp,
            "unknown" => Self::Hook,
            code if code.starts_with("hook_") => Self::Hook,
            "request_timeout" => Self::NoAnswer,
            _ if answer.status == StatusCode::INTERNAL_SERVER_ERROR => Self::MailServer,
            _ => return None,
        })
    }

    /// What to look at, by its name in the environment of Supabase Auth and its place in the dashboard, if it has one.
    const fn setting(self) -> &'static str {
        match self {
            Self::MagicLinkOff => "EXTERNAL_EMAIL_MAGIC_LINK_ENABLED",
            Self::NotAuthorized => "EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES (Authentication, Emails, SMTP Settings)",
            Self::Unmailable => "MAILER_EMAIL_VALIDATION_EXTENDED",
            Self::UsedUp => "RATE_LIMIT_EMAIL_SENT (Authentication, Rate Limits)",
            Self::MailServer | Self::NoAnswer => "SMTP_HOST (Authentication, Emails, SMTP Settings)",
            Self::Hook => "HOOK_SEND_EMAIL (Authentication, Hooks)",
        }
    }
}

/// For the operator.
impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::MagicLinkOff => "signing in by mail is switched off in the project",
            Self::NotAuthorized => "without a mail server of its own, the project mails to its own team alone",
            Self::Unmailable => "the project takes the address for none that gets mail",
            Self::UsedUp => "the project's mails of this hour are used up",
            Self::MailServer => "its mail server took none",
            Self::Hook => "the project's own hook sent none",
            Self::NoAnswer => "it did not answer in time, as when its mail server does not",
        };
        write!(f, "{what}; look at {}", self.setting())
    }
}
