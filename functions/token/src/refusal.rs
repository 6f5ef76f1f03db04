//! Every way in which the token endpoint says no.

use shared::fault::Fault;
use shared::http::credentials::Unnamed;
use shared::http::parameters::Malformed;
use shared::http::told::Told;
use shared::oauth::client::Unauthenticated;
use shared::oauth::error::Code;
use shared::oauth::grant::Unproven;
use shared::oauth::refresh::Verdict;
use thiserror::Error;

/// Why, for our log.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("the client is not named: {0:?}")]
    Unnamed(Unnamed),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("unknown grant type")]
    GrantType,
    #[error("the verifier is not one")]
    NotAVerifier,
    #[error("the code is not one of ours")]
    NotACode,
    #[error("the refresh token is not one of ours")]
    NotARefreshToken,
    #[error("unknown client")]
    UnknownClient,
    #[error("the client did not prove itself")]
    Unauthenticated,
    #[error("unknown code")]
    UnknownCode,
    #[error("unknown grant")]
    UnknownGrant,
    #[error("the grant is another client's")]
    AnotherClient,
    #[error("the grant has ended")]
    Ended,
    #[error("the code does not lead to tokens: {0:?}")]
    Unproven(Unproven),
    #[error("the code was exchanged at the same moment")]
    CodeRaced,
    #[error("the refresh token is {}", .0.as_str())]
    Judged(Verdict),
    #[error("the family was turned three times while the token was on its way")]
    Outrun,
    #[error("the person is no longer in the tenant")]
    NotAMember,
    #[error("more than was approved was asked for")]
    Scope,
    #[error("another resource was asked for")]
    Target,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Refusal {
    /// For the audit.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unnamed(_) => "no_client",
            Self::Missing(_) => "missing_parameter",
            Self::GrantType => "grant_type",
            Self::NotAVerifier => "not_a_verifier",
            Self::NotACode => "not_a_code",
            Self::NotARefreshToken => "not_a_refresh_token",
            Self::UnknownClient => "unknown_client",
            Self::Unauthenticated => "unauthenticated",
            Self::UnknownCode => "unknown_code",
            Self::UnknownGrant => "unknown_grant",
            Self::AnotherClient | Self::Unproven(Unproven::AnotherClient) => "another_client",
            Self::Ended | Self::Unproven(Unproven::Ended) => "ended",
            Self::Unproven(Unproven::AnotherCode) => "another_code",
            Self::Unproven(Unproven::RedirectUri) => "redirect_uri",
            Self::Unproven(Unproven::Verifier) => "verifier",
            Self::Unproven(Unproven::Expired) => "code_expired",
            Self::Unproven(Unproven::Replayed) => "code_replayed",
            Self::CodeRaced => "code_raced",
            Self::Judged(verdict) => verdict.as_str(),
            Self::Outrun => "outrun",
            Self::NotAMember => "not_a_member",
            Self::Scope => "scope",
            Self::Target => "target",
            Self::Fault(_) => "unavailable",
        }
    }

    /// What the client is told (OAuth 2.1 §3.2.4).
    ///
    /// `invalid_client` makes Claude register again, `invalid_grant` makes it ask the person again: never one for the other.
    pub(crate) fn told(&self) -> Told {
        match self {
            Self::Malformed(malformed) => (*malformed).into(),
            Self::Unnamed(unnamed) => (*unnamed).into(),
            Self::Unauthenticated | Self::UnknownClient => Told::INVALID_CLIENT,
            Self::Missing(_) => Told::new(Code::InvalidRequest, "A required parameter is missing."),
            Self::NotAVerifier => {
                Told::new(Code::InvalidRequest, "code_verifier must be 43 to 128 unreserved characters.")
            }
            Self::GrantType => {
                Told::new(Code::UnsupportedGrantType, "Only authorization_code and refresh_token are supported.")
            }
            Self::NotACode | Self::UnknownCode | Self::Unproven(_) | Self::CodeRaced => {
                Told::new(Code::InvalidGrant, "The code is not valid for this client and request, or was used before.")
            }
            Self::NotARefreshToken
            | Self::UnknownGrant
            | Self::AnotherClient
            | Self::Ended
            | Self::Judged(_)
            | Self::Outrun
            | Self::NotAMember => Told::new(
                Code::InvalidGrant,
                "The refresh token is not valid any more. The person has to connect again.",
            ),
            Self::Scope => Told::new(Code::InvalidScope, "The scope is malformed, or more than the person approved."),
            Self::Target => Told::new(Code::InvalidTarget, "The resource is not the one that the person approved."),
            Self::Fault(_) => Told::UNAVAILABLE,
        }
    }
}

impl From<Unnamed> for Refusal {
    fn from(unnamed: Unnamed) -> Self {
        Self::Unnamed(unnamed)
    }
}

impl From<Unauthenticated> for Refusal {
    fn from(_: Unauthenticated) -> Self {
        Self::Unauthenticated
    }
}
