//! Protected resource metadata (RFC 9728).

use serde::Serialize;
use shared::oauth::issuer::Issuer;
use shared::oauth::requested_scopes::RequestedScopes;
use shared::oauth::resource::ResourceAddress;
use shared::oauth::scope::Scope;

/// The document, by RFC 9728 §2.
#[derive(Serialize)]
pub(crate) struct ProtectedResourceMetadata {
    /// Exactly the URL that was pasted, in its spelling: clients compare (§3.3).
    resource: String,
    authorization_servers: [String; 1],
    /// The scopes of a first connection. `offline_access` does not belong to a resource.
    scopes_supported: Vec<&'static str>,
    bearer_methods_supported: [&'static str; 1],
    /// With the tenant's id, where there is one, so that people can distinguish two connections. Without the
    /// tenant's name, which is not public.
    resource_name: String,
}

impl ProtectedResourceMetadata {
    pub(crate) fn of(issuer: &Issuer, address: &ResourceAddress, product: &str, default: RequestedScopes) -> Self {
        Self {
            resource: address.to_string(),
            authorization_servers: [issuer.to_string()],
            scopes_supported: default.scopes().permissions().iter().map(Scope::as_str).collect(),
            bearer_methods_supported: ["header"],
            resource_name: address
                .resource()
                .tenant()
                .map_or_else(|| product.to_owned(), |tenant| format!("{product} ({tenant})")),
        }
    }
}
