//! A Next.js application in front of all systems. Its rewrites lead to one address, fixed when it was built: here requests go on to the
//! system that each names.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;

/// The header that names the system a request is for, by its port.
pub(crate) const SYSTEM: &str = "x-test-system";

/// `NEXT_ORIGIN`: where the application is.
pub(crate) fn origin() -> String {
    variable("NEXT_ORIGIN")
}

/// Serves at `NEXT_DESTINATION`, to which its rewrites lead, from the first call on.
pub(crate) async fn dispatch() {
    static STARTED: OnceCell<()> = OnceCell::const_new();

    // Each test has a runtime of its own, which ends with it.
    STARTED
        .get_or_init(|| async {
            let (listening, ready) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(serve(listening));
            });
            ready.await.expect("it listens");
        })
        .await;
}

async fn serve(listening: tokio::sync::oneshot::Sender<()>) {
    let listener = TcpListener::bind(variable("NEXT_DESTINATION")).await.expect("NEXT_DESTINATION is free");
    listening.send(()).expect("somebody waits");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            if let Err(error) = pass_on(stream).await {
                tracing::info!(%error, "a request through Next.js was not passed on");
            }
        });
    }
}

/// One request to a connection. The next may be for another system, so the system is asked to close it.
async fn pass_on(mut stream: TcpStream) -> io::Result<()> {
    const KEPT: &[u8] = b"connection: keep-alive";
    const CLOSED: &[u8] = b"connection: close     ";

    const LONGEST: usize = 64 * 1024;
    let mut head = Vec::new();
    let port = loop {
        if stream.read_buf(&mut head).await? == 0 || head.len() > LONGEST {
            return Err(io::Error::other("no whole head"));
        }
        if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(head.get(..end).unwrap_or_default()).to_ascii_lowercase();
            let named = text.lines().find_map(|line| line.strip_prefix(SYSTEM)?.strip_prefix(':')?.trim().parse().ok());
            break named;
        }
    };
    let Some(port) = port else {
        return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    };
    if let Some(kept) = head.windows(KEPT.len()).position(|bytes| bytes.eq_ignore_ascii_case(KEPT))
        && let Some(kept) = head.get_mut(kept..kept + KEPT.len())
    {
        kept.copy_from_slice(CLOSED);
    }
    let mut system = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    system.write_all(&head).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut system).await?;
    Ok(())
}

fn variable(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "tests/run starts the application")]
    std::env::var(name).unwrap_or_else(|_| panic!("{name}: tests/run sets it"))
}
