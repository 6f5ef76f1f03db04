//! Refresh tokens whose successors are derived, so that a lost response can be answered again and a stolen token be told apart.
//!
//! A token is grant, family secret `F` and turning part `T`. The table keeps the digest of `F` and a random salt per turn, and
//! `T = HMAC-SHA256(F, grant ‖ generation ‖ salt)`: whoever holds `F` and reads the salt derives the same successor, and a copy of
//! the table derives nothing.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::oauth::grant::GrantId;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};

const PREFIX: &str = "rt_";

/// For how long a retry of the previous token is answered whatever has happened to its successor.
pub const RETRY: Duration = Duration::from_mins(1);

/// A salt: 16 random bytes, worth nothing without the family secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
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
    turn: Secret<32>,
}

impl RefreshToken {
    /// Whether `text` is meant to be a refresh token, well-formed or not.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// From the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 80] = from_text(text.strip_prefix(PREFIX)?)?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (family, turn) = rest.split_first_chunk::<32>()?;
        Some(Self {
            grant: GrantId::from_bytes(*grant),
            family: Secret::from_bytes(*family),
            turn: Secret::from_bytes(turn.try_into().ok()?),
        })
    }

    /// For the wire.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = [self.grant.as_bytes().as_slice(), self.family.expose(), self.turn.expose()].concat();
        format!("{PREFIX}{}", to_text(&bytes))
    }

    /// The token of the same family at `generation`.
    #[must_use]
    pub fn at(&self, generation: u32, salt: &Salt) -> Self {
        Self {
            grant: self.grant.clone(),
            family: self.family.clone(),
            turn: turn(&self.family, &self.grant, generation, salt),
        }
    }

    fn is_at(&self, generation: u32, salt: &Salt) -> bool {
        self.turn.matches(&turn(&self.family, &self.grant, generation, salt))
    }
}

/// What the table keeps of a refresh family: nothing that is a token, or from which one could be made.
#[derive(Clone, Debug)]
pub struct Family {
    /// Digest of the family secret.
    pub digest: Digest,
    /// How often it was turned, counted from 1.
    pub generation: u32,
    /// Salt of the current token.
    pub current: Salt,
    /// Salt of the one before, if there was one.
    pub previous: Option<Salt>,
    /// When the current token was made.
    pub turned: Timestamp,
    /// When it was last given to somebody: a lost answer is given again, perhaps weeks later.
    pub answered: Timestamp,
}

/// What a presented refresh token turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The newest: turns the family.
    Current,
    /// The one before, within [`RETRY`] of the turn: the same successor again.
    Concurrent,
    /// The one before, later, but nothing of its successor was ever used: its answer was lost. The same successor again.
    LostResponse,
    /// Superseded and used since: stolen, or replayed. The grant ends.
    Replayed,
    /// Does not prove the family secret: only refused, or anyone could end a grant by naming it.
    Stranger,
    /// Genuine, but idle or old for too long.
    Expired,
}

impl Verdict {
    /// For the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Concurrent => "concurrent",
            Self::LostResponse => "lost_response",
            Self::Replayed => "replayed",
            Self::Stranger => "stranger",
            Self::Expired => "expired",
        }
    }
}

impl Family {
    /// A new family of `grant` and its first token.
    #[must_use]
    pub fn found(grant: &GrantId, now: Timestamp) -> (Self, RefreshToken) {
        let (secret, salt) = (Secret::random(), Salt::random());
        let digest = secret.digest();
        let family = Self { digest, generation: 1, current: salt, previous: None, turned: now, answered: now };
        let turn = turn(&secret, grant, 1, &salt);
        (family, RefreshToken { grant: grant.clone(), family: secret, turn })
    }

    /// The family after one more turn.
    #[must_use]
    pub fn turned(&self, now: Timestamp) -> Self {
        Self {
            digest: self.digest,
            generation: self.generation.saturating_add(1),
            current: Salt::random(),
            previous: Some(self.current),
            turned: now,
            answered: now,
        }
    }

    /// The family after a lost answer was given again: whoever has it now has not been idle.
    #[must_use]
    pub fn answered(&self, now: Timestamp) -> Self {
        Self { answered: now, ..self.clone() }
    }

    /// The successor of a token that was current in `earlier`, though others have turned the family since: once, or twice, as
    /// long as its salt is kept.
    #[must_use]
    pub fn successor(&self, earlier: &Self, token: &RefreshToken) -> Option<RefreshToken> {
        let generation = earlier.generation.checked_add(1)?;
        let salt = match self.generation.checked_sub(generation)? {
            0 => self.current,
            1 => self.previous?,
            _ => return None,
        };
        Some(token.at(generation, &salt))
    }

    /// Judges a presented token. `seen` is the newest generation of which mcp has seen an access token, `expires` when the
    /// family ends.
    #[must_use]
    pub fn judge(&self, token: &RefreshToken, seen: u32, expires: Timestamp, now: Timestamp) -> Verdict {
        if !self.digest.matches(&token.family.digest()) {
            return Verdict::Stranger;
        }
        if now >= expires {
            return Verdict::Expired;
        }
        if token.is_at(self.generation, &self.current) {
            return Verdict::Current;
        }
        let is_previous = self.previous.is_some_and(|salt| token.is_at(self.generation.saturating_sub(1), &salt));
        match is_previous {
            true if now.since(self.turned) <= RETRY => Verdict::Concurrent,
            // Had the successor's refresh token been presented, this one would no longer be the previous.
            true if seen < self.generation => Verdict::LostResponse,
            _ => Verdict::Replayed,
        }
    }
}

fn turn(family: &Secret<32>, grant: &GrantId, generation: u32, salt: &Salt) -> Secret<32> {
    family.mac(&[grant.as_bytes(), &generation.to_be_bytes(), salt.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What derives a successor: grant, generation and salt each change it, so that whoever lacks the salt, which only the table has,
    /// cannot tell the next token from the one before.
    #[test]
    fn a_successor_follows_from_the_salt_and_from_nothing_less() {
        let grant = |byte| GrantId::from_bytes([byte; 16]);
        let (salt, other) = (Salt::random(), Salt::random());
        let (family, token) = Family::found(&grant(1), Timestamp::from_seconds(0));

        let successor = token.at(2, &salt);

        assert!(successor.is_at(2, &salt) && token.is_at(1, &family.current));
        assert!(!successor.is_at(2, &other) && !successor.is_at(1, &salt) && !successor.is_at(3, &salt));
        let elsewhere = RefreshToken { grant: grant(2), ..token.at(2, &salt) };
        assert!(!elsewhere.is_at(2, &salt));
        let stranger = RefreshToken { family: Secret::random(), ..token.at(2, &salt) };
        assert!(!stranger.is_at(2, &salt));
    }
}
