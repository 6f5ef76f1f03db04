//! `POST /oauth/token`: exchanges a verified code or refresh token for tokens (OAuth 2.1 §3.2).
//!
//! Tokens are signed before the grant is changed. After any failure, either nothing has changed or a retry of
//! the same request completes it.

mod entitle;
mod error;
mod exchange;
mod mint;
mod request;
mod rotate;
mod scope;

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{Method, StatusCode};
use shared::client_authenticator::ClientAuthenticator;
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::client_authentication;
use shared::http::parameters::Parameters;
use shared::http::{cors, response};
use shared::lambda::{Function, Request, Response};
use shared::oauth::grant::AuthorizationCode;
use shared::oauth::refresh_token::RefreshTokenKey;
use shared::oauth::requester::Requester;
use shared::oauth::resource::ResourceServer;
use shared::telemetry::request_context::RequestContext;

use error::TokenError;
use exchange::CodeExchange;
use mint::{TokenMinter, Tokens};
use request::TokenRequest;
use rotate::RefreshTokenRotation;

/// Issues tokens.
pub struct Token {
    exchange: CodeExchange,
    rotation: RefreshTokenRotation,
    key: Arc<RefreshTokenKey>,
    resource_server: ResourceServer,
    clock: Clock,
}

impl Token {
    /// With the tables it reads and the key that signs.
    ///
    /// # Errors
    /// When a setting is missing or KMS does not answer.
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let minter = Arc::new(TokenMinter::new(environment.signer().await?, environment.issuer()?));
        let key = Arc::new(environment.refresh_token_key().await?);
        let authenticator = Arc::new(ClientAuthenticator::new(environment)?);
        Ok(Self {
            exchange: CodeExchange::new(
                environment,
                Arc::clone(&authenticator),
                Arc::clone(&minter),
                Arc::clone(&key),
            )?,
            rotation: RefreshTokenRotation::new(environment, authenticator, minter, Arc::clone(&key))?,
            key,
            resource_server: environment.resource_server()?,
            clock: environment.clock(),
        })
    }

    async fn answer(&self, request: &Request, now: Timestamp) -> Result<Tokens, TokenError> {
        let parameters = Parameters::of_body_with(request, &request::ONCE)?;
        let credentials = client_authentication::read(request, &parameters)?;
        match TokenRequest::parse(&parameters, &self.resource_server) {
            // Boxed: a refresh, which is the most frequent, need not carry the larger exchange.
            Ok(TokenRequest::AuthorizationCode(exchange)) => {
                Box::pin(self.exchange.exchange(exchange, &credentials, self.requester(request), now)).await
            }
            Ok(TokenRequest::RefreshToken(refresh)) => {
                self.rotation.rotate(refresh, &credentials, self.requester(request), now).await
            }
            // Whatever the client is: anybody can send garbage, and it asks nobody.
            Err(error) => {
                if parameters.value("grant_type") == Some("authorization_code") {
                    let grant = parameters.value("code").and_then(AuthorizationCode::parse).map(|code| code.grant);
                    exchange::record_refusal(grant.as_ref(), None, &credentials, &error, now);
                }
                Err(error)
            }
        }
    }

    fn requester(&self, request: &Request) -> Option<Requester> {
        let user_agent = request.headers().get(USER_AGENT)?.to_str().ok()?;
        Requester::new(RequestContext::current()?.subscriber()?, user_agent, &self.key)
    }
}

impl Function for Token {
    const NAME: &'static str = "token";

    async fn handle(&self, request: Request) -> Response {
        let response = match *request.method() {
            Method::OPTIONS => return cors::preflight("POST"),
            Method::POST => match self.answer(&request, self.clock.now()).await {
                Ok(tokens) => response::json(StatusCode::OK, &tokens),
                Err(error) => error.error_response().into_response(&request, &error),
            },
            _ => response::method_not_allowed("POST, OPTIONS"),
        };
        cors::open(response::no_store(response))
    }
}
