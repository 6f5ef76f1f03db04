//! The network of a browser: a proxy that nothing gets past. It lets through what goes to the system, as slowly as is asked for,
//! keeps account of it, and is every other site itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use test_system::certificate_authority::certify_for_anyone;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use url::{Position, Url};

/// The proxy. It is gone when this is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<ProxyState>,
    task: AbortHandle,
}

/// What all its connections know.
struct ProxyState {
    /// `host:port` of what is let through.
    system: Vec<String>,
    latency: Mutex<Duration>,
    requests: Mutex<Vec<String>>,
    tls: TlsAcceptor,
}

struct Request {
    method: String,
    target: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Proxy {
    /// For a system at these URLs.
    pub(crate) async fn start(system: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(ProxyState {
            system: system.iter().map(|url| authority(&Url::parse(url).expect("a URL")).to_owned()).collect(),
            latency: Mutex::default(),
            requests: Mutex::default(),
            tls: certify_for_anyone("claude.ai"),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // A browser may hang up whenever it likes.
                connections.spawn(async move { state.serve(stream).await.unwrap_or_default() });
            }
        });
        Self { address, state, task: task.abort_handle() }
    }

    /// How long each request takes to the system from now on, besides what the system takes.
    pub(crate) fn slow(&self, latency: Duration) {
        *self.state.latency.lock().expect("unpoisoned") = latency;
    }

    /// How often the system has been asked for this until now: `GET /oauth/authorize`, or all of `POST `.
    pub(crate) fn asked(&self, request: &str) -> usize {
        let requests = self.state.requests.lock().expect("unpoisoned");
        requests.iter().filter(|asked| asked.starts_with(request)).count()
    }

    /// All that the system has been asked for.
    pub(crate) fn all_asked(&self) -> Vec<String> {
        self.state.requests.lock().expect("unpoisoned").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProxyState {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        // `WebKit` wants an encrypted proxy for encrypted sites, and trusts no certificate of one: it has the address, and no page.
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first == [TLS] {
            return Ok(());
        }
        let request = Request::read(&mut stream).await?;
        if request.method == "CONNECT" {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let mut stream = self.tls.accept(stream).await?;
            Request::read(&mut stream).await?;
            stream.write_all(ELSEWHERE.as_bytes()).await?;
            return stream.shutdown().await;
        }
        let url = Url::parse(&request.target).map_err(io::Error::other)?;
        if !self.system.iter().any(|known| known == authority(&url)) {
            stream.write_all(ELSEWHERE.as_bytes()).await?;
            return stream.shutdown().await;
        }
        self.requests.lock().expect("unpoisoned").push(format!("{} {}", request.method, url.path()));
        let latency = *self.latency.lock().expect("unpoisoned");
        sleep(latency).await;
        let mut system = TcpStream::connect(authority(&url)).await?;
        system.write_all(&request.for_the_system(&url)).await?;
        tokio::io::copy(&mut system, &mut stream).await?;
        stream.shutdown().await
    }
}

impl Request {
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        const END: &[u8] = b"\r\n\r\n";
        let mut read = Vec::new();
        let head = loop {
            if stream.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(at) = read.windows(END.len()).position(|window| window == END) {
                break at;
            }
        };
        let mut body = read.split_off(head + END.len());
        let text = String::from_utf8_lossy(&read);
        let mut lines = text.trim_end().split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let headers: Vec<_> = lines.map(str::to_owned).collect();
        let length = headers.iter().find_map(|line| value(line, "content-length")?.parse().ok()).unwrap_or(0);
        while body.len() < length {
            if stream.read_buf(&mut body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Self { method: method.to_owned(), target: target.to_owned(), headers, body })
    }

    /// As a server is asked: one request for each connection.
    fn for_the_system(&self, url: &Url) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, &url[Position::BeforePath..]);
        let hops = ["connection", "proxy-connection", "keep-alive"];
        for line in self.headers.iter().filter(|line| !hops.iter().any(|name| value(line, name).is_some())) {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The value of a header line of that name.
fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (known, value) = line.split_once(':')?;
    known.eq_ignore_ascii_case(name).then(|| value.trim())
}

fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// The first byte of a connection that is encrypted (RFC 8446 §5.1: a handshake).
const TLS: u8 = 22;

/// What every other site is. It has a field: what was copied can be pasted there.
const ELSEWHERE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!doctype html><title>Elsewhere\
                         </title><h1>Elsewhere</h1><label for=\"paste\">Paste</label><input id=\"paste\" size=\"100\">";
