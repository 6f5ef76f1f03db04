//! The confirmation page before a change. It works without JavaScript.

use std::sync::LazyLock;

use askama::Template;
use http::StatusCode;
use shared::http::layout::{DELIBERATE, FormAction, Layout, ONCE};
use shared::lambda::Response;

use crate::Admin;
use crate::form_fields::{FormFields, csrf_token};
use crate::nav_bar::NavBar;
use crate::page_request::PageRequest;

/// A change to be confirmed: a form without fields to fill in.
pub(crate) struct Confirmation {
    pub(crate) title: String,
    /// What will happen.
    pub(crate) sentences: Vec<String>,
    /// The fields of the form. The person agrees to these and to nothing else.
    pub(crate) fields: FormFields,
    pub(crate) button: &'static str,
    /// Whether the change takes something away.
    pub(crate) danger: bool,
    /// Where to go instead.
    pub(crate) back: String,
}

static SCRIPT: LazyLock<String> = LazyLock::new(|| [ONCE, DELIBERATE].concat());

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmationPage<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    action: &'a str,
    change: &'a Confirmation,
    confirmation: String,
    script: &'static str,
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
            script: &SCRIPT,
        };
        self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(&SCRIPT), page.render())
    }
}
