//! A person who is signed in, and the proof that a form was shown to them.

use sha2::{Digest, Sha256};

use super::access_token::Claims;
use super::supabase::Bearer;
use crate::clock::Timestamp;
use crate::oauth::secret::{Secret, from_text, to_text};
use crate::oauth::tenant::PersonId;

/// A verified session. Its `Debug` shows neither token nor session.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub person: PersonId,
    /// Their address, which nobody may have verified.
    pub email: Option<String>,
    /// Their number, as E.164 writes it: somebody who signed in by phone may have no address.
    pub phone: Option<String>,
    /// Until when the access token is good.
    pub until: Timestamp,
    /// For asking Supabase about them.
    pub bearer: Bearer,
    pub(super) has_both_factors: bool,
    /// Supabase verified the session a moment ago, in answering this very request.
    pub(super) just_verified: bool,
    session: Secret<32>,
}

/// The purpose of the form that signs a person out: `POST /auth/logout` with `confirmation` and `next`.
pub const SIGN_OUT: &str = "sign out";

impl SignedIn {
    pub(super) fn new(person: PersonId, claims: Claims, bearer: Bearer, just_verified: bool) -> Self {
        // The session's id is random and known to its browser (and its project) alone. Unlike the token it survives a refresh,
        // so a form that lay open for an hour still counts.
        let has_both_factors = claims.has_both_factors();
        let session = Sha256::new()
            .chain_update("amble connect: forms of a session\0")
            .chain_update(person.as_str())
            .chain_update(claims.session_id);
        let session = Secret::from_bytes(session.finalize().into());
        let email = claims.email.filter(|email| !email.is_empty());
        let phone = claims.phone.filter(|phone| !phone.is_empty()).map(|phone| {
            // Supabase leaves the sign out.
            if phone.bytes().all(|byte| byte.is_ascii_digit()) { format!("+{phone}") } else { phone }
        });
        Self {
            person,
            email,
            phone,
            until: Timestamp::from_seconds(claims.exp),
            bearer,
            has_both_factors,
            just_verified,
            session,
        }
    }

    /// As whom a page tells them that they are signed in.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.email.as_deref().or(self.phone.as_deref()).unwrap_or(self.person.as_str())
    }

    /// What a form for `purpose` carries, so that only a page of ours, shown within this session, can have been its source.
    /// `purpose` should say what is being agreed to.
    #[must_use]
    pub fn csrf_token(&self, purpose: &str) -> String {
        to_text(self.proof(purpose).expose())
    }

    /// Whether `shown` is [`Self::csrf_token`] of `purpose`; in constant time.
    #[must_use]
    pub fn verify_csrf_token(&self, purpose: &str, shown: &str) -> bool {
        from_text(shown).is_some_and(|bytes| self.proof(purpose).matches(&Secret::from_bytes(bytes)))
    }

    fn proof(&self, purpose: &str) -> Secret<32> {
        self.session.mac(&[purpose.as_bytes()])
    }
}
