//! A KMS key: made here, kept by whoever made it as PKCS#8.

use crate::kms::algorithm::Algorithm;
use crate::kms::key_spec::KeySpec;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

/// An asymmetric key for signing, with the names it answers to.
pub struct Key {
    id: String,
    aliases: Vec<String>,
    pair: KeyMaterial,
    pkcs8: Vec<u8>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic library failed to make one.
    #[error("the key could not be made")]
    GenerationFailed,
    /// What was to be loaded is not the PKCS#8 of a P-256 key, nor of an RSA key of 2048 bits.
    #[error("not the PKCS#8 of a P-256 or RSA-2048 key")]
    InvalidPkcs8,
}

enum KeyMaterial {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Key {
    /// A new key named `id`, a UUID by custom.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn generate(spec: KeySpec, id: impl Into<String>) -> Result<Self, KeyError> {
        let pkcs8 = match spec {
            KeySpec::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map(|der| der.as_ref().to_vec())),
            KeySpec::EccNistP256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1().map(|der| der.as_ref().to_vec())),
        };
        Self::from_pkcs8(id, &pkcs8.map_err(|Unspecified| KeyError::GenerationFailed)?)
    }

    /// The key that [`Key::to_pkcs8`] gave out, under the name it had.
    ///
    /// # Errors
    /// When `der` is not such a key.
    pub fn from_pkcs8(id: impl Into<String>, der: &[u8]) -> Result<Self, KeyError> {
        let pair = match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            Ok(pair) => KeyMaterial::Ecdsa(pair),
            Err(_) => match RsaKeyPair::from_pkcs8(der) {
                Ok(pair) if pair.public_modulus_len() == 256 => KeyMaterial::Rsa(pair),
                Ok(_) | Err(_) => return Err(KeyError::InvalidPkcs8),
            },
        };
        Ok(Self { id: id.into(), aliases: Vec::new(), pair, pkcs8: der.to_vec() })
    }

    /// Answers to this alias too (`alias/…`).
    #[must_use]
    pub fn aliased(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// The private key as PKCS#8 in DER, for keeping.
    #[must_use]
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The id it was given.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The ARN that answers carry as `KeyId`.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("{ARN_PREFIX}key/{}", self.id)
    }

    /// What kind of key it is.
    #[must_use]
    pub fn spec(&self) -> KeySpec {
        match self.pair {
            KeyMaterial::Rsa(_) => KeySpec::Rsa2048,
            KeyMaterial::Ecdsa(_) => KeySpec::EccNistP256,
        }
    }

    pub(super) fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1).
    pub(super) fn spki(&self) -> Result<Vec<u8>, Unspecified> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            KeyMaterial::Rsa(pair) => pair.public_key().as_der()?,
            KeyMaterial::Ecdsa(pair) => pair.public_key().as_der()?,
        };
        Ok(der.as_ref().to_vec())
    }

    pub(super) fn sign(&self, algorithm: Algorithm, digest: &Digest) -> Result<Vec<u8>, Unspecified> {
        match (&self.pair, algorithm.rsa_encoding()) {
            (KeyMaterial::Rsa(pair), Some(encoding)) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(encoding, digest, &mut signature)?;
                Ok(signature)
            }
            (KeyMaterial::Ecdsa(pair), None) => Ok(pair.sign_digest(digest)?.as_ref().to_vec()),
            (KeyMaterial::Rsa(_), None) | (KeyMaterial::Ecdsa(_), Some(_)) => Err(Unspecified),
        }
    }
}

/// Every ARN here begins so: the account is the one of AWS's own examples.
pub(super) const ARN_PREFIX: &str = "arn:aws:kms:us-east-1:111122223333:";
