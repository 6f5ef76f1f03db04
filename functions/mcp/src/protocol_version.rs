//! The generations of the protocol that are served.
//!
//! Since 2026-07-28 every request carries its version and capabilities. Before that, they were agreed on by `initialize`, of
//! which a stateless server remembers nothing.

/// The generation of the protocol that a request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolVersion {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25 and 2025-06-18.
    Legacy,
}

/// The revision of [`ProtocolVersion::Modern`].
pub(crate) const MODERN: &str = "2026-07-28";
/// The revisions of [`ProtocolVersion::Legacy`], the newest first. Not 2025-03-26: it would oblige us to take batches.
pub(crate) const LEGACY: [&str; 2] = ["2025-11-25", "2025-06-18"];
