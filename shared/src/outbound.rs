//! The HTTP client for URLs that others chose: those of tenants' tools and of clients' metadata documents.
//!
//! It reaches only the public internet: `https` on port 443, no redirect, no proxy, and no address of a
//! special-purpose range (RFC 6890 and the IANA registries that succeed it). A name is resolved once and
//! every address is checked. The connection goes to the checked addresses, so a name that resolves
//! differently later (DNS rebinding) gains nothing.
//! `OUTBOUND_ALLOW` (tools) and `CLIENT_METADATA_ALLOW` (metadata documents) name the origins, `http` and internal ones included, that the operator allows.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

use crate::environment::{ConfigError, Environment};

/// Sends requests to URLs that others chose.
pub struct Outbound {
    allowed: Vec<String>,
    look_up: LookUp,
    public_client: OnceLock<Client>,
    allowed_client: OnceLock<Client>,
}

/// A request to such a URL.
pub struct OutboundRequest<'a> {
    url: &'a str,
    method: Method,
    headers: HeaderMap,
    body: Vec<u8>,
    timeout: Duration,
    limit: usize,
}

/// The response, whatever its status. A redirect is not followed.
#[derive(Debug)]
pub struct OutboundResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most as long as was asked for.
    pub body: Vec<u8>,
}

/// Why nothing came back. The sentences may be shown to whoever chose the address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OutboundError {
    /// Not an absolute address with a host.
    #[error("its address is not a URL with a host")]
    NotAnAddress,
    /// In the clear, or by another protocol.
    #[error("its address is not https")]
    Insecure,
    /// With a name or password in it.
    #[error("its address contains credentials")]
    Userinfo,
    /// Not where https is served.
    #[error("its address names a port other than 443")]
    Port,
    /// At least one address of the host is not on the public internet.
    #[error("its address is not on the public internet")]
    SpecialUse,
    /// The name has no address.
    #[error("its name cannot be resolved")]
    Unresolved,
    /// No connection, no TLS, or it broke off.
    #[error("it cannot be reached")]
    Unreachable,
    /// It took too long.
    #[error("it did not answer in time")]
    TimedOut,
    /// Nobody took a connection within [`Outbound::CONNECT_TIMEOUT`].
    #[error("it took no connection in time")]
    ConnectTimedOut,
    /// We would have sent too much.
    #[error("the request is too large")]
    RequestTooLarge,
    /// It sent more than was asked for.
    #[error("its answer is too large")]
    ResponseTooLarge,
}

impl Outbound {
    /// The largest body that is sent, in bytes.
    pub const REQUEST_LIMIT: usize = 1024 * 1024;
    /// How long a connection may take, TLS included.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

    /// With the origins that the setting of this name allows. Certificates are read at the first request.
    ///
    /// # Errors
    /// When an entry is not an origin.
    pub fn new(environment: &Environment, setting: &'static str) -> Result<Self, ConfigError> {
        let allow = environment.optional(setting).unwrap_or_default();
        let allowed = allow.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(origin);
        let allowed = allowed.collect::<Option<_>>();
        let allowed = allowed.ok_or(ConfigError::Unusable(setting, "origins, separated by commas"))?;
        Ok(Self::allowing(allowed))
    }

    /// With these origins allowed, written as browsers write them.
    #[must_use]
    pub const fn allowing(allowed: Vec<String>) -> Self {
        Self { allowed, look_up: system_lookup, public_client: OnceLock::new(), allowed_client: OnceLock::new() }
    }

    /// Sends the request and reads the whole response.
    ///
    /// # Errors
    /// When the address is not allowed, or nothing came back within the limits.
    pub async fn fetch(&self, fetch: OutboundRequest<'_>) -> Result<OutboundResponse, OutboundError> {
        let target = self.target(fetch.url)?;
        if fetch.body.len() > Self::REQUEST_LIMIT {
            return Err(OutboundError::RequestTooLarge);
        }
        let request = self.client(&target)?.request(fetch.method, target.url).headers(fetch.headers).body(fetch.body);
        let whole = async {
            let mut response = request.send().await.map_err(outbound_error)?;
            let length = response.content_length().unwrap_or(0);
            if usize::try_from(length).is_ok_and(|length| length > fetch.limit) {
                return Err(OutboundError::ResponseTooLarge);
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(outbound_error)? {
                if body.len() + chunk.len() > fetch.limit {
                    return Err(OutboundError::ResponseTooLarge);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(OutboundResponse { status: response.status(), headers: response.headers().clone(), body })
        };
        tokio::time::timeout(fetch.timeout, whole).await.unwrap_or(Err(OutboundError::TimedOut))
    }

    /// Checks an address by itself. The addresses of its name are looked up only when the request is sent.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_url(&self, url: &str) -> Result<(), OutboundError> {
        self.target(url).map(|_| ())
    }

    /// The address, if nothing in it forbids a request.
    fn target(&self, text: &str) -> Result<Target, OutboundError> {
        let url = Url::parse(text).map_err(|_| OutboundError::NotAnAddress)?;
        let host = url.host().ok_or(OutboundError::NotAnAddress)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Userinfo);
        }
        if self.allowed.contains(&url.origin().ascii_serialization()) {
            return Ok(Target { url, allowed: true });
        }
        // A literal never reaches the resolver, so it is checked here.
        let literal = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        match literal {
            _ if url.scheme() != "https" => Err(OutboundError::Insecure),
            _ if url.port().is_some() => Err(OutboundError::Port),
            Some(address) if !is_public(address) => Err(OutboundError::SpecialUse),
            _ => Ok(Target { url, allowed: false }),
        }
    }

    /// Two clients, because a name that is allowed at one port is not at another.
    fn client(&self, target: &Target) -> Result<&Client, OutboundError> {
        let slot = if target.allowed { &self.allowed_client } else { &self.public_client };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        // Fails if a provider is installed already, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // A tool may act on the first attempt although its response is lost.
            .retry(reqwest::retry::never())
            // A kept connection may be dead when Lambda resumes the process, and its address was checked long
            // ago.
            .pool_max_idle_per_host(0)
            .connect_timeout(Self::CONNECT_TIMEOUT)
            .user_agent(concat!("amble-connect/", env!("CARGO_PKG_VERSION")));
        let builder =
            if target.allowed { builder } else { builder.https_only(true).dns_resolver(PublicResolver(self.look_up)) };
        let client = builder.build().map_err(outbound_error)?;
        Ok(slot.get_or_init(|| client))
    }
}

impl<'a> OutboundRequest<'a> {
    /// Asks for the document at `url`.
    #[must_use]
    pub fn get(url: &'a str, timeout: Duration, limit: usize) -> Self {
        Self { url, method: Method::GET, headers: HeaderMap::new(), body: Vec::new(), timeout, limit }
    }

    /// Sends `body`, which is JSON, to `url`. Waits at most `timeout` for the whole answer, of at most `limit` bytes.
    #[must_use]
    pub fn post_json(url: &'a str, body: Vec<u8>, timeout: Duration, limit: usize) -> Self {
        let fetch = Self { url, method: Method::POST, headers: HeaderMap::new(), body, timeout, limit };
        fetch.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Preferring an answer of this media type.
    #[must_use]
    pub fn accepting(self, media: &'static str) -> Self {
        self.header(ACCEPT, HeaderValue::from_static(media))
    }
}

impl OutboundResponse {
    /// The media type, in lower case and without parameters.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// An address that passed the check. Only [`Outbound::target`] makes one.
struct Target {
    url: Url,
    allowed: bool,
}

/// Finds the addresses of a name.
type LookUp = fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

fn system_lookup(name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
}

/// Resolves a name once per connection, and returns its addresses only if all of them are public. The client
/// connects to these addresses and does not resolve the name again.
struct PublicResolver(LookUp);

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let look_up = self.0;
        Box::pin(async move {
            let found = look_up(name.as_str().to_owned()).await.map_err(|_| OutboundError::Unresolved)?;
            let checked = all_public(found)?;
            Ok(Box::new(checked.into_iter()) as Addrs)
        })
    }
}

/// One internal address among public ones is an attack: none of them is used.
fn all_public(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, OutboundError> {
    if found.is_empty() {
        return Err(OutboundError::Unresolved);
    }
    if found.iter().all(|address| is_public(address.ip())) { Ok(found) } else { Err(OutboundError::SpecialUse) }
}

/// The reason behind an error of the client; ours if the resolver gave it. The whole error goes to the log.
fn outbound_error(error: reqwest::Error) -> OutboundError {
    let error = error.without_url();
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut said = Vec::new();
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<OutboundError>() {
            return *refused;
        }
        said.push(cause.to_string());
        source = cause.source();
    }
    tracing::warn!(reason = said.join(": "), "an outbound request failed");
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => OutboundError::ConnectTimedOut,
        (true, false) => OutboundError::TimedOut,
        (false, _) => OutboundError::Unreachable,
    }
}

/// The canonical form of an origin of http or https, if `text` is one: scheme, host and port, without a slash at its end.
#[must_use]
pub fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.ends_with('/');
    let named = url.username().is_empty() && url.password().is_none() && url.has_host();
    (bare && named && matches!(url.scheme(), "http" | "https")).then(|| url.origin().ascii_serialization())
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|range| range.contains(address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST_V6.contains(address) && !SPECIAL_V6.iter().any(|range| range.contains(address))
        }
    }
}

/// A range of addresses: its first one and the length of the prefix.
struct Range<A>(A, u32);

impl Range<Ipv4Addr> {
    fn contains(&self, address: Ipv4Addr) -> bool {
        let shift = 32 - self.1;
        u32::from(address) >> shift == u32::from(self.0) >> shift
    }
}

impl Range<Ipv6Addr> {
    fn contains(&self, address: Ipv6Addr) -> bool {
        let shift = 128 - self.1;
        u128::from(address) >> shift == u128::from(self.0) >> shift
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u32) -> Range<Ipv4Addr> {
    Range(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u32) -> Range<Ipv6Addr> {
    Range(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// The IANA registry of special-purpose IPv4 addresses, and multicast (RFC 5771).
const SPECIAL_V4: [Range<Ipv4Addr>; 17] = [
    v4(0, 0, 0, 0, 8),       // this network (RFC 791)
    v4(10, 0, 0, 0, 8),      // private (RFC 1918)
    v4(100, 64, 0, 0, 10),   // carrier-grade NAT (RFC 6598)
    v4(127, 0, 0, 0, 8),     // loopback (RFC 1122)
    v4(169, 254, 0, 0, 16),  // link local (RFC 3927): the metadata services of clouds
    v4(172, 16, 0, 0, 12),   // private (RFC 1918)
    v4(192, 0, 0, 0, 24),    // protocol assignments (RFC 6890)
    v4(192, 0, 2, 0, 24),    // documentation (RFC 5737)
    v4(192, 31, 196, 0, 24), // AS112 (RFC 7535)
    v4(192, 52, 193, 0, 24), // AMT (RFC 7450)
    v4(192, 88, 99, 0, 24),  // 6to4 relays, deprecated (RFC 7526)
    v4(192, 168, 0, 0, 16),  // private (RFC 1918)
    v4(192, 175, 48, 0, 24), // AS112 (RFC 7534)
    v4(198, 18, 0, 0, 15),   // benchmarking (RFC 2544)
    v4(198, 51, 100, 0, 24), // documentation (RFC 5737)
    v4(203, 0, 113, 0, 24),  // documentation (RFC 5737)
    v4(224, 0, 0, 0, 3),     // multicast, reserved (RFC 1112) and broadcast (RFC 919)
];

/// All that has been given out (RFC 4291 §2.4). Outside lie loopback, unspecified, IPv4-mapped and -compatible addresses, NAT64
/// (`64:ff9b::/96` and `64:ff9b:1::/48`), discard-only, unique local, link local, site local, multicast and segment routing.
const GLOBAL_UNICAST_V6: Range<Ipv6Addr> = v6(0x2000, 0, 0, 3);

/// The special purposes within it.
const SPECIAL_V6: [Range<Ipv6Addr>; 5] = [
    v6(0x2001, 0, 0, 23), // protocol assignments (RFC 2928): Teredo, benchmarking, ORCHID, DRIP and others
    v6(0x2001, 0x0db8, 0, 32), // documentation (RFC 3849)
    v6(0x2002, 0, 0, 16), // 6to4 (RFC 3056): leads to any IPv4 address
    v6(0x2620, 0x004f, 0x8000, 48), // AS112 (RFC 7534)
    v6(0x3fff, 0, 0, 20), // documentation (RFC 9637)
];

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn public_addresses_are_recognised() {
        for (address, public) in [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("160.79.104.10", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("169.253.255.255", true),
            ("192.0.1.1", true),
            ("198.17.255.255", true),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.169.254", false),
            ("169.254.170.2", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.8", false),
            ("192.0.0.170", false),
            ("192.0.2.1", false),
            ("192.31.196.1", false),
            ("192.52.193.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("192.175.48.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.51.100.1", false),
            ("203.0.113.7", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700:4700::1111", true),
            ("2a00:1450:4001:80b::200e", true),
            ("2001:4860:4860::8888", true),
            ("2001:200::1", true),
            ("::", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:1.1.1.1", false),
            ("::10.0.0.1", false),
            ("::1.1.1.1", false),
            ("64:ff9b::a00:1", false),
            ("64:ff9b::101:101", false),
            ("64:ff9b:1::1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:0:4136:e378::1", false),
            ("2001:2::1", false),
            ("2001:10::1", false),
            ("2001:20::1", false),
            ("2001:db8::1", false),
            ("2002:a00:1::1", false),
            ("2002:101:101::1", false),
            ("2620:4f:8000::1", false),
            ("3fff::1", false),
            ("5f00::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn one_internal_address_refuses_the_name() {
        let at = |addresses: &[&str]| addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();

        assert_eq!(all_public(at(&["1.1.1.1", "2606:4700::1"])).unwrap().len(), 2);
        assert_eq!(all_public(at(&["1.1.1.1", "10.0.0.1"])), Err(OutboundError::SpecialUse));
        assert_eq!(all_public(at(&["2606:4700::1", "::ffff:127.0.0.1"])), Err(OutboundError::SpecialUse));
        assert_eq!(all_public(vec![]), Err(OutboundError::Unresolved));
    }

    #[test]
    fn which_urls_are_allowed() {
        let outbound = Outbound::allowing(vec!["http://localhost:8787".into(), "https://tools.internal".into()]);
        for (url, verdict) in [
            ("https://example.com/mcp", Ok(false)),
            ("https://example.com:443/", Ok(false)),
            ("HTTPS://EXAMPLE.COM", Ok(false)),
            ("https://1.1.1.1/", Ok(false)),
            ("https://[2606:4700::1]/", Ok(false)),
            ("http://localhost:8787/tool", Ok(true)),
            ("https://tools.internal/", Ok(true)),
            ("http://localhost:8788/tool", Err(OutboundError::Insecure)),
            ("https://localhost:8787/tool", Err(OutboundError::Port)),
            ("http://tools.internal/", Err(OutboundError::Insecure)),
            ("https://tools.internal:8443/", Err(OutboundError::Port)),
            ("http://user@localhost:8787/", Err(OutboundError::Userinfo)),
            ("http://example.com/", Err(OutboundError::Insecure)),
            ("ftp://example.com/", Err(OutboundError::Insecure)),
            ("file:///etc/passwd", Err(OutboundError::NotAnAddress)),
            ("data:text/plain,x", Err(OutboundError::NotAnAddress)),
            ("https://", Err(OutboundError::NotAnAddress)),
            ("/relative", Err(OutboundError::NotAnAddress)),
            ("", Err(OutboundError::NotAnAddress)),
            ("https://user:password@example.com/", Err(OutboundError::Userinfo)),
            ("https://example.com@10.0.0.1/", Err(OutboundError::Userinfo)),
            ("https://example.com:8443/", Err(OutboundError::Port)),
            ("https://127.0.0.1/", Err(OutboundError::SpecialUse)),
            ("https://2130706433/", Err(OutboundError::SpecialUse)),
            ("https://0x7f.1/", Err(OutboundError::SpecialUse)),
            ("https://0177.0.0.1/", Err(OutboundError::SpecialUse)),
            ("https://１２７.0.0.1/", Err(OutboundError::SpecialUse)),
            ("https://169.254.169.254/latest/meta-data/", Err(OutboundError::SpecialUse)),
            ("https://[::1]/", Err(OutboundError::SpecialUse)),
            ("https://[::ffff:169.254.169.254]/", Err(OutboundError::SpecialUse)),
        ] {
            assert_eq!(outbound.target(url).map(|target| target.allowed), verdict, "{url}");
        }
    }

    #[test]
    fn allow_list_entries_must_be_origins() {
        for (entry, canonical) in [
            ("http://localhost:8787", Some("http://localhost:8787")),
            ("https://Tools.Internal:443", Some("https://tools.internal")),
            ("http://10.0.0.7:9000", Some("http://10.0.0.7:9000")),
            ("https://tools.internal/", None),
            ("https://tools.internal/path", None),
            ("https://user@tools.internal", None),
            ("https://tools.internal?x", None),
            ("tools.internal", None),
            ("ftp://tools.internal", None),
        ] {
            assert_eq!(origin(entry).as_deref(), canonical, "{entry}");
        }
    }

    /// The name is refused by its addresses, inside the client that would connect.
    #[tokio::test]
    async fn name_with_internal_address_is_not_connected_to() {
        let outbound = Outbound::allowing(vec![]);

        let answer = outbound.fetch(OutboundRequest::get("https://localhost/", Duration::from_secs(5), 1024)).await;

        assert_eq!(answer.unwrap_err(), OutboundError::SpecialUse);
    }

    /// A name is public when it is checked and leads inside when it is looked up again: it is not looked up again.
    #[tokio::test]
    async fn dns_rebinding_does_not_work() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static PORT: AtomicU16 = AtomicU16::new(0);
        fn changing(_: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
            let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT.load(Ordering::SeqCst)));
            // Global unicast that has not been given to anybody: nothing answers there.
            let outside = SocketAddr::from((Ipv6Addr::new(0x3000, 0, 0, 0, 0, 0, 0, 1), 0));
            let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(async move { Ok(vec![if first { outside } else { inside }]) })
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        PORT.store(listener.local_addr().unwrap().port(), Ordering::SeqCst);
        let outbound = Outbound { look_up: changing, ..Outbound::allowing(vec![]) };
        let ask = || outbound.fetch(OutboundRequest::get("https://rebinding.example/", Duration::from_secs(1), 1024));

        let first = ask().await.unwrap_err();

        assert!(
            matches!(first, OutboundError::Unreachable | OutboundError::ConnectTimedOut | OutboundError::TimedOut),
            "{first:?}"
        );
        assert_eq!(ASKED.load(Ordering::SeqCst), 1, "what was checked is what is connected to");
        assert_eq!(ask().await.unwrap_err(), OutboundError::SpecialUse, "and each connection is checked anew");
        let reached = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(reached.is_err(), "somebody came in");
    }

    mod a_server_that_is_vouched_for {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        use tokio::net::TcpListener;

        use super::*;

        /// Answers each connection with `answer`, after `pause`.
        async fn serving(answer: &'static str, pause: Duration) -> (Outbound, String) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut heard = [0; 4096];
                    let _ = stream.read(&mut heard).await;
                    tokio::time::sleep(pause).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
            (Outbound::allowing(vec![origin.clone()]), origin)
        }

        #[tokio::test]
        async fn redirects_are_not_followed() {
            const MOVED: &str = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-type: Text/Plain; charset=utf-8\r\n\
                                 content-length: 2\r\n\r\nhi";
            let (outbound, url) = serving(MOVED, Duration::ZERO).await;

            let answer = outbound
                .fetch(OutboundRequest::post_json(&url, b"{}".to_vec(), Duration::from_secs(5), 2))
                .await
                .unwrap();

            assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::FOUND, b"hi".as_slice()));
            assert_eq!(answer.media_type(), "text/plain");
        }

        #[tokio::test]
        async fn response_limit_is_enforced() {
            for answer in [
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            ] {
                let (outbound, url) = serving(answer, Duration::ZERO).await;

                let refused = outbound.fetch(OutboundRequest::get(&url, Duration::from_secs(5), 2)).await.unwrap_err();

                assert_eq!(refused, OutboundError::ResponseTooLarge);
            }
        }

        #[tokio::test]
        async fn timeout_is_enforced() {
            let (outbound, url) = serving("HTTP/1.1 200 OK\r\n\r\n", Duration::from_mins(1)).await;

            let refused = outbound.fetch(OutboundRequest::get(&url, Duration::from_millis(50), 2)).await.unwrap_err();

            assert_eq!(refused, OutboundError::TimedOut);
        }

        #[tokio::test]
        async fn unreachable_host_is_an_error() {
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let url = format!("http://{gone}");
            let outbound = Outbound::allowing(vec![url.clone()]);

            let refused = outbound.fetch(OutboundRequest::get(&url, Duration::from_secs(5), 2)).await.unwrap_err();

            assert_eq!(refused, OutboundError::Unreachable);
        }

        #[tokio::test]
        async fn request_limit_is_enforced() {
            let outbound = Outbound::allowing(vec!["http://127.0.0.1:1".into()]);
            let body = vec![b'x'; Outbound::REQUEST_LIMIT + 1];

            let fetch = OutboundRequest::post_json("http://127.0.0.1:1/", body, Duration::from_secs(5), 2);

            assert_eq!(outbound.fetch(fetch).await.unwrap_err(), OutboundError::RequestTooLarge);
        }
    }
}
