//! Signs with KMS: the private key never leaves it.

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use jsonwebtoken::Algorithm;
use serde::Serialize;

use super::der::two_integers;
use super::keyring::{Keyring, PublicKey};
use crate::oauth::secret::to_text;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const CALL: &str = "KMS.Sign";

/// Makes compact JWTs (RFC 7515 §7.1) with one KMS key.
pub struct Signer {
    keyring: Keyring,
    key: PublicKey,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

impl Signer {
    /// With the first key of `keyring`. Its public half is fetched, as that names it.
    ///
    /// # Errors
    /// When KMS does not give it.
    pub async fn fetch(keyring: Keyring) -> Result<Self, UpstreamError> {
        let key = keyring.fetch_first().await?;
        Ok(Self { keyring, key })
    }

    /// Signs `claims` as a JWT of media type `typ`.
    ///
    /// # Errors
    /// When KMS does not sign.
    pub async fn sign(&self, typ: &'static str, claims: &impl Serialize) -> Result<String, UpstreamError> {
        let header = Header { alg: self.key.jwk.alg, kid: &self.key.jwk.kid, typ };
        let part = |text: Result<String, serde_json::Error>| {
            text.map(|text| to_text(text.as_bytes())).map_err(|error| upstream_call::failed(CALL, error.to_string()))
        };
        let header = part(serde_json::to_string(&header))?;
        let message = format!("{header}.{}", part(serde_json::to_string(claims))?);
        let signature = self.signature(&message).await?;
        Ok(format!("{message}.{}", to_text(&signature)))
    }

    async fn signature(&self, message: &str) -> Result<Vec<u8>, UpstreamError> {
        let algorithm = match self.key.algorithm {
            Algorithm::ES256 => SigningAlgorithmSpec::EcdsaSha256,
            _ => SigningAlgorithmSpec::RsassaPkcs1V15Sha256,
        };
        // KMS hashes the message itself, up to 4,096 bytes: several times the largest that we make.
        let sign = self
            .keyring
            .kms
            .sign()
            .key_id(self.keyring.first())
            .message_type(MessageType::Raw)
            .message(Blob::new(message.as_bytes()))
            .signing_algorithm(algorithm);
        let answer = sign.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let signature = answer
            .signature
            .map(Blob::into_inner)
            .ok_or_else(|| upstream_call::failed(CALL, "KMS returned no signature"))?;
        match self.key.algorithm {
            Algorithm::ES256 => ecdsa_der_to_jws(&signature)
                .ok_or_else(|| upstream_call::failed(CALL, "KMS returned a signature that is not ECDSA")),
            _ => Ok(signature),
        }
    }
}

/// KMS answers ECDSA in DER; JWS wants both numbers, 32 bytes each (RFC 7518 §3.4).
fn ecdsa_der_to_jws(der: &[u8]) -> Option<Vec<u8>> {
    let mut signature = vec![0; 64];
    for (half, number) in signature.chunks_mut(32).zip(two_integers(der)?) {
        let start = 32_usize.checked_sub(number.len())?;
        half.get_mut(start..)?.copy_from_slice(number);
    }
    Some(signature)
}
