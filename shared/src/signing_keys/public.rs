//! The public halves of the signing keys.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::der::{BIT_STRING, Der, SEQUENCE};
use crate::oauth::secret::to_text;
use crate::upstream_error::UpstreamError;

/// Keys by their names at KMS: ids, ARNs or aliases. The first signs.
pub struct Keyring {
    pub(super) kms: aws_sdk_kms::Client,
    first: String,
    others: Vec<String>,
}

/// All keys that verify, the one that signs apart.
pub struct PublicKeys {
    first: PublicKey,
    others: Vec<PublicKey>,
}

/// A key that verifies.
#[derive(Clone)]
pub struct PublicKey {
    /// As RFC 7517 writes it.
    pub jwk: Jwk,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// A public key as a document publishes it (RFC 7517).
#[derive(Clone, Debug, Serialize)]
pub struct Jwk {
    /// Its thumbprint (RFC 7638): the same key always has the same name.
    pub kid: String,
    /// What it signs with.
    pub alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    #[serde(flatten)]
    material: KeyParameters,
}

/// The members in the order in which RFC 7638 §3.2 hashes them.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum KeyParameters {
    Rsa { e: String, kty: &'static str, n: String },
    Ec { crv: &'static str, kty: &'static str, x: String, y: String },
}

impl Keyring {
    /// Of the keys that `names` names, separated by commas.
    pub(crate) fn new(kms: aws_sdk_kms::Client, names: &str) -> Self {
        let mut names = names.split(',').map(|name| name.trim().to_owned());
        Self { kms, first: names.next().unwrap_or_default(), others: names.collect() }
    }

    pub(super) fn first(&self) -> &str {
        &self.first
    }

    /// Fetches the public half of each.
    ///
    /// # Errors
    /// When KMS does not give one, or it is neither RSA nor P-256.
    pub async fn fetch(&self) -> Result<PublicKeys, UpstreamError> {
        let (first, mut others) = (self.fetch_first().await?, Vec::new());
        for name in &self.others {
            others.push(self.fetch_one(name).await?);
        }
        Ok(PublicKeys { first, others })
    }

    /// Fetches the public half of the one that signs.
    pub(crate) async fn fetch_first(&self) -> Result<PublicKey, UpstreamError> {
        self.fetch_one(&self.first).await
    }

    async fn fetch_one(&self, name: &str) -> Result<PublicKey, UpstreamError> {
        const CALL: &str = "KMS.GetPublicKey";
        let answer = self.kms.get_public_key().key_id(name).send().await;
        let answer = answer.map_err(|error| UpstreamError::of_aws(CALL, &error))?;
        let spki = answer.public_key().ok_or_else(|| UpstreamError::new(CALL, "KMS returned no public key"))?;
        PublicKey::from_spki(spki.as_ref())
            .ok_or_else(|| UpstreamError::new(CALL, "the public key is neither RSA nor P-256"))
    }
}

impl PublicKeys {
    /// Each key, the one that signs first.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(crate) const fn first(&self) -> &PublicKey {
        &self.first
    }

    pub(super) fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.iter().find(|key| key.jwk.kid == kid)
    }
}

impl PublicKey {
    /// From `SubjectPublicKeyInfo`.
    fn from_spki(spki: &[u8]) -> Option<Self> {
        const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        const OBJECT: u8 = 0x06;

        let mut outer = Der::new(Der::new(spki).next(SEQUENCE)?);
        let mut algorithm = Der::new(outer.next(SEQUENCE)?);
        // A bit string begins with the number of bits left out at its end: none.
        let bits = outer.next(BIT_STRING)?.strip_prefix(&[0])?;
        match algorithm.next(OBJECT)? {
            EC_PUBLIC_KEY if algorithm.next(OBJECT)? == PRIME256V1 => {
                let (x, y) = bits.strip_prefix(&[4])?.split_at_checked(32)?;
                let material = KeyParameters::Ec { crv: "P-256", kty: "EC", x: to_text(x), y: to_text(y) };
                let decoding = DecodingKey::from_ec_components(&to_text(x), &to_text(y)).ok()?;
                Self::of(material, "ES256", Algorithm::ES256, decoding)
            }
            RSA_ENCRYPTION => {
                let mut key = Der::new(Der::new(bits).next(SEQUENCE)?);
                let (n, e) = (key.next_unsigned()?, key.next_unsigned()?);
                let material = KeyParameters::Rsa { e: to_text(e), kty: "RSA", n: to_text(n) };
                let decoding = DecodingKey::from_rsa_raw_components(n, e);
                Self::of(material, "RS256", Algorithm::RS256, decoding)
            }
            _ => None,
        }
    }

    fn of(material: KeyParameters, alg: &'static str, algorithm: Algorithm, decoding: DecodingKey) -> Option<Self> {
        let kid = to_text(&Sha256::digest(serde_json::to_string(&material).ok()?));
        Some(Self { jwk: Jwk { kid, alg, usage: "sig", material }, algorithm, decoding })
    }
}
