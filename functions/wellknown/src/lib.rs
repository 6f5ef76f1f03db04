//! `GET /.well-known/…`: who we are, what we protect, and what our signatures are checked with.
//!
//! Discovery must survive a gateway that drops headers: everything a client needs is in these documents.

mod authorization_server;
mod protected_resource;

use http::{Method, StatusCode};
use serde::Serialize;
use shared::environment::{Environment, Misconfigured};
use shared::http::{answer, cors};
use shared::keys::public::Jwk;
use shared::lambda::{Function, Request, Response};
use shared::oauth::resource::Resource;

use authorization_server::AuthorizationServer;
use protected_resource::ProtectedResource;

/// Clients keep a document for this many seconds.
const FRESH: u32 = 300;

/// The well-known documents.
pub struct WellKnown {
    authorization_server: AuthorizationServer,
    protected_resource: ProtectedResource,
    keys: KeySet,
}

/// A JWK set (RFC 7517 §5).
#[derive(Serialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

impl WellKnown {
    /// With the public keys, fetched here once per cold start.
    ///
    /// # Errors
    /// When a setting is missing or KMS does not answer.
    pub async fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        let issuer = environment.issuer()?;
        let resource = Resource::of(&issuer);
        Ok(Self {
            authorization_server: AuthorizationServer::of(&issuer, &resource),
            protected_resource: ProtectedResource::of(&issuer, &resource, environment.product_name()?),
            keys: KeySet { keys: environment.public_keys().await?.iter().map(|key| key.jwk.clone()).collect() },
        })
    }
}

impl Function for WellKnown {
    const NAME: &'static str = "wellknown";

    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::OPTIONS => return cors::preflight("GET"),
            Method::GET => {}
            _ => return cors::open(answer::method_not_allowed("GET, OPTIONS")),
        }
        // Clients look at the root and with the path of the resource inserted (RFC 8414 §3.1, RFC 9728 §3.1).
        cors::open(match request.uri().path() {
            "/.well-known/oauth-authorization-server" | "/.well-known/oauth-authorization-server/api/mcp/server" => {
                document(&self.authorization_server)
            }
            "/.well-known/oauth-protected-resource" | "/.well-known/oauth-protected-resource/api/mcp/server" => {
                document(&self.protected_resource)
            }
            "/.well-known/jwks.json" => document(&self.keys),
            _ => answer::empty(StatusCode::NOT_FOUND),
        })
    }
}

fn document(document: &impl Serialize) -> Response {
    answer::cacheable(answer::json(StatusCode::OK, document), FRESH)
}
