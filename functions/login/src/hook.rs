//! The project's custom access token hook, which may refuse whom Supabase would let in. It says why in words of its own, for the
//! person; its refusal is no error of Supabase.

use serde::{Deserialize, Serialize};
use shared::identity::supabase::SupabaseResponse;

/// Why it refuses, in its words. Not for our log: what a hook says of a person is the product's affair.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HookMessage(String);

impl HookMessage {
    /// Of an error that is the hook's: the status that it chose, 403 as a rule, with a code that nothing of Supabase's own has.
    pub(crate) fn of(answer: &SupabaseResponse) -> Option<Self> {
        let by_hook = answer.status.is_client_error() && answer.code.as_deref() == Some("unknown");
        by_hook.then(|| Self(answer.message().unwrap_or_default()))
    }

    /// Its words, if it has any. A page shows them as text.
    pub(crate) fn text(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

impl std::fmt::Debug for HookMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookMessage")
    }
}
