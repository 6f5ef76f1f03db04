//! What limits the fetching of metadata documents: counts by the hour, and addresses that failed. It lies beside the clients.
//!
//! ```text
//! count        { id: "fetches of <person> 498705", kind: "fetches", count: 3, expires: 1795… }
//!              { id: "fetches from app.example 498705", … }
//! unavailable  { id: "https://…", kind: "unavailable", retry_at: 1795…, expires: 1795… }
//! document     + { retry_at?: 1795… }
//! ```
//!
//! No client has the id of a count: it has a blank. `retry_at` stands at the id of the client, so that it is read with the client. It
//! says when the address may be asked again, and nothing of what it answered.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use std::time::Duration;

use super::clients::{Clients, FETCHES, UNAVAILABLE};
use super::item::Value;
use super::transaction::{self, TransactionOutcome};
use crate::clock::Timestamp;
use crate::oauth::client::ClientId;
use crate::oauth::secret::{Secret, to_text};
use crate::oauth::tenant::PersonId;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How many documents are fetched in an hour for one person: far more than anybody connects.
pub const MAX_OF_PERSON: u32 = 30;
/// How many are fetched in an hour from one host. One document is asked for at most twelve times.
pub const MAX_FROM_HOST: u32 = 120;

const HOUR: Duration = Duration::from_hours(1);

impl Clients {
    /// Counts a fetch for `person` from `host` in this hour. False if either has had as many as it may; then none is counted.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn count_fetch(&self, person: &PersonId, host: &str, now: Timestamp) -> Result<bool, UpstreamError> {
        let hour = now.seconds().div_euclid(3600);
        let writes = [
            self.count(format!("fetches of {person} {hour}"), MAX_OF_PERSON, now)?,
            self.count(format!("fetches from {host} {hour}"), MAX_FROM_HOST, now)?,
        ];
        let token = to_text(Secret::<16>::random().expose());
        match transaction::write(&self.dynamo, &writes, &token).await? {
            TransactionOutcome::Committed => Ok(true),
            TransactionOutcome::ConditionFailed(_) => Ok(false),
        }
    }

    fn count(&self, id: String, max: u32, now: Timestamp) -> Result<TransactWriteItem, UpstreamError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key("id", AttributeValue::S(id))
            .update_expression("SET kind = :kind, expires = :expires ADD #count :one")
            .condition_expression("attribute_not_exists(#count) OR #count < :max")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":kind", Value::from(FETCHES).0)
            .expression_attribute_values(":expires", Value::from(now.plus(HOUR * 2)).0)
            .expression_attribute_values(":one", Value::from(1_u32).0)
            .expression_attribute_values(":max", Value::from(max).0)
            .build();
        let update = update.map_err(|error| upstream_call::failed("DynamoDB.TransactWriteItems", error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Notes that the document at the address `id` could not be used, and that the address is not to be asked again before `retry_at`.
    /// `is_stored` says whether the table has the client, with a document that counts no more. A later fetch takes the note away, and
    /// one that was blocked or removed meanwhile gets none.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn record_failed_fetch(
        &self,
        id: &ClientId,
        is_stored: bool,
        retry_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(id.as_str().to_owned()))
            .expression_attribute_values(":retry_at", Value::from(retry_at).0);
        let update = if is_stored {
            update
                .update_expression("SET retry_at = :retry_at")
                .condition_expression("kind = :document")
                .expression_attribute_values(":document", Value::from("document").0)
        } else {
            update
                .update_expression("SET kind = :unavailable, retry_at = :retry_at, expires = :expires")
                .condition_expression("attribute_not_exists(id) OR kind = :unavailable OR expires <= :now")
                .expression_attribute_values(":unavailable", Value::from(UNAVAILABLE).0)
                .expression_attribute_values(":expires", Value::from(now.plus(HOUR)).0)
                .expression_attribute_values(":now", Value::from(now).0)
        };
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(())
            }
            Err(error) => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }
}
