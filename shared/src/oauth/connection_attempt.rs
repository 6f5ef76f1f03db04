//! One attempt to connect, from the authorization request to the first call. Its id is derived and not
//! stored.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::oauth::pkce::CodeChallenge;
use crate::oauth::secret::to_text;

/// Identifies an attempt. A client makes a PKCE challenge per attempt. The request carries the challenge and
/// the grant keeps it, so the id can be derived from either. The challenge cannot be derived from the id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionAttempt([u8; 12]);

impl ConnectionAttempt {
    /// The attempt that `challenge` was made for: the first 12 bytes of a digest of it.
    #[must_use]
    pub fn from_challenge(challenge: &CodeChallenge) -> Self {
        let digest: [u8; 32] =
            Sha256::new().chain_update(b"flow").chain_update(challenge.as_digest().as_bytes()).finalize().into();
        let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 12], &[]));
        Self(*first)
    }

    /// As the audit writes it: 16 characters of base64url.
    #[must_use]
    pub fn attempt_id(self) -> String {
        to_text(&self.0)
    }
}

impl fmt::Debug for ConnectionAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attempt_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id must not change with a deployment: audit lines from before and after it name the same attempt.
    #[test]
    fn attempt_id_is_stable() {
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();

        let name = ConnectionAttempt::from_challenge(&challenge).attempt_id();

        assert_eq!(name, "NxAqyIMaQMg9W6Ye");
        assert!(!challenge.to_text().contains(&name));
    }
}
