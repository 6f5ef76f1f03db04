//! The public halves of the signing keys.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::der::{BIT_STRING, Der, SEQUENCE};
use crate::fault::Fault;
use crate::oauth::secret::to_text;

/// Keys by their names at KMS: ids, ARNs or aliases, separated by commas.
pub struct Keyring {
    kms: aws_sdk_kms::Client,
    names: String,
}

/// All keys that verify, the one that signs first.
pub struct PublicKeys(Vec<PublicKey>);

/// A key that verifies.
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
    material: Material,
}

/// The members in the order in which RFC 7638 §3.2 hashes them.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Material {
    Rsa { e: String, kty: &'static str, n: String },
    Ec { crv: &'static str, kty: &'static str, x: String, y: String },
}

impl Keyring {
    pub(crate) const fn new(kms: aws_sdk_kms::Client, names: String) -> Self {
        Self { kms, names }
    }

    /// Fetches the public half of each.
    ///
    /// # Errors
    /// As [`PublicKeys::fetch`].
    pub async fn fetch(&self) -> Result<PublicKeys, Fault> {
        let mut keys = Vec::new();
        for name in self.names.split(',').map(str::trim) {
            keys.push(PublicKeys::fetch(&self.kms, name).await?);
        }
        Ok(PublicKeys(keys))
    }
}

impl PublicKeys {
    /// Fetches one key from KMS by id, ARN or alias.
    ///
    /// # Errors
    /// When KMS does not give it, or it is neither RSA nor P-256.
    pub async fn fetch(kms: &aws_sdk_kms::Client, name: &str) -> Result<PublicKey, Fault> {
        const CALL: &str = "KMS.GetPublicKey";
        let answer = kms.get_public_key().key_id(name).send().await.map_err(|error| Fault::of_aws(CALL, &error))?;
        let spki = answer.public_key().ok_or_else(|| Fault::new(CALL, "no key in the answer"))?;
        PublicKey::from_spki(spki.as_ref()).ok_or_else(|| Fault::new(CALL, "neither an RSA nor a P-256 key"))
    }

    /// Each key, the one that signs first.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter()
    }

    pub(super) fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.jwk.kid == kid)
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
                let material = Material::Ec { crv: "P-256", kty: "EC", x: to_text(x), y: to_text(y) };
                let decoding = DecodingKey::from_ec_components(&to_text(x), &to_text(y)).ok()?;
                Self::of(material, "ES256", Algorithm::ES256, decoding)
            }
            RSA_ENCRYPTION => {
                let mut key = Der::new(Der::new(bits).next(SEQUENCE)?);
                let (n, e) = (key.next_unsigned()?, key.next_unsigned()?);
                let material = Material::Rsa { e: to_text(e), kty: "RSA", n: to_text(n) };
                let decoding = DecodingKey::from_rsa_raw_components(n, e);
                Self::of(material, "RS256", Algorithm::RS256, decoding)
            }
            _ => None,
        }
    }

    fn of(material: Material, alg: &'static str, algorithm: Algorithm, decoding: DecodingKey) -> Option<Self> {
        let kid = to_text(&Sha256::digest(serde_json::to_string(&material).ok()?));
        Some(Self { jwk: Jwk { kid, alg, usage: "sig", material }, algorithm, decoding })
    }
}
