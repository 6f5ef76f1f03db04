//! As much of DER (X.690) as KMS speaks: public keys in (RFC 5280 `SubjectPublicKeyInfo`), ECDSA signatures out.

/// The rest of a DER text.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const SEQUENCE: u8 = 0x30;

impl<'a> Der<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next element, which must be a `tag`.
    pub(super) fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Two length bytes reach 64 KiB, more than any key.
            0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
            0x82 => rest.split_first_chunk().map(|(&length, rest)| (usize::from(u16::from_be_bytes(length)), rest))?,
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(content)
    }

    /// The next integer, without the zero that keeps it positive.
    pub(super) fn next_unsigned(&mut self) -> Option<&'a [u8]> {
        let content = self.next(INTEGER)?;
        Some(content.strip_prefix(&[0]).unwrap_or(content))
    }
}
