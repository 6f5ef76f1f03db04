//! Redirect addresses: https, or http on a loopback host.

use thiserror::Error;
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
    /// The longest name of a host (RFC 1035 §3.1): it is logged.
    const MAX_HOST_LENGTH: usize = 253;

    /// An absolute URI without fragment or user, https or loopback http (OAuth 2.1 §2.3; MCP allows no other scheme).
    ///
    /// An address that the URL standard would rewrite is refused. So the address that is compared, the one
    /// that is shown and the one that the browser opens are the same. So is one whose query has a parameter of an
    /// authorization response: a client that reads the first of two `code` would take the one that was registered.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        if raw_authority(text).contains('@') {
            return Err(RedirectUriError::UserInfo);
        }
        if text.split('?').next().is_some_and(|before_query| before_query.contains('*')) {
            return Err(RedirectUriError::Wildcard);
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(RedirectUriError::TooLong);
        }
        if !text.is_ascii() {
            return Err(RedirectUriError::NotAscii);
        }
        if !text.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
            return Err(RedirectUriError::Blank);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError::NotAbsolute)?;
        if url.host_str().is_some_and(|host| host.len() > Self::MAX_HOST_LENGTH) {
            return Err(RedirectUriError::TooLong);
        }
        if url.host_str().is_some_and(|host| host.ends_with('.')) {
            return Err(RedirectUriError::TrailingDot);
        }
        let loopback = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(RedirectUriError::PlainHttp),
            _ => return Err(RedirectUriError::Scheme),
        }
        // The URL standard adds a slash to `https://host`, which does not change its meaning. It is the one
        // form accepted although it is rewritten.
        if url.as_str() == text || url.as_str().strip_suffix('/') == Some(text) {
            let parsed = Self { text: text.to_owned(), loopback };
            return if parsed.has_response_parameter() { Err(RedirectUriError::ResponseParameter) } else { Ok(parsed) };
        }
        let authority = raw_authority(text);
        let scheme = text.split(':').next().unwrap_or_default();
        Err(if [scheme, authority].iter().any(|part| part.bytes().any(|byte| byte.is_ascii_uppercase())) {
            RedirectUriError::UpperCase
        } else if url.port().is_none() && (authority.ends_with(":443") || authority.ends_with(":80")) {
            RedirectUriError::DefaultPort
        } else {
            RedirectUriError::Rewritten
        })
    }

    /// From the table, where there may be addresses that an earlier version took. Nobody is answered there by it: it is only read.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let loopback = is_loopback(&url);
        let usable = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        usable.then(|| Self { text: text.to_owned(), loopback })
    }

    /// The usable ones of what a client names, in its order. One that cannot be used here voids none of the others: clients name
    /// the addresses of all their forms at once, private schemes among them.
    ///
    /// # Errors
    /// When one has a fragment, a user or a wildcard, as its author may mean more than one address; or, with the error of the
    /// first, when there are some and none can be used.
    pub fn usable<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, RedirectUriError> {
        let (mut usable, mut dropped) = (Vec::new(), None);
        for text in texts {
            match Self::parse(text) {
                Ok(uri) => usable.push(uri),
                Err(error) if error.voids_the_others() => return Err(error),
                Err(error) => {
                    dropped.get_or_insert(error);
                }
            }
        }
        match dropped {
            Some(error) if usable.is_empty() => Err(error),
            _ => Ok(usable),
        }
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

/// Why an address cannot be a redirect address here. The text is for whoever registered it, and holds nothing of the address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RedirectUriError {
    /// OAuth 2.1 §2.3.
    #[error("{}", self.sentence())]
    Fragment,
    /// `https://user@host/`.
    #[error("{}", self.sentence())]
    UserInfo,
    /// `*`, which some servers take for any text.
    #[error("{}", self.sentence())]
    Wildcard,
    /// Longer than [`RedirectUri::MAX_LENGTH`].
    #[error("{}", self.sentence())]
    TooLong,
    /// Letters beyond ASCII, in the host or elsewhere.
    #[error("{}", self.sentence())]
    NotAscii,
    /// A space or a control character.
    #[error("{}", self.sentence())]
    Blank,
    /// No absolute URL.
    #[error("{}", self.sentence())]
    NotAbsolute,
    /// A private scheme, or none that a browser opens over the network.
    #[error("{}", self.sentence())]
    Scheme,
    /// `http` beyond the person's own machine.
    #[error("{}", self.sentence())]
    PlainHttp,
    /// Capitals in scheme or host.
    #[error("{}", self.sentence())]
    UpperCase,
    /// `:443` after https, `:80` after http.
    #[error("{}", self.sentence())]
    DefaultPort,
    /// `https://host./`: the same host, but another name of it.
    #[error("{}", self.sentence())]
    TrailingDot,
    /// Browsers would write it in another way.
    #[error("{}", self.sentence())]
    Rewritten,
    /// A parameter of an authorization response in its query.
    #[error("{}", self.sentence())]
    ResponseParameter,
}

impl RedirectUriError {
    /// The rule, as a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Fragment => "A redirect URI must not have a fragment (#).",
            Self::ResponseParameter => "A redirect URI must not have code, state, iss, error or response in its query.",
            Self::UserInfo => "A redirect URI must not have a user or a password before its host.",
            Self::Wildcard => "A redirect URI must not have a wildcard (*): name each address.",
            Self::TooLong => "A redirect URI may have 1024 characters.",
            Self::NotAscii => {
                "A redirect URI must be ASCII: write the host in Punycode (xn--), and percent-encode other letters elsewhere."
            }
            Self::Blank => "A redirect URI must not have a blank or a control character.",
            Self::NotAbsolute => "A redirect URI must be an absolute URL.",
            Self::Scheme => "The scheme of a redirect URI must be https, or http on a loopback host.",
            Self::PlainHttp => "A redirect URI with http must be on a loopback host: localhost, 127.0.0.1 or [::1].",
            Self::UpperCase => "The scheme and the host of a redirect URI must be in lower case.",
            Self::DefaultPort => "A redirect URI must not name the default port of its scheme (:443, or :80 of http).",
            Self::TrailingDot => "The host of a redirect URI must not end in a dot.",
            Self::Rewritten => "A redirect URI must be written as browsers write it: they would change this one.",
        }
    }

    /// Whether a list with such an address is refused as a whole.
    const fn voids_the_others(self) -> bool {
        matches!(self, Self::Fragment | Self::UserInfo | Self::Wildcard)
    }
}

/// What is written between `scheme://` and the path: host and port, with the user if there is one.
fn raw_authority(text: &str) -> &str {
    let after_scheme = text.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    after_scheme.and_then(|rest| rest.split(['/', '\\', '?', '#']).next()).unwrap_or_default()
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
        use RedirectUriError::{
            Blank, DefaultPort, Fragment, NotAbsolute, NotAscii, PlainHttp, ResponseParameter, Rewritten, Scheme,
            TooLong, TrailingDot, UpperCase, UserInfo, Wildcard,
        };
        let long = format!("https://host/{}", "a".repeat(RedirectUri::MAX_LENGTH));
        for (text, error) in [
            ("https://claude.ai/api/mcp/auth_callback", None),
            ("https://host", None),
            ("https://host/?a=b", None),
            ("https://host/?a=*&b=c@d", None),
            ("http://localhost/callback", None),
            ("http://localhost:33418/callback", None),
            ("http://127.0.0.1:9/cb", None),
            ("http://[::1]:9/cb", None),
            ("http://example.com/cb", Some(PlainHttp)),
            ("http://192.168.1.20:3000/cb", Some(PlainHttp)),
            ("http://127.0.0.2/cb", Some(PlainHttp)),
            ("http://localhost.example.com/cb", Some(PlainHttp)),
            ("cursor://callback", Some(Scheme)),
            ("urn:ietf:wg:oauth:2.0:oob", Some(Scheme)),
            ("javascript:alert(1)", Some(Scheme)),
            ("https://user@host/", Some(UserInfo)),
            ("https://@host/", Some(UserInfo)),
            ("cursor://user@callback", Some(UserInfo)),
            ("https://host/#fragment", Some(Fragment)),
            ("https://host/#", Some(Fragment)),
            ("cursor://callback#x", Some(Fragment)),
            ("https://*.host/cb", Some(Wildcard)),
            ("https://host/*", Some(Wildcard)),
            ("http://localhost:*/cb", Some(Wildcard)),
            (&long, Some(TooLong)),
            ("https://HOST/", Some(UpperCase)),
            ("HTTPS://host/", Some(UpperCase)),
            ("https://HOST:443/", Some(UpperCase)),
            ("http://LOCALHOST/", Some(UpperCase)),
            ("https://host:443/", Some(DefaultPort)),
            ("https://host:443", Some(DefaultPort)),
            ("http://localhost:80/callback", Some(DefaultPort)),
            ("http://[::1]:80/callback", Some(DefaultPort)),
            ("https://host./", Some(TrailingDot)),
            ("https://host.:8443/", Some(TrailingDot)),
            ("http://localhost./cb", Some(TrailingDot)),
            ("https://host/a/../b", Some(Rewritten)),
            ("https:/host/", Some(Rewritten)),
            ("http://127.1/cb", Some(Rewritten)),
            ("https://host\\@evil.example/", Some(Rewritten)),
            ("//host/", Some(NotAbsolute)),
            ("", Some(NotAbsolute)),
            ("https://höst/", Some(NotAscii)),
            ("https://host/ä", Some(NotAscii)),
            (" https://host/", Some(Blank)),
            ("https://host/\n", Some(Blank)),
            ("https://host/?a=code&encode=1&states=2", None),
            ("https://host/code?a=b", None),
            ("https://host/?code=1", Some(ResponseParameter)),
            ("https://host/?a=b&state", Some(ResponseParameter)),
            ("https://host/?a=b;iss=c", Some(ResponseParameter)),
            ("https://host/?%63ode=1", Some(ResponseParameter)),
            ("https://host/?a=b?error=c", None),
            ("https://host/??error=c", None),
            ("https://host/?Error_Description=c", Some(ResponseParameter)),
            ("https://host/?code%5B%5D=c", Some(ResponseParameter)),
            ("http://localhost/cb?error_uri=c", Some(ResponseParameter)),
            ("https://host/?response=c", Some(ResponseParameter)),
        ] {
            assert_eq!(RedirectUri::parse(text).err(), error, "{text}");
        }
    }

    #[test]
    fn one_unusable_redirect_uri_voids_none_of_the_others() {
        const GOOD: &str = "https://host/cb";
        for (texts, kept) in [
            (&[][..], Ok(&[][..])),
            (&["cursor://cb", GOOD, "http://10.0.0.7/cb", "urn:x:y", "", "https://HOST/"], Ok(&[GOOD][..])),
            (&["cursor://cb", "http://host/cb"], Err(RedirectUriError::Scheme)),
            (&[GOOD, "https://host/#"], Err(RedirectUriError::Fragment)),
            (&[GOOD, "cursor://a@b"], Err(RedirectUriError::UserInfo)),
            (&[GOOD, "https://*.host/"], Err(RedirectUriError::Wildcard)),
        ] {
            let usable = RedirectUri::usable(texts.iter().copied());
            let usable = usable.as_ref().map(|uris| uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>());
            assert_eq!(usable.as_deref().map_err(|error| **error), kept, "{texts:?}");
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
