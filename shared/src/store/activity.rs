//! The recent events of each tenant, by time: the lines of the audit that name it, for its administrators.
//!
//! ```text
//! { tenant: "acme", at: "2026-11-22T09:30:00.123Z#3779…", millis: 1795…123, event: "grant_ended", line: "{…}", expires: 1803… }
//! { tenant: "acme#calls", at: "2026-11-22T09:31:00.123Z#3780…", millis: 1795…123, event: "tool_called", line: "{…}", expires: 1803… }
//! { tenant: "acme#routine", at: "2026-11-22T09:31:00.123Z#3781…", millis: 1795…123, event: "refresh_judged", … }
//! ```
//!
//! Each [`Section`] of a tenant is a partition of its own. So a thousand calls push no change off a page, and a thousand calls that
//! find nothing push nothing off any.
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
use crate::oauth::tenant::{PersonId, TenantId};
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

/// A part of a tenant's activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What changed connections, keys and members. Events of earlier versions are all here.
    Changes,
    /// What was called and read, asked for and refused.
    Calls,
    /// What people need not see: what is routine, what is repeated by another event, and what there was nothing of.
    Routine,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Changes, Self::Calls, Self::Routine];
    /// Those that people see.
    pub const SHOWN: [Self; 2] = [Self::Changes, Self::Calls];

    /// The partition of it. No tenant's id has a `#`.
    fn partition(self, tenant: &TenantId) -> String {
        match self {
            Self::Changes => tenant.to_string(),
            Self::Calls => format!("{tenant}#calls"),
            Self::Routine => format!("{tenant}#routine"),
        }
    }
}

/// Which events of a tenant.
#[derive(Clone, Copy, Debug)]
pub struct ActivityQuery<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// In which sections.
    pub sections: &'a [Section],
    /// Only those of this name.
    pub event: Option<&'a str>,
    /// Only those that this person did, or that concern them.
    pub person: Option<&'a PersonId>,
    /// Only those before this place.
    pub before: Option<&'a Cursor>,
}

impl<'a> ActivityQuery<'a> {
    /// Everything that is kept of `tenant`.
    #[must_use]
    pub const fn everything(tenant: &'a TenantId) -> Self {
        Self { tenant, sections: &Section::ALL, event: None, person: None, before: None }
    }

    /// Whether nothing is left out but by section and place.
    #[must_use]
    pub const fn is_unfiltered(&self) -> bool {
        self.event.is_none() && self.person.is_none()
    }

    fn admits(&self, activity: &Activity) -> bool {
        let names =
            |person: &PersonId| ["person", "by"].iter().any(|name| activity.text(name) == Some(person.as_str()));
        self.event.is_none_or(|event| activity.event == event) && self.person.is_none_or(names)
    }
}

/// Where the next page of the events of a tenant begins. It is a moment, the same in every section.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// A member of its line, if it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.line.get(name)?.as_str()
    }

    /// The part of its tenant's activity that it belongs to. An event that is new here is a change, so that it is seen.
    #[must_use]
    pub fn section(&self) -> Section {
        let text = |name| self.text(name).unwrap_or_default();
        match self.event.as_str() {
            "grant_changing" | "grant_ending" | "connections_ending" | "key_revoking" | "tool_calling" => {
                Section::Routine
            }
            "code_judged" if text("verdict") == "proven" => Section::Routine,
            "refresh_judged"
                if matches!(text("verdict"), "current" | "newer" | "concurrent" | "lost_response" | "sibling") =>
            {
                Section::Routine
            }
            // A repeated or superseded change has changed nothing.
            "membership_followed" if !matches!(text("outcome"), "applied" | "stale") => Section::Routine,
            "tool_called" | "resource_read" | "prompt_taken"
                if matches!(text("outcome"), "not_found" | "unknown_tool") =>
            {
                Section::Routine
            }
            "tool_called" | "resource_read" | "prompt_taken" | "call_refused" | "key_refused" | "scope_wanted"
            | "consent_shown" | "token_refused" | "code_judged" | "refresh_judged" => Section::Calls,
            _ => Section::Changes,
        }
    }

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
        let distinct: HashMap<_, _> = activities
            .iter()
            .map(|activity| ((activity.section().partition(&activity.tenant), activity.cursor().0), activity))
            .collect();
        let items = distinct
            .into_iter()
            .map(|((partition, position), activity)| item(activity, &partition, &position).into_inner());
        let puts = items.map(|item| PutRequest::builder().set_item(Some(item)).build());
        let writes = puts.map(|put| put.map(|put| WriteRequest::builder().put_request(put).build()));
        let writes =
            writes.collect::<Result<Vec<_>, _>>().map_err(|error| upstream_call::failed(CALL, error.to_string()))?;
        batch_write_items(&self.dynamo, &self.table, &writes).await
    }

    /// The newest events that `query` is for, the newest first, and where the next page begins if there may be more. At most `limit`
    /// events of each section are looked at, so a page may be short, or empty, although more follow.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn latest(
        &self,
        query: &ActivityQuery<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Activity>, Option<Cursor>), UpstreamError> {
        let (mut found, mut next) = (Vec::new(), None::<Cursor>);
        for section in query.sections {
            let (activities, examined) = self.latest_of_section(*section, query, limit).await?;
            found.extend(activities);
            // What is before the place that one section was examined to is for the next page, of the others too.
            next = next.max(examined);
        }
        found.retain(|activity| next.as_ref().is_none_or(|next| activity.cursor() >= *next));
        found.retain(|activity| activity.expires() > now && query.admits(activity));
        found.sort_by_key(|activity| std::cmp::Reverse(activity.cursor()));
        Ok((found, next))
    }

    /// The events of one section, and the place that it was examined to, if there may be more before it.
    async fn latest_of_section(
        &self,
        section: Section,
        query: &ActivityQuery<'_>,
        limit: usize,
    ) -> Result<(Vec<Activity>, Option<Cursor>), UpstreamError> {
        const CALL: &str = "DynamoDB.Query";
        let mut call = self
            .dynamo
            .query()
            .table_name(&self.table)
            .key_condition_expression("tenant = :tenant")
            .expression_attribute_values(":tenant", Value::from(section.partition(query.tenant).as_str()).0)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        if let Some(Cursor(before)) = query.before {
            call = call
                .key_condition_expression("tenant = :tenant AND #at < :before")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":before", AttributeValue::S(before.clone()));
        }
        // What does not come is not transferred. The line is text: what comes is looked at again.
        let mut filters = Vec::new();
        if let Some(event) = query.event {
            filters.push("#event = :event");
            call = call
                .expression_attribute_names("#event", "event")
                .expression_attribute_values(":event", AttributeValue::S(event.to_owned()));
        }
        if let Some(person) = query.person {
            filters.push("contains(#line, :person)");
            call = call
                .expression_attribute_names("#line", "line")
                .expression_attribute_values(":person", AttributeValue::S(person.to_string()));
        }
        if !filters.is_empty() {
            call = call.filter_expression(filters.join(" AND "));
        }
        let page = call.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let activities = page.items.unwrap_or_default().into_iter().map(|item| self.read(&Item::new(item)));
        let activities = activities.collect::<Result<Vec<_>, _>>()?;
        let examined = match page.last_evaluated_key.map(Item::new) {
            Some(last) => {
                let place = last.text("at").ok_or_else(|| unparsable_item(&self.table))?;
                Some(Cursor(place.to_owned()))
            }
            None => None,
        };
        Ok((activities, examined))
    }

    fn read(&self, item: &Item) -> Result<Activity, UpstreamError> {
        let read = || {
            Some(Activity {
                tenant: TenantId::parse(item.text("tenant")?.split('#').next()?)?,
                at: item.number("millis")?,
                id: item.text("at")?.split_once('#')?.1.to_owned(),
                event: item.text("event")?.to_owned(),
                line: serde_json::from_str(item.text("line")?).ok()?,
            })
        };
        read().ok_or_else(|| unparsable_item(&self.table))
    }
}

fn item(activity: &Activity, partition: &str, position: &str) -> Item {
    Item::default()
        .with("tenant", partition)
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

    /// What a person does in great numbers is never among the changes, and what there was nothing of is told nowhere.
    #[test]
    fn events_have_their_section() {
        for (event, member, word, section) in [
            ("grant_approved", "", "", Section::Changes),
            ("grant_activated", "", "", Section::Changes),
            ("grant_used", "", "", Section::Changes),
            ("grant_changed", "", "", Section::Changes),
            ("grant_ended", "reason", "refresh_replayed", Section::Changes),
            ("late_retry_repeated", "", "", Section::Changes),
            ("key_made", "", "", Section::Changes),
            ("key_revoked", "", "", Section::Changes),
            ("membership_followed", "outcome", "applied", Section::Changes),
            ("membership_followed", "outcome", "stale", Section::Changes),
            ("something_new", "", "", Section::Changes),
            ("tool_called", "outcome", "answered", Section::Calls),
            ("tool_called", "outcome", "conflict", Section::Calls),
            ("resource_read", "outcome", "answered", Section::Calls),
            ("prompt_taken", "outcome", "invalid_params", Section::Calls),
            ("refresh_judged", "verdict", "replayed", Section::Calls),
            ("code_judged", "verdict", "expired", Section::Calls),
            ("key_refused", "reason", "scope", Section::Calls),
            ("tool_called", "outcome", "not_found", Section::Routine),
            ("tool_called", "outcome", "unknown_tool", Section::Routine),
            ("resource_read", "outcome", "not_found", Section::Routine),
            ("prompt_taken", "outcome", "not_found", Section::Routine),
            ("refresh_judged", "verdict", "current", Section::Routine),
            ("code_judged", "verdict", "proven", Section::Routine),
            ("membership_followed", "outcome", "superseded", Section::Routine),
            ("grant_ending", "", "", Section::Routine),
            ("connections_ending", "", "", Section::Routine),
            ("key_revoking", "", "", Section::Routine),
            ("tool_calling", "", "", Section::Routine),
        ] {
            let activity = Activity {
                tenant: TenantId::parse("acme").unwrap(),
                at: 0,
                id: "1".to_owned(),
                event: event.to_owned(),
                line: Map::from_iter([(member.to_owned(), Json::from(word))]),
            };
            assert_eq!(activity.section(), section, "{event} {word}");
        }
    }

    #[test]
    fn cursors_are_validated() {
        assert!(Cursor::parse("2026-11-22T09:30:00.007Z#7").is_some());
        for none in ["", "a b", "a\nb", "\u{e9}", &"a".repeat(257)] {
            assert_eq!(Cursor::parse(none), None);
        }
    }
}
