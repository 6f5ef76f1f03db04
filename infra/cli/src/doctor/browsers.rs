//! What browsers ask before scripts may (CORS): everywhere that clients call, and never where people decide.

use reqwest::Method;

use super::Target;
use super::documents::Documents;
use super::finding::Check;
use super::probe::{Heard, Probe, Question};

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
        let question = Question { method: Method::OPTIONS, url, headers: &headers, body: None };
        if let Some(heard) = probe.ask(&mut check, question).await {
            preflight(&mut check, &heard, method, url == target.url);
        }
    }
    let question = Question { method: Method::GET, url: &metadata, headers: &[("origin", ORIGIN)], body: None };
    if let Some(heard) = probe.ask(&mut check, question).await
        && !lets_in(&heard)
    {
        closed(&mut check, &heard);
    }
    let question = Question { method: Method::POST, url: &target.url, headers: &[("origin", ORIGIN)], body: None };
    if let Some(heard) = probe.ask(&mut check, question).await
        && heard.status == 401
        && !names(&heard, "access-control-expose-headers").contains(&"www-authenticate".to_owned())
    {
        check.broken(
            "challenge_unexposed",
            format!("{} does not expose WWW-Authenticate", heard.what),
            "Scripts in browsers cannot read the challenge, so that browser clients do not find the documents.",
            FUNCTIONS,
        );
    }
    let question = Question {
        method: Method::OPTIONS,
        url: &documents.authorize,
        headers: &[("origin", ORIGIN), ("access-control-request-method", "POST")],
        body: None,
    };
    if let Some(heard) = probe.ask(&mut check, question).await
        && heard.header("access-control-allow-origin").is_some()
    {
        check.broken(
            "open_consent",
            format!("{} lets scripts of other origins in", heard.what),
            "Other pages could read what people are asked, and answer for them.",
            "Remove the CORS configuration of the API: the functions do it where it belongs.",
        );
    }
    if check.is_well() {
        check.saw("scripts may call what they must, and not where people decide");
    }
    check
}

fn preflight(check: &mut Check, heard: &Heard, method: &str, mcp: bool) {
    if mcp && heard.status == 403 {
        check.weak(
            "origin_refused",
            format!("{} refuses pages of {ORIGIN}", heard.what),
            "Browser clients of that origin cannot call the MCP server; Claude itself calls from its own servers.",
            "Add the origin to the parameter AllowedOrigins, if pages of it are to call.",
        );
        return;
    }
    if !(200..300).contains(&heard.status) {
        check.broken(
            "preflight_refused",
            heard.told(),
            "Browser clients, such as the MCP Inspector, cannot call it.",
            FUNCTIONS,
        );
        return;
    }
    if !lets_in(heard) {
        closed(check, heard);
        return;
    }
    let allowed = names(heard, "access-control-allow-headers");
    let missing: Vec<_> =
        SENT.split(',').filter(|name| !allowed.iter().any(|known| known == name || known == "*")).collect();
    let methods = names(heard, "access-control-allow-methods");
    if !missing.is_empty() || !methods.iter().any(|known| known.eq_ignore_ascii_case(method) || known == "*") {
        check.broken(
            "preflight_narrow",
            format!(
                "{} does not allow {method} with {}",
                heard.what,
                if missing.is_empty() { SENT.to_owned() } else { missing.join(", ") }
            ),
            "Browser clients cannot call it with what MCP makes them send.",
            FUNCTIONS,
        );
    }
}

fn lets_in(heard: &Heard) -> bool {
    heard.header("access-control-allow-origin").is_some_and(|origin| origin == "*" || origin == ORIGIN)
}

fn closed(check: &mut Check, heard: &Heard) {
    check.broken(
        "cors_missing",
        format!("{} has no Access-Control-Allow-Origin", heard.what),
        "Scripts in browsers cannot read the answer, so that browser clients cannot connect.",
        FUNCTIONS,
    );
}

/// The parts of a list in a header, in lower case.
fn names(heard: &Heard, header: &str) -> Vec<String> {
    let list = heard.header(header).unwrap_or_default();
    list.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
}
