//! `/admin/{tenant}/activity`: the recent activity of a tenant.

use askama::Template;
use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, Layout};
use shared::http::sanitized_text::IsolatedText;
use shared::lambda::Response;
use shared::oauth::client::ClientId;
use shared::store::activity::{Activity, Cursor};
use shared::upstream_error::UpstreamError;

use crate::connection_row::name;
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
struct Page<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    path: &'a str,
    rows: Vec<Row>,
    first: bool,
    next: Option<String>,
}

struct Row {
    at: DateTime,
    what: String,
    by: String,
    detail: String,
    /// Whether it deserves attention: something was refused, or may have been stolen.
    bad: bool,
}

impl Admin {
    pub(crate) async fn activity(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let before = cursor::read(request.parameters.value("after"), Cursor::parse)?;
        let (activities, next) = self.recent_activity(tenant_admin, before.clone(), request.now).await?;
        let clients: Vec<_> =
            activities.iter().filter_map(|it| ClientId::parse(event_text::text(it, "client")?)).collect();
        let known = self.clients.find_all(&clients, request.now).await?;
        let row = |activity: &Activity| {
            let client = event_text::text(activity, "client").and_then(ClientId::parse);
            let client = client.map(|id| name(known.iter().find(|client| client.id == id), &id));
            let client = client.as_deref().map(|name| IsolatedText(name).to_string());
            let text = event_text::describe(activity, client.as_deref());
            Row {
                at: DateTime(Timestamp::from_seconds(activity.at.div_euclid(1000))),
                what: text.what,
                by: text.by,
                detail: text.detail,
                bad: text.bad,
            }
        };
        let page = Page {
            layout: &self.layout,
            nav_bar: &NavBar::for_tenant(&self.identity, &request.person, tenant_admin, "activity"),
            path: request.path,
            rows: activities.iter().map(row).collect(),
            first: before.is_none(),
            next: next.map(|place| cursor::query(place.as_str())),
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
    }

    /// A page of significant events, the newest first. Routine events, such as hourly refreshes, are skipped. One
    /// page makes at most `CALLS` calls for that.
    pub(crate) async fn recent_activity(
        &self,
        tenant_admin: &TenantAdmin,
        before: Option<Cursor>,
        now: Timestamp,
    ) -> Result<(Vec<Activity>, Option<Cursor>), UpstreamError> {
        const CALLS: usize = 3;
        let (mut found, mut before) = (Vec::new(), before);
        for _ in 0..CALLS {
            let (activities, next) =
                self.activities.latest(tenant_admin.tenant(), before.as_ref(), 4 * PAGE, now).await?;
            for activity in activities.into_iter().filter(event_text::is_significant) {
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
