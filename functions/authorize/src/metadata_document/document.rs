//! What a client says of itself, and what of it counts here.

use serde::Serialize;
use serde_json::{Map, Value};
use shared::oauth::client::ClientId;
use shared::oauth::client_name;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::secret::Digest;

use super::document_error::DocumentError;
use super::strict_json;

/// A description that was checked. What else it may hold (logos, terms, keys) is neither kept nor fetched.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    pub(super) name: String,
    #[serde(serialize_with = "as_texts")]
    pub(super) redirect_uris: Vec<RedirectUri>,
    pub(super) refreshes: bool,
}

impl Document {
    /// Reads the document at the address that is `id` (§4.1). Members that mean nothing here are ignored (RFC 7591 §2).
    pub(super) fn read(id: &ClientId, body: &[u8]) -> Result<Self, DocumentError> {
        let members = strict_json::object(body)?;
        // Letter by letter: what is nearly our address describes somebody else.
        if text(&members, "client_id")? != Some(id.as_str()) {
            return Err(DocumentError::ClientId);
        }
        if holds_secret(&members) {
            return Err(DocumentError::Secret);
        }
        if text(&members, "token_endpoint_auth_method")?.is_some_and(|method| method != "none") {
            return Err(DocumentError::Authentication);
        }
        let name = text(&members, "client_name")?.ok_or(DocumentError::Member("client_name"))?;
        let name = client_name::parse(name).ok_or(DocumentError::Name)?;
        // One document serves many authorization servers: of what it offers, that counts which can be used here.
        let addresses = texts(&members, "redirect_uris")?.ok_or(DocumentError::Member("redirect_uris"))?;
        let mut redirect_uris: Vec<_> = addresses.into_iter().filter_map(RedirectUri::parse).collect();
        redirect_uris.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        redirect_uris.dedup();
        if redirect_uris.is_empty() {
            return Err(DocumentError::NoAddress);
        }
        let refreshes = match texts(&members, "grant_types")? {
            Some(types) if !types.contains(&"authorization_code") => return Err(DocumentError::GrantTypes),
            Some(types) => types.contains(&"refresh_token"),
            // As with registration: who does not say wants to stay connected.
            None => true,
        };
        if texts(&members, "response_types")?.is_some_and(|types| !types.contains(&"code")) {
            return Err(DocumentError::ResponseTypes);
        }
        Ok(Self { name, redirect_uris, refreshes })
    }

    /// Of what counts: the same in another order or with another logo is no change.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// §4.1: a shared secret in a public document is none. Nor is a private key, and whoever publishes one is not who it says.
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
