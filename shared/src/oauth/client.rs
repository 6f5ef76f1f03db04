//! Clients, and how they authenticate.

use std::fmt;

use serde::Serialize;
use thiserror::Error;
use url::{Host, Url};

use crate::clock::Timestamp;
use crate::oauth::client_assertion::{AssertionAudiences, AssertionError, ClientAssertion, VerifiedAssertion};
use crate::oauth::client_keys::{ClientKeys, KeySource, RemoteJwks};
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::secret::Digest;

/// A client's id, as clients write it: 1 to 256 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ClientId(String);

impl ClientId {
    /// From the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        fits.then(|| Self(text.to_owned()))
    }

    /// As an operator may choose it: 1 to 64 letters, digits, `.`, `_` and `-`. It must not begin like the id
    /// of a client that registered itself (`c_…`). The id of a metadata document has a colon.
    #[must_use]
    pub fn parse_chosen(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with("c_");
        fits.then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is written as a URL. The ids that we give never are.
    #[must_use]
    pub fn is_url(&self) -> bool {
        ["https://", "http://"].iter().any(|scheme| self.0.starts_with(scheme))
    }

    /// The host of the metadata document that this is the address of, if it can be one
    /// (draft-ietf-oauth-client-id-metadata-document-01 §3): https, with a path, without fragment, user or dot segments, without a
    /// query (the draft discourages it, and each query would be another address of the same document), and written as the URL
    /// standard writes it, so that what is compared, fetched and shown is the same. `http` on loopback passes here, for development;
    /// the outbound guard refuses it unless the operator vouches for it. So it does other ports.
    #[must_use]
    pub fn metadata_document_host(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        let loopback = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let host = url.host_str()?;
        let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        let plain =
            url.fragment().is_none() && url.query().is_none() && url.username().is_empty() && url.password().is_none();
        // `host.` and `host` are the same host, but compare as two.
        let right = secure && plain && url.path() != "/" && url.as_str() == self.0 && !host.ends_with('.');
        right.then(|| host.to_owned())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known about a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// What it calls itself. Unverified: anyone may register any name.
    pub name: Option<String>,
    /// The redirect URIs that it may use.
    pub redirect_uris: Vec<RedirectUri>,
    /// Whether it said that it can use refresh tokens.
    pub refreshes: bool,
    /// How it was registered.
    pub kind: ClientKind,
}

/// How a client was registered.
#[derive(Clone, Debug)]
pub enum ClientKind {
    /// It registered itself (RFC 7591): public, and forgotten at `expires` unless used.
    Registered {
        /// When it is forgotten.
        expires: Timestamp,
    },
    /// An operator registered it, with one or several live secrets.
    Confidential {
        /// What is kept of each secret, the oldest first.
        secrets: Vec<ClientSecretDigest>,
    },
    /// An operator registered it, with its keys.
    PrivateKeyJwt(ClientKeys),
    /// It describes itself in a document at the address that is its id. Nobody gave it a secret.
    Document(DocumentFetch, DocumentAuthentication),
    /// An operator blocked it: it can neither connect nor authenticate.
    Blocked {
        /// Since when.
        since: Timestamp,
    },
}

/// How a client with a metadata document proves itself, by what the document says.
#[derive(Clone, Debug)]
pub enum DocumentAuthentication {
    /// By nothing (`none`).
    Public,
    /// By a key (`private_key_jwt`), and by nothing less.
    PrivateKeyJwt(ClientKeys),
    /// By either, as it likes at each request.
    Either(ClientKeys),
}

impl DocumentAuthentication {
    /// Its keys, if it may use any.
    #[must_use]
    pub const fn keys(&self) -> Option<&ClientKeys> {
        match self {
            Self::Public => None,
            Self::PrivateKeyJwt(keys) | Self::Either(keys) => Some(keys),
        }
    }

    /// To record what is known of its key set.
    pub const fn keys_mut(&mut self) -> Option<&mut ClientKeys> {
        match self {
            Self::Public => None,
            Self::PrivateKeyJwt(keys) | Self::Either(keys) => Some(keys),
        }
    }
}

/// The last fetch of the metadata document that describes a client.
#[derive(Clone, Copy, Debug)]
pub struct DocumentFetch {
    /// When it was fetched.
    pub fetched: Timestamp,
    /// Until when the stored document is used without fetching it again.
    pub fresh: Timestamp,
    /// Digest of what is stored of the document. A document that says the same in another form has not
    /// changed.
    pub digest: Digest,
    /// When the client is deleted, unless a grant needs it.
    pub expires: Timestamp,
}

/// A secret that a client may show.
#[derive(Clone, Copy, Debug)]
pub struct ClientSecretDigest {
    /// Its digest.
    pub digest: Digest,
    /// When it was created. An operator removes the older of two.
    pub made: Timestamp,
}

impl Client {
    /// Whether an operator added and named it.
    #[must_use]
    pub const fn is_added_by_operator(&self) -> bool {
        matches!(self.kind, ClientKind::Confidential { .. } | ClientKind::PrivateKeyJwt(_))
    }

    /// Whether it still counts at `now`: the table may keep what has expired for days.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        match &self.kind {
            ClientKind::Registered { expires } | ClientKind::Document(DocumentFetch { expires, .. }, _) => {
                now < *expires
            }
            ClientKind::Confidential { .. } | ClientKind::PrivateKeyJwt(_) | ClientKind::Blocked { .. } => true,
        }
    }

    /// The keys that it may prove itself by.
    #[must_use]
    pub const fn keys(&self) -> Option<&ClientKeys> {
        match &self.kind {
            ClientKind::PrivateKeyJwt(keys) => Some(keys),
            ClientKind::Document(_, authentication) => authentication.keys(),
            ClientKind::Registered { .. } | ClientKind::Confidential { .. } | ClientKind::Blocked { .. } => None,
        }
    }

    /// Its key set, if that is at an address.
    #[must_use]
    pub fn remote_keys(&self) -> Option<&RemoteJwks> {
        match &self.keys()?.source {
            KeySource::Remote(remote) => Some(remote),
            KeySource::Inline(_) => None,
        }
    }

    /// The same, to record what is known of it.
    pub fn remote_keys_mut(&mut self) -> Option<&mut RemoteJwks> {
        let keys = match &mut self.kind {
            ClientKind::PrivateKeyJwt(keys) => keys,
            ClientKind::Document(_, authentication) => authentication.keys_mut()?,
            ClientKind::Registered { .. } | ClientKind::Confidential { .. } | ClientKind::Blocked { .. } => {
                return None;
            }
        };
        match &mut keys.source {
            KeySource::Remote(remote) => Some(remote),
            KeySource::Inline(_) => None,
        }
    }

    /// Authenticates the client by `credentials` (OAuth 2.1 §3.2.1). A public client only names itself: PKCE
    /// and the binding of grants to clients protect it.
    ///
    /// # Errors
    /// When a client does not prove itself as it must: a confidential one by one of its secrets, one with keys by an
    /// assertion for `audiences`, a public one by nothing; always for one that is blocked.
    pub fn authenticate(
        self,
        credentials: &ClientCredentials,
        audiences: &AssertionAudiences,
        now: Timestamp,
    ) -> Result<AuthenticatedClient, CredentialsError> {
        use DocumentAuthentication::{Either, PrivateKeyJwt, Public};

        let proof = match (&self.kind, &credentials.proof) {
            (ClientKind::Registered { .. } | ClientKind::Document(_, Public | Either(_)), PresentedProof::None) => {
                ClientProof::None
            }
            (ClientKind::Confidential { secrets }, PresentedProof::Secret(presented)) => {
                // Every secret is compared, so that the time does not show which one matched.
                if !secrets.iter().fold(false, |found, secret| found | secret.digest.matches(presented)) {
                    return Err(CredentialsError::Secret);
                }
                ClientProof::Secret
            }
            (
                ClientKind::PrivateKeyJwt(keys) | ClientKind::Document(_, PrivateKeyJwt(keys) | Either(keys)),
                PresentedProof::Assertion(assertion),
            ) => ClientProof::Assertion(assertion.verify(self.id.as_str(), keys, audiences, now)?),
            (
                ClientKind::Registered { .. }
                | ClientKind::Confidential { .. }
                | ClientKind::PrivateKeyJwt(_)
                | ClientKind::Document(..)
                | ClientKind::Blocked { .. },
                _,
            ) => return Err(CredentialsError::Method),
        };
        if credentials.id != self.id {
            return Err(CredentialsError::Method);
        }
        Ok(AuthenticatedClient { client: Box::new(self), proof })
    }
}

/// What a client presents: its id and what proves it.
#[derive(Debug)]
pub struct ClientCredentials {
    /// The id.
    pub id: ClientId,
    /// What is to prove that it is that client.
    pub proof: PresentedProof,
    /// Whether they came in the `Authorization` header: a refusal must then name the scheme (RFC 6749 §5.2).
    pub basic: bool,
}

/// One kind of proof: a request with two is refused before (RFC 6749 §2.3).
#[derive(Debug)]
pub enum PresentedProof {
    /// Nothing.
    None,
    /// The digest of a secret.
    Secret(Digest),
    /// A client assertion, not verified.
    Assertion(Box<ClientAssertion>),
}

/// The credentials do not prove the client.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CredentialsError {
    /// It must prove itself in another way, or not at all.
    #[error("the client must prove itself in another way")]
    Method,
    /// Not one of its secrets.
    #[error("the client secret is wrong")]
    Secret,
    /// Its assertion.
    #[error(transparent)]
    Assertion(#[from] AssertionError),
}

/// How a client proves itself. A grant remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthenticationMethod {
    /// By nothing: a public client.
    None,
    /// By a secret, in the body or in the header.
    ClientSecret,
    /// By a key (`private_key_jwt`).
    PrivateKeyJwt,
}

impl ClientAuthenticationMethod {
    /// As the table and the audit write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecret => "client_secret",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// As the table holds it.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::None, Self::ClientSecret, Self::PrivateKeyJwt].into_iter().find(|method| method.as_str() == text)
    }

    /// Whether it proves as much as `other`. A secret and a key prove the same.
    #[must_use]
    pub fn suffices_for(self, other: Self) -> bool {
        self != Self::None || other == Self::None
    }
}

/// What proved a client.
#[derive(Clone, Debug)]
pub enum ClientProof {
    /// Nothing.
    None,
    /// One of its secrets.
    Secret,
    /// An assertion, which may be used once.
    Assertion(VerifiedAssertion),
}

impl ClientProof {
    /// The kind of it.
    #[must_use]
    pub const fn method(&self) -> ClientAuthenticationMethod {
        match self {
            Self::None => ClientAuthenticationMethod::None,
            Self::Secret => ClientAuthenticationMethod::ClientSecret,
            Self::Assertion(_) => ClientAuthenticationMethod::PrivateKeyJwt,
        }
    }

    /// The audience of the assertion, if it is one, for the audit.
    #[must_use]
    pub fn audience(&self) -> Option<&'static str> {
        self.assertion().map(|assertion| assertion.audience.as_str())
    }

    /// The assertion, if it is one.
    #[must_use]
    pub const fn assertion(&self) -> Option<&VerifiedAssertion> {
        match self {
            Self::Assertion(assertion) => Some(assertion),
            Self::None | Self::Secret => None,
        }
    }
}

/// A client that is authenticated. Only [`Client::authenticate`] makes one.
#[derive(Debug)]
pub struct AuthenticatedClient {
    // On the heap: the requests that hold one are held whole while they wait.
    client: Box<Client>,
    proof: ClientProof,
}

impl AuthenticatedClient {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.client.id
    }

    /// What is known about it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What proved it.
    #[must_use]
    pub const fn proof(&self) -> &ClientProof {
        &self.proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AS-70: what can be the address of a metadata document.
    #[test]
    fn metadata_document_urls_are_recognised() {
        for (id, host) in [
            ("https://claude.ai/oauth/mcp-oauth-client-metadata", Some("claude.ai")),
            ("https://app.example/client.json", Some("app.example")),
            ("https://app.example:8443/client", Some("app.example")),
            ("https://xn--hst-sna.example/client", Some("xn--hst-sna.example")),
            ("https://a.example/b//c", Some("a.example")),
            ("http://127.0.0.1:9/client", Some("127.0.0.1")),
            ("http://localhost/client", Some("localhost")),
            ("http://[::1]:9/client", Some("[::1]")),
            ("http://app.example/client", None),
            ("https://app.example", None),
            ("https://app.example/", None),
            ("https://app.example/?client", None),
            ("https://app.example/client.json?v=1", None),
            ("https://app.example/client.json?", None),
            ("https://app.example/a/../client", None),
            ("https://app.example/./client", None),
            ("https://app.example/%2e%2e/client", None),
            ("https://app.example/client#", None),
            ("https://app.example/client#a", None),
            ("https://user@app.example/client", None),
            ("https://user:password@app.example/client", None),
            ("https://@app.example/client", None),
            ("https://APP.example/client", None),
            ("HTTPS://app.example/client", None),
            ("https://app.example:443/client", None),
            ("https://app.example./client", None),
            ("https:/app.example/client", None),
            ("https:app.example/client", None),
            ("https://app.example\\client", None),
            ("https://0x7f.1/client", None),
            ("https:///client", None),
            ("ftp://app.example/client", None),
            ("data:application/json,{}", None),
            ("c_AAAA", None),
            ("acme-cowork", None),
        ] {
            assert_eq!(ClientId::parse(id).unwrap().metadata_document_host().as_deref(), host, "{id}");
        }
    }
}
