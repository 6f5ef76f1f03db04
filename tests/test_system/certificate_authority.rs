//! An authority that certifies hosts of a test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// The end of a connection for the host `name`, certified by a new authority. What whoever is to trust that has to know is written
/// to `authority`, as PEM.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn certify(name: &str, authority: &Path) -> TlsAcceptor {
    certify_until(name, authority, END)
}

/// The same, until a time in seconds since the epoch.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn certify_until(name: &str, authority: &Path, end: i64) -> TlsAcceptor {
    let (acceptor, issuer) = issue(name, end);
    std::fs::write(authority, issuer).expect("a file");
    acceptor
}

/// The same for whoever asks for no authority: nobody can know it.
#[must_use]
pub fn certify_for_anyone(name: &str) -> TlsAcceptor {
    issue(name, END).0
}

/// The same, with the authority as PEM.
#[must_use]
pub fn certify_with_authority(name: &str) -> (TlsAcceptor, String) {
    issue(name, END)
}

/// The end of a connection, and who certifies it, as PEM.
fn issue(name: &str, end: i64) -> (TlsAcceptor, String) {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Of the same name as what it certifies, OpenSSL would take that for self-signed.
    parameters.distinguished_name.push(DnType::CommonName, "an authority of a test");
    let issuer = CertifiedIssuer::self_signed(parameters, new_key()).expect("an authority");

    let key = new_key();
    let mut parameters = CertificateParams::new([name.to_owned()]).expect("a name");
    let since_epoch = Duration::from_secs(end.try_into().expect("a time after the epoch"));
    parameters.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
        .expect("a configuration");
    (TlsAcceptor::from(Arc::new(config)), issuer.pem())
}

/// 4096-01-01
const END: i64 = 67_090_118_400;

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
