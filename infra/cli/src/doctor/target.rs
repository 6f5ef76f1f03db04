//! The URL that is looked at, in the parts that the checks need.

use url::Url;

use crate::error::CommandError;

/// The URL that people paste.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) parsed: Url,
    pub(crate) origin: String,
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, CommandError> {
        let parsed = Url::parse(url).ok().filter(|parsed| parsed.has_host() && parsed.scheme().starts_with("http"));
        let parsed = parsed
            .ok_or_else(|| CommandError::InvalidUrl(format!("{url} is no URL; give the one that people paste")))?;
        let (origin, path) = (parsed.origin().ascii_serialization(), parsed.path().trim_end_matches('/').to_owned());
        Ok(Self { url: url.to_owned(), parsed, origin, path })
    }

    /// Where the resource's metadata is: its path inserted (RFC 9728 §3.1).
    pub(crate) fn resource_metadata(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource{}", self.origin, self.path)
    }
}
