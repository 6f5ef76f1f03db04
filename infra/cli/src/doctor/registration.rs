//! Registration as Claude does it (RFC 7591): often twice, and the answer read strictly.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::documents::Documents;
use super::finding::Check;
use super::probe::{Probe, ProbeRequest};

/// Where Claude is answered. Nothing is ever sent there: the doctor reads the redirect and does not follow it.
pub(crate) const CALLBACK: &str = "https://claude.ai/api/mcp/auth_callback";

const FUNCTION: &str =
    "Serve it with the function register: compare the route in template.yaml and whatever stands in front of it.";

/// Registers the doctor as a client; its id. As one registration always gives one id, that is the same client each time.
pub(crate) async fn check(probe: &Probe, documents: &Documents) -> (Check, Option<String>) {
    let mut check = Check::new("registration");
    let first = register(probe, &mut check, documents).await;
    let second = register(probe, &mut check, documents).await;
    if let (Some(first), Some(second)) = (&first, &second) {
        if first == second {
            check.observed(format!("the same client twice: {first}"));
        } else {
            check.broken(
                "not_idempotent",
                format!("the same registration gave {first} and then {second}"),
                "Claude registers at every connect, often twice: clients pile up, and nobody can tell them apart.",
                FUNCTION,
            );
        }
    }
    (check, first)
}

async fn register(probe: &Probe, check: &mut Check, documents: &Documents) -> Option<String> {
    let body = json!({
        "client_name": "amble doctor",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    let headers = [("content-type", "application/json")];
    let request = ProbeRequest {
        method: Method::POST,
        url: &documents.register,
        headers: &headers,
        body: Some(body.to_string()),
    };
    let response = probe.send(check, request).await?;
    let Some(answer) = response.object().filter(|_| response.status == 201) else {
        let (code, breaks) = match response.status {
            201 => ("not_json", "Claude cannot read what it was registered as."),
            300..=399 => ("redirected", "Claude follows no redirect with a POST: it cannot register."),
            _ => ("registration_refused", "Claude cannot register, so that nobody can connect with it."),
        };
        check.broken(code, response.summary(), breaks, FUNCTION);
        return None;
    };
    strict(check, &answer);
    if !response.is_kept_from_caches() {
        check.weak(
            "registration_cached",
            format!("{} may be kept by caches", response.what),
            "A cache could give one client the registration of another.",
            FUNCTION,
        );
    }
    let id = answer.get("client_id").and_then(Value::as_str);
    if id.is_none() {
        check.broken("no_client_id", "the answer has no client_id", "Claude cannot go on without one.", FUNCTION);
    }
    id.map(str::to_owned)
}

fn strict(check: &mut Check, answer: &Map<String, Value>) {
    for (name, value) in answer {
        if value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty) {
            check.broken(
                "empty_member",
                format!("{name} is {value}"),
                "Claude reads the answer strictly and takes it for broken.",
                "Leave the member out.",
            );
        }
    }
    let given = answer.get("redirect_uris").and_then(Value::as_array);
    if given.is_none_or(|given| given.as_slice() != [Value::from(CALLBACK)]) {
        check.broken(
            "addresses_changed",
            format!("redirect_uris is {}", answer.get("redirect_uris").unwrap_or(&Value::Null)),
            "Claude is answered somewhere else, or refuses the registration.",
            FUNCTION,
        );
    }
    let method = answer.get("token_endpoint_auth_method").and_then(Value::as_str);
    if method != Some("none") && !answer.contains_key("client_secret") {
        check.broken(
            "no_way_to_authenticate",
            format!("token_endpoint_auth_method is {}, and there is no client_secret", method.unwrap_or("missing")),
            "Claude cannot say who it is when it asks for tokens.",
            FUNCTION,
        );
    }
}
