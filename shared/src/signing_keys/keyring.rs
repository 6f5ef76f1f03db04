//! The public halves of the signing keys.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use spki::der::Decode;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::der::two_integers;
use crate::oauth::secret::to_text;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// Keys by their names at KMS: ids, ARNs or aliases. The first signs.
#[derive(Clone)]
pub struct Keyring {
    pub(super) kms: aws_sdk_kms::Client,
    first: String,
    others: Vec<String>,
}

/// The public keys: the one that signs, and the others.
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
    pub(super) async fn fetch_first(&self) -> Result<PublicKey, UpstreamError> {
        self.fetch_one(&self.first).await
    }

    async fn fetch_one(&self, name: &str) -> Result<PublicKey, UpstreamError> {
        const CALL: &str = "KMS.GetPublicKey";
        let answer = self.kms.get_public_key().key_id(name).send().await;
        let answer = answer.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let spki = answer.public_key().ok_or_else(|| upstream_call::failed(CALL, "KMS returned no public key"))?;
        PublicKey::from_spki(spki.as_ref())
            .ok_or_else(|| upstream_call::failed(CALL, "the public key is neither RSA nor P-256"))
    }
}

impl PublicKeys {
    /// Each key, the one that signs first.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.iter().find(|key| key.jwk.kid == kid)
    }
}

impl PublicKey {
    /// From `SubjectPublicKeyInfo`.
    fn from_spki(spki: &[u8]) -> Option<Self> {
        /// RFC 5480 §2.1.1.
        const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
        /// RFC 5480 §2.1.1.1.
        const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
        /// RFC 8017 A.1.
        const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

        let spki = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
        let key = spki.subject_public_key.as_bytes()?;
        if spki.algorithm.oid == EC_PUBLIC_KEY && spki.algorithm.parameters_oid().is_ok_and(|curve| curve == P256) {
            // Uncompressed (SEC 1 §2.3.3).
            let (x, y) = key.strip_prefix(&[4])?.split_at_checked(32)?;
            let material = KeyParameters::Ec { crv: "P-256", kty: "EC", x: to_text(x), y: to_text(y) };
            let decoding = DecodingKey::from_ec_components(&to_text(x), &to_text(y)).ok()?;
            return Self::of(material, "ES256", Algorithm::ES256, decoding);
        }
        if spki.algorithm.oid == RSA_ENCRYPTION {
            let [n, e] = two_integers(key)?;
            let material = KeyParameters::Rsa { e: to_text(e), kty: "RSA", n: to_text(n) };
            return Self::of(material, "RS256", Algorithm::RS256, DecodingKey::from_rsa_raw_components(n, e));
        }
        None
    }

    fn of(material: KeyParameters, alg: &'static str, algorithm: Algorithm, decoding: DecodingKey) -> Option<Self> {
        let kid = to_text(&Sha256::digest(serde_json::to_string(&material).ok()?));
        Some(Self { jwk: Jwk { kid, alg, usage: "sig", material }, algorithm, decoding })
    }
}
