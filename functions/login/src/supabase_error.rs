//! The errors of Supabase Auth, by their codes, with a sentence for the person.

use shared::identity::{HOOK_MUST_KEEP_CLAIMS, SessionError};

/// An error of Supabase Auth. One error stands for all codes that need the same sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SupabaseError {
    /// The password is wrong, or nobody has this address.
    Credentials,
    /// The address was never confirmed. A code in a mail to it confirms it.
    Unconfirmed,
    /// The address was never confirmed, and this page cannot confirm it, as sign-up is off.
    Unconfirmable,
    /// The account is banned.
    Suspended,
    /// The code is wrong or too old, or the account is banned, which Supabase checks before the code. With separate
    /// errors, any code would show who is banned.
    Code,
    /// The link of a mail was used, or is too old.
    Link,
    /// The code of an authenticator is wrong or has expired.
    Factor,
    /// The account does not have this authenticator.
    NoAuthenticator,
    /// Too many requests.
    RateLimited,
    /// Signing in by e-mail is off.
    EmailDisabled,
    /// The provider is not offered.
    Provider,
    /// The person cancelled the sign-in at the provider.
    Cancelled,
    /// The person has no account, and sign-up is off.
    NoAccount,
    /// The provider's address is not verified.
    UnverifiedAddress,
    /// The provider failed, or Supabase could not process its response.
    ProviderFailed,
    /// The provider is temporarily unavailable.
    ProviderUnavailable,
    /// The provider did not return an e-mail address.
    NoAddress,
    /// The flow has expired or was used.
    FlowExpired,
    /// The verifier does not belong to the newest flow of the person.
    WrongVerifier,
    /// The challenge and the code of a factor came from different IP addresses.
    AddressChanged,
    /// The session has ended.
    Session,
    /// The token does not contain `amr`, and Supabase's own OAuth server is on.
    MissingAmr,
    /// The browser has sessions of two people.
    SeveralPeople,
}

impl SupabaseError {
    /// Of `POST /token?grant_type=password`.
    pub(crate) fn of_password(code: &str) -> Option<Self> {
        match code {
            // Supabase checks a ban before the password. A separate error would show that the address exists.
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
            // Supabase also returns this code for a challenge that was used before, as by a double click.
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

    /// Of the `error_code`, or else the `error`, in the address of the callback, with its description. A provider's
    /// own error (RFC 6749 §4.1.2.1) comes without an `error_code`. No error here is temporary: the same address
    /// fails again.
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
            // Supabase has one code for all errors between it and a provider.
            "unexpected_failure" if description.contains("user email from external provider") => Self::NoAddress,
            code => Self::of_any(code).filter(|error| *error != Self::RateLimited).unwrap_or(Self::ProviderFailed),
        }
    }

    /// Of the error of a session.
    pub(crate) const fn of_session(error: SessionError) -> Self {
        match error {
            SessionError::Banned => Self::Suspended,
            SessionError::MissingAmr => Self::MissingAmr,
            SessionError::SeveralPeople => Self::SeveralPeople,
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

    /// For the person.
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
            Self::SeveralPeople => {
                "This browser had sessions of two people for this site, so neither counted. Please sign in again. If you \
                 read this again, delete the cookies of this site in your browser's settings."
            }
        }
    }
}
