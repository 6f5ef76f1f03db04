//! Authorization server metadata (RFC 8414).

use serde::Serialize;
use shared::jwk::SigningAlgorithm;
use shared::oauth::issuer::Issuer;
use shared::oauth::resource::Resource;
use shared::oauth::scope::{Scope, Scopes};

/// The document, by RFC 8414 §2 unless noted. Nothing in it is null or empty: clients validate strictly.
#[derive(Serialize)]
pub(crate) struct AuthorizationServerMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: String,
    revocation_endpoint: String,
    jwks_uri: String,
    /// With `offline_access`: clients then ask for it, and it decides whether they get a refresh token.
    scopes_supported: Vec<&'static str>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 2],
    /// Given explicitly: the default would be `client_secret_basic`.
    token_endpoint_auth_methods_supported: [&'static str; 4],
    /// Of the assertions of `private_key_jwt`.
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 2],
    revocation_endpoint_auth_methods_supported: [&'static str; 4],
    revocation_endpoint_auth_signing_alg_values_supported: [&'static str; 2],
    code_challenge_methods_supported: [&'static str; 1],
    /// A client id may be the URL of a metadata document (draft-ietf-oauth-client-id-metadata-document-01
    /// §5). Claude requires this together with the method `none`.
    client_id_metadata_document_supported: bool,
    /// RFC 9207 §3.
    authorization_response_iss_parameter_supported: bool,
    /// RFC 9728 §4.
    protected_resources: [String; 1],
}

impl AuthorizationServerMetadata {
    pub(crate) fn of(issuer: &Issuer, resource: &Resource) -> Self {
        const CLIENT_AUTHENTICATION: [&str; 4] =
            ["none", "client_secret_post", "client_secret_basic", "private_key_jwt"];
        Self {
            issuer: issuer.to_string(),
            authorization_endpoint: issuer.at("/oauth/authorize"),
            token_endpoint: issuer.at("/oauth/token"),
            registration_endpoint: issuer.at("/oauth/register"),
            revocation_endpoint: issuer.at("/oauth/revoke"),
            jwks_uri: issuer.at("/.well-known/jwks.json"),
            scopes_supported: Scopes::SUPPORTED.iter().map(Scope::as_str).collect(),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: ["authorization_code", "refresh_token"],
            token_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
            token_endpoint_auth_signing_alg_values_supported: SigningAlgorithm::ALL.map(SigningAlgorithm::as_str),
            revocation_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
            revocation_endpoint_auth_signing_alg_values_supported: SigningAlgorithm::ALL.map(SigningAlgorithm::as_str),
            code_challenge_methods_supported: ["S256"],
            client_id_metadata_document_supported: true,
            authorization_response_iss_parameter_supported: true,
            protected_resources: [resource.to_string()],
        }
    }
}
