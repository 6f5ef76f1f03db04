//! The URL that is looked at, in the parts that the checks need.

use supabase_users::is_loopback;
use url::Url;

use crate::error::CommandError;

/// The URL that people paste.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) parsed: Url,
    pub(crate) origin: String,
    pub(crate) path: String,
    /// The address of the resource's metadata that the challenge names, if it is on another origin.
    announced: Option<String>,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, CommandError> {
        let parsed = Url::parse(url).ok().filter(|parsed| parsed.has_host() && parsed.scheme().starts_with("http"));
        let parsed = parsed
            .ok_or_else(|| CommandError::InvalidUrl(format!("{url} is no URL; give the one that people paste")))?;
        let (origin, path) = (parsed.origin().ascii_serialization(), parsed.path().trim_end_matches('/').to_owned());
        Ok(Self { url: url.to_owned(), parsed, origin, path, announced: None })
    }

    /// With the metadata where a challenge says that it is.
    pub(crate) fn announced_at(self, address: Option<String>) -> Self {
        let here = self.inserted();
        Self { announced: address.filter(|address| *address != here), ..self }
    }

    /// Where clients find the resource's metadata: where the challenge says, or else with the path inserted.
    pub(crate) fn resource_metadata(&self) -> String {
        self.announced.clone().unwrap_or_else(|| self.inserted())
    }

    /// Whether the metadata is on another origin than the resource, as the challenge says.
    pub(crate) const fn is_announced_elsewhere(&self) -> bool {
        self.announced.is_some()
    }

    /// The resource's own place for its metadata: its path inserted (RFC 9728 §3.1).
    pub(crate) fn inserted(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource{}", self.origin, self.path)
    }

    /// Whether `address` is such a place on whatever origin clients may be sent to.
    pub(crate) fn may_be_announced(&self, address: &str) -> bool {
        let Ok(url) = Url::parse(address) else { return false };
        let is_safe = url.scheme() == "https" || (is_loopback(&url) && is_loopback(&self.parsed));
        let path = format!("/.well-known/oauth-protected-resource{}", self.path);
        is_safe && url.path() == path && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
    }
}
