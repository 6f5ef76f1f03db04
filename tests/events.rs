//! Every event in `events/`, as AWS sends it, in a test system of its own: no 5xx, no panic, nothing stored but registrations.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use test_system::TestSystem;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../events");

/// Each event, and the status and error that it gets as it stands: its tokens, clients and sessions are made up.
pub(crate) const ANSWERS: &[(&str, u64, &str)] = &[
    ("admin/own", 303, ""),
    ("admin/own-with-session", 303, ""),
    ("admin/own-malformed-query", 400, ""),
    ("admin/change-own", 303, ""),
    ("admin/change-own-posted", 403, ""),
    ("admin/end-own", 303, ""),
    ("admin/end-own-posted", 403, ""),
    ("admin/end-own-from-another-site", 403, ""),
    ("admin/connections", 303, ""),
    ("admin/end-connections", 303, ""),
    ("admin/end-connections-posted", 403, ""),
    ("admin/keys", 303, ""),
    ("admin/make-key", 303, ""),
    ("admin/make-key-posted", 403, ""),
    ("admin/revoke-key", 303, ""),
    ("admin/revoke-key-posted", 403, ""),
    ("admin/activity", 303, ""),
    ("admin/api-description", 200, ""),
    ("admin/api-own", 401, "invalid_token"),
    ("admin/api-own-malformed-query", 400, "invalid_request"),
    ("admin/api-connections", 401, "invalid_token"),
    ("admin/api-connections-with-session", 401, "invalid_token"),
    ("admin/api-end-connections", 401, "invalid_token"),
    ("admin/api-keys", 401, "invalid_token"),
    ("admin/api-make-key", 401, "invalid_token"),
    ("admin/api-revoke-key", 401, "invalid_token"),
    ("admin/api-activity", 401, "invalid_token"),
    ("admin/malformed-tenant", 404, ""),
    ("authorize/get-duplicate-parameter", 400, ""),
    ("authorize/get-empty", 400, ""),
    ("authorize/get-malformed-host", 400, ""),
    ("authorize/get-malformed-query", 400, ""),
    ("authorize/get-metadata-document-client", 303, ""),
    ("authorize/get-unknown-client", 400, ""),
    ("authorize/get-unregistered-redirect", 400, ""),
    ("authorize/get-with-session", 400, ""),
    ("authorize/get-without-session", 400, ""),
    ("authorize/post-approve", 400, ""),
    ("authorize/post-deny", 400, ""),
    ("authorize/post-from-another-site", 400, ""),
    ("authorize/post-without-session", 400, ""),
    ("login/callback-refused", 400, ""),
    ("login/callback-without-flow", 400, ""),
    ("login/callback", 400, ""),
    ("login/code-reloaded", 303, ""),
    ("login/code", 403, ""),
    ("login/factor-reloaded", 303, ""),
    ("login/factor", 403, ""),
    ("login/leaving", 400, ""),
    ("login/link", 403, ""),
    ("login/logout", 403, ""),
    ("login/page-malformed-query", 400, ""),
    ("login/page-next-elsewhere", 200, ""),
    ("login/page-posted", 303, ""),
    ("login/page", 200, ""),
    ("login/password-from-another-site", 403, ""),
    ("login/password-reloaded", 303, ""),
    ("login/password", 403, ""),
    ("login/social", 403, ""),
    ("login/verify-reloaded", 303, ""),
    ("login/verify", 403, ""),
    ("mcp/delete-without-token", 401, ""),
    ("mcp/delete", 401, "invalid_token"),
    ("mcp/discover", 401, "invalid_token"),
    ("mcp/foreign-origin", 403, ""),
    ("mcp/get-without-token", 401, ""),
    ("mcp/get", 401, "invalid_token"),
    ("mcp/initialize", 401, "invalid_token"),
    ("mcp/initialized", 401, "invalid_token"),
    ("mcp/malformed-host", 400, ""),
    ("mcp/malformed-json", 401, "invalid_token"),
    ("mcp/malformed-query", 400, ""),
    ("mcp/options-browser", 204, ""),
    ("mcp/prompts-get", 401, "invalid_token"),
    ("mcp/resources-read", 401, "invalid_token"),
    ("mcp/malformed-tenant", 404, ""),
    ("mcp/tenant-delete", 401, "invalid_token"),
    ("mcp/tenant-get-without-token", 401, ""),
    ("mcp/tenant-options-browser", 204, ""),
    ("mcp/tenant-tools-call-by-key", 401, "invalid_token"),
    ("mcp/tenant-tools-list", 401, "invalid_token"),
    ("mcp/tenant-without-token", 401, ""),
    ("mcp/tools-call-by-key", 401, "invalid_token"),
    ("mcp/tools-call", 401, "invalid_token"),
    ("mcp/tools-list-2025-11-25", 401, "invalid_token"),
    ("mcp/tools-list", 401, "invalid_token"),
    ("mcp/without-token", 401, ""),
    ("feed/forged", 403, "access_denied"),
    ("feed/malformed-query", 400, "invalid_request"),
    ("feed/unsigned", 403, "access_denied"),
    ("feed/update", 403, "access_denied"),
    ("register/claude", 201, ""),
    ("register/claude-code", 201, ""),
    ("register/claude-without-name", 201, ""),
    ("register/fastmcp", 201, ""),
    ("register/foreign-scheme", 400, "invalid_redirect_uri"),
    ("register/inspector", 201, ""),
    ("register/malformed-header", 400, "invalid_request"),
    ("register/malformed-json", 400, "invalid_client_metadata"),
    ("register/mcp-remote", 201, ""),
    ("register/no-redirect-uris", 400, "invalid_redirect_uri"),
    ("register/not-utf-8", 400, "invalid_client_metadata"),
    ("register/nulls", 201, ""),
    ("register/options-browser", 204, ""),
    ("register/python-sdk", 201, ""),
    ("register/rust-sdk", 201, ""),
    ("register/typescript-client", 201, ""),
    ("register/typescript-sdk", 201, ""),
    ("register/wrong-content-type", 400, "invalid_client_metadata"),
    ("revoke/access-token", 200, ""),
    ("revoke/malformed-host", 400, "invalid_request"),
    ("revoke/options-browser", 204, ""),
    ("revoke/refresh-token", 200, ""),
    ("revoke/without-token", 400, "invalid_request"),
    ("revoke/wrong-content-type", 400, "invalid_request"),
    ("token/client-secret-basic", 400, "invalid_grant"),
    ("token/client-secret-post", 400, "invalid_grant"),
    ("token/code", 400, "invalid_grant"),
    ("token/duplicate-parameter", 400, "invalid_request"),
    ("token/malformed-header", 400, "invalid_request"),
    ("token/malformed-query", 400, "invalid_request"),
    ("token/not-utf-8", 400, "invalid_request"),
    ("token/options-browser", 204, ""),
    ("token/refresh", 400, "invalid_grant"),
    ("token/unsupported-grant-type", 400, "unsupported_grant_type"),
    ("token/without-content-type", 400, "invalid_request"),
    ("token/wrong-content-type", 400, "invalid_request"),
    ("wellknown/authorization-server-of-mcp", 200, ""),
    ("wellknown/authorization-server-of-tenant", 200, ""),
    ("wellknown/authorization-server", 200, ""),
    ("wellknown/jwks-malformed-query", 400, "invalid_request"),
    ("wellknown/jwks", 200, ""),
    ("wellknown/jwks-of-tools", 200, ""),
    ("wellknown/options-browser-of-tenant", 204, ""),
    ("wellknown/options-browser", 204, ""),
    ("wellknown/protected-resource-of-malformed-tenant", 404, ""),
    ("wellknown/protected-resource-of-mcp", 200, ""),
    ("wellknown/protected-resource-of-tenant", 200, ""),
    ("wellknown/protected-resource", 200, ""),
    ("wellknown/unrouted-openid-configuration", 404, ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_event_gets_its_expected_response() {
    let mut expected: BTreeMap<_, _> =
        ANSWERS.iter().map(|(event, status, error)| (*event, (*status, *error))).collect();
    let test_system = TestSystem::new().await;
    let before = test_system.system().items().unwrap().len();

    for (function, events) in by_function() {
        for (name, event) in events {
            let answer = test_system.system().invoke(&function, &event).await.expect("a function").expect("an answer");

            let answer: Value = serde_json::from_str(&answer).unwrap();
            let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
            let told = (answer["statusCode"].as_u64().unwrap(), body["error"].as_str().unwrap_or_default());
            assert_eq!(expected.remove(name.as_str()), Some(told), "{name}: {answer}");
        }
    }
    assert!(expected.is_empty(), "events that are not there: {expected:?}");
    let kept = test_system.system().items().unwrap().len() - before;
    assert_eq!(kept, ANSWERS.iter().filter(|(_, status, _)| *status == 201).count());
}

/// One event, by name.
pub(crate) fn event(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{name}.json")).expect("an event")
}

/// Each function's events, by name.
pub(crate) fn by_function() -> Vec<(String, Vec<(String, String)>)> {
    // What `audit` is sent is no request: tests/audit.rs.
    let functions = folder(FOLDER).into_iter().filter(|name| !name.contains('.') && name != "audit");
    functions
        .map(|function| {
            let files = folder(format!("{FOLDER}/{function}")).into_iter();
            let events = files.map(|file| {
                let name = format!("{function}/{}", file.trim_end_matches(".json"));
                let event = event(&name);
                (name, event)
            });
            let events = events.collect();
            (function, events)
        })
        .collect()
}

fn folder(path: impl AsRef<Path>) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(path)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}
