//! How long ago a person signed in. What outlives a session is given away only after a recent sign-in, where the deployment wants
//! that: a stolen session of an hour must not become a connection of months.

use super::Identity;
use super::signed_in::SignedIn;
use crate::clock::Timestamp;

/// How the last sign-in of a person compares with what the deployment wants (`SIGN_IN_MAX_AGE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInAge {
    /// It is recent enough.
    Recent,
    /// They have to sign in again.
    TooOld,
    /// Their session does not say when it was. Signing in again would not change that: a custom access token hook of the project
    /// drops the claim `amr`, or the times in it.
    Unknown,
}

/// The parameter that asks a sign-in page for a sign-in that is at most so many seconds old (`OpenID` Connect Core §3.1.2.1).
pub const MAX_AGE: &str = "max_age";

impl Identity {
    /// Whether the person signed in recently enough to give something away that outlives the session.
    #[must_use]
    pub fn sign_in_age(&self, person: &SignedIn, now: Timestamp) -> SignInAge {
        match (self.sign_in_max_age, person.signed_in_at) {
            (Some(_), None) => SignInAge::Unknown,
            (Some(max), Some(at)) if now.since(at) > max => SignInAge::TooOld,
            (None, _) | (Some(_), Some(_)) => SignInAge::Recent,
        }
    }

    /// As [`Self::login_url`], for a person who is signed in and has to sign in again.
    #[must_use]
    pub fn reauthentication_url(&self, return_to: &str) -> String {
        let seconds = self.sign_in_max_age.unwrap_or_default().as_secs();
        format!("{}&{MAX_AGE}={seconds}", self.login_url(return_to))
    }
}
