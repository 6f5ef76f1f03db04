//! The well-known documents: at both places, equal, and such that Claude can use them (RFC 8414, RFC 9728, RFC 7517).

use serde_json::{Map, Value};
use supabase_users::is_loopback;
use url::Url;

use super::finding::Check;
use super::probe::{Probe, ProbeResponse};
use super::target::Target;

/// What the documents say, as far as the other checks need it.
pub(crate) struct Documents {
    pub(crate) issuer: String,
    pub(crate) authorize: String,
    pub(crate) token: String,
    pub(crate) register: String,
    pub(crate) revoke: String,
    pub(crate) jwks: Option<String>,
    /// What a connection asks for.
    pub(crate) scopes: Vec<String>,
    /// Whether Claude would come with the address of its own description.
    pub(crate) by_description: bool,
}

const BY_TEMPLATE: &str = "Serve it with the function wellknown: compare the route in template.yaml, the API's stage ($default) and whatever stands in front of it.";
const ISSUER: &str =
    "Set the parameter Issuer to the one origin of the deployment, without a trailing slash, and deploy again.";

impl Documents {
    /// Where the pages are.
    pub(crate) fn issuer_origin(&self, target: &Target) -> String {
        Url::parse(&self.authorize).map_or_else(|_| target.origin.clone(), |url| url.origin().ascii_serialization())
    }
}

/// The protected resource's metadata at both places, or where the challenge says; the issuer that it names. `arrived` is whether a
/// client sees the challenge.
pub(crate) async fn resource(probe: &Probe, target: &Target, arrived: bool) -> (Check, Option<(String, Vec<String>)>) {
    let mut check = Check::new("resource");
    let inserted = document(probe, &mut check, &target.resource_metadata()).await;
    let root = format!("{}/.well-known/oauth-protected-resource", target.origin);
    let root = if target.is_announced_elsewhere() {
        beside(probe, &mut check, target, [target.inserted(), root], arrived).await
    } else {
        document(probe, &mut check, &root).await
    };
    let servers = |document: &Map<String, Value>| texts(document, "authorization_servers");
    if let (Some(inserted), Some(root)) = (&inserted, &root)
        && servers(inserted) != servers(root)
    {
        check.broken(
            "documents_disagree",
            format!("authorization_servers is {:?} with the path inserted and {:?} at the root", servers(inserted), servers(root)),
            "Claude cannot be relied on to find the same authorization server twice: it reads whichever document it finds first.",
            ISSUER,
        );
    }
    let Some(document) = inserted.or(root) else { return (check, None) };
    match document.get("resource").and_then(Value::as_str) {
        Some(resource) if resource == target.url => {}
        other => check.broken(
            "resource_differs",
            format!("resource is {}, and the URL that people paste is {}", quoted(other), target.url),
            "Claude cannot connect: it compares the two, and every token would be for something else.",
            "Paste the URL exactly as the document names it. Or set ResourceUrl to the pasted one, if its host passes on that path alone, or \
             Issuer to its origin, and deploy again.",
        ),
    }
    let scopes = texts(&document, "scopes_supported");
    if scopes.iter().any(|scope| scope == "offline_access") {
        check.weak(
            "offline_access_in_resource",
            "scopes_supported of the protected resource has offline_access",
            "MCP 2026-07-28 forbids it there: it is the authorization server's business.",
            BY_TEMPLATE,
        );
    }
    let issuer = servers(&document).into_iter().next();
    let Some(issuer) = issuer else {
        check.broken(
            "no_authorization_server",
            "authorization_servers is missing or empty",
            "Claude cannot find out where to register and sign people in.",
            BY_TEMPLATE,
        );
        return (check, None);
    };
    if issuer.ends_with('/') {
        check.broken(
            "issuer_slash",
            format!("the issuer is {issuer}, with a slash at its end"),
            "Claude compares issuers letter by letter, so that tokens and metadata are refused.",
            ISSUER,
        );
    }
    insecure(&mut check, target, "the issuer", &issuer);
    check.observed(format!("protected by {issuer}"));
    (check, Some((issuer, scopes)))
}

/// The documents on the resource's own host, where the challenge sends clients to another: some platforms keep `/.well-known` to
/// themselves. Without a document here, discovery hangs on the challenge.
async fn beside(
    probe: &Probe,
    check: &mut Check,
    target: &Target,
    places: [String; 2],
    arrived: bool,
) -> Option<Map<String, Value>> {
    let mut found = None;
    for place in &places {
        let response = probe.get(check, place).await?;
        let document = response.object().filter(|_| response.status == 200);
        found = found
            .or_else(|| document.filter(|it| it.get("resource").and_then(Value::as_str) == Some(target.url.as_str())));
    }
    match (&found, arrived) {
        (Some(_), _) => check.observed(format!("also on {}", target.origin)),
        (None, true) => check.observed(format!("none on {}, so discovery hangs on the challenge", target.origin)),
        (None, false) => check.broken(
            "undiscoverable",
            format!("{} has no document of this resource, and the challenge does not arrive", target.origin),
            "Claude cannot connect: nothing that it sees leads to the authorization server.",
            "Have WWW-Authenticate arrive under its name, or pass /.well-known/ of this host on to the API (docs/placing.md).",
        ),
    }
    found
}

/// The authorization server's metadata at both places.
pub(crate) async fn server(
    probe: &Probe,
    target: &Target,
    (issuer, scopes): (String, Vec<String>),
) -> (Check, Option<Documents>) {
    let mut check = Check::new("metadata");
    let base = issuer.trim_end_matches('/');
    let root = document(probe, &mut check, &format!("{base}/.well-known/oauth-authorization-server")).await;
    let appended = format!("{base}/.well-known/oauth-authorization-server{}", target.path);
    let appended = document(probe, &mut check, &appended).await;
    if let (Some(root), Some(appended)) = (&root, &appended)
        && root != appended
    {
        let differing: Vec<_> =
            root.keys().chain(appended.keys()).filter(|key| root.get(*key) != appended.get(*key)).collect();
        check.broken(
            "documents_disagree",
            format!("the two documents differ in {}", list(&differing)),
            "Claude cannot be relied on to read the same thing twice: it takes whichever document it finds first.",
            "Serve both with the same function: compare the routes in template.yaml and the caches in front of it.",
        );
    }
    unknown(probe, &mut check, base).await;
    let Some(document) = root.or(appended) else { return (check, None) };
    match document.get("issuer").and_then(Value::as_str) {
        Some(named) if named == issuer => {}
        other => check.broken(
            "issuer_differs",
            format!("the document names the issuer {}, and the protected resource names {issuer}", quoted(other)),
            "Claude refuses the metadata (RFC 8414 §3.3), so that it cannot connect.",
            ISSUER,
        ),
    }
    check_capabilities(&mut check, &document);
    let mut endpoint = |name: &str| -> Option<String> {
        let Some(address) = document.get(name).and_then(Value::as_str) else {
            check.broken(
                "endpoint_missing",
                format!("{name} is missing"),
                "Claude would guess where it is, and guess wrong.",
                BY_TEMPLATE,
            );
            return None;
        };
        insecure(&mut check, target, name, address);
        if !address.starts_with(&format!("{base}/")) {
            check.broken(
                "endpoint_elsewhere",
                format!("{name} is {address}, which is not on {base}"),
                "Claude follows no step to another host, and nobody vouches for that one.",
                ISSUER,
            );
        }
        Some(address.to_owned())
    };
    let [authorize, token, register, revoke, jwks] =
        ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint", "jwks_uri"]
            .map(&mut endpoint);
    let by_description = document.get("client_id_metadata_document_supported") == Some(&Value::Bool(true));
    if check.is_well() {
        check.observed(format!("issuer {issuer} at both places"));
    }
    let at = |path: &str| format!("{base}{path}");
    // What a document leaves out, the other checks look for where it should be.
    let documents = Documents {
        authorize: authorize.unwrap_or_else(|| at("/oauth/authorize")),
        token: token.unwrap_or_else(|| at("/oauth/token")),
        register: register.unwrap_or_else(|| at("/oauth/register")),
        revoke: revoke.unwrap_or_else(|| at("/oauth/revoke")),
        jwks,
        issuer,
        scopes,
        by_description,
    };
    (check, Some(documents))
}

/// The keys that tokens are checked with; their ids.
pub(crate) async fn keys(probe: &Probe, documents: &Documents) -> (Check, Vec<String>) {
    const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
    let mut check = Check::new("keys");
    let Some(address) = &documents.jwks else {
        check.skip("the metadata names no jwks_uri");
        return (check, Vec::new());
    };
    let Some(document) = document(probe, &mut check, address).await else { return (check, Vec::new()) };
    let keys: Vec<_> = document.get("keys").and_then(Value::as_array).into_iter().flatten().collect();
    if keys.is_empty() {
        check.broken(
            "jwks_empty",
            format!("{address} has no key"),
            "Nobody can check a token, and no token can be issued.",
            "Look at the log of the function wellknown: does KMS give it the public half of the key in SIGNING_KEYS?",
        );
    }
    let mut ids = Vec::new();
    for key in keys {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let kid = text("kid").unwrap_or_default().to_owned();
        if let Some(leaked) = PRIVATE.into_iter().find(|name| key.get(*name).is_some()) {
            check.broken(
                "jwks_private",
                format!("the key {} shows its private member {leaked}", quoted(Some(&kid))),
                "Whoever reads the document can make tokens of anybody.",
                "Take the document down now, replace the key (docs/operating/rotate-the-signing-key.md), and end what was connected.",
            );
        }
        if kid.is_empty() || ids.contains(&kid) {
            check.broken(
                "jwks_kid",
                format!("the kid {} is missing or occurs twice", quoted(Some(&kid))),
                "Nobody can tell which key a token was signed with.",
                "Serve the document with the function wellknown, which names keys by RFC 7638.",
            );
        }
        if !matches!((text("kty"), text("alg")), (Some("RSA"), Some("RS256")) | (Some("EC"), Some("ES256"))) {
            check.broken(
                "jwks_alg",
                format!("the key {} is {} for {}", quoted(Some(&kid)), quoted(text("kty")), quoted(text("alg"))),
                "Tokens are signed with RS256 or ES256, so this key checks none.",
                "Set the parameter SigningKeySpec to RSA_2048 or ECC_NIST_P256 and replace the key (docs/operating/rotate-the-signing-key.md).",
            );
        }
        ids.push(kid);
    }
    check.observed(format!("{} public", ids.len()));
    (check, ids)
}

/// A document, if it can be used at all.
async fn document(probe: &Probe, check: &mut Check, url: &str) -> Option<Map<String, Value>> {
    let response = probe.get(check, url).await?;
    if response.is_redirect() {
        check.broken(
            "redirected",
            response.summary(),
            "Claude follows no redirect to another host, and holds what it finds to the address it asked for.",
            "Serve the document at this very address: no redirect to a slash, to www or from http.",
        );
        return None;
    }
    if response.status != 200 {
        check.broken(
            "document_missing",
            response.summary(),
            "Claude cannot find out where to go, or goes on with a guess, depending on which place it looks at first.",
            BY_TEMPLATE,
        );
        return None;
    }
    let Some(document) = response.object() else {
        check.broken(
            "not_json",
            response.summary(),
            "Claude cannot read it. A page in its stead is mostly that of a single-page application, which answers whatever it is asked.",
            "Lead /.well-known/ to the API before anything else can answer it.",
        );
        return None;
    };
    for (name, value) in &document {
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_str() == Some("");
        if empty && name != "keys" {
            check.broken(
                "empty_member",
                format!("{name} is {value} in {url}"),
                "Claude checks documents strictly and refuses this one.",
                "Leave the member out.",
            );
        }
    }
    caching(check, &response);
    Some(document)
}

fn caching(check: &mut Check, response: &ProbeResponse) {
    const LONGEST: u64 = 86_400;
    let control = response.header("cache-control").unwrap_or_default().to_ascii_lowercase();
    let age = control.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<u64>().ok());
    if age.is_some_and(|age| age > LONGEST) {
        check.weak(
            "cached_for_long",
            format!("{} may be kept: {control}", response.what),
            "After a change, clients go on with the old document until then.",
            "Have caches in front of the deployment leave Cache-Control as it is: five minutes.",
        );
    }
}

/// What is not there must not look as if it were: Claude tries other places too.
async fn unknown(probe: &Probe, check: &mut Check, base: &str) {
    let url = format!("{base}/.well-known/openid-configuration");
    if let Some(response) = probe.get(check, &url).await
        && response.status == 200
        && response.object().is_none()
    {
        check.broken(
            "page_for_unknown",
            response.summary(),
            "Claude looks here too, takes the page for a document and gives up.",
            "Answer 404 for what is not there.",
        );
    }
}

/// What Claude needs the authorization server to say of itself.
fn check_capabilities(check: &mut Check, document: &Map<String, Value>) {
    let has = |name: &str, value: &str| texts(document, name).iter().any(|known| known == value);
    for (name, value, code, breaks) in [
        ("code_challenge_methods_supported", "S256", "no_s256", "Claude refuses to connect without PKCE."),
        ("response_types_supported", "code", "no_code", "Claude refuses to connect without authorization codes."),
        (
            "token_endpoint_auth_methods_supported",
            "none",
            "no_public_clients",
            "Claude cannot connect as a public client, nor by its own metadata document.",
        ),
        (
            "grant_types_supported",
            "refresh_token",
            "no_refresh",
            "Claude asks for no refresh token, so that people are signed out every hour.",
        ),
        (
            "scopes_supported",
            "offline_access",
            "no_offline_access",
            "Claude does not ask to stay connected, so that people are signed out every hour.",
        ),
    ] {
        if !has(name, value) {
            check.broken(code, format!("{name} does not have {value}"), breaks, BY_TEMPLATE);
        }
    }
    for (name, code, breaks) in [
        (
            "client_id_metadata_document_supported",
            "no_client_documents",
            "Claude registers a client instead of coming with the address of its own description.",
        ),
        (
            "authorization_response_iss_parameter_supported",
            "no_iss",
            "Clients cannot tell answers of two authorization servers apart (RFC 9207).",
        ),
    ] {
        if document.get(name) != Some(&Value::Bool(true)) {
            check.weak(code, format!("{name} is not true"), breaks, BY_TEMPLATE);
        }
    }
}

/// In the clear, where the rest is not.
fn insecure(check: &mut Check, target: &Target, what: &str, address: &str) {
    let here = Url::parse(address).is_ok_and(|url| is_loopback(&url) && is_loopback(&target.parsed));
    if !address.starts_with("https://") && !here {
        check.broken(
            "insecure",
            format!("{what} is {address}"),
            "Claude refuses addresses without TLS: codes and tokens would travel in the clear.",
            ISSUER,
        );
    }
}

fn texts(document: &Map<String, Value>, name: &str) -> Vec<String> {
    let values = document.get(name).and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn list(names: &[&String]) -> String {
    let mut names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "nothing".to_owned(), |text| format!("“{text}”"))
}
