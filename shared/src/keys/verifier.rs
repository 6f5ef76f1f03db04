//! Verifies our own access tokens, offline.

use jsonwebtoken::{Validation, decode, decode_header};

use super::public::PublicKeys;
use crate::clock::Timestamp;
use crate::oauth::access_token::{Claims, TYPE};
use crate::oauth::issuer::Issuer;

/// Knows our keys and our name.
pub struct Verifier {
    keys: PublicKeys,
    issuer: Issuer,
}

/// A token that is one of ours and whose time has not passed. Only [`Verifier::verify`] makes one.
#[derive(Debug)]
pub struct Genuine(Claims);

impl Genuine {
    /// What it says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.0
    }
}

/// Why a token is not one of ours, or no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    /// Not a JWT of RFC 9068, or signed by none of our keys, or changed.
    Forged,
    /// By another issuer.
    Issuer,
    /// Past its time.
    Expired,
}

impl Verifier {
    /// Larger tokens are not ours.
    const LIMIT: usize = 4096;

    /// Of tokens that `issuer` signed with `keys`.
    #[must_use]
    pub const fn new(keys: PublicKeys, issuer: Issuer) -> Self {
        Self { keys, issuer }
    }

    /// What a genuine token says (RFC 9068 §4), whatever its audience and even if it has expired: revocation wants that too.
    ///
    /// # Errors
    /// When it is not genuine.
    pub fn read(&self, token: &str) -> Result<Claims, Untrusted> {
        if token.len() > Self::LIMIT {
            return Err(Untrusted::Forged);
        }
        let header = decode_header(token).map_err(|_| Untrusted::Forged)?;
        if !header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE)) {
            return Err(Untrusted::Forged);
        }
        let key = header.kid.as_deref().and_then(|kid| self.keys.find(kid)).ok_or(Untrusted::Forged)?;
        // The algorithm is the key's, never the token's word for it.
        let mut validation = Validation::new(key.algorithm);
        // Time is an argument here, and the audience is the caller's to know.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &key.decoding, &validation).map_err(|_| Untrusted::Forged)?.claims;
        if claims.iss == self.issuer.as_str() { Ok(claims) } else { Err(Untrusted::Issuer) }
    }

    /// What a genuine token says, if its time has not passed.
    ///
    /// # Errors
    /// When it is not genuine, or has expired.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Genuine, Untrusted> {
        let claims = self.read(token)?;
        if now.seconds() < claims.exp { Ok(Genuine(claims)) } else { Err(Untrusted::Expired) }
    }
}
