//! The pages.

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout, ONCE, ThirdParty};
use shared::http::sanitized_text::SanitizedText;
use shared::identity::mfa::Factor;
use shared::lambda::Response;

use crate::captcha::{self, CaptchaWidget};
use crate::error::{Field, Problem};
use crate::link::Link;
use crate::next::Next;
use crate::sign_in_methods::OfferedMethods;

/// The ways of signing in.
#[derive(Template)]
#[template(path = "sign-in.html")]
pub(crate) struct SignInPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) connecting: bool,
    pub(crate) script: &'static str,
    pub(crate) problem: Option<&'a Problem>,
    pub(crate) offered: &'a OfferedMethods,
    pub(crate) next: &'a str,
    pub(crate) email: &'a str,
    pub(crate) confirmation: &'a str,
    /// In the form that sends a password or asks for a mail.
    pub(crate) captcha: Option<&'a CaptchaWidget>,
}

impl SignInPage<'_> {
    fn is_wrong(&self, field: Field) -> bool {
        self.problem.is_some_and(|problem| problem.field == Some(field))
    }
}

/// For what may succeed in a moment: its button repeats the request.
#[derive(Template)]
#[template(path = "temporary-error.html")]
pub(crate) struct TemporaryErrorPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) problem: &'a str,
    /// The same request once more.
    pub(crate) again: &'a str,
    pub(crate) start: &'a str,
}

/// For whom the project's own hook refuses.
#[derive(Template)]
#[template(path = "hook.html")]
pub(crate) struct HookPage<'a> {
    pub(crate) layout: &'a Layout,
    /// What the hook says.
    pub(crate) message: Option<&'a str>,
    pub(crate) start: &'a str,
}

/// Where the code of a mail is typed in.
#[derive(Template)]
#[template(path = "code.html")]
pub(crate) struct CodePage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) script: &'static str,
    pub(crate) problem: Option<&'a Problem>,
    /// The id of the mail's flow.
    pub(crate) flow: &'a str,
    pub(crate) next: &'a str,
    pub(crate) email: &'a str,
    pub(crate) confirmation: &'a str,
    pub(crate) start: &'a str,
    /// Seconds until another mail can be sent.
    pub(crate) mail_in: u64,
    /// Whether a mail also goes to an address that was never confirmed.
    pub(crate) confirms: bool,
    /// In the form that asks for another mail.
    pub(crate) captcha: Option<&'a CaptchaWidget>,
}

/// Where a second factor is shown.
#[derive(Template)]
#[template(path = "factor.html")]
pub(crate) struct FactorPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) problem: Option<&'a Problem>,
    pub(crate) next: &'a str,
    pub(crate) who: &'a str,
    pub(crate) authenticators: Vec<&'a Factor>,
    pub(crate) confirmation: &'a str,
    /// The anti-forgery value for signing out.
    pub(crate) sign_out: &'a str,
}

/// Where the link of a mail is confirmed, so that only a person spends it.
#[derive(Template)]
#[template(path = "link.html")]
pub(crate) struct LinkPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) problem: Option<&'a Problem>,
    pub(crate) email: &'a str,
    pub(crate) next: &'a str,
    pub(crate) link: &'a Link,
    pub(crate) confirmation: &'a str,
    pub(crate) start: &'a str,
}

/// For the link of a mail that was asked for in another browser.
#[derive(Template)]
#[template(path = "other-browser.html")]
pub(crate) struct OtherBrowserPage<'a> {
    pub(crate) layout: &'a Layout,
}

/// On the way to a provider.
#[derive(Template)]
#[template(path = "leaving.html")]
pub(crate) struct LeavingPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) provider: &'a str,
    pub(crate) to: &'a str,
}

/// For who came here without a reason, and for signing out.
#[derive(Template)]
#[template(path = "signed-in.html")]
pub(crate) struct SignedInPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) problem: Option<&'a Problem>,
    pub(crate) who: &'a str,
    pub(crate) confirmation: &'a str,
}

/// `template` as an answer. After its form the browser may be sent on to `next`, and from there to the client.
pub(crate) fn page_response(
    layout: &Layout,
    status: StatusCode,
    next: Option<&Next>,
    template: &impl Template,
) -> Response {
    respond(ThirdParty::NONE, layout, status, next, &[], template)
}

/// The same, with a form that a second click does not send again.
pub(crate) fn with_form(
    layout: &Layout,
    status: StatusCode,
    next: Option<&Next>,
    template: &impl Template,
) -> Response {
    respond(ThirdParty::NONE, layout, status, next, &[ONCE], template)
}

/// The same with a script of its own besides and, if the page has one, a captcha's widget and its script.
pub(crate) fn with_captcha(
    captcha: Option<&CaptchaWidget>,
    layout: &Layout,
    status: StatusCode,
    next: Option<&Next>,
    script: &str,
    template: &impl Template,
) -> Response {
    match captcha {
        Some(widget) => respond(widget.third_party(), layout, status, next, &[script, ONCE, captcha::SCRIPT], template),
        None => respond(ThirdParty::NONE, layout, status, next, &[script, ONCE], template),
    }
}

fn respond(
    third_party: ThirdParty,
    layout: &Layout,
    status: StatusCode,
    next: Option<&Next>,
    scripts: &[&str],
    template: &impl Template,
) -> Response {
    let client = next.and_then(Next::client);
    let sources: Vec<&str> = client.as_deref().into_iter().collect();
    layout.page_with(third_party, status, FormAction::To(&sources), scripts, template.render())
}

/// Says before a password is typed that this browser keeps no cookies.
pub(crate) const COOKIES_SCRIPT: &str = include_str!("cookies.js");

/// Counts down until another mail can be sent.
pub(crate) const COUNTDOWN_SCRIPT: &str = include_str!("countdown.js");
