//! `POST /oauth/revoke`: a client gives a token back (RFC 7009). Either kind revokes the whole grant, at the next call of mcp.

mod error;

use http::{Method, StatusCode};
use shared::audit::{self, Event};
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::credentials;
use shared::http::parameters::Parameters;
use shared::http::{cors, response};
use shared::lambda::{Function, Request, Response};
use shared::oauth::api_key::ApiKey;
use shared::oauth::grant::{Approval, Grant, GrantId, GrantState, RevocationReason};
use shared::oauth::refresh_token::{RefreshToken, RefreshTokenState};
use shared::signing_keys::verifier::AccessTokenVerifier;
use shared::store::clients::Clients;
use shared::store::grants::Grants;

use error::RevokeError;

/// Revokes grants.
pub struct Revoke {
    clients: Clients,
    grants: Grants,
    verifier: AccessTokenVerifier,
    clock: Clock,
}

/// The token that was presented.
enum PresentedToken {
    Refresh(RefreshToken),
    /// An access token of ours, expired or not.
    Access {
        grant: GrantId,
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
            verifier: AccessTokenVerifier::new(environment.public_keys().await?, environment.issuer()?),
            clock: environment.clock(),
        })
    }

    async fn revoke(&self, request: &Request, now: Timestamp) -> Result<(), RevokeError> {
        let parameters = Parameters::of_body(request)?;
        let credentials = credentials::read(request, &parameters)?;
        let presented = self.parse_token(parameters.value("token").ok_or(RevokeError::MissingToken)?)?;

        let id = match &presented {
            PresentedToken::Refresh(token) => Some(&token.grant),
            PresentedToken::Access { grant } => Some(grant),
            PresentedToken::Unknown => None,
        };
        let (client, grant) = match id {
            Some(id) => self.grants.find_with_client(id, &self.clients, &credentials.id, now).await?,
            None => (self.clients.find(&credentials.id, now).await?, None),
        };
        let client = client.ok_or(RevokeError::UnknownClient)?.authenticate(&credentials)?;

        // RFC 7009 §2.2: a token that is unknown, another client's, or no longer good is not an error.
        let Some(grant) = grant.filter(|grant| grant.approval.client == *client.id()) else { return Ok(()) };
        let authorized = presented.authorizes(&grant, now) && !matches!(grant.state, GrantState::Revoked { .. });
        if authorized {
            let Grant { id, approval: Approval { client, tenant, person, .. }, .. } = &grant;
            let (grant, client, tenant, person) = (&id.to_text(), client.as_str(), tenant.as_str(), person.as_str());
            let reason = RevocationReason::Client.as_str();
            // Before the write, so that no crash can hide it.
            audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by: None });
            if self.grants.revoke(id, RevocationReason::Client, now).await? {
                audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by: None });
            }
        }
        Ok(())
    }

    /// `token_type_hint` is only a hint (RFC 7009 §2.1), and our tokens say what they are.
    fn parse_token(&self, token: &str) -> Result<PresentedToken, RevokeError> {
        if ApiKey::has_prefix(token) {
            return Err(RevokeError::ApiKey);
        }
        if let Some(token) = RefreshToken::parse(token) {
            return Ok(PresentedToken::Refresh(token));
        }
        let grant = self.verifier.verify_signature(token).ok().and_then(|claims| GrantId::parse(&claims.grant));
        Ok(grant.map_or(PresentedToken::Unknown, |grant| PresentedToken::Access { grant }))
    }
}

impl PresentedToken {
    /// Whether its holder may revoke `grant`: anyone may know a grant's id.
    fn authorizes(&self, grant: &Grant, now: Timestamp) -> bool {
        match self {
            Self::Refresh(token) => grant.classify(token, now).0 != RefreshTokenState::Unknown,
            Self::Access { .. } => true,
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
                Ok(()) => response::empty(StatusCode::OK),
                Err(error) => error.error_response().into_response(&request, &error),
            },
            _ => response::method_not_allowed("POST, OPTIONS"),
        };
        cors::open(response::no_store(response))
    }
}
