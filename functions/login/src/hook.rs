//! The project's custom access token hook, which may refuse a person whom Supabase would sign in. It has its own
//! message for the person, and its refusal is no error of Supabase.

use serde::{Deserialize, Serialize};
use shared::identity::supabase::SupabaseResponse;

/// The message of the hook. It does not go to our log, as it may contain data of the person.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HookMessage(String);

impl HookMessage {
    /// The message of a response that the hook refused. Such a response has a client error status, usually 403, and
    /// the code `unknown`, which no error of Supabase's own has.
    pub(crate) fn of(response: &SupabaseResponse) -> Option<Self> {
        let by_hook = response.status.is_client_error() && response.code.as_deref() == Some("unknown");
        by_hook.then(|| Self(response.message().unwrap_or_default()))
    }

    /// The text, if the hook sent any. A page shows it as text, not as HTML.
    pub(crate) fn text(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

impl std::fmt::Debug for HookMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookMessage")
    }
}
