//! `POST /oauth/revoke`: a client gives a token back (RFC 7009). Either kind ends the whole grant, at the next call of mcp.

mod refusal;

use http::{Method, StatusCode};
use shared::audit::{self, Event};
use shared::clock::{Clock, Timestamp};
use shared::environment::{Environment, Misconfigured};
use shared::http::credentials;
use shared::http::parameters::Parameters;
use shared::http::{answer, cors};
use shared::keys::verifier::Verifier;
use shared::lambda::{Function, Request, Response};
use shared::oauth::api_key::ApiKey;
use shared::oauth::grant::{Approval, Ending, Grant, GrantId, Life};
use shared::oauth::refresh::{RefreshToken, Verdict};
use shared::store::clients::Clients;
use shared::store::grants::Grants;

use refusal::Refusal;

/// Revokes grants.
pub struct Revoke {
    clients: Clients,
    grants: Grants,
    verifier: Verifier,
    clock: Clock,
}

/// What the token turned out to be.
enum Presented {
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
    pub async fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        Ok(Self {
            clients: environment.clients()?,
            grants: environment.grants()?,
            verifier: Verifier::new(environment.public_keys().await?, environment.issuer()?),
            clock: environment.clock(),
        })
    }

    async fn revoke(&self, request: &Request, now: Timestamp) -> Result<(), Refusal> {
        let parameters = Parameters::of_body(request)?;
        let credentials = credentials::read(request, &parameters)?;
        let presented = self.read(parameters.value("token").ok_or(Refusal::MissingToken)?)?;

        let id = match &presented {
            Presented::Refresh(token) => Some(&token.grant),
            Presented::Access { grant } => Some(grant),
            Presented::Unknown => None,
        };
        let (client, grant) = match id {
            Some(id) => self.grants.find_with_client(id, &self.clients, &credentials.id, now).await?,
            None => (self.clients.find(&credentials.id, now).await?, None),
        };
        let client = client.ok_or(Refusal::UnknownClient)?.authenticate(&credentials)?;

        // RFC 7009 §2.2: a token that is unknown, another client's, or no longer good is not an error.
        let Some(grant) = grant.filter(|grant| grant.approval.client == *client.id()) else { return Ok(()) };
        let proven = presented.proves(&grant, now) && !matches!(grant.life, Life::Ended { .. });
        if proven {
            let Grant { id, approval: Approval { client, tenant, person, .. }, .. } = &grant;
            let (grant, client, tenant, person) = (&id.to_text(), client.as_str(), tenant.as_str(), person.as_str());
            let reason = Ending::Revoked.as_str();
            // Before the write, so that no crash can hide it.
            audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by: None });
            if self.grants.end(id, Ending::Revoked, now).await? {
                audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by: None });
            }
        }
        Ok(())
    }

    /// `token_type_hint` is only a hint (RFC 7009 §2.1), and our tokens say what they are.
    fn read(&self, token: &str) -> Result<Presented, Refusal> {
        if ApiKey::is_meant_by(token) {
            return Err(Refusal::ApiKey);
        }
        if let Some(token) = RefreshToken::parse(token) {
            return Ok(Presented::Refresh(token));
        }
        let grant = self.verifier.read(token).ok().and_then(|claims| GrantId::parse(&claims.grant));
        Ok(grant.map_or(Presented::Unknown, |grant| Presented::Access { grant }))
    }
}

impl Presented {
    /// Whether it shows that its holder may end `grant`: anyone may know a grant's id.
    fn proves(&self, grant: &Grant, now: Timestamp) -> bool {
        match self {
            Self::Refresh(token) => grant.judge(token, now).0 != Verdict::Stranger,
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
                Ok(()) => answer::empty(StatusCode::OK),
                Err(refusal) => refusal.told().answer(&request, &refusal),
            },
            _ => answer::method_not_allowed("POST, OPTIONS"),
        };
        cors::open(answer::no_store(response))
    }
}
