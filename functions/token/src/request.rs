//! The token request (RFC 6749 §4.1.3, §6), parsed.

use shared::http::parameters::Parameters;
use shared::oauth::grant::AuthorizationCode;
use shared::oauth::issuer::Issuer;
use shared::oauth::pkce::CodeVerifier;
use shared::oauth::refresh_token_rotation::RefreshToken;
use shared::oauth::resource::Resource;
use shared::oauth::scope::Scopes;

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
    pub(crate) scopes: Option<Scopes>,
    pub(crate) resource: RequestedResource,
}

/// The resource that a token is requested for (RFC 8707 §2.2).
pub(crate) enum RequestedResource {
    Unspecified,
    Known(Resource),
    Unknown,
}

impl TokenRequest {
    pub(crate) fn parse(parameters: &Parameters, issuer: &Issuer) -> Result<Self, TokenError> {
        let required = |name| parameters.value(name).ok_or(TokenError::MissingParameter(name));
        let resource = parameters.value("resource").map_or(RequestedResource::Unspecified, |uri| {
            Resource::parse(issuer, uri).map_or(RequestedResource::Unknown, RequestedResource::Known)
        });
        match required("grant_type")? {
            "authorization_code" => Ok(Self::AuthorizationCode(AuthorizationCodeRequest {
                code: AuthorizationCode::parse(required("code")?).ok_or(TokenError::MalformedCode)?,
                verifier: CodeVerifier::parse(required("code_verifier")?).ok_or(TokenError::MalformedCodeVerifier)?,
                redirect_uri: parameters.value("redirect_uri").map(str::to_owned),
                resource,
            })),
            "refresh_token" => Ok(Self::RefreshToken(RefreshTokenRequest {
                token: RefreshToken::parse(required("refresh_token")?).ok_or(TokenError::MalformedRefreshToken)?,
                scopes: match parameters.value("scope") {
                    Some(text) => Some(Scopes::parse_requested(Some(text)).ok_or(TokenError::InvalidScope)?),
                    None => None,
                },
                resource,
            })),
            _ => Err(TokenError::UnsupportedGrantType),
        }
    }
}

impl RequestedResource {
    /// Whether a token for `resource` is what was requested.
    pub(crate) fn check(&self, resource: &Resource) -> Result<(), TokenError> {
        match self {
            Self::Unspecified => Ok(()),
            Self::Known(requested) if requested == resource => Ok(()),
            Self::Known(_) | Self::Unknown => Err(TokenError::InvalidTarget),
        }
    }
}
