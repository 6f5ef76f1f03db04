//! Whether the project runs Supabase's own OAuth server, kept per process.
//!
//! Where it does, third parties hold access tokens that differ from those of people's sessions in `client_id` and `amr` alone, and a
//! custom access token hook may drop both. Asked only for tokens without `amr`.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::supabase::{Supabase, SupabaseRequest};
use crate::clock::Timestamp;
use crate::upstream_error::UpstreamError;

/// As last asked. Its lock is held while somebody asks: all others wait for that answer.
#[derive(Default)]
pub(super) struct OAuthServer(Mutex<Lookup>);

#[derive(Default)]
struct Lookup {
    on: Option<(bool, Timestamp)>,
    failed: Option<Timestamp>,
}

impl OAuthServer {
    const FRESH: Duration = Duration::from_hours(1);
    /// After a question without a usable answer, until the next one.
    const PAUSE: Duration = Duration::from_secs(2);

    /// Whether it is on at `now`. Only Supabase Auth itself can say that it is off.
    ///
    /// # Errors
    /// When no usable answer came.
    pub(super) async fn is_on(&self, supabase: &Supabase, now: Timestamp) -> Result<bool, UpstreamError> {
        let mut known = self.0.lock().await;
        if let Some((on, asked)) = known.on
            && now.since(asked) < Self::FRESH
        {
            return Ok(on);
        }
        if known.failed.is_some_and(|failed| now.since(failed) < Self::PAUSE) {
            return Err(UpstreamError::new(CALL, "not asked: there was no usable answer a moment ago"));
        }
        let answered = fetch_metadata(supabase).await;
        match &answered {
            Ok(on) => *known = Lookup { on: Some((*on, now)), failed: None },
            Err(_) => known.failed = Some(now),
        }
        answered
    }
}

const CALL: &str = "Supabase.OAuthServer";

async fn fetch_metadata(supabase: &Supabase) -> Result<bool, UpstreamError> {
    /// RFC 8414 §2.
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "issuer")]
        _issuer: String,
    }
    let answer = supabase.send(SupabaseRequest::get(CALL, "/.well-known/oauth-authorization-server")).await?;
    match (answer.status, answer.code.as_deref()) {
        (StatusCode::OK, _) => answer.json::<Metadata>(CALL).map(|_| true),
        (StatusCode::NOT_FOUND, Some("feature_disabled")) => Ok(false),
        _ => Err(answer.upstream_error(CALL)),
    }
}
