//! Makes the response (OAuth 2.1 §3.2.3): a signed access token, and a refresh token.

use serde::Serialize;
use shared::clock::Timestamp;
use shared::oauth::access_token::{Claims, LIFETIME, TYPE};
use shared::oauth::grant::Approval;
use shared::oauth::grant_id::GrantId;
use shared::oauth::issuer::Issuer;
use shared::oauth::refresh_token::RefreshToken;
use shared::oauth::scope::Scope;
use shared::oauth::secret::{Secret, to_text};
use shared::signing_keys::signer::Signer;

use crate::error::TokenError;
use crate::scope::TokenScope;

/// What an access token is made from.
pub(crate) struct AccessTokenParameters<'a> {
    pub(crate) grant: &'a GrantId,
    pub(crate) approval: &'a Approval,
    pub(crate) generation: u32,
    pub(crate) scope: TokenScope,
    /// When its grant ends, if nobody uses it again.
    pub(crate) ends: Timestamp,
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
        let permissions = parameters.scope.permissions().ok_or(TokenError::InvalidScope)?;
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
        Ok(Tokens {
            access_token: self.signer.sign(TYPE, &claims).await?,
            token_type: "Bearer",
            expires_in: expires.since(now).as_secs(),
            refresh_token: refresh_token.map(RefreshToken::to_text),
            scope: parameters.scope.named(granted).to_string(),
        })
    }
}
