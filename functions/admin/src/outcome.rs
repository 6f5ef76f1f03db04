//! The redirect after a form, and the page that shows the outcome. The page works without JavaScript.

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout, ONCE};
use shared::http::{flash, response};
use shared::lambda::Response;

use crate::Admin;
use crate::form_fields::{FormFields, csrf_token};
use crate::nav_bar::NavBar;
use crate::notice::{EndedMany, Notice};
use crate::page_request::PageRequest;

/// The outcome of a change.
struct Outcome {
    title: String,
    sentence: &'static str,
    /// The form for the next batch and the text of its button, if something may be left.
    rest: Option<(FormFields, &'static str)>,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    action: &'a str,
    outcome: &'a Outcome,
    back: &'a str,
    confirmation: String,
    script: Option<&'static str>,
}

impl Admin {
    /// The response to a form: a redirect to its address, where the page shows `notice`.
    pub(crate) fn redirect_with_notice(&self, request: &PageRequest<'_>, notice: &Notice) -> Response {
        flash::redirect(&self.issuer.at(request.path), notice, &self.issuer)
    }

    /// The page with the outcome of a form, if the request is for it; a redirect to `back` if the cookie is gone.
    pub(crate) fn outcome_page(&self, request: &PageRequest<'_>, nav_bar: &NavBar, back: &str) -> Option<Response> {
        let outcome = match &request.notice {
            Some(Notice::Ended(ended)) => Outcome::of_connection(*ended),
            Some(Notice::EndedMany(many)) => Outcome::of_connections(many),
            Some(Notice::Revoked(revoked)) => Outcome::of_key(*revoked),
            _ if !request.is_post && request.parameters.value(flash::PARAMETER).is_some() => {
                return Some(response::see_other(&self.issuer.at(back)));
            }
            _ => return None,
        };
        let rest = outcome.rest.as_ref();
        let page = OutcomePage {
            layout: &self.layout,
            nav_bar,
            action: request.path,
            outcome: &outcome,
            back,
            confirmation: rest.map(|(fields, _)| csrf_token(&request.person, request.path, fields)).unwrap_or_default(),
            script: rest.map(|_| ONCE),
        };
        Some(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, page.script, page.render()))
    }
}

impl Outcome {
    fn of_connection(ended: bool) -> Self {
        if ended {
            Self::of("The connection has ended", "Its application is refused from the next call on.")
        } else {
            Self::of("The connection had ended before", "There was nothing left to end.")
        }
    }

    fn of_connections(many: &EndedMany) -> Self {
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
        Self { title, sentence, rest: many.rest.clone().map(|fields| (fields, "End the next")) }
    }

    fn of_key(revoked: bool) -> Self {
        if revoked {
            Self::of("The key is revoked", "It is refused from the next call on.")
        } else {
            Self::of("The key was revoked before", "There was nothing left to revoke.")
        }
    }

    fn of(title: &str, sentence: &'static str) -> Self {
        Self { title: title.to_owned(), sentence, rest: None }
    }
}
