//! What browsers ask before scripts may (CORS): everywhere that clients call, and never where people decide.

use reqwest::Method;

use super::documents::Documents;
use super::finding::Check;
use super::probe::{Probe, ProbeRequest, ProbeResponse};
use super::target::Target;

/// A page that is let in everywhere.
const ORIGIN: &str = "https://claude.ai";
/// What such a page wants to send.
const SENT: &str = "authorization,content-type,mcp-protocol-version,mcp-method,mcp-name";

const FUNCTIONS: &str = "Let the functions answer OPTIONS: no CORS of the API's own, and nothing in front that drops Access-Control headers.";

pub(crate) async fn check(probe: &Probe, target: &Target, documents: &Documents) -> Check {
    let mut check = Check::new("browsers");
    let metadata = target.resource_metadata();
    for (url, method) in [
        (metadata.as_str(), "GET"),
        (&documents.register, "POST"),
        (&documents.token, "POST"),
        (&documents.revoke, "POST"),
        (&target.url, "POST"),
    ] {
        let headers =
            [("origin", ORIGIN), ("access-control-request-method", method), ("access-control-request-headers", SENT)];
        let request = ProbeRequest { method: Method::OPTIONS, url, headers: &headers, body: None };
        if let Some(response) = probe.send(&mut check, request).await {
            preflight(&mut check, &response, method, url == target.url);
        }
    }
    let request = ProbeRequest { method: Method::GET, url: &metadata, headers: &[("origin", ORIGIN)], body: None };
    if let Some(response) = probe.send(&mut check, request).await
        && !allows_origin(&response)
    {
        report_missing_cors(&mut check, &response);
    }
    let request = ProbeRequest { method: Method::POST, url: &target.url, headers: &[("origin", ORIGIN)], body: None };
    if let Some(response) = probe.send(&mut check, request).await
        && response.status == 401
        && !names(&response, "access-control-expose-headers").contains(&"www-authenticate".to_owned())
    {
        check.broken(
            "challenge_unexposed",
            format!("{} does not expose WWW-Authenticate", response.what),
            "Scripts in browsers cannot read the challenge, so that browser clients do not find the documents.",
            FUNCTIONS,
        );
    }
    let request = ProbeRequest {
        method: Method::OPTIONS,
        url: &documents.authorize,
        headers: &[("origin", ORIGIN), ("access-control-request-method", "POST")],
        body: None,
    };
    if let Some(response) = probe.send(&mut check, request).await
        && response.header("access-control-allow-origin").is_some()
    {
        check.broken(
            "open_consent",
            format!("{} lets scripts of other origins in", response.what),
            "Other pages could read what people are asked, and answer for them.",
            "Remove the CORS configuration of the API: the functions do it where it belongs.",
        );
    }
    if check.is_well() {
        check.observed("scripts may call what they must, and not where people decide");
    }
    check
}

fn preflight(check: &mut Check, response: &ProbeResponse, method: &str, mcp: bool) {
    if mcp && response.status == 403 {
        check.weak(
            "origin_refused",
            format!("{} refuses pages of {ORIGIN}", response.what),
            "Browser clients of that origin cannot call the MCP server; Claude itself calls from its own servers.",
            "Add the origin to the parameter AllowedOrigins, if pages of it are to call.",
        );
        return;
    }
    if !(200..300).contains(&response.status) {
        check.broken(
            "preflight_refused",
            response.summary(),
            "Browser clients, such as the MCP Inspector, cannot call it.",
            FUNCTIONS,
        );
        return;
    }
    if !allows_origin(response) {
        report_missing_cors(check, response);
        return;
    }
    let allowed = names(response, "access-control-allow-headers");
    let missing: Vec<_> =
        SENT.split(',').filter(|name| !allowed.iter().any(|known| known == name || known == "*")).collect();
    let methods = names(response, "access-control-allow-methods");
    if !missing.is_empty() || !methods.iter().any(|known| known.eq_ignore_ascii_case(method) || known == "*") {
        check.broken(
            "preflight_narrow",
            format!(
                "{} does not allow {method} with {}",
                response.what,
                if missing.is_empty() { SENT.to_owned() } else { missing.join(", ") }
            ),
            "Browser clients cannot call it with what MCP makes them send.",
            FUNCTIONS,
        );
    }
}

fn allows_origin(response: &ProbeResponse) -> bool {
    response.header("access-control-allow-origin").is_some_and(|origin| origin == "*" || origin == ORIGIN)
}

fn report_missing_cors(check: &mut Check, response: &ProbeResponse) {
    check.broken(
        "cors_missing",
        format!("{} has no Access-Control-Allow-Origin", response.what),
        "Scripts in browsers cannot read the answer, so that browser clients cannot connect.",
        FUNCTIONS,
    );
}

/// The parts of a list in a header, in lower case.
fn names(response: &ProbeResponse, header: &str) -> Vec<String> {
    let list = response.header(header).unwrap_or_default();
    list.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
}
