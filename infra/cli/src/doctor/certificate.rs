//! The certificate: until when it holds. That is all that is read of one, by hand, as whether it is to be trusted is rustls' to say.

use std::time::Duration;

use shared::clock::Timestamp;

use super::finding::Check;

const RENEWAL: &str = "ACM renews by itself while the record that proves the domain is in its DNS: look at the certificate's renewal status \
                       (`aws acm describe-certificate`). One that was imported: import its successor.";
/// ACM renews sixty days before the end: what it has not done three weeks before needs somebody.
const SOON: Duration = Duration::from_hours(21 * 24);

/// Says until when the certificate of `host` holds, and that this is soon.
pub(super) fn check_expiry(host: &str, expires: Option<String>, now: Timestamp, check: &mut Check) {
    match expires {
        Some(expires) if expires < now.plus(SOON).to_rfc3339() => check.weak(
            "certificate_expires",
            format!("the certificate of {host} holds until {expires}"),
            "From then on Claude connects to nothing here.",
            RENEWAL,
        ),
        Some(expires) => check.observed(format!("certificate until {expires}")),
        None => check.skip("the certificate does not say until when it holds"),
    }
}

/// The certificate of `host` holds no longer.
pub(super) fn find_expired(host: &str, check: &mut Check) {
    check.broken(
        "certificate_expired",
        format!("the certificate of {host} holds no longer"),
        "Claude connects to nothing that it cannot verify.",
        RENEWAL,
    );
}

/// `notAfter` of a certificate in DER, in RFC 3339 (RFC 5280 §4.1.2.5): texts that sort as the times do. Nothing if it is none.
pub(crate) fn expires(der: &[u8]) -> Option<String> {
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(der)?;
    let (_, signed, _) = element(certificate)?;
    // The version may be left out; then come serial number, algorithm, issuer and validity.
    let (tag, _, after_version) = element(signed)?;
    let mut rest = if tag == VERSION { after_version } else { signed };
    for _ in 0..3 {
        (_, _, rest) = element(rest)?;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    rfc3339(tag, std::str::from_utf8(time).ok()?)
}

/// RFC 5280 §4.1.2.5.1 and .2: both in UTC with seconds; years of two digits are of 1950 to 2049.
fn rfc3339(tag: u8, time: &str) -> Option<String> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = time.strip_suffix('Z').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    let digits = match (tag, digits.len()) {
        (UTC_TIME, 12) => format!("{}{digits}", if digits < "50" { "20" } else { "19" }),
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| digits.get(from..to);
    let (date, time) = ([part(0, 4)?, part(4, 6)?, part(6, 8)?], [part(8, 10)?, part(10, 12)?, part(12, 14)?]);
    Some(format!("{}T{}Z", date.join("-"), time.join(":")))
}

/// The first element: its tag, its content, and what follows it (X.690 §8.1, lengths in the definite form, as DER has them).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    const LONG: u8 = 0x80;
    let (&[tag, short], rest) = der.split_first_chunk()?;
    let (length, rest) = if short < LONG {
        (usize::from(short), rest)
    } else {
        let (long, rest) =
            rest.split_at_checked(usize::from(short - LONG)).filter(|(long, _)| (1..=4).contains(&long.len()))?;
        (long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_time_formats_are_read() {
        for (tag, time, expected) in [
            (0x17, "261122211724Z", Some("2026-11-22T21:17:24Z")),
            (0x17, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (0x17, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (0x18, "99991231235959Z", Some("9999-12-31T23:59:59Z")),
            (0x18, "261122211724Z", None),
            (0x17, "2611222117Z", None),
            (0x17, "261122211724+0100", None),
            (0x13, "261122211724Z", None),
        ] {
            assert_eq!(rfc3339(tag, time).as_deref(), expected, "{time}");
        }
    }

    #[test]
    fn invalid_der_has_no_expiry() {
        for der in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x05, 0x30], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x30; 64]] {
            assert_eq!(expires(der), None, "{der:?}");
        }
    }
}
