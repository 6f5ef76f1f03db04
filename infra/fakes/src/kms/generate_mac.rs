//! `TrentService.GenerateMac`.

use crate::kms::error::KmsError;
use crate::kms::key_store::KeyStore;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// The one algorithm of an `HMAC_256` key.
const ALGORITHM: &str = "HMAC_SHA_256";

/// Bytes (KMS API reference, `GenerateMac`).
const MESSAGE_MAX: usize = 4096;

pub(super) fn perform(keys: &KeyStore, body: &[u8]) -> Result<Value, KmsError> {
    let input: Input = serde_json::from_slice(body).map_err(|_| KmsError::Unreadable)?;
    let key_id = input.key_id.ok_or(KmsError::Missing("keyId"))?;
    match input.mac_algorithm.as_deref() {
        Some(ALGORITHM) => {}
        Some(_) => return Err(KmsError::NoSuchValue("macAlgorithm")),
        None => return Err(KmsError::Missing("macAlgorithm")),
    }
    let message = BASE64_STANDARD.decode(input.message.ok_or(KmsError::Missing("message"))?);
    let message = message.map_err(|_| KmsError::Unreadable)?;
    if message.is_empty() {
        return Err(KmsError::TooShort("message"));
    }
    if message.len() > MESSAGE_MAX {
        return Err(KmsError::TooLong("message", MESSAGE_MAX));
    }
    let key = keys.find_mac_key(&key_id)?;
    Ok(json!({ "KeyId": key.arn(), "Mac": BASE64_STANDARD.encode(key.mac(&message)), "MacAlgorithm": ALGORITHM }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    key_id: Option<String>,
    message: Option<String>,
    mac_algorithm: Option<String>,
}
