//! Verifies our own access tokens, offline.

use jsonwebtoken::{Validation, decode, decode_header};

use super::keyring::PublicKeys;
use crate::clock::Timestamp;
use crate::oauth::access_token::{Claims, TYPE};
use crate::oauth::issuer::Issuer;

/// Holds the public keys and the issuer.
pub struct AccessTokenVerifier {
    keys: PublicKeys,
    issuer: Issuer,
}

/// A token of ours that has not expired. Only [`AccessTokenVerifier::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedAccessToken(Claims);

impl VerifiedAccessToken {
    /// What it says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.0
    }
}

/// Why a token is not one of ours, or no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenVerifyError {
    /// Not a JWT of RFC 9068, or signed by none of our keys, or changed.
    Invalid,
    /// By another issuer.
    IssuerMismatch,
    /// Past its time.
    Expired,
}

impl AccessTokenVerifier {
    /// Larger tokens are not ours.
    const LIMIT: usize = 4096;

    /// Of tokens that `issuer` signed with `keys`.
    #[must_use]
    pub const fn new(keys: PublicKeys, issuer: Issuer) -> Self {
        Self { keys, issuer }
    }

    /// The claims of a token of ours (RFC 9068 §4), whatever its audience and even if it has expired: revocation needs that too.
    ///
    /// # Errors
    /// When its signature or its issuer is not ours.
    pub fn verify_signature(&self, token: &str) -> Result<Claims, TokenVerifyError> {
        if token.len() > Self::LIMIT {
            return Err(TokenVerifyError::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenVerifyError::Invalid)?;
        if !header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE)) {
            return Err(TokenVerifyError::Invalid);
        }
        let key = header.kid.as_deref().and_then(|kid| self.keys.find(kid)).ok_or(TokenVerifyError::Invalid)?;
        // The key decides the algorithm, never the token.
        let mut validation = Validation::new(key.algorithm);
        // The expiry is checked against `now`, and the audience by the caller.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &key.decoding, &validation).map_err(|_| TokenVerifyError::Invalid)?.claims;
        if claims.iss == self.issuer.as_str() { Ok(claims) } else { Err(TokenVerifyError::IssuerMismatch) }
    }

    /// The claims of a token of ours that has not expired.
    ///
    /// # Errors
    /// When its signature or its issuer is not ours, or it has expired.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedAccessToken, TokenVerifyError> {
        let claims = self.verify_signature(token)?;
        if now.seconds() < claims.exp { Ok(VerifiedAccessToken(claims)) } else { Err(TokenVerifyError::Expired) }
    }
}
