//! A refresh token becomes its successor (OAuth 2.1 §4.3): three calls to the tables and one to KMS when all goes well.

use std::sync::Arc;
use std::time::Duration;

use shared::client_authenticator::ClientAuthenticator;
use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::client::{AuthenticatedClient, ClientCredentials};
use shared::oauth::grant::{Active, Approval, Grant, GrantState};
use shared::oauth::refresh_token::{Issuance, RefreshToken, RefreshTokenKey};
use shared::oauth::refresh_token_rotation::{
    LATE_RETRY_INTERVAL, LONGEST_SIBLING_WINDOW, LateRetry, Presentation, RefreshTokenState, TokenFamily,
};
use shared::oauth::requester::{NetworkDigest, Requester};
use shared::oauth::revocation_reason::RevocationReason;
use shared::revocation::Revocation;
use shared::store::clients::Clients;
use shared::store::directory::Directory;
use shared::store::grants::{Grants, Update};
use shared::telemetry::audit::{self, Event};
use shared::upstream_error::UpstreamError;

use crate::entitle::entitle;
use crate::error::TokenError;
use crate::mint::{AccessTokenParameters, TokenMinter, Tokens};
use crate::request::{RefreshTokenRequest, check_resource};
use crate::scope::{TokenScope, require_within_grant};

/// Rotates refresh tokens.
pub(crate) struct RefreshTokenRotation {
    clients: Clients,
    grants: Grants,
    directory: Directory,
    authenticator: Arc<ClientAuthenticator>,
    minter: Arc<TokenMinter>,
    key: Arc<RefreshTokenKey>,
    sibling_window: Duration,
}

/// A presented token that earns tokens: what it is, what it says of itself, and its family.
struct ClassifiedToken {
    state: RefreshTokenState,
    issuance: Option<Issuance>,
    family: TokenFamily,
}

impl RefreshTokenRotation {
    pub(crate) fn new(
        environment: &Environment,
        authenticator: Arc<ClientAuthenticator>,
        minter: Arc<TokenMinter>,
        key: Arc<RefreshTokenKey>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            clients: environment.clients()?,
            grants: environment.grants()?,
            directory: environment.directory()?,
            authenticator,
            minter,
            key,
            sibling_window: sibling_window(environment)?,
        })
    }

    pub(crate) async fn rotate(
        &self,
        request: RefreshTokenRequest,
        credentials: &ClientCredentials,
        requester: Option<Requester>,
        now: Timestamp,
    ) -> Result<Tokens, TokenError> {
        let (client, grant) =
            self.grants.find_with_client(&request.token.grant, &self.clients, &credentials.id, now).await?;
        let client = client.ok_or(TokenError::UnknownClient)?;
        let shown = grant.as_ref().filter(|grant| grant.is_proven_by(&request.token));
        let client = self.authenticator.authenticate(client, credentials, shown, now).await?;
        let grant = grant.ok_or(TokenError::UnknownGrant)?;
        if *client.id() != grant.approval.client {
            return Err(TokenError::ClientMismatch);
        }
        // Before anything ends: whoever has a token, and not what its client proves itself by, is not its client.
        if grant.is_proven_by(&request.token) && !grant.is_proven_enough_by(&client) {
            return Err(TokenError::WeakerAuthentication);
        }
        let issuance = request.token.issuance(&self.key);
        let presentation = Presentation { token: &request.token, issuance, requester, at: now };
        let token = self.classify((&client, &grant), &presentation).await?;
        let minted = self.mint(&request, (&client, &grant), &token, &presentation).await;
        if minted.is_err() {
            self.record_presentation(&grant, &token, now).await?;
        }
        self.store((&client, &grant), &token, &presentation, minted?).await
    }

    /// Whatever kept the newest token from earning its successor, it was presented. So its predecessor must not count as the retry of a
    /// lost response, nor as current in a restored table, any more.
    async fn record_presentation(
        &self,
        grant: &Grant,
        token: &ClassifiedToken,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        let presented = match (token.state, token.issuance) {
            (RefreshTokenState::Current, _) => token.family.generation,
            (RefreshTokenState::Newer, Some(newer)) => newer.generation,
            _ => return Ok(()),
        };
        if grant.in_use(now).is_some_and(|active| active.seen < presented) {
            self.grants.record_use(grant, presented, now).await?;
        }
        Ok(())
    }

    /// The successor of a token that earns one, and an access token, with the family that has it as its current token.
    async fn mint(
        &self,
        request: &RefreshTokenRequest,
        (client, grant): (&AuthenticatedClient, &Grant),
        token: &ClassifiedToken,
        presentation: &Presentation<'_>,
    ) -> Result<(Tokens, TokenFamily), TokenError> {
        let &Presentation { requester, at: now, .. } = presentation;
        let (state, family) = (token.state, &token.family);
        // Not before the token was classified: this error would tell a caller without a valid one that the grant exists.
        check_resource(&request.resource, &grant.approval.resource)?;
        require_within_grant(request.scopes, grant)?;
        if let Some(resets) = grant.signatures.used_up_until(now) {
            return Err(TokenError::TooManySignatures(resets.since(now)));
        }
        let entitlement = entitle((&self.directory, &self.grants), &grant.id, &grant.approval, now).await?;

        let next = match (state, token.issuance) {
            (RefreshTokenState::Current, _) => family.rotated(requester, now),
            (RefreshTokenState::Newer, Some(issuance)) => family.rotated_by_newer(issuance, requester, now),
            (RefreshTokenState::LateRetry, _) => family.rotated_anew(requester, now),
            _ => {
                self.count_retry(client, grant, family, now).await?;
                family.clone()
            }
        };
        let successor = next.current_token(&request.token, &self.key);
        let parameters = AccessTokenParameters {
            grant: &grant.id,
            approval: &grant.approval,
            generation: next.generation,
            scope: TokenScope {
                entitlement,
                requested: grant.requested,
                requested_again: request.scopes,
                as_requested: false,
            },
            ends: grant.expires_with(&next),
        };
        Ok((self.minter.mint(parameters, Some(&successor), now).await?, next))
    }

    /// The tokens, once the grant has the family that they belong to.
    async fn store(
        &self,
        (client, grant): (&AuthenticatedClient, &Grant),
        token: &ClassifiedToken,
        presentation: &Presentation<'_>,
        (tokens, next): (Tokens, TokenFamily),
    ) -> Result<Tokens, TokenError> {
        let (state, family) = (token.state, &token.family);
        let update = match state {
            RefreshTokenState::Current | RefreshTokenState::Newer => {
                self.grants.rotate(client, grant, family, &next).await?
            }
            RefreshTokenState::LateRetry => self.grants.rotate_anew(client, grant, family, &next).await?,
            _ => return Ok(tokens),
        };
        match update {
            Update::Applied => {
                if let (RefreshTokenState::LateRetry, Some(earlier), Some(later)) =
                    (state, family.late_retry, next.late_retry)
                {
                    record_late_retries(grant, earlier, later);
                }
                Ok(tokens)
            }
            Update::NotFound => Err(TokenError::UnknownGrant),
            // A concurrent request has rotated the family.
            Update::Conflict(latest) => {
                let successor = self.successor(client, (token, next.generation), &latest, presentation).await?;
                self.grants.record_assertion(client).await?;
                Ok(tokens.with(&successor))
            }
        }
    }

    /// The refresh token that belongs to the access token of `generation` that was signed, after a concurrent request has made
    /// `latest` of the grant.
    async fn successor(
        &self,
        client: &AuthenticatedClient,
        (classified, generation): (&ClassifiedToken, u32),
        latest: &Grant,
        presentation: &Presentation<'_>,
    ) -> Result<RefreshToken, TokenError> {
        let GrantState::Active(Active { family: Some(rotated), .. }) = &latest.state else {
            return Err(TokenError::GrantRevoked);
        };
        if classified.state == RefreshTokenState::Current {
            // It was rotated from the same token. The token was current when it was presented, so this is no replay, even if the
            // client has used the other response already.
            record(client, latest, RefreshTokenState::Concurrent, classified.issuance, false);
        } else {
            // The current pair was used meanwhile, or rotated from the same token.
            self.classify((client, latest), presentation).await?;
        }
        rotated.successor(generation, presentation.token, &self.key).ok_or(TokenError::ConcurrentRotations)
    }

    /// A retry gets the current pair again, but not as often as it likes: each time costs a signature.
    async fn count_retry(
        &self,
        client: &AuthenticatedClient,
        grant: &Grant,
        family: &TokenFamily,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        match self.grants.count_retry(client, grant, family, now).await? {
            Update::Applied => Ok(()),
            Update::NotFound => Err(TokenError::UnknownGrant),
            Update::Conflict(latest) => match &latest.state {
                GrantState::Active(Active { family: Some(latest), .. }) if latest.generation == family.generation => {
                    Err(TokenError::TooManyRetries)
                }
                // The family was rotated since it was read: the retry came before, and gets what was current then.
                GrantState::Active(_) => Ok(self.grants.record_assertion(client).await?),
                GrantState::Issued | GrantState::Revoked { .. } => Err(TokenError::GrantRevoked),
            },
        }
    }

    /// Classifies `token` and records its state. The states that get no tokens are errors.
    async fn classify(
        &self,
        (client, grant): (&AuthenticatedClient, &Grant),
        presentation: &Presentation<'_>,
    ) -> Result<ClassifiedToken, TokenError> {
        if let GrantState::Revoked { .. } = grant.state {
            return Err(TokenError::GrantRevoked);
        }
        let &Presentation { issuance, at: now, .. } = presentation;
        let (state, family) = grant.classify(presentation, self.sibling_window);
        let is_like_sibling = state == RefreshTokenState::Replayed
            && family.is_some_and(|family| family.comes_from_a_sibling(presentation, LONGEST_SIBLING_WINDOW));
        record(client, grant, state, issuance, is_like_sibling);
        match (state, family) {
            (
                RefreshTokenState::Current
                | RefreshTokenState::Newer
                | RefreshTokenState::Concurrent
                | RefreshTokenState::LateRetry
                | RefreshTokenState::Sibling,
                Some(family),
            ) => Ok(ClassifiedToken { state, issuance, family: family.clone() }),
            (RefreshTokenState::Replayed, _) => {
                self.revoke(grant, RevocationReason::RefreshReplayed, now).await?;
                Err(TokenError::RefreshToken(state))
            }
            _ => Err(TokenError::RefreshToken(state)),
        }
    }

    async fn revoke(&self, grant: &Grant, reason: RevocationReason, now: Timestamp) -> Result<(), TokenError> {
        Revocation::new(&self.grants).revoke(grant.into(), reason, None, now).await?;
        Ok(())
    }
}

/// Two retries of one family that came too late for the pair that had been made: one may be a bad network, two in a day are worth a
/// look.
fn record_late_retries(grant: &Grant, earlier: LateRetry, later: LateRetry) {
    if later.at.since(earlier.at) <= LATE_RETRY_INTERVAL {
        let [network, earlier_network] = [later, earlier].map(|retry| retry.network.map(NetworkDigest::to_text));
        audit::record(&Event::LateRetryRepeated {
            connection: grant.into(),
            earlier: earlier.at.seconds(),
            network: network.as_deref(),
            earlier_network: earlier_network.as_deref(),
        });
    }
}

/// `REFRESH_SIBLING_WINDOW`: how many minutes after a rotation a sibling of the process that rotated may present what was replaced.
fn sibling_window(environment: &Environment) -> Result<Duration, ConfigError> {
    const NAME: &str = "REFRESH_SIBLING_WINDOW";
    let Some(minutes) = environment.optional(NAME) else { return Ok(Duration::ZERO) };
    let window = minutes.parse().ok().map(Duration::from_mins).filter(|window| *window <= LONGEST_SIBLING_WINDOW);
    window.ok_or(ConfigError::Unusable(NAME, "minutes, at most 60"))
}

fn record(
    client: &AuthenticatedClient,
    grant: &Grant,
    state: RefreshTokenState,
    issuance: Option<Issuance>,
    is_like_sibling: bool,
) {
    let Approval { tenant, person, .. } = &grant.approval;
    let is_own_token = state != RefreshTokenState::Unknown;
    audit::record(&Event::RefreshJudged {
        grant: &grant.id.to_text(),
        client: client.id().as_str(),
        tenant: is_own_token.then_some(tenant.as_str()),
        person: is_own_token.then_some(person.as_str()),
        verdict: state.as_str(),
        generation: issuance.map(|issuance| issuance.generation).filter(|_| is_own_token),
        like_sibling: is_like_sibling.then_some("yes"),
        authentication: client.proof().method().as_str(),
        audience: client.proof().audience(),
    });
}
