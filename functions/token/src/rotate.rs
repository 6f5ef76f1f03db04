//! A refresh token becomes its successor (OAuth 2.1 §4.3): three calls to the tables and one to KMS when all goes well.

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::client::ClientCredentials;
use shared::oauth::grant::{ABSOLUTE_LIFETIME, Active, Approval, Grant, GrantId, GrantState, RevocationReason};
use shared::oauth::refresh_token::{RefreshToken, RefreshTokenState, TokenFamily};
use shared::oauth::scope::Scopes;
use shared::store::grants::Update;

use crate::Token;
use crate::error::TokenError;
use crate::mint::{AccessTokenParameters, Tokens};
use crate::request::RefreshTokenRequest;

impl Token {
    pub(crate) async fn rotate(
        &self,
        request: RefreshTokenRequest,
        credentials: &ClientCredentials,
        now: Timestamp,
    ) -> Result<Tokens, TokenError> {
        let (client, grant) =
            self.grants.find_with_client(&request.token.grant, &self.clients, &credentials.id, now).await?;
        let client = client.ok_or(TokenError::UnknownClient)?.authenticate(credentials)?;
        let grant = grant.ok_or(TokenError::UnknownGrant)?;
        if *client.id() != grant.approval.client {
            return Err(TokenError::ClientMismatch);
        }
        let (state, family) = self.classify(&grant, &request.token, now).await?;
        // Not earlier: to someone who proves nothing, this answer would tell that the grant exists.
        if let Err(error) = check_within_approval(&grant.approval, &request) {
            // It earns nothing, but it was presented: whoever shows the one before from now on did receive its successor.
            if state == RefreshTokenState::Current {
                self.grants.record_use(&grant.id, family.generation, now).await?;
            }
            return Err(error);
        }
        let scopes = self.entitlement(&grant, request.scopes, now).await?;

        let limit = grant.approval.at.plus(ABSOLUTE_LIFETIME);
        let (next, ends) = match state {
            RefreshTokenState::Current => (family.rotated(now), limit),
            // The successor exists: derive it from what the table says.
            RefreshTokenState::LateRetry => (family.reissued(now), limit),
            _ => (family.clone(), grant.expires()),
        };
        let successor = request.token.for_generation(next.generation, &next.current);
        let parameters = AccessTokenParameters {
            grant: &grant.id,
            approval: &grant.approval,
            generation: next.generation,
            scopes,
            ends,
        };
        let tokens = self.mint(parameters, Some(&successor), now).await?;
        let update = match state {
            RefreshTokenState::Current => self.grants.rotate(&grant, &family, &next).await?,
            RefreshTokenState::LateRetry => self.grants.reissue(&grant, &next).await?,
            _ => return Ok(tokens),
        };
        match update {
            Update::Applied => Ok(tokens),
            Update::NotFound => Err(TokenError::UnknownGrant),
            Update::Conflict(latest) => {
                let GrantState::Active(Active { family: Some(latest), .. }) = &latest.state else {
                    return Err(TokenError::GrantRevoked);
                };
                if state != RefreshTokenState::Current {
                    return Ok(tokens);
                }
                // Somebody rotated it since it was read, from the same token: theirs is our successor too, and the access token
                // that was signed is of its generation. It was current when it was presented, so it is no replay, even if the
                // client has gone on with the other answer.
                let successor = latest.successor(&family, &request.token).ok_or(TokenError::ConcurrentRotations)?;
                record(&grant, RefreshTokenState::Concurrent);
                Ok(tokens.with(&successor))
            }
        }
    }

    /// The state of `token`, recorded; only one that earns tokens is returned, with the family of the token.
    async fn classify(
        &self,
        grant: &Grant,
        token: &RefreshToken,
        now: Timestamp,
    ) -> Result<(RefreshTokenState, TokenFamily), TokenError> {
        if let GrantState::Revoked { .. } = grant.state {
            return Err(TokenError::GrantRevoked);
        }
        let (state, family) = grant.classify(token, now);
        record(grant, state);
        match (state, family) {
            (
                RefreshTokenState::Current | RefreshTokenState::Concurrent | RefreshTokenState::LateRetry,
                Some(family),
            ) => Ok((state, family.clone())),
            (RefreshTokenState::Replayed, _) => {
                self.revoke(&grant.id, &grant.approval, RevocationReason::RefreshReplayed, now).await?;
                Err(TokenError::RefreshToken(state))
            }
            _ => Err(TokenError::RefreshToken(state)),
        }
    }

    /// Approved ∩ what the role allows now, narrowed to what was requested.
    async fn entitlement(
        &self,
        grant: &Grant,
        requested: Option<Scopes>,
        now: Timestamp,
    ) -> Result<Scopes, TokenError> {
        let Approval { person, tenant, scopes: approved, .. } = &grant.approval;
        let Some(membership) = self.directory.membership(person, tenant).await? else {
            self.revoke(&grant.id, &grant.approval, RevocationReason::MembershipGone, now).await?;
            return Err(TokenError::NotAMember);
        };
        let allowed = approved.intersection(membership.role.permissions);
        Ok(requested.map_or(allowed, |requested| requested.intersection(allowed)))
    }

    /// Revokes a grant; says so before and, once, after.
    pub(crate) async fn revoke(
        &self,
        id: &GrantId,
        approval: &Approval,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let Approval { client, tenant, person, .. } = approval;
        let (grant, client, tenant, person) = (&id.to_text(), client.as_str(), tenant.as_str(), person.as_str());
        let reason_code = reason.as_str();
        audit::record(&Event::GrantEnding { grant, client, tenant, person, reason: reason_code, by: None });
        if self.grants.revoke(id, reason, now).await? {
            audit::record(&Event::GrantEnded { grant, client, tenant, person, reason: reason_code, by: None });
        }
        Ok(())
    }
}

/// OAuth 2.1 §4.3.1 and RFC 8707 §2.2: never beyond what was approved, and for nothing else.
fn check_within_approval(approval: &Approval, request: &RefreshTokenRequest) -> Result<(), TokenError> {
    request.resource.check(&approval.resource)?;
    if request.scopes.is_some_and(|scopes| !approval.scopes.covers(scopes)) {
        Err(TokenError::InvalidScope)
    } else {
        Ok(())
    }
}

fn record(grant: &Grant, state: RefreshTokenState) {
    let Approval { client, tenant, person, .. } = &grant.approval;
    let theirs = state != RefreshTokenState::Unknown;
    audit::record(&Event::RefreshJudged {
        grant: &grant.id.to_text(),
        client: client.as_str(),
        tenant: theirs.then_some(tenant.as_str()),
        person: theirs.then_some(person.as_str()),
        verdict: state.as_str(),
    });
}
