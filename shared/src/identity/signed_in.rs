//! A person who is signed in, and the CSRF tokens of their forms.

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
    /// When they signed in, if the token says it.
    pub signed_in_at: Option<Timestamp>,
    /// The token for calls to Supabase about them.
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
        // The session's id is random, and only its browser and the project know it. Unlike the token it stays
        // the same after a refresh, so a form that was open for an hour is still valid.
        let (has_both_factors, signed_in_at) = (claims.has_both_factors(), claims.signed_in_at());
        let session = Sha256::new()
            .chain_update("amble connect: forms of a session\0")
            .chain_update(person.as_str())
            .chain_update(claims.session_id);
        let session = Secret::from_bytes(session.finalize().into());
        let email = claims.email.filter(|email| !email.is_empty());
        let phone = claims.phone.filter(|phone| !phone.is_empty()).map(|phone| {
            // Supabase omits the plus sign.
            if phone.bytes().all(|byte| byte.is_ascii_digit()) { format!("+{phone}") } else { phone }
        });
        Self {
            person,
            email,
            phone,
            until: Timestamp::from_seconds(claims.exp),
            signed_in_at,
            bearer,
            has_both_factors,
            just_verified,
            session,
        }
    }

    /// Their name on a page.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.email.as_deref().or(self.phone.as_deref()).unwrap_or(self.person.as_str())
    }

    /// The CSRF token of a form for `purpose`: only a page of ours in this session can contain it. `purpose`
    /// should say what the person agrees to.
    #[must_use]
    pub fn csrf_token(&self, purpose: &str) -> String {
        to_text(self.proof(purpose).expose())
    }

    /// Whether `token` is [`Self::csrf_token`] of `purpose`. In constant time.
    #[must_use]
    pub fn verify_csrf_token(&self, purpose: &str, token: &str) -> bool {
        from_text(token).is_some_and(|bytes| self.proof(purpose).matches(&Secret::from_bytes(bytes)))
    }

    fn proof(&self, purpose: &str) -> Secret<32> {
        self.session.mac(&[purpose.as_bytes()])
    }
}
