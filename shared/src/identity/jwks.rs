//! The project's public keys, kept per process.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::access_token::{Key, Token};
use super::supabase::{Ask, Supabase};
use crate::clock::Timestamp;
use crate::fault::Fault;

/// The keys as last fetched.
#[derive(Default)]
pub(super) struct Jwks {
    set: Option<Set>,
    tried: Option<Timestamp>,
    /// A key that is not among them, and when Supabase last vouched for a token of it.
    vouched: Option<(String, Timestamp)>,
}

/// What is known of a key.
pub(super) enum Found {
    /// The project publishes it.
    Key(Key),
    /// Supabase alone knows what a token of it is worth. `vouched`: it has said lately that one of this key is good, or no
    /// key of this kind is ever published.
    Unpublished { vouched: bool },
    /// It is nobody's.
    None,
}

struct Set {
    /// By id; without what it takes to verify, if it is of a kind that we do not know.
    keys: Vec<(String, Option<Key>)>,
    fetched: Timestamp,
}

impl Jwks {
    /// As long as the documentation lets one keep them.
    const FRESH: Duration = Duration::from_mins(10);
    /// For how long old keys serve while new ones cannot be fetched. A key that was revoked meanwhile serves as long.
    const STALE: Duration = Duration::from_hours(1);
    /// Between two fetches: tokens with made-up key ids must not turn us on Supabase.
    const PAUSE: Duration = Duration::from_secs(30);

    /// What is known of the key that `token` names. Supabase is asked only where nobody else can know: about tokens of a
    /// shared secret, which is never published, though the keys that will replace it are; and about a key that is not
    /// published where we look, which may be newer than our last fetch.
    pub(super) async fn find(&mut self, at: &Supabase, token: &Token<'_>, now: Timestamp) -> Result<Found, Fault> {
        let mut fetched = false;
        if self.set.as_ref().is_none_or(|set| now.since(set.fetched) >= Self::FRESH) {
            fetched = self.refetch(at, now).await?;
        }
        if token.is_of_a_secret() {
            let is_published = token.kid().is_some_and(|kid| self.key(kid).is_some());
            return Ok(if is_published { Found::None } else { Found::Unpublished { vouched: true } });
        }
        let Some(kid) = token.kid() else { return Ok(Found::None) };
        if self.key(kid).is_none() && !fetched {
            self.refetch(at, now).await?;
        }
        let vouched = self.vouched.as_ref().is_some_and(|(of, at)| of == kid && now.since(*at) < Self::STALE);
        Ok(match self.key(kid) {
            Some(Some(key)) => Found::Key(key.clone()),
            Some(None) => Found::Unpublished { vouched: true },
            None => Found::Unpublished { vouched },
        })
    }

    /// Remembers that Supabase knows the key that `token` names, if it is not published yet.
    pub(super) fn vouch(&mut self, token: &Token<'_>, now: Timestamp) {
        if let Some(kid) = token.kid().filter(|kid| !token.is_of_a_secret() && self.key(kid).is_none()) {
            self.vouched = Some((kid.to_owned(), now));
        }
    }

    /// Fetches, unless that was just tried; whether it did. A failure is one only when there is nothing to go on with.
    async fn refetch(&mut self, at: &Supabase, now: Timestamp) -> Result<bool, Fault> {
        let usable = self.set.as_ref().is_some_and(|set| now.since(set.fetched) < Self::STALE);
        if usable && self.tried.is_some_and(|tried| now.since(tried) < Self::PAUSE) {
            return Ok(false);
        }
        self.tried = Some(now);
        match fetch(at).await {
            Ok(keys) => self.set = Some(Set { keys, fetched: now }),
            Err(fault) if usable => tracing::warn!(%fault, "old keys serve on"),
            Err(fault) => return Err(fault),
        }
        Ok(true)
    }

    fn key(&self, kid: &str) -> Option<&Option<Key>> {
        self.set.as_ref()?.keys.iter().find(|(known, _)| known == kid).map(|(_, key)| key)
    }
}

async fn fetch(at: &Supabase) -> Result<Vec<(String, Option<Key>)>, Fault> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<Value>,
    }
    const CALL: &str = "Supabase.Jwks";
    let answer = at.ask(Ask::get(CALL, "/.well-known/jwks.json")).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.fault(CALL));
    }
    // A key of a kind that we do not know must not cost us the others.
    let listed = |jwk: Value| {
        let kid = jwk.get("kid")?.as_str()?.to_owned();
        Some((kid, key(jwk).map(|(_, key)| key)))
    };
    Ok(answer.read::<Document>(CALL)?.keys.into_iter().filter_map(listed).collect())
}

/// A P-256 key for ES256 or an RSA key of 2048 bits or more for RS256, each for nothing else.
pub(super) fn key(jwk: Value) -> Option<(String, Key)> {
    #[derive(Deserialize)]
    struct Named {
        kid: String,
        alg: Option<String>,
        #[serde(rename = "use")]
        usage: Option<String>,
        #[serde(flatten)]
        material: Material,
    }
    #[derive(Deserialize)]
    #[serde(tag = "kty")]
    enum Material {
        #[serde(rename = "EC")]
        Ec { crv: String, x: String, y: String },
        #[serde(rename = "RSA")]
        Rsa { n: String, e: String },
    }
    let named: Named = serde_json::from_value(jwk).ok()?;
    let (name, algorithm, decoding) = match &named.material {
        Material::Ec { crv, x, y } if crv == "P-256" => {
            ("ES256", Algorithm::ES256, DecodingKey::from_ec_components(x, y).ok()?)
        }
        Material::Rsa { n, e } if URL_SAFE_NO_PAD.decode(n).ok()?.len() >= 256 => {
            ("RS256", Algorithm::RS256, DecodingKey::from_rsa_components(n, e).ok()?)
        }
        _ => return None,
    };
    let agrees = named.alg.is_none_or(|alg| alg == name) && named.usage.is_none_or(|usage| usage == "sig");
    agrees.then_some((named.kid, Key { algorithm, decoding }))
}
