//! `POST /oauth/register`: dynamic client registration (RFC 7591).
//!
//! Every client becomes a public one, whatever it requests. Its id is derived from its metadata, so
//! registering the same metadata again returns the same client. The port of a loopback address does not
//! count: a client that registers at every connection, each time on another port, stays one client.

mod error;
mod request;

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Serialize;
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::{cors, response};
use shared::lambda::{Function, Request, Response};
use shared::oauth::blocked_hosts::BlockedHosts;
use shared::oauth::client::Client;
use shared::oauth::redirect_uri::RedirectUri;
use shared::store::clients::{Clients, PutOutcome};
use shared::telemetry::audit::{self, Event};
use shared::upstream_error::UpstreamError;
use tokio::sync::Mutex;

use error::RegistrationError;
use request::RegistrationRequest;

/// Registers clients.
pub struct Register {
    clients: Clients,
    /// As they were read last, and when. Not at the start, beside which a connection to the tables is opened: two that lie idle would
    /// cost twice when they are dead.
    blocked_hosts: Mutex<Option<(BlockedHosts, Timestamp)>>,
    clock: Clock,
}

impl Register {
    /// With the table of clients.
    ///
    /// # Errors
    /// When a setting is missing.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { clients: environment.clients()?, blocked_hosts: Mutex::new(None), clock: environment.clock() })
    }

    async fn register(&self, request: &Request, now: Timestamp) -> Result<Response, RegistrationError> {
        let (client, requested) = RegistrationRequest::parse(request)?.into_client(now)?;
        if self.blocked_hosts(now).await?.since_of_client(&client).is_some() {
            return Err(RegistrationError::Blocked);
        }
        if self.clients.put(&client).await? == PutOutcome::Blocked {
            return Err(RegistrationError::Blocked);
        }
        audit::record(&Event::ClientRegistered { client: client.id.as_str() });
        Ok(response::json(StatusCode::CREATED, &RegistrationResponse::of(&client, &requested)))
    }
}

impl Register {
    /// How old the blocked hosts may be that a registration is compared with. A client that registers in the meantime gets no further:
    /// authorize and token read them with the client.
    const BLOCKED_HOSTS_MAX_AGE: Duration = Duration::from_mins(1);

    async fn blocked_hosts(&self, now: Timestamp) -> Result<BlockedHosts, UpstreamError> {
        let mut known = self.blocked_hosts.lock().await;
        match &*known {
            Some((hosts, read)) if now.since(*read) < Self::BLOCKED_HOSTS_MAX_AGE => Ok(hosts.clone()),
            _ => {
                let hosts = self.clients.blocked_hosts().await?;
                *known = Some((hosts.clone(), now));
                Ok(hosts)
            }
        }
    }
}

impl Function for Register {
    const NAME: &'static str = "register";

    async fn handle(&self, request: Request) -> Response {
        let response = match *request.method() {
            Method::OPTIONS => return cors::preflight("POST"),
            Method::POST => match self.register(&request, self.clock.now()).await {
                Ok(response) => response,
                Err(error) => error.error_response().into_response(&request, &error),
            },
            _ => response::method_not_allowed("POST, OPTIONS"),
        };
        cors::open(response::no_store(response))
    }
}

/// The registered metadata (RFC 7591 §3.2.1). It is complete and has no nulls, as clients parse it strictly.
/// The redirect URIs are those of the request that can be used here: `mcp-remote` reads its port from here.
#[derive(Serialize)]
struct RegistrationResponse<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'a str>,
    redirect_uris: Vec<&'a str>,
    grant_types: &'static [&'static str],
    response_types: [&'static str; 1],
    token_endpoint_auth_method: &'static str,
}

impl<'a> RegistrationResponse<'a> {
    fn of(client: &'a Client, requested: &'a [RedirectUri]) -> Self {
        Self {
            client_id: client.id.as_str(),
            client_name: client.name.as_deref(),
            redirect_uris: requested.iter().map(RedirectUri::as_str).collect(),
            grant_types: if client.refreshes {
                &["authorization_code", "refresh_token"]
            } else {
                &["authorization_code"]
            },
            response_types: ["code"],
            token_endpoint_auth_method: "none",
        }
    }
}
