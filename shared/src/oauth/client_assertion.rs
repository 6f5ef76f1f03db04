//! Client assertions: a client proves itself by a JWT that it signs, `private_key_jwt` (RFC 7523 §2.2 and §3).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::jwk::{Jwk, SigningAlgorithm};
use crate::oauth::client_keys::ClientKeys;
use crate::oauth::issuer::Issuer;
use crate::oauth::secret::Digest;
use crate::strict_json;

/// The only `client_assertion_type` that we know.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far ahead the expiry of an assertion may be.
const MAX_LIFETIME: Duration = Duration::from_hours(1);
/// How far the clock of a client may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// An assertion as a client sends it, not verified.
pub struct ClientAssertion {
    algorithm: SigningAlgorithm,
    kid: Option<String>,
    message: String,
    signature: String,
    claims: AssertionClaims,
}

/// Its claims (RFC 7523 §3), in their right types.
struct AssertionClaims {
    iss: String,
    sub: String,
    /// A string, or an array of exactly one: an assertion for another server besides is good there too.
    aud: String,
    exp: Timestamp,
    nbf: Option<Timestamp>,
    iat: Option<Timestamp>,
    jti: String,
}

/// The audiences that an assertion may name: both say that it is for us.
pub struct AssertionAudiences {
    issuer: String,
    token_endpoint: String,
}

/// Which of them it named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionAudience {
    /// The issuer.
    Issuer,
    /// The address of the token endpoint.
    TokenEndpoint,
}

/// An assertion that its client has signed, for us, now. Only [`ClientAssertion::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedAssertion {
    /// Digest of the client's id and of `jti`: it may be used once.
    pub id: Digest,
    /// When it expires. Until then its id must be remembered.
    pub expires: Timestamp,
    /// The audience that it names.
    pub audience: AssertionAudience,
}

/// Why an assertion is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AssertionError {
    /// It is not a JWT.
    #[error("the client assertion is not a JWT")]
    Malformed,
    /// Signed by an algorithm that proves nothing here, or by none.
    #[error("the client assertion is signed neither by RS256 nor by ES256")]
    Algorithm,
    /// Its header says that it is another kind of token, or has extensions that must be understood.
    #[error("the header of the client assertion is that of another token")]
    Header,
    /// A claim is missing or of another type.
    #[error("{0} of the client assertion is missing or not of the right type")]
    Claim(&'static str),
    /// `iss` and `sub` must both be the client's id.
    #[error("iss or sub of the client assertion is not the client")]
    Client,
    /// `aud` is neither the issuer nor the token endpoint, or more than that.
    #[error("aud of the client assertion is not this server alone")]
    Audience,
    /// Past its `exp`.
    #[error("the client assertion has expired")]
    Expired,
    /// `exp` is more than an hour ahead.
    #[error("exp of the client assertion is more than an hour ahead")]
    LifetimeTooLong,
    /// `nbf` or `iat` is ahead.
    #[error("the client assertion is not valid yet")]
    NotYetValid,
    /// No key of the client verifies the signature.
    #[error("no key of the client has signed the client assertion")]
    Signature,
}

impl ClientAssertion {
    /// From the wire.
    ///
    /// # Errors
    /// When it is no JWT, or not one that we could ever verify.
    pub fn parse(text: &str) -> Result<Self, AssertionError> {
        let (message, signature) = text.rsplit_once('.').ok_or(AssertionError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(AssertionError::Malformed)?;
        let (header, claims) = (members(header)?, members(claims)?);
        let text = |name: &str| header.get(name).map(|value| value.as_str().ok_or(AssertionError::Header)).transpose();
        let algorithm = text("alg")?.and_then(SigningAlgorithm::parse).ok_or(AssertionError::Algorithm)?;
        // RFC 7523 names no type. Its revision names the second.
        let is_own_type = text("typ")?
            .is_none_or(|typ| ["JWT", "client-authentication+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ)));
        if !is_own_type || header.contains_key("crit") || header.contains_key("b64") {
            return Err(AssertionError::Header);
        }
        let kid = text("kid")?.map(str::to_owned);
        let claims = AssertionClaims::parse(&claims)?;
        Ok(Self { algorithm, kid, message: message.to_owned(), signature: signature.to_owned(), claims })
    }

    /// The id of the client that it says it is of.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// Checks everything but the signature: what it says by itself.
    ///
    /// # Errors
    /// When it is not for us, not of that client, or not valid now.
    fn check_claims(
        &self,
        client: &str,
        audiences: &AssertionAudiences,
        now: Timestamp,
    ) -> Result<AssertionAudience, AssertionError> {
        let AssertionClaims { iss, sub, aud, exp, nbf, iat, .. } = &self.claims;
        if iss != client || sub != client {
            return Err(AssertionError::Client);
        }
        let audience = audiences.find(aud).ok_or(AssertionError::Audience)?;
        if *exp <= now {
            return Err(AssertionError::Expired);
        }
        if *exp > now.plus(MAX_LIFETIME) {
            return Err(AssertionError::LifetimeTooLong);
        }
        if [nbf, iat].into_iter().flatten().any(|from| *from > now.plus(CLOCK_SKEW)) {
            return Err(AssertionError::NotYetValid);
        }
        Ok(audience)
    }

    /// Whether one of `keys` that can be used now has signed it: that which it names, if it names one.
    fn is_signed_by(&self, keys: &ClientKeys, now: Timestamp) -> bool {
        let fits = |key: &&Jwk| {
            key.algorithm() == self.algorithm && self.kid.as_deref().is_none_or(|kid| key.kid() == Some(kid))
        };
        keys.usable(now).filter(fits).any(|key| key.verifies(&self.message, &self.signature))
    }

    /// Verifies it as an assertion of `client`, which has `keys`.
    ///
    /// # Errors
    /// With the first condition that is not met.
    pub fn verify(
        &self,
        client: &str,
        keys: &ClientKeys,
        audiences: &AssertionAudiences,
        now: Timestamp,
    ) -> Result<VerifiedAssertion, AssertionError> {
        let audience = self.check_claims(client, audiences, now)?;
        if !self.is_signed_by(keys, now) {
            return Err(AssertionError::Signature);
        }
        // No client's id contains a zero.
        let id = Digest::of(&[client.as_bytes(), &[0], self.claims.jti.as_bytes()].concat());
        Ok(VerifiedAssertion { id, expires: self.claims.exp, audience })
    }
}

/// It is as good as a secret until it is used.
impl fmt::Debug for ClientAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAssertion(…)")
    }
}

impl AssertionClaims {
    fn parse(claims: &Map<String, Value>) -> Result<Self, AssertionError> {
        let text = |name: &'static str| match claims.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            _ => Err(AssertionError::Claim(name)),
        };
        let time = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            Some(value) => seconds(value).map(Some).ok_or(AssertionError::Claim(name)),
        };
        let aud = match claims.get("aud") {
            Some(Value::String(one)) => one.clone(),
            Some(Value::Array(several)) => match several.as_slice() {
                [Value::String(one)] => one.clone(),
                _ => return Err(AssertionError::Audience),
            },
            _ => return Err(AssertionError::Claim("aud")),
        };
        Ok(Self {
            iss: text("iss")?,
            sub: text("sub")?,
            aud,
            exp: time("exp")?.ok_or(AssertionError::Claim("exp"))?,
            nbf: time("nbf")?,
            iat: time("iat")?,
            jti: text("jti")?,
        })
    }
}

impl AssertionAudiences {
    /// Those of the authorization server `issuer`.
    #[must_use]
    pub fn of(issuer: &Issuer) -> Self {
        Self { issuer: issuer.to_string(), token_endpoint: issuer.at("/oauth/token") }
    }

    fn find(&self, aud: &str) -> Option<AssertionAudience> {
        if aud == self.issuer {
            Some(AssertionAudience::Issuer)
        } else if aud == self.token_endpoint {
            Some(AssertionAudience::TokenEndpoint)
        } else {
            None
        }
    }
}

impl AssertionAudience {
    /// For the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::TokenEndpoint => "token_endpoint",
        }
    }
}

/// The members of a part, each once.
fn members(part: &str) -> Result<Map<String, Value>, AssertionError> {
    const DEPTH: u8 = 4;
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| AssertionError::Malformed)?;
    match strict_json::value(&bytes, DEPTH) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(AssertionError::Malformed),
    }
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction.
fn seconds(value: &Value) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "a number that is too large becomes the largest")]
    let whole = |number: f64| number.floor() as i64;
    value.as_i64().or_else(|| value.as_f64().map(whole)).map(Timestamp::from_seconds)
}
