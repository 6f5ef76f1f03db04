//! The address itself: written as clients compare it, known to the world, and served with TLS that the world trusts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, ProtocolVersion};
use rustls_platform_verifier::ConfigVerifierExt;
use shared::clock::Timestamp;
use supabase_users::is_loopback;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::certificate;
use super::finding::Check;
use super::probe::{Probe, TIMEOUT};
use super::target::Target;

const ADDRESS: &str =
    "Point the host at the deployment (output NextAddress of the stack), and wait until the name is known everywhere.";
const CERTIFICATE: &str =
    "Give the parameter CertificateArn a certificate for this very host, and look at whatever ends TLS in front of it.";

/// What was agreed upon, and until when the certificate holds.
struct Handshake {
    tls: String,
    expires: Option<String>,
}

/// Why there is no TLS.
enum TlsError {
    Expired,
    Other(String),
}

/// Also whether it can be asked: where it cannot, every other check would only say so once more.
pub(crate) async fn check(target: &Target, now: Timestamp) -> (Check, bool) {
    let mut check = Check::new("address");
    let reachable = inspect(&mut check, target, now).await;
    (check, reachable)
}

/// An origin without a path: which URL was meant, by the document at the origin's root (RFC 9728 §3.1).
pub(crate) async fn bare_origin(probe: &Probe, target: &Target) -> Check {
    let mut check = Check::new("address");
    let url = target.resource_metadata();
    let Some(response) = probe.get(&mut check, &url).await else { return check };
    let document = response.object();
    let resource = document.as_ref().and_then(|document| document.get("resource")?.as_str());
    let seen = match resource {
        Some(resource) => format!("{} is the origin alone; the URL that people paste is {resource}", target.url),
        None => format!(
            "{} is the origin alone; the URL that people paste is most likely {}{}",
            target.url,
            target.origin,
            shared::oauth::resource::PATH
        ),
    };
    check.broken("bare_origin", seen, "Nothing can be connected at an origin.", "Look at that URL instead.");
    check
}

/// Looks at how it is written, where it leads, and at its certificate; whether it can be asked.
async fn inspect(check: &mut Check, target: &Target, now: Timestamp) -> bool {
    let url = &target.parsed;
    if url.as_str() != target.url || target.url.ends_with('/') || url.query().is_some() {
        check.broken(
            "url_written",
            format!("{} is not written as clients compare it: {}", target.url, url.as_str().trim_end_matches('/')),
            "Claude compares the URL with the resource that the documents name, letter by letter.",
            "Paste it in lower case, without a default port, a query or a slash at its end.",
        );
    }
    if is_loopback(url) {
        check.observed("on this machine, without TLS");
        return true;
    }
    if url.scheme() != "https" {
        check.broken(
            "insecure",
            format!("{} is not https", target.url),
            "Claude connects to nothing else.",
            CERTIFICATE,
        );
        return true;
    }
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
    if port != 443 {
        check.broken("port", format!("the port is {port}"), "Claude reaches port 443 only.", "Serve it on port 443.");
    }
    let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let found: Vec<_> = match found {
        Ok(Ok(found)) => found.collect(),
        _ => Vec::new(),
    };
    if found.is_empty() {
        check.broken("no_such_name", format!("{host} has no address"), "Nobody can reach it.", ADDRESS);
        return false;
    }
    if !found.iter().any(SocketAddr::is_ipv4) {
        check.broken("no_ipv4", format!("{host} has no IPv4 address"), "Claude comes by IPv4.", ADDRESS);
    }
    if let Some(inside) = found.iter().map(SocketAddr::ip).find(|address| is_private(*address)) {
        check.broken(
            "not_public",
            format!("{host} is {inside}, which is not on the internet"),
            "Claude comes from the internet and cannot get there.",
            ADDRESS,
        );
    }
    let Some(first) = found.iter().find(|address| address.is_ipv4()).or(found.first()) else { return false };
    match tokio::time::timeout(TIMEOUT, handshake(host, *first)).await {
        Ok(Ok(Handshake { tls, expires })) => {
            check.observed(format!("{host} is {}; {tls}", first.ip()));
            certificate::check_expiry(host, expires, now, check);
            return true;
        }
        Ok(Err(TlsError::Expired)) => certificate::find_expired(host, check),
        Ok(Err(TlsError::Other(reason))) => check.broken(
            "tls",
            format!("no TLS with {host}: {reason}"),
            "Claude connects to nothing that it cannot verify.",
            CERTIFICATE,
        ),
        Err(_) => check.broken(
            "tls",
            format!("no TLS with {host} within ten seconds"),
            "Claude gives up after ten seconds.",
            ADDRESS,
        ),
    }
    false
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
    }
}

/// Greets as a browser does.
async fn handshake(host: &str, address: SocketAddr) -> Result<Handshake, TlsError> {
    let other = |error: &dyn std::fmt::Display| TlsError::Other(error.to_string());
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut config = ClientConfig::with_platform_verifier().map_err(|error| other(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(|error| other(&error))?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|error| other(&error))?;
    let mut stream = TcpStream::connect(address).await.map_err(|error| other(&error))?;
    while tls.is_handshaking() {
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).map_err(|error| other(&error))?;
        }
        stream.write_all(&out).await.map_err(|error| other(&error))?;
        if !tls.is_handshaking() {
            break;
        }
        let mut response = vec![0; 16 * 1024];
        let length = stream.read(&mut response).await.map_err(|error| other(&error))?;
        let Some(mut response) = response.get(..length).filter(|response| !response.is_empty()) else {
            return Err(TlsError::Other("the connection was closed".to_owned()));
        };
        while !response.is_empty() {
            tls.read_tls(&mut response).map_err(|error| other(&error))?;
            tls.process_new_packets().map_err(|error| match error {
                Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                    TlsError::Expired
                }
                unknown => other(&unknown),
            })?;
        }
    }
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    let http = match tls.alpn_protocol() {
        Some(b"h2") => "HTTP/2",
        _ => "HTTP/1.1",
    };
    let expires = tls.peer_certificates().and_then(|chain| certificate::expires(chain.first()?));
    Ok(Handshake { tls: format!("{version}, {http}"), expires })
}
