//! Limits by address (GoTrue `internal/api/middleware.go`, `apilimiter`): one bucket per route and address.

use crate::supabase::error::SupabaseError;
use crate::supabase::gateway::FORWARDED_FOR;
use crate::supabase::rate_limit_bucket::RateLimitBucket;
use crate::supabase::state::State;
use axum::http::HeaderMap;
use std::net::IpAddr;

impl State {
    /// Takes one from the bucket of this route and address. Without an address there is no limit.
    pub(super) fn limit(&mut self, route: &'static str, headers: &HeaderMap, now: i64) -> Result<(), SupabaseError> {
        if self.rate_limited {
            return Err(SupabaseError::RateLimited);
        }
        let (Some(burst), Some(address)) = (self.config.burst, self.address(headers)) else { return Ok(()) };
        let bucket = self.buckets.entry((route, address)).or_insert(RateLimitBucket { left: burst, filled_at: now });
        let refilled = u32::try_from((now - bucket.filled_at) / seconds_for_one(route)).unwrap_or(0);
        if refilled > 0 {
            *bucket = RateLimitBucket { left: bucket.left.saturating_add(refilled).min(burst), filled_at: now };
        }
        bucket.left = bucket.left.checked_sub(1).ok_or(SupabaseError::RateLimited)?;
        Ok(())
    }

    /// Where a request comes from: what a holder of the secret key says of it, if the project takes that (GoTrue `internal/sbff`), else the
    /// first of `X-Forwarded-For`, which the gateway sets.
    pub(super) fn address(&self, headers: &HeaderMap) -> Option<String> {
        let first = |name| {
            let header = headers.get(name)?.to_str().ok()?;
            header.split(',').next().map(str::trim).filter(|first| !first.is_empty()).map(str::to_owned)
        };
        let forwarded = self.config.forwarded_for_enabled.then(|| first(FORWARDED_FOR)).flatten();
        let forwarded = forwarded.and_then(|address| address.parse::<IpAddr>().ok());
        forwarded.map_or_else(|| first("x-forwarded-for"), |address| Some(address.to_string()))
    }
}

/// `RATE_LIMIT_TOKEN_REFRESH` is 150 in five minutes, the others are 30.
fn seconds_for_one(route: &str) -> i64 {
    if route == "/token" { 2 } else { 10 }
}
