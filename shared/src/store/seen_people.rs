//! The people whose connections or API keys were in use lately. No index leads to them, so whole tables are read: for a schedule, and
//! for no request.

use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;

use super::api_keys::ApiKeys;
use super::grants::Grants;
use super::item::{Item, Value, unparsable_item};
use crate::clock::Timestamp;
use crate::oauth::tenant::PersonId;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

impl Grants {
    /// The people of grants that were refreshed, exchanged or first used with a new token since then, each as often as they have such
    /// grants.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn people_since(&self, since: Timestamp) -> Result<Vec<PersonId>, UpstreamError> {
        let scan = self
            .dynamo
            .scan()
            .table_name(&self.table)
            .projection_expression("person")
            .filter_expression("#state = :active AND (turned >= :since OR used >= :since OR #since >= :since)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#since", "since")
            .expression_attribute_values(":active", Value::from("active").0)
            .expression_attribute_values(":since", Value::from(since).0);
        scan_people(scan, "person", &self.table).await
    }
}

impl ApiKeys {
    /// The people who made API keys that were used since then, likewise. The use of a key is noted once an hour.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn makers_since(&self, since: Timestamp) -> Result<Vec<PersonId>, UpstreamError> {
        let scan = self
            .dynamo
            .scan()
            .table_name(&self.table)
            .projection_expression("maker")
            .filter_expression("attribute_exists(maker) AND used >= :since")
            .expression_attribute_values(":since", Value::from(since).0);
        scan_people(scan, "maker", &self.table).await
    }
}

/// The people whom `attribute` names in all items that a scan of `table` finds.
async fn scan_people(scan: ScanFluentBuilder, attribute: &str, table: &str) -> Result<Vec<PersonId>, UpstreamError> {
    const CALL: &str = "DynamoDB.Scan";
    let (mut people, mut from) = (Vec::new(), None);
    loop {
        let page = scan.clone().set_exclusive_start_key(from).send().await;
        let page = page.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        for item in page.items.unwrap_or_default().into_iter().map(Item::new) {
            let person = item.text(attribute).and_then(PersonId::parse);
            people.push(person.ok_or_else(|| unparsable_item(table))?);
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(people);
        }
    }
}
