//! The issuer identifier of this authorization server.

use std::fmt;

use url::Url;

/// The issuer identifier (RFC 8414 §2): one configured origin, compared byte for byte by clients, never derived from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// `https://host[:port]`, or `http` for a loopback host; no path, no trailing slash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let loopback = matches!(url.host_str()?, "localhost" | "127.0.0.1" | "[::1]");
        let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        // An origin is written without a slash at its end and without a default port. Any other text is not
        // an origin.
        (secure && url.origin().ascii_serialization() == text).then(|| Self(text.to_owned()))
    }

    /// As clients compare it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of `path` (which starts with a slash) on our origin.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether browsers reach us over plain HTTP. Only a loopback host may be reached so.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        self.0.starts_with("http:")
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
