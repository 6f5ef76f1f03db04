//! `/admin`: what a person has connected, wherever it is.

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout};
use shared::http::sanitized_text::IsolatedText;
use shared::lambda::Response;
use shared::oauth::grant::{GrantId, RevocationReason};
use shared::store::connections::{ConnectionFilter, Cursor};

use crate::bar::Bar;
use crate::confirm::{Fields, Question, shown_at};
use crate::ending::{Ender, Swept};
use crate::listed::{Row, name};
use crate::notice::{EndedMany, Notice};
use crate::refusal::Refusal;
use crate::{Admin, Visit, cursor};

#[derive(Template)]
#[template(path = "own.html")]
struct Page<'a> {
    layout: &'a Layout,
    bar: &'a Bar,
    path: &'a str,
    rows: Vec<Row>,
    first: bool,
    next: Option<String>,
}

const HOME: &str = "/admin";

impl Admin {
    pub(crate) async fn own(&self, visit: &Visit<'_>) -> Result<Response, Refusal> {
        let after = cursor::read(visit.parameters.value("after"), Cursor::parse)?;
        let (person, tables) = (&visit.person.person, (&self.directory, &self.clients));
        let (memberships, connections) =
            self.grants.connections_of_person(person, after.as_ref(), tables, visit.now).await?;
        let bar = Bar::own(&self.identity, &visit.person, &memberships);
        let page = Page {
            layout: &self.layout,
            bar: &bar,
            path: HOME,
            rows: connections.found.iter().map(Row::of).collect(),
            first: after.is_none(),
            next: connections.next.map(|place| cursor::query(&place.to_text())),
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
    }

    /// Ends one, or all.
    pub(crate) async fn end_own(&self, visit: &Visit<'_>) -> Result<Response, Refusal> {
        let bar = Bar::own(&self.identity, &visit.person, &[]);
        if let Some(told) = self.outcome(visit, &bar, HOME) {
            return Ok(told);
        }
        let person = &visit.person.person;
        let ender =
            Ender { grants: &self.grants, why: RevocationReason::Person, by: person.to_string(), now: visit.now };
        let Some(id) = visit.parameters.value("connection") else {
            if visit.parameters.value("all") != Some("yes") {
                return Err(Refusal::NotThere);
            }
            return self.end_all_own(visit, &bar, &ender).await;
        };
        let id = GrantId::parse(id).ok_or(Refusal::NotThere)?;
        let grant = self.grants.find(&id).await?.filter(|grant| grant.approval.person == *person);
        let grant = grant.ok_or(Refusal::NotThere)?;
        let fields = vec![("connection".into(), id.to_text())];
        if !visit.changes {
            let client = self.clients.find(&grant.approval.client, visit.now).await?;
            let client = name(client.as_ref(), &grant.approval.client);
            let client = IsolatedText(&client);
            return Ok(self.ask(
                visit,
                &bar,
                &Question {
                    title: format!("End the connection of {client}?"),
                    sentences: vec![
                        format!("{client} loses its access to {} at once.", grant.approval.tenant),
                        "You can connect it again at any time.".to_owned(),
                    ],
                    fields,
                    button: "End the connection",
                    danger: true,
                    back: HOME.to_owned(),
                },
            ));
        }
        visit.confirmed(&fields)?;
        Ok(self.told_next(visit, &Notice::Ended(ender.one(&grant).await?)))
    }

    async fn end_all_own(&self, visit: &Visit<'_>, bar: &Bar, ender: &Ender<'_>) -> Result<Response, Refusal> {
        let all = ("all".into(), "yes".to_owned());
        if !visit.changes {
            return Ok(self.ask(
                visit,
                bar,
                &Question {
                    title: "End all your connections?".to_owned(),
                    sentences: vec![
                        "Every application that works as you loses its access at once, in every workspace.".to_owned(),
                        "What you connect from now on stays, and so do API keys.".to_owned(),
                    ],
                    fields: vec![all, shown_at(visit.now)],
                    button: "End all connections",
                    danger: true,
                    back: HOME.to_owned(),
                },
            ));
        }
        let fields = vec![all, shown_at(visit.shown()?)];
        self.end_many(visit, ender, ConnectionFilter::Person(&visit.person.person), fields).await
    }

    /// Ends the next of what was there when it was asked about, as `fields` say, and tells how to go on.
    pub(crate) async fn end_many(
        &self,
        visit: &Visit<'_>,
        ender: &Ender<'_>,
        whose: ConnectionFilter<'_>,
        mut fields: Fields,
    ) -> Result<Response, Refusal> {
        let after = cursor::read(visit.parameters.value("after"), Cursor::parse)?;
        let place = |place: &Cursor| ("after".into(), cursor::write(&place.to_text()));
        let kept = fields.clone();
        fields.extend(after.as_ref().map(place));
        visit.confirmed(&fields)?;
        let Swept { ended, next } = ender.some(whose, Some(visit.shown()?), after.as_ref()).await?;
        let rest = next.as_ref().map(|next| kept.into_iter().chain(std::iter::once(place(next))).collect());
        Ok(self.told_next(visit, &Notice::EndedMany(EndedMany { ended, rest })))
    }
}
