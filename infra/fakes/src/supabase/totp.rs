//! RFC 6238 with what every authenticator app has: HMAC-SHA-1, 30 s, 6 digits.

use crate::supabase::secret::Secret;
use aws_lc_rs::hmac;

/// What a person's authenticator and the project share.
pub struct TotpKey(hmac::Key);

impl TotpKey {
    /// `None` when the secret is not base32 (RFC 4648 §6, padding and case ignored).
    #[must_use]
    pub fn of(secret: &Secret) -> Option<Self> {
        let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
        for letter in secret.expose().trim_end_matches('=').bytes() {
            let value = match letter.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                digit @ b'2'..=b'7' => digit - b'2' + 26,
                _ => return None,
            };
            (held, bits) = ((held << 5 | u32::from(value)) & 0xfff, bits + 5);
            if bits >= 8 {
                bits -= 8;
                bytes.extend(u8::try_from(held >> bits & 0xff));
            }
        }
        (!bytes.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes)))
    }

    /// RFC 4226 §5.3 at the step of `now`, Unix seconds.
    #[must_use]
    pub fn code(&self, now: i64) -> String {
        let tag = hmac::sign(&self.0, &now.div_euclid(STEP).to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
        let truncated = tag.iter().skip(offset).take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{:06}", (truncated & 0x7fff_ffff) % 1_000_000)
    }

    /// The step of `now` and its neighbours, for clocks that differ.
    pub(super) fn accepts(&self, code: &str, now: i64) -> bool {
        [now, now - STEP, now + STEP].into_iter().any(|at| Secret::from(self.code(at)).is(code))
    }
}

/// RFC 4648 §6, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    const LETTERS: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V',
        'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
    ];
    let (mut text, mut bits, mut held) = (String::new(), 0_u32, 0_u32);
    let letter = |value: u32| LETTERS.get(usize::try_from(value & 0x1f).unwrap_or_default()).copied();
    for byte in bytes {
        (held, bits) = ((held << 8 | u32::from(*byte)) & 0xfff, bits + 8);
        while bits >= 5 {
            bits -= 5;
            text.extend(letter(held >> bits));
        }
    }
    if bits > 0 {
        text.extend(letter(held << (5 - bits)));
    }
    text
}

const STEP: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10.
    #[test]
    fn secrets_are_written_in_base32() {
        for (bytes, text) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    /// RFC 6238 appendix B, SHA-1, cut to 6 digits.
    #[test]
    fn totp_codes_match_rfc_6238() {
        let key = TotpKey::of(&Secret::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")).unwrap();

        for (at, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037"), (20_000_000_000, "353130")]
        {
            assert_eq!(key.code(at), code, "at {at}");
        }
    }
}
