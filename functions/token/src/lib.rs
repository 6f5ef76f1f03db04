//! `POST /oauth/token`: turns something proven into tokens (OAuth 2.1 §3.2).
//!
//! Sign first, then commit: whatever fails, the client's retry of the same request finishes the work, or nothing has changed.

mod asked;
mod exchange;
mod mint;
mod refusal;
mod rotate;

use http::{Method, StatusCode};
use shared::clock::{Clock, Timestamp};
use shared::environment::{Environment, Misconfigured};
use shared::http::credentials;
use shared::http::parameters::Parameters;
use shared::http::{answer, cors};
use shared::keys::signer::Signer;
use shared::lambda::{Function, Request, Response};
use shared::oauth::client::Credentials;
use shared::oauth::grant::Code;
use shared::oauth::issuer::Issuer;
use shared::store::clients::Clients;
use shared::store::directory::Directory;
use shared::store::grants::Grants;

use asked::Asked;
use mint::Tokens;
use refusal::Refusal;

/// Issues tokens.
pub struct Token {
    clients: Clients,
    grants: Grants,
    directory: Directory,
    signer: Signer,
    issuer: Issuer,
    clock: Clock,
}

impl Token {
    /// With the tables it reads and the key that signs.
    ///
    /// # Errors
    /// When a setting is missing or KMS does not answer.
    pub async fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        Ok(Self {
            clients: environment.clients()?,
            grants: environment.grants()?,
            directory: environment.directory()?,
            signer: environment.signer().await?,
            issuer: environment.issuer()?,
            clock: environment.clock(),
        })
    }

    async fn answer(&self, request: &Request, now: Timestamp) -> Result<Tokens, Refusal> {
        let parameters = Parameters::of_body(request)?;
        let credentials = credentials::read(request, &parameters)?;
        match Asked::read(&parameters, &self.issuer) {
            Ok(Asked::Code(asked)) => self.exchange(asked, &credentials, now).await,
            Ok(Asked::Refresh(asked)) => self.rotate(asked, &credentials, now).await,
            Err(unread) => {
                let refusal = self.client_first(unread, &credentials, now).await;
                if parameters.value("grant_type") == Some("authorization_code") {
                    let grant = parameters.value("code").and_then(Code::parse).map(|code| code.grant);
                    exchange::refused(grant.as_ref(), None, &credentials, &refusal, now);
                }
                Err(refusal)
            }
        }
    }

    /// What a request is refused for that cannot be read: a client that we do not know must register again, whatever it holds.
    async fn client_first(&self, unread: Refusal, credentials: &Credentials, now: Timestamp) -> Refusal {
        if !matches!(unread, Refusal::NotACode | Refusal::NotARefreshToken) {
            return unread;
        }
        match self.clients.find(&credentials.id, now).await {
            Ok(Some(client)) => client.authenticate(credentials).map_or_else(Refusal::from, |_| unread),
            Ok(None) => Refusal::UnknownClient,
            Err(fault) => fault.into(),
        }
    }
}

impl Function for Token {
    const NAME: &'static str = "token";

    async fn handle(&self, request: Request) -> Response {
        let response = match *request.method() {
            Method::OPTIONS => return cors::preflight("POST"),
            Method::POST => match self.answer(&request, self.clock.now()).await {
                Ok(tokens) => answer::json(StatusCode::OK, &tokens),
                Err(refusal) => refusal.told().answer(&request, &refusal),
            },
            _ => answer::method_not_allowed("POST, OPTIONS"),
        };
        cors::open(answer::no_store(response))
    }
}
