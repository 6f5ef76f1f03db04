//! `/admin`: what a person has connected, wherever it is.

use askama::Template;
use http::StatusCode;
use shared::http::shell::{Leads, Shell};
use shared::lambda::Response;
use shared::oauth::grant::{Ending, GrantId};
use shared::store::connections::{Place, Whose};

use crate::bar::Bar;
use crate::confirm::{Outcome, Question};
use crate::ending::{Ender, Swept};
use crate::listed::{Row, name};
use crate::refusal::Refusal;
use crate::{Admin, Visit, cursor};

#[derive(Template)]
#[template(path = "own.html")]
struct Page<'a> {
    shell: &'a Shell,
    bar: &'a Bar,
    path: &'a str,
    rows: Vec<Row>,
    first: bool,
    next: Option<String>,
}

const HOME: &str = "/admin";

impl Admin {
    pub(crate) async fn own(&self, visit: &Visit<'_>) -> Result<Response, Refusal> {
        let after = cursor::read(visit.parameters.value("after"), Place::parse)?;
        let (person, tables) = (&visit.person.person, (&self.directory, &self.clients));
        let (standings, connections) = self.grants.connected_by(person, after.as_ref(), tables, visit.now).await?;
        let bar = Bar::own(&self.identity, &visit.person, &standings);
        let page = Page {
            shell: &self.shell,
            bar: &bar,
            path: HOME,
            rows: connections.found.iter().map(Row::of).collect(),
            first: after.is_none(),
            next: connections.next.map(|place| cursor::query(&place.to_text())),
        };
        Ok(self.shell.page(StatusCode::OK, Leads::HOME, None, page.render()))
    }

    /// Ends one, or all.
    pub(crate) async fn end_own(&self, visit: &Visit<'_>) -> Result<Response, Refusal> {
        let bar = Bar::own(&self.identity, &visit.person, &[]);
        let person = &visit.person.person;
        let ender = Ender { grants: &self.grants, why: Ending::Person, by: person.to_string(), now: visit.now };
        let Some(id) = visit.parameters.value("connection") else {
            let after = cursor::read(visit.parameters.value("after"), Place::parse)?;
            if visit.parameters.value("all") != Some("yes") {
                return Err(Refusal::NotThere);
            }
            return self.end_all_own(visit, &bar, &ender, after.as_ref()).await;
        };
        let id = GrantId::parse(id).ok_or(Refusal::NotThere)?;
        let grant = self.grants.find(&id).await?.filter(|grant| grant.approval.person == *person);
        let grant = grant.ok_or(Refusal::NotThere)?;
        let fields = vec![("connection", id.to_text())];
        if !visit.changes {
            let client = self.clients.find(&grant.approval.client, visit.now).await?;
            let client = name(client.as_ref(), &grant.approval.client);
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
        let outcome = Outcome::of_one(ender.one(&grant).await?, HOME);
        Ok(self.tell(visit, &bar, &outcome))
    }

    async fn end_all_own(
        &self,
        visit: &Visit<'_>,
        bar: &Bar,
        ender: &Ender<'_>,
        after: Option<&Place>,
    ) -> Result<Response, Refusal> {
        let mut fields = vec![("all", "yes".to_owned())];
        if !visit.changes {
            return Ok(self.ask(
                visit,
                bar,
                &Question {
                    title: "End all your connections?".to_owned(),
                    sentences: vec![
                        "Every application that works as you loses its access at once, in every workspace.".to_owned(),
                        "API keys are not ended by this.".to_owned(),
                    ],
                    fields,
                    button: "End all connections",
                    danger: true,
                    back: HOME.to_owned(),
                },
            ));
        }
        fields.extend(after.map(|place| ("after", cursor::write(&place.to_text()))));
        visit.confirmed(&fields)?;
        let swept = ender.some(Whose::Person(&visit.person.person), after).await?;
        Ok(self.tell(visit, bar, &Outcome::of_many(swept, vec![("all", "yes".to_owned())], HOME)))
    }
}

impl Outcome {
    pub(crate) fn of_one(ended: bool, back: &str) -> Self {
        let (title, sentence) = if ended {
            ("The connection has ended", "Its application is refused from the next call on.")
        } else {
            ("The connection had ended before", "There was nothing left to end.")
        };
        Self { title: title.to_owned(), sentence: sentence.to_owned(), back: back.to_owned(), rest: None }
    }

    /// Of many, with what is left to go on with: `fields`, from there.
    pub(crate) fn of_many(swept: Swept, mut fields: Vec<(&'static str, String)>, back: &str) -> Self {
        let Swept { ended, next } = swept;
        let title = match ended {
            0 => "No connection has ended".to_owned(),
            1 => "1 connection has ended".to_owned(),
            _ => format!("{ended} connections have ended"),
        };
        let sentence = match (ended, &next) {
            (_, Some(_)) => "That is as many as are ended at once. There may be more.",
            (0, None) => "There was nothing left to end.",
            (_, None) => "That is all. Their applications are refused from the next call on.",
        };
        let rest = next.map(|place| {
            fields.push(("after", cursor::write(&place.to_text())));
            (fields, "End the next")
        });
        Self { title, sentence: sentence.to_owned(), back: back.to_owned(), rest }
    }
}
