//! A secret that is in no table and in no setting: KMS derives it of a text, the same each time.

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::MacAlgorithmSpec;

use crate::oauth::secret::Secret;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// HMAC-SHA256 of `text` by the HMAC key of KMS that `key` names: its id, ARN or alias.
///
/// # Errors
/// When KMS does not make it.
pub(crate) async fn derive(kms: &aws_sdk_kms::Client, key: &str, text: &str) -> Result<Secret<32>, UpstreamError> {
    const CALL: &str = "KMS.GenerateMac";
    let generate = kms.generate_mac().key_id(key).mac_algorithm(MacAlgorithmSpec::HmacSha256);
    let answer = generate.message(Blob::new(text.as_bytes())).send().await;
    let answer = answer.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
    let mac = answer.mac().and_then(|mac| mac.as_ref().try_into().ok());
    mac.map(Secret::from_bytes).ok_or_else(|| upstream_call::failed(CALL, "KMS returned no code of 32 bytes"))
}
