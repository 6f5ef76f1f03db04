//! A tunnel as services of the internet offer it: it speaks TLS under a public name, and hands requests on to this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, header};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate_authority::certify_with_authority;
use crate::placement::client_builder;

/// The tunnel. It is gone when this is dropped.
pub struct Tunnel {
    host: String,
    address: SocketAddr,
    authority: String,
    /// Where it leads, from some time on.
    to: Arc<OnceLock<String>>,
    serving: AbortHandle,
}

/// Where clients come from, as the tunnel sees them.
pub const CLIENT: &str = "203.0.113.7";

impl Tunnel {
    /// For `host`, to nowhere yet.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn open(host: &str) -> Self {
        let (tls, authority) = certify_with_authority(host);
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_nonblocking(true).expect("a socket that does not block");
        let socket = TcpListener::from_std(socket).expect("a socket of the runtime");
        let address = socket.local_addr().expect("its address");
        let to = Arc::default();
        let upstream = Upstream { client: client_builder().build().expect("a client"), to: Arc::clone(&to) };
        let router = Router::new().fallback(hand_on).with_state(upstream);
        let serving = tokio::spawn(async move {
            // It ends with the test.
            axum::serve(TlsListener { socket, tls }, router).await.unwrap_or_default();
        });
        Self { host: host.to_owned(), address, authority, to, serving: serving.abort_handle() }
    }

    /// It leads to what listens at `origin` from now on.
    ///
    /// # Panics
    /// When it leads somewhere already.
    pub fn lead_to(&self, origin: &str) {
        self.to.set(origin.to_owned()).expect("it leads nowhere yet");
    }

    /// A client on the internet, which finds the name at the tunnel and trusts its certificate.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn client(&self) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(self.authority.as_bytes()).expect("an authority");
        client_builder().resolve(&self.host, self.address).tls_certs_only([authority]).build().expect("a client")
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Whom requests are handed to.
#[derive(Clone)]
struct Upstream {
    client: reqwest::Client,
    to: Arc<OnceLock<String>>,
}

/// As it came, its `Host` too, with who sent it.
async fn hand_on(State(upstream): State<Upstream>, request: Request<Body>) -> Response<Body> {
    let (Parts { method, uri, mut headers, .. }, body) = request.into_parts();
    // Whatever the bytes are: nginx looks at none of them.
    let before = headers.get("x-forwarded-for").map(|before| [before.as_bytes(), b", "].concat());
    let forwarded = [before.unwrap_or_default().as_slice(), CLIENT.as_bytes()].concat();
    headers.insert("x-forwarded-for", HeaderValue::from_bytes(&forwarded).expect("a header"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    // Of the connection, and not of the request.
    headers.remove(header::TRANSFER_ENCODING);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a whole request");
    let to = upstream.to.get().expect("it leads to a system");
    let sent = upstream.client.request(method, format!("{to}{path}")).headers(headers).body(body);
    let answer = sent.send().await.expect("an answer");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    let body: Bytes = answer.bytes().await.expect("a whole answer");
    *response.body_mut() = Body::from(body);
    response
}

/// Connections that have been encrypted. One whose client does not trust the certificate is none.
struct TlsListener {
    socket: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, peer)) = self.socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
