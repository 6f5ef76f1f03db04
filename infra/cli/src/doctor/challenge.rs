//! What the MCP server answers to whoever shows nothing: 401 to every method, with a challenge that says where to go (RFC 9728 §5.1).

use reqwest::Method;

use super::finding::Check;
use super::probe::{Probe, ProbeRequest, ProbeResponse};
use super::target::Target;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"amble doctor","version":"1"}}}"#;
/// What API Gateway makes of the header's name.
const RENAMED_HEADER: &str = "x-amzn-remapped-www-authenticate";
/// What the function sends besides, for the template to map back.
const SPARE_HEADER: &str = "x-challenge";

const MAPPING: &str = "Keep the responseParameters of the route in template.yaml, which map X-Challenge back onto WWW-Authenticate for 401 and 403.";
const FRONT: &str = "Look at what stands in front of the function: a firewall, a bot filter, an authorizer, a CDN, a proxy that sends another Host than the API's.";

/// What the challenge told.
pub(crate) struct Challenged {
    pub(crate) check: Check,
    /// Whether anything answers: where nothing does, every other check would only say so once more.
    pub(crate) answered: bool,
    /// Whether it arrived under its name.
    pub(crate) arrived: bool,
    /// The address of the resource's metadata: that of the header, or of the body where the header does not arrive.
    pub(crate) metadata: Option<String>,
}

pub(crate) async fn check(probe: &Probe, target: &Target) -> Challenged {
    let mut check = Check::new("challenge");
    let (mut answered, mut arrived, mut metadata) = (false, false, None);
    let json = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    for (method, body) in [(Method::POST, Some(CALL)), (Method::GET, None), (Method::DELETE, None)] {
        let headers = if body.is_some() { &json[..] } else { &json[1..] };
        let request = ProbeRequest { method, url: &target.url, headers, body: body.map(str::to_owned) };
        let Some(response) = probe.send(&mut check, request).await else {
            let get = ProbeRequest { method: Method::GET, url: &target.url, headers: &json[1..], body: None };
            if !answered && probe.try_send(get).await.is_err() {
                return Challenged { check, answered, arrived, metadata };
            }
            answered = true;
            continue;
        };
        answered = true;
        if is_challenge(&mut check, &response) {
            judge(&mut check, target, &response);
            let header = response.header("www-authenticate");
            arrived |= header.is_some();
            let body = || response.object()?.get("resource_metadata")?.as_str().map(str::to_owned);
            let named = header.and_then(|challenge| parameter(challenge, "resource_metadata")).map(str::to_owned);
            metadata = metadata.or_else(|| named.or_else(body)).filter(|address| target.may_be_announced(address));
        }
    }
    let request = ProbeRequest {
        method: Method::POST,
        url: &target.url,
        headers: &[json[0], json[1], ("authorization", "Bearer amble-doctor")],
        body: Some(CALL.to_owned()),
    };
    if let Some(response) = probe.send(&mut check, request).await
        && is_challenge(&mut check, &response)
        && !response.header("www-authenticate").unwrap_or_default().contains("invalid_token")
        && response.header("www-authenticate").is_some()
    {
        check.weak(
            "invalid_token_unnamed",
            "a token that is none is refused without error=\"invalid_token\"",
            "Claude does not know that refreshing could help.",
            MAPPING,
        );
    }
    if check.is_well() {
        check.observed("POST, GET and DELETE are refused with 401");
    }
    Challenged { check, answered, arrived, metadata }
}

/// Whether it is the 401 that a client can do something with.
fn is_challenge(check: &mut Check, response: &ProbeResponse) -> bool {
    let (code, breaks, remedy) = match response.status {
        401 => return true,
        200..=299 => (
            "open",
            "Whoever knows the URL is let in without signing in.",
            "Take it down, and look which function answers this route.",
        ),
        300..=399 => (
            "redirected",
            "Claude follows no redirect with a POST: it cannot connect.",
            "Serve the MCP server at this very address: no redirect to a slash, to www or from http.",
        ),
        403 => ("forbidden", "Claude takes 403 for final: it neither asks people to sign in nor connects.", FRONT),
        500..=599 => ("failing", "Claude cannot connect.", "Read the log of the function mcp for that time."),
        _ => (
            "not_challenged",
            "Claude asks with every method, and where it is not answered 401 it does not find out that it must sign in.",
            "Lead every method of this path to the function mcp.",
        ),
    };
    check.broken(code, response.summary(), breaks, remedy);
    false
}

fn judge(check: &mut Check, target: &Target, response: &ProbeResponse) {
    let Some(challenge) = response.header("www-authenticate") else {
        if response.header(RENAMED_HEADER).is_some() {
            check.broken(
                "challenge_renamed",
                format!("{} is answered with {RENAMED_HEADER} in place of WWW-Authenticate", response.what),
                "Claude does not see the challenge: it has to guess where the documents are, and step-up does not work.",
                MAPPING,
            );
        } else {
            check.broken(
                "challenge_missing",
                format!("{} is answered 401 without WWW-Authenticate", response.what),
                "Claude has to guess where the documents are, and does not learn which permissions to ask for.",
                MAPPING,
            );
        }
        return;
    };
    if response.header(SPARE_HEADER).is_some() {
        check.weak(
            "challenge_unmapped",
            format!("{} is answered with X-Challenge beside WWW-Authenticate", response.what),
            "The template's mapping is not in force; where API Gateway renames the header, nothing puts it back.",
            MAPPING,
        );
    }
    match parameter(challenge, "resource_metadata") {
        Some(address) if address == target.inserted() => {}
        Some(address) if target.may_be_announced(address) => {
            check.observed_once(format!("metadata at {address}"));
        }
        Some(address) if !address.starts_with("http") => check.broken(
            "challenge_relative",
            format!("resource_metadata is {address}, which is not absolute"),
            "Claude cannot use it: it wants a whole address.",
            "Leave WWW-Authenticate as the function mcp sends it.",
        ),
        Some(address) => check.broken(
            "challenge_elsewhere",
            format!("resource_metadata is {address}, not {}", target.inserted()),
            "Claude reads the document of something else, whose resource is not the URL that was pasted.",
            "Paste the URL as the deployment knows itself. Or set ResourceUrl to the pasted one, if its host passes on that path alone, or \
             Issuer to its origin, and deploy again.",
        ),
        None => check.broken(
            "challenge_without_metadata",
            format!("WWW-Authenticate is {challenge}, without resource_metadata"),
            "Claude has to guess where the documents are.",
            "Leave WWW-Authenticate as the function mcp sends it; an authorizer of API Gateway writes its own.",
        ),
    }
    if !challenge.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")) {
        check.broken(
            "challenge_scheme",
            format!("WWW-Authenticate is {challenge}, which is not Bearer"),
            "Claude does not take it for a challenge of OAuth.",
            "Leave WWW-Authenticate as the function mcp sends it.",
        );
    }
    if response.object().is_none_or(|body| !body.contains_key("resource_metadata")) {
        check.weak(
            "body_silent",
            format!("the body of {} does not repeat the challenge", response.what),
            "Clients behind something that drops headers do not learn where to go.",
            FRONT,
        );
    }
}

/// The value of a quoted parameter.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}
