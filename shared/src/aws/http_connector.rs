//! HTTP to AWS, by the SDK's own connector: its connections are kept between requests, and shared by all services. They belong to
//! the runtime that opened them.

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_types::os_shim_internal::Env;
use http_body_util::BodyExt;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::AwsConfigError;

/// The authorities that certify AWS's endpoints (Amazon Trust Services, "Repository"). A start reads five certificates in place of
/// the machine's whole bundle.
const AMAZON_TRUST_SERVICES: &[u8] = include_bytes!("amazon_trust_services.pem");

/// How long a connection may take, TLS included. It leaves time for the response within one attempt.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a connection is kept while nobody uses it. A NAT gateway forgets one after 350 s, and a request on such a connection
/// waits in vain until its attempt times out. Counted by the monotonic clock, which runs on while a process is stopped.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Trusts the certificates in the file that `SSL_CERT_FILE` names, else Amazon's authorities.
///
/// # Errors
/// When the file has no certificate, or one that is not valid.
pub(crate) fn from_lambda() -> Result<SharedHttpConnector, AwsConfigError> {
    let file = Env::real().get("SSL_CERT_FILE").ok().filter(|file| !file.is_empty());
    with_trusted_certificates(file.as_deref().map(Path::new)).map_err(|error| {
        tracing::error!(%error, file, "the certificates of AWS's endpoints cannot be read");
        AwsConfigError::Certificates
    })
}

/// Trusts the certificates in `file`, else Amazon's authorities.
fn with_trusted_certificates(file: Option<&Path>) -> Result<SharedHttpConnector, BoxError> {
    let pem = file.map_or_else(|| Ok(AMAZON_TRUST_SERVICES.to_vec()), certificates)?;
    let trust_store = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(trust_store).build()?;
    let connector = builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context);
    Ok(SharedHttpConnector::new(connector.build()))
}

/// To services of this machine, without TLS.
#[must_use]
pub fn without_tls() -> SharedHttpConnector {
    SharedHttpConnector::new(builder().build_http())
}

fn builder() -> ConnectorBuilder {
    Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .sleep_impl(TokioSleep::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
}

/// Opens a connection to the service at `endpoint_url` and leaves it in the pool for the next call. The
/// request is not signed, and its response is ignored.
///
/// # Errors
/// When there is no connection.
pub(super) async fn open_connection(connector: &SharedHttpConnector, endpoint_url: &str) -> Result<(), BoxError> {
    let mut request = HttpRequest::empty();
    request.set_uri(endpoint_url)?;
    let answer = connector.call(request).await?;
    // Read to its end, or the connection is not free for the next request.
    answer.into_body().collect().await?;
    Ok(())
}

/// The PEM in `file`, if each certificate is valid. The SDK's connector would panic at an invalid one.
fn certificates(file: &Path) -> Result<Vec<u8>, BoxError> {
    let pem = std::fs::read(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err("no certificate in it".into()) } else { Ok(pem) }
}

#[cfg(test)]
#[path = "http_connector_tests.rs"]
mod tests;
