//! Randomness of the operating system in the shapes that GoTrue gives it.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use uuid::{Builder, Uuid};

pub(super) fn uuid() -> Result<Uuid, Unspecified> {
    Ok(Builder::from_random_bytes(bytes()?).into_uuid())
}

/// 12 characters of `[a-z0-9]`: a refresh token of the first kind.
pub(super) fn refresh_token() -> Result<String, Unspecified> {
    let mut token = String::with_capacity(12);
    while token.len() < 12 {
        let [byte] = bytes()?;
        // 252 = 7 × 36: what lies above would favour the first characters.
        if byte < 252 {
            token.extend(char::from_digit(u32::from(byte % 36), 36));
        }
    }
    Ok(token)
}

/// A code to type: 6 digits.
pub(super) fn code() -> Result<String, Unspecified> {
    Ok(format!("{:06}", u64::from_be_bytes(bytes()?) % 1_000_000))
}

pub(super) fn bytes<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)?;
    Ok(bytes)
}
