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

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::clients::{Clients, FETCHES, UNAVAILABLE};
use super::item::Value;
use crate::clock::Timestamp;
use crate::oauth::client::ClientId;
use crate::oauth::tenant::PersonId;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How many documents are fetched in an hour for one person: far more than anybody connects.
pub const MAX_OF_PERSON: u32 = 30;
/// How many are fetched in an hour from one host. One document is asked for at most twelve times.
pub const MAX_FROM_HOST: u32 = 120;

const UPDATE: &str = "DynamoDB.UpdateItem";

const HOUR: Duration = Duration::from_hours(1);

impl Clients {
    /// Counts a fetch for `person` from `host` in this hour. False if either has had as many as it may. Each is counted by a write of
    /// its own, as a transaction of both would fail where several people bring clients of one host at once. The person comes first: one
    /// who has had too many must not use up the host's for everybody.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn count_fetch(&self, person: &PersonId, host: &str, now: Timestamp) -> Result<bool, UpstreamError> {
        let hour = now.seconds().div_euclid(3600);
        Ok(self.count(format!("fetches of {person} {hour}"), MAX_OF_PERSON, now).await?
            && self.count(format!("fetches from {host} {hour}"), MAX_FROM_HOST, now).await?)
    }

    /// Counts one more, unless there are `max`.
    async fn count(&self, id: String, max: u32, now: Timestamp) -> Result<bool, UpstreamError> {
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(id))
            .update_expression("SET kind = :kind, expires = :expires ADD #count :one")
            .condition_expression("attribute_not_exists(#count) OR #count < :max")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":kind", Value::from(FETCHES).0)
            .expression_attribute_values(":expires", Value::from(now.plus(HOUR * 2)).0)
            .expression_attribute_values(":one", Value::from(1_u32).0)
            .expression_attribute_values(":max", Value::from(max).0);
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(upstream_call::failed_at_aws(UPDATE, &error)),
        }
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
            Err(error) if is_refused(&error) => Ok(()),
            Err(error) => Err(upstream_call::failed_at_aws(UPDATE, &error)),
        }
    }
}

/// Whether the condition did not hold.
fn is_refused(error: &SdkError<UpdateItemError, HttpResponse>) -> bool {
    matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_)))
}
