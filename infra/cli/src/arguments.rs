//! Values as an operator writes them, each read once.

use shared::jwk::JwkSet;
use shared::oauth::api_key::{ApiKeyId, ApiKeyName};
use shared::oauth::client::ClientId;
use shared::oauth::client_name;
use shared::oauth::grant_id::GrantId;
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::TenantId;
use shared::oauth::vouched_hosts::is_loopback;

pub(crate) fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).ok_or_else(|| "a tenant's id has 1 to 64 of `a-z 0-9 _ -`".to_owned())
}

/// What people are told that a tenant or a role is.
pub(crate) fn title(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("1 to 100 characters, on one line".to_owned()) }
}

/// As the workspace file names things.
pub(crate) fn role(text: &str) -> Result<String, String> {
    let name = shared::store::workspace::Name::parse(text).map(|name| name.as_str().to_owned());
    name.ok_or_else(|| "a role's name has 1 to 64 of `a-z 0-9 _ -`".to_owned())
}

pub(crate) fn permission(text: &str) -> Result<Scope, String> {
    let known = || Scopes::ALL_PERMISSIONS.iter();
    let rule = || known().map(Scope::as_str).collect::<Vec<_>>().join(", ");
    known().find(|scope| scope.as_str() == text).ok_or_else(|| format!("the permissions are {}", rule()))
}

pub(crate) fn grant(text: &str) -> Result<GrantId, String> {
    GrantId::parse(text).ok_or_else(|| "a grant's id has 22 characters; `amble grant list` tells it".to_owned())
}

pub(crate) fn key(text: &str) -> Result<ApiKeyId, String> {
    ApiKeyId::parse(text).ok_or_else(|| "a key's id has 16 characters; `amble key list` tells it".to_owned())
}

pub(crate) fn key_name(text: &str) -> Result<ApiKeyName, String> {
    ApiKeyName::parse(text).ok_or_else(|| "a key's name has 1 to 64 characters, on one line".to_owned())
}

pub(crate) fn chosen_client(text: &str) -> Result<ClientId, String> {
    let rule = "1 to 64 letters, digits, `.`, `_` and `-`, not beginning with c_, as those of clients that register themselves do";
    ClientId::parse_chosen(text).ok_or_else(|| rule.to_owned())
}

pub(crate) fn client(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).ok_or_else(|| "an id has 1 to 256 characters and no spaces".to_owned())
}

/// A host to be blocked, with all below it.
pub(crate) fn blocked_host(text: &str) -> Result<String, String> {
    let host =
        url::Host::parse(text.trim_end_matches('.')).map_err(|_| "a host is written like evil.example".to_owned())?;
    let host = host.to_string();
    if is_loopback(&host) {
        return Err(
            "on loopback anybody's programs are answered: it cannot be blocked; block a client by its id".to_owned()
        );
    }
    if host.contains(['.', ':']) {
        Ok(host)
    } else {
        Err("a host of one word would block a whole top-level domain".to_owned())
    }
}

pub(crate) fn client_name(text: &str) -> Result<String, String> {
    let rule = "a name has 1 to 100 characters, none of them a control character or an invisible one";
    client_name::parse(text).ok_or_else(|| rule.to_owned())
}

pub(crate) fn redirect_uri(text: &str) -> Result<RedirectUri, String> {
    RedirectUri::parse(text).map(|uri| uri.without_loopback_port()).map_err(|error| error.sentence().to_owned())
}

/// The keys in a file. A private key in it is refused: it belongs to the client alone.
pub(crate) fn jwks(path: &str) -> Result<JwkSet, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    let set = serde_json::from_str(&text).map_err(|error| format!("{path} is not JSON: {error}"))?;
    JwkSet::parse(&set).map_err(|error| format!("{path} cannot be used: {error}"))
}

/// By the rule for the address of a metadata document.
pub(crate) fn jwks_uri(text: &str) -> Result<String, String> {
    let fits = ClientId::parse(text).is_some_and(|address| address.metadata_document_host().is_some());
    let rule = || "https, or http on a loopback host, with a path, without fragment or user".to_owned();
    if fits { Ok(text.to_owned()) } else { Err(rule()) }
}

/// A span of time: `90s`, `15m`, `12h`, `30d`.
pub(crate) fn span(text: &str) -> Result<std::time::Duration, String> {
    let rule = || "a span of time is a number and s, m, h or d: 15m, 12h, 30d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(rule)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(rule()),
    };
    let number: u32 = number.parse().map_err(|_| rule())?;
    if number == 0 { Err(rule()) } else { Ok(std::time::Duration::from_secs(u64::from(number) * seconds)) }
}

/// How long a key works.
pub(crate) fn key_lifetime(text: &str) -> Result<KeyLifetime, String> {
    let rule = || format!("a key works for at most {} days, or until it is revoked", KeyLifetime::MAX_DAYS);
    KeyLifetime::of_span(span(text)?).ok_or_else(rule)
}

/// How long to wait: a span of time, or 0s.
pub(crate) fn delay(text: &str) -> Result<std::time::Duration, String> {
    if text == "0s" { Ok(std::time::Duration::ZERO) } else { span(text) }
}

/// `NAME=VALUE`.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("written NAME=VALUE")?;
    if name.is_empty() { Err("written NAME=VALUE".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}
