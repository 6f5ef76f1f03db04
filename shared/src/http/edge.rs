//! The edge: what stands before API Gateway and limits each source (`infra/edge`, or a CDN of the deployment's own).
//!
//! It proves itself by a secret in a header of every request that it passes on. The deployment knows the SHA-256 of that secret alone,
//! so there is nothing to keep, and to check it calls nobody. A secret that somebody could guess is refused where it is made: 32 bytes
//! at random.

use std::net::IpAddr;

use http::StatusCode;
use http::header::HeaderName;
use lambda_http::{Body, Request, Response};

use super::client_address::ClientAddress;
use super::response;
use crate::environment::{ConfigError, Environment};
use crate::oauth::secret::Digest;

/// Carries the secret of the edge.
pub(crate) const ORIGIN_VERIFY: HeaderName = HeaderName::from_static("x-origin-verify");

/// What this deployment knows of its edge.
#[derive(Default)]
pub struct Edge {
    /// None if there is no edge, two while one secret replaces the other.
    secrets: Vec<Digest>,
    /// Whether what came around it is refused.
    only: bool,
    client_address: ClientAddress,
}

/// A request that did not come by the edge, in a deployment that is closed to others.
pub(crate) struct AroundEdge;

impl Edge {
    /// From `EDGE_SECRET_DIGESTS`, `EDGE_ONLY` and `CLIENT_ADDRESS`.
    ///
    /// # Errors
    /// When one is unusable, or two of them cannot go together.
    pub fn new(environment: &Environment) -> Result<Self, ConfigError> {
        const DIGESTS: &str = "EDGE_SECRET_DIGESTS";
        let unusable = ConfigError::Unusable(DIGESTS, "SHA-256 digests in hexadecimal, separated by commas");
        let digests = environment.optional(DIGESTS).unwrap_or_default();
        let secrets = digests.split(',').filter(|digest| !digest.is_empty()).map(digest_of_hex);
        let secrets: Vec<_> = secrets.collect::<Option<_>>().ok_or(unusable)?;
        let only = match environment.optional("EDGE_ONLY").as_deref() {
            None | Some("no") => false,
            Some("yes") => true,
            Some(_) => return Err(ConfigError::Unusable("EDGE_ONLY", "yes or no")),
        };
        let client_address = ClientAddress::new(environment)?;
        if secrets.is_empty() && (only || client_address == ClientAddress::CloudFront) {
            return Err(ConfigError::Missing(DIGESTS));
        }
        if only && client_address == ClientAddress::Gateway {
            // API Gateway would see the edge in place of everybody, and one person could use up the attempts of all.
            return Err(ConfigError::Unusable("CLIENT_ADDRESS", "cloudfront, forwarded or unknown with EDGE_ONLY"));
        }
        Ok(Self { secrets, only, client_address })
    }

    /// Where `request` comes from, if that is known. `peer` is who API Gateway saw. The header with the secret is taken away.
    ///
    /// Where there is a secret, only a request that has it came by the edge, which may say where from: any other came around it, from
    /// `peer` itself. With `unknown` nobody says it, with or without the secret.
    pub(crate) fn admit(&self, request: &mut Request, peer: Option<IpAddr>) -> Result<Option<IpAddr>, AroundEdge> {
        let shown = request.headers_mut().remove(ORIGIN_VERIFY);
        let proven = shown.is_some_and(|secret| self.is_secret(secret.as_bytes()));
        if self.only && !proven {
            return Err(AroundEdge);
        }
        let setting = match self.client_address {
            ClientAddress::Forwarded | ClientAddress::CloudFront if !self.secrets.is_empty() && !proven => {
                ClientAddress::Gateway
            }
            setting => setting,
        };
        Ok(setting.of(request, peer))
    }

    fn is_secret(&self, shown: &[u8]) -> bool {
        let shown = Digest::of(shown);
        self.secrets.iter().any(|secret| secret.matches(&shown))
    }
}

/// As `sha256sum` prints it.
fn digest_of_hex(text: &str) -> Option<Digest> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |start: usize| u8::from_str_radix(text.get(start..start + 2)?, 16).ok();
    let bytes: Option<Vec<_>> = (0..64).step_by(2).map(byte).collect();
    Digest::from_bytes(&bytes?)
}

impl AroundEdge {
    /// As API Gateway answers a host that is not its own.
    pub(crate) fn response() -> Response<Body> {
        response::no_store(response::with_reason(response::empty(StatusCode::FORBIDDEN), &"around the edge"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `first` and of `second`, as `sha256sum` prints them.
    const FIRST: &str = "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e";
    const SECOND: &str = "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4";

    fn edge(digests: &str, only: &str, address: &str) -> Result<Edge, ConfigError> {
        let (digests, only, address) = (digests.to_owned(), only.to_owned(), address.to_owned());
        let variables = move |name: &str| match name {
            "EDGE_SECRET_DIGESTS" => Some(digests.clone()),
            "EDGE_ONLY" => Some(only.clone()),
            "CLIENT_ADDRESS" => Some(address.clone()),
            _ => None,
        };
        let aws = aws_config::SdkConfig::builder().build();
        Edge::new(&Environment::new(variables, &aws, crate::clock::Clock::system()))
    }

    /// The address that counts: CloudFront names 192.0.2.1, the hop of a proxy 192.0.2.2, and API Gateway saw 192.0.2.3.
    fn admitted(edge: &Edge, secret: Option<&str>) -> Result<Option<String>, u16> {
        let request = http::Request::get("/")
            .header("cloudfront-viewer-address", "192.0.2.1:50000")
            .header("x-forwarded-for", "192.0.2.2, 192.0.2.3");
        let request = secret.map_or(http::Request::get("/"), |secret| request.header(ORIGIN_VERIFY, secret));
        let mut request = request.body(Body::Empty).unwrap();
        let address = edge.admit(&mut request, Some("192.0.2.3".parse().unwrap()));
        assert!(!request.headers().contains_key(ORIGIN_VERIFY));
        address
            .map(|address| address.map(|address| address.to_string()))
            .map_err(|AroundEdge| AroundEdge::response().status().as_u16())
    }

    #[test]
    fn address_is_believed_of_who_has_one_of_the_secrets() {
        let both = format!("{FIRST},{SECOND}");
        for (address, by_edge) in [
            ("gateway", Some("192.0.2.3")),
            ("forwarded", Some("192.0.2.2")),
            ("cloudfront", Some("192.0.2.1")),
            ("unknown", None),
        ] {
            // With both, the settings are refused.
            for only in ["no", "yes"].into_iter().filter(|only| (address, *only) != ("gateway", "yes")) {
                let edge = edge(&both, only, address).unwrap();
                for secret in ["first", "second"] {
                    assert_eq!(admitted(&edge, Some(secret)), Ok(by_edge.map(str::to_owned)), "{address} {only}");
                }
                let around = if address == "unknown" { None } else { Some("192.0.2.3".to_owned()) };
                let around = if only == "yes" { Err(403) } else { Ok(around) };
                for secret in [None, Some("third"), Some(""), Some(FIRST)] {
                    assert_eq!(admitted(&edge, secret), around, "{address} {only} {secret:?}");
                }
            }
        }
    }

    #[test]
    fn settings_that_cannot_go_together_are_refused() {
        for (digests, only, address) in [
            ("", "yes", "gateway"),
            ("", "no", "cloudfront"),
            (FIRST, "yes", "gateway"),
            (FIRST, "yes", ""),
            ("first", "no", "gateway"),
            (&FIRST[1..], "no", "gateway"),
            (FIRST, "perhaps", "gateway"),
            (FIRST, "no", "somebody"),
        ] {
            assert!(edge(digests, only, address).is_err(), "{digests} {only} {address}");
        }
        assert!(edge("", "no", "forwarded").is_ok());
        assert!(edge(&FIRST.to_uppercase(), "yes", "cloudfront").is_ok());
    }
}
