//! The project's signing keys and their life: in use, still listed, revoked; or one shared secret in the old days.

use crate::supabase::random;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use base64::{DecodeError, Engine as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The last key signs; the others verify.
#[derive(Serialize, Deserialize)]
pub(super) struct Keyring {
    keys: Vec<SigningKey>,
    shared: SharedSecret,
    shared_in_use: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(try_from = "StoredKey", into = "StoredKey")]
struct SigningKey {
    kid: Uuid,
    pkcs8: Vec<u8>,
    pair: std::sync::Arc<EcdsaKeyPair>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    kid: Uuid,
    /// Base64.
    pkcs8: String,
}

#[derive(Serialize, Deserialize)]
struct SharedSecret {
    bytes: [u8; 32],
}

impl Keyring {
    pub(super) fn new() -> Result<Self, Unspecified> {
        let shared = SharedSecret { bytes: random::bytes()? };
        Ok(Self { keys: vec![SigningKey::generate()?], shared, shared_in_use: false })
    }

    pub(super) fn rotate(&mut self) -> Result<(), Unspecified> {
        self.keys.push(SigningKey::generate()?);
        Ok(())
    }

    pub(super) fn revoke_old(&mut self) {
        self.keys.drain(..self.keys.len().saturating_sub(1));
    }

    pub(super) fn use_shared_secret(&mut self, shared: bool) {
        self.shared_in_use = shared;
    }

    /// RFC 7517. Shared secrets are never listed.
    pub(super) fn jwks(&self) -> Value {
        let listed = if self.shared_in_use { &[] } else { self.keys.as_slice() };
        json!({ "keys": listed.iter().map(SigningKey::jwk).collect::<Vec<_>>() })
    }

    /// A compact JWS (RFC 7515 §7.1).
    pub(super) fn sign(&self, claims: &Value) -> Result<String, Unspecified> {
        let key = self.keys.last().ok_or(Unspecified)?;
        // The shared secret has no id.
        let header = if self.shared_in_use {
            json!({ "alg": "HS256", "typ": "JWT" })
        } else {
            json!({ "alg": "ES256", "kid": key.kid, "typ": "JWT" })
        };
        let [header, claims] = [&header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = if self.shared_in_use {
            BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.shared.key(), message.as_bytes()))
        } else {
            BASE64_URL_SAFE_NO_PAD.encode(key.pair.sign(&SystemRandom::new(), message.as_bytes())?)
        };
        Ok(format!("{message}.{signature}"))
    }

    /// The claims of a token that one of our unrevoked keys signed, whatever they say.
    pub(super) fn verify(&self, token: &str) -> Result<Value, JwtError> {
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            return Err(JwtError::Malformed("token contains an invalid number of segments".to_owned()));
        };
        let message = token.rsplit_once('.').map_or("", |(message, _)| message).as_bytes();
        let header: Header = read("header", header)?;
        // The key decides the algorithm; the header only has to agree.
        match (header.alg.as_str(), header.kid) {
            ("HS256", None) => hmac::verify(&self.shared.key(), message, &decoded("signature", signature)?)
                .map_err(|_| JwtError::Wrong("signature is invalid".to_owned()))?,
            ("ES256", Some(kid)) => {
                let key = self.keys.iter().find(|key| key.kid == kid).ok_or(JwtError::UnknownKey)?;
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key())
                    .verify(message, &decoded("signature", signature)?)
                    .map_err(|_| JwtError::Wrong("crypto/ecdsa: verification error".to_owned()))?;
            }
            ("HS256" | "ES256", _) => return Err(JwtError::UnknownKey),
            (other, _) => return Err(JwtError::Wrong(format!("signing method {other} is invalid"))),
        }
        read("claims", claims)
    }
}

/// Why a token is none of ours, in the words of the real one.
pub(super) enum JwtError {
    Malformed(String),
    UnknownKey,
    Wrong(String),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<Uuid>,
}

fn read<T: DeserializeOwned>(name: &str, part: &str) -> Result<T, JwtError> {
    let bytes = decoded(name, part)?;
    serde_json::from_slice(&bytes)
        .map_err(|_| JwtError::Malformed(format!("could not JSON decode {name}: invalid character")))
}

fn decoded(name: &str, part: &str) -> Result<Vec<u8>, JwtError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => part.len().saturating_sub(1),
        };
        JwtError::Malformed(format!("could not base64 decode {name}: illegal base64 data at input byte {at}"))
    })
}

impl SigningKey {
    fn generate() -> Result<Self, Unspecified> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let pkcs8 = pair.to_pkcs8v1()?.as_ref().to_vec();
        Ok(Self { kid: random::uuid()?, pkcs8, pair: std::sync::Arc::new(pair) })
    }

    /// RFC 7518 §6.2.1; the point is `04 || x || y` (SEC 1 §2.3.3).
    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "kid": self.kid, "alg": "ES256", "use": "sig", "key_ops": ["verify"],
        })
    }
}

impl Clone for SigningKey {
    fn clone(&self) -> Self {
        Self { kid: self.kid, pkcs8: self.pkcs8.clone(), pair: std::sync::Arc::clone(&self.pair) }
    }
}

impl From<SigningKey> for StoredKey {
    fn from(key: SigningKey) -> Self {
        Self { kid: key.kid, pkcs8: BASE64_STANDARD.encode(key.pkcs8) }
    }
}

impl TryFrom<StoredKey> for SigningKey {
    type Error = InvalidKeyError;

    fn try_from(stored: StoredKey) -> Result<Self, InvalidKeyError> {
        let pkcs8 = BASE64_STANDARD.decode(stored.pkcs8).map_err(|_| InvalidKeyError)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).map_err(|_| InvalidKeyError)?;
        Ok(Self { kid: stored.kid, pkcs8, pair: std::sync::Arc::new(pair) })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not the PKCS#8 of a P-256 key")]
struct InvalidKeyError;

impl SharedSecret {
    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.bytes)
    }
}
