//! `POST, GET, DELETE /api/mcp/server`: the MCP server, for access tokens and API keys (MCP 2026-07-28, 2025-11-25, 2025-06-18).
//!
//! So too at `/api/mcp/server/{tenant}`, which is a resource of its own: what is for one address is worth nothing at another.

mod allowed_origins;
mod authenticate;
mod authorize;
mod call_audit;
mod challenge;
mod completion;
mod cursor;
mod dispatch;
mod error;
mod grant_audit;
mod host;
mod instructions;
mod message;
mod operation;
mod prompts;
mod protocol_version;
mod request_metadata;
mod resource_uri;
mod resources;
mod serialize;
mod server_info;
mod step_up;
mod tools;

use std::time::Duration;

use http::{Method, StatusCode};
use shared::clock::{Clock, Deadline, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::parameters::ParameterError;
use shared::http::{cors, response};
use shared::lambda::{Function, Request, Response};
use shared::oauth::resource::{ResourceAddress, ResourceServer};
use shared::oauth::scope::Scopes;
use shared::signing_keys::verifier::AccessTokenVerifier;

use crate::allowed_origins::AllowedOrigins;
use crate::authenticate::Authenticator;
use crate::authorize::authorize;
use crate::challenge::Challenge;
use crate::dispatch::Dispatcher;
use crate::error::McpError;
use crate::message::{Call, Message};
use crate::serialize::serialize;
use crate::server_info::ServerInfo;
use crate::step_up::StepUp;

/// The endpoint.
pub struct Mcp {
    clock: Clock,
    resource_server: ResourceServer,
    origins: AllowedOrigins,
    authenticator: Authenticator,
    step_up: StepUp,
    dispatcher: Dispatcher,
    server_info: ServerInfo,
    /// What the challenge names to who has no valid credentials.
    default_scopes: Scopes,
}

impl Mcp {
    /// The walk of a request. Its method and body are not looked at before its sender is known: 401 comes before 400 and 405.
    async fn respond(
        &self,
        request: &Request,
        address: &ResourceAddress,
        now: Timestamp,
    ) -> Result<Response, McpError> {
        self.origins.check(request.headers())?;
        if request.method() == Method::OPTIONS {
            return Ok(cors::preflight("POST, GET, DELETE"));
        }
        let access = self.authenticator.authenticate(request.headers(), address.resource(), now).await?;
        let Message::Call(Call { id, protocol_version, operation }) = Message::parse(request)? else {
            return Ok(response::empty(StatusCode::ACCEPTED));
        };
        let authorized = match authorize(access, operation) {
            Ok(authorized) => authorized,
            Err(insufficient) => {
                let error = self.step_up.record(id.clone(), insufficient, now).await;
                return match error.tool_result(&self.challenge(address)) {
                    Some((result, reason)) => {
                        let answer = serialize(id, protocol_version, result.into(), &self.server_info);
                        Ok(response::with_reason(answer, &reason))
                    }
                    None => Err(error),
                };
            }
        };
        // Lambda gives every request one. The shortest that a function of ours has stands for it.
        let deadline = request.extensions().get().copied().unwrap_or_else(|| Deadline::after(Duration::from_secs(10)));
        match self.dispatcher.dispatch(authorized, now, deadline).await {
            Ok(result) => Ok(serialize(id, protocol_version, result, &self.server_info)),
            Err(error) => Err(McpError::Call { id, protocol_version, error }),
        }
    }

    fn challenge(&self, address: &ResourceAddress) -> Challenge {
        Challenge::for_address(address, self.default_scopes)
    }

    fn finish(&self, answer: Result<Response, McpError>, address: &ResourceAddress) -> Response {
        let answer = answer.unwrap_or_else(|error| error.into_response(&self.challenge(address)));
        // What is answered depends on the token, so no cache may keep it (RFC 6750 §5.3).
        cors::open(response::no_store(answer))
    }

    /// With what it needs of the environment.
    ///
    /// # Errors
    /// When a setting is missing or makes no sense, or KMS does not give a key.
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let keys = environment.public_keys().await?;
        let (issuer, resource_server) = (environment.issuer()?, environment.resource_server()?);
        let server_info = ServerInfo::new(environment)?;
        Ok(Self {
            clock: environment.clock(),
            origins: AllowedOrigins::new(
                [issuer.as_str(), resource_server.origin()],
                environment.optional("ALLOWED_ORIGINS").as_deref(),
            ),
            authenticator: Authenticator::new(environment, AccessTokenVerifier::new(keys, issuer))?,
            step_up: StepUp::new(environment)?,
            dispatcher: Dispatcher::new(environment, server_info.clone())?,
            server_info,
            default_scopes: environment.default_scopes()?.scopes().permissions(),
            resource_server,
        })
    }
}

impl Function for Mcp {
    const NAME: &'static str = "mcp";

    async fn handle(&self, request: Request) -> Response {
        let Some(address) = ResourceAddress::from_path(&self.resource_server, request.uri().path()) else {
            return cors::open(response::empty(StatusCode::NOT_FOUND));
        };
        let answer = self.respond(&request, &address, self.clock.now()).await;
        self.finish(answer, &address)
    }

    async fn handle_malformed(&self, _: Request, malformed: ParameterError) -> Response {
        self.finish(Err(McpError::Malformed(malformed)), &ResourceAddress::main(&self.resource_server))
    }
}
