//! Redirect addresses: https, or http on a loopback host.

use url::{Host, Url};

/// A redirect address as it was registered or requested, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    loopback: bool,
}

impl RedirectUri {
    /// Longer ones are refused.
    pub const MAX_LENGTH: usize = 1024;

    /// An absolute URI without fragment or user, https or loopback http (OAuth 2.1 §2.3; MCP allows no other scheme).
    ///
    /// An address that the URL standard would rewrite is refused. So the address that is compared, the one
    /// that is shown and the one that the browser opens are the same. So is one whose query has a parameter of an
    /// authorization response: a client that reads the first of two `code` would take the one that was registered.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_stored(text).filter(|parsed| !parsed.has_response_parameter())
    }

    /// From the table, where there may be addresses that an earlier version took. Nobody is answered there by it: it is only read.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_LENGTH || !text.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let loopback = is_loopback(&url);
        let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        // The URL standard adds a slash to `https://host`, which does not change its meaning. It is the one
        // form accepted although it is rewritten.
        let unchanged = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        (secure && plain && unchanged).then(|| Self { text: text.to_owned(), loopback })
    }

    /// Whether its query has a parameter of an authorization response, however it is encoded (OAuth 2.1 §4.1.2; RFC 9207; `response`
    /// is JARM's). A semicolon separates parameters for some readers, and brackets make a list of them.
    fn has_response_parameter(&self) -> bool {
        const RESPONSE: [&str; 7] = ["code", "state", "iss", "error", "error_description", "error_uri", "response"];
        let (_, query) = self.text.split_once('?').unwrap_or_default();
        query.split(['&', ';']).flat_map(|pair| url::form_urlencoded::parse(pair.as_bytes())).any(|(name, _)| {
            let name = name.split('[').next().unwrap_or_default().trim();
            RESPONSE.iter().any(|response| name.eq_ignore_ascii_case(response))
        })
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it leads to the person's own machine.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The host it leads to, for the consent page.
    #[must_use]
    pub fn host(&self) -> String {
        let url = Url::parse(&self.text).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether a client that registered `self` may be answered at `requested`: exactly the same, or on loopback the same but for
    /// the port (RFC 8252 §7.3; `localhost` too, as Claude Code uses it).
    #[must_use]
    pub fn matches(&self, requested: &Self) -> bool {
        self.text == requested.text
            || (self.loopback && requested.loopback && without_port(&self.text) == without_port(&requested.text))
    }

    /// This address as it is stored: without the port on loopback. A program that listens on another port at
    /// each start would otherwise register as another client each time.
    #[must_use]
    pub fn without_loopback_port(&self) -> Self {
        let portless = without_port(&self.text).filter(|_| self.loopback);
        Self { text: portless.unwrap_or_else(|| self.text.clone()), loopback: self.loopback }
    }

    /// This address with parameters added to its query. The existing query is kept (OAuth 2.1 §2.3).
    #[must_use]
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut target = self.text.clone();
        for (name, value) in parameters {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish());
        }
        target
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

fn without_port(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    url.set_port(None).ok()?;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_validated() {
        for (text, right) in [
            ("https://claude.ai/api/mcp/auth_callback", true),
            ("https://host", true),
            ("https://host/?a=b", true),
            ("http://localhost/callback", true),
            ("http://localhost:33418/callback", true),
            ("http://127.0.0.1:9/cb", true),
            ("http://[::1]:9/cb", true),
            ("http://example.com/cb", false),
            ("http://127.0.0.2/cb", false),
            ("http://localhost.example.com/cb", false),
            ("cursor://callback", false),
            ("javascript:alert(1)", false),
            ("https://user@host/", false),
            ("https://host/#fragment", false),
            ("https://host/#", false),
            ("https://HOST/", false),
            ("https://host/a/../b", false),
            ("https://host\\@evil.example/", false),
            ("https://host:443/", false),
            ("//host/", false),
            ("https://höst/", false),
            (" https://host/", false),
            ("https://host/\n", false),
            ("https://host/?a=code&encode=1&states=2", true),
            ("https://host/code?a=b", true),
            ("https://host/?code=1", false),
            ("https://host/?a=b&state", false),
            ("https://host/?a=b;iss=c", false),
            ("https://host/?%63ode=1", false),
            ("https://host/?a=b?error=c", true),
            ("https://host/??error=c", true),
            ("https://host/?Error_Description=c", false),
            ("https://host/?code%5B%5D=c", false),
            ("http://localhost/cb?error_uri=c", false),
            ("https://host/?response=c", false),
        ] {
            assert_eq!(RedirectUri::parse(text).is_some(), right, "{text}");
        }
    }

    #[test]
    fn loopback_redirect_uris_are_stored_without_port() {
        for (requested, kept) in [
            ("http://localhost:33418/callback?a=b", "http://localhost/callback?a=b"),
            ("http://127.0.0.1:9", "http://127.0.0.1/"),
            ("http://[::1]:9/cb", "http://[::1]/cb"),
            ("http://localhost/callback", "http://localhost/callback"),
            ("https://host:8443/cb", "https://host:8443/cb"),
            ("https://localhost:8443/cb", "https://localhost/cb"),
        ] {
            let (requested, kept) = (RedirectUri::parse(requested).unwrap(), RedirectUri::parse(kept).unwrap());
            let any = requested.without_loopback_port();
            assert!(any.matches(&requested) && kept.matches(&any), "{requested:?} {any:?}");
            assert_eq!(any, kept);
        }
    }

    /// OAuth 2.1 §4.1.1: exact, and on loopback any port.
    #[test]
    fn registered_redirect_uris_match_exactly_except_loopback_ports() {
        for (registered, requested, admitted) in [
            ("https://a.example/cb", "https://a.example/cb", true),
            ("https://a.example/cb", "https://a.example/cb/", false),
            ("https://a.example/cb", "https://a.example/cb?x=1", false),
            ("https://a.example/cb", "https://a.example:8443/cb", false),
            ("http://localhost/callback", "http://localhost:51234/callback", true),
            ("http://localhost:1/callback", "http://localhost:51234/callback", true),
            ("http://127.0.0.1/callback", "http://127.0.0.1:1/callback", true),
            ("http://[::1]/callback", "http://[::1]:1/callback", true),
            ("http://localhost/callback", "http://127.0.0.1:1/callback", false),
            ("http://localhost/callback", "https://localhost:1/callback", false),
            ("http://localhost/callback", "http://localhost:1/callback/", false),
            ("http://localhost/callback", "http://localhost:1/callback?x=1", false),
        ] {
            let (registered, requested) =
                (RedirectUri::parse(registered).unwrap(), RedirectUri::parse(requested).unwrap());
            assert_eq!(registered.matches(&requested), admitted, "{registered:?} {requested:?}");
        }
    }
}
