//! The redirect after a form, and the page that shows the outcome. The page works without JavaScript.

use std::borrow::Cow;

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout};
use shared::http::{flash, response};
use shared::lambda::Response;

use crate::Admin;
use crate::nav_bar::NavBar;
use crate::notice::{EndedMany, Notice, ScopeChange, Whose};
use crate::page_request::PageRequest;

/// The outcome of a change.
struct Outcome {
    title: &'static str,
    sentence: Cow<'static, str>,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    outcome: &'a Outcome,
    back: &'a str,
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
            Some(Notice::EndedMany(many)) => Outcome::of_connections(many, nav_bar),
            Some(Notice::ScopesChanged(change)) => Outcome::of_scopes(*change),
            Some(Notice::Revoked(revoked)) => Outcome::of_key(*revoked),
            _ if !request.is_post && request.parameters.value(flash::PARAMETER).is_some() => {
                return Some(response::see_other(&self.issuer.at(back)));
            }
            _ => return None,
        };
        let page = OutcomePage { layout: &self.layout, nav_bar, outcome: &outcome, back };
        Some(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
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

    fn of_connections(many: &EndedMany, nav_bar: &NavBar) -> Self {
        let tenant = nav_bar.tenant.as_deref().unwrap_or("this workspace");
        let (about, everywhere) =
            if many.before { (" that the page was about", "") } else { ("", ", in every workspace") };
        let whose = match many.whose {
            Whose::Own => format!("Every connection of yours{about} has ended{everywhere}."),
            Whose::Person => format!("Every connection of this person in {tenant}{about} has ended."),
            Whose::Client => format!("Every connection of this application in {tenant}{about} has ended."),
        };
        let listed = match (many.listed, many.more) {
            (0, false) => "None was listed.".to_owned(),
            (1, false) => "1 was listed.".to_owned(),
            (listed, false) => format!("{listed} were listed."),
            (listed, true) => format!("More than {listed} were listed."),
        };
        let sentence = if many.before {
            format!("{whose} What was connected since stays. {listed}")
        } else {
            format!("{whose} {listed} Applications that use one are refused from the next call on.")
        };
        Self { title: "The connections have ended", sentence: sentence.into() }
    }

    const fn of_scopes(change: ScopeChange) -> Self {
        match change {
            ScopeChange::Changed => Self::of(
                "What the application may do is changed",
                "What you took away counts at its next call, what you added when it next renews its access.",
            ),
            ScopeChange::Superseded => Self::of(
                "Nothing was changed",
                "What this application may do was changed elsewhere since the page was shown. Look at it again.",
            ),
        }
    }

    fn of_key(revoked: bool) -> Self {
        if revoked {
            Self::of("The key is revoked", "It is refused from the next call on.")
        } else {
            Self::of("The key was revoked before", "There was nothing left to revoke.")
        }
    }

    const fn of(title: &'static str, sentence: &'static str) -> Self {
        Self { title, sentence: Cow::Borrowed(sentence) }
    }
}
