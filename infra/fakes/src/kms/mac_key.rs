//! An HMAC key of KMS (`HMAC_256`): made here, kept by whoever made it as bytes.

use crate::kms::key::ARN_PREFIX;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand;

/// A key that makes message authentication codes.
pub struct MacKey {
    id: String,
    bytes: [u8; 32],
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomnessError;

impl MacKey {
    /// A new key named `id`.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate(id: impl Into<String>) -> Result<Self, NoRandomnessError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|Unspecified| NoRandomnessError)?;
        Ok(Self::from_bytes(id, bytes))
    }

    /// The key that [`Self::as_bytes`] gave out.
    #[must_use]
    pub fn from_bytes(id: impl Into<String>, bytes: [u8; 32]) -> Self {
        Self { id: id.into(), bytes }
    }

    /// For keeping.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The ARN that answers carry as `KeyId`.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("{ARN_PREFIX}key/{}", self.id)
    }

    pub(super) fn mac(&self, message: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(HMAC_SHA256, &self.bytes), message)
    }
}
