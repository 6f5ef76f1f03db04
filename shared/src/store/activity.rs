//! The recent events of each tenant, by time: the lines of the audit that name it, for its administrators.
//!
//! ```text
//! { tenant: "acme", at: "2026-11-22T09:30:00.123Z#3779…", millis: 1795…123, event: "grant_ended", line: "{…}", expires: 1803… }
//! ```
//!
//! `at` ends in the id that CloudWatch gives an event, and everything else is derived from the event. So a
//! line that is delivered twice is stored once. The audit log itself is in CloudWatch, and keeps lines for
//! longer.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::{Map, Value as Json};

use super::batch_write_items;
use super::item::{Item, Value, unparsable_item};
use crate::clock::Timestamp;
use crate::oauth::tenant::TenantId;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// How long an event is shown.
pub const RETENTION: Duration = Duration::from_hours(90 * 24);

/// The table of events.
#[derive(Clone)]
pub struct Activities {
    dynamo: aws_sdk_dynamodb::Client,
    table: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// Where.
    pub tenant: TenantId,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Its id, which distinguishes events of the same millisecond.
    pub id: String,
    /// What: `event` of the line.
    pub event: String,
    /// The line of the audit.
    pub line: Map<String, Json>,
}

/// Where the next page of the events of a tenant begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// From the text of [`Self::as_str`]. A forged one is harmless: it only says where a page of one tenant
    /// begins.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const LONGEST: usize = 256;
        let sound = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then(|| Self(text.to_owned()))
    }

    /// As text, for a cursor.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Activity {
    /// Its position among its tenant's events.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let second = Timestamp::from_seconds(self.at.div_euclid(1000)).to_rfc3339();
        Cursor(format!("{}.{:03}Z#{}", second.trim_end_matches('Z'), self.at.rem_euclid(1000), self.id))
    }

    fn expires(&self) -> Timestamp {
        Timestamp::from_seconds(self.at.div_euclid(1000)).plus(RETENTION)
    }
}

impl Activities {
    pub(crate) const fn new(dynamo: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { dynamo, table }
    }

    /// Stores events, in one call per 25. Storing an event again changes nothing.
    ///
    /// # Errors
    /// When DynamoDB fails; then some may be kept, and trying again is right.
    pub async fn put(&self, activities: &[Activity]) -> Result<(), UpstreamError> {
        const CALL: &str = "DynamoDB.BatchWriteItem";

        // A batch may not name an item twice.
        let distinct: HashMap<_, _> =
            activities.iter().map(|activity| ((&activity.tenant, activity.cursor().0), activity)).collect();
        let items = distinct.into_iter().map(|((_, position), activity)| item(activity, &position).into_inner());
        let puts = items.map(|item| PutRequest::builder().set_item(Some(item)).build());
        let writes = puts.map(|put| put.map(|put| WriteRequest::builder().put_request(put).build()));
        let writes =
            writes.collect::<Result<Vec<_>, _>>().map_err(|error| upstream_call::failed(CALL, error.to_string()))?;
        batch_write_items(&self.dynamo, &self.table, &writes).await
    }

    /// At most `limit` events of `tenant`, the newest first, and where the next page begins if there may be
    /// more.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn latest(
        &self,
        tenant: &TenantId,
        before: Option<&Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Activity>, Option<Cursor>), UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        let mut query = self
            .dynamo
            .query()
            .table_name(&self.table)
            .key_condition_expression("tenant = :tenant")
            .expression_attribute_values(":tenant", Value::from(tenant.as_str()).0)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        if let Some(Cursor(before)) = before {
            query = query
                .key_condition_expression("tenant = :tenant AND #at < :before")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":before", AttributeValue::S(before.clone()));
        }
        let page = query.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let activities = page.items.unwrap_or_default().into_iter().map(|item| self.read(&Item::new(item)));
        let mut activities = activities.collect::<Result<Vec<_>, _>>()?;
        let next = activities.last().filter(|_| page.last_evaluated_key.is_some()).map(Activity::cursor);
        activities.retain(|activity| activity.expires() > now);
        Ok((activities, next))
    }

    fn read(&self, item: &Item) -> Result<Activity, UpstreamError> {
        let read = || {
            Some(Activity {
                tenant: TenantId::parse(item.text("tenant")?)?,
                at: item.number("millis")?,
                id: item.text("at")?.split_once('#')?.1.to_owned(),
                event: item.text("event")?.to_owned(),
                line: serde_json::from_str(item.text("line")?).ok()?,
            })
        };
        read().ok_or_else(|| unparsable_item(&self.table))
    }
}

fn item(activity: &Activity, position: &str) -> Item {
    Item::default()
        .with("tenant", activity.tenant.as_str())
        .with("at", position)
        .with("millis", Value(AttributeValue::N(activity.at.to_string())))
        .with("event", activity.event.as_str())
        .with("line", Json::Object(activity.line.clone()).to_string())
        .with("expires", activity.expires())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_sort_by_time() {
        let at = |at, id: &str| Activity {
            tenant: TenantId::parse("acme").unwrap(),
            at,
            id: id.to_owned(),
            event: "grant_ended".to_owned(),
            line: Map::new(),
        };
        let place = |millis, id| at(millis, id).cursor().0;
        assert_eq!(place(1_795_339_800_007, "7"), "2026-11-22T09:30:00.007Z#7");
        assert!(place(1_795_339_800_999, "9") < place(1_795_339_801_000, "1"));
        assert!(place(1_795_339_800_007, "1") < place(1_795_339_800_007, "2"));
        assert_eq!(at(1_795_339_800_007, "7").expires(), Timestamp::from_seconds(1_795_339_800).plus(RETENTION));
    }

    #[test]
    fn cursors_are_validated() {
        assert!(Cursor::parse("2026-11-22T09:30:00.007Z#7").is_some());
        for none in ["", "a b", "a\nb", "\u{e9}", &"a".repeat(257)] {
            assert_eq!(Cursor::parse(none), None);
        }
    }
}
