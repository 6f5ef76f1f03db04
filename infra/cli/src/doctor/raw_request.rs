//! A request byte for byte as it stands here: clients of HTTP refuse to send what breaks its rules, and attackers do not.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::probe::TIMEOUT;

/// Much more than any answer that is of interest.
const MOST: u64 = 256 * 1024;

/// What came back.
#[derive(Debug)]
pub(crate) enum RawResponse {
    /// An answer of HTTP/1.
    Answer {
        status: u16,
        /// Header names in lower case.
        head: String,
        body: String,
    },
    /// The connection was closed without one.
    Closed,
    /// There was no connection, or no answer in time; why.
    Unreachable(String),
}

/// What is sent: to where `url` leads, its path with `suffix` after it, and its host with `of_host` after that.
pub(crate) struct RawRequest<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a Url,
    pub(crate) suffix: &'a str,
    pub(crate) of_host: &'a str,
}

/// Sends a request, and waits for what comes back.
pub(crate) async fn send(RawRequest { method, url, suffix, of_host }: RawRequest<'_>) -> RawResponse {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let (target, host) =
        (format!("{}{suffix}", url.path()), format!("{}{port}{of_host}", url.host_str().unwrap_or_default()));
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: amble doctor\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    match tokio::time::timeout(TIMEOUT, exchange(url, request.as_bytes())).await {
        Ok(Ok(response)) if response.is_empty() => RawResponse::Closed,
        Ok(Ok(response)) => answer(&response),
        Ok(Err(error)) => RawResponse::Unreachable(error.to_string()),
        Err(_) => RawResponse::Unreachable("no answer within ten seconds".to_owned()),
    }
}

async fn exchange(origin: &Url, request: &[u8]) -> io::Result<Vec<u8>> {
    let (Some(host), Some(port)) = (origin.host_str(), origin.port_or_known_default()) else {
        return Err(io::Error::other("no host"));
    };
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    if origin.scheme() != "https" {
        return converse(stream, request).await;
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut config = ClientConfig::with_platform_verifier().map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    converse(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, request).await
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    let mut response = Vec::new();
    match stream.take(MOST).read_to_end(&mut response).await {
        // Who closes without saying goodbye has said all the same what there was to say.
        Err(error) if response.is_empty() && error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(response),
    }
}

fn answer(bytes: &[u8]) -> RawResponse {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    match words.next().and_then(|status| status.parse().ok()).filter(|_| is_http) {
        Some(status) => RawResponse::Answer { status, head: headers.to_ascii_lowercase(), body: body.to_owned() },
        None => RawResponse::Unreachable("what was answered is not HTTP".to_owned()),
    }
}
