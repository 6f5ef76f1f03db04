//! How many calls of the tenant's own tools each grant or API key has made within an hour.
//!
//! ```text
//! { tenant: "acme", item: "budget#grant:<id>#498705", calls: 17, expires: 1795… }
//! ```
//!
//! The number in the key counts hours since 1970; an hour's item is of no use after it, and ends a day later.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{Item, Workspace};
use crate::access::{Access, By};
use crate::clock::Timestamp;
use crate::fault::Fault;

const KIND: &str = "budget#";
const HOUR: i64 = 3600;

/// What came of asking for one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// It may be made, and has been counted.
    Granted,
    /// There have been as many as there may be.
    Spent {
        /// When the next hour begins.
        resets: Timestamp,
    },
}

impl Workspace {
    /// Counts one more call by whoever `access` let in, unless it would be more than `limit` within the hour. The table decides, so
    /// that calls at the same time cannot be more either.
    ///
    /// # Errors
    /// When DynamoDB fails: then there is no call.
    pub async fn spend_call(&self, access: &Access, limit: u32, now: Timestamp) -> Result<Budget, Fault> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let hour = now.seconds().div_euclid(HOUR);
        let resets = Timestamp::from_seconds((hour + 1).saturating_mul(HOUR));
        let whose = match access.by() {
            By::Token { grant, .. } => format!("grant:{}", grant.to_text()),
            By::Key(key) => format!("key:{}", key.to_text()),
        };
        let key = Item::default().with("tenant", self.tenant.as_str()).with("item", format!("{KIND}{whose}#{hour}"));
        let number = |number: i64| AttributeValue::N(number.to_string());
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.into_inner()))
            .condition_expression("attribute_not_exists(#calls) OR #calls < :limit")
            .update_expression("SET #expires = :expires ADD #calls :one")
            .expression_attribute_names("#calls", "calls")
            .expression_attribute_names("#expires", "expires")
            .expression_attribute_values(":limit", number(limit.into()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expires", number(resets.plus(Duration::from_hours(24)).seconds()));
        match update.send().await {
            Ok(_) => Ok(Budget::Granted),
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(Budget::Spent { resets })
            }
            Err(error) => Err(Fault::of_aws(CALL, &error)),
        }
    }
}
