//! The authorization request (OAuth 2.1 §4.1.1), once its client and redirect URI are known.

use shared::http::parameters::Parameters;
use shared::oauth::client::Client;
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::requested_scopes::RequestedScopes;
use shared::oauth::resource::{RequestedResource, Resource, ResourceServer};
use shared::oauth::scope::{Scope, Scopes};
use url::form_urlencoded::Serializer;

use crate::error::AuthorizeError;

/// The parameters of an authorization request. The form of the consent page repeats these and no others.
const NAMES: [&str; 8] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
];

/// The parameters that must not be repeated (OAuth 2.1 §3.1): those of a request, of which `resource` may be (RFC 8707 §2), and
/// those that the form adds.
pub(crate) const ONCE: [&str; 12] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "confirmation",
    "account",
    "tenant",
    "replaces",
    "decision",
];

/// A request that can be granted, as far as it says itself. What the client is decides the rest: [`Self::for_client`].
pub(crate) struct AuthorizationRequest {
    pub(crate) challenge: CodeChallenge,
    pub(crate) resource: Resource,
    /// What the client requests. A request that names nothing that is offered here means the default.
    pub(crate) requested: RequestedScopes,
    /// The scopes that the page offers. `offline_access` is among them for every client that can refresh.
    pub(crate) scopes: Scopes,
}

impl AuthorizationRequest {
    /// Asks nobody: what is malformed costs no call.
    pub(crate) fn parse(
        parameters: &Parameters,
        (server, resource): (&ResourceServer, &RequestedResource),
        default: RequestedScopes,
    ) -> Result<Self, AuthorizeError> {
        match parameters.value("response_type") {
            Some("code") => {}
            Some(_) => return Err(AuthorizeError::ResponseType),
            None => return Err(AuthorizeError::NoResponseType),
        }
        let challenge = parameters.value("code_challenge").ok_or(AuthorizeError::NoChallenge)?;
        // A missing method would mean `plain` (RFC 7636 §4.3).
        if parameters.value("code_challenge_method") != Some("S256") {
            return Err(AuthorizeError::ChallengeMethod);
        }
        let challenge = CodeChallenge::parse(challenge).ok_or(AuthorizeError::Challenge)?;
        let resource = match resource {
            RequestedResource::Known(resource) => resource.clone(),
            // Clients of MCP revisions before 2025-06-18 do not send it. The token is bound to a resource all the same.
            RequestedResource::Unspecified => Resource::new(server),
            RequestedResource::Unknown => return Err(AuthorizeError::Target),
        };
        let requested = RequestedScopes::parse(parameters.value("scope").unwrap_or_default());
        let requested = requested.map_err(|_| AuthorizeError::Scope)?.unwrap_or(default);
        Ok(Self { challenge, resource, requested, scopes: requested.scopes() })
    }

    /// What this client can be granted of it.
    pub(crate) fn for_client(self, client: &Client) -> Self {
        let scopes = if client.refreshes {
            self.scopes.with(Scope::OfflineAccess)
        } else {
            self.scopes.without(Scope::OfflineAccess)
        };
        Self { scopes, ..self }
    }
}

/// The request as hidden fields.
pub(crate) fn hidden_fields(parameters: &Parameters) -> Vec<(&'static str, String)> {
    let mut fields: Vec<_> =
        NAMES.iter().flat_map(|name| parameters.values(name).map(|value| (*name, value.to_owned()))).collect();
    // The same `resource` twice.
    fields.dedup();
    fields
}

/// The parameter by which a person asks to see what else they could give the client.
const MORE: &str = "more";

/// Whether they do.
pub(crate) fn shows_more(parameters: &Parameters) -> bool {
    parameters.value(MORE).is_some()
}

/// The address of the page that shows it.
pub(crate) fn return_to_more(parameters: &Parameters) -> String {
    format!("{}&{MORE}=1", return_to(parameters))
}

/// The request as a path and query: the address to return to after signing in, and what the confirmation of the form is for.
pub(crate) fn return_to(parameters: &Parameters) -> String {
    const START: &str = "/oauth/authorize?";
    Serializer::for_suffix(START.to_owned(), START.len()).extend_pairs(hidden_fields(parameters)).finish()
}
