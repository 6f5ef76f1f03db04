//! The bucket of one route and address.

/// How many requests are left, and since when.
pub(super) struct RateLimitBucket {
    pub(super) left: u32,
    pub(super) filled_at: i64,
}
