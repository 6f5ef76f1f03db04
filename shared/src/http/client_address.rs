//! Where a request comes from, as far as that can be trusted.

use std::net::IpAddr;

use crate::environment::{ConfigError, Environment};
use crate::lambda::Request;
use crate::telemetry::request_context::RequestContext;

/// Who says where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// API Gateway, which people reach directly.
    Gateway,
    /// The proxy before API Gateway, which adds it to `X-Forwarded-For`. API Gateway adds the proxy.
    Forwarded,
    /// Nobody: there is a proxy before API Gateway, and it does not say.
    Unknown,
}

impl ClientAddress {
    /// From `CLIENT_ADDRESS`: `gateway` (the default), `forwarded` or `unknown`.
    ///
    /// # Errors
    /// When it is another word.
    pub fn new(environment: &Environment) -> Result<Self, ConfigError> {
        match environment.optional("CLIENT_ADDRESS").as_deref() {
            None | Some("gateway") => Ok(Self::Gateway),
            Some("forwarded") => Ok(Self::Forwarded),
            Some("unknown") => Ok(Self::Unknown),
            Some(_) => Err(ConfigError::Unusable("CLIENT_ADDRESS", "gateway, forwarded or unknown")),
        }
    }

    /// The address of `request`: an IPv4 address, or the IPv6 network of one subscriber (RFC 6177 §2). Nothing where it is not known.
    pub fn of(self, request: &Request) -> Option<IpAddr> {
        let address = match self {
            Self::Gateway => RequestContext::current()?.ip()?.parse().ok()?,
            Self::Forwarded => forwarded(request)?,
            Self::Unknown => return None,
        };
        Some(subscriber(address))
    }
}

/// The hop that the proxy added: the last but one. What stands before it, anybody may have written.
fn forwarded(request: &Request) -> Option<IpAddr> {
    let header = request.headers().get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    header.rsplit(',').nth(1)?.trim().parse().ok()
}

fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hop_of_the_proxy_counts() {
        for (header, expected) in [
            (Some("198.51.100.7, 203.0.113.1"), Some("198.51.100.7")),
            (Some("192.0.2.1, 198.51.100.7, 203.0.113.1"), Some("198.51.100.7")),
            (Some("2001:db8:1:2:3:4:5:6,203.0.113.1"), Some("2001:db8:1:2::")),
            (Some("::ffff:198.51.100.7, 203.0.113.1"), Some("198.51.100.7")),
            (Some("203.0.113.1"), None),
            (Some("somebody, 203.0.113.1"), None),
            (None, None),
        ] {
            let request = http::Request::get("/");
            let request = header.map_or(http::Request::get("/"), |header| request.header("x-forwarded-for", header));
            let request = request.body(crate::lambda::Body::Empty).unwrap();
            let expected = expected.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(ClientAddress::Forwarded.of(&request), expected, "{header:?}");
            assert_eq!(ClientAddress::Unknown.of(&request), None, "{header:?}");
        }
    }
}
