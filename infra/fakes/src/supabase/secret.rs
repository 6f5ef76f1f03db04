//! A value that is compared and never shown.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

/// A password, key or shared secret. It has no `Display` and no `==`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Whether `presented` is this secret; takes the same time for every wrong one.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        let [ours, theirs] = [&self.0, presented].map(|text| digest(&SHA256, text.as_bytes()));
        verify_slices_are_equal(ours.as_ref(), theirs.as_ref()).is_ok()
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
