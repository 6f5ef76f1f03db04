//! A host of client ID metadata documents, which does whatever a test wants of it, and counts how often it is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::TestSystem;
use crate::certificate_authority;
use crate::connector::Connector;

/// The host. Vouch for its [`Self::origin`] in the system's `document_origins`: it is on this machine.
pub struct MetadataDocumentHost {
    origin: String,
    host: Arc<Mutex<HostState>>,
    serving: JoinHandle<()>,
}

/// What is done when a document is asked for.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// These bytes are the whole answer, status line and headers included.
    Respond(Vec<u8>),
    /// The answer comes, one byte at a time, with this pause between.
    Trickle(Vec<u8>, Duration),
    /// A good beginning, and then no end to it.
    Endless,
    /// Nothing is ever said.
    Silence,
    /// The connection is closed without a word.
    HangUp,
}

#[derive(Default)]
struct HostState {
    behaviours: BTreeMap<String, Behaviour>,
    asked: BTreeMap<String, usize>,
    down: bool,
}

impl MetadataDocumentHost {
    /// Starts a host without a certificate.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn serve() -> Self {
        Self::listen(None).await
    }

    /// Starts a host with a certificate, for `localhost`, of an authority whose own is written to `authority`.
    ///
    /// # Panics
    /// When it cannot listen or write.
    pub async fn serve_https(authority: &Path) -> Self {
        Self::listen(Some(certificate_authority::certify("localhost", authority))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let origin =
            if tls.is_some() { format!("https://localhost:{}", address.port()) } else { format!("http://{address}") };
        let host = Arc::new(Mutex::new(HostState::default()));
        let shared = Arc::clone(&host);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (host, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else { return answer(stream, host).await };
                    // Who does not trust it hangs up, and the test sees that elsewhere.
                    if let Ok(stream) = tls.accept(stream).await {
                        answer(stream, host).await;
                    }
                });
            }
        });
        Self { origin, host, serving }
    }

    /// A test system that vouches for this host.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_test_system(&self) -> TestSystem {
        TestSystem::with(|options| options.document_origins.push(self.origin.clone())).await
    }

    /// Its origin: `http://127.0.0.1:<port>`, or `https://localhost:<port>`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of a document, which is the id of its client.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// A document as real clients have it.
    #[must_use]
    pub fn document(&self, path: &str, name: &str, redirect_uris: &[&str]) -> Value {
        json!({
            "client_id": self.at(path),
            "client_name": name,
            "redirect_uris": redirect_uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        })
    }

    /// Serves `document` at `path` from now on.
    pub fn publish(&self, path: &str, document: &Value) {
        self.publish_with(path, document, &[]);
    }

    /// Serves `document` with these headers besides.
    pub fn publish_with(&self, path: &str, document: &Value, headers: &[(&str, &str)]) {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.set_behaviour(path, Behaviour::Respond(http(200, &all, document.to_string().as_bytes())));
    }

    /// Does this when asked for `path` from now on.
    pub fn set_behaviour(&self, path: &str, behaviour: Behaviour) {
        self.host().behaviours.insert(path.to_owned(), behaviour);
    }

    /// Hangs up on everybody, or no longer.
    pub fn set_down(&self, down: bool) {
        self.host().down = down;
    }

    /// How often `path` was asked for.
    #[must_use]
    pub fn request_count(&self, path: &str) -> usize {
        self.host().asked.get(path).copied().unwrap_or_default()
    }

    /// How often anything was asked for.
    #[must_use]
    pub fn total_request_count(&self) -> usize {
        self.host().asked.values().sum()
    }

    /// A client by such a document, published here, answered at the first of its addresses.
    ///
    /// # Panics
    /// Without an address.
    pub fn connector<'w>(
        &self,
        test_system: &'w TestSystem,
        path: &str,
        name: &str,
        redirect_uris: &[&str],
    ) -> Connector<'w> {
        self.publish(path, &self.document(path, name, redirect_uris));
        Connector { test_system, client_id: self.at(path), redirect_uri: redirect_uris[0].to_owned(), secret: None }
    }

    /// A client by the document at `path`, whatever that is, answered on loopback.
    #[must_use]
    pub fn connector_at<'w>(&self, test_system: &'w TestSystem, path: &str) -> Connector<'w> {
        let redirect_uri = "http://localhost/callback".to_owned();
        Connector { test_system, client_id: self.at(path), redirect_uri, secret: None }
    }

    fn host(&self) -> MutexGuard<'_, HostState> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MetadataDocumentHost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An HTTP answer as bytes; its length is told, and it is the last on its connection.
#[must_use]
pub fn http(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut lines = vec![
        format!("HTTP/1.1 {status} Whatever"),
        format!("content-length: {}", body.len()),
        "connection: close".to_owned(),
    ];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    [lines.join("\r\n").as_bytes(), b"\r\n\r\n", body].concat()
}

/// Whoever hangs up first, the other side's errors are none of a test's concern.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: Arc<Mutex<HostState>>) {
    let mut heard = Vec::new();
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut more = [0; 1024];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return,
            Ok(length) => heard.extend_from_slice(&more[..length]),
        }
    }
    let heard = String::from_utf8_lossy(&heard).into_owned();
    let path = heard.split(' ').nth(1).unwrap_or_default().to_owned();
    let behaviour = {
        let mut host = host.lock().unwrap_or_else(PoisonError::into_inner);
        *host.asked.entry(path.clone()).or_default() += 1;
        if host.down { Some(Behaviour::HangUp) } else { host.behaviours.get(&path).cloned() }
    };
    match behaviour {
        Some(Behaviour::Respond(bytes)) => {
            let _ = stream.write_all(&bytes).await;
        }
        Some(Behaviour::Trickle(bytes, pause)) => {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        }
        Some(Behaviour::Endless) => {
            let start =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"client_id\": \"";
            let mut sent = stream.write_all(start).await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'a'; 512]).await;
            }
        }
        Some(Behaviour::Silence) => std::future::pending().await,
        Some(Behaviour::HangUp) => {}
        None => {
            let _ = stream.write_all(&http(404, &[("content-type", "text/plain")], b"no such document")).await;
        }
    }
    let _ = stream.shutdown().await;
}
