//! The question before a change, and what came of it. Both are pages without script.

use askama::Template;
use http::StatusCode;
use shared::http::shell::Leads;
use shared::identity::signed_in::SignedIn;
use shared::lambda::Response;

use crate::bar::Bar;
use crate::refusal::Refusal;
use crate::{Admin, Visit};

/// What is to be confirmed: a form with nothing to fill in.
pub(crate) struct Question {
    pub(crate) title: String,
    /// What will happen.
    pub(crate) sentences: Vec<String>,
    /// What the form says, which is all that is agreed to.
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) button: &'static str,
    /// It takes something away.
    pub(crate) danger: bool,
    /// Where to go instead.
    pub(crate) back: String,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) title: String,
    pub(crate) sentence: String,
    pub(crate) back: String,
    /// The rest, if there was too much for once.
    pub(crate) rest: Option<(Vec<(&'static str, String)>, &'static str)>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct QuestionPage<'a> {
    shell: &'a shared::http::shell::Shell,
    bar: &'a Bar,
    action: &'a str,
    question: &'a Question,
    confirmation: String,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage<'a> {
    shell: &'a shared::http::shell::Shell,
    bar: &'a Bar,
    action: &'a str,
    outcome: &'a Outcome,
    confirmation: String,
}

impl Admin {
    /// Asks, at the address where the answer goes.
    pub(crate) fn ask(&self, visit: &Visit<'_>, bar: &Bar, question: &Question) -> Response {
        let confirmation = proof(&visit.person, visit.path, &question.fields);
        let page = QuestionPage { shell: &self.shell, bar, action: visit.path, question, confirmation };
        self.shell.page(StatusCode::OK, Leads::HOME, None, page.render())
    }

    /// Tells what came of it.
    pub(crate) fn tell(&self, visit: &Visit<'_>, bar: &Bar, outcome: &Outcome) -> Response {
        let confirmation = outcome.rest.as_ref().map(|(fields, _)| proof(&visit.person, visit.path, fields));
        let confirmation = confirmation.unwrap_or_default();
        let page = OutcomePage { shell: &self.shell, bar, action: visit.path, outcome, confirmation };
        self.shell.page(StatusCode::OK, Leads::HOME, None, page.render())
    }
}

impl Visit<'_> {
    /// That exactly `fields` were confirmed, on a page that this session was shown.
    pub(crate) fn confirmed(&self, fields: &[(&'static str, String)]) -> Result<(), Refusal> {
        let shown = self.parameters.value("confirmation").unwrap_or_default();
        if self.person.allows(&purpose(self.path, fields), shown) { Ok(()) } else { Err(Refusal::Forged) }
    }
}

/// For a form of ours at `path` that says `fields`.
pub(crate) fn proof(person: &SignedIn, path: &str, fields: &[(&'static str, String)]) -> String {
    person.anti_forgery(&purpose(path, fields))
}

/// Values come parsed, so that none holds a line break.
fn purpose(path: &str, fields: &[(&'static str, String)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={value}"));
    std::iter::once(format!("console {path}")).chain(fields).collect::<Vec<_>>().join("\n")
}
