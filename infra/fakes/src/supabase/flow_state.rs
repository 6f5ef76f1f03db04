//! PKCE flows from the challenge to the code (GoTrue `flow_state`, RFC 7636), and visits to the social provider.

use crate::supabase::error::SupabaseError;
use crate::supabase::random;
use crate::supabase::secret::Secret;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
pub(super) struct FlowState {
    pub(super) id: Uuid,
    pub(super) code: Uuid,
    challenge: Challenge,
    #[serde(rename = "way")]
    pub(super) authentication_method: AuthenticationMethod,
    /// Known once they have proved who they are.
    pub(super) person: Option<Uuid>,
    /// Unix seconds: of the start, then of the code.
    pub(super) since: i64,
}

/// How the person proves who they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AuthenticationMethod {
    MagicLink,
    Confirmation,
    Social { provider: String },
}

/// What the client committed to (RFC 7636 §4.2). GoTrue takes `plain` too.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Challenge {
    S256(String),
    Plain(String),
}

/// A browser that has been sent to the social provider.
pub(super) struct ProviderRedirect {
    pub(super) provider: String,
    /// Checked: on the site or on the allow list.
    pub(super) redirect_to: String,
    pub(super) flow: Option<Uuid>,
    /// Unix seconds.
    pub(super) since: i64,
    /// The provider's own code, and the address of whom it is for.
    pub(super) grant: Option<(Uuid, String)>,
}

impl FlowState {
    pub(super) fn new(
        challenge: Challenge,
        authentication_method: AuthenticationMethod,
        person: Option<Uuid>,
        now: i64,
    ) -> Result<Self, Unspecified> {
        Ok(Self { id: random::uuid()?, code: random::uuid()?, challenge, authentication_method, person, since: now })
    }

    pub(super) fn is_expired(&self, now: i64) -> bool {
        now > self.since + LIFETIME
    }

    pub(super) fn verify(&self, verifier: &str) -> Result<(), SupabaseError> {
        let met = match &self.challenge {
            Challenge::S256(challenge) => {
                let hash = digest(&SHA256, verifier.as_bytes());
                Secret::from(challenge.as_str()).is(&BASE64_URL_SAFE_NO_PAD.encode(hash))
            }
            Challenge::Plain(challenge) => Secret::from(challenge.as_str()).is(verifier),
        };
        if met { Ok(()) } else { Err(SupabaseError::WrongVerifier) }
    }
}

impl AuthenticationMethod {
    /// `amr.method` of the session it leads to.
    pub(super) fn amr_method(&self) -> &'static str {
        match self {
            Self::MagicLink => "magiclink",
            Self::Confirmation => "email/signup",
            Self::Social { .. } => "oauth",
        }
    }
}

impl Challenge {
    /// Both parameters or neither (`internal/api/pkce.go`).
    pub(super) fn parse(challenge: &str, method: &str) -> Result<Option<Self>, SupabaseError> {
        match (challenge.is_empty(), method.to_lowercase().as_str()) {
            (true, "") => return Ok(None),
            (true, _) | (_, "") => {
                return Err(SupabaseError::Invalid("PKCE flow requires code_challenge_method and code_challenge"));
            }
            _ => {}
        }
        if !(43..=128).contains(&challenge.len()) {
            return Err(SupabaseError::Invalid("code challenge has to be between 43 and 128 characters"));
        }
        // RFC 7636 §4.1: unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"
        if !challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
            return Err(SupabaseError::Invalid(
                "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes",
            ));
        }
        match method.to_lowercase().as_str() {
            "s256" => Ok(Some(Self::S256(challenge.to_owned()))),
            "plain" => Ok(Some(Self::Plain(challenge.to_owned()))),
            // The real one takes this for its own failure.
            _ => Err(SupabaseError::UnexpectedFailure),
        }
    }
}

impl ProviderRedirect {
    pub(super) fn is_expired(&self, now: i64) -> bool {
        now > self.since + LIFETIME
    }
}

/// Seconds.
const LIFETIME: i64 = 300;
