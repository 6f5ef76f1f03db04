//! Makes the response (OAuth 2.1 §3.2.3): a signed access token, and a refresh token.

use serde::Serialize;
use shared::clock::Timestamp;
use shared::entitlement::Entitlement;
use shared::oauth::access_token::{Claims, LIFETIME, TYPE};
use shared::oauth::grant::Approval;
use shared::oauth::grant_id::GrantId;
use shared::oauth::issuer::Issuer;
use shared::oauth::refresh_token::RefreshToken;
use shared::oauth::requested_scopes::RequestedScopes;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::secret::{Secret, to_text};
use shared::signing_keys::signer::Signer;

use crate::error::TokenError;

/// What an access token is made from.
pub(crate) struct AccessTokenParameters<'a> {
    pub(crate) grant: &'a GrantId,
    pub(crate) approval: &'a Approval,
    pub(crate) generation: u32,
    /// The most that it may carry.
    pub(crate) entitlement: Entitlement,
    /// What the authorization request named, if it is known.
    pub(crate) requested: Option<RequestedScopes>,
    /// What this request names, if it names scopes.
    pub(crate) requested_again: Option<RequestedScopes>,
    /// Whether it carries no more than was requested, although the person approved more: the next one carries it.
    pub(crate) as_requested: bool,
    /// When its grant ends, if nobody uses it again.
    pub(crate) ends: Timestamp,
}

impl AccessTokenParameters<'_> {
    /// What the token carries. A client that names fewer scopes than were approved gets fewer (RFC 6749 §6). Many repeat what they
    /// first requested, of which the person may have approved less, or more: they get all that was approved. Nothing if all that it
    /// names are scopes that it does not have: it never gets others in their place.
    fn permissions(&self) -> Option<Scopes> {
        let entitled = self.entitlement.scopes().permissions();
        if let Some(again) = self.requested_again.filter(|again| Some(*again) != self.requested) {
            return Some(again.scopes().intersection(entitled)).filter(|narrowed| !narrowed.is_empty());
        }
        let requested = self.requested.filter(|_| self.as_requested);
        let narrowed = requested.map(|requested| requested.scopes().intersection(entitled));
        Some(narrowed.filter(|narrowed| !narrowed.is_empty()).unwrap_or(entitled))
    }
}

/// The answer, without nulls.
#[derive(Serialize)]
pub(crate) struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    scope: String,
}

impl Tokens {
    /// The same access token with another refresh token of its generation.
    pub(crate) fn with(self, refresh_token: &RefreshToken) -> Self {
        Self { refresh_token: Some(refresh_token.to_text()), ..self }
    }
}

/// Makes the tokens of the response.
pub(crate) struct TokenMinter {
    signer: Signer,
    issuer: Issuer,
}

impl TokenMinter {
    pub(crate) const fn new(signer: Signer, issuer: Issuer) -> Self {
        Self { signer, issuer }
    }

    pub(crate) async fn mint(
        &self,
        parameters: AccessTokenParameters<'_>,
        refresh_token: Option<&RefreshToken>,
        now: Timestamp,
    ) -> Result<Tokens, TokenError> {
        // No token outlives its grant, and `expires_in` says so.
        let expires = now.plus(LIFETIME).min(parameters.ends);
        let permissions = parameters.permissions().ok_or(TokenError::InvalidScope)?;
        let claims = Claims {
            iss: self.issuer.to_string(),
            sub: parameters.approval.person.to_string(),
            aud: parameters.approval.resource.to_string(),
            client_id: parameters.approval.client.to_string(),
            scope: permissions.to_string(),
            tenant: parameters.approval.tenant.to_string(),
            grant: parameters.grant.to_text(),
            generation: parameters.generation,
            iat: now.seconds(),
            exp: expires.seconds(),
            jti: to_text(Secret::<16>::random().expose()),
        };
        let granted = match refresh_token {
            Some(_) => permissions.with(Scope::OfflineAccess),
            None => permissions,
        };
        let requested = parameters.requested_again.or(parameters.requested);
        let scope = requested.map_or(granted, |requested| requested.named(granted));
        Ok(Tokens {
            access_token: self.signer.sign(TYPE, &claims).await?,
            token_type: "Bearer",
            expires_in: expires.since(now).as_secs(),
            refresh_token: refresh_token.map(RefreshToken::to_text),
            scope: scope.to_string(),
        })
    }
}
