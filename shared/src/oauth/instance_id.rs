//! The id of one life of a membership or a tenant. Whoever is removed and added again has another one.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::oauth::secret::{Secret, from_text, to_text};

/// The id of one life of a membership or a tenant: 16 random bytes, so that none ever comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstanceId([u8; 16]);

impl InstanceId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(*Secret::random().expose())
    }

    /// From the table.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// For the table.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From the text of [`Self::to_text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_text(text).map(Self)
    }

    /// For the audit, and for forms.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(&self.0)
    }
}

impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}
