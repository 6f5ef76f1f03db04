//! The https address at which a tunnel shows a local system to clients on the internet.

use shared::oauth::vouched_hosts::is_loopback;
use shared::outbound::origin;
use url::Host;

/// An https origin on port 443 whose host is a public name. It is the issuer of a system that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
}

impl PublicUrl {
    /// From `https://host`, with or without a slash at its end. None for another port, a path, an address in place of a name, or a
    /// name that only this machine has: no client on the internet would find it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let origin = origin(text.strip_suffix('/').unwrap_or(text))?;
        let host = origin.strip_prefix("https://")?.to_owned();
        let is_name = matches!(Host::parse(&host), Ok(Host::Domain(_)));
        let is_public = is_name && host.contains('.') && !host.ends_with('.') && !is_loopback(&host);
        is_public.then_some(Self { origin, host })
    }

    /// As clients compare it: no slash at its end.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_url_is_an_https_origin_of_a_name() {
        for text in ["https://amble.trycloudflare.example", "https://Amble.TryCloudflare.example:443/"] {
            let public_url = PublicUrl::parse(text).unwrap();
            assert_eq!(public_url.origin(), "https://amble.trycloudflare.example");
            assert_eq!(public_url.host(), "amble.trycloudflare.example");
        }
        for text in [
            "",
            "connect.example.com",
            "http://connect.example.com",
            "https://connect.example.com:8443",
            "https://connect.example.com/api/mcp/server",
            "https://connect.example.com?x",
            "https://connect.example.com#x",
            "https://me@connect.example.com",
            "https://connect.example.com.",
            "https://connect",
            "https://localhost",
            "https://amble.localhost",
            "https://127.0.0.1",
            "https://192.0.2.1",
            "https://[2001:db8::1]",
        ] {
            assert_eq!(PublicUrl::parse(text), None, "{text}");
        }
    }
}
