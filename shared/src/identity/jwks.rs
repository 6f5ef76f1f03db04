//! The project's public keys, kept per process.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::access_token::Token;
use super::supabase::{Supabase, SupabaseRequest};
use crate::clock::Timestamp;
use crate::jwk::Jwk;
use crate::upstream_error::UpstreamError;

const CALL: &str = "Supabase.Jwks";

/// The keys as last fetched.
#[derive(Default)]
pub(super) struct Jwks {
    set: Option<Set>,
    tried: Option<Timestamp>,
}

/// The state of a key.
pub(super) enum KeyLookup {
    /// The project publishes it.
    Key(Jwk),
    /// Only Supabase can verify a token of it.
    Unpublished,
    /// It is no key of the project.
    Unknown,
}

struct Set {
    /// Keys by id. A key of an unknown kind has no value.
    keys: Vec<(String, Option<Jwk>)>,
    fetched: Timestamp,
}

impl Jwks {
    /// How long keys are cached: as long as Supabase's documentation allows.
    const FRESH: Duration = Duration::from_mins(10);
    /// How long old keys are used while new ones cannot be fetched. A key that was revoked meanwhile is
    /// accepted for as long.
    const STALE: Duration = Duration::from_hours(1);
    /// The least time between two fetches: tokens with forged key ids must not make us flood Supabase.
    const PAUSE: Duration = Duration::from_secs(30);
    /// The same while there are no usable keys, and everybody waits for them.
    const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);

    /// The state of the key that `token` names. Supabase has to verify two kinds of tokens: those signed with
    /// a shared secret, which is never published, and those of a key that is not published yet or newer than
    /// our last fetch.
    pub(super) async fn find(
        &mut self,
        supabase: &Supabase,
        token: &Token<'_>,
        now: Timestamp,
    ) -> Result<KeyLookup, UpstreamError> {
        let mut fetched = false;
        if self.set.as_ref().is_none_or(|set| now.since(set.fetched) >= Self::FRESH) {
            fetched = self.refetch(supabase, now).await?;
        }
        if token.is_symmetric() {
            let is_published = token.kid().is_some_and(|kid| self.key(kid).is_some());
            return Ok(if is_published { KeyLookup::Unknown } else { KeyLookup::Unpublished });
        }
        let Some(kid) = token.kid() else { return Ok(KeyLookup::Unknown) };
        if self.key(kid).is_none() && !fetched {
            self.refetch(supabase, now).await?;
        }
        Ok(match self.key(kid) {
            Some(Some(key)) => KeyLookup::Key(key.clone()),
            Some(None) | None => KeyLookup::Unpublished,
        })
    }

    /// Fetches the keys, unless a fetch was just tried. Whether it did. A failure is an error only when there
    /// are no old keys, and so is not to fetch.
    async fn refetch(&mut self, supabase: &Supabase, now: Timestamp) -> Result<bool, UpstreamError> {
        let usable = self.set.as_ref().is_some_and(|set| now.since(set.fetched) < Self::STALE);
        let pause = if usable { Self::PAUSE } else { Self::PAUSE_WITHOUT_KEYS };
        if self.tried.is_some_and(|tried| now.since(tried) < pause) {
            return if usable {
                Ok(false)
            } else {
                // The failure is counted already, and no stranger has caused it.
                Err(UpstreamError::new(CALL, "the keys could not be fetched a moment ago"))
            };
        }
        self.tried = Some(now);
        match fetch(supabase).await {
            Ok(keys) => self.set = Some(Set { keys, fetched: now }),
            Err(error) if usable => tracing::warn!(%error, "old keys serve on"),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn key(&self, kid: &str) -> Option<&Option<Jwk>> {
        self.set.as_ref()?.keys.iter().find(|(known, _)| known == kid).map(|(_, key)| key)
    }
}

async fn fetch(supabase: &Supabase) -> Result<Vec<(String, Option<Jwk>)>, UpstreamError> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<Value>,
    }
    let answer = supabase.send(SupabaseRequest::get(CALL, "/.well-known/jwks.json")).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.upstream_error(CALL));
    }
    // A key of an unknown kind must not make the others unusable.
    let listed = |jwk: Value| {
        let kid = jwk.get("kid")?.as_str()?.to_owned();
        Some((kid, Jwk::parse(&jwk)))
    };
    Ok(answer.json::<Document>(CALL)?.keys.into_iter().filter_map(listed).collect())
}
