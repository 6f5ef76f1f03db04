//! Pinned copies of the documents of widely used clients. They are used when the host refuses our request: a bot
//! filter in front of it sometimes rejects the addresses of data centres (403, a page of HTML, 503).
//!
//! Compare the copies with the live documents from time to time, and note the date. The audit records
//! `client_document_unlike_pinned` when a live document differs.

use serde_json::json;
use shared::oauth::client::ClientId;
use shared::oauth::secret::{Digest, to_text};

use super::document::Document;

/// The copies, each with the date of the last comparison with the live document. Members that are not used are left out.
const COPIES: [&str; 5] = [
    // Claude on the web, on phones, on the desktop and in Cowork; 2026-08-14.
    r#"{
        "client_id": "https://claude.ai/oauth/mcp-oauth-client-metadata",
        "client_name": "Claude",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none"
    }"#,
    // Claude Code; 2026-10-01.
    r#"{
        "client_id": "https://claude.ai/oauth/claude-code-client-metadata",
        "client_name": "Claude Code",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none"
    }"#,
    // ChatGPT, for servers that return `iss` as this one does; 2026-09-08.
    r#"{
        "client_id": "https://chatgpt.com/oauth/client.json",
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://chatgpt.com/oauth/jwks.json"
    }"#,
    // Codex, likewise; 2026-09-24.
    r#"{
        "client_id": "https://chatgpt.com/oauth/codex/client.json",
        "client_name": "Codex",
        "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "token_endpoint_auth_methods_supported": ["none"]
    }"#,
    // Visual Studio Code; 2026-09-08.
    r#"{
        "client_id": "https://vscode.dev/oauth/client-metadata.json",
        "client_name": "Visual Studio Code",
        "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none"
    }"#,
];

/// The copy of the document at the address `id`. `resources` are addresses of this MCP server.
pub(super) fn copy(id: &ClientId, resources: &[String]) -> Option<Document> {
    let copy = COPIES.iter().find_map(|copy| Document::read(id, copy.as_bytes()).ok());
    copy.or_else(|| resources.iter().find_map(|resource| codex_document(id, resource)))
}

/// The document by which Codex (since 0.148.0, openai/codex#38089) connects to the MCP server at `resource`, if `id` is its
/// address. The host answers every id with a document, so another id says nothing, and has no copy.
fn codex_document(id: &ClientId, resource: &str) -> Option<Document> {
    // A person may have typed the address with a slash.
    [resource.to_owned(), format!("{resource}/")].iter().find_map(|server| {
        let callback_id = to_text(Digest::of(server.as_bytes()).as_bytes().first_chunk::<9>()?);
        let copy = json!({
            "client_id": format!("https://chatgpt.com/oauth/codex/{callback_id}/client.json"),
            "client_name": "Codex",
            "redirect_uris": [
                format!("http://127.0.0.1/callback/{callback_id}"),
                format!("http://localhost/callback/{callback_id}"),
            ],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        Document::read(id, copy.to_string().as_bytes()).ok()
    })
}

#[cfg(test)]
mod tests {
    use shared::oauth::vouched_hosts::VouchedHosts;

    use super::*;

    #[test]
    fn pinned_copies_are_valid_documents() {
        let resources = ["https://connect.example.com/api/mcp/server".to_owned()];
        for (id, name) in [
            ("https://claude.ai/oauth/mcp-oauth-client-metadata", Some("Claude")),
            ("https://claude.ai/oauth/claude-code-client-metadata", Some("Claude Code")),
            ("https://claude.ai/oauth/another", None),
            ("https://chatgpt.com/oauth/client.json", Some("ChatGPT")),
            ("https://chatgpt.com/oauth/ABCDEFGHIJKL/client.json", None),
            ("https://chatgpt.com/oauth/codex/client.json", Some("Codex")),
            // The first 9 bytes of the SHA-256 of the address, without and with a slash.
            ("https://chatgpt.com/oauth/codex/CcKAdg7IjDgc/client.json", Some("Codex")),
            ("https://chatgpt.com/oauth/codex/m0_reIDbgXA7/client.json", Some("Codex")),
            ("https://chatgpt.com/oauth/codex/AAAAAAAAAAAA/client.json", None),
            ("https://vscode.dev/oauth/client-metadata.json", Some("Visual Studio Code")),
        ] {
            let copy = copy(&ClientId::parse(id).unwrap(), &resources);
            assert_eq!(copy.as_ref().and_then(|copy| copy.name.as_deref()), name, "{id}");
        }
    }

    /// Its callback has the same id.
    #[test]
    fn codex_is_answered_at_the_callback_of_this_server() {
        let resources = ["https://connect.example.com/api/mcp/server".to_owned()];
        let id = ClientId::parse("https://chatgpt.com/oauth/codex/CcKAdg7IjDgc/client.json").unwrap();
        let copy = copy(&id, &resources).unwrap();
        let uris: Vec<_> = copy.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect();
        assert_eq!(uris, ["http://127.0.0.1/callback/CcKAdg7IjDgc", "http://localhost/callback/CcKAdg7IjDgc"]);
    }

    #[test]
    fn hosts_of_pinned_copies_are_vouched_for_by_default() {
        let hosts = VouchedHosts::default();
        for copy in COPIES {
            let members: serde_json::Value = serde_json::from_str(copy).unwrap();
            let id = ClientId::parse(members["client_id"].as_str().unwrap()).unwrap();
            assert!(id.metadata_document_host().is_some_and(|host| hosts.contains(&host)), "{id}");
        }
    }
}
