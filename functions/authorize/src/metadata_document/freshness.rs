//! How long a document is fresh: as its host says (RFC 9111 §4.2), within bounds.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName};
use shared::clock::Timestamp;

/// The minimum: many people connect at the same time, and the host should not get a request for each of them.
const MIN: Duration = Duration::from_mins(5);
/// The maximum: when a client withdraws a redirect URI, it should not work here for longer.
const MAX: Duration = Duration::from_hours(24);
/// Used when the host says nothing.
const DEFAULT: Duration = Duration::from_hours(1);

/// How long a response with these headers, received at `now`, is fresh.
pub(super) fn of(headers: &HeaderMap, now: Timestamp) -> Duration {
    let declared = max_age(headers).or_else(|| until_expires(headers, now)).unwrap_or(DEFAULT);
    let age = number(headers.get(AGE).and_then(|age| age.to_str().ok()).unwrap_or_default()).unwrap_or_default();
    declared.saturating_sub(age).clamp(MIN, MAX)
}

/// The freshness in `Cache-Control`; `None` if it has none. A value that cannot be read is stale (RFC 9111 §4.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<_> =
        values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|directive| ["no-store", "no-cache"].contains(&directive.as_str())) {
        return Some(Duration::ZERO);
    }
    let given = directives.iter().find_map(|directive| directive.strip_prefix("max-age="))?;
    Some(number(given.trim_matches('"')).unwrap_or_default())
}

/// The freshness in `Expires`, counted from `Date`; `None` without the header.
fn until_expires(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    headers.get(EXPIRES)?;
    let date = time(headers, DATE).unwrap_or(now);
    Some(time(headers, EXPIRES).map(|expires| expires.since(date)).unwrap_or_default())
}

fn number(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

fn time(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_seconds(i64::try_from(since.as_secs()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_follows_the_cache_headers() {
        const DAY: u64 = 24 * 3600;
        for (headers, seconds) in [
            (vec![], 3600),
            (vec![("cache-control", "max-age=600")], 600),
            (vec![("cache-control", "public, Max-Age=\"7200\", immutable")], 7200),
            (vec![("cache-control", "public"), ("cache-control", "max-age=900")], 900),
            (vec![("cache-control", "max-age=600"), ("age", "100")], 500),
            (vec![("cache-control", "max-age=600"), ("age", "601")], 300),
            (vec![("cache-control", "max-age=0")], 300),
            (vec![("cache-control", "max-age=1")], 300),
            (vec![("cache-control", "max-age=-1")], 300),
            (vec![("cache-control", "max-age=x")], 300),
            (vec![("cache-control", "max-age=31536000")], DAY),
            (vec![("cache-control", "max-age=99999999999999999999999")], 300),
            (vec![("cache-control", "no-store")], 300),
            (vec![("cache-control", "no-cache, max-age=7200")], 300),
            (vec![("cache-control", "max-age=600"), ("expires", "Sun, 22 Nov 2026 12:30:00 GMT")], 600),
            (vec![("cache-control", "private"), ("expires", "Sun, 22 Nov 2026 11:30:00 GMT")], 7200),
            (vec![("expires", "Sun, 22 Nov 2026 09:30:00 GMT"), ("date", "Sun, 22 Nov 2026 09:00:00 GMT")], 1800),
            (vec![("expires", "Sun, 22 Nov 2026 09:00:00 GMT")], 300),
            (vec![("expires", "Fri, 01 Jan 2100 00:00:00 GMT")], DAY),
            (vec![("expires", "0")], 300),
            (vec![("cache-control", "public")], 3600),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.append(*name, value.parse().unwrap());
            }
            let fresh = of(&map, Timestamp::from_seconds(1_795_339_800)).as_secs();
            assert_eq!(fresh, seconds, "{headers:?}");
        }
    }
}
