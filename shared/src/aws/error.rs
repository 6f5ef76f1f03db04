//! Why the clients of AWS cannot be configured.

use thiserror::Error;

/// A variable that the clients of AWS need is missing or makes no sense.
#[derive(Debug, Error)]
pub enum AwsConfigError {
    /// No region is named.
    #[error("AWS_REGION is not set")]
    NoRegion,
    /// A variable that says neither `true` nor `false`.
    #[error("{0} is not usable: true or false")]
    NotBoolean(&'static str),
    /// The file of certificates cannot be read, or one of them is not valid.
    #[error("SSL_CERT_FILE is not usable: a file of valid certificates as PEM")]
    Certificates,
}
