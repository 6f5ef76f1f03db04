//! Sends mails: a link and a code to type, for one person.

use crate::supabase::error::SupabaseError;
use crate::supabase::mail::Mail;
use crate::supabase::one_time_code::{Kind, OneTimeCode};
use crate::supabase::project::Supabase;
use crate::supabase::state::State;
use url::Url;
use uuid::Uuid;

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

/// Seconds.
const HOUR: i64 = 3600;
