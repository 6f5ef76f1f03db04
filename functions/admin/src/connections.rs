//! `/admin/{tenant}/connections`: everything that is connected in a tenant.

use std::borrow::Cow;

use askama::Template;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::http::layout::{FormAction, Layout};
use shared::http::sanitized_text::IsolatedText;
use shared::lambda::Response;
use shared::oauth::client::ClientId;
use shared::oauth::grant::{GrantId, RevocationReason};
use shared::oauth::tenant::PersonId;
use shared::store::connections::{ConnectionFilter, Connections, Cursor};

use crate::bar::Bar;
use crate::confirm::{Question, shown_at};
use crate::ending::Ender;
use crate::listed::{Row, name};
use crate::manager::Manager;
use crate::notice::Notice;
use crate::refusal::Refusal;
use crate::{Admin, Visit, cursor};

#[derive(Template)]
#[template(path = "connections.html")]
struct Page<'a> {
    layout: &'a Layout,
    bar: &'a Bar,
    path: &'a str,
    rows: Vec<Row>,
    person: &'a str,
    client: &'a str,
    /// What of the filter cannot be.
    wrong: Option<Wrong>,
    first: bool,
    next: Option<String>,
}

/// A part of the filter that cannot be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Person,
    Client,
}

/// Which connections to end.
enum What {
    One(GrantId),
    OfPerson(PersonId),
    OfClient(ClientId),
}

impl Admin {
    pub(crate) async fn connections(&self, visit: &Visit<'_>, manager: &Manager) -> Result<Response, Refusal> {
        let value = |name| visit.parameters.value(name).map(str::trim);
        let (person, client) = (value("person"), value("client"));
        let after = cursor::read(visit.parameters.value("after"), Cursor::parse)?;
        let wrong = if person.is_some_and(|text| PersonId::parse(text).is_none()) {
            Some(Wrong::Person)
        } else if client.is_some_and(|text| ClientId::parse(text).is_none()) {
            Some(Wrong::Client)
        } else {
            None
        };
        let filter = (person.and_then(PersonId::parse), client.and_then(ClientId::parse));
        let listed = if wrong.is_some() {
            Connections { found: Vec::new(), next: None }
        } else {
            let (filter, tables) = ((filter.0.as_ref(), filter.1.as_ref()), (&self.directory, &self.clients));
            self.grants.connections_in_tenant(manager.tenant(), filter, after.as_ref(), tables, visit.now).await?
        };
        let next = listed.next.map(|place| {
            let parts = [("person", person), ("client", client), ("after", Some(&*cursor::write(&place.to_text())))];
            let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
            parts.collect::<Vec<_>>().join("&")
        });
        let page = Page {
            layout: &self.layout,
            bar: &Bar::of_tenant(&self.identity, &visit.person, manager, "connections"),
            path: visit.path,
            rows: listed.found.iter().map(Row::of).collect(),
            person: person.unwrap_or_default(),
            client: client.unwrap_or_default(),
            wrong,
            first: after.is_none(),
            next,
        };
        let status = if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Ok(self.layout.page(status, FormAction::OWN_ORIGIN, None, page.render()))
    }

    /// Ends one, all of a person, or all of a client.
    pub(crate) async fn end_connections(&self, visit: &Visit<'_>, manager: &Manager) -> Result<Response, Refusal> {
        let bar = Bar::of_tenant(&self.identity, &visit.person, manager, "connections");
        let back = format!("/admin/{}/connections", manager.tenant());
        if let Some(told) = self.outcome(visit, &bar, &back) {
            return Ok(told);
        }
        let what = What::read(visit)?;
        let found = match &what {
            What::One(id) => {
                let grant = self.grants.find(id).await?;
                Some(grant.filter(|grant| grant.approval.tenant == *manager.tenant()).ok_or(Refusal::NotThere)?)
            }
            What::OfPerson(_) | What::OfClient(_) => None,
        };
        if !visit.changes {
            let workspace = IsolatedText(manager.name());
            let (title, sentence) = match (&what, &found) {
                (What::OfPerson(person), _) => (
                    "End all connections of this person?".to_owned(),
                    format!("Every application that works as {person} in {workspace} loses its access at once."),
                ),
                (What::OfClient(id), _) => {
                    let client = self.clients.find(id, visit.now).await?;
                    let client = name(client.as_ref(), id);
                    let client = IsolatedText(&client);
                    (
                        format!("End all connections of {client}?"),
                        format!("{client} loses its access to {workspace} at once, for everyone who connected it."),
                    )
                }
                (What::One(_), Some(grant)) => {
                    let client = self.clients.find(&grant.approval.client, visit.now).await?;
                    let client = name(client.as_ref(), &grant.approval.client);
                    let client = IsolatedText(&client);
                    let whose = grant.approval.email.as_deref().unwrap_or(grant.approval.person.as_str());
                    (
                        format!("End the connection of {client}?"),
                        format!("{client} can no longer work as {} in {workspace}.", IsolatedText(whose)),
                    )
                }
                (What::One(_), None) => return Err(Refusal::NotThere),
            };
            let again = match what {
                What::One(_) => "They can connect again, unless they are taken out of the workspace first.",
                What::OfPerson(_) => {
                    "What they connect from now on stays, unless they are taken out of the workspace first."
                }
                What::OfClient(_) => {
                    "Whoever is in the workspace can connect it again, and what they connect from now on stays."
                }
            };
            let mut fields = vec![what.field()];
            if found.is_none() {
                fields.push(shown_at(visit.now));
            }
            return Ok(self.ask(
                visit,
                &bar,
                &Question {
                    title,
                    sentences: vec![sentence, again.to_owned()],
                    fields,
                    button: if found.is_some() { "End the connection" } else { "End the connections" },
                    danger: true,
                    back,
                },
            ));
        }
        let ender = self.ender(manager, visit.now);
        let tenant = manager.tenant();
        let whose = match (&what, &found) {
            (What::OfPerson(person), _) => ConnectionFilter::Tenant { tenant, person: Some(person), client: None },
            (What::OfClient(client), _) => ConnectionFilter::Tenant { tenant, person: None, client: Some(client) },
            (What::One(_), Some(grant)) => {
                visit.confirmed(&[what.field()])?;
                return Ok(self.told_next(visit, &Notice::Ended(ender.one(grant).await?)));
            }
            (What::One(_), None) => return Err(Refusal::NotThere),
        };
        self.end_many(visit, &ender, whose, vec![what.field(), shown_at(visit.shown()?)]).await
    }

    /// Ends in the name of an administrator, or of their key.
    pub(crate) fn ender(&self, manager: &Manager, now: shared::clock::Timestamp) -> Ender<'_> {
        Ender { grants: &self.grants, why: RevocationReason::Administrator, by: manager.by(), now }
    }
}

impl What {
    fn read(visit: &Visit<'_>) -> Result<Self, Refusal> {
        let value = |name| visit.parameters.value(name);
        let read = match (value("connection"), value("person"), value("client")) {
            (Some(id), None, None) => GrantId::parse(id).map(Self::One),
            (None, Some(id), None) => PersonId::parse(id).map(Self::OfPerson),
            (None, None, Some(id)) => ClientId::parse(id).map(Self::OfClient),
            _ => None,
        };
        read.ok_or(Refusal::NotThere)
    }

    fn field(&self) -> (Cow<'static, str>, String) {
        match self {
            Self::One(id) => ("connection".into(), id.to_text()),
            Self::OfPerson(id) => ("person".into(), id.to_string()),
            Self::OfClient(id) => ("client".into(), id.to_string()),
        }
    }
}

/// For a query. In templates, askama's `urlencode` does it.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
