//! The mails that the project sends, each with a link and a code to type.

use crate::supabase::Supabase;
use crate::supabase::error::SupabaseError;
use crate::supabase::random;
use crate::supabase::state::State;
use crate::supabase::timestamp::rfc3339;
use aws_lc_rs::digest::{SHA224, digest};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

/// One mail. Whoever reads it can sign in as its reader, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub struct Mail {
    /// Address, in lower case.
    pub to: String,
    /// Unix seconds.
    pub sent_at: i64,
    /// What it is about.
    pub subject: String,
    /// Six digits to type.
    pub code: String,
    /// `GET /verify` with the hash of the code, or the hash at our callback, by the project's template.
    pub link: String,
}

impl Mail {
    pub(super) fn date(&self) -> String {
        rfc3339(self.sent_at)
    }
}

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

impl Supabase {
    pub(super) fn send_mail(
        &self,
        state: &mut State,
        person: Uuid,
        pkce: bool,
        redirect_to: &str,
    ) -> Result<(), SupabaseError> {
        let account = state.people.find(person).ok_or(SupabaseError::UnexpectedFailure)?;
        let authorized = &state.config.authorized_addresses;
        if !(authorized.is_empty() || authorized.contains(&account.person.email)) {
            return Err(SupabaseError::AddressNotAuthorized(account.person.email.clone()));
        }
        let hour = self.now() - HOUR;
        let sent = state.mails.iter().filter(|mail| mail.sent_at > hour).count();
        if state.config.mails_per_hour.is_some_and(|most| sent >= most) {
            return Err(SupabaseError::MailsUsedUp);
        }
        if state.config.mail_server_down {
            return Err(SupabaseError::MailFailed);
        }
        let kind = if account.is_confirmed() { Kind::MagicLink } else { Kind::Signup };
        let (to, sent_at) = (account.person.email.clone(), self.now());
        let (code, one_time) = OneTimeCode::new(&to, kind, pkce, sent_at)?;
        let callback = state.config.callback_of_template.as_deref();
        let link = if callback.is_some_and(|callback| redirect_to.starts_with(callback)) {
            format!("{redirect_to}&token_hash={}", one_time.hash)
        } else {
            self.link(&one_time, redirect_to)?
        };
        tracing::info!(%to, read_at = %format!("{}/inbox/{to}", self.site.url), "fake Supabase sent a mail");
        if let Some(account) = state.people.find_mut(person) {
            account.mailed(sent_at);
        }
        state.codes.insert(person, one_time);
        state.mails.push(Mail { to, sent_at, subject: kind.subject().to_owned(), code, link });
        Ok(())
    }

    /// The link of a mail with this code.
    pub(super) fn link(&self, code: &OneTimeCode, redirect_to: &str) -> Result<String, SupabaseError> {
        let mut link =
            Url::parse(&format!("{}/verify", self.issuer())).map_err(|_| SupabaseError::UnexpectedFailure)?;
        link.query_pairs_mut()
            .append_pair("token", &code.hash)
            .append_pair("type", code.kind.name())
            .append_pair("redirect_to", redirect_to);
        Ok(link.into())
    }
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

    const fn subject(self) -> &'static str {
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
const LIFETIME: i64 = HOUR;
const HOUR: i64 = 3600;
/// Seconds between two mails to one person.
const INTERVAL: i64 = 60;
