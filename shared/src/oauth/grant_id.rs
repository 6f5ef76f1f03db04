//! The id of a grant, which its code and its tokens carry.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::oauth::secret::{Secret, from_text, to_text};

/// The id of a grant: 16 random bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(*Secret::<16>::random().expose())
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
