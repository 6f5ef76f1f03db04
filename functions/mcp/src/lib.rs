//! `POST, GET, DELETE /api/mcp/server`: the MCP server, for access tokens and API keys (MCP 2026-07-28, 2025-11-25, 2025-06-18).
//!
//! So too at `/api/mcp/server/{tenant}`, which is a resource of its own: what is for one address is worth nothing at another.

mod allowed_origins;
mod authenticate;
mod call_audit;
mod challenge;
mod completion;
mod cursor;
mod error;
mod grant_audit;
mod message;
mod operation;
mod prompts;
mod resources;
mod server;
mod step_up;
mod tools;

use http::{Method, StatusCode};
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::parameters::ParameterError;
use shared::http::{cors, response};
use shared::lambda::{Function, Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::resource::Resource;
use shared::signing_keys::verifier::AccessTokenVerifier;
use shared::store::api_keys::ApiKeys;
use shared::store::directory::Directory;
use shared::store::grants::Grants;

use crate::allowed_origins::AllowedOrigins;
use crate::challenge::Challenge;
use crate::error::McpError;
use crate::message::Message;
use crate::server::Server;

/// The endpoint.
pub struct Mcp {
    clock: Clock,
    origins: AllowedOrigins,
    issuer: Issuer,
    verifier: AccessTokenVerifier,
    grants: Grants,
    keys: ApiKeys,
    directory: Directory,
    server: Server,
}

impl Mcp {
    /// With what it needs of the environment.
    ///
    /// # Errors
    /// When a setting is missing or makes no sense, or KMS does not give a key.
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let (signer, keys) = environment.signer_and_public_keys().await?;
        let issuer = environment.issuer()?;
        Ok(Self {
            clock: environment.clock(),
            origins: AllowedOrigins::new(&issuer, environment.optional("ALLOWED_ORIGINS").as_deref()),
            verifier: AccessTokenVerifier::new(keys, issuer.clone()),
            grants: environment.grants()?,
            keys: environment.keys()?,
            directory: environment.directory()?,
            server: Server::new(environment, signer)?,
            issuer,
        })
    }

    async fn respond(&self, request: &Request, resource: &Resource, now: Timestamp) -> Result<Response, McpError> {
        self.origins.check(request.headers())?;
        if request.method() == Method::OPTIONS {
            return Ok(cors::preflight("POST, GET, DELETE"));
        }
        let access = self.authenticate(request.headers(), resource, now).await?;
        match Message::read(request)? {
            Message::Notification => Ok(response::empty(StatusCode::ACCEPTED)),
            Message::Call(call) => match operation::authorize(access, call) {
                Ok(authorized) => self.server.run(authorized, now).await,
                Err(insufficient) => Err(self.step_up(insufficient, now).await),
            },
        }
    }
}

impl Function for Mcp {
    const NAME: &'static str = "mcp";

    async fn handle(&self, request: Request) -> Response {
        let Some(resource) = Resource::from_path(&self.issuer, request.uri().path()) else {
            return cors::open(response::empty(StatusCode::NOT_FOUND));
        };
        let answer = self.respond(&request, &resource, self.clock.now()).await;
        let answer = answer.unwrap_or_else(|error| error.into_response(&Challenge::for_resource(&resource)));
        // What is answered depends on the token, so no cache may keep it (RFC 6750 §5.3).
        cors::open(response::no_store(answer))
    }

    async fn handle_malformed(&self, _: Request, malformed: ParameterError) -> Response {
        let error = McpError::JsonRpc(message::malformed_http_request());
        let answer = response::with_reason(
            error.into_response(&Challenge::for_resource(&Resource::new(&self.issuer))),
            &malformed,
        );
        cors::open(response::no_store(answer))
    }
}
