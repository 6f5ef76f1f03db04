//! How many calls of the tenant's own tools are under way.
//!
//! ```text
//! { tenant: "tenant#acme#budget", item: "budget#498705", "under_way#4": 2, expires: 1795… }
//! ```
//!
//! The number in the key counts hours since 1970. The item of an hour expires a day later. Those of earlier versions lie beside
//! all else that the tenant has, and are not read any more.
//!
//! A call is under way from the write that counts it until [`Workspace::end_call`]. If the function is killed
//! in between, the call is never ended. So calls under way are counted in spans of five minutes, and each
//! span starts at zero. In the first 25 s of a span, which is the longest timeout of a tool, twice as many
//! calls can be under way.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::Workspace;
use crate::clock::Timestamp;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const KIND: &str = "budget#";
const HOUR: i64 = 3600;
const SPAN: i64 = 300;
const CALL: &str = "DynamoDB.UpdateItem";

/// A call that is counted as under way until it is ended.
#[derive(Debug)]
#[must_use = "a call that is not ended counts as under way for minutes"]
pub struct InFlightCall {
    item: String,
    span: String,
}

impl Workspace {
    /// Counts one more call as under way, unless there are `limit`. It is a conditional write, so concurrent calls cannot exceed it
    /// either.
    ///
    /// # Errors
    /// When DynamoDB fails: then there is no call.
    pub async fn begin_call(&self, limit: u32, now: Timestamp) -> Result<Option<InFlightCall>, UpstreamError> {
        let hour = now.seconds().div_euclid(HOUR);
        let expires = Timestamp::from_seconds((hour + 1).saturating_mul(HOUR)).plus(Duration::from_hours(24));
        let item = format!("{KIND}{hour}");
        let span = format!("under_way#{}", now.seconds().rem_euclid(HOUR) / SPAN);
        let update = self
            .update_of(&item)
            .condition_expression("attribute_not_exists(#under_way) OR #under_way < :limit")
            .update_expression("SET #expires = :expires ADD #under_way :one")
            .expression_attribute_names("#under_way", &span)
            .expression_attribute_names("#expires", "expires")
            .expression_attribute_values(":limit", number(limit.into()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expires", number(expires.seconds()));
        let Err(error) = update.send().await else { return Ok(Some(InFlightCall { item, span })) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
            _ => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    /// Records that a call has ended, successfully or not.
    ///
    /// # Errors
    /// When DynamoDB fails: then the call counts as under way until the next span begins.
    pub async fn end_call(&self, InFlightCall { item, span }: InFlightCall) -> Result<(), UpstreamError> {
        let update = self
            .update_of(&item)
            .condition_expression("#under_way > :none")
            .update_expression("ADD #under_way :less")
            .expression_attribute_names("#under_way", span)
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":less", number(-1));
        match update.send().await {
            Ok(_) => Ok(()),
            // The first attempt succeeded, and its response was lost.
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(())
            }
            Err(error) => Err(upstream_call::failed_at_aws(CALL, &error)),
        }
    }

    fn update_of(&self, item: &str) -> UpdateItemFluentBuilder {
        let key = self.key_of_count(item);
        self.dynamo.update_item().table_name(key.table).set_key(Some(key.attribute_values()))
    }
}

fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
