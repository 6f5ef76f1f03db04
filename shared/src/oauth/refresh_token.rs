//! A refresh token as a client holds it. It says which of its family it is, so that an older token and a newer one can be told apart
//! when the table has been restored to a minute before the newer one was made.
//!
//! ```text
//! rt_ + base64url of  grant (16 bytes) ‖ F (32) ‖ T (32) ‖ generation (4) ‖ seconds since 1970 at which it was made (8) ‖ MAC (32)
//! ```
//!
//! `F` is the family secret, `T` the rotation secret ([`super::refresh_token_rotation`]). The MAC is of all that is before it, by a key
//! that no table has ([`RefreshTokenKey`]). Tokens of earlier versions end after `T`.

use crate::clock::Timestamp;
use crate::oauth::grant_id::GrantId;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};

const PREFIX: &str = "rt_";

/// The key by which tokens are bound to what they say of themselves.
pub struct RefreshTokenKey(Secret<32>);

impl RefreshTokenKey {
    /// From whoever keeps it.
    #[must_use]
    pub const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// A digest of something else that is compared later, and that only who has the key can make.
    pub(super) fn digest(&self, kind: &str, value: &[u8]) -> [u8; 8] {
        let mac = self.0.mac(&[kind.as_bytes(), &[0], value]);
        let mut digest = [0; 8];
        digest.copy_from_slice(mac.expose().split_at(8).0);
        digest
    }
}

/// A nonce: 16 random bytes, worth nothing without the family secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationNonce([u8; 16]);

impl RotationNonce {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(*Secret::<16>::random().expose())
    }

    /// From the table.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// For the table.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Which token of its family a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// Its generation.
    pub generation: u32,
    /// When it was made.
    pub at: Timestamp,
}

/// A refresh token.
pub struct RefreshToken {
    /// The grant it names.
    pub grant: GrantId,
    family: Secret<32>,
    rotation_secret: Secret<32>,
    /// What it says of itself, and the MAC over it.
    issuance: Option<(Issuance, Secret<32>)>,
}

impl RefreshToken {
    /// Whether `text` is meant to be a refresh token, well-formed or not.
    #[must_use]
    pub fn has_prefix(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// From the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        let (secrets, issuance) = if let Some(bytes) = from_text::<124>(text) {
            let (secrets, rest) = bytes.split_first_chunk::<80>()?;
            let (generation, rest) = rest.split_first_chunk::<4>()?;
            let (at, mac) = rest.split_first_chunk::<8>()?;
            let (generation, at) = (u32::from_be_bytes(*generation), Timestamp::from_seconds(i64::from_be_bytes(*at)));
            (*secrets, Some((Issuance { generation, at }, Secret::from_bytes(mac.try_into().ok()?))))
        } else {
            (from_text::<80>(text)?, None)
        };
        let (grant, rest) = secrets.split_first_chunk::<16>()?;
        let (family, rotation_secret) = rest.split_first_chunk::<32>()?;
        Some(Self {
            grant: GrantId::from_bytes(*grant),
            family: Secret::from_bytes(*family),
            rotation_secret: Secret::from_bytes(rotation_secret.try_into().ok()?),
            issuance,
        })
    }

    /// For the wire.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes =
            [self.grant.as_bytes().as_slice(), self.family.expose(), self.rotation_secret.expose()].concat();
        if let Some((Issuance { generation, at }, mac)) = &self.issuance {
            bytes.extend(generation.to_be_bytes());
            bytes.extend(at.seconds().to_be_bytes());
            bytes.extend(mac.expose());
        }
        format!("{PREFIX}{}", to_text(&bytes))
    }

    /// Which token of its family it says that it is, if `key` proves it. Nothing of a token of an earlier version, or if the key is
    /// another than the token was made with.
    #[must_use]
    pub fn issuance(&self, key: &RefreshTokenKey) -> Option<Issuance> {
        let (issuance, presented) = self.issuance.as_ref()?;
        presented.matches(&self.mac(*issuance, key)).then_some(*issuance)
    }

    /// The token of a new family whose secret is `family`.
    pub(super) fn first(
        grant: GrantId,
        family: Secret<32>,
        nonce: &RotationNonce,
        issuance: Issuance,
        key: &RefreshTokenKey,
    ) -> Self {
        let rotation_secret = derive_rotation_secret(&family, &grant, issuance.generation, nonce);
        Self { grant, family, rotation_secret, issuance: None }.issued(issuance, key)
    }

    /// The token of the same family with that nonce.
    pub(super) fn with_nonce(&self, nonce: &RotationNonce, issuance: Issuance, key: &RefreshTokenKey) -> Self {
        Self::first(self.grant.clone(), self.family.clone(), nonce, issuance, key)
    }

    pub(super) fn family_digest(&self) -> Digest {
        self.family.digest()
    }

    pub(super) fn is_of_generation(&self, generation: u32, nonce: &RotationNonce) -> bool {
        self.rotation_secret.matches(&derive_rotation_secret(&self.family, &self.grant, generation, nonce))
    }

    fn issued(self, issuance: Issuance, key: &RefreshTokenKey) -> Self {
        let mac = self.mac(issuance, key);
        Self { issuance: Some((issuance, mac)), ..self }
    }

    fn mac(&self, Issuance { generation, at }: Issuance, key: &RefreshTokenKey) -> Secret<32> {
        key.0.mac(&[
            self.grant.as_bytes(),
            self.family.expose(),
            self.rotation_secret.expose(),
            &generation.to_be_bytes(),
            &at.seconds().to_be_bytes(),
        ])
    }
}

fn derive_rotation_secret(family: &Secret<32>, grant: &GrantId, generation: u32, nonce: &RotationNonce) -> Secret<32> {
    family.mac(&[grant.as_bytes(), &generation.to_be_bytes(), nonce.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RefreshTokenKey {
        RefreshTokenKey::new(Secret::from_bytes([9; 32]))
    }

    fn token(grant: u8, nonce: &RotationNonce, generation: u32) -> RefreshToken {
        let issuance = Issuance { generation, at: Timestamp::from_seconds(1_795_339_800) };
        RefreshToken::first(GrantId::from_bytes([grant; 16]), Secret::from_bytes([1; 32]), nonce, issuance, &key())
    }

    /// Grant, generation and nonce each change the rotation secret. Only the table has the nonce, so nobody can derive the next token
    /// from the previous one alone.
    #[test]
    fn rotation_secret_depends_on_grant_family_generation_and_nonce() {
        let (nonce, other) = (RotationNonce::random(), RotationNonce::random());

        let successor = token(1, &nonce, 2);

        assert!(successor.is_of_generation(2, &nonce));
        assert!(
            !successor.is_of_generation(2, &other)
                && !successor.is_of_generation(1, &nonce)
                && !successor.is_of_generation(3, &nonce)
        );
        let elsewhere = RefreshToken { grant: GrantId::from_bytes([2; 16]), ..token(1, &nonce, 2) };
        assert!(!elsewhere.is_of_generation(2, &nonce));
        let stranger = RefreshToken { family: Secret::random(), ..token(1, &nonce, 2) };
        assert!(!stranger.is_of_generation(2, &nonce));
    }

    /// A token that is changed in one bit, wherever, or shown to a system with another key, says nothing of itself.
    #[test]
    fn issuance_is_bound_to_the_token_by_the_key() {
        let made = token(1, &RotationNonce::random(), 7);
        let expected = Issuance { generation: 7, at: Timestamp::from_seconds(1_795_339_800) };
        let bytes: [u8; 124] = from_text(made.to_text().strip_prefix(PREFIX).expect("ours")).expect("124 bytes");
        let presented = |bytes: &[u8]| RefreshToken::parse(&format!("{PREFIX}{}", to_text(bytes))).expect("a token");

        assert_eq!(presented(&bytes).issuance(&key()), Some(expected));
        assert_eq!(presented(&bytes).issuance(&RefreshTokenKey::new(Secret::random())), None);
        for bit in 0..124 * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(presented(&changed).issuance(&key()), None, "bit {bit}");
        }
        assert_eq!(presented(&bytes[..80]).issuance(&key()), None, "as earlier versions made it");
    }
}
