//! How often each person approved within an hour. It lies beside the grants, in an item of its own.
//!
//! ```text
//! { id: "approvals#<person>#498705", kind: "approvals", approvals: 3, expires: 1795… }
//! ```
//!
//! The index from which a person's grants are counted lags. So this bounds by how many they can have more than
//! [`MAX_OF_CLIENT`](crate::oauth::grant::MAX_OF_CLIENT).

use super::Key;
use super::grants::Grants;
use super::hourly_counts::{self, Addition, Hour};
use crate::clock::Timestamp;
use crate::oauth::tenant::PersonId;
use crate::upstream_error::UpstreamError;

/// How often a person may approve in an hour: far more often than anybody connects.
pub const MAX_PER_HOUR: u64 = 240;

impl Grants {
    /// Counts an approval of `person` in this hour. When they may approve again, if they have approved as often as they may.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn count_approval(&self, person: &PersonId, now: Timestamp) -> Result<Option<Timestamp>, UpstreamError> {
        let hour = Hour::of(now);
        let key = Key { table: &self.table, attributes: vec![("id", format!("approvals#{person}#{}", hour.number()))] };
        let additions = [Addition { name: "approvals", amount: 1, max: MAX_PER_HOUR }];
        let exceeded = hourly_counts::add(&self.dynamo, &key, "approvals", &additions, hour).await?;
        Ok(exceeded.map(|_| hour.end()))
    }
}
