//! Where browsers may call from (MCP 2026-07-28, transports: a server must refuse an `Origin` it does not expect).

use http::HeaderMap;
use http::header::ORIGIN;

use crate::error::McpError;

/// The origins that may call.
///
/// DNS rebinding threatens servers that trust whoever reaches them; this one answers only to a token or key, which no foreign page
/// has. So the pages that people do use are let through: ours, those of known web clients, whatever a developer runs on their own
/// machine, such as the MCP Inspector, and what `ALLOWED_ORIGINS` lists beside them. Programs that are not browsers send no origin.
pub(crate) struct AllowedOrigins {
    own: [String; 2],
    listed: Vec<String>,
}

/// Clients that run in browsers.
const WEB_CLIENTS: [&str; 5] = [
    "https://claude.ai",
    "https://claude.com",
    "https://chatgpt.com",
    "https://vscode.dev",
    "https://insiders.vscode.dev",
];

impl AllowedOrigins {
    /// Of a deployment whose issuer and whose MCP server are at the origins `own`; `listed` is `ALLOWED_ORIGINS`, comma-separated.
    pub(crate) fn new(own: [&str; 2], listed: Option<&str>) -> Self {
        let listed = listed.unwrap_or_default().split(',').map(|entry| entry.trim().to_ascii_lowercase());
        Self { own: own.map(str::to_owned), listed: listed.filter(|entry| !entry.is_empty()).collect() }
    }

    /// Refuses a request from a page of another origin.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), McpError> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let allowed = match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.allows(origin)),
            (Some(_), Some(_)) => false,
        };
        if allowed { Ok(()) } else { Err(McpError::ForbiddenOrigin) }
    }

    fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.own.contains(&origin)
            || WEB_CLIENTS.contains(&origin.as_str())
            || is_loopback(&origin)
            || self.listed.contains(&origin)
    }
}

fn is_loopback(origin: &str) -> bool {
    let Some(host) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else { return false };
    ["localhost", "127.0.0.1", "[::1]"].into_iter().filter_map(|name| host.strip_prefix(name)).any(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix(':')
                .is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_origins_may_call() {
        let own = ["https://connect.example.com", "https://mcp.example.com"];
        for (listed, origin, allowed) in [
            (None, "https://connect.example.com", true),
            (None, "https://mcp.example.com", true),
            (None, "http://mcp.example.com", false),
            (None, "https://claude.ai", true),
            (None, "https://claude.com", true),
            (None, "https://chatgpt.com", true),
            (None, "https://vscode.dev", true),
            (None, "https://insiders.vscode.dev", true),
            (None, "http://chatgpt.com", false),
            (None, "https://evil.chatgpt.com", false),
            (None, "https://vscode.dev.evil.example", false),
            (None, "http://localhost:6274", true),
            (None, "http://localhost", true),
            (None, "http://127.0.0.1:8080", true),
            (None, "https://[::1]:8443", true),
            (None, "http://connect.example.com", false),
            (None, "https://connect.example.com:8443", false),
            (None, "https://connect.example.com.evil.example", false),
            (None, "https://claude.ai.evil.example", false),
            (None, "http://localhost.evil.example", false),
            (None, "http://localhost:", false),
            (None, "http://localhost:80@evil.example", false),
            (None, "http://evil.example", false),
            (None, "null", false),
            (None, "", false),
            (Some("https://app.example.com, https://Other.example"), "https://app.example.com", true),
            (Some("https://app.example.com, https://Other.example"), "https://other.example", true),
            (Some("https://app.example.com"), "https://connect.example.com", true),
            (Some("https://app.example.com"), "https://claude.ai", true),
            (Some("https://app.example.com"), "https://chatgpt.com", true),
            (Some("https://app.example.com"), "http://localhost:6274", true),
            (Some("https://app.example.com"), "https://other.example.com", false),
            (Some(""), "", false),
        ] {
            assert_eq!(AllowedOrigins::new(own, listed).allows(origin), allowed, "{listed:?} {origin}");
        }
    }
}
