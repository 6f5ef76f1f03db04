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
use shared::oauth::issuer::Issuer;
use shared::oauth::resource::Resource;

use authorization_server::AuthorizationServer;
use protected_resource::ProtectedResource;

/// Clients keep a document for this many seconds.
const FRESH: u32 = 300;

/// The well-known documents.
pub struct WellKnown {
    issuer: Issuer,
    product: String,
    authorization_server: AuthorizationServer,
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
        Ok(Self {
            product: environment.product_name()?,
            authorization_server: AuthorizationServer::of(&issuer, &Resource::of(&issuer)),
            keys: KeySet { keys: environment.public_keys().await?.iter().map(|key| key.jwk.clone()).collect() },
            issuer,
        })
    }

    /// The document at `path`, if there is one.
    fn find(&self, path: &str) -> Option<Response> {
        if path == "/.well-known/jwks.json" {
            return Some(document(&self.keys));
        }
        if let Some(inserted) = path.strip_prefix("/.well-known/oauth-authorization-server") {
            return self.resource(inserted).map(|_| document(&self.authorization_server));
        }
        let resource = self.resource(path.strip_prefix("/.well-known/oauth-protected-resource")?)?;
        Some(document(&ProtectedResource::of(&self.issuer, &resource, &self.product)))
    }

    /// Clients look at the root and with the path of the resource inserted (RFC 8414 §3.1, RFC 9728 §3.1). Whether a tenant exists is
    /// not for strangers: every one that could has its documents.
    fn resource(&self, inserted: &str) -> Option<Resource> {
        if inserted.is_empty() { Some(Resource::of(&self.issuer)) } else { Resource::at(&self.issuer, inserted) }
    }
}

impl Function for WellKnown {
    const NAME: &'static str = "wellknown";

    async fn handle(&self, request: Request) -> Response {
        let Some(found) = self.find(request.uri().path()) else {
            return cors::open(answer::empty(StatusCode::NOT_FOUND));
        };
        match *request.method() {
            Method::OPTIONS => cors::preflight("GET"),
            Method::GET => cors::open(found),
            _ => cors::open(answer::method_not_allowed("GET, OPTIONS")),
        }
    }
}

fn document(document: &impl Serialize) -> Response {
    answer::cacheable(answer::json(StatusCode::OK, document), FRESH)
}
