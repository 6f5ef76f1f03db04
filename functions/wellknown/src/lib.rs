//! `GET /.well-known/…`: the metadata of the authorization server and of the resource, and the public keys of both issuers.
//!
//! Some gateways drop headers, so these documents have everything that a client needs.

mod authorization_server;
mod protected_resource;
mod published_keys;

use http::{Method, StatusCode};
use serde::Serialize;
use shared::environment::{ConfigError, Environment};
use shared::http::oauth_error_response::OAuthErrorResponse;
use shared::http::{cors, response};
use shared::lambda::{Function, Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::requested_scopes::RequestedScopes;
use shared::oauth::resource::{Resource, ResourceAddress, ResourceServer};

use authorization_server::AuthorizationServerMetadata;
use protected_resource::ProtectedResourceMetadata;
use published_keys::PublishedKeys;

/// Clients keep a document for this many seconds.
const MAX_AGE: u32 = 300;

/// The well-known documents.
pub struct WellKnown {
    issuer: Issuer,
    resource_server: ResourceServer,
    product: String,
    default_scopes: RequestedScopes,
    authorization_server: AuthorizationServerMetadata,
    access_token_keys: PublishedKeys,
    tool_token_keys: PublishedKeys,
}

impl WellKnown {
    /// From the settings.
    ///
    /// # Errors
    /// When one is missing.
    #[expect(clippy::unused_async, reason = "as every function is made")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let (issuer, resource_server) = (environment.issuer()?, environment.resource_server()?);
        Ok(Self {
            product: environment.product_name()?,
            default_scopes: environment.default_scopes()?,
            authorization_server: AuthorizationServerMetadata::of(&issuer, &Resource::new(&resource_server)),
            access_token_keys: PublishedKeys::new(environment.keyring()?),
            tool_token_keys: PublishedKeys::new(environment.tool_keyring()?),
            issuer,
            resource_server,
        })
    }

    /// The requested document, if there is one.
    async fn find(&self, request: &Request) -> Option<Response> {
        let path = request.uri().path();
        let keys = match path {
            "/.well-known/jwks.json" => Some(&self.access_token_keys),
            // Of another issuer: the one of what tenants' tools are told.
            "/tools/.well-known/jwks.json" => Some(&self.tool_token_keys),
            _ => None,
        };
        if let Some(keys) = keys {
            return Some(match keys.fetch().await {
                Ok(keys) => document(keys),
                Err(fault) => OAuthErrorResponse::UNAVAILABLE.into_response(request, &fault),
            });
        }
        if let Some(inserted) = path.strip_prefix("/.well-known/oauth-authorization-server") {
            return self.address(inserted).map(|_| document(&self.authorization_server));
        }
        let address = self.address(path.strip_prefix("/.well-known/oauth-protected-resource")?)?;
        Some(document(&ProtectedResourceMetadata::of(&self.issuer, &address, &self.product, self.default_scopes)))
    }

    /// Clients look at the root, and with the well-known prefix inserted before the resource's path (RFC 8414
    /// §3.1, RFC 9728 §3.1). Every possible tenant has documents, so that they do not show which tenants
    /// exist.
    fn address(&self, inserted: &str) -> Option<ResourceAddress> {
        if inserted.is_empty() {
            Some(ResourceAddress::main(&self.resource_server))
        } else {
            ResourceAddress::from_path(&self.resource_server, inserted)
        }
    }
}

impl Function for WellKnown {
    const NAME: &'static str = "wellknown";

    async fn handle(&self, request: Request) -> Response {
        let Some(found) = self.find(&request).await else {
            return cors::open(response::empty(StatusCode::NOT_FOUND));
        };
        match *request.method() {
            Method::OPTIONS => cors::preflight("GET"),
            Method::GET => cors::open(found),
            _ => cors::open(response::method_not_allowed("GET, OPTIONS")),
        }
    }
}

fn document(document: &impl Serialize) -> Response {
    response::cacheable(response::json(StatusCode::OK, document), MAX_AGE)
}
