use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A service that ends each connection after so many answers; how often it was connected to.
async fn service(answers: usize, tls: Option<TlsAcceptor>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, connected) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&connected);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(stream, answers).await;
                        }
                    }
                    None => answer(stream, answers).await,
                }
            });
        }
    });
    (port, connected)
}

/// Each with the head of its request.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: usize) {
    for _ in 0..answers {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
        stream.write_all(&[answer.as_bytes(), &head].concat()).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

async fn ask(connections: &Connections, url: String) -> Result<String, ConnectorError> {
    let mut request = HttpRequest::empty();
    request.set_uri(url).unwrap();
    let answer = connections.ask(request).await?;
    Ok(String::from_utf8(answer.body().bytes().unwrap().to_vec()).unwrap())
}

/// RFC 9112 §3.2.1: the path in the first line, the authority as `Host`; §9.3: the connection persists.
#[tokio::test]
async fn a_connection_is_kept() {
    let (port, connected) = service(9, None).await;
    let connections = Connections::default();
    for _ in 0..3 {
        let heard = ask(&connections, format!("http://127.0.0.1:{port}/a?b")).await.unwrap();
        assert_eq!(heard, format!("GET /a?b HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n"));
    }
    assert_eq!(connected.load(Ordering::SeqCst), 1);
}

/// RFC 9112 §9.5: the service may end it at any time, as it does while an execution environment sleeps.
#[tokio::test]
async fn one_that_the_service_has_ended_is_opened_anew() {
    let (port, connected) = service(1, None).await;
    let connections = Connections::default();
    for _ in 0..3 {
        ask(&connections, format!("http://127.0.0.1:{port}/")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(connected.load(Ordering::SeqCst), 3);
}

/// An answer that is none is an error that may be tried again.
#[tokio::test]
async fn one_that_ends_without_an_answer_is_an_error() {
    let (port, connected) = service(0, None).await;
    let error = ask(&Connections::default(), format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(error.is_io(), "{error:?}");
    assert_eq!(connected.load(Ordering::SeqCst), 1);
}

/// One that was opened before anybody asked is the one that is asked.
#[tokio::test]
async fn one_may_be_prepared() {
    let (port, connected) = service(9, None).await;
    let connections = Connections::default();
    connections.prepare(&format!("http://127.0.0.1:{port}")).await.unwrap();
    ask(&connections, format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(connected.load(Ordering::SeqCst), 1);
}

/// Who is not vouched for is not asked.
#[tokio::test]
async fn a_service_proves_who_it_is() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![key.cert.der().clone()], private).unwrap();
    let (port, _) = service(9, Some(TlsAcceptor::from(Arc::new(config)))).await;

    let file = std::env::temp_dir().join(format!("amble-authority-{}-{port}.pem", std::process::id()));
    std::fs::write(&file, key.cert.pem()).unwrap();
    let trusting = Connections::trusting(Some(file.clone()));
    let heard = ask(&trusting, format!("https://localhost:{port}/")).await.unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(heard, format!("GET / HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"));

    let other_name = ask(&trusting, format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    let by_mozilla = ask(&Connections::default(), format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(other_name.is_io() && by_mozilla.is_io(), "{other_name:?} {by_mozilla:?}");
}
