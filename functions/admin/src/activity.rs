//! `/admin/{tenant}/activity`: what has happened in a tenant lately.

use askama::Template;
use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, Layout};
use shared::http::sanitized_text::IsolatedText;
use shared::lambda::Response;
use shared::oauth::client::ClientId;
use shared::store::activity::{Activity, Cursor};
use shared::upstream_error::UpstreamError;

use crate::bar::Bar;
use crate::listed::name;
use crate::manager::Manager;
use crate::refusal::Refusal;
use crate::told;
use crate::when::When;
use crate::{Admin, Visit, cursor};

/// The most events of one page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "activity.html")]
struct Page<'a> {
    layout: &'a Layout,
    bar: &'a Bar,
    path: &'a str,
    rows: Vec<Row>,
    first: bool,
    next: Option<String>,
}

struct Row {
    at: When,
    what: String,
    by: String,
    detail: String,
    /// It was refused, or ended against somebody's will.
    bad: bool,
}

impl Admin {
    pub(crate) async fn activity(&self, visit: &Visit<'_>, manager: &Manager) -> Result<Response, Refusal> {
        let before = cursor::read(visit.parameters.value("after"), Cursor::parse)?;
        let (activities, next) = self.lately(manager, before.clone(), visit.now).await?;
        let clients: Vec<_> = activities.iter().filter_map(|it| ClientId::parse(told::text(it, "client")?)).collect();
        let known = self.clients.find_all(&clients, visit.now).await?;
        let row = |activity: &Activity| {
            let client = told::text(activity, "client").and_then(ClientId::parse);
            let client = client.map(|id| name(known.iter().find(|client| client.id == id), &id));
            let client = client.as_deref().map(|name| IsolatedText(name).to_string());
            let told = told::words(activity, client.as_deref());
            Row {
                at: When(Timestamp::from_seconds(activity.at.div_euclid(1000))),
                what: told.what,
                by: told.by,
                detail: told.detail,
                bad: told.bad,
            }
        };
        let page = Page {
            layout: &self.layout,
            bar: &Bar::of_tenant(&self.identity, &visit.person, manager, "activity"),
            path: visit.path,
            rows: activities.iter().map(row).collect(),
            first: before.is_none(),
            next: next.map(|place| cursor::query(place.as_str())),
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
    }

    /// A page of events that tell something, the newest first. Connections that refresh every hour would hide them, so those that
    /// only say that all is well are passed over, in no more calls than this.
    pub(crate) async fn lately(
        &self,
        manager: &Manager,
        before: Option<Cursor>,
        now: Timestamp,
    ) -> Result<(Vec<Activity>, Option<Cursor>), UpstreamError> {
        const CALLS: usize = 3;
        let (mut found, mut before) = (Vec::new(), before);
        for _ in 0..CALLS {
            let (activities, next) = self.activities.latest(manager.tenant(), before.as_ref(), 4 * PAGE, now).await?;
            for activity in activities.into_iter().filter(told::is_telling) {
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
