//! `TrentService.Sign`.

use crate::kms::algorithm::Algorithm;
use crate::kms::error::KmsError;
use crate::kms::key_store::KeyStore;
use aws_lc_rs::digest::{self, Digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn perform(keys: &KeyStore, body: &[u8]) -> Result<Value, KmsError> {
    let input: Input = serde_json::from_slice(body).map_err(|_| KmsError::Unreadable)?;
    let key_id = input.key_id.ok_or(KmsError::Missing("keyId"))?;
    let algorithm = input.signing_algorithm.ok_or(KmsError::Missing("signingAlgorithm"))?;
    let algorithm = Algorithm::parse(&algorithm).ok_or(KmsError::NoSuchValue("signingAlgorithm"))?;
    let message = input.message.ok_or(KmsError::Missing("message"))?;
    let message = BASE64_STANDARD.decode(message).map_err(|_| KmsError::Unreadable)?;
    if message.is_empty() {
        return Err(KmsError::TooShort("message"));
    }
    if message.len() > MESSAGE_MAX {
        return Err(KmsError::TooLong("message", MESSAGE_MAX));
    }
    let key = keys.find(&key_id)?;
    if algorithm.spec() != key.spec() {
        return Err(KmsError::WrongAlgorithm(algorithm.name(), key.spec().name()));
    }
    let digest = match input.message_type.as_deref() {
        None | Some("RAW") => digest::digest(algorithm.digest(), &message),
        Some("DIGEST") => Digest::import_less_safe(&message, algorithm.digest())
            .map_err(|_| KmsError::WrongDigestLength(algorithm.name()))?,
        Some(_) => return Err(KmsError::NoSuchValue("messageType")),
    };
    if input.dry_run == Some(true) {
        return Err(KmsError::DryRun);
    }
    let signature = key.sign(algorithm, &digest).map_err(|_| KmsError::Broken)?;
    Ok(json!({
        "KeyId": key.arn(),
        "Signature": BASE64_STANDARD.encode(signature),
        "SigningAlgorithm": algorithm.name(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    key_id: Option<String>,
    message: Option<String>,
    message_type: Option<String>,
    signing_algorithm: Option<String>,
    dry_run: Option<bool>,
}

/// Bytes; longer messages are to be hashed by the caller (KMS API reference, `Sign`).
const MESSAGE_MAX: usize = 4096;
