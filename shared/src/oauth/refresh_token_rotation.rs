//! Refresh tokens whose successors are derived. So a response that was just lost can be issued again, and the reuse of a
//! stolen token is detected (RFC 9700 §4.14.2).
//!
//! A retry that comes later than [`RETRY_WINDOW`] makes a new pair, and supersedes the one whose response was lost: if that one is in
//! the hands of a thief who waits, thief and client never hold the same tokens.
//!
//! A token ([`super::refresh_token`]) holds the grant's id, the family secret `F` and the rotation secret `T`. The table keeps the
//! digest of `F` and a random nonce per rotation. `T = HMAC-SHA256(F, grant ‖ generation ‖ nonce)`. Whoever
//! holds `F` and reads the nonce derives the same successor. A copy of the table is not enough to derive one.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::oauth::access_token;
use crate::oauth::grant_id::GrantId;
use crate::oauth::refresh_token::{Issuance, RefreshToken, RefreshTokenKey, RotationNonce};
use crate::oauth::requester::{NetworkDigest, Requester};
use crate::oauth::secret::{Digest, Secret};

/// How long after a rotation the token that it replaced, and one that it superseded, earn the current pair again, even if that pair was
/// used: the client sent twice, or did not get the response.
pub const RETRY_WINDOW: Duration = Duration::from_mins(1);

/// How often in one generation a retry within [`RETRY_WINDOW`] is answered without a pause. After that, once a second.
pub const RETRIES: u32 = 64;

/// How long after a rotation at most the replaced token may still earn the current pair where it comes from a sibling of the process
/// that rotated, if a deployment allows it.
pub const LONGEST_SIBLING_WINDOW: Duration = Duration::from_hours(1);

/// How long after one late retry another of the same family is worth a line in the tenant's activity.
pub const LATE_RETRY_INTERVAL: Duration = Duration::from_hours(24);

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
    /// The last retry that came so late that the family rotated anew.
    pub late_retry: Option<LateRetry>,
    /// Who rotated last, or exchanged the code. Nothing if their network is not known.
    pub requester: Option<Requester>,
}

/// A retry that came so late that the family rotated anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateRetry {
    /// When.
    pub at: Timestamp,
    /// From where, if that is known.
    pub network: Option<NetworkDigest>,
}

/// A refresh token as it is presented.
pub struct Presentation<'a> {
    /// The token.
    pub token: &'a RefreshToken,
    /// What it says of itself, if that is proven.
    pub issuance: Option<Issuance>,
    /// Who presents it, if that is known.
    pub requester: Option<Requester>,
    /// When.
    pub at: Timestamp,
}

/// The token that the current one replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousToken {
    /// Its generation: not the one before the current where pairs in between were superseded.
    pub generation: u32,
    /// Its nonce. Nothing if the table had been restored to a minute before it was made.
    pub nonce: Option<RotationNonce>,
    /// When it was made. Nothing in families that an earlier version has rotated.
    pub made: Option<Timestamp>,
}

impl PreviousToken {
    /// Whether `token`, which proves the family secret, is this one. `issuance` is what it says of itself.
    fn is(&self, &Presentation { token, issuance, .. }: &Presentation<'_>) -> bool {
        match (self.nonce, self.made, issuance) {
            (Some(nonce), ..) => token.is_of_generation(self.generation, &nonce),
            (None, Some(made), Some(issuance)) => issuance == Issuance { generation: self.generation, at: made },
            (None, ..) => false,
        }
    }
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
    /// It is newer than the newest that the table knows: the table was restored to a minute before it was made. It rotates the family
    /// as the current one does.
    Newer,
    /// Within [`RETRY_WINDOW`] of the rotation, the token that it replaced, or the one that it superseded. It gets the current pair
    /// again.
    Concurrent,
    /// Later, the token that the current one replaced, while nothing of the current pair was ever used: the response was lost, or
    /// somebody else has it and waits. The family rotates anew, and the unused pair is superseded.
    LateRetry,
    /// Later, the token that the current one replaced, although the current pair was used: it comes from the network and by the product
    /// that rotated, and the deployment takes that for a process with an old copy of the tokens. It gets the current pair again.
    Sibling,
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
            Self::Newer => "newer",
            Self::Concurrent => "concurrent",
            Self::LateRetry => "lost_response",
            Self::Sibling => "sibling",
            Self::Replayed => "replayed",
            Self::Unknown => "stranger",
            Self::Expired => "expired",
        }
    }
}

impl TokenFamily {
    /// A new family of `grant` and its first token.
    #[must_use]
    pub fn create(
        grant: &GrantId,
        key: &RefreshTokenKey,
        requester: Option<Requester>,
        now: Timestamp,
    ) -> (Self, RefreshToken) {
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
            requester,
        };
        let token = RefreshToken::first(grant.clone(), secret, &nonce, Issuance { generation: 1, at: now }, key);
        (family, token)
    }

    /// The family after one more rotation, by its current token.
    #[must_use]
    pub fn rotated(&self, requester: Option<Requester>, now: Timestamp) -> Self {
        let previous =
            PreviousToken { generation: self.generation, nonce: Some(self.current), made: Some(self.rotated) };
        self.rotated_from(previous, requester, now)
    }

    /// The family after one more rotation, by a token that is newer than all that the table knows of.
    #[must_use]
    pub fn rotated_by_newer(&self, newer: Issuance, requester: Option<Requester>, now: Timestamp) -> Self {
        let previous = PreviousToken { generation: newer.generation, nonce: None, made: Some(newer.at) };
        self.rotated_from(previous, requester, now)
    }

    fn rotated_from(&self, previous: PreviousToken, requester: Option<Requester>, now: Timestamp) -> Self {
        Self {
            generation: previous.generation.saturating_add(1),
            current: RotationNonce::random(),
            previous: Some(previous),
            rotated: now,
            last_issued: now,
            superseded: Superseded { nonce: None, generations: self.superseded.unexpired(now) },
            requester,
            ..self.clone()
        }
    }

    /// The family after it has rotated anew, by the token that its current one had replaced: that pair is superseded. Its access
    /// tokens were signed before `now`.
    #[must_use]
    pub fn rotated_anew(&self, requester: Option<Requester>, now: Timestamp) -> Self {
        let mut generations = self.superseded.unexpired(now);
        generations.push((self.generation, now.plus(access_token::LIFETIME)));
        Self {
            generation: self.generation.saturating_add(1),
            current: RotationNonce::random(),
            rotated: now,
            last_issued: now,
            superseded: Superseded { nonce: Some(self.current), generations },
            late_retry: Some(LateRetry { at: now, network: requester.map(Requester::network) }),
            requester,
            ..self.clone()
        }
    }

    /// The current token, for who has presented `token` of the same family.
    #[must_use]
    pub fn current_token(&self, token: &RefreshToken, key: &RefreshTokenKey) -> RefreshToken {
        token.with_nonce(&self.current, Issuance { generation: self.generation, at: self.rotated }, key)
    }

    /// The token of `generation`, which replaced `token`, although other requests may have rotated the family since. After one or two
    /// rotations its nonce is still kept; after three it is not.
    #[must_use]
    pub fn successor(&self, generation: u32, token: &RefreshToken, key: &RefreshTokenKey) -> Option<RefreshToken> {
        if self.generation == generation {
            return Some(self.current_token(token, key));
        }
        let previous = self.previous.filter(|previous| previous.generation == generation)?;
        let at = previous.made.unwrap_or(self.rotated);
        Some(token.with_nonce(&previous.nonce?, Issuance { generation, at }, key))
    }

    /// Whether `token` proves the secret of this family: whoever presents it has, or had, a token of it.
    #[must_use]
    pub fn is_proven_by(&self, token: &RefreshToken) -> bool {
        self.digest.matches(&token.family_digest())
    }

    /// Classifies a presented token. `seen` is the newest generation of which mcp has seen an access token, `expires` when the family
    /// ends, and `sibling_window` how long after a rotation a sibling may present what was replaced.
    #[must_use]
    pub fn classify(
        &self,
        presentation: &Presentation<'_>,
        seen: u32,
        expires: Timestamp,
        sibling_window: Duration,
    ) -> RefreshTokenState {
        let &Presentation { token, issuance, at: now, .. } = presentation;
        if !self.is_proven_by(token) {
            return RefreshTokenState::Unknown;
        }
        if now >= expires {
            return RefreshTokenState::Expired;
        }
        if token.is_of_generation(self.generation, &self.current) {
            // mcp sees no access token of a later pair, unless the table has been restored: then this token had been replaced.
            return if seen <= self.generation { RefreshTokenState::Current } else { RefreshTokenState::Replayed };
        }
        let is_previous = self.is_previous(presentation);
        let is_superseded = self
            .superseded
            .nonce
            .is_some_and(|nonce| token.is_of_generation(self.generation.saturating_sub(1), &nonce));
        if (is_previous || is_superseded) && now.since(self.rotated) <= RETRY_WINDOW {
            return RefreshTokenState::Concurrent;
        }
        // The refresh token of the current pair was not presented either: then this one would no longer be the previous.
        if is_previous && seen < self.generation {
            return RefreshTokenState::LateRetry;
        }
        if self.comes_from_a_sibling(presentation, sibling_window) {
            return RefreshTokenState::Sibling;
        }
        match issuance {
            Some(issuance) if issuance.generation > self.generation => RefreshTokenState::Newer,
            _ => RefreshTokenState::Replayed,
        }
    }

    /// Whether the presented token, which proves the family secret, is the one that the current one replaced at most `window` ago, and
    /// comes from the network and by the product that rotated.
    #[must_use]
    pub fn comes_from_a_sibling(&self, presentation: &Presentation<'_>, window: Duration) -> bool {
        presentation.requester.is_some()
            && presentation.requester == self.requester
            && presentation.at.since(self.rotated) <= window
            && self.is_previous(presentation)
    }

    fn is_previous(&self, presentation: &Presentation<'_>) -> bool {
        self.previous.is_some_and(|previous| previous.is(presentation))
    }
}
