//! Refresh tokens whose successors are derived. So a response that was just lost can be issued again, and the reuse of a
//! stolen token is detected (RFC 9700 §4.14.2).
//!
//! A retry that comes later than [`RETRY_WINDOW`] makes a new pair, and supersedes the one whose response was lost: if that one is in
//! the hands of a thief who waits, thief and client never hold the same tokens.
//!
//! A token holds the grant's id, the family secret `F` and the rotation secret `T`. The table keeps the
//! digest of `F` and a random nonce per rotation. `T = HMAC-SHA256(F, grant ‖ generation ‖ nonce)`. Whoever
//! holds `F` and reads the nonce derives the same successor. A copy of the table is not enough to derive one.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::oauth::access_token;
use crate::oauth::grant_id::GrantId;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};

const PREFIX: &str = "rt_";

/// How long after a rotation the token that it replaced, and one that it superseded, earn the current pair again, even if that pair was
/// used: the client sent twice, or did not get the response.
pub const RETRY_WINDOW: Duration = Duration::from_mins(1);

/// How often in one generation a retry within [`RETRY_WINDOW`] is answered without a pause. After that, once a second.
pub const RETRIES: u32 = 64;

/// How long after one late retry another of the same family is worth a line in the tenant's activity.
pub const LATE_RETRY_INTERVAL: Duration = Duration::from_hours(24);

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
    /// How often a pair of tokens was made, counted from 1. Each pair has a generation of its own.
    pub generation: u32,
    /// Nonce of the current token.
    pub current: RotationNonce,
    /// The token that the current one replaced, if there was one.
    pub previous: Option<PreviousToken>,
    /// When the current token was made.
    pub rotated: Timestamp,
    /// When it was last issued. The same as `rotated`, but in families from before the field was given up.
    pub last_issued: Timestamp,
    /// The pairs that were superseded before anybody had used them.
    pub superseded: Superseded,
    /// When a retry came so late that the family rotated anew, the last time.
    pub late_retry: Option<Timestamp>,
}

/// The token that the current one replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousToken {
    /// Its generation: not the one before the current where pairs in between were superseded.
    pub generation: u32,
    /// Its nonce.
    pub nonce: RotationNonce,
}

/// Pairs that a late retry has superseded: their response was lost, or somebody else has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// Nonce of the refresh token that the last rotation superseded, if it superseded one. It is of the generation before the
    /// current.
    pub nonce: Option<RotationNonce>,
    /// The generations whose access tokens may not have expired, each with the time at which the last of them has. At most one is
    /// added in [`RETRY_WINDOW`], and each stays for the life of an access token: 60 at most.
    pub generations: Vec<(u32, Timestamp)>,
}

impl Superseded {
    /// Whether the access tokens of `generation` are refused.
    #[must_use]
    pub fn contains(&self, generation: u32) -> bool {
        self.generations.iter().any(|(superseded, _)| *superseded == generation)
    }

    /// Those of which an access token may be valid at `now` or later.
    fn unexpired(&self, now: Timestamp) -> Vec<(u32, Timestamp)> {
        self.generations.iter().copied().filter(|(_, expires)| now < *expires).collect()
    }
}

/// What a presented refresh token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenState {
    /// The newest token. It rotates the family.
    Current,
    /// Within [`RETRY_WINDOW`] of the rotation, the token that it replaced, or the one that it superseded. It gets the current pair
    /// again.
    Concurrent,
    /// Later, the token that the current one replaced, while nothing of the current pair was ever used: the response was lost, or
    /// somebody else has it and waits. The family rotates anew, and the unused pair is superseded.
    LateRetry,
    /// Any other token of the family: it was stolen or replayed. The grant is revoked.
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
        let family = Self {
            digest: secret.digest(),
            generation: 1,
            current: nonce,
            previous: None,
            rotated: now,
            last_issued: now,
            superseded: Superseded::default(),
            late_retry: None,
        };
        let rotation_secret = derive_rotation_secret(&secret, grant, 1, &nonce);
        (family, RefreshToken { grant: grant.clone(), family: secret, rotation_secret })
    }

    /// The family after one more rotation, by its current token.
    #[must_use]
    pub fn rotated(&self, now: Timestamp) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            current: RotationNonce::random(),
            previous: Some(PreviousToken { generation: self.generation, nonce: self.current }),
            rotated: now,
            last_issued: now,
            superseded: Superseded { nonce: None, generations: self.superseded.unexpired(now) },
            ..self.clone()
        }
    }

    /// The family after it has rotated anew, by the token that its current one had replaced: that pair is superseded. Its access
    /// tokens were signed before `now`.
    #[must_use]
    pub fn rotated_anew(&self, now: Timestamp) -> Self {
        let mut generations = self.superseded.unexpired(now);
        generations.push((self.generation, now.plus(access_token::LIFETIME)));
        Self {
            generation: self.generation.saturating_add(1),
            current: RotationNonce::random(),
            rotated: now,
            last_issued: now,
            superseded: Superseded { nonce: Some(self.current), generations },
            late_retry: Some(now),
            ..self.clone()
        }
    }

    /// The successor of a token that was current in `earlier`, although other requests have rotated the
    /// family since. After one or two rotations the nonce of the successor is still kept; after three it is
    /// not.
    #[must_use]
    pub fn successor(&self, earlier: &Self, token: &RefreshToken) -> Option<RefreshToken> {
        let generation = earlier.generation.checked_add(1)?;
        let nonce = match self.previous {
            _ if self.generation == generation => self.current,
            Some(previous) if previous.generation == generation => previous.nonce,
            _ => return None,
        };
        Some(token.for_generation(generation, &nonce))
    }

    /// Whether `token` proves the secret of this family: whoever presents it has, or had, a token of it.
    #[must_use]
    pub fn is_proven_by(&self, token: &RefreshToken) -> bool {
        self.digest.matches(&token.family.digest())
    }

    /// Classifies a presented token. `seen` is the newest generation of which mcp has seen an access token, `expires` when the
    /// family ends.
    #[must_use]
    pub fn classify(&self, token: &RefreshToken, seen: u32, expires: Timestamp, now: Timestamp) -> RefreshTokenState {
        if !self.is_proven_by(token) {
            return RefreshTokenState::Unknown;
        }
        if now >= expires {
            return RefreshTokenState::Expired;
        }
        if token.is_of_generation(self.generation, &self.current) {
            return RefreshTokenState::Current;
        }
        let is_previous =
            self.previous.is_some_and(|previous| token.is_of_generation(previous.generation, &previous.nonce));
        let is_superseded = self
            .superseded
            .nonce
            .is_some_and(|nonce| token.is_of_generation(self.generation.saturating_sub(1), &nonce));
        if (is_previous || is_superseded) && now.since(self.rotated) <= RETRY_WINDOW {
            return RefreshTokenState::Concurrent;
        }
        // The refresh token of the current pair was not presented either: then this one would no longer be the previous.
        if is_previous && seen < self.generation { RefreshTokenState::LateRetry } else { RefreshTokenState::Replayed }
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
