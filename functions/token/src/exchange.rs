//! A code becomes tokens (OAuth 2.1 §4.1.3): three calls to the tables and one to KMS when all goes well.

use std::sync::Arc;

use shared::client_authenticator::ClientAuthenticator;
use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::client::{Client, ClientCredentials};
use shared::oauth::connection_attempt::ConnectionAttempt;
use shared::oauth::grant::{ABSOLUTE_LIFETIME, CodeError, Grant};
use shared::oauth::grant_id::GrantId;
use shared::oauth::refresh_token::RefreshTokenKey;
use shared::oauth::requester::Requester;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::vouched_hosts::VouchedHosts;
use shared::revocation::Revocation;
use shared::store::clients::Clients;
use shared::store::directory::Directory;
use shared::store::grants::{Grants, Update};
use shared::telemetry::audit::{self, ConnectionRef, Event};

use crate::entitle::entitle;
use crate::error::TokenError;
use crate::mint::{AccessTokenParameters, TokenMinter, Tokens};
use crate::request::{AuthorizationCodeRequest, check_resource};
use crate::scope::TokenScope;

/// Exchanges authorization codes.
pub(crate) struct CodeExchange {
    clients: Clients,
    grants: Grants,
    directory: Directory,
    authenticator: Arc<ClientAuthenticator>,
    vouched_hosts: VouchedHosts,
    minter: Arc<TokenMinter>,
    key: Arc<RefreshTokenKey>,
}

impl CodeExchange {
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
            vouched_hosts: environment.vouched_hosts()?,
            minter,
            key,
        })
    }

    pub(crate) async fn exchange(
        &self,
        request: AuthorizationCodeRequest,
        credentials: &ClientCredentials,
        requester: Option<Requester>,
        now: Timestamp,
    ) -> Result<Tokens, TokenError> {
        let id = request.code.grant.clone();
        let record =
            |grant: Option<&Grant>, error: &TokenError| record_refusal(Some(&id), grant, credentials, error, now);
        let found = self.grants.find_with_client(&id, &self.clients, &credentials.id, now).await;
        let (client, grant) = found.map_err(TokenError::from).inspect_err(|error| record(None, error))?;
        // An id is no secret: only the grant's own code makes a line of the audit name its tenant.
        let proven_grant = grant.clone().filter(|grant| grant.matches_code(&request.code));
        let client = (client, proven_grant.as_ref());
        let issued = self.issue(request, (credentials, requester), client, grant, now).await;
        issued.inspect_err(|error| record(proven_grant.as_ref(), error))
    }

    async fn issue(
        &self,
        request: AuthorizationCodeRequest,
        (credentials, sender): (&ClientCredentials, Option<Requester>),
        (client, proven_grant): (Option<Client>, Option<&Grant>),
        grant: Option<Grant>,
        now: Timestamp,
    ) -> Result<Tokens, TokenError> {
        let id = &request.code.grant;
        let client = client.ok_or(TokenError::UnknownClient)?;
        let client = self.authenticator.authenticate(client, credentials, proven_grant, now).await?;
        let grant = grant.ok_or(TokenError::UnknownCode)?;
        let requested = grant.requested;
        let (approval, attempt) = (grant.approval.clone(), ConnectionAttempt::from_challenge(&grant.binding.challenge));
        let connection = ConnectionRef::new(id, &approval);

        let verification =
            grant.verify(&request.code, &client, request.redirect_uri.as_deref(), &request.verifier, now);
        let is_own_code = !matches!(verification, Err(CodeError::SecretMismatch));
        audit::record(&Event::CodeJudged {
            grant: &id.to_text(),
            client: approval.client.as_str(),
            tenant: is_own_code.then_some(approval.tenant.as_str()),
            person: is_own_code.then_some(approval.person.as_str()),
            verdict: verification.as_ref().map_or_else(|error| error.as_str(), |_| "proven"),
            authentication: client.proof().method().as_str(),
            audience: client.proof().audience(),
        });
        let verified = match verification {
            Ok(verified) => verified,
            Err(CodeError::Replayed) => {
                // OAuth 2.1 §4.1.3: a code that is presented twice, with its verifier, has leaked. All its
                // tokens are revoked.
                self.revoke_replayed(connection, now).await?;
                return Err(TokenError::Code(CodeError::Replayed));
            }
            Err(error) => return Err(TokenError::Code(error)),
        };

        // Not earlier: this error would tell a caller without a valid code that the grant exists.
        check_resource(&request.resource, &approval.resource)?;

        let entitlement = entitle((&self.directory, &self.grants), id, &approval, now).await?;
        let (active, refresh_token) = verified.activate(&self.key, sender, now);
        let parameters = AccessTokenParameters {
            grant: id,
            approval: &approval,
            generation: 1,
            scope: TokenScope {
                entitlement,
                requested,
                requested_again: None,
                // Some clients refuse an answer that names more than they requested, and cannot be told apart. They take it at a
                // refresh.
                as_requested: refresh_token.is_some() && !self.vouched_hosts.is_vouched_for(client.client()),
            },
            ends: approval.at.plus(ABSOLUTE_LIFETIME),
        };
        let tokens = self.minter.mint(parameters, refresh_token.as_ref(), now).await?;
        match self.grants.activate(verified, active).await? {
            Update::Applied => {
                audit::step(Some(attempt), now, &Event::GrantActivated { connection });
                Ok(tokens)
            }
            // Presented twice with its verifier, as above: a thief must not gain by being faster.
            Update::Conflict(_) => {
                self.revoke_replayed(connection, now).await?;
                Err(TokenError::ConcurrentCodeUse)
            }
            Update::NotFound => Err(TokenError::UnknownCode),
        }
    }

    async fn revoke_replayed(&self, connection: ConnectionRef<'_>, now: Timestamp) -> Result<(), TokenError> {
        Revocation::new(&self.grants).revoke(connection, RevocationReason::CodeReplayed, None, now).await?;
        Ok(())
    }
}

/// Records in the audit log why a code was refused. `grant` is given only if the code is the grant's own.
pub(crate) fn record_refusal(
    id: Option<&GrantId>,
    grant: Option<&Grant>,
    credentials: &ClientCredentials,
    error: &TokenError,
    now: Timestamp,
) {
    let id = id.map(GrantId::to_text);
    let event = Event::TokenRefused {
        grant: id.as_deref(),
        client: credentials.id.as_str(),
        tenant: grant.map(|grant| grant.approval.tenant.as_str()),
        person: grant.map(|grant| grant.approval.person.as_str()),
        reason: error.as_str(),
    };
    audit::step(grant.map(|grant| ConnectionAttempt::from_challenge(&grant.binding.challenge)), now, &event);
}
