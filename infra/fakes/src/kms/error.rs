//! Every way KMS says no, by the names that AWS gives them (KMS API reference, "Errors").

use crate::kms::key::ARN_PREFIX;
use crate::kms::outage::Outage;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug)]
pub(super) enum KmsError {
    NoCredentials,
    ForeignCredentials,
    UnknownOperation,
    Unreadable,
    Missing(&'static str),
    NoSuchValue(&'static str),
    TooShort(&'static str),
    TooLong(&'static str, usize),
    NotFound(String),
    Disabled(String),
    WrongAlgorithm(&'static str, &'static str),
    WrongDigestLength(&'static str),
    DryRun,
    Outage(Outage),
    Broken,
}

impl KmsError {
    fn response_parts(&self) -> (StatusCode, &'static str, String) {
        const INVALID: &str = "ValidationException";
        let detected = |what: &str| format!("1 validation error detected: {what}");
        let unmet = |member: &str, constraint: &str| {
            detected(&format!("Value at '{member}' failed to satisfy constraint: Member must {constraint}"))
        };
        let (name, message) = match self {
            Self::NoCredentials => ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned()),
            Self::ForeignCredentials => {
                ("UnrecognizedClientException", "The security token included in the request is invalid.".to_owned())
            }
            Self::UnknownOperation => ("UnknownOperationException", String::new()),
            Self::Unreadable => ("SerializationException", "Could not deserialize the request".to_owned()),
            Self::Missing(member) => (INVALID, unmet(member, "not be null")),
            Self::NoSuchValue(member) => (INVALID, unmet(member, "satisfy enum value set")),
            Self::TooShort(member) => (INVALID, unmet(member, "have length greater than or equal to 1")),
            Self::TooLong(member, most) => {
                (INVALID, unmet(member, &format!("have length less than or equal to {most}")))
            }
            Self::NotFound(key_id) if key_id.starts_with("alias/") => {
                ("NotFoundException", format!("Alias {ARN_PREFIX}{key_id} is not found."))
            }
            Self::NotFound(key_id) if key_id.starts_with("arn:") => {
                ("NotFoundException", format!("Key '{key_id}' does not exist"))
            }
            Self::NotFound(key_id) => ("NotFoundException", format!("Key '{ARN_PREFIX}key/{key_id}' does not exist")),
            Self::Disabled(arn) => ("DisabledException", format!("{arn} is disabled.")),
            Self::WrongAlgorithm(algorithm, spec) => {
                ("InvalidKeyUsageException", format!("Algorithm {algorithm} is incompatible with key spec {spec}."))
            }
            Self::WrongDigestLength(algorithm) => {
                (INVALID, format!("Digest is invalid length for algorithm {algorithm}."))
            }
            Self::DryRun => (
                "DryRunOperationException",
                "The request would have succeeded, but the DryRun option is set.".to_owned(),
            ),
            Self::Outage(Outage::Throttled) => ("ThrottlingException", "Rate exceeded".to_owned()),
            Self::Outage(Outage::InvalidState) => {
                ("KMSInvalidStateException", "The key is not in a state for this operation.".to_owned())
            }
            Self::Outage(Outage::Internal) | Self::Broken => {
                let message = "An internal error occurred. Try again.".to_owned();
                return (StatusCode::INTERNAL_SERVER_ERROR, "KMSInternalException", message);
            }
        };
        (StatusCode::BAD_REQUEST, name, message)
    }
}

impl IntoResponse for KmsError {
    fn into_response(self) -> Response {
        let (status, name, message) = self.response_parts();
        let body = json!({ "__type": name, "message": message }).to_string();
        (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
    }
}

pub(super) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
