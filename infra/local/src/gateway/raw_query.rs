//! Queries that no URI may hold. API Gateway hands them on as they came; hyper would refuse the request before anybody sees it.
//!
//! So the first line of a connection is looked at before hyper reads it. If hyper would refuse its query, the query is
//! percent-encoded there, and its own text follows in a header, from which the event takes it. Later requests of a connection are
//! left to hyper, which answers them 400 as the functions do.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::http::{HeaderMap, HeaderName};
use axum::serve::{IncomingStream, Listener};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The query as it came, with every byte that is neither letter nor digit percent-encoded.
const RAW_QUERY: HeaderName = HeaderName::from_static("x-local-raw-query");
/// No request line is longer.
const MOST: usize = 16 * 1024;

/// A socket whose connections begin with a line that hyper can read.
pub(crate) struct LenientListener(pub(crate) TcpListener);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A connection, of which the first line has been read or has not.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What has been read and not yet handed on.
    held: Vec<u8>,
    /// Whether the first line is to come.
    begins: bool,
}

impl Listener for LenientListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        (Connection { stream, held: Vec::new(), begins: true }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, LenientListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LenientListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.begins {
            let mut bytes = [0; 1024];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            self.held.extend_from_slice(read.filled());
            if read.filled().is_empty() || self.held.contains(&b'\n') || self.held.len() > MOST {
                self.begins = false;
                self.held = readable(&self.held).unwrap_or_else(|| std::mem::take(&mut self.held));
            }
        }
        if self.held.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, out);
        }
        let length = out.remaining().min(self.held.len());
        let rest = self.held.split_off(length);
        out.put_slice(&self.held);
        self.held = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What begins with a line whose query hyper would refuse, so that it does not; nothing if it would not.
fn readable(begin: &[u8]) -> Option<Vec<u8>> {
    let end = begin.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = begin.split_at(end + 1);
    let line = line.strip_suffix(b"\r\n")?;
    let target = line.iter().position(|byte| *byte == b' ')? + 1;
    let version = line.len().checked_sub(" HTTP/1.1".len()).filter(|version| *version > target)?;
    let (line, version) = line.split_at(version);
    let query = target + line.get(target..)?.iter().position(|byte| *byte == b'?')? + 1;
    let (before, query) = line.split_at(query);
    if !query.iter().any(|byte| *byte <= b' ' || *byte == 0x7f || b"\"<>".contains(byte)) {
        return None;
    }
    let encoded = percent_encode(query, NON_ALPHANUMERIC).to_string();
    let header = format!("\r\n{RAW_QUERY}: {encoded}\r\n");
    Some([before, encoded.as_bytes(), version, header.as_bytes(), rest].concat())
}

/// The query as it came, where the line had to be made readable.
pub(crate) fn take(headers: &mut HeaderMap) -> Option<String> {
    let encoded = headers.remove(RAW_QUERY)?;
    Some(percent_decode(encoded.as_bytes()).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_that_hyper_rejects_are_made_parseable() {
        for (begin, is) in [
            ("GET /a?b=\"<> c HTTP/1.1\r\nHost: x\r\n", Some("b=\"<> c")),
            ("GET /a?\u{7f} HTTP/1.1\r\n", Some("\u{7f}")),
            ("GET /a?b={}|^`\\ HTTP/1.1\r\n", None),
            ("GET /a HTTP/1.1\r\nX: \"?\r\n", None),
            ("GET /\"?a HTTP/1.1\r\n", None),
            ("GET\r\n", None),
            ("\r\n", None),
            ("GET ?\" HTTP", None),
        ] {
            let readable = readable(begin.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
            let mut headers = HeaderMap::new();
            if let Some(readable) = &readable {
                let (line, rest) = readable.split_once("\r\n").unwrap();
                line.split(' ').nth(1).unwrap().parse::<axum::http::Uri>().unwrap();
                let (name, value) = rest.split_once("\r\n").unwrap().0.split_once(": ").unwrap();
                headers.insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
            }
            assert_eq!(take(&mut headers).as_deref(), is, "{begin}");
        }
    }
}
