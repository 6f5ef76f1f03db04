//! Unix seconds as GoTrue writes them.

use time::OffsetDateTime;

/// RFC 3339 in UTC. Seconds beyond the year 9999 show as the epoch: no clock of ours goes there.
pub(super) fn rfc3339(at: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
