//! Clients: who asks.

use std::fmt;

use crate::clock::Timestamp;
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::secret::Digest;

/// A client's id, as clients write it: 1 to 256 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// From the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        fits.then(|| Self(text.to_owned()))
    }

    /// As an operator may choose it: 1 to 64 letters, digits, `.`, `_` and `-`, and nothing that looks like the id of a client that
    /// registered itself (`c_…`). That of a metadata document has a colon.
    #[must_use]
    pub fn chosen(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with("c_");
        fits.then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
    /// Where it may be answered.
    pub redirect_uris: Vec<RedirectUri>,
    /// Whether it said that it can use refresh tokens.
    pub refreshes: bool,
    /// How it came to us.
    pub kind: Kind,
}

/// How a client came to us.
#[derive(Clone, Debug)]
pub enum Kind {
    /// It registered itself (RFC 7591): public, and forgotten at `expires` unless used.
    Registered {
        /// When it is forgotten.
        expires: Timestamp,
    },
    /// An operator registered it, with one or several live secrets.
    Confidential {
        /// What is kept of each secret, the oldest first.
        secrets: Vec<LiveSecret>,
    },
}

/// A secret that a client may show.
#[derive(Clone, Copy, Debug)]
pub struct LiveSecret {
    /// What is kept of it.
    pub digest: Digest,
    /// When it was made: the older of two is the one to take away.
    pub made: Timestamp,
}

impl Client {
    /// Whether it still counts at `now`: the table may keep what has expired for days.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        match &self.kind {
            Kind::Registered { expires } => now < *expires,
            Kind::Confidential { .. } => true,
        }
    }

    /// The proof that whoever holds `credentials` is this client (OAuth 2.1 §3.2.1). A public client proves nothing but its
    /// name; PKCE and the binding of grants to clients carry the weight.
    ///
    /// # Errors
    /// When a confidential client does not show one of its secrets, or a public one shows any.
    pub fn authenticate(self, credentials: &Credentials) -> Result<Authenticated, Unauthenticated> {
        let proven = match (&self.kind, &credentials.secret) {
            (Kind::Registered { .. }, None) => true,
            (Kind::Confidential { secrets }, Some(shown)) => {
                // Every secret is compared, so that the time tells nothing.
                secrets.iter().fold(false, |found, secret| found | secret.digest.matches(shown))
            }
            (Kind::Registered { .. }, Some(_)) | (Kind::Confidential { .. }, None) => false,
        };
        if proven && credentials.id == self.id { Ok(Authenticated(self)) } else { Err(Unauthenticated) }
    }
}

/// What a client showed of itself: its id and, if it has one, its secret, of which only the digest is kept.
#[derive(Debug)]
pub struct Credentials {
    /// The id.
    pub id: ClientId,
    /// The digest of the secret.
    pub secret: Option<Digest>,
    /// Whether they came in the `Authorization` header: a refusal must then name the scheme (RFC 6749 §5.2).
    pub basic: bool,
}

/// The credentials are not this client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthenticated;

/// A client that has shown who it is. Only [`Client::authenticate`] makes one.
#[derive(Debug)]
pub struct Authenticated(Client);

impl Authenticated {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &ClientId {
        &self.0.id
    }
}
