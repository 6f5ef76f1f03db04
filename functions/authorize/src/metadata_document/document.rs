//! The metadata document of a client: the members that are used here.

use serde::Serialize;
use serde_json::{Map, Value};
use shared::oauth::client::ClientId;
use shared::oauth::client_name;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::secret::Digest;
use shared::strict_json::{self, StrictJsonError};

use super::document_error::DocumentError;

/// The deepest nesting. A set of keys with certificates has five levels.
const MAX_DEPTH: u8 = 8;

/// A valid document. Its other members (logos, terms, keys) are neither stored nor fetched.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    /// As it can be shown; a name is decoration, and refuses no document.
    pub(super) name: Option<String>,
    #[serde(serialize_with = "as_texts")]
    pub(super) redirect_uris: Vec<RedirectUri>,
    pub(super) refreshes: bool,
}

impl Document {
    /// Reads the document at the address `id` (§4.1). Unknown members are ignored (RFC 7591 §2).
    pub(super) fn read(id: &ClientId, body: &[u8]) -> Result<Self, DocumentError> {
        let Value::Object(members) = strict_json::value(body, MAX_DEPTH)? else { return Err(DocumentError::NotJson) };
        // The comparison is exact: a similar address is another client.
        if text(&members, "client_id")? != Some(id.as_str()) {
            return Err(DocumentError::ClientId);
        }
        if holds_secret(&members) {
            return Err(DocumentError::Secret);
        }
        if text(&members, "token_endpoint_auth_method")?.is_some_and(|method| method != "none") {
            return Err(DocumentError::Authentication);
        }
        let name = members.get("client_name").and_then(Value::as_str).and_then(client_name::clean);
        // One document serves many authorization servers. Only the redirect URIs that are allowed here count.
        let addresses = texts(&members, "redirect_uris")?.ok_or(DocumentError::Member("redirect_uris"))?;
        let mut redirect_uris = RedirectUri::usable(addresses)?;
        redirect_uris.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        redirect_uris.dedup();
        if redirect_uris.is_empty() {
            return Err(DocumentError::NoAddress);
        }
        let refreshes = match texts(&members, "grant_types")? {
            Some(types) if !types.contains(&"authorization_code") => return Err(DocumentError::GrantTypes),
            Some(types) => types.contains(&"refresh_token"),
            // As with registration: a client that does not say may refresh.
            None => true,
        };
        if texts(&members, "response_types")?.is_some_and(|types| !types.contains(&"code")) {
            return Err(DocumentError::ResponseTypes);
        }
        Ok(Self { name, redirect_uris, refreshes })
    }

    /// The digest of the members that are used: another order or another logo is no change.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

impl From<StrictJsonError> for DocumentError {
    fn from(error: StrictJsonError) -> Self {
        match error {
            StrictJsonError::NotUtf8 => Self::NotUtf8,
            StrictJsonError::NotJson => Self::NotJson,
            StrictJsonError::TooDeep => Self::TooDeep,
            StrictJsonError::DuplicateMember => Self::DuplicateMember,
        }
    }
}

/// §4.1: a public document must not contain a shared secret. A published private key proves no identity either.
fn holds_secret(members: &Map<String, Value>) -> bool {
    // The private members of RSA, elliptic-curve and symmetric keys (RFC 7518 §6).
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let keys = members.get("jwks").and_then(|set| set.get("keys")).and_then(Value::as_array);
    ["client_secret", "client_secret_expires_at"].iter().any(|name| members.contains_key(*name))
        || keys.is_some_and(|keys| keys.iter().any(|key| PRIVATE.iter().any(|name| key.get(name).is_some())))
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, DocumentError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(DocumentError::Member(name)),
    }
}

fn texts<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<Vec<&'a str>>, DocumentError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Array(all)) => {
            all.iter().map(Value::as_str).collect::<Option<_>>().map(Some).ok_or(DocumentError::Member(name))
        }
        Some(_) => Err(DocumentError::Member(name)),
    }
}

fn as_texts<S: serde::Serializer>(addresses: &[RedirectUri], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(addresses.iter().map(RedirectUri::as_str))
}
