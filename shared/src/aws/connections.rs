//! HTTP/1.1 to the services, kept between requests.
//!
//! An execution environment answers one request at a time and asks two or three services: there is a connection to each, driven by
//! whoever waits for its answer. The SDK's own client keeps a pool for many callers, with tasks, HTTP/2 and proxies.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::CONNECT;
use super::service::Failure;

/// Connections to any service, which wait for the next request. They belong to the runtime that opened them.
#[derive(Clone, Default)]
pub struct Connections(Arc<Kept>);

#[derive(Default)]
struct Kept {
    idle: Mutex<Vec<(Origin, Connection)>>,
    tls: OnceLock<Arc<ClientConfig>>,
    authorities: Option<PathBuf>,
}

/// Where a service is.
#[derive(Clone, PartialEq, Eq)]
struct Origin {
    tls: bool,
    authority: Authority,
}

struct Connection {
    requests: SendRequest<SdkBody>,
    /// Reads and writes, while it is waited for.
    driver: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    ended: bool,
}

/// Why there is no answer.
enum Failed {
    /// The connection had ended before the request was sent, which is as it was.
    Unsent(Box<Request<SdkBody>>),
    /// Something may have been sent.
    Sent(Failure),
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl HttpConnector for Connections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connections = self.clone();
        HttpConnectorFuture::new(async move { connections.ask(request).await })
    }
}

impl Connections {
    /// To services that these authorities vouch for: a file of PEM. Else those of Mozilla's list do.
    pub(super) fn trusting(authorities: Option<PathBuf>) -> Self {
        Self(Arc::new(Kept { authorities, ..Kept::default() }))
    }

    /// The whole answer: those of the services that we ask are small.
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        // As a client of HTTP/1.1 says it (RFC 9112 §3.2): the path in the first line, the authority as `Host`.
        let (origin, path) = Origin::of(std::mem::take(request.uri_mut())).map_err(ConnectorError::user)?;
        *request.uri_mut() = Uri::from(path);
        let host = HeaderValue::from_str(origin.authority.as_str());
        request.headers_mut().insert(HOST, host.map_err(|error| ConnectorError::user(error.into()))?);
        loop {
            let kept = self.take(&origin);
            let is_new = kept.is_none();
            let mut connection = match kept {
                Some(kept) => kept,
                None => self.open(&origin).await?,
            };
            match connection.exchange(request).await {
                Ok(answer) => {
                    if !connection.ended {
                        self.idle().push((origin, connection));
                    }
                    let answer = answer.map(SdkBody::from).try_into();
                    return answer.map_err(|error: aws_smithy_runtime_api::http::HttpError| {
                        ConnectorError::other(error.into(), None)
                    });
                }
                // The service has ended it since. The next one may be open.
                Err(Failed::Unsent(unsent)) if !is_new => request = *unsent,
                Err(Failed::Unsent(_)) => return Err(ConnectorError::io("it ended at once".into())),
                Err(Failed::Sent(error)) => return Err(ConnectorError::io(error)),
            }
        }
    }

    /// Opens a connection to `url` for whoever asks there next.
    pub(super) async fn prepare(&self, url: &str) -> Result<(), Failure> {
        let (origin, _) = Origin::of(url.parse()?)?;
        let connection = self.open(&origin).await?;
        self.idle().push((origin, connection));
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Origin, Connection)>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle();
        let place = idle.iter().rposition(|(of, _)| of == origin)?;
        Some(idle.swap_remove(place).1)
    }

    async fn open(&self, origin: &Origin) -> Result<Connection, ConnectorError> {
        match tokio::time::timeout(CONNECT, self.connect(origin)).await {
            Ok(connected) => connected.map_err(|error| ConnectorError::io(error).never_connected()),
            Err(elapsed) => Err(ConnectorError::timeout(elapsed.into()).never_connected()),
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Connection, Failure> {
        trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
        impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

        let host = origin.authority.host();
        let port = origin.authority.port_u16().unwrap_or(if origin.tls { 443 } else { 80 });
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = if origin.tls {
            let name = ServerName::try_from(host.to_owned())?;
            Box::new(TlsConnector::from(self.tls()?).connect(name, stream).await?)
        } else {
            Box::new(stream)
        };
        let (requests, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Connection { requests, driver: Box::pin(driver), ended: false })
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.0.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(authorities(self.0.authorities.as_deref())?).with_no_client_auth();
        Ok(Arc::clone(self.0.tls.get_or_init(|| Arc::new(config))))
    }
}

impl Origin {
    /// With what comes after it in `uri`.
    fn of(uri: Uri) -> Result<(Self, PathAndQuery), Failure> {
        let parts = uri.into_parts();
        let authority = parts.authority.ok_or("an address without a host")?;
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok((Self { tls: parts.scheme == Some(Scheme::HTTPS), authority }, path))
    }
}

impl Connection {
    async fn exchange(&mut self, request: Request<SdkBody>) -> Result<Response<Bytes>, Failed> {
        let Self { requests, driver, ended } = self;
        let answered = async {
            if requests.ready().await.is_err() {
                return Err(Failed::Unsent(Box::new(request)));
            }
            let answer = match requests.try_send_request(request).await {
                Ok(answer) => answer,
                Err(mut refused) => {
                    return Err(match refused.take_message() {
                        Some(unsent) => Failed::Unsent(Box::new(unsent)),
                        None => Failed::Sent(refused.into_error().into()),
                    });
                }
            };
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| Failed::Sent(error.into()))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let mut answered = std::pin::pin!(answered);
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            _ = driver => {
                *ended = true;
                answered.await
            }
        }
    }
}

/// Whom to believe who a service is: Mozilla's list as of the build, which costs a start nothing to read, if there is no `file`.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, Failure> {
    let Some(file) = file else { return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err("a file without an authority".into()) } else { Ok(roots) }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
