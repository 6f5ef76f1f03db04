//! The metadata document of a client: the members that are used here.

use serde::Serialize;
use serde_json::{Map, Value};
use shared::jwk::{JwkSet, JwkSetError, SigningAlgorithm, holds_private_key};
use shared::oauth::client::{ClientId, DocumentAuthentication};
use shared::oauth::client_keys::{ClientKeys, KeySource, RemoteJwks};
use shared::oauth::client_name;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::secret::Digest;
use shared::strict_json::{self, StrictJsonError};

use super::document_error::DocumentError;

/// The deepest nesting. A set of keys with certificates has five levels.
const MAX_DEPTH: u8 = 8;

/// A valid document. Its other members (logos, terms) are neither stored nor fetched.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    /// As it can be shown; a name is decoration, and refuses no document.
    pub(super) name: Option<String>,
    #[serde(serialize_with = "as_texts")]
    pub(super) redirect_uris: Vec<RedirectUri>,
    pub(super) refreshes: bool,
    #[serde(skip_serializing_if = "is_public", serialize_with = "as_members")]
    pub(super) authentication: DocumentAuthentication,
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
        let authentication = authentication(&members)?;
        let name = client_name::of_metadata(members.get("client_name"));
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
        Ok(Self { name, redirect_uris, refreshes, authentication })
    }

    /// Keeps what is known of the key set of `before`, if that is at the same address.
    pub(super) fn keep_fetched_keys(&mut self, before: &Self) {
        let before = before.authentication.keys().map(|keys| &keys.source);
        let now = self.authentication.keys_mut().map(|keys| &mut keys.source);
        if let (Some(KeySource::Remote(before)), Some(KeySource::Remote(now))) = (before, now)
            && before.uri == now.uri
        {
            now.clone_from(before);
        }
    }

    /// The digest of the members that are used: another order or another logo is no change.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

impl From<JwkSetError> for DocumentError {
    fn from(error: JwkSetError) -> Self {
        match error {
            JwkSetError::NotASet => Self::Member("jwks"),
            JwkSetError::PrivateKey => Self::Secret,
            JwkSetError::NoKey => Self::NoKey,
        }
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
    ["client_secret", "client_secret_expires_at"].iter().any(|name| members.contains_key(*name))
        || members.get("jwks").is_some_and(holds_private_key)
}

/// How the client proves itself. The method that it names is required. Where it names none, or none that a document can
/// have here, it may use any of its list (`token_endpoint_auth_methods_supported`) that we support. A document that says
/// nothing is a public client's: nobody gave it the secret that is the default (RFC 7591 §2).
fn authentication(members: &Map<String, Value>) -> Result<DocumentAuthentication, DocumentError> {
    const NONE: &str = "none";
    const KEY: &str = "private_key_jwt";
    let required = text(members, "token_endpoint_auth_method")?;
    let any = texts(members, "token_endpoint_auth_methods_supported")?;
    match (required, any) {
        (Some(NONE), _) | (None, None) => Ok(DocumentAuthentication::Public),
        (Some(KEY), _) => keys(members).map(DocumentAuthentication::PrivateKeyJwt),
        (_, Some(any)) => match (any.contains(&NONE), any.contains(&KEY)) {
            (true, true) => keys(members).map(DocumentAuthentication::Either),
            (true, false) => Ok(DocumentAuthentication::Public),
            (false, true) => keys(members).map(DocumentAuthentication::PrivateKeyJwt),
            (false, false) => Err(DocumentError::Authentication),
        },
        (Some(_), None) => Err(DocumentError::Authentication),
    }
}

/// The keys of a client that may prove itself by one. It has one set (RFC 7591 §2).
fn keys(members: &Map<String, Value>) -> Result<ClientKeys, DocumentError> {
    let algorithm = match text(members, "token_endpoint_auth_signing_alg")? {
        Some(name) => Some(SigningAlgorithm::parse(name).ok_or(DocumentError::SigningAlgorithm)?),
        None => None,
    };
    let source = match (members.get("jwks"), text(members, "jwks_uri")?) {
        (Some(set), None) => KeySource::Inline(JwkSet::parse(set)?),
        (None, Some(uri)) => KeySource::Remote(RemoteJwks::new(uri.to_owned())),
        (None, None) | (Some(_), Some(_)) => return Err(DocumentError::KeySource),
    };
    Ok(ClientKeys { source, algorithm })
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

/// The digest of a public client's document is the same as before there were others.
const fn is_public(authentication: &DocumentAuthentication) -> bool {
    matches!(authentication, DocumentAuthentication::Public)
}

/// What the document says of it, and nothing of what was fetched since.
fn as_members<S: serde::Serializer>(authentication: &DocumentAuthentication, serializer: S) -> Result<S::Ok, S::Error> {
    let is_required = matches!(authentication, DocumentAuthentication::PrivateKeyJwt(_));
    let keys = authentication.keys();
    let source = keys.map(|keys| match &keys.source {
        KeySource::Inline(set) => serde_json::to_value(set).unwrap_or_default(),
        KeySource::Remote(remote) => Value::from(remote.uri.as_str()),
    });
    let algorithm = keys.and_then(|keys| keys.algorithm).map(SigningAlgorithm::as_str);
    (is_required, source, algorithm).serialize(serializer)
}
