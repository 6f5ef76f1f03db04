//! A KMS key: made here, kept by whoever made it as PKCS#8.

use crate::kms::algorithm::Algorithm;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

/// An asymmetric key for signing, with the names it answers to.
pub struct Key {
    id: String,
    aliases: Vec<String>,
    pair: Pair,
    pkcs8: Vec<u8>,
}

/// What kind of key (`KeySpec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `RSA_2048`
    Rsa2048,
    /// `ECC_NIST_P256`
    EccNistP256,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// The cryptographic library failed to make one.
    #[error("the key could not be made")]
    NotMade,
    /// What was to be loaded is not the PKCS#8 of a P-256 key, nor of an RSA key of 2048 bits.
    #[error("not the PKCS#8 of a P-256 or RSA-2048 key")]
    NotOurs,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Key {
    /// A new key named `id`, a UUID by custom.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn generate(spec: Spec, id: impl Into<String>) -> Result<Self, NoKey> {
        let pkcs8 = match spec {
            Spec::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map(|der| der.as_ref().to_vec())),
            Spec::EccNistP256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1().map(|der| der.as_ref().to_vec())),
        };
        Self::from_pkcs8(id, &pkcs8.map_err(|Unspecified| NoKey::NotMade)?)
    }

    /// The key that [`Key::to_pkcs8`] gave out, under the name it had.
    ///
    /// # Errors
    /// When `der` is not such a key.
    pub fn from_pkcs8(id: impl Into<String>, der: &[u8]) -> Result<Self, NoKey> {
        let pair = match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            Ok(pair) => Pair::Ecdsa(pair),
            Err(_) => match RsaKeyPair::from_pkcs8(der) {
                Ok(pair) if pair.public_modulus_len() == 256 => Pair::Rsa(pair),
                Ok(_) | Err(_) => return Err(NoKey::NotOurs),
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
    pub fn spec(&self) -> Spec {
        match self.pair {
            Pair::Rsa(_) => Spec::Rsa2048,
            Pair::Ecdsa(_) => Spec::EccNistP256,
        }
    }

    pub(super) fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1).
    pub(super) fn spki(&self) -> Result<Vec<u8>, Unspecified> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der()?,
            Pair::Ecdsa(pair) => pair.public_key().as_der()?,
        };
        Ok(der.as_ref().to_vec())
    }

    pub(super) fn sign(&self, algorithm: Algorithm, digest: &Digest) -> Result<Vec<u8>, Unspecified> {
        match (&self.pair, algorithm.rsa_encoding()) {
            (Pair::Rsa(pair), Some(encoding)) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(encoding, digest, &mut signature)?;
                Ok(signature)
            }
            (Pair::Ecdsa(pair), None) => Ok(pair.sign_digest(digest)?.as_ref().to_vec()),
            (Pair::Rsa(_), None) | (Pair::Ecdsa(_), Some(_)) => Err(Unspecified),
        }
    }
}

impl Spec {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::EccNistP256 => "ECC_NIST_P256",
        }
    }
}

/// Every ARN here begins so: the account is the one of AWS's own examples.
pub(super) const ARN_PREFIX: &str = "arn:aws:kms:us-east-1:111122223333:";
