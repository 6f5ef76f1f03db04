//! The question before a change, and what came of it. Both work without script.

use std::borrow::Cow;

use askama::Template;
use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, ONCE};
use shared::identity::signed_in::SignedIn;
use shared::lambda::Response;

use crate::bar::Bar;
use crate::notice::EndedMany;
use crate::refusal::Refusal;
use crate::{Admin, Visit};

/// The names and values of a form.
pub(crate) type Fields = Vec<(Cow<'static, str>, String)>;

/// What is to be confirmed: a form with nothing to fill in.
pub(crate) struct Question {
    pub(crate) title: String,
    /// What will happen.
    pub(crate) sentences: Vec<String>,
    /// What the form says, which is all that is agreed to.
    pub(crate) fields: Fields,
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
    pub(crate) rest: Option<(Fields, &'static str)>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct QuestionPage<'a> {
    layout: &'a shared::http::layout::Layout,
    bar: &'a Bar,
    action: &'a str,
    question: &'a Question,
    confirmation: String,
    script: &'static str,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage<'a> {
    layout: &'a shared::http::layout::Layout,
    bar: &'a Bar,
    action: &'a str,
    outcome: &'a Outcome,
    confirmation: String,
    script: Option<&'static str>,
}

impl Admin {
    /// Asks, at the address where the answer goes.
    pub(crate) fn ask(&self, visit: &Visit<'_>, bar: &Bar, question: &Question) -> Response {
        let confirmation = proof(&visit.person, visit.path, &question.fields);
        let page = QuestionPage { layout: &self.layout, bar, action: visit.path, question, confirmation, script: ONCE };
        self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(ONCE), page.render())
    }

    /// Tells what came of it.
    pub(crate) fn tell(&self, visit: &Visit<'_>, bar: &Bar, outcome: &Outcome) -> Response {
        let confirmation = outcome.rest.as_ref().map(|(fields, _)| proof(&visit.person, visit.path, fields));
        let confirmation = confirmation.unwrap_or_default();
        let script = outcome.rest.as_ref().map(|_| ONCE);
        let page = OutcomePage { layout: &self.layout, bar, action: visit.path, outcome, confirmation, script };
        self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, script, page.render())
    }
}

impl Outcome {
    pub(crate) fn of_one(ended: bool, back: &str) -> Self {
        let (title, sentence) = if ended {
            ("The connection has ended", "Its application is refused from the next call on.")
        } else {
            ("The connection had ended before", "There was nothing left to end.")
        };
        Self::plain(title, sentence, back)
    }

    /// Of many, with the form that goes on.
    pub(crate) fn of_many(many: &EndedMany, back: &str) -> Self {
        let title = match many.ended {
            0 => "No connection has ended".to_owned(),
            1 => "1 connection has ended".to_owned(),
            ended => format!("{ended} connections have ended"),
        };
        let sentence = match (many.ended, &many.rest) {
            (_, Some(_)) => "That is as many as are ended at once. There may be more.",
            (0, None) => "There was nothing left to end.",
            (_, None) => {
                "That is all that was connected when you were asked. Their applications are refused from the next call on."
            }
        };
        let rest = many.rest.clone().map(|fields| (fields, "End the next"));
        Self { title, rest, ..Self::plain("", sentence, back) }
    }

    pub(crate) fn of_key(revoked: bool, back: &str) -> Self {
        let (title, sentence) = if revoked {
            ("The key is revoked", "It is refused from the next call on.")
        } else {
            ("The key was revoked before", "There was nothing left to revoke.")
        };
        Self::plain(title, sentence, back)
    }

    fn plain(title: &str, sentence: &str, back: &str) -> Self {
        Self { title: title.to_owned(), sentence: sentence.to_owned(), back: back.to_owned(), rest: None }
    }
}

impl Visit<'_> {
    /// When the question was shown to which this form says yes: what has come about since is not what was agreed to, so that a form
    /// which is sent again, by going back, ends nothing new.
    pub(crate) fn shown(&self) -> Result<Timestamp, Refusal> {
        let shown = self.parameters.value("shown").and_then(|text| text.parse().ok());
        shown.map(Timestamp::from_seconds).ok_or(Refusal::Body)
    }

    /// That exactly `fields` were confirmed, on a page that this session was shown.
    pub(crate) fn confirmed(&self, fields: &[(Cow<'static, str>, String)]) -> Result<(), Refusal> {
        let shown = self.parameters.value("confirmation").unwrap_or_default();
        if self.person.verify_csrf_token(&purpose(self.path, fields), shown) { Ok(()) } else { Err(Refusal::Forged) }
    }
}

/// For a form of ours at `path` that says `fields`.
pub(crate) fn proof(person: &SignedIn, path: &str, fields: &[(Cow<'static, str>, String)]) -> String {
    person.csrf_token(&purpose(path, fields))
}

/// The field that says when a form was shown.
pub(crate) fn shown_at(now: Timestamp) -> (Cow<'static, str>, String) {
    ("shown".into(), now.seconds().to_string())
}

/// Values come parsed, so that none holds a line break.
fn purpose(path: &str, fields: &[(Cow<'static, str>, String)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={value}"));
    std::iter::once(format!("console {path}")).chain(fields).collect::<Vec<_>>().join("\n")
}
