//! The mails that the project sends, each with a link and a code to type.

use crate::supabase::timestamp::rfc3339;
use serde::Serialize;

/// One mail. Whoever reads it can sign in as its reader, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub struct Mail {
    /// Address, in lower case.
    pub to: String,
    /// Unix seconds.
    pub sent_at: i64,
    /// What it is about.
    pub subject: String,
    /// Six digits to type.
    pub code: String,
    /// `GET /verify` with the hash of the code, or the hash at our callback, by the project's template.
    pub link: String,
}

impl Mail {
    pub(super) fn date(&self) -> String {
        rfc3339(self.sent_at)
    }
}
