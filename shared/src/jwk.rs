//! Public keys as others publish them (RFC 7517), and the signatures that they verify.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// The algorithms that we verify signatures of others by (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl SigningAlgorithm {
    /// As metadata announce them.
    pub const ALL: [Self; 2] = [Self::Rs256, Self::Es256];

    /// Its name in a header or in metadata, if we verify it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// A public key that signs: RSA of 2048 to 8192 bits for RS256, or P-256 for ES256. Each is for nothing else.
///
/// It holds the members that are used, and none of a private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(flatten)]
    material: KeyParameters,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
enum KeyParameters {
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl Jwk {
    /// From a member of a set, if it is such a key.
    #[must_use]
    pub fn parse(jwk: &Value) -> Option<Self> {
        /// Longer than any name of a key. A set is kept with its client, and anybody can have it fetched and kept anew.
        const MAX_KID: usize = 256;
        /// An exponent of 64 bits, in base64url.
        const MAX_EXPONENT: usize = 11;
        let parsed = Self::deserialize(jwk).ok()?;
        let algorithm = parsed.algorithm();
        let signs = parsed.alg.as_deref().is_none_or(|alg| alg == algorithm.as_str())
            && parsed.usage.as_deref().is_none_or(|usage| usage == "sig");
        let right = match &parsed.material {
            KeyParameters::Ec { crv, .. } => crv == "P-256",
            KeyParameters::Rsa { n, e } => {
                e.len() <= MAX_EXPONENT && (256..=1024).contains(&URL_SAFE_NO_PAD.decode(n).ok()?.len())
            }
        };
        let named = parsed.kid.as_ref().is_none_or(|kid| kid.len() <= MAX_KID);
        (signs && right && named && parsed.decoding_key().is_some()).then_some(parsed)
    }

    /// Its name in its set.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it verifies. The key decides the algorithm, never a token.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        match self.material {
            KeyParameters::Ec { .. } => SigningAlgorithm::Es256,
            KeyParameters::Rsa { .. } => SigningAlgorithm::Rs256,
        }
    }

    /// Whether `signature`, in base64url, is its signature of `message`.
    #[must_use]
    pub fn verifies(&self, message: &str, signature: &str) -> bool {
        let algorithm = match self.algorithm() {
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            SigningAlgorithm::Es256 => Algorithm::ES256,
        };
        self.decoding_key()
            .is_some_and(|key| crypto::verify(signature, message.as_bytes(), &key, algorithm).unwrap_or(false))
    }

    fn decoding_key(&self) -> Option<DecodingKey> {
        match &self.material {
            KeyParameters::Ec { x, y, .. } => DecodingKey::from_ec_components(x, y).ok(),
            KeyParameters::Rsa { n, e } => DecodingKey::from_rsa_components(n, e).ok(),
        }
    }
}

/// A JWK set (RFC 7517 §5): those of its keys that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

/// Why a set cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum JwkSetError {
    /// No object with an array `keys`.
    #[error("it is not a JWK set")]
    NotASet,
    /// A private key in public proves nobody's identity.
    #[error("it contains a private key")]
    PrivateKey,
    /// None of its keys can be used.
    #[error("it has no RSA key of 2048 bits or more and no P-256 key that signs")]
    NoKey,
}

impl JwkSet {
    /// Of a larger set, the first keys are used. A client needs two while one replaces the other.
    const MAX_KEYS: usize = 8;

    /// From a document. A key of another kind makes the others no less usable.
    ///
    /// # Errors
    /// When it is no set, holds a private key, or no key that can be used.
    pub fn parse(document: &Value) -> Result<Self, JwkSetError> {
        let keys = document.get("keys").and_then(Value::as_array).ok_or(JwkSetError::NotASet)?;
        if holds_private_key(document) {
            return Err(JwkSetError::PrivateKey);
        }
        let keys: Vec<_> = keys.iter().filter_map(Jwk::parse).take(Self::MAX_KEYS).collect();
        if keys.is_empty() { Err(JwkSetError::NoKey) } else { Ok(Self { keys }) }
    }

    /// Its keys, in their order.
    #[must_use]
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }
}

/// Whether a set holds what must not be published: the private members of RSA, elliptic-curve and symmetric keys (RFC 7518 §6).
#[must_use]
pub fn holds_private_key(set: &Value) -> bool {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let keys = set.get("keys").and_then(Value::as_array);
    keys.is_some_and(|keys| keys.iter().any(|key| PRIVATE.iter().any(|name| key.get(name).is_some())))
}
