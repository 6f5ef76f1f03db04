//! Grants. A grant is one approval by one person, for one client, in one tenant, for one resource.
//!
//! issued (holding a code) → active (a refresh family, or one access token) → revoked (`ended` in the table and in the audit log).

use std::time::Duration;

use crate::clock::Timestamp;
use crate::oauth::access_token;
use crate::oauth::approval_basis::ApprovalBasis;
use crate::oauth::client::{AuthenticatedClient, ClientAuthenticationMethod, ClientId, ClientProof};
use crate::oauth::grant_id::GrantId;
use crate::oauth::pkce::{CodeChallenge, CodeVerifier};
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::refresh_token::{RefreshToken, RefreshTokenKey};
use crate::oauth::refresh_token_rotation::{Presentation, RefreshTokenState, TokenFamily};
use crate::oauth::requested_scopes::RequestedScopes;
use crate::oauth::requester::Requester;
use crate::oauth::resource::Resource;
use crate::oauth::revocation_reason::RevocationReason;
use crate::oauth::scope::{Scope, Scopes};
use crate::oauth::scope_meaning::ScopeMeaning;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};
use crate::oauth::signatures::Signatures;
use crate::oauth::tenant::{PersonId, TenantId};

/// How long a code may be exchanged.
pub const CODE_LIFETIME: Duration = Duration::from_mins(1);
/// How long an exchange takes at most: the time limit of the function that does it. It may have begun in the code's last second.
pub const EXCHANGE_TIME: Duration = Duration::from_secs(10);
/// How long a person may look at the page until they approve. A grant that nobody exchanged stays longer than that, so that the same
/// confirmation never makes another.
pub const CONFIRMATION_LIFETIME: Duration = Duration::from_hours(1);
/// How long a refresh token may lie unused.
pub const IDLE_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// How long a grant lives, however much it is used.
pub const ABSOLUTE_LIFETIME: Duration = Duration::from_hours(180 * 24);

/// How many grants of one client a person may have: no new one is made beside these.
pub const MAX_OF_CLIENT: usize = 50;
/// How long a grant must lie unused until a new one may take its place.
pub const REPLACEABLE_AFTER: Duration = Duration::from_hours(7 * 24);

/// What the person agreed to. Only the person changes it, and of it only the scopes.
#[derive(Clone, Debug)]
pub struct Approval {
    /// For whom.
    pub client: ClientId,
    /// By whom.
    pub person: PersonId,
    /// Where.
    pub tenant: TenantId,
    /// For which of our resources.
    pub resource: Resource,
    /// What, `offline_access` included if the person agreed to stay connected.
    pub scopes: Scopes,
    /// When.
    pub at: Timestamp,
    /// The e-mail address in the person's session at that time, shown to administrators beside the id. It may
    /// be unverified.
    pub email: Option<String>,
    /// The membership and the tenant that it rests on.
    pub basis: ApprovalBasis,
}

/// What a code is bound to. It is kept after the exchange: a replay with the right verifier is treated
/// differently from one without it.
#[derive(Clone, Debug)]
pub struct CodeBinding {
    /// Digest of the code's secret.
    pub code: Digest,
    /// What the verifier must meet.
    pub challenge: CodeChallenge,
    /// Where the code was sent.
    pub redirect_uri: RedirectUri,
}

/// A grant.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// What was agreed.
    pub approval: Approval,
    /// What the client had requested; the person may have approved less, or more. Nothing in grants from before it was kept.
    pub requested: Option<RequestedScopes>,
    /// How often the person has changed the scopes since they approved it.
    pub scope_changes: u32,
    /// What the person denied: the scopes whose boxes came ticked, and that they unticked. Nobody asks them for these again, until
    /// they allow them on the console, or connect again.
    pub denied: Scopes,
    /// What the scopes meant on the page that they approved.
    pub scope_meaning: ScopeMeaning,
    /// What its code is bound to.
    pub binding: CodeBinding,
    /// The access tokens that were signed for it in the last hour that had any.
    pub signatures: Signatures,
    /// What has become of it.
    pub state: GrantState,
}

/// The states of a grant.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "most grants are active, and a request holds one or two")]
pub enum GrantState {
    /// The code has not been exchanged.
    Issued,
    /// The code became tokens.
    Active(Active),
    /// Nothing of it is accepted any more. The table and the audit log write it as `ended`.
    Revoked {
        /// Why.
        reason: RevocationReason,
        /// When.
        at: Timestamp,
    },
}

/// A grant in use.
#[derive(Clone, Debug)]
pub struct Active {
    /// Since when.
    pub since: Timestamp,
    /// How its client proved itself when it exchanged the code. From then on it must not prove less.
    pub authentication: ClientAuthenticationMethod,
    /// Its refresh tokens, unless the person did not want to stay connected.
    pub family: Option<TokenFamily>,
    /// The newest generation of which mcp has seen an access token.
    pub seen: u32,
    /// When mcp first saw a token of that generation. So the last use is known to the hour. Nothing if none
    /// was used.
    pub used: Option<Timestamp>,
}

/// An authorization code as a client holds it: it names its grant.
pub struct AuthorizationCode {
    /// The grant it names.
    pub grant: GrantId,
    secret: Secret<32>,
}

impl AuthorizationCode {
    const PREFIX: &str = "ac_";

    /// From the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 48] = from_text(text.strip_prefix(Self::PREFIX)?)?;
        let (grant, secret) = bytes.split_first_chunk::<16>()?;
        Some(Self { grant: GrantId::from_bytes(*grant), secret: Secret::from_bytes(secret.try_into().ok()?) })
    }

    /// For the wire.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = [self.grant.as_bytes().as_slice(), self.secret.expose()].concat();
        format!("{}{}", Self::PREFIX, to_text(&bytes))
    }
}

/// Why a code is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeError {
    /// Its secret is not the grant's.
    SecretMismatch,
    /// It was issued to another client.
    ClientMismatch,
    /// The address is not the one it was sent to.
    RedirectUriMismatch,
    /// The verifier does not meet the challenge.
    VerifierMismatch,
    /// It is older than a minute.
    Expired,
    /// Its grant is revoked.
    GrantRevoked,
    /// It was exchanged before, and every other condition is met: the code has leaked.
    Replayed,
}

impl CodeError {
    /// For the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretMismatch => "another_code",
            Self::ClientMismatch => "another_client",
            Self::RedirectUriMismatch => "redirect_uri",
            Self::VerifierMismatch => "verifier",
            Self::Expired => "expired",
            Self::GrantRevoked => "ended",
            Self::Replayed => "replayed",
        }
    }
}

/// A code that meets every condition. Only [`Grant::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedCode {
    grant: Grant,
    proof: ClientProof,
}

impl Grant {
    /// A new grant and the code that leads to it.
    #[must_use]
    pub fn approve(
        approval: Approval,
        challenge: CodeChallenge,
        redirect_uri: RedirectUri,
    ) -> (Self, AuthorizationCode) {
        Self::approve_by(&Secret::random(), "", approval, challenge, redirect_uri)
    }

    /// A grant and the code that leads to it. The id follows from `confirmation`, which is random and in no table, and the code from
    /// that and from what the person chose, as text: who confirms once, however often it arrives, makes one grant with one code.
    #[must_use]
    pub fn approve_by(
        confirmation: &Secret<32>,
        choice: &str,
        approval: Approval,
        challenge: CodeChallenge,
        redirect_uri: RedirectUri,
    ) -> (Self, AuthorizationCode) {
        let id = GrantId::confirmed_by(confirmation);
        let secret = confirmation.mac(&[b"authorization code\0", choice.as_bytes()]);
        let code = AuthorizationCode { grant: id.clone(), secret };
        let binding = CodeBinding { code: code.secret.digest(), challenge, redirect_uri };
        let grant = Self {
            id,
            approval,
            requested: None,
            scope_changes: 0,
            denied: Scopes::NONE,
            scope_meaning: ScopeMeaning::CURRENT,
            binding,
            signatures: Signatures::default(),
            state: GrantState::Issued,
        };
        (grant, code)
    }

    /// This grant, of a request for these scopes.
    #[must_use]
    pub fn for_request(self, requested: RequestedScopes) -> Self {
        Self { requested: Some(requested), ..self }
    }

    /// This grant, whose person denied these scopes.
    #[must_use]
    pub fn denying(self, denied: Scopes) -> Self {
        Self { denied, ..self }
    }

    /// What the person denies once they have changed what they approved to `scopes`: what they take away is a no as well, and what
    /// they give is none any more.
    #[must_use]
    pub const fn denied_after(&self, scopes: Scopes) -> Scopes {
        self.denied.union(self.approval.scopes.permissions()).difference(scopes)
    }

    /// Whether `again` is the approval of this very grant, come again while its code can still be exchanged: by the same confirmation
    /// and with the same choice. Then the code is the same too.
    #[must_use]
    pub fn is_approved_by(&self, again: &Self, now: Timestamp) -> bool {
        matches!(self.state, GrantState::Issued)
            && now.since(self.approval.at) <= CODE_LIFETIME
            && self.binding.code.matches(&again.binding.code)
    }

    /// When the grant was last used, as far as is known: by a call (to the hour), by a refresh, or by its exchange. When it was
    /// approved, if it was not exchanged.
    #[must_use]
    pub fn last_used(&self) -> Timestamp {
        match &self.state {
            GrantState::Active(Active { since, family, used, .. }) => {
                let rotated = family.as_ref().map(|family| family.rotated);
                [Some(*since), *used, rotated].into_iter().flatten().fold(self.approval.at, Timestamp::max)
            }
            GrantState::Issued | GrantState::Revoked { .. } => self.approval.at,
        }
    }

    /// Whether a new grant of the same person and client may take the place of this one: it is in use, and nobody has used it for
    /// [`REPLACEABLE_AFTER`].
    #[must_use]
    pub fn is_replaceable(&self, now: Timestamp) -> bool {
        self.in_use(now).is_some() && now.since(self.last_used()) >= REPLACEABLE_AFTER
    }

    /// Whether `code` is the code of this grant.
    #[must_use]
    pub fn matches_code(&self, code: &AuthorizationCode) -> bool {
        self.binding.code.matches(&code.secret.digest())
    }

    /// Verifies a code (OAuth 2.1 §4.1.3): its secret, the client, the redirect URI, the PKCE verifier, its
    /// age, and that it was not used before. The redirect URI may be left out (§10.2).
    ///
    /// # Errors
    /// With the first condition that is not met. [`CodeError::Replayed`] means that all others are met.
    pub fn verify(
        self,
        code: &AuthorizationCode,
        client: &AuthenticatedClient,
        redirect_uri: Option<&str>,
        verifier: &CodeVerifier,
        now: Timestamp,
    ) -> Result<VerifiedCode, CodeError> {
        if !self.matches_code(code) {
            return Err(CodeError::SecretMismatch);
        }
        if *client.id() != self.approval.client {
            return Err(CodeError::ClientMismatch);
        }
        if redirect_uri.is_some_and(|uri| uri != self.binding.redirect_uri.as_str()) {
            return Err(CodeError::RedirectUriMismatch);
        }
        if !self.binding.challenge.meets(verifier) {
            return Err(CodeError::VerifierMismatch);
        }
        match self.state {
            GrantState::Revoked { .. } => Err(CodeError::GrantRevoked),
            GrantState::Active(_) => Err(CodeError::Replayed),
            GrantState::Issued if now.since(self.approval.at) > CODE_LIFETIME => Err(CodeError::Expired),
            GrantState::Issued => Ok(VerifiedCode { grant: self, proof: client.proof().clone() }),
        }
    }

    /// When the grant expires, unless it is revoked before.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        match &self.state {
            GrantState::Issued => self.approval.at.plus(CODE_LIFETIME),
            GrantState::Active(Active { family: Some(family), .. }) => self.expires_with(family),
            GrantState::Active(Active { since, .. }) => since.plus(access_token::LIFETIME),
            GrantState::Revoked { at, .. } => *at,
        }
    }

    /// When the grant expires with `family` as its refresh tokens, unless it is revoked before.
    #[must_use]
    pub fn expires_with(&self, family: &TokenFamily) -> Timestamp {
        self.expires_after(family.last_issued)
    }

    /// When it expires if its refresh token was last issued at that time.
    fn expires_after(&self, issued: Timestamp) -> Timestamp {
        issued.plus(IDLE_LIFETIME).min(self.approval.at.plus(ABSOLUTE_LIFETIME))
    }

    /// Whether anything of the grant may be accepted at `now` or later, by its own item: it is not revoked, and has not expired. An
    /// exchange that has begun in time may still go on.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        match &self.state {
            GrantState::Issued => now <= self.expires().plus(EXCHANGE_TIME),
            GrantState::Active(_) => now < self.expires(),
            GrantState::Revoked { .. } => false,
        }
    }

    /// The grant in use at `now`: neither waiting for its exchange, nor revoked, nor expired.
    #[must_use]
    pub fn in_use(&self, now: Timestamp) -> Option<&Active> {
        match &self.state {
            GrantState::Active(active) if now < self.expires() => Some(active),
            _ => None,
        }
    }

    /// Whether the pair of tokens of `generation` was superseded before anybody had used it.
    #[must_use]
    pub fn has_superseded(&self, generation: u32) -> bool {
        let GrantState::Active(Active { family: Some(family), .. }) = &self.state else { return false };
        family.superseded.contains(generation)
    }

    /// Whether whoever has the access token of `generation`, which expires at `expires`, may end this grant. A pair that was superseded
    /// ends nothing: perhaps its holder is a thief. That is known of a generation until its access tokens have expired and the family
    /// rotates again. So of what has expired, only the current pair ends it, the one that it replaced, and what is newer than a
    /// restored table knows.
    #[must_use]
    pub fn may_be_ended_by(&self, generation: u32, expires: Timestamp, now: Timestamp) -> bool {
        let GrantState::Active(Active { family: Some(family), .. }) = &self.state else { return true };
        let previous = family.previous.map(|previous| previous.generation);
        let is_recent = generation >= family.generation || previous == Some(generation);
        !self.has_superseded(generation) && (now < expires || is_recent)
    }

    /// Whether `client` proves itself by as much as it did when it exchanged the code.
    #[must_use]
    pub fn is_proven_enough_by(&self, client: &AuthenticatedClient) -> bool {
        match &self.state {
            GrantState::Active(active) => client.proof().method().suffices_for(active.authentication),
            GrantState::Issued | GrantState::Revoked { .. } => true,
        }
    }

    /// Whether `token` is, or was, one of this grant's.
    #[must_use]
    pub fn is_proven_by(&self, token: &RefreshToken) -> bool {
        matches!(&self.state, GrantState::Active(Active { family: Some(family), .. }) if family.is_proven_by(token))
    }

    /// Classifies a refresh token that names this grant, and returns its family. In the state `Unknown` the
    /// token is not of that family. A newer one than the table knows of was issued later than the table says. `sibling_window` is how
    /// long after a rotation a sibling may present what was replaced.
    #[must_use]
    pub fn classify(
        &self,
        presentation: &Presentation<'_>,
        sibling_window: Duration,
    ) -> (RefreshTokenState, Option<&TokenFamily>) {
        match &self.state {
            GrantState::Active(Active { family: Some(family), seen, .. }) => {
                let issued = match presentation.issuance {
                    Some(issuance) if issuance.generation > family.generation => issuance.at.max(family.last_issued),
                    _ => family.last_issued,
                };
                let expires = self.expires_after(issued);
                (family.classify(presentation, *seen, expires, sibling_window), Some(family))
            }
            _ => (RefreshTokenState::Unknown, None),
        }
    }
}

impl VerifiedCode {
    /// The grant as it was read from the table, and what proved its client.
    #[must_use]
    pub fn into_parts(self) -> (Grant, ClientProof) {
        (self.grant, self.proof)
    }

    /// The grant in use, with its first refresh token if the person agreed to stay connected.
    #[must_use]
    pub fn activate(
        &self,
        key: &RefreshTokenKey,
        requester: Option<Requester>,
        now: Timestamp,
    ) -> (Active, Option<RefreshToken>) {
        let stays = self.grant.approval.scopes.contains(Scope::OfflineAccess);
        let (family, token) = stays.then(|| TokenFamily::create(&self.grant.id, key, requester, now)).unzip();
        (Active { since: now, authentication: self.proof.method(), family, seen: 0, used: None }, token)
    }
}
