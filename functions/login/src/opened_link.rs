//! The link of a mail that follows our template. It carries the hash of the mail's code.

use std::fmt;

use shared::http::parameters::Parameters;

/// A link that was opened.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The id of the flow that sent the mail.
    pub(crate) flow: String,
    pub(crate) token_hash: String,
}

impl Link {
    /// The link in `parameters`, which are those of its address or of the form of its page.
    pub(crate) fn of(parameters: &Parameters) -> Option<Self> {
        let token_hash = parameters.value("token_hash").filter(|hash| is_token_hash(hash))?;
        Some(Self { flow: parameters.value("flow")?.to_owned(), token_hash: token_hash.to_owned() })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.flow)
    }
}

/// Supabase writes 56 hexadecimal digits, with `pkce_` before them if the mail was requested with a challenge.
fn is_token_hash(text: &str) -> bool {
    (8..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
