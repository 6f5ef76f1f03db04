//! The pages.

use askama::Template;
use http::StatusCode;
use shared::http::shell::{Leads, Shell};
use shared::http::visible::Visible;
use shared::identity::halfway::Factor;
use shared::lambda::Response;

use crate::next::Next;
use crate::ways::Offered;

/// The ways of signing in.
#[derive(Template)]
#[template(path = "sign-in.html")]
pub(crate) struct SignInPage<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) connecting: bool,
    pub(crate) problem: Option<&'static str>,
    pub(crate) offered: &'a Offered,
    pub(crate) next: &'a str,
    pub(crate) email: &'a str,
    pub(crate) confirmation: &'a str,
}

/// Where the code of a mail is typed in.
#[derive(Template)]
#[template(path = "code.html")]
pub(crate) struct CodePage<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) problem: Option<&'static str>,
    pub(crate) next: &'a str,
    pub(crate) email: &'a str,
    pub(crate) confirmation: &'a str,
    pub(crate) start: &'a str,
}

/// Where a second factor is shown.
#[derive(Template)]
#[template(path = "factor.html")]
pub(crate) struct FactorPage<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) problem: Option<&'static str>,
    pub(crate) next: &'a str,
    pub(crate) who: Option<&'a str>,
    pub(crate) authenticators: Vec<&'a Factor>,
    pub(crate) confirmation: &'a str,
    /// The anti-forgery value for signing out.
    pub(crate) sign_out: &'a str,
}

/// On the way to a provider.
#[derive(Template)]
#[template(path = "leaving.html")]
pub(crate) struct LeavingPage<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) provider: &'a str,
    pub(crate) to: &'a str,
}

/// For who came here without a reason, and for signing out.
#[derive(Template)]
#[template(path = "signed-in.html")]
pub(crate) struct SignedInPage<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) who: &'a str,
    pub(crate) confirmation: &'a str,
}

/// `template` as an answer. After its form the browser may be sent on to `next`, and from there to the client.
pub(crate) fn shown(shell: &Shell, status: StatusCode, next: Option<&Next>, template: &impl Template) -> Response {
    let client = next.and_then(Next::client);
    let sources: Vec<&str> = client.as_deref().into_iter().collect();
    shell.page(status, Leads::To(&sources), None, template.render())
}
