//! A person's account at Supabase Auth, as its admin API has it.

use http::StatusCode;
use serde::Deserialize;
use shared::clock::Timestamp;
use shared::identity::supabase::{Supabase, SupabaseRequest, SupabaseResponse};
use shared::oauth::tenant::PersonId;
use shared::upstream_call;
use shared::upstream_error::UpstreamError;

/// What is so of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    Active,
    Banned,
    Deleted,
}

const CALL: &str = "Supabase.AdminUser";

#[derive(Deserialize)]
struct User {
    id: String,
    banned_until: Option<String>,
    deleted_at: Option<String>,
}

impl Account {
    /// Only Supabase Auth itself can say that there is no such person, by its error code. A gateway that finds nothing cannot.
    pub(crate) async fn fetch(supabase: &Supabase, person: &PersonId, now: Timestamp) -> Result<Self, UpstreamError> {
        let path = format!("/admin/users/{person}");
        let answer = supabase.send(SupabaseRequest::get(CALL, &path)).await?;
        match answer.status {
            StatusCode::OK => Self::read(&answer, person, now),
            StatusCode::NOT_FOUND if answer.code.as_deref() == Some("user_not_found") => Ok(Self::Deleted),
            _ => Err(answer.upstream_error(CALL)),
        }
    }

    fn read(answer: &SupabaseResponse, person: &PersonId, now: Timestamp) -> Result<Self, UpstreamError> {
        let user: User = answer.json(CALL)?;
        if user.id != person.as_str() {
            return Err(upstream_call::failed(CALL, "the account of another person"));
        }
        if user.deleted_at.is_some_and(|at| !at.is_empty()) {
            return Ok(Self::Deleted);
        }
        let until = user.banned_until.filter(|until| !until.is_empty());
        let Some(until) = until else { return Ok(Self::Active) };
        match is_later(&until, now) {
            Some(true) => Ok(Self::Banned),
            Some(false) => Ok(Self::Active),
            None => Err(upstream_call::failed(CALL, "a time that is not in UTC")),
        }
    }
}

/// Whether a time is later than `now`; nothing if it is not written in UTC (RFC 3339), of which the first 19 characters sort as times do.
fn is_later(time: &str, now: Timestamp) -> Option<bool> {
    let (seconds, rest) = time.split_at_checked(19)?;
    let shape = |(place, byte): (usize, u8)| match place {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    let fraction = rest.trim_end_matches('Z').trim_end_matches("+00:00");
    let is_utc = rest.ends_with('Z') || rest.ends_with("+00:00");
    let is_fraction = fraction.strip_prefix('.').unwrap_or(fraction).bytes().all(|byte| byte.is_ascii_digit());
    if !is_utc || !is_fraction || !seconds.bytes().enumerate().all(shape) {
        return None;
    }
    Some(seconds > now.to_rfc3339().get(..19)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_lasts_until_its_time_in_utc() {
        // 2026-11-22T09:30:00Z
        let now = Timestamp::from_seconds(1_795_339_800);
        for (time, later) in [
            ("2126-11-22T09:30:00Z", Some(true)),
            ("2026-11-22T09:30:01.123456Z", Some(true)),
            ("2026-11-22T09:30:01+00:00", Some(true)),
            ("2026-11-22T09:30:00Z", Some(false)),
            ("2026-11-22T09:29:59.999Z", Some(false)),
            ("2026-11-22T11:30:01+02:00", None),
            ("2026-11-22 09:30:01Z", None),
            ("2026-11-22T09:30:01", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(is_later(time, now), later, "{time}");
        }
    }
}
