//! The codes that people type from a mail, and what is kept of them.

use crate::supabase::error::SupabaseError;
use crate::supabase::random;
use aws_lc_rs::digest::{SHA224, digest};
use serde::{Deserialize, Serialize};

/// A code that has been sent and not been used.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OneTimeCode {
    /// Hex, prefixed `pkce_` when the mail was asked for with a challenge.
    pub(super) hash: String,
    pub(super) kind: Kind,
    pub(super) sent_at: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The person exists and is confirmed.
    MagicLink,
    /// The address has yet to be confirmed.
    Signup,
}

impl OneTimeCode {
    /// The digits of a new one, and what is kept of it.
    pub(super) fn new(email: &str, kind: Kind, pkce: bool, sent_at: i64) -> Result<(String, Self), SupabaseError> {
        let code = random::code()?;
        let hash = format!("{}{}", if pkce { "pkce_" } else { "" }, hash(email, &code));
        Ok((code, Self { hash, kind, sent_at }))
    }

    pub(super) fn is_expired(&self, now: i64) -> bool {
        now > self.sent_at + LIFETIME
    }

    /// Whether another mail may not be sent yet; if so, for how many seconds.
    pub(super) fn seconds_to_wait(&self, now: i64) -> Option<i64> {
        let wait = self.sent_at + INTERVAL - now;
        (wait > 0).then_some(wait)
    }

    pub(super) fn is_pkce(&self) -> bool {
        self.hash.starts_with("pkce_")
    }
}

impl Kind {
    /// `type` of the link.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::MagicLink => "magiclink",
            Self::Signup => "signup",
        }
    }

    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::MagicLink => "Your sign-in code",
            Self::Signup => "Confirm your e-mail address",
        }
    }
}

/// `hex(SHA-224(email || code))` (GoTrue `internal/crypto`).
pub(super) fn hash(email: &str, code: &str) -> String {
    let hash = digest(&SHA224, format!("{email}{code}").as_bytes());
    hash.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Seconds (`MAILER_OTP_EXP` on the platform).
const LIFETIME: i64 = 3600;
/// Seconds between two mails to one person.
const INTERVAL: i64 = 60;
