//! `/admin/{tenant}/activity`: the recent activity of a tenant.

use askama::Template;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, Layout};
use shared::lambda::Response;
use shared::oauth::client::ClientId;
use shared::oauth::tenant::PersonId;
use shared::store::activity::{Activity, ActivityQuery, Cursor, Section};
use shared::upstream_error::UpstreamError;

use crate::connection_row::name_and_hosts;
use crate::date_time::DateTime;
use crate::error::AdminError;
use crate::event_text;
use crate::nav_bar::NavBar;
use crate::page_request::PageRequest;
use crate::tenant_admin::TenantAdmin;
use crate::{Admin, cursor};

/// The most events of one page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "activity.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a part of the page that is there or not")]
struct Page<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    path: &'a str,
    calls: bool,
    rows: Vec<Row>,
    choices: Vec<Choice>,
    person: &'a str,
    /// Whether the filter's person is no id of one.
    person_error: bool,
    filtered: bool,
    first: bool,
    next: Option<String>,
}

struct Row {
    at: DateTime,
    what: String,
    by: String,
    /// The person whose events can be shown alone.
    person: Option<String>,
    detail: String,
    /// Whether it deserves attention: something was refused, or may have been stolen.
    bad: bool,
}

/// An event that can be shown alone.
struct Choice {
    event: &'static str,
    label: &'static str,
    chosen: bool,
}

/// What to show.
#[derive(Clone, Copy)]
pub(crate) struct ActivityFilter<'a> {
    pub(crate) sections: &'a [Section],
    pub(crate) event: Option<&'a str>,
    pub(crate) person: Option<&'a PersonId>,
}

impl ActivityFilter<'_> {
    /// Whether `text` can be the name of an event.
    pub(crate) fn is_event(text: &str) -> bool {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }
}

/// The section that `text` names.
pub(crate) fn section(text: &str) -> Option<Section> {
    match text {
        "changes" => Some(Section::Changes),
        "calls" => Some(Section::Calls),
        _ => None,
    }
}

impl Admin {
    /// Changes of connections, keys and members, unless the query asks for calls.
    pub(crate) async fn activity(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let value = |name| request.parameters.value(name).map(str::trim).filter(|text| !text.is_empty());
        let before = cursor::read(request.parameters.value("after"), Cursor::parse)?;
        let shown = value("section").map_or(Some(Section::Changes), section).ok_or(AdminError::NotFound)?;
        let event = value("event");
        if event.is_some_and(|event| !ActivityFilter::is_event(event)) {
            return Err(AdminError::NotFound);
        }
        let person = value("person").map(PersonId::parse);
        let person_error = matches!(person, Some(None));
        let filter = ActivityFilter { sections: &[shown], event, person: person.as_ref().and_then(Option::as_ref) };
        let (activities, next) = if person_error {
            (Vec::new(), None)
        } else {
            self.recent_activity(tenant_admin, filter, before.clone(), request.now).await?
        };
        let clients: Vec<_> = activities.iter().filter_map(|it| ClientId::parse(it.text("client")?)).collect();
        let known = self.clients.find_all(&clients, request.now).await?;
        let row = |activity: &Activity| {
            let client = activity.text("client").and_then(ClientId::parse);
            let client = client.map(|id| name_and_hosts(known.iter().find(|client| client.id == id), &id));
            let text = event_text::describe(activity, client.as_deref());
            Row {
                at: DateTime(Timestamp::from_seconds(activity.at.div_euclid(1000))),
                what: text.what,
                person: PersonId::parse(&text.by).map(|person| person.to_string()),
                by: text.by,
                detail: text.detail,
                bad: text.bad,
            }
        };
        let calls = shown == Section::Calls;
        let section = calls.then_some("calls");
        let person = value("person");
        let next = next.map(|place| {
            let parts = [("section", section), ("event", event), ("person", person)];
            let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
            parts.chain(std::iter::once(cursor::query(place.as_str()))).collect::<Vec<_>>().join("&")
        });
        let choices = event_text::choices(shown);
        let page = Page {
            layout: &self.layout,
            nav_bar: &self.nav_bar_for_tenant(&request.person, tenant_admin, "activity"),
            path: request.path,
            calls,
            rows: activities.iter().map(row).collect(),
            choices: choices
                .iter()
                .map(|&(name, label)| Choice { event: name, label, chosen: event == Some(name) })
                .collect(),
            person: person.unwrap_or_default(),
            person_error,
            filtered: event.is_some() || person.is_some(),
            first: before.is_none(),
            next,
        };
        let status = if person_error { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Ok(self.layout.page(status, FormAction::OWN_ORIGIN, None, page.render()))
    }

    /// A page of events, the newest first. Those that are routine are skipped, and one page makes at most `CALLS` calls of each section
    /// for what is left out.
    pub(crate) async fn recent_activity(
        &self,
        tenant_admin: &TenantAdmin,
        filter: ActivityFilter<'_>,
        before: Option<Cursor>,
        now: Timestamp,
    ) -> Result<(Vec<Activity>, Option<Cursor>), UpstreamError> {
        const CALLS: usize = 3;
        // About as much as one call returns, if little of it is shown.
        const EXAMINED: usize = 1000;
        let (mut found, mut before) = (Vec::new(), before);
        for _ in 0..CALLS {
            let ActivityFilter { sections, event, person } = filter;
            let query =
                ActivityQuery { tenant: tenant_admin.tenant(), sections, event, person, before: before.as_ref() };
            let limit = if query.is_unfiltered() { 2 * PAGE } else { EXAMINED };
            let (activities, next) = self.activities.latest(&query, limit, now).await?;
            // Those of an earlier version are all among the changes.
            for activity in activities.into_iter().filter(|activity| activity.section() != Section::Routine) {
                if found.len() == PAGE {
                    let next = found.last().map(Activity::cursor);
                    return Ok((found, next));
                }
                found.push(activity);
            }
            before = next;
            if before.is_none() {
                break;
            }
        }
        Ok((found, before))
    }
}

fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
