//! A line of the audit that is a step of an attempt.

use serde::Deserialize;
use serde_json::Value;

/// What a request did for an attempt, as the audit names it (`shared::telemetry::audit::Event`); in the order in which it comes about.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    #[serde(rename = "authorization_stranded")]
    ErrorPageShown,
    SignInAsked,
    ConsentShown,
    AuthorizationRefused,
    GrantDenied,
    GrantApproved,
    TokenRefused,
    GrantActivated,
    CallRefused,
    GrantUsed,
}

/// A step, and whose it is as far as the line says.
#[derive(Debug, Deserialize)]
pub(crate) struct StepEvent {
    #[serde(rename = "event")]
    pub(crate) step: Step,
    pub(crate) at: i64,
    #[serde(rename = "flow")]
    pub(crate) attempt_id: Option<String>,
    pub(crate) grant: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) person: Option<String>,
    pub(crate) reason: Option<String>,
}

impl StepEvent {
    pub(crate) fn parse(event: &Value) -> Option<Self> {
        Self::deserialize(event).ok()
    }
}

impl Step {
    /// How far it leads. A page that is opened again does not take a code back, but a refusal after a success counts.
    pub(crate) const fn stage(self) -> u8 {
        match self {
            Self::ErrorPageShown
            | Self::SignInAsked
            | Self::ConsentShown
            | Self::AuthorizationRefused
            | Self::GrantDenied => 0,
            Self::GrantApproved => 1,
            Self::TokenRefused | Self::GrantActivated => 2,
            Self::CallRefused => 3,
            Self::GrantUsed => 4,
        }
    }
}
