use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use aws_sdk_dynamodb::error::ConnectorError;

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

async fn call(connector: &SharedHttpConnector, url: String) -> Result<String, ConnectorError> {
    let mut request = HttpRequest::empty();
    request.set_uri(url).unwrap();
    let answer = connector.call(request).await?;
    Ok(String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

/// RFC 9112 §9.3: the connection persists.
#[tokio::test]
async fn connection_is_reused() {
    let (port, connected) = service(9, None).await;
    let connector = without_tls();
    for _ in 0..3 {
        let heard = call(&connector, format!("http://127.0.0.1:{port}/a?b")).await.unwrap();
        assert_eq!(heard, format!("GET /a?b HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n"));
    }
    assert_eq!(connected.load(Ordering::SeqCst), 1);
}

/// RFC 9112 §9.5: the service may close it at any time, as it does while an execution environment is frozen.
#[tokio::test]
async fn closed_connection_is_replaced() {
    let (port, connected) = service(1, None).await;
    let connector = without_tls();
    for _ in 0..3 {
        call(&connector, format!("http://127.0.0.1:{port}/")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(connected.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn preopened_connection_is_used() {
    let (port, connected) = service(9, None).await;
    let connector = without_tls();
    open_connection(&connector, &format!("http://127.0.0.1:{port}")).await.unwrap();
    call(&connector, format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(connected.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn service_with_untrusted_certificate_is_not_called() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![key.cert.der().clone()], private).unwrap();
    let (port, _) = service(9, Some(TlsAcceptor::from(Arc::new(config)))).await;

    let file = std::env::temp_dir().join(format!("amble-authority-{}-{port}.pem", std::process::id()));
    std::fs::write(&file, key.cert.pem()).unwrap();
    let trusting_it = with_trusted_certificates(Some(&file)).unwrap();
    let heard = call(&trusting_it, format!("https://localhost:{port}/")).await.unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(heard, format!("GET / HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"));

    let other_name = call(&trusting_it, format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    let by_amazon =
        call(&with_trusted_certificates(None).unwrap(), format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(other_name.is_io() && by_amazon.is_io(), "{other_name:?} {by_amazon:?}");
}

#[test]
fn a_file_without_valid_certificates_is_refused() {
    let file = std::env::temp_dir().join(format!("amble-certificates-{}.pem", std::process::id()));
    let empty = "no certificate";
    let invalid = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in [empty, invalid] {
        std::fs::write(&file, text).unwrap();
        assert!(with_trusted_certificates(Some(&file)).is_err(), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(with_trusted_certificates(Some(&file)).is_err(), "a file that is not there");
}

/// Their names and the ends of their validity: who adds or renews one sees what there is.
#[test]
fn amazon_root_certificates_are_the_five_expected() {
    let authorities = CertificateDer::pem_slice_iter(AMAZON_TRUST_SERVICES).collect::<Result<Vec<_>, _>>().unwrap();
    let mut roots = RootCertStore::empty();
    assert_eq!(roots.add_parsable_certificates(authorities), (5, 0));
}
