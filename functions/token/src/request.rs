//! The token request (RFC 6749 §4.1.3, §6), parsed.

use shared::http::parameters::Parameters;
use shared::oauth::grant::AuthorizationCode;
use shared::oauth::pkce::CodeVerifier;
use shared::oauth::refresh_token::RefreshToken;
use shared::oauth::requested_scopes::RequestedScopes;
use shared::oauth::resource::{RequestedResource, Resource, ResourceServer};

use crate::error::TokenError;

/// The two grant types.
pub(crate) enum TokenRequest {
    AuthorizationCode(AuthorizationCodeRequest),
    RefreshToken(RefreshTokenRequest),
}

/// OAuth 2.1 §4.1.3.
pub(crate) struct AuthorizationCodeRequest {
    pub(crate) code: AuthorizationCode,
    pub(crate) verifier: CodeVerifier,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) resource: RequestedResource,
}

/// OAuth 2.1 §4.3.
pub(crate) struct RefreshTokenRequest {
    pub(crate) token: RefreshToken,
    /// Only these, if it names scopes that are offered here.
    pub(crate) scopes: Option<RequestedScopes>,
    pub(crate) resource: RequestedResource,
}

/// The parameters that must not be repeated (RFC 6749 §3.2). `resource` may be (RFC 8707 §2).
pub(crate) const ONCE: [&str; 10] = [
    "grant_type",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

impl TokenRequest {
    pub(crate) fn parse(parameters: &Parameters, server: &ResourceServer) -> Result<Self, TokenError> {
        let required = |name| parameters.value(name).ok_or(TokenError::MissingParameter(name));
        let resource = RequestedResource::parse(server, parameters.values("resource"));
        match required("grant_type")? {
            "authorization_code" => Ok(Self::AuthorizationCode(AuthorizationCodeRequest {
                code: AuthorizationCode::parse(required("code")?).ok_or(TokenError::MalformedCode)?,
                verifier: CodeVerifier::parse(required("code_verifier")?).ok_or(TokenError::MalformedCodeVerifier)?,
                redirect_uri: parameters.value("redirect_uri").map(str::to_owned),
                resource,
            })),
            "refresh_token" => Ok(Self::RefreshToken(RefreshTokenRequest {
                token: RefreshToken::parse(required("refresh_token")?).ok_or(TokenError::MalformedRefreshToken)?,
                scopes: RequestedScopes::parse(parameters.value("scope").unwrap_or_default())
                    .map_err(|_| TokenError::InvalidScope)?,
                resource,
            })),
            _ => Err(TokenError::UnsupportedGrantType),
        }
    }
}

/// Whether a token for `resource` is what was requested (RFC 8707 §2.2).
pub(crate) fn check_resource(requested: &RequestedResource, resource: &Resource) -> Result<(), TokenError> {
    match requested {
        RequestedResource::Unspecified => Ok(()),
        RequestedResource::Known(requested) if requested == resource => Ok(()),
        RequestedResource::Known(_) | RequestedResource::Unknown => Err(TokenError::InvalidTarget),
    }
}
