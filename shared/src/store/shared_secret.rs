//! When Supabase last vouched for a token that was signed with its project's shared secret: one item, beside the clients.
//!
//! ```text
//! { id: "shared secret", kind: "shared_secret", vouched: 1795…, expires: 1795… }
//! ```
//!
//! No client has such an id: it has a blank.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::Key;
use super::clients::{Clients, SHARED_SECRET};
use super::item::Item;
use super::item_update::ItemUpdate;
use crate::clock::Timestamp;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How long the word of Supabase counts.
pub const VOUCHED_FOR: Duration = Duration::from_hours(24);

/// How old it may be before it is written again.
pub const NOTED_FOR: Duration = Duration::from_hours(1);

const ID: &str = "shared secret";

impl Clients {
    /// When Supabase last vouched for such a token, as far as anybody noted it. It may be long ago.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn shared_secret_vouched(&self) -> Result<Option<Timestamp>, UpstreamError> {
        const CALL: &str = "DynamoDB.GetItem";
        let get = self.dynamo.get_item().table_name(&self.table).key("id", AttributeValue::S(ID.to_owned()));
        // A process asks once, so it must not miss what was written a moment ago.
        let found =
            get.consistent_read(true).send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        Ok(found.item.map(Item::new).and_then(|item| item.time("vouched")))
    }

    /// Notes that Supabase vouched for such a token at `now`, unless somebody noted it within the hour.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn note_shared_secret(&self, now: Timestamp) -> Result<(), UpstreamError> {
        let key = Key { table: &self.table, attributes: vec![("id", ID.to_owned())] };
        ItemUpdate::default()
            .set("kind", SHARED_SECRET)
            .set("vouched", now)
            .set("expires", now.plus(VOUCHED_FOR))
            .when_less_or_absent("vouched", now.minus(NOTED_FOR))
            .write_unmarked(&self.dynamo, &key)
            .await
            .map(drop)
    }
}
