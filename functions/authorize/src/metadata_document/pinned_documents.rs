//! Pinned copies of the documents of widely used clients. They are used when the host refuses our request: a bot
//! filter in front of it sometimes rejects the addresses of data centres (403, a page of HTML, 503).
//!
//! Compare the copies with the live documents from time to time, and note the date. The audit records
//! `client_document_unlike_pinned` when a live document differs.

use shared::oauth::client::ClientId;

use super::document::Document;

/// The copies, each with the date of the last comparison with the live document. Members that are not used are left out.
const COPIES: [&str; 2] = [
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
];

/// The copy of the document at the address `id`.
pub(super) fn copy(id: &ClientId) -> Option<Document> {
    COPIES.iter().find_map(|copy| Document::read(id, copy.as_bytes()).ok())
}

#[cfg(test)]
mod tests {
    use shared::oauth::vouched_hosts::VouchedHosts;

    use super::*;

    #[test]
    fn pinned_copies_are_valid_documents() {
        let found: Vec<_> = [
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://claude.ai/oauth/claude-code-client-metadata",
            "https://claude.ai/oauth/another",
        ]
        .iter()
        .map(|id| copy(&ClientId::parse(id).unwrap()).and_then(|copy| copy.name))
        .collect();

        assert_eq!(found, [Some("Claude".to_owned()), Some("Claude Code".to_owned()), None]);
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
