//! How many API keys each person made within an hour. It lies beside the keys, in an item of its own and in no index.
//!
//! ```text
//! { id: "made#<person>#498705", kind: "made", made: 3, expires: 1795… }
//! ```

use super::Key;
use super::api_keys::ApiKeys;
use super::hourly_counts::{self, Addition, Hour};
use crate::clock::Timestamp;
use crate::oauth::tenant::PersonId;
use crate::upstream_error::UpstreamError;

/// How many keys a person may make in an hour. Operators may make any number.
pub const MAX_PER_HOUR: u64 = 100;

impl ApiKeys {
    /// Counts a key that `maker` is to make in this hour. When they may make another, if they have made as many as they may.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn count_creation(&self, maker: &PersonId, now: Timestamp) -> Result<Option<Timestamp>, UpstreamError> {
        let hour = Hour::of(now);
        let key = Key { table: &self.table, attributes: vec![("id", format!("made#{maker}#{}", hour.number()))] };
        let additions = [Addition { name: "made", amount: 1, max: MAX_PER_HOUR }];
        let exceeded = hourly_counts::add(&self.dynamo, &key, "made", &additions, hour).await?;
        Ok(exceeded.map(|_| hour.end()))
    }
}
