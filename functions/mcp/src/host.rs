//! The MCP host that a client belongs to, as far as hosts differ in what they do when a call needs more scopes.
//!
//! A host is recognised by the address of its metadata document or by where its codes are sent, and never by its name, which anybody
//! can register.

use shared::oauth::client::ClientId;
use shared::oauth::redirect_uri::RedirectUri;

use crate::challenge::BearerError;

/// A host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// `ChatGPT`: a result of the tool starts the step-up, and not the status 403.
    ChatGpt,
    /// Claude Code: it remembers the scopes of the challenge, and the person connects again by a command.
    ClaudeCode,
    /// Codex: it ignores the challenge, and the person connects again by a command.
    Codex,
    /// Another program on the person's own machine.
    Local,
    /// Any other, Claude among them: the challenge of RFC 6750 starts the step-up, as MCP has it.
    Other,
}

/// The host of the documents of `OpenAI`'s clients, and of the addresses that `ChatGPT`'s codes are sent to.
const CHATGPT: &str = "chatgpt.com";
/// What the addresses of Codex's documents begin with: `client.json`, or an id before it.
const CODEX: &str = "https://chatgpt.com/oauth/codex/";
const CLAUDE_CODE: &str = "https://claude.ai/oauth/claude-code-client-metadata";

impl Host {
    /// Of a client whose codes are sent to `redirect_uri`.
    pub(crate) fn of(client: &ClientId, redirect_uri: &RedirectUri) -> Self {
        let id = client.as_str();
        if redirect_uri.is_loopback() {
            return match id {
                CLAUDE_CODE => Self::ClaudeCode,
                id if id.starts_with(CODEX) => Self::Codex,
                _ => Self::Local,
            };
        }
        let is_chatgpt = redirect_uri.host() == CHATGPT || client.metadata_document_host().as_deref() == Some(CHATGPT);
        if is_chatgpt { Self::ChatGpt } else { Self::Other }
    }

    /// What a call beyond the scopes is told. Where the host does not ask the person by itself, the model is told what to ask of them.
    pub(crate) const fn insufficient_scope(self) -> BearerError {
        match self {
            Self::ChatGpt | Self::Other => BearerError::INSUFFICIENT_SCOPE,
            Self::ClaudeCode => BearerError::INSUFFICIENT_SCOPE_IN_CLAUDE_CODE,
            Self::Codex => BearerError::INSUFFICIENT_SCOPE_IN_CODEX,
            Self::Local => BearerError::INSUFFICIENT_SCOPE_ON_THIS_MACHINE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who registers the name of a host, or an address that only resembles its own, is not taken for it.
    #[test]
    fn hosts_are_recognised_by_their_addresses() {
        for (client, redirect_uri, host) in [
            (
                "https://chatgpt.com/oauth/client.json",
                "https://chatgpt.com/connector_platform_oauth_redirect",
                Host::ChatGpt,
            ),
            ("https://chatgpt.com/oauth/a1b2/client.json", "https://chatgpt.com/connector/oauth/a1b2", Host::ChatGpt),
            ("https://chatgpt.com/oauth/client.json", "https://platform.openai.com/apps-manage/oauth", Host::ChatGpt),
            ("c_AAAA", "https://chatgpt.com/connector/oauth/a1b2", Host::ChatGpt),
            ("c_AAAA", "https://chatgpt.com.example/connector/oauth/a1b2", Host::Other),
            ("https://chatgpt.com.example/oauth/client.json", "https://example.com/chatgpt.com", Host::Other),
            ("https://example.com/oauth/client.json", "https://example.com/callback", Host::Other),
            ("https://chatgpt.com/oauth/codex/client.json", "http://127.0.0.1:4321/callback", Host::Codex),
            ("https://chatgpt.com/oauth/codex/a1b2/client.json", "http://localhost:4321/callback/a1b2", Host::Codex),
            ("https://chatgpt.com/oauth/client.json", "http://127.0.0.1:4321/callback", Host::Local),
            ("https://claude.ai/oauth/claude-code-client-metadata", "http://localhost:4321/callback", Host::ClaudeCode),
            (
                "https://claude.ai/oauth/mcp-oauth-client-metadata",
                "https://claude.ai/api/mcp/auth_callback",
                Host::Other,
            ),
            ("c_AAAA", "http://localhost:4321/callback", Host::Local),
        ] {
            let (id, address) = (ClientId::parse(client).unwrap(), RedirectUri::parse(redirect_uri).unwrap());
            assert_eq!(Host::of(&id, &address), host, "{client} {redirect_uri}");
        }
    }
}
