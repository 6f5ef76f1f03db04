//! `TrentService.GetPublicKey`.

use crate::kms::algorithm::Algorithm;
use crate::kms::error::KmsError;
use crate::kms::key_store::KeyStore;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn perform(keys: &KeyStore, body: &[u8]) -> Result<Value, KmsError> {
    let input: Input = serde_json::from_slice(body).map_err(|_| KmsError::Unreadable)?;
    let key = keys.find(&input.key_id.ok_or(KmsError::Missing("keyId"))?)?;
    let spki = key.spki().map_err(|_| KmsError::Broken)?;
    Ok(json!({
        "KeyId": key.arn(),
        "PublicKey": BASE64_STANDARD.encode(spki),
        "CustomerMasterKeySpec": key.spec().name(),
        "KeySpec": key.spec().name(),
        "KeyUsage": "SIGN_VERIFY",
        "SigningAlgorithms": Algorithm::of(key.spec()).map(Algorithm::name).collect::<Vec<_>>(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    key_id: Option<String>,
}
