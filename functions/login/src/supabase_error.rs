//! Errors of Supabase Auth, by their codes, and what they mean for the person.

use shared::identity::{HOOK_MUST_KEEP_CLAIMS, SessionError};

/// An error code of Supabase Auth, as the person meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SupabaseError {
    /// The wrong password, or nobody has this address.
    Credentials,
    /// The address was never confirmed. A code that is mailed to it confirms it.
    Unconfirmed,
    /// The address was never confirmed, and nothing that this page can do confirms it: sign-up is off.
    Unconfirmable,
    /// The account is banned.
    Suspended,
    /// The wrong code, or one that is too old; or the account is banned, which Supabase looks up before the code. Told apart,
    /// any code at all would say who is banned.
    Code,
    /// The link of a mail that was used, or is too old.
    Link,
    /// The wrong code of an authenticator, or one that has run out.
    Factor,
    /// No authenticator that this page can ask for.
    NoAuthenticator,
    /// Too much for now.
    RateLimited,
    /// Signing in by e-mail is off.
    EmailDisabled,
    /// A provider that is not offered.
    Provider,
    /// The person said no at the provider.
    Cancelled,
    /// There is no account for them, and none is made.
    NoAccount,
    /// The provider's address is not verified.
    UnverifiedAddress,
    /// The provider, or Supabase with what the provider said, failed.
    ProviderFailed,
    /// The provider is out of order for the moment.
    ProviderUnavailable,
    /// The provider did not say which address they have.
    NoAddress,
    /// The flow ended, one way or the other.
    FlowExpired,
    /// The newest flow of the person is not the one that this verifier is for.
    WrongVerifier,
    /// A factor was checked from another address than it was asked for.
    AddressChanged,
    /// The session ended.
    Session,
    /// The token does not say how the person signed in, and Supabase's own OAuth server is on.
    MissingAmr,
}

impl SupabaseError {
    /// Of `POST /token?grant_type=password`.
    pub(crate) fn of_password(code: &str) -> Option<Self> {
        match code {
            // A ban is looked up before the password is: told apart, it would say that the address exists.
            "invalid_credentials" | "user_banned" | "validation_failed" | "user_not_found" => Some(Self::Credentials),
            "email_not_confirmed" => Some(Self::Unconfirmed),
            code => Self::of_any(code),
        }
    }

    /// Of `POST /verify`.
    pub(crate) fn of_code(code: &str) -> Option<Self> {
        match code {
            "otp_expired" | "validation_failed" | "user_not_found" | "user_banned" => Some(Self::Code),
            code => Self::of_any(code),
        }
    }

    /// Of `POST /verify` with the hash of a link.
    pub(crate) fn of_link(code: &str) -> Option<Self> {
        match code {
            "otp_expired" | "validation_failed" | "user_not_found" => Some(Self::Link),
            code => Self::of_any(code),
        }
    }

    /// Of `POST /factors/{id}/challenge` and `…/verify`.
    pub(crate) fn of_factor(code: &str) -> Option<Self> {
        match code {
            "mfa_verification_failed" | "mfa_challenge_expired" | "validation_failed" => Some(Self::Factor),
            "mfa_factor_not_found" => Some(Self::NoAuthenticator),
            // Also of a challenge that was used before, by a second click.
            "mfa_ip_address_mismatch" => Some(Self::AddressChanged),
            "session_not_found" | "session_expired" | "user_not_found" | "bad_jwt" | "no_authorization" => {
                Some(Self::Session)
            }
            code => Self::of_any(code),
        }
    }

    /// Of `POST /token?grant_type=pkce`.
    pub(crate) fn of_exchange(code: &str) -> Option<Self> {
        match code {
            "bad_code_verifier" => Some(Self::WrongVerifier),
            "flow_state_not_found" | "flow_state_expired" | "validation_failed" => Some(Self::FlowExpired),
            code => Self::of_any(code),
        }
    }

    /// Of `POST /token?grant_type=refresh_token`.
    pub(crate) fn of_refresh(code: &str) -> Option<Self> {
        match code {
            "refresh_token_not_found"
            | "refresh_token_already_used"
            | "session_not_found"
            | "session_expired"
            | "validation_failed"
            | "user_not_found" => Some(Self::Session),
            code => Self::of_any(code),
        }
    }

    /// Of an `error_code`, or else an `error`, in the address of the callback, with its description. Whatever it is,
    /// the sign-in has failed: an address that says so will say so again. The provider's own words (RFC 6749
    /// §4.1.2.1) come without an `error_code`.
    pub(crate) fn of_callback(code: &str, description: &str) -> Self {
        match code {
            "access_denied" => Self::Cancelled,
            "signup_disabled" => Self::NoAccount,
            "provider_email_needs_verification" => Self::UnverifiedAddress,
            "temporarily_unavailable" => Self::ProviderUnavailable,
            "otp_expired"
            | "flow_state_not_found"
            | "flow_state_expired"
            | "flow_state_already_used"
            | "bad_oauth_state" => Self::FlowExpired,
            // Supabase has one code for whatever goes wrong between it and a provider.
            "unexpected_failure" if description.contains("user email from external provider") => Self::NoAddress,
            code => Self::of_any(code).filter(|error| *error != Self::RateLimited).unwrap_or(Self::ProviderFailed),
        }
    }

    /// Of a session that is none.
    pub(crate) const fn of_session(why: SessionError) -> Self {
        match why {
            SessionError::Banned => Self::Suspended,
            SessionError::MissingAmr => Self::MissingAmr,
            SessionError::Ended | SessionError::Unrecognized => Self::Session,
        }
    }

    /// Of any call.
    pub(crate) fn of_any(code: &str) -> Option<Self> {
        match code {
            "user_banned" => Some(Self::Suspended),
            "over_request_rate_limit" | "over_email_send_rate_limit" => Some(Self::RateLimited),
            "email_provider_disabled" => Some(Self::EmailDisabled),
            _ => None,
        }
    }

    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Credentials => {
                "That e-mail address and password do not match. Check both, or have a code e-mailed to you."
            }
            Self::Unconfirmed => "This address has not been confirmed yet. Have a code e-mailed to you to confirm it.",
            Self::Unconfirmable => {
                "This address has not been confirmed, and no mail of this page can confirm it. \
                 Ask whoever runs your workspace to do so."
            }
            Self::Suspended => "This account is suspended. Ask whoever runs your workspace.",
            Self::Code => {
                "That code is wrong or has expired, or the account is suspended. Check the code, or send another one. \
                 If that does not help, ask whoever runs your workspace."
            }
            Self::Link => "That mail was used already, link or code, or it is too old. Send another one.",
            Self::Factor => "That code is wrong or has run out. Type in the one that your authenticator app shows now.",
            Self::NoAuthenticator => "That authenticator is not set up for this account. Choose another one.",
            Self::RateLimited => "Too many attempts just now. Wait a minute, then try again.",
            Self::EmailDisabled => "Signing in by e-mail is switched off here. Choose another way.",
            Self::Provider => "That way of signing in is not offered here. Choose another one.",
            Self::Cancelled => "The sign-in was cancelled. You can try again or choose another way.",
            Self::NoAccount => {
                "There is no account for that sign-in. Use the one you already have, or ask whoever runs your workspace."
            }
            Self::UnverifiedAddress => "Your e-mail address is not verified there yet. Verify it, then try again.",
            Self::ProviderFailed => {
                "You are not signed in: the service that was to sign you in reported an error of its own. \
                 Try again, or choose another way."
            }
            Self::ProviderUnavailable => {
                "The service that was to sign you in is not available at the moment. \
                 Try again in some minutes, or choose another way."
            }
            Self::NoAddress => {
                "The service that was to sign you in did not tell your e-mail address, without which nobody is known \
                 here. Allow it there to do so, or choose another way."
            }
            Self::FlowExpired => "That sign-in took too long or was already used. Please start again.",
            Self::WrongVerifier => {
                "Somebody asked for a mail to the same address after you did, so your mail is used up, its link and its code. \
                 Ask for another one. The code of the next mail always works, whoever else asks."
            }
            Self::AddressChanged => {
                "That code could not be checked this time. Type in the one that your authenticator app shows now."
            }
            Self::Session => {
                "Your session has ended, as it does when you sign out or use your authenticator app in another browser. \
                 Please sign in again."
            }
            Self::MissingAmr => HOOK_MUST_KEEP_CLAIMS,
        }
    }
}
