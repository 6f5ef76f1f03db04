//! What a client asks for, parsed.

use shared::http::parameters::Parameters;
use shared::oauth::grant::Code;
use shared::oauth::issuer::Issuer;
use shared::oauth::pkce::Verifier;
use shared::oauth::refresh::RefreshToken;
use shared::oauth::resource::Resource;
use shared::oauth::scope::Scopes;

use crate::refusal::Refusal;

/// The two grant types.
pub(crate) enum Asked {
    Code(CodeAsked),
    Refresh(RefreshAsked),
}

/// OAuth 2.1 §4.1.3.
pub(crate) struct CodeAsked {
    pub(crate) code: Code,
    pub(crate) verifier: Verifier,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) target: Target,
}

/// OAuth 2.1 §4.3.
pub(crate) struct RefreshAsked {
    pub(crate) token: RefreshToken,
    pub(crate) scopes: Option<Scopes>,
    pub(crate) target: Target,
}

/// The resource that a token was asked for (RFC 8707 §2.2).
pub(crate) enum Target {
    Unnamed,
    Ours(Resource),
    Foreign,
}

impl Asked {
    pub(crate) fn read(parameters: &Parameters, issuer: &Issuer) -> Result<Self, Refusal> {
        let required = |name| parameters.value(name).ok_or(Refusal::Missing(name));
        let target = parameters
            .value("resource")
            .map_or(Target::Unnamed, |asked| Resource::parse(issuer, asked).map_or(Target::Foreign, Target::Ours));
        match required("grant_type")? {
            "authorization_code" => Ok(Self::Code(CodeAsked {
                code: Code::parse(required("code")?).ok_or(Refusal::NotACode)?,
                verifier: Verifier::parse(required("code_verifier")?).ok_or(Refusal::NotAVerifier)?,
                redirect_uri: parameters.value("redirect_uri").map(str::to_owned),
                target,
            })),
            "refresh_token" => Ok(Self::Refresh(RefreshAsked {
                token: RefreshToken::parse(required("refresh_token")?).ok_or(Refusal::NotARefreshToken)?,
                scopes: match parameters.value("scope") {
                    Some(text) => Some(Scopes::asked(Some(text)).ok_or(Refusal::Scope)?),
                    None => None,
                },
                target,
            })),
            _ => Err(Refusal::GrantType),
        }
    }
}

impl Target {
    /// Whether a token for `resource` is what was asked for.
    pub(crate) fn check(&self, resource: &Resource) -> Result<(), Refusal> {
        match self {
            Self::Unnamed => Ok(()),
            Self::Ours(asked) if asked == resource => Ok(()),
            Self::Ours(_) | Self::Foreign => Err(Refusal::Target),
        }
    }
}
