//! Whether the project runs Supabase's own OAuth server, kept per process.
//!
//! If it does, third parties hold access tokens that differ from those of people's sessions only in
//! `client_id` and `amr`, and a custom access token hook may drop both claims. This is checked only for
//! tokens without `amr`.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::supabase::{Supabase, SupabaseRequest};
use crate::clock::Timestamp;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// The last answer. The lock is held during a call: other requests wait for its answer.
#[derive(Default)]
pub(super) struct OAuthServer(Mutex<Lookup>);

#[derive(Default)]
struct Lookup {
    on: Option<(bool, Timestamp)>,
    failed: Option<Timestamp>,
}

impl OAuthServer {
    const FRESH: Duration = Duration::from_hours(1);
    /// How long to wait after a call without a usable answer.
    const PAUSE: Duration = Duration::from_secs(2);

    /// Whether it is on at `now`. Only an answer of Supabase Auth itself counts as off.
    ///
    /// # Errors
    /// When no usable answer came.
    pub(super) async fn is_on(&self, supabase: &Supabase, now: Timestamp) -> Result<bool, UpstreamError> {
        let mut lookup = self.0.lock().await;
        if let Some((on, checked)) = lookup.on
            && now.since(checked) < Self::FRESH
        {
            return Ok(on);
        }
        if lookup.failed.is_some_and(|failed| now.since(failed) < Self::PAUSE) {
            return Err(upstream_call::failed(CALL, "there was no usable answer a moment ago"));
        }
        let answered = fetch_metadata(supabase).await;
        match &answered {
            Ok(on) => *lookup = Lookup { on: Some((*on, now)), failed: None },
            Err(_) => lookup.failed = Some(now),
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
