//! Refresh tokens whose successors are derived. So a lost response can be issued again, and the reuse of a
//! stolen token is detected (RFC 9700 §4.14.2).
//!
//! A token holds the grant's id, the family secret `F` and the rotation secret `T`. The table keeps the
//! digest of `F` and a random nonce per rotation. `T = HMAC-SHA256(F, grant ‖ generation ‖ nonce)`. Whoever
//! holds `F` and reads the nonce derives the same successor. A copy of the table is not enough to derive one.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::oauth::grant_id::GrantId;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};

const PREFIX: &str = "rt_";

/// How long a retry with the previous token gets the same successor, even if that successor was used.
pub const RETRY_WINDOW: Duration = Duration::from_mins(1);

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

/// A refresh token as a client holds it.
pub struct RefreshToken {
    /// The grant it names.
    pub grant: GrantId,
    family: Secret<32>,
    rotation_secret: Secret<32>,
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
        let bytes: [u8; 80] = from_text(text.strip_prefix(PREFIX)?)?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (family, rotation_secret) = rest.split_first_chunk::<32>()?;
        Some(Self {
            grant: GrantId::from_bytes(*grant),
            family: Secret::from_bytes(*family),
            rotation_secret: Secret::from_bytes(rotation_secret.try_into().ok()?),
        })
    }

    /// For the wire.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = [self.grant.as_bytes().as_slice(), self.family.expose(), self.rotation_secret.expose()].concat();
        format!("{PREFIX}{}", to_text(&bytes))
    }

    /// The token of the same family at `generation`.
    #[must_use]
    pub fn for_generation(&self, generation: u32, nonce: &RotationNonce) -> Self {
        Self {
            grant: self.grant.clone(),
            family: self.family.clone(),
            rotation_secret: derive_rotation_secret(&self.family, &self.grant, generation, nonce),
        }
    }

    fn is_of_generation(&self, generation: u32, nonce: &RotationNonce) -> bool {
        self.rotation_secret.matches(&derive_rotation_secret(&self.family, &self.grant, generation, nonce))
    }
}

/// What the table keeps of a refresh family. No token can be made from it.
#[derive(Clone, Debug)]
pub struct TokenFamily {
    /// Digest of the family secret.
    pub digest: Digest,
    /// How often it was rotated, counted from 1.
    pub generation: u32,
    /// Nonce of the current token.
    pub current: RotationNonce,
    /// Nonce of the one before, if there was one.
    pub previous: Option<RotationNonce>,
    /// When the current token was made.
    pub rotated: Timestamp,
    /// When it was last issued. A lost response may be issued again weeks later.
    pub last_issued: Timestamp,
}

/// What a presented refresh token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenState {
    /// The newest token. It rotates the family.
    Current,
    /// The previous token, within [`RETRY_WINDOW`] of the rotation. It gets the same successor again.
    Concurrent,
    /// The previous token, later, but its successor was never used: the response was lost. It gets the same
    /// successor again.
    LateRetry,
    /// A superseded token whose successor was used: it was stolen or replayed. The grant is revoked.
    Replayed,
    /// It does not prove the family secret. It is only refused: otherwise anyone could revoke a grant by
    /// naming it.
    Unknown,
    /// A token of this family that was unused, or is older, for longer than is allowed.
    Expired,
}

impl RefreshTokenState {
    /// For the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Concurrent => "concurrent",
            Self::LateRetry => "lost_response",
            Self::Replayed => "replayed",
            Self::Unknown => "stranger",
            Self::Expired => "expired",
        }
    }
}

impl TokenFamily {
    /// A new family of `grant` and its first token.
    #[must_use]
    pub fn create(grant: &GrantId, now: Timestamp) -> (Self, RefreshToken) {
        let (secret, nonce) = (Secret::random(), RotationNonce::random());
        let digest = secret.digest();
        let family = Self { digest, generation: 1, current: nonce, previous: None, rotated: now, last_issued: now };
        let rotation_secret = derive_rotation_secret(&secret, grant, 1, &nonce);
        (family, RefreshToken { grant: grant.clone(), family: secret, rotation_secret })
    }

    /// The family after one more rotation.
    #[must_use]
    pub fn rotated(&self, now: Timestamp) -> Self {
        Self {
            digest: self.digest,
            generation: self.generation.saturating_add(1),
            current: RotationNonce::random(),
            previous: Some(self.current),
            rotated: now,
            last_issued: now,
        }
    }

    /// The family after a lost response was issued again. This counts as a use.
    #[must_use]
    pub fn reissued(&self, now: Timestamp) -> Self {
        Self { last_issued: now, ..self.clone() }
    }

    /// The successor of a token that was current in `earlier`, although other requests have rotated the
    /// family since. After one or two rotations the nonce of the successor is still kept; after three it is
    /// not.
    #[must_use]
    pub fn successor(&self, earlier: &Self, token: &RefreshToken) -> Option<RefreshToken> {
        let generation = earlier.generation.checked_add(1)?;
        let nonce = match self.generation.checked_sub(generation)? {
            0 => self.current,
            1 => self.previous?,
            _ => return None,
        };
        Some(token.for_generation(generation, &nonce))
    }

    /// Classifies a presented token. `seen` is the newest generation of which mcp has seen an access token, `expires` when the
    /// family ends.
    #[must_use]
    pub fn classify(&self, token: &RefreshToken, seen: u32, expires: Timestamp, now: Timestamp) -> RefreshTokenState {
        if !self.digest.matches(&token.family.digest()) {
            return RefreshTokenState::Unknown;
        }
        if now >= expires {
            return RefreshTokenState::Expired;
        }
        if token.is_of_generation(self.generation, &self.current) {
            return RefreshTokenState::Current;
        }
        let is_previous =
            self.previous.is_some_and(|nonce| token.is_of_generation(self.generation.saturating_sub(1), &nonce));
        match is_previous {
            true if now.since(self.rotated) <= RETRY_WINDOW => RefreshTokenState::Concurrent,
            // The successor's refresh token was not presented either: then this token would no longer be the
            // previous one.
            true if seen < self.generation => RefreshTokenState::LateRetry,
            _ => RefreshTokenState::Replayed,
        }
    }
}

fn derive_rotation_secret(family: &Secret<32>, grant: &GrantId, generation: u32, nonce: &RotationNonce) -> Secret<32> {
    family.mac(&[grant.as_bytes(), &generation.to_be_bytes(), nonce.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grant, generation and nonce each change the successor. Only the table has the nonce, so nobody can
    /// derive the next token from the previous one alone.
    #[test]
    fn successor_depends_on_grant_generation_and_nonce() {
        let grant = |byte| GrantId::from_bytes([byte; 16]);
        let (nonce, other) = (RotationNonce::random(), RotationNonce::random());
        let (family, token) = TokenFamily::create(&grant(1), Timestamp::from_seconds(0));

        let successor = token.for_generation(2, &nonce);

        assert!(successor.is_of_generation(2, &nonce) && token.is_of_generation(1, &family.current));
        assert!(
            !successor.is_of_generation(2, &other)
                && !successor.is_of_generation(1, &nonce)
                && !successor.is_of_generation(3, &nonce)
        );
        let elsewhere = RefreshToken { grant: grant(2), ..token.for_generation(2, &nonce) };
        assert!(!elsewhere.is_of_generation(2, &nonce));
        let stranger = RefreshToken { family: Secret::random(), ..token.for_generation(2, &nonce) };
        assert!(!stranger.is_of_generation(2, &nonce));
    }
}
