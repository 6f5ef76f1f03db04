//! Where a request comes from, as far as that can be trusted.

use std::net::IpAddr;

use lambda_http::Request;

use crate::environment::{ConfigError, Environment};

/// Who says where a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAddress {
    /// API Gateway, which people reach directly.
    #[default]
    Gateway,
    /// The proxy before API Gateway, which adds it to `X-Forwarded-For`. API Gateway adds the proxy.
    Forwarded,
    /// CloudFront, in a header that it overwrites (`infra/edge`).
    CloudFront,
    /// Nobody: there is a proxy before API Gateway, and it does not say.
    Unknown,
}

impl ClientAddress {
    /// From `CLIENT_ADDRESS`: `gateway` (the default), `forwarded`, `cloudfront` or `unknown`.
    ///
    /// # Errors
    /// When it is another word.
    pub(crate) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        match environment.optional("CLIENT_ADDRESS").as_deref() {
            None | Some("gateway") => Ok(Self::Gateway),
            Some("forwarded") => Ok(Self::Forwarded),
            Some("cloudfront") => Ok(Self::CloudFront),
            Some("unknown") => Ok(Self::Unknown),
            Some(_) => Err(ConfigError::Unusable("CLIENT_ADDRESS", "gateway, forwarded, cloudfront or unknown")),
        }
    }

    /// The address of `request`, whose last hop has proven that it is the edge. `peer` is who API Gateway saw.
    pub(crate) fn of(self, request: &Request, peer: Option<IpAddr>) -> Option<IpAddr> {
        match self {
            Self::Gateway => peer,
            Self::Forwarded => forwarded(request),
            Self::CloudFront => viewer(request),
            Self::Unknown => None,
        }
    }
}

/// The hop that the proxy added: the last but one. What stands before it, anybody may have written, and it need not be ASCII.
fn forwarded(request: &Request) -> Option<IpAddr> {
    let header = request.headers().get_all("x-forwarded-for").iter().next_back()?;
    let hop = header.as_bytes().rsplit(|byte| *byte == b',').nth(1)?;
    str::from_utf8(hop).ok()?.trim().parse().ok()
}

/// `address:port`; CloudFront writes IPv6 without brackets.
fn viewer(request: &Request) -> Option<IpAddr> {
    let (address, _port) = request.headers().get("cloudfront-viewer-address")?.to_str().ok()?.rsplit_once(':')?;
    address.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Who is limited as one: an IPv4 address, or 56 bits of an IPv6 address, which is what providers give a subscriber (RFC 6177 §2). Most
/// give no less, and who has more is counted in parts.
#[must_use]
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 72 << 72).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_in(name: &str, header: Option<&str>, setting: ClientAddress) -> Option<IpAddr> {
        let request = http::Request::get("/");
        let request = header.map_or(http::Request::get("/"), |header| request.header(name, header));
        setting.of(&request.body(lambda_http::Body::Empty).unwrap(), None).map(subscriber)
    }

    #[test]
    fn only_the_hop_of_the_proxy_counts() {
        for (header, expected) in [
            (Some("198.51.100.7, 203.0.113.1"), Some("198.51.100.7")),
            (Some("192.0.2.1, 198.51.100.7, 203.0.113.1"), Some("198.51.100.7")),
            (Some("2001:db8:1:2ff:3:4:5:6,203.0.113.1"), Some("2001:db8:1:200::")),
            (Some("::ffff:198.51.100.7, 203.0.113.1"), Some("198.51.100.7")),
            (Some("\u{fc}, 198.51.100.7, 203.0.113.1"), Some("198.51.100.7")),
            (Some("\u{fc}, 203.0.113.1"), None),
            (Some("203.0.113.1"), None),
            (Some("somebody, 203.0.113.1"), None),
            (None, None),
        ] {
            let expected = expected.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(address_in("x-forwarded-for", header, ClientAddress::Forwarded), expected, "{header:?}");
            assert_eq!(address_in("x-forwarded-for", header, ClientAddress::Unknown), None, "{header:?}");
        }
    }

    #[test]
    fn cloudfront_names_address_and_port() {
        for (header, expected) in [
            (Some("198.51.100.7:46532"), Some("198.51.100.7")),
            (Some("2001:db8:1:2ff:3:4:5:6:46532"), Some("2001:db8:1:200::")),
            (Some("2001:db8::1:46532"), Some("2001:db8::")),
            (Some("[2001:db8:1:2ff::6]:46532"), Some("2001:db8:1:200::")),
            (Some("198.51.100.7"), None),
            (Some("somebody:1"), None),
            (Some(""), None),
            (None, None),
        ] {
            let expected = expected.map(|address| address.parse::<IpAddr>().unwrap());
            let found = address_in("cloudfront-viewer-address", header, ClientAddress::CloudFront);
            assert_eq!(found, expected, "{header:?}");
        }
    }
}
