//! Why a project cannot be set up.

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Anyone who can reach this may become anyone: it stays on this machine.
    #[error("the address of the fake Supabase must be http:// on a loopback host, without a path")]
    NotLoopback,
    /// `site_url` is not an address.
    #[error("site_url is not a URL")]
    SiteUrl,
    /// Two people of the seed have one e-mail address or one id.
    #[error("two people of the seed are one")]
    DuplicatePerson,
    /// A factor's secret is not base32.
    #[error("a factor's secret is not base32")]
    Factor,
    /// The cryptographic library failed.
    #[error("no key could be made")]
    KeyGeneration,
    /// What [`Supabase::save`](crate::supabase::project::Supabase::save) wrote cannot be read.
    #[error("the saved state cannot be read")]
    InvalidState(#[from] serde_json::Error),
}
