//! TLS before an address of this machine, as AWS has it before its own.

use std::path::Path;

use test_system::certificate_authority;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Passes on what comes in by TLS to `plain`; the https address. The authority to trust is written to `authority`.
pub(crate) async fn proxy_to(plain: &str, authority: &Path) -> String {
    let tls = certificate_authority::certify("localhost", authority);
    let plain = plain.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, plain) = (tls.clone(), plain.clone());
            tokio::spawn(async move {
                // Whoever breaks off is killed on purpose.
                if let (Ok(mut outside), Ok(mut inside)) = (tls.accept(stream).await, TcpStream::connect(plain).await) {
                    // Or each answer waits 40 ms for an acknowledgement.
                    let (tcp, _) = outside.get_ref();
                    let _ = (tcp.set_nodelay(true), inside.set_nodelay(true));
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    format!("https://localhost:{port}")
}
