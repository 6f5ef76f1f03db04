//! Clients, and how they authenticate.

use std::fmt;

use serde::Serialize;
use url::{Host, Url};

use crate::clock::Timestamp;
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
    /// query (the draft discourages it, and each query would be another address of the same document), and written as the URL standard writes it, so that what is compared, fetched and shown is the same. `http` on loopback passes
    /// here, for development; the outbound guard refuses it unless the operator vouches for it. So it does other ports.
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
    /// It describes itself in a document at the address that is its id: public, as nobody gave it a secret.
    Document(DocumentFetch),
    /// An operator blocked it: it can neither connect nor authenticate.
    Blocked {
        /// Since when.
        since: Timestamp,
    },
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
    /// Whether it still counts at `now`: the table may keep what has expired for days.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        match &self.kind {
            ClientKind::Registered { expires } | ClientKind::Document(DocumentFetch { expires, .. }) => now < *expires,
            ClientKind::Confidential { .. } | ClientKind::Blocked { .. } => true,
        }
    }

    /// Authenticates the client by `credentials` (OAuth 2.1 §3.2.1). A public client only names itself: PKCE
    /// and the binding of grants to clients protect it.
    ///
    /// # Errors
    /// When a confidential client does not show one of its secrets, or a public one shows any; always for one that is blocked.
    pub fn authenticate(
        self,
        credentials: &ClientCredentials,
    ) -> Result<AuthenticatedClient, ClientAuthenticationError> {
        let authenticated = match (&self.kind, &credentials.secret) {
            (ClientKind::Registered { .. } | ClientKind::Document(_), None) => true,
            (ClientKind::Confidential { secrets }, Some(presented)) => {
                // Every secret is compared, so that the time does not show which one matched.
                secrets.iter().fold(false, |found, secret| found | secret.digest.matches(presented))
            }
            (ClientKind::Registered { .. } | ClientKind::Document(_), Some(_))
            | (ClientKind::Confidential { .. }, None)
            | (ClientKind::Blocked { .. }, _) => false,
        };
        if authenticated && credentials.id == self.id {
            Ok(AuthenticatedClient(self))
        } else {
            Err(ClientAuthenticationError)
        }
    }
}

/// What a client presents: its id and, if it has one, the digest of its secret.
#[derive(Debug)]
pub struct ClientCredentials {
    /// The id.
    pub id: ClientId,
    /// The digest of the secret.
    pub secret: Option<Digest>,
    /// Whether they came in the `Authorization` header: a refusal must then name the scheme (RFC 6749 §5.2).
    pub basic: bool,
}

/// The credentials are not this client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAuthenticationError;

/// A client that is authenticated. Only [`Client::authenticate`] makes one.
#[derive(Debug)]
pub struct AuthenticatedClient(Client);

impl AuthenticatedClient {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &ClientId {
        &self.0.id
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
