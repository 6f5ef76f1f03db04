//! `POST /oauth/revoke`: a client revokes a token (RFC 7009). Both kinds revoke the whole grant, from the
//! next call of mcp on.

mod error;

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use shared::client_authenticator::{ClientAuthenticationError, ClientAuthenticator};
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::client_authentication;
use shared::http::parameters::Parameters;
use shared::http::{cors, response};
use shared::lambda::{Function, Request, Response};
use shared::oauth::api_key::ApiKey;
use shared::oauth::client::PresentedProof;
use shared::oauth::grant::{Grant, GrantState};
use shared::oauth::grant_id::GrantId;
use shared::oauth::refresh_token::RefreshToken;
use shared::oauth::revocation_reason::RevocationReason;
use shared::revocation::Revocation;
use shared::signing_keys::verifier::AccessTokenVerifier;
use shared::store::clients::Clients;
use shared::store::grants::Grants;

use error::RevokeError;

/// Revokes grants.
pub struct Revoke {
    clients: Clients,
    grants: Grants,
    authenticator: ClientAuthenticator,
    verifier: AccessTokenVerifier,
    clock: Clock,
}

/// The parameters that must not be repeated (OAuth 2.1 §3.2).
const ONCE: [&str; 5] = ["token", "client_id", "client_secret", "client_assertion", "client_assertion_type"];

/// The token that was presented.
enum PresentedToken {
    Refresh(RefreshToken),
    /// An access token of ours, expired or not.
    Access {
        grant: GrantId,
        generation: u32,
        expires: Timestamp,
    },
    /// Nothing that we issued.
    Unknown,
}

impl Revoke {
    /// With the tables and the public keys.
    ///
    /// # Errors
    /// When a setting is missing or KMS does not answer.
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            clients: environment.clients()?,
            grants: environment.grants()?,
            authenticator: ClientAuthenticator::new(environment)?,
            verifier: AccessTokenVerifier::new(environment.public_keys().await?, environment.issuer()?),
            clock: environment.clock(),
        })
    }

    async fn revoke(&self, request: &Request, now: Timestamp) -> Result<(), RevokeError> {
        let parameters = Parameters::of_body_with(request, &ONCE)?;
        let credentials = client_authentication::read(request, &parameters)?;
        let presented = self.parse_token(parameters.value("token").ok_or(RevokeError::MissingToken)?)?;

        let id = match &presented {
            PresentedToken::Refresh(token) => Some(&token.grant),
            PresentedToken::Access { grant, .. } => Some(grant),
            PresentedToken::Unknown => None,
        };
        // RFC 7009 §2.2: success, whichever client it is. Anybody can send garbage, so nobody is asked which. A client that shows a
        // proof is told whether it is good (§2.1), unless its keys would have to be fetched for that.
        if id.is_none() && matches!(credentials.proof, PresentedProof::None) {
            return Ok(());
        }
        let (client, grant) = match id {
            Some(id) => self.grants.find_with_client(id, &self.clients, &credentials.id, now).await?,
            None => (self.clients.find(&credentials.id, now).await?, None),
        };
        let client = client.ok_or(RevokeError::UnknownClient)?;
        // An assertion is not used up here: sent again, it can only end once more what has ended.
        let shown = grant.as_ref().filter(|grant| presented.authorizes(grant, now));
        let client = match self.authenticator.authenticate(client, &credentials, shown, now).await {
            // Whatever its keys are, there is nothing to end.
            Err(ClientAuthenticationError::KeysNotFetched) => return Ok(()),
            authenticated => authenticated?,
        };

        // RFC 7009 §2.2: a token that is unknown, another client's, or no longer good is not an error.
        let Some(grant) = grant.filter(|grant| grant.approval.client == *client.id()) else { return Ok(()) };
        let authorized = presented.authorizes(&grant, now) && !matches!(grant.state, GrantState::Revoked { .. });
        if authorized {
            if !grant.is_proven_enough_by(&client) {
                return Err(RevokeError::WeakerAuthentication);
            }
            Revocation::new(&self.grants).revoke((&grant).into(), RevocationReason::Client, None, now).await?;
        }
        Ok(())
    }

    /// `token_type_hint` is ignored: it is only a hint (RFC 7009 §2.1), and the form of our tokens shows
    /// their type.
    fn parse_token(&self, token: &str) -> Result<PresentedToken, RevokeError> {
        if ApiKey::has_prefix(token) {
            return Err(RevokeError::ApiKey);
        }
        if let Some(token) = RefreshToken::parse(token) {
            return Ok(PresentedToken::Refresh(token));
        }
        let access = self.verifier.verify_signature(token).ok().and_then(|claims| {
            Some(PresentedToken::Access {
                grant: GrantId::parse(&claims.grant)?,
                generation: claims.generation,
                expires: Timestamp::from_seconds(claims.exp),
            })
        });
        Ok(access.unwrap_or(PresentedToken::Unknown))
    }
}

impl PresentedToken {
    /// Whether it proves that its holder may revoke `grant`: a grant's id is no secret.
    fn authorizes(&self, grant: &Grant, now: Timestamp) -> bool {
        match self {
            Self::Refresh(token) => grant.is_proven_by(token),
            Self::Access { generation, expires, .. } => grant.may_be_ended_by(*generation, *expires, now),
            Self::Unknown => false,
        }
    }
}

impl Function for Revoke {
    const NAME: &'static str = "revoke";

    async fn handle(&self, request: Request) -> Response {
        let response = match *request.method() {
            Method::OPTIONS => return cors::preflight("POST"),
            Method::POST => match self.revoke(&request, self.clock.now()).await {
                // Some libraries parse the answer as JSON, whatever it is.
                Ok(()) => response::json(StatusCode::OK, &BTreeMap::<&str, &str>::new()),
                Err(error) => error.error_response().into_response(&request, &error),
            },
            _ => response::method_not_allowed("POST, OPTIONS"),
        };
        cors::open(response::no_store(response))
    }
}
