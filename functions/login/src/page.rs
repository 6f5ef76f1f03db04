//! The templates of the pages.

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout, ONCE, ThirdParty};
use shared::http::sanitized_text::SanitizedText;
use shared::identity::mfa::Factor;
use shared::lambda::Response;

use crate::captcha::{self, CaptchaWidget};
use crate::error::Field;
use crate::next::Next;
use crate::notice::Notice;
use crate::opened_link::Link;
use crate::sign_in_methods::OfferedMethods;

/// The sign-in page.
#[derive(Template)]
#[template(path = "sign-in.html")]
pub(crate) struct SignInPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) connecting: bool,
    pub(crate) script: &'static str,
    pub(crate) notice: Option<&'a Notice>,
    pub(crate) methods: &'a OfferedMethods,
    pub(crate) next: &'a str,
    pub(crate) email: &'a str,
    pub(crate) confirmation: &'a str,
    /// The captcha in the form that sends a password or requests a mail.
    pub(crate) captcha: Option<&'a CaptchaWidget>,
}

impl SignInPage<'_> {
    fn is_wrong(&self, field: Field) -> bool {
        self.notice.is_some_and(|notice| notice.field == Some(field))
    }
}

/// The page after a temporary error. Its button repeats the request.
#[derive(Template)]
#[template(path = "temporary-error.html")]
pub(crate) struct TemporaryErrorPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) sentence: &'a str,
    pub(crate) request_id: Option<String>,
    /// The address of the request.
    pub(crate) again: &'a str,
    pub(crate) start: &'a str,
}

/// The page after the project's own hook refused a person.
#[derive(Template)]
#[template(path = "hook.html")]
pub(crate) struct HookPage<'a> {
    pub(crate) layout: &'a Layout,
    /// The message of the hook.
    pub(crate) message: Option<&'a str>,
    /// Of the request that the hook refused.
    pub(crate) request_id: Option<String>,
    pub(crate) start: &'a str,
}

/// The page for the code of a mail.
#[derive(Template)]
#[template(path = "code.html")]
pub(crate) struct CodePage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) script: &'static str,
    pub(crate) notice: Option<&'a Notice>,
    /// The id of the mail's flow.
    pub(crate) flow: &'a str,
    pub(crate) next: &'a str,
    pub(crate) email: &'a str,
    pub(crate) confirmation: &'a str,
    pub(crate) start: &'a str,
    /// Seconds until another mail can be sent.
    pub(crate) mail_in: u64,
    /// Whether Supabase also sends mails to an address that was never confirmed.
    pub(crate) confirms: bool,
    /// The captcha in the form that requests another mail.
    pub(crate) captcha: Option<&'a CaptchaWidget>,
}

/// The page for the second factor.
#[derive(Template)]
#[template(path = "factor.html")]
pub(crate) struct FactorPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) notice: Option<&'a Notice>,
    pub(crate) next: &'a str,
    pub(crate) who: &'a str,
    pub(crate) authenticators: Vec<&'a Factor>,
    pub(crate) confirmation: &'a str,
    /// The CSRF token for signing out.
    pub(crate) sign_out: &'a str,
}

/// The page of the link of a mail. Its button uses up the link, which a scanner of mail does not press.
#[derive(Template)]
#[template(path = "link.html")]
pub(crate) struct LinkPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) notice: Option<&'a Notice>,
    pub(crate) email: &'a str,
    pub(crate) next: &'a str,
    pub(crate) link: &'a Link,
    pub(crate) confirmation: &'a str,
    pub(crate) start: &'a str,
}

/// The page for a link that was requested in another browser.
#[derive(Template)]
#[template(path = "other-browser.html")]
pub(crate) struct OtherBrowserPage<'a> {
    pub(crate) layout: &'a Layout,
}

/// The page that leads to a provider.
#[derive(Template)]
#[template(path = "leaving.html")]
pub(crate) struct LeavingPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) provider: &'a str,
    pub(crate) to: &'a str,
}

/// The page for a person who is signed in already and has nowhere to go on to. They can sign out here.
#[derive(Template)]
#[template(path = "signed-in.html")]
pub(crate) struct SignedInPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) notice: Option<&'a Notice>,
    pub(crate) who: &'a str,
    pub(crate) confirmation: &'a str,
}

/// The response with `template`. Its forms may lead to `next`, and from there to the client.
pub(crate) fn page_response(
    layout: &Layout,
    status: StatusCode,
    next: Option<&Next>,
    template: &impl Template,
) -> Response {
    respond(ThirdParty::NONE, layout, status, next, &[], template)
}

/// The same for a page with a form, which a double click sends only once.
pub(crate) fn with_form(
    layout: &Layout,
    status: StatusCode,
    next: Option<&Next>,
    template: &impl Template,
) -> Response {
    respond(ThirdParty::NONE, layout, status, next, &[ONCE], template)
}

/// The same for a page with a form, a script of its own and, if there is one, a captcha with its scripts.
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

/// Shows that this browser keeps no cookies, before the person types a password.
pub(crate) const COOKIES_SCRIPT: &str = include_str!("cookies.js");

/// Counts down until another mail can be sent.
pub(crate) const COUNTDOWN_SCRIPT: &str = include_str!("countdown.js");
