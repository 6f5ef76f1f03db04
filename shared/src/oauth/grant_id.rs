//! The id of a grant, which its code and its tokens carry.
//!
//! It follows from the confirmation by which the person approved, and does not show what that was.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::oauth::secret::{Secret, from_text, to_text};

/// The id of a grant: 16 bytes that nobody can guess.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// The id of the one grant that comes of `confirmation`, which must be random.
    #[must_use]
    pub fn confirmed_by(confirmation: &Secret<32>) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(confirmation.mac(&[b"grant id"]).expose()).for_each(|(to, from)| *to = *from);
        Self(id)
    }

    /// From the bytes inside a token.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_text(text).map(Self)
    }

    /// As text, which is also its key in the table.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(&self.0)
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl Serialize for GrantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}
