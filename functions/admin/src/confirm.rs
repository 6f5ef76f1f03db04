//! The confirmation page before a change, and the outcome page after it. Both work without JavaScript.

use std::borrow::Cow;

use askama::Template;
use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, ONCE};
use shared::identity::signed_in::SignedIn;
use shared::lambda::Response;

use crate::error::AdminError;
use crate::nav_bar::NavBar;
use crate::notice::EndedMany;
use crate::{Admin, PageRequest};

/// The names and values of a form.
pub(crate) type Fields = Vec<(Cow<'static, str>, String)>;

/// A change to be confirmed: a form without fields to fill in.
pub(crate) struct Confirmation {
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

/// The outcome of a change.
pub(crate) struct Outcome {
    pub(crate) title: String,
    pub(crate) sentence: String,
    pub(crate) back: String,
    /// The rest, if there was too much for once.
    pub(crate) rest: Option<(Fields, &'static str)>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmationPage<'a> {
    layout: &'a shared::http::layout::Layout,
    nav_bar: &'a NavBar,
    action: &'a str,
    change: &'a Confirmation,
    confirmation: String,
    script: &'static str,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage<'a> {
    layout: &'a shared::http::layout::Layout,
    nav_bar: &'a NavBar,
    action: &'a str,
    outcome: &'a Outcome,
    confirmation: String,
    script: Option<&'static str>,
}

impl Admin {
    /// The confirmation page, at the address to which its form is sent.
    pub(crate) fn confirmation_page(
        &self,
        request: &PageRequest<'_>,
        nav_bar: &NavBar,
        change: &Confirmation,
    ) -> Response {
        let confirmation = csrf_token(&request.person, request.path, &change.fields);
        let page = ConfirmationPage {
            layout: &self.layout,
            nav_bar,
            action: request.path,
            change,
            confirmation,
            script: ONCE,
        };
        self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(ONCE), page.render())
    }

    /// The page with the outcome.
    pub(crate) fn show_outcome(&self, request: &PageRequest<'_>, nav_bar: &NavBar, outcome: &Outcome) -> Response {
        let confirmation = outcome.rest.as_ref().map(|(fields, _)| csrf_token(&request.person, request.path, fields));
        let confirmation = confirmation.unwrap_or_default();
        let script = outcome.rest.as_ref().map(|_| ONCE);
        let page = OutcomePage { layout: &self.layout, nav_bar, action: request.path, outcome, confirmation, script };
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

impl PageRequest<'_> {
    /// When the question was shown to which this form says yes: what has come about since is not what was agreed to, so that a form
    /// which is sent again, by going back, ends nothing new.
    pub(crate) fn shown_at(&self) -> Result<Timestamp, AdminError> {
        let shown = self.parameters.value("shown").and_then(|text| text.parse().ok());
        shown.map(Timestamp::from_seconds).ok_or(AdminError::InvalidBody)
    }

    /// Verifies the CSRF token: exactly `fields` were confirmed, on a page that was shown to this session.
    pub(crate) fn verify_csrf_token(&self, fields: &[(Cow<'static, str>, String)]) -> Result<(), AdminError> {
        let shown = self.parameters.value("confirmation").unwrap_or_default();
        if self.person.verify_csrf_token(&csrf_purpose(self.path, fields), shown) {
            Ok(())
        } else {
            Err(AdminError::InvalidCsrfToken)
        }
    }
}

/// The CSRF token of a form at `path` with `fields`.
pub(crate) fn csrf_token(person: &SignedIn, path: &str, fields: &[(Cow<'static, str>, String)]) -> String {
    person.csrf_token(&csrf_purpose(path, fields))
}

/// The field that says when a form was shown.
pub(crate) fn shown_field(now: Timestamp) -> (Cow<'static, str>, String) {
    ("shown".into(), now.seconds().to_string())
}

/// Values come parsed, so that none holds a line break.
fn csrf_purpose(path: &str, fields: &[(Cow<'static, str>, String)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={value}"));
    std::iter::once(format!("console {path}")).chain(fields).collect::<Vec<_>>().join("\n")
}
