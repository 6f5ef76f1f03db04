//! Authenticates clients, and fetches the keys of those that prove themselves by one (RFC 7523).
//!
//! A key set is kept with its client for an hour, and for a day if its host fails. A signature that no key verifies has it fetched again,
//! at most once a minute. Nothing is fetched for a request that shows no code and no token of the client's: anybody can sign something,
//! and a host that answers late would hold the function up for each.

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use crate::clock::Timestamp;
use crate::environment::{ConfigError, Environment};
use crate::jwk::{JwkSet, JwkSetError};
use crate::oauth::client::{AuthenticatedClient, Client, ClientCredentials, CredentialsError, PresentedProof};
use crate::oauth::client_assertion::{AssertionAudiences, AssertionError};
use crate::oauth::client_keys::CachedJwks;
use crate::oauth::grant::Grant;
use crate::outbound::{Outbound, OutboundError, OutboundRequest};
use crate::store::clients::Clients;
use crate::strict_json::{self, StrictJsonError};
use crate::telemetry::audit::{self, Event};
use crate::upstream_error::UpstreamError;

/// Authenticates clients at the token and the revocation endpoint.
pub struct ClientAuthenticator {
    clients: Clients,
    outbound: Outbound,
    audiences: AssertionAudiences,
}

/// Why a client is not authenticated.
#[derive(Debug, Error)]
pub enum ClientAuthenticationError {
    /// Its credentials do not prove it.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Its keys cannot be fetched, so nobody knows. It may come back.
    #[error("the keys of the client cannot be fetched")]
    KeysUnavailable,
    /// No known key verifies its signature, and the request shows nothing for which others would be fetched.
    #[error("no known key of the client verifies the signature, and the request shows no code or token of its own")]
    KeysNotFetched,
    /// The table did not answer.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Why a key set was not fetched. The text continues a sentence about it.
#[derive(Clone, Copy, Debug, Error)]
enum JwksFetchError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("its host did not answer with status 200")]
    Status,
    #[error(transparent)]
    Json(#[from] StrictJsonError),
    #[error(transparent)]
    Set(#[from] JwkSetError),
}

impl ClientAuthenticator {
    /// The largest key set. One of a single RSA key with its certificates has 4 KB.
    const LIMIT: usize = 64 * 1024;
    /// The deepest nesting. A set of keys with certificates has four levels.
    const MAX_DEPTH: u8 = 8;
    /// How long a client waits for its own keys.
    const TIMEOUT: Duration = Duration::from_secs(3);

    /// With the table of clients and `CLIENT_METADATA_ALLOW`.
    ///
    /// # Errors
    /// When a setting is missing or not usable.
    pub fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            clients: environment.clients()?,
            outbound: Outbound::new(environment, "CLIENT_METADATA_ALLOW")?,
            audiences: AssertionAudiences::of(&environment.issuer()?),
        })
    }

    /// Authenticates `client`, as it was read from the table, by `credentials`. `shown` is the grant whose code or token the request shows,
    /// if it shows one; that of another client counts for nothing.
    ///
    /// # Errors
    /// When it does not prove itself, or nobody can tell.
    pub async fn authenticate(
        &self,
        client: Client,
        credentials: &ClientCredentials,
        shown: Option<&Grant>,
        now: Timestamp,
    ) -> Result<AuthenticatedClient, ClientAuthenticationError> {
        let PresentedProof::Assertion(_) = &credentials.proof else {
            return Ok(client.authenticate(credentials, &self.audiences, now)?);
        };
        let shown = shown.filter(|grant| grant.approval.client == client.id);
        let is_stale = client.remote_keys().is_some_and(|remote| remote.is_stale(now));
        let is_remote = client.remote_keys().is_some();
        // Nothing is fetched for an assertion that is refused whatever the keys are: the signature is verified last.
        match client.clone().authenticate(credentials, &self.audiences, now) {
            Ok(authenticated) if !is_stale || shown.is_none() => return Ok(authenticated),
            Err(CredentialsError::Assertion(AssertionError::Signature)) if shown.is_none() && is_remote => {
                return Err(ClientAuthenticationError::KeysNotFetched);
            }
            Ok(_) | Err(CredentialsError::Assertion(AssertionError::Signature)) => {}
            Err(error) => return Err(error.into()),
        }
        // Boxed: most requests fetch nothing, and all would carry what a fetch needs.
        let client = Box::pin(self.refetch(client, is_stale, now)).await?;
        // Of a set that could not be fetched, nobody knows whether it has another key by now.
        let is_uncertain = client.remote_keys().is_some_and(|remote| !remote.is_current(now));
        match client.authenticate(credentials, &self.audiences, now) {
            Err(CredentialsError::Assertion(AssertionError::Signature)) if is_uncertain => {
                Err(ClientAuthenticationError::KeysUnavailable)
            }
            authenticated => Ok(authenticated?),
        }
    }

    /// The client with its key set as it is now, or as it was if it was just tried, or cannot be fetched.
    /// What was not known at all, or only stale, was no fetch for a key that nobody knows: the next one may be.
    async fn refetch(&self, mut client: Client, is_stale: bool, now: Timestamp) -> Result<Client, UpstreamError> {
        let Some(remote) = client.remote_keys().filter(|remote| remote.may_be_fetched(now)).cloned() else {
            return Ok(client);
        };
        let is_ours = self.clients.claim_jwks_fetch(&client.id, &remote, now).await?;
        let set = if is_ours { self.fetch(&remote.uri).await.map(Some) } else { Ok(None) };
        let (is_kept, id) = (remote.cached.is_some(), client.id.clone());
        let Some(known) = client.remote_keys_mut() else { return Ok(client) };
        known.tried = Some(now);
        match set {
            Ok(Some(set)) => {
                self.clients.put_fetched_jwks(&id, &remote.uri, &set, now, !is_stale).await?;
                known.cached = Some(CachedJwks { set, fetched: now });
            }
            // Another request is fetching it.
            Ok(None) => {}
            Err(error) => audit::record(&Event::ClientKeysFailed {
                client: id.as_str(),
                reason: &error.to_string(),
                instead: if is_kept { "stored" } else { "nothing" },
            }),
        }
        Ok(client)
    }

    async fn fetch(&self, uri: &str) -> Result<JwkSet, JwksFetchError> {
        let fetch = OutboundRequest::get(uri, Self::TIMEOUT, Self::LIMIT).accepting("application/json");
        let response = self.outbound.fetch(fetch).await?;
        if response.status != StatusCode::OK {
            return Err(JwksFetchError::Status);
        }
        Ok(JwkSet::parse(&strict_json::value(&response.body, Self::MAX_DEPTH)?)?)
    }
}
